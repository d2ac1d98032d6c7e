"""Measures which load two cores carry in the sandbox: `python -m benchmarks.load`.

Without any fault, the load generator of `ops drill --load` sends each rate for some seconds, one
after the other, first to a server that does nothing, then to a sandbox. A rate is carried if at
most 1 % of its requests failed, and at most 1 % began late. Generator, servers and functions share
the machine: what is measured is all of them together. Exit codes: 0 measured; 1 a program failed.
"""

import argparse
import asyncio
import datetime
import json
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import trustme
from aiohttp import web

from benchmarks.document import REPORT, REPOSITORY, paragraph, write_section
from benchmarks.programs import Bench, BenchmarkError, Program, show_progress
from ops.descriptor import read
from ops.drill.events import Events, stopwatch
from ops.drill.load import MOST_PER_SECOND, Load
from ops.drill.load_figures import LATE_SECONDS, MAX_LATE_SHARE, LoadResult, Part
from ops.drill.load_generator import Generator, Place
from ops.drill.probe_location import ProbeLocation, free_location
from ops.drill.resolver import RegionMap, target_addresses
from ops.drill.scenario import scenario_of
from ops.environment import Environment
from ops.errors import OpsError
from ops.http_client import DnsAnswer
from sandbox.workspace import Workspace

RATES = (5, 10, 20, 40, 80, 160, 320)
TIMEOUT_SECONDS = 5.0
WARM_SECONDS = 10.0
"""Processes of functions start, which is not measured."""
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Measured:
    """What became of one rate.

    Attributes:
        per_second: The rate.
        part: Its requests.
        late_share: Share of them that began late.
    """

    per_second: float
    part: Part
    late_share: float

    @property
    def failed_share(self) -> float:
        """Share of its requests that failed."""
        return self.part.failed_attempts / max(1, self.part.attempts)

    @property
    def is_carried(self) -> bool:
        """Whether the rate was kept, and its requests were served."""
        return self.failed_share <= 0.01 and self.late_share <= MAX_LATE_SHARE


def main() -> int:
    """Measure, print the section and write it.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Measures which load the sandbox carries.")
    parser.add_argument(
        "--rates", type=_rate, nargs="+", default=RATES, metavar="N",
        help="requests a second, each measured alone (default: 5 to 320, doubled)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=30.0, metavar="N", help="of each rate (default: 30)"
    )
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        try:
            with _sandbox(Bench(Path(folder))) as environment:
                alone = _alone(environment, options.rates, options.seconds, Path(folder))
                sandbox = _in_sandbox(environment, options.rates, options.seconds)
        except (BenchmarkError, OpsError) as error:
            print(error, file=sys.stderr)
            return 1
    section = _section(alone, sandbox, options.seconds)
    print(section)
    write_section(section, options.report)
    return 0


@contextmanager
def _sandbox(bench: Bench) -> Iterator[Environment]:
    """A sandbox of the repository, at the speed of AWS: no health check is in a hurry."""
    folder = bench.folder / "sandbox"

    def program(command: str) -> Program:
        words = f"python -m sandbox {command} --folder {folder}"
        return Program(
            name=command.split()[0],
            label=f"sandbox {command}",
            command=["sh", "-ec", f"cd {REPOSITORY}\n{words}"],
        )

    try:
        bench.run(program("up --free-ports --speed 1"))
        yield Environment(read(Workspace(folder).descriptor_file), folder=folder)
    finally:
        bench.run(program("down"))


def _alone(
    environment: Environment, rates: Sequence[float], seconds: float, folder: Path
) -> list[Measured]:
    """The generator against a server that does nothing, in a process of its own."""
    host = environment.outputs.record_name
    authority, ca_file = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    certificate = authority.issue_cert(host).private_key_and_cert_chain_pem
    certificate_file = folder / "server.pem"
    certificate.write_to_path(str(certificate_file))
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, certificate_file), daemon=True
    )
    server.start()
    try:
        network = replace(
            environment.network, hosts={}, https_port=int(ours.recv()), ca_file=ca_file
        )
        served = replace(environment, descriptor=replace(environment.descriptor, network=network))
        location = ProbeLocation(served, "drill-00000000")
        place = Place(lambda _: DnsAnswer((LOOPBACK,), 3600))
        return _measured(location, place, RegionMap(dict), rates, seconds)
    finally:
        server.terminate()
        server.join()


def _serve(connection: Connection, certificate_file: Path) -> None:
    """Respond as the API does, at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file)

    async def respond(request: web.BaseRequest) -> web.Response:
        if request.method == "GET":
            return web.json_response({"locations": [{"location": "berlin"}], "next_cursor": None})
        written = {"observed_at": request.path.rpartition("/")[2]}
        return web.json_response(written | json.loads(await request.text()))

    async def serve() -> None:
        listening = await asyncio.get_running_loop().create_server(
            web.Server(respond), LOOPBACK, 0, ssl=context
        )
        connection.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(serve())


def _in_sandbox(environment: Environment, rates: Sequence[float], seconds: float) -> list[Measured]:
    """The generator against a sandbox, from which what was written is deleted."""
    location, is_registered = free_location(environment)
    if not is_registered:
        location.register()
    regions = RegionMap(lambda: target_addresses(environment))
    try:
        return _measured(location, Place(environment.network.resolve), regions, rates, seconds)
    finally:
        for region in environment.regions:
            location.empty(region)


def _measured(
    location: ProbeLocation,
    place: Place,
    regions: RegionMap,
    rates: Sequence[float],
    seconds: float,
) -> list[Measured]:
    """Send every rate; end with the first that is not carried."""
    found = list[Measured]()
    for rate in rates:
        generator = Generator(Load(rate), location, [place], regions, stopwatch(), TIMEOUT_SECONDS)
        generator.start()
        time.sleep(WARM_SECONDS + seconds)
        generator.stop()
        traffic = generator.traffic()
        warm = replace(
            traffic,
            calls=tuple(c for c in traffic.calls if c.due_at >= WARM_SECONDS),
            attempts=tuple(a for a in traffic.attempts if a.sent_at >= WARM_SECONDS),
        )
        nobody_lost = scenario_of("failover", location.environment.regions, ())
        result = LoadResult(Load(rate), warm, Events(), nobody_lost)
        late, count, _ = result.late
        found.append(Measured(rate, result.parts["before"], late / max(1, count)))
        show_progress(_row(found[-1]))
        if not found[-1].is_carried:
            break
    return found


def _section(alone: Sequence[Measured], sandbox: Sequence[Measured], seconds: float) -> str:
    most = {name: _most(found) for name, found in (("alone", alone), ("sandbox", sandbox))}
    share = f", {100 * most['sandbox'] / most['alone']:.3g} % of it" if most["alone"] else ""
    return "\n".join(
        [
            "# Benchmarks of the load",
            "",
            paragraph(
                f"Written by `python -m benchmarks.load` on {datetime.date.today():%Y-%m-%d}, "
                f"{os.cpu_count()} cores, {seconds:g} s of each rate after {WARM_SECONDS:g} s that "
                "do not count. One request of ten is a write. Latency counts from when a request "
                f"was due. Late are those that began over {LATE_SECONDS:g} s later. A rate is "
                "carried if at most 1 % failed and at most 1 % began late; the rows end with the "
                "first that is not. The server of the first table does nothing; in the second, "
                "generator, Regions, functions and tables share the cores."
            ),
            "",
            "## The generator alone",
            "",
            *_table(alone),
            "",
            "## In the sandbox",
            "",
            *_table(sandbox),
            "",
            paragraph(
                f"Largest rate that was carried: {most['alone']:g} a second by the generator "
                f"alone, {most['sandbox']:g} in the sandbox{share}."
            ),
        ]
    )


def _table(found: Sequence[Measured]) -> list[str]:
    return [
        "| requests a second | sent | failed | late | p50, ms | p90 | p99 | max | carried |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        *[_row(each) for each in found],
    ]


def _row(measured: Measured) -> str:
    latency = measured.part.latency
    times = (
        [f"{1000 * each:.0f}" for each in (latency.p50, latency.p90, latency.p99, latency.max)]
        if latency
        else [""] * 4
    )
    cells = [
        f"{measured.per_second:g}",
        str(measured.part.attempts),
        f"{100 * measured.failed_share:.2g} %",
        f"{100 * measured.late_share:.2g} %",
        *times,
        "yes" if measured.is_carried else "**no**",
    ]
    return f"| {' | '.join(cells)} |"


def _most(found: Sequence[Measured]) -> float:
    return max((each.per_second for each in found if each.is_carried), default=0.0)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= MOST_PER_SECOND:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_PER_SECOND:g}, got {text!r}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
