"""Serves the live page in the foreground: `python -m sandbox.page --help`."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ops.descriptor import descriptor_file
from ops.errors import ExitCode, OpsError
from ops.folders import DEFAULT_FOLDER
from sandbox.listener import HOST, port_number
from sandbox.page.server import PageServer
from sandbox.page.watch import Watch
from sandbox.workspace import ENVIRONMENT, Ports


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then clear the faults that the page has injected.

    Args:
        arguments: Command line without the program's name; the process's own by default.

    Returns:
        0 after a clean end, 3 when the port is taken.
    """
    options = _parse(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch = Watch(options.descriptor.resolve())
    try:
        server = PageServer(watch, options.port)
    except OSError as error:
        print(f"live page: port {options.port} on {HOST}: {error.strerror}", file=sys.stderr)
        return ExitCode.PREREQUISITE
    with server:
        watch.start()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"live page: http://{HOST}:{server.port}/", flush=True)
        ended.wait()
        server.shutdown()
    # Without the page there is no button to clear them.
    with suppress(OpsError):
        watch.clear()
    return ExitCode.PASSED


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.page",
        description="A page that shows the API failing over, with buttons to inject faults.",
    )
    parser.add_argument(
        "--descriptor",
        type=Path,
        default=descriptor_file(DEFAULT_FOLDER, ENVIRONMENT),
        metavar="FILE",
        help="environment descriptor of the sandbox (default: that of .local in the repository)",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        default=Ports().page,
        metavar="N",
        help="port on 127.0.0.1, 0 picks one (default: %(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
