"""The program: all Region endpoints and the fault-injection API, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ops.errors import ExitCode, OpsError
from sandbox.http_server import serve_connection
from sandbox.listener import HOST, Listener
from sandbox.region_endpoints.certificates import server_contexts
from sandbox.region_endpoints.config import Config, Region
from sandbox.region_endpoints.fault_api import FaultApi
from sandbox.region_endpoints.faults import Faults
from sandbox.region_endpoints.region_endpoint import RegionEndpoint
from sandbox.region_endpoints.upstream import Upstream


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes.

    Args:
        arguments: Command line without the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.region_endpoints",
        description="Run the Region endpoints in the foreground.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON file, as sandbox.region_endpoints.config.Config defines it",
    )
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(Config.read(options.config)))
    except OpsError as error:
        print(f"Region endpoints: {error.args[0]}; next: {error.next_step}", file=sys.stderr)
        return error.exit_code
    return ExitCode.PASSED


async def _run(config: Config) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        endpoints, faults = await open_endpoints(config, stack)
        shown = ", ".join(f"{name} {each.url}" for name, each in endpoints.items())
        print(
            f"Region endpoints: {shown}, faults http://{faults.address}:{faults.port}", flush=True
        )
        await ended.wait()


async def open_endpoints(
    config: Config, stack: AsyncExitStack
) -> tuple[dict[str, RegionEndpoint], Listener]:
    """Open every Region endpoint, write the endpoints map, then open the fault-injection API.

    Args:
        config: What to open.
        stack: Closes all of it, also when one cannot be opened.

    Returns:
        The Region endpoints and the listener of the fault-injection API.

    Raises:
        OpsError: An address is taken, or a file cannot be written.
    """
    upstream = Upstream(config.upstream_host, config.upstream_port)
    faults = Faults()
    endpoints: dict[str, RegionEndpoint] = {}
    port = config.port
    try:
        contexts = server_contexts(config.certificates, config.regions)
        for region in config.regions:
            endpoint = RegionEndpoint(
                region,
                port=port,
                context=contexts[region.name],
                upstream=upstream,
                faults=faults,
            )
            endpoint.listener.open()
            stack.push_async_callback(endpoint.listener.close)
            endpoints[region.name] = endpoint
            port = endpoint.listener.port
        if config.endpoints_file:
            # Replaced in one step: the data plane may be reading it.
            draft = config.endpoints_file.with_name(f".{config.endpoints_file.name}.new")
            draft.write_text(json.dumps(endpoints_map(config.regions, port), indent=2))
            draft.replace(config.endpoints_file)
    except OSError as error:
        raise OpsError(
            f"{error.filename} cannot be written: {error.strerror}",
            next_step="make its folder writable, or name another one in the configuration",
        ) from error
    api = FaultApi(endpoints, faults, upstream)
    await api.start()
    control = Listener(
        HOST,
        config.faults_port,
        lambda reader, writer: serve_connection(reader, writer, api.respond),
    )
    control.open()
    stack.push_async_callback(control.close)
    return endpoints, control


def endpoints_map(regions: Iterable[Region], port: int) -> dict[str, dict[str, Any]]:
    """Map host names to loopback addresses, for the local Route 53 data plane.

    Custom domain names are not in the map: the data plane decides where they resolve to.

    Args:
        regions: The Regions. The pattern of a Region's `execute-api` names is in the map too, so an
            unknown API resolves and gets 403, as on AWS.
        port: Port of every Region.

    Returns:
        `{host name or pattern: {"addresses": [IPv4], "port": port}}`.
    """
    found: dict[str, dict[str, Any]] = {}
    for region in regions:
        entry: dict[str, Any] = {"addresses": [region.address], "port": port}
        found |= dict.fromkeys((region.wildcard, *region.hosts), entry)
    return found
