"""Rules of the whole: what is read is applied, and outlives the API that it was read from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.http_server import Request, RequestError
from sandbox.route53.__main__ import main
from sandbox.route53.answers import Answer
from sandbox.route53.api_client import Configuration
from sandbox.route53.dataplane import DataPlane
from sandbox.route53.endpoints import EndpointsFile
from sandbox.route53.model import AliasTarget, HealthCheck, RecordSet, Zone
from sandbox.route53.status import StatusApi, report

pytestmark = pytest.mark.unit

EAST, WEST = "east.execute-api.test.", "west.execute-api.test."
SOA = "ns-1.test. hostmaster.test. 1 7200 900 1209600 86400"
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")


def _record(target: str, role: str, check: str) -> RecordSet:
    return RecordSet(
        "api.example.com.",
        "A",
        policy="failover",
        alias=AliasTarget(target, "AWS", True),
        set_identifier=role.lower(),
        failover=role,
        health_check_id=check,
    )


ZONE = Zone(
    "Z",
    "example.com.",
    (
        RecordSet("example.com.", "SOA", ttl_seconds=900, values=(SOA,)),
        RecordSet("example.com.", "NS", ttl_seconds=9, values=("ns-1.test.",)),
        _record(EAST, "PRIMARY", "hc-east"),
        _record(WEST, "SECONDARY", "hc-west"),
    ),
)
CHECKS = {
    name: HealthCheck(
        f"hc-{name}",
        "HTTP",
        domain_name=f"{name}.execute-api.test",
        port=80,
        interval_seconds=10,
        failure_threshold=2,
        regions=REGIONS,
    )
    for name in ("east", "west")
}
CONFIGURATION = Configuration((ZONE,), {"hc-east": CHECKS["east"]})
BOTH_CHECKED = Configuration((ZONE,), {check.id: check for check in CHECKS.values()})


class Region:
    """An HTTP endpoint whose status can be changed, on a free loopback port."""

    def __init__(self) -> None:
        self.status = 200
        self.requests = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Region]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                writer.write(f"HTTP/1.1 {self.status} x\r\n\r\n".encode())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


class World:
    """A data plane over a fake API; one endpoint answers, the other refuses connections."""

    def __init__(self, path: Path, speed: float) -> None:
        def read() -> Configuration:
            return self.api()

        self.api: Callable[[], Configuration] = lambda: CONFIGURATION
        self.file = path / "endpoints.json"
        self.east = Region()
        self.plane = DataPlane(read=read, endpoints=EndpointsFile(self.file), speed=speed)

    def write_endpoints(self) -> None:
        hosts = {
            EAST: {"addresses": ["127.0.0.1"], "port": self.east.port},
            WEST: {"addresses": ["127.0.0.2"], "port": 1},
        }
        self.file.write_text(json.dumps(hosts))

    def ask(self) -> Answer:
        return self.plane.resolve("api.example.com", "A")

    async def until(self, healthy: str) -> None:
        """Wait until the API's name is answered by the given Region."""
        address = {"east": "127.0.0.1", "west": "127.0.0.2"}[healthy]
        await self.holds(lambda: self.ask().records[0].values == (address,))

    async def holds(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, report(self.plane)
            await asyncio.sleep(0.01)


def run(tmp_path: Path, body: Callable[[World], Coroutine[Any, Any, None]], speed: float) -> None:
    """Run a test body beside a data plane that refreshes quickly."""

    async def scenario() -> None:
        world = World(tmp_path, speed)
        async with world.east.serving():
            world.write_endpoints()
            await world.plane.refresh()
            refreshing = asyncio.create_task(world.plane.run(0.02))
            try:
                await body(world)
            finally:
                refreshing.cancel()
                await asyncio.gather(refreshing, return_exceptions=True)

    asyncio.run(scenario())


def _health(plane: DataPlane) -> dict[str, bool]:
    return {check["id"]: check["healthy"] for check in report(plane)["health_checks"]}


def test_answers_follow_the_health_of_the_primary_there_and_back(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        # GIVEN a healthy primary and a secondary that nothing checks
        await world.until("east")
        # WHEN the primary fails, THEN the secondary answers
        world.east.status = 503
        await world.until("west")
        # WHEN it recovers, THEN it answers again
        world.east.status = 200
        await world.until("east")
        # AND both changes of health and of the answer are on record, with reasons
        events = [(e.kind, e.subject, e.before, e.after) for e in world.plane.events]
        health = ("health_check", "hc-east")
        answer = ("answer", "api.example.com. A")
        assert events.index((*health, "healthy", "unhealthy")) < events.index(
            (*health, "unhealthy", "healthy")
        )
        assert (*answer, "primary", "secondary") in events
        assert (*answer, "secondary", "primary") in events
        checker = report(world.plane)["health_checks"][0]["checkers"][0]
        assert checker["reason"] == "HTTP status 200"

    run(tmp_path, body, speed=200)


def test_when_everything_is_unhealthy_the_primary_answers(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        # GIVEN a secondary that refuses connections, and then a primary that fails as well
        world.api = lambda: BOTH_CHECKED
        world.east.status = 500
        await world.holds(lambda: len(_health(world.plane)) == 2)
        await world.holds(lambda: not any(_health(world.plane).values()))
        assert world.ask().records[0].values == ("127.0.0.1",)

    run(tmp_path, body, speed=200)


def test_an_api_that_fails_changes_nothing(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        def broken() -> Configuration:
            raise ConnectionError("control plane down")

        world.api = broken
        await world.holds(lambda: "control plane down" in (world.plane.api_error or ""))
        # WHEN the primary fails while the API is down, THEN failover happens all the same
        world.east.status = 503
        await world.until("west")
        found = report(world.plane)
        assert ("control plane down" in found["api"]["error"], found["ready"]) == (True, True)

    run(tmp_path, body, speed=200)


def test_changes_in_the_api_are_applied_without_a_restart(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        # WHEN the check of the primary is inverted, as an operator would to move the traffic
        inverted = replace(CHECKS["east"], inverted=True)
        world.api = lambda: replace(CONFIGURATION, checks={inverted.id: inverted})
        await world.until("west")
        assert world.plane.statuses["hc-east"].reason.startswith("inverted")
        # WHEN the zone is deleted, THEN it is refused
        world.api = lambda: Configuration(missing=("example.com.",))
        await world.holds(lambda: world.ask().code == "REFUSED")
        assert not report(world.plane)["ready"]

    # Slow enough that no health check decides it.
    run(tmp_path, body, speed=1)


def test_a_disabled_check_sends_nothing(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        disabled = replace(CHECKS["east"], disabled=True)
        world.api = lambda: replace(CONFIGURATION, checks={disabled.id: disabled})
        await world.holds(lambda: not world.plane.fleet.votes())
        await asyncio.sleep(0.1)
        before = world.east.requests
        await asyncio.sleep(0.2)
        assert world.east.requests == before
        assert _health(world.plane) == {"hc-east": True}

    run(tmp_path, body, speed=200)


def test_a_checker_waits_for_the_interval_after_each_response(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        # GIVEN three checkers that pause for 10 s at 100 times the speed
        before, started = world.east.requests, time.monotonic()
        await asyncio.sleep(0.55)
        rounds = (time.monotonic() - started) / 0.1
        assert 3 <= world.east.requests - before <= 3 * (rounds + 1)

    run(tmp_path, body, speed=100)


def test_checkers_keep_their_beliefs_when_settings_change(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.east.status = 503
        await world.until("west")
        other = replace(CHECKS["east"], path="/other")
        world.api = lambda: replace(CONFIGURATION, checks={other.id: other})
        await asyncio.sleep(0.1)
        assert _health(world.plane) == {"hc-east": False}

    run(tmp_path, body, speed=200)


def test_an_alarm_keeps_its_last_known_status(tmp_path: Path) -> None:
    alarm = ("us-east-1", "errors")
    check = HealthCheck("hc-alarm", "CLOUDWATCH_METRIC", alarm=alarm)
    plane = DataPlane(read=Configuration, endpoints=EndpointsFile(tmp_path / "none"))
    found = []
    for state in ("INSUFFICIENT_DATA", "ALARM", "INSUFFICIENT_DATA", "OK", "INSUFFICIENT_DATA"):
        plane.configuration = Configuration(checks={check.id: check}, alarms={alarm: state})
        plane.evaluate()
        found.append(plane.statuses[check.id].healthy)
    assert found == [True, False, False, True, True]


def test_ttls_in_answers_shrink_with_the_speed(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert world.ask().records[0].ttl_seconds == 3

    run(tmp_path, body, speed=20)


# --- the status page -------------------------------------------------------------------------


async def _call(plane: DataPlane, method: str, path: str, body: object = None) -> tuple[int, Any]:
    headers = ((b"Content-Type", b"application/json"),)
    request = Request(method.encode(), path.encode(), headers, json.dumps(body).encode())
    try:
        response = await StatusApi(plane).respond(request)
    except RequestError as error:
        return error.status, str(error)
    return response.status, json.loads(response.body)


def test_the_status_reports_every_check_and_record(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.east.status = 503
        await world.until("west")

        status, page = await _call(world.plane, "GET", "/status")

        assert (status, page["speed"]) == (200, 200)
        check = next(check for check in page["health_checks"] if check["id"] == "hc-east")
        assert (check["status"], len(check["checkers"])) == ("unhealthy", 3)
        assert check["target"] == f"127.0.0.1:{world.east.port}"
        assert page["records"] == [
            {"name": "api.example.com.", "type": "A", "in_service": ["secondary"]}
        ]
        event = next(event for event in page["events"] if event["kind"] == "answer")
        assert (event["before"], event["after"]) == ("primary", "secondary")
        assert page["started_at"] <= event["at"] <= page["now"]
        found = [(await _call(world.plane, "GET", path))[0] for path in ("/ready", "/other")]
        assert found == [200, 404]

    run(tmp_path, body, speed=200)


def test_ready_is_503_until_every_zone_has_been_read(tmp_path: Path) -> None:
    plane = DataPlane(read=Configuration, endpoints=EndpointsFile(tmp_path / "none"))

    assert asyncio.run(_call(plane, "GET", "/ready")) == (503, {"ready": False})


def test_the_speed_changes_while_health_checks_run(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        # GIVEN checkers that sleep for most of 10 seconds
        world.east.status = 503
        assert world.ask().records[0].ttl_seconds == 60

        changed = await _call(world.plane, "PUT", "/speed", {"speed": 200})

        # THEN they check at once, and answers are short-lived, too
        assert changed == (200, {"speed": 200.0})
        await world.until("west")
        assert world.ask().records[0].ttl_seconds == 1
        assert (await _call(world.plane, "GET", "/status"))[1]["speed"] == 200
        # AND at the old speed they keep what they believe
        await _call(world.plane, "PUT", "/speed", {"speed": 1})
        assert _health(world.plane) == {"hc-east": False}
        assert world.ask().records[0].ttl_seconds == 60

    run(tmp_path, body, speed=1)


@pytest.mark.parametrize(
    "body", [None, 5, [], {}, {"speed": 0.5}, {"speed": "10"}, {"speed": True}, {"speed": 1e9},
             {"speed": float("nan")}, {"speed": 2, "more": 1}],
)  # fmt: skip
def test_an_invalid_speed_is_refused_and_changes_nothing(tmp_path: Path, body: object) -> None:
    plane = DataPlane(read=Configuration, endpoints=EndpointsFile(tmp_path / "none"), speed=10)

    status, message = asyncio.run(_call(plane, "PUT", "/speed", body))

    assert status == 400
    assert message.startswith('expected {"speed": F} with F 1 or more, got ')
    assert plane.speed == 10


# --- the command line ------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--dns-port", "--status-port"])
def test_a_taken_port_is_one_line_and_exit_3(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"--dns-port": "--status-port", "--status-port": "--dns-port"}[option]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(
            [
                *("--endpoint-url", "http://127.0.0.1:9", "--zone-name", "example.com"),
                *("--endpoints", str(tmp_path / "none"), option, str(port), other, "0"),
            ]
        )
    error = capsys.readouterr().err
    assert code == 3
    assert len(error.splitlines()) == 1
    assert f"127.0.0.1:{port} cannot be used: Address already in use; next: end the" in error


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--speed", "0.5"], "give a factor of 1, as fast as AWS, or more"),
        (["--speed", "x"], "got 'x'; give a factor of 1"),
        (["--dns-port", "70000"], "expected a port from 0 to 65535"),
        ([], "the following arguments are required: --dns-port"),
    ],
)
def test_a_wrong_command_line_is_explained_and_exits_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--endpoint-url", "http://127.0.0.1:9", "--zone-name", "a.test", "--endpoints", "x"]
    with pytest.raises(SystemExit) as ended:
        main([*needed, *arguments])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_client_at_the_address_of_a_region_is_answered_as_one_next_to_it(tmp_path: Path) -> None:
    hosts = {region: f"d-1.execute-api.{region}.amazonaws.com" for region in REGIONS}
    addresses = {region: f"127.0.1.{place}" for place, region in enumerate(REGIONS, 1)}
    file = tmp_path / "endpoints.json"
    file.write_text(
        json.dumps({hosts[region]: {"addresses": [addresses[region]]} for region in REGIONS})
    )
    records = [
        RecordSet(
            "api.example.com.",
            "A",
            policy="latency",
            alias=AliasTarget(f"{hosts[region]}.", "AWS", True),
            set_identifier=region,
            region=region,
        )
        for region in REGIONS
    ]
    zone = replace(ZONE, records=(*ZONE.records[:2], *records))
    plane = DataPlane(read=lambda: Configuration((zone,), {}), endpoints=EndpointsFile(file))
    asyncio.run(plane.refresh())

    for region in REGIONS:
        answer = plane.resolve("api.example.com", "A", addresses[region])
        assert [each.values for each in answer.records] == [(addresses[region],)]
    here = plane.resolve("api.example.com", "A")
    assert here == plane.resolve("api.example.com", "A", "127.0.0.1")
    assert [each.values for each in here.records] == [(addresses["us-east-1"],)]
