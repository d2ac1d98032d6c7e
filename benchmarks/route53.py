"""Measures the local Route 53 data plane: `python -m benchmarks.route53`.

Prints DNS answers per second over UDP with one client process, and what one round of health
checks costs for 2 and for 200 checks. Figures hold for the machine they were taken on; nothing
is asserted.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import dns.message

from ops.route53.answers import Answer, Answerer
from ops.route53.endpoints import Endpoint
from ops.route53.model import CHECKER_REGIONS, AliasTarget, HealthCheck, RecordSet, Zone
from ops.route53.probe import Limits, Target, observe
from ops.route53.server import DnsServer

QUERIES = 20_000
IN_FLIGHT = 32
ENDPOINT = "d-1.execute-api.us-east-1.amazonaws.com."


def main() -> None:
    """Run every measurement and print one line for each."""
    for label, name in (
        ("failover alias, one name", "api.example.com"),
        ("weighted, one name", "w.example.com"),
        ("NXDOMAIN, every name asked once", "n{}.example.com"),
    ):
        rate = asyncio.run(_answers_per_second(name))
        print(f"DNS over UDP, one client process, {label}: {rate:,.0f} answers/s")
    for count in (2, 200):
        probes = count * len(CHECKER_REGIONS)
        wall, processor = asyncio.run(_round(count))
        print(
            f"one health round, {count} checks x {len(CHECKER_REGIONS)} Regions = {probes} "
            f"requests: {wall * 1000:,.0f} ms wall, {processor * 1000:,.0f} ms processor "
            f"({processor / probes * 1e6:,.0f} us each, the endpoint's side included)"
        )


async def _answers_per_second(name: str) -> float:
    server = DnsServer(_resolve)
    await server.start("127.0.0.1", 0)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_client, args=(server.port, name, theirs))
    process.start()
    seconds = await asyncio.to_thread(ours.recv)
    await asyncio.to_thread(process.join)
    await server.close()
    return QUERIES / float(seconds)


def _client(port: int, name: str, results: object) -> None:
    """Keep a number of queries in flight until all are answered; `{}` is a running number."""
    one = dns.message.make_query(name, "A", use_edns=0).to_wire()
    wires = [one] * QUERIES
    if "{}" in name:
        wires = [
            dns.message.make_query(name.format(number), "A", use_edns=0).to_wire()
            for number in range(QUERIES)
        ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        for _ in range(IN_FLIGHT):
            client.send(one)
        client.recv(4096)
        started = time.perf_counter()
        for wire in wires:
            client.send(wire)
            client.recv(4096)
        results.send(time.perf_counter() - started)  # type: ignore[attr-defined]


def _resolve(name: str, kind: str, _client: str) -> Answer:
    return _ANSWERER.answer(name, kind, "us-east-1")


async def _round(count: int) -> tuple[float, float]:
    """Let every checker of every check send one request at the same time."""
    checks = [HealthCheck(str(n), "HTTP", domain_name="a.test", port=80) for n in range(count)]
    async with _endpoint() as port:
        target, limits = Target("127.0.0.1", port), Limits()
        wall, processor = time.perf_counter(), time.process_time()
        found = await asyncio.gather(
            *(observe(check, target, limits) for check in checks for _ in CHECKER_REGIONS)
        )
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    failed = [observation.reason for observation in found if not observation.healthy]
    if failed:
        print(f"{len(failed)} requests failed, e.g. {failed[0]}")
    return wall, processor


@contextlib.asynccontextmanager
async def _endpoint() -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=4096)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _zone() -> Zone:
    soa = "ns-1.test. hostmaster.test. 1 7200 900 1209600 86400"
    servers = tuple(f"ns-{n}.awsdns-{n}.test." for n in range(4))
    primary = RecordSet(
        "api.example.com.",
        "A",
        policy="failover",
        failover="PRIMARY",
        alias=AliasTarget(ENDPOINT, "AWS", True),
        health_check_id="hc",
    )
    weighted = RecordSet(
        "w.example.com.", "A", policy="weighted", weight=1, ttl_seconds=60, values=("127.0.0.1",)
    )
    return Zone(
        "Z",
        "example.com.",
        (
            RecordSet("example.com.", "SOA", ttl_seconds=900, values=(soa,)),
            RecordSet("example.com.", "NS", ttl_seconds=172800, values=servers),
            primary,
            replace(primary, failover="SECONDARY"),
            weighted,
            replace(weighted, weight=3, values=("127.0.0.2",)),
        ),
    )


_ANSWERER = Answerer(
    [_zone()], lambda _: True, {ENDPOINT: Endpoint(("127.0.1.1", "127.0.1.2"))}.get
)

if __name__ == "__main__":
    main()
