"""Serves the live page in the foreground: `python -m ops.page --help`."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ops.errors import ExitCode, OpsError
from ops.page.server import HOST, PageServer
from ops.page.watch import Watch
from ops.stand import DEFAULT_FOLDER, Ports, Workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then mends what the page has broken.

    Args:
        arguments: Command line without the program's name; the process's own by default.

    Returns:
        0 after a clean end, 3 when the port is taken.
    """
    options = _parse(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch = Watch(Workspace(options.folder.resolve()))
    try:
        server = PageServer(watch, options.port)
    except OSError as error:
        print(f"live page: port {options.port} on {HOST}: {error.strerror}", file=sys.stderr)
        return ExitCode.SURROUNDINGS
    with server:
        watch.start()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"live page: http://{HOST}:{server.port}/", flush=True)
        ended.wait()
        server.shutdown()
    # Nobody who cannot press the button any more shall be left with a broken Region.
    with suppress(OpsError):
        watch.mend()
    return ExitCode.PASSED


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.page",
        description="A page that shows the local API failing over, with buttons to break it.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where the local API is kept (default: .local in the repository)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=Ports().page,
        metavar="N",
        help="port on 127.0.0.1, 0 picks one (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is 0-65535, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
