"""The server: MiniStack under hypercorn, in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ops.errors import ExitCode, OpsError
from sandbox.emulator import (
    authorization,
    capacity,
    capacity_api,
    faults,
    fis,
    patches,
    process_environment,
    replication,
)
from sandbox.emulator.guarded import guarded
from sandbox.emulator.strict import StrictServices
from sandbox.emulator.throttling import ThrottledServices
from sandbox.listener import HOST, listen, port_number
from sandbox.validation import (
    cold_start_seconds,
    lag_seconds,
    region_concurrency,
    region_throttle,
    speed_factor,
)

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
        with process_environment.private_folder() as folder:
            listener = listen(HOST, options.port)
            port = listener.getsockname()[1]
            process_environment.enter(
                port=port,
                iam_enforced=options.iam_enforced,
                folder=folder,
                dns_port=options.dns_port,
            )
            capacity.in_use.configure(
                limits=_limits(options.lambda_concurrency + options.api_throttle),
                cold_start_seconds=options.cold_start,
                speed=options.speed,
            )
            _serve(
                listener,
                iam_enforced=options.iam_enforced,
                patched=not options.unpatched,
                strict=not (options.lenient or options.unpatched),
                throttled=options.throttled,
                lag_seconds=options.replication_lag,
                speed=options.speed,
            )
    except OpsError as error:
        print(f"local AWS: {error.args[0]}; next: {error.next_step}", file=sys.stderr)
        return error.exit_code
    return ExitCode.PASSED


def _end_early(_number: int, _frame: object) -> NoReturn:
    # While MiniStack is being imported: leave, by way of the removal of the private folder.
    raise SystemExit(0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.emulator", description="Run the local AWS in the foreground."
    )
    parser.add_argument(
        "--port", type=port_number, required=True, help="port on 127.0.0.1; 0: a free one"
    )
    parser.add_argument(
        "--iam-enforced", action="store_true", help="check signatures and evaluate IAM policies"
    )
    parser.add_argument(
        "--dns-port",
        type=port_number,
        metavar="PORT",
        help="UDP port on 127.0.0.1 of the DNS that functions ask first (default: none)",
    )
    parser.add_argument(
        "--replication-lag",
        metavar="SECONDS",
        type=lag_seconds,
        default=0.0,
        help="how long a write to a global table takes to another Region on AWS: the median; "
        "1 %% take three times as long (default: 0)",
    )
    parser.add_argument(
        "--speed",
        metavar="F",
        type=speed_factor,
        default=1.0,
        help="how much faster than AWS replication, cold starts and rates are (default: 1)",
    )
    parser.add_argument(
        "--cold-start",
        metavar="SECONDS",
        type=cold_start_seconds,
        default=0.0,
        help="how long a new environment of a function takes to start on AWS (default: 0)",
    )
    parser.add_argument(
        "--lambda-concurrency",
        metavar="REGION=N",
        type=region_concurrency,
        action="append",
        default=[],
        help="how many invocations a Region runs at once (default: 1000)",
    )
    parser.add_argument(
        "--api-throttle",
        metavar="REGION=RATE/BURST",
        type=region_throttle,
        action="append",
        default=[],
        help="requests a second, and at once, that all APIs of a Region take (default: AWS's)",
    )
    checks = parser.add_mutually_exclusive_group()
    checks.add_argument(
        "--lenient",
        action="store_true",
        help="take requests that do not fit AWS's service models, as MiniStack does",
    )
    checks.add_argument(
        "--throttled",
        action="store_true",
        help="refuse calls to API Gateway that are over its quotas, as AWS does",
    )
    checks.add_argument(
        "--unpatched",
        action="store_true",
        help="MiniStack as it is, to see how it differs from AWS",
    )
    return parser.parse_args(arguments)


def _limits(changed: Sequence[tuple[str, dict[str, float]]]) -> dict[str, capacity.Limits]:
    """Quotas of the Regions that the command line names."""
    limits: dict[str, capacity.Limits] = {}
    for region, values in changed:
        before = limits.get(region) or capacity.default_limits(region)
        limits[region] = before.with_values(values)
    return limits


def _serve(
    listener: socket.socket,
    *,
    iam_enforced: bool,
    patched: bool,
    strict: bool,
    throttled: bool,
    lag_seconds: float,
    speed: float,
) -> None:
    host, port = listener.getsockname()
    if patched:
        patches.apply()
        if iam_enforced:
            authorization.install()
    application = importlib.import_module("ministack.app").app
    if strict:
        application = StrictServices(ThrottledServices(application) if throttled else application)
    if patched:
        tables = replication.install(lag_seconds=lag_seconds, speed=speed)
        fis.install(tables, iam_enforced=iam_enforced)
        application = faults.install(application, tables)
        application = capacity_api.CapacityApi(application, capacity.in_use)
    print(f"local AWS: http://{host}:{port}", flush=True)
    asyncio.run(_run(guarded(application), listener))


async def _run(application: Any, listener: socket.socket) -> None:
    hypercorn = importlib.import_module("hypercorn.asyncio")
    config = importlib.import_module("hypercorn.config").Config()
    _send_responses_whole(listener)
    # A socket by its number: hypercorn takes it over and closes it.
    config.bind = [f"fd://{listener.detach()}"]
    # One request for each connection, whose end sends the rest of the response.
    config.keep_alive_max_requests = 0
    # And none is closed while it waits for its request: the SDK opens some in advance, and one that
    # arrives just then would be carried out without a response.
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


def _send_responses_whole(listener: socket.socket) -> None:
    """Send the head of a response together with its body, in one segment if it fits.

    hypercorn sends them one after the other. The AWS SDK for Go, in Terraform's provider, finishes
    a request as soon as it has the head of the response; if it is still busy with sending, as on a
    loaded machine, its connection is closed, and a body that arrives later is lost. The SDK then
    retries, and a creation finds its own result. AWS takes long enough to respond.

    Connections inherit the option. Linux has it, and holds a head back for 200 ms at most;
    elsewhere, responses arrive as they are sent.

    Source: https://man7.org/linux/man-pages/man7/tcp.7.html
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def _end_function_workers() -> None:
    # Before the event loop closes: it waits for invocations, and those wait for their workers.
    importlib.import_module("ministack.core.lambda_runtime").reset()
