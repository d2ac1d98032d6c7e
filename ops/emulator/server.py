"""The server: MiniStack under hypercorn, in the foreground, until SIGTERM or SIGINT.

Exit codes: 0 ended as asked, 2 usage, 3 the surroundings are broken (port taken, another
MiniStack).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ops.emulator import corrections, faults, surroundings

SURROUNDINGS_BROKEN = 3
_GRACE_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 3600.0
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes.

    Args:
        arguments: Command line without the program name; ``sys.argv`` by default.

    Returns:
        The exit code.
    """
    options = _options(arguments)
    for number in _ENDING_SIGNALS:
        signal.signal(number, _end_early)
    try:
        with surroundings.private_folder() as folder:
            listener = surroundings.listen(options.port)
            port = listener.getsockname()[1]
            surroundings.enter(port=port, iam_enforced=options.iam_enforced, folder=folder)
            _serve(listener, corrected=not options.uncorrected)
    except (surroundings.PortTakenError, corrections.UnsupportedMiniStackError) as fault:
        print(f"local AWS: {fault}", file=sys.stderr)
        return SURROUNDINGS_BROKEN
    return 0


def _end_early(_number: int, _frame: object) -> NoReturn:
    # While MiniStack is being imported: leave, by way of the removal of the private folder.
    raise SystemExit(0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.emulator", description="Run the local AWS in the foreground."
    )
    parser.add_argument(
        "--port", type=_port, required=True, help="port on 127.0.0.1; 0: a free one"
    )
    parser.add_argument(
        "--iam-enforced", action="store_true", help="check signatures and evaluate IAM policies"
    )
    parser.add_argument(
        "--uncorrected", action="store_true", help="MiniStack as it is, to see what it does wrong"
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}, a port is a number from 0 to 65535")
    return port


def _serve(listener: socket.socket, *, corrected: bool) -> None:
    host, port = listener.getsockname()
    if corrected:
        corrections.apply()
    application = importlib.import_module("ministack.app").app
    if corrected:
        application = faults.install(application)
    print(f"local AWS: http://{host}:{port}", flush=True)
    asyncio.run(_run(application, listener))


async def _run(application: Any, listener: socket.socket) -> None:
    hypercorn = importlib.import_module("hypercorn.asyncio")
    config = importlib.import_module("hypercorn.config").Config()
    _send_answers_whole(listener)
    # A socket by its number: hypercorn takes it over and closes it.
    config.bind = [f"fd://{listener.detach()}"]
    # One request for each connection, whose end sends what is left of the answer.
    config.keep_alive_max_requests = 0
    # And none is closed while it waits for its request: the SDK opens some in advance, and one that
    # arrives just then would be carried out without an answer.
    config.keep_alive_timeout = _LONGEST_WAIT_SECONDS
    config.graceful_timeout = _GRACE_SECONDS
    config.loglevel = "WARNING"
    ended = asyncio.Event()
    for number in _ENDING_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await hypercorn.serve(application, config, shutdown_trigger=ended.wait)
    finally:
        await asyncio.to_thread(_end_function_workers)
        # What is left takes milliseconds; a second signal must not cut the cleaning short.
        for number in _ENDING_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def _send_answers_whole(listener: socket.socket) -> None:
    """Keeps the head of an answer back until its body goes with it, in one segment if it fits.

    hypercorn sends them one after the other. The AWS SDK for Go, in Terraform's provider, lets go
    of a request as soon as it has the head of the answer; if it is still busy with sending, as on a
    machine with much to do, its connection is closed, and a body that comes later is lost. The SDK
    then asks again, and a creation finds its own result. What AWS answers takes long enough.

    Connections inherit the option. Linux has it, and keeps a head back for 200 ms at most;
    elsewhere answers come as they are sent.

    Source: https://man7.org/linux/man-pages/man7/tcp.7.html
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def _end_function_workers() -> None:
    # Before the event loop closes: it waits for invocations, and those wait for their workers.
    importlib.import_module("ministack.core.lambda_runtime").reset()
