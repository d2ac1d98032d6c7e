"""The program: the edges of all Regions and their control API, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from ops.edge import certificates
from ops.edge.config import CONTROL_HOST, Config
from ops.edge.control_api import ControlApi
from ops.edge.conversation import converse
from ops.edge.door import Door
from ops.edge.endpoints import write_endpoints
from ops.edge.faults import Faults
from ops.edge.region import RegionEdge
from ops.edge.upstream import Upstream
from ops.errors import ExitCode, OpsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal comes.

    Args:
        arguments: Command line without the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ops.edge",
        description="Run the edges of all local Regions in the foreground.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON: upstream, port, control_port, certificates, endpoints_file, regions",
    )
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(Config.read(options.config)))
    except OpsError as error:
        print(f"edges: {error.args[0]}; next: {error.next_step}", file=sys.stderr)
        return error.exit_code
    return ExitCode.PASSED


async def _run(config: Config) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        edges, control = await open_edges(config, stack)
        shown = ", ".join(f"{name} {edge.url}" for name, edge in edges.items())
        print(f"edges: {shown}, control http://{control.address}:{control.port}", flush=True)
        await ended.wait()


async def open_edges(config: Config, stack: AsyncExitStack) -> tuple[dict[str, RegionEdge], Door]:
    """Opens every Region, writes the endpoints map, then opens the control API.

    Args:
        config: What to open.
        stack: Closes all of it, also when one cannot be opened.

    Returns:
        The Regions and the control API's door.

    Raises:
        OpsError: An address is taken, or a file cannot be written.
    """
    upstream = Upstream(config.upstream_host, config.upstream_port)
    stack.callback(upstream.close)
    faults = Faults()
    edges: dict[str, RegionEdge] = {}
    port = config.port
    try:
        files = certificates.prepare(config.certificates, config.regions)
        for region in config.regions:
            edge = RegionEdge(
                region,
                port=port,
                context=certificates.server_context(files[region.name]),
                upstream=upstream,
                faults=faults,
            )
            edge.door.open()
            stack.push_async_callback(edge.door.close)
            edges[region.name] = edge
            port = edge.door.port
        if config.endpoints_file:
            write_endpoints(config.endpoints_file, config.regions, port=port)
    except OSError as error:
        raise OpsError(
            f"{error.filename} cannot be written: {error.strerror}",
            next_step="make its folder writable, or name another one in the configuration",
        ) from error
    api = ControlApi(edges, faults)
    control = Door(
        CONTROL_HOST,
        config.control_port,
        lambda reader, writer: converse(reader, writer, api.answer),
    )
    control.open()
    stack.push_async_callback(control.close)
    return edges, control
