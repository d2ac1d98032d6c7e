"""Runs the data plane in the foreground: `python -m ops.route53 --help`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ops.route53 import metrics
from ops.route53.dataplane import ClientNetwork, DataPlane
from ops.route53.endpoints import EndpointsFile
from ops.route53.reader import Configuration, accept_python_booleans, read_configuration
from ops.route53.report import report
from ops.route53.server import DnsServer, PortTakenError
from ops.route53.status import StatusServer

HOST = "127.0.0.1"
EXIT_SURROUNDINGS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Args:
        arguments: The command line; by default the process's own.

    Returns:
        0 after a clean end, 3 when a port is taken. A wrong command line exits with 2.
    """
    options = _parse(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("ops.route53").setLevel(logging.INFO)
    try:
        asyncio.run(_run(options))
    except PortTakenError as error:
        print(f"route53 data plane: {error}", file=sys.stderr)
        return EXIT_SURROUNDINGS
    return 0


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    plane = DataPlane(
        read=_reading(options.endpoint_url, options.zone_name),
        endpoints=EndpointsFile(options.endpoints),
        speed=options.speed,
        checkers=options.checkers,
        client_region=options.client_region,
        clients=options.client,
    )
    dns, status = DnsServer(plane.resolve), StatusServer(lambda: report(plane))
    try:
        await dns.start(HOST, options.dns_port)
        await status.start(HOST, options.status_port)
        print(
            f"route53 data plane: dns {HOST}:{dns.port}, "
            f"status http://{HOST}:{status.port}/status, "
            f"zones {' '.join(options.zone_name)}, speed {options.speed:g}",
            flush=True,
        )
        refreshing = asyncio.create_task(plane.run(options.refresh_seconds))
        publishing = asyncio.create_task(
            metrics.publish_forever(
                _publishing(options.endpoint_url),
                lambda: {check: status.healthy for check, status in plane.statuses.items()},
                period_seconds=metrics.PERIOD_SECONDS / options.speed,
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
    session = boto3.Session(
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        aws_session_token=os.environ.get("AWS_SESSION_TOKEN"),
    )
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})

    @cache
    def client(service: str, region: str) -> Any:
        return session.client(service, region, endpoint_url=endpoint_url, config=config)

    return client


def _publishing(endpoint_url: str) -> Callable[[list[dict[str, Any]]], None]:
    """Make the function that sends metrics to one API endpoint."""
    cloudwatch = _clients(endpoint_url)("cloudwatch", metrics.REGION)
    return lambda data: cloudwatch.put_metric_data(Namespace=metrics.NAMESPACE, MetricData=data)


def _reading(endpoint_url: str, zone_names: Sequence[str]) -> Callable[[], Configuration]:
    """Make the function that reads the configuration from one API endpoint."""
    client = _clients(endpoint_url)
    route53 = client("route53", "us-east-1")
    accept_python_booleans(route53)
    return lambda: read_configuration(
        route53, zone_names, lambda region: client("cloudwatch", region)
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.route53",
        description="A local Route 53 data plane: health checkers and DNS answers on loopback.",
    )
    add = parser.add_argument
    add(
        "--endpoint-url",
        default=os.environ.get("AWS_ENDPOINT_URL"),
        metavar="URL",
        help="the API to read zones and health checks from (default: $AWS_ENDPOINT_URL)",
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
    add(
        "--dns-port",
        type=_port,
        default=10053,
        metavar="N",
        help="UDP and TCP port for DNS, 0 picks one (default: %(default)s)",
    )
    add(
        "--status-port",
        type=_port,
        default=10054,
        metavar="N",
        help="port of the JSON status over HTTP, 0 picks one (default: %(default)s)",
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
        type=_speed,
        default=1.0,
        metavar="F",
        help="divide intervals, limits and TTLs by this, 1 or more (default: %(default)s)",
    )
    add(
        "--client-region",
        default="us-east-1",
        metavar="REGION",
        help="the Region clients are near to, for latency records (default: %(default)s)",
    )
    add(
        "--client",
        type=_client,
        action="append",
        default=[],
        metavar="CIDR=REGION",
        help="clients of one network are near to this Region instead; repeatable",
    )
    add(
        "--refresh-seconds",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="real time between two readings of the API (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if not options.endpoint_url:
        parser.error("no API to read: give --endpoint-url or set AWS_ENDPOINT_URL")
    return options


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is 0-65535, got {text!r}")
    return int(text)


def _speed(text: str) -> float:
    speed = _seconds(text)
    if speed < 1:
        raise argparse.ArgumentTypeError(f"a speed is 1 or more, got {text!r}")
    return speed


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds < 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return seconds


def _client(text: str) -> ClientNetwork:
    network, _, region = text.partition("=")
    expected = f"expected CIDR=REGION, e.g. 127.0.2.0/24=eu-west-1, got {text!r}"
    if not region:
        raise argparse.ArgumentTypeError(expected)
    try:
        return ip_network(network), region
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{expected}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
