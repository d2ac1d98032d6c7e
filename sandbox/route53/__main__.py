"""Runs the data plane in the foreground: `python -m sandbox.route53 --help`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ops.errors import ExitCode, OpsError
from sandbox.http_server import serve_connection
from sandbox.listener import HOST, Listener, port_number
from sandbox.route53 import metrics
from sandbox.route53.api_client import read_configuration
from sandbox.route53.dataplane import DataPlane
from sandbox.route53.endpoints import EndpointsFile
from sandbox.route53.server import DnsServer
from sandbox.route53.status import StatusApi
from sandbox.validation import speed_factor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Args:
        arguments: The command line; by default the process's own.

    Returns:
        0 after a clean end, 3 when a port is taken. A wrong command line exits with 2.
    """
    options = _parse(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("sandbox.route53").setLevel(logging.INFO)
    try:
        asyncio.run(_run(options))
    except OpsError as error:
        print(f"route53 data plane: {error.args[0]}; next: {error.next_step}", file=sys.stderr)
        return error.exit_code
    return ExitCode.PASSED


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = _clients(options.endpoint_url)
    route53, cloudwatch = client("route53", "us-east-1"), client("cloudwatch", metrics.REGION)
    plane = DataPlane(
        read=lambda: read_configuration(
            route53, options.zone_name, lambda region: client("cloudwatch", region)
        ),
        endpoints=EndpointsFile(options.endpoints),
        speed=options.speed,
        checkers=options.checkers,
    )
    api = StatusApi(plane)
    dns = DnsServer(plane.resolve)
    status = Listener(
        HOST,
        options.status_port,
        lambda reader, writer: serve_connection(reader, writer, api.respond),
    )
    try:
        await dns.start(HOST, options.dns_port)
        status.open()
        print(
            f"route53 data plane: dns {HOST}:{dns.port}, "
            f"status http://{HOST}:{status.port}/status, "
            f"zones {' '.join(options.zone_name)}, speed {options.speed:g}",
            flush=True,
        )
        refreshing = asyncio.create_task(plane.run())
        publishing = asyncio.create_task(
            metrics.publish_forever(
                lambda data: cloudwatch.put_metric_data(
                    Namespace=metrics.NAMESPACE, MetricData=data
                ),
                lambda: {check: status.healthy for check, status in plane.statuses.items()},
                period_seconds=lambda: metrics.PERIOD_SECONDS / plane.speed,
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((refreshing, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (publishing, refreshing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    finally:
        await dns.close()
        await status.close()


def _clients(endpoint_url: str) -> Callable[[str, str], Any]:
    """Make the function that gives a client of a service in a Region, at one API endpoint."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})

    @cache
    def client(service: str, region: str) -> Any:
        return session.client(service, region, endpoint_url=endpoint_url, config=config)

    return client


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.route53",
        description="A local Route 53 data plane: health checkers and DNS answers on loopback.",
    )
    add = parser.add_argument
    add(
        "--endpoint-url",
        required=True,
        metavar="URL",
        help="the API to read zones and health checks from",
    )
    add(
        "--zone-name",
        action="append",
        required=True,
        metavar="NAME",
        help="a hosted zone to serve, e.g. example.com; repeatable",
    )
    add(
        "--endpoints",
        type=Path,
        required=True,
        metavar="FILE",
        help='JSON file: {"host name or *.suffix": {"addresses": [], "aaaa": [], "port": 8443}}',
    )
    for name, what in (("dns", "DNS over UDP and TCP"), ("status", "the JSON status over HTTP")):
        add(
            f"--{name}-port",
            type=port_number,
            required=True,
            metavar="N",
            help=f"port of {what}, 0 picks one",
        )
    add(
        "--checkers",
        type=int,
        choices=range(1, 9),
        metavar="N",
        help="at most N checker Regions per health check, 1 to 8 (default: all that it names)",
    )
    add(
        "--speed",
        type=speed_factor,
        default=1.0,
        metavar="F",
        help="divide intervals, limits and TTLs by this, 1 or more (default: %(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
