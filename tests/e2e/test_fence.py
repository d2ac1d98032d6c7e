"""Fenced writes in a sandbox that enforces IAM: what a Region that is evacuated acknowledges."""

import json
import time

import pytest
from callers import Callers
from failback_sandbox import await_region, awaited, local_toml
from local_api import REGIONS, Api, run_ops

from ops import fence, switch
from ops.fault_injection import REPLICATION_PAUSED, Fault
from ops.http_client import signed_headers
from sandbox.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

FIRST, SECOND = REGIONS
FENCED = 'regions = ["us-east-1", "us-west-2"]\nfence_writes = true\n'
BODY = {"temperature_celsius": 1.5}
WRITES = 12
SPEED = 5
"""So slow that a busy machine fails no health check: DNS is to move by evacuations alone."""


@pytest.fixture(scope="module")
def fenced(tmp_path_factory):
    """A module's own sandbox."""
    folder = tmp_path_factory.mktemp("environments")
    (folder / "local.toml").write_text(local_toml(FENCED))
    sandbox = Api(
        Workspace(tmp_path_factory.mktemp("sandbox")),
        ("--iam-enforced",),
        {"FAILOVER_ENVIRONMENTS": str(folder)},
    )
    try:
        sandbox.up("--speed", str(SPEED))
        yield sandbox
    finally:
        sandbox.down()


@pytest.fixture
def environment(fenced):
    """The environment, while the primary serves."""
    environment = fenced.local.environment
    fenced.set_speed(SPEED)
    await_region(environment, FIRST)
    yield environment
    # Whatever the test has left.
    switch.restore(environment, FIRST)
    fence.take_down_leftover(environment, FIRST)


class Publisher:
    """Somebody who writes in a Region by its own name, whatever DNS says."""

    def __init__(self, environment, day):
        self.environment, self.day, self.written = environment, day, 0

    def write(self, region):
        """Add an observation that no other has: its path, and the response."""
        path = f"/weather/amsterdam/observations/{self.day}T{self.written // 60:02}:"
        path += f"{self.written % 60:02}:00Z"
        self.written += 1
        return path, self.send("PUT", region, path, BODY)

    def send(self, method, region, path, body=None):
        url = self.environment.region_url(region) + path
        headers, data = signed_headers(
            method, url, region=region, credentials=self.environment.credentials(), body=body
        )
        return self.environment.network.request(
            method, url, headers=headers, body=data, timeout_seconds=30
        )

    def held(self, region):
        """Times of the observations of its day that a Region holds."""
        found = self.environment.network.request(
            "GET",
            f"{self.environment.region_url(region)}/weather/amsterdam/observations"
            f"?from={self.day}T00:00:00Z&to={self.day}T23:59:59Z&limit=100",
            headers={"x-api-key": self.environment.api_key},
            timeout_seconds=30,
        )
        assert found.status == 200, found.body
        return {each["observed_at"] for each in found.json["observations"]}


def acknowledged(publisher, number):
    """Write so often in the primary: what it acknowledges, and what it refuses."""
    taken, refused = [], []
    for _ in range(number):
        path, response = publisher.write(FIRST)
        assert response.status in (201, 503), response.body
        (taken if response.status == 201 else refused).append((path, response))
    return taken, refused


def evacuate(fenced, *options):
    at = ("--folder", str(fenced.workspace.folder))
    done = run_ops("switch", "evacuate", FIRST, "--yes", *options, *at)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def missing(publisher, taken):
    """Of what the primary has acknowledged, what the secondary lacks."""
    held = publisher.held(SECOND)
    return [path for path, _ in taken if path.rpartition("/")[2] not in held]


def test_the_recovery_point_with_and_without_a_fence(fenced, environment):
    """Replication out of the primary has stopped, and it is evacuated."""
    with environment.fault_injection.injected(Fault(FIRST, REPLICATION_PAUSED)):
        # WHEN it is not fenced
        publisher = Publisher(environment, "2000-06-01")
        evacuate(fenced, "--fence", "never")
        await_region(environment, SECOND)
        # THEN all that it acknowledges is missing where customers read
        taken, refused = acknowledged(publisher, WRITES)
        assert (len(taken), refused) == (WRITES, [])
        assert len(missing(publisher, taken)) == WRITES

        # WHEN it is fenced
        at = ("--folder", str(fenced.workspace.folder))
        done = run_ops("switch", "fence", FIRST, "now", "--yes", *at)
        assert "Writes are refused in us-east-1 since" in " ".join(done.stdout.split()), done.stderr
        awaited(lambda: publisher.write(FIRST)[1].status == 503, "writes are accepted")
        # THEN nothing is acknowledged any more that customers do not see: RPO 0 from here on
        taken, refused = acknowledged(publisher, WRITES)
        assert (taken, len(refused)) == ([], WRITES)
        for _, response in refused:
            assert response.headers["retry-after"] == "60"
            assert response.headers["content-type"] == "application/problem+json"
            assert response.region == FIRST
            assert response.json["type"] == "urn:weather:problem:writes-refused"
        # AND a client that goes to the next Region is served
        for path, _ in refused:
            assert publisher.send("PUT", SECOND, path, BODY).status == 201
        assert missing(publisher, refused) == []
        # AND so are all other operations that write refused
        location = {"name": "Amsterdam", "latitude_degrees": 52.4, "longitude_degrees": 4.9}
        assert publisher.send("PUT", FIRST, "/locations/amsterdam", location).status == 503
        assert publisher.send("DELETE", FIRST, refused[0][0]).status == 503
        # AND reads and health checks are not
        assert publisher.held(FIRST)
        health = environment.network.request(
            "GET", environment.region_url(FIRST) + "/health", timeout_seconds=30
        )
        assert health.status == 200
        # AND the operator's tool says so
        status = run_ops("switch", "status", *at)
        assert "Writes are refused in us-east-1 since" in " ".join(status.stdout.split())
        verified = json.loads(run_ops("verify", "--json", *at).stdout)
        found = {f["subject"]: f for f in verified["findings"] if f["check"] == "fence.state"}
        assert {each["outcome"] for each in found.values()} == {"passed"}
        assert "writes are refused" in found[FIRST]["found"]

        # WHEN it is restored
        restored = run_ops("switch", "restore", FIRST, "--yes", *at)
        assert restored.returncode == 0, restored.stderr
        # THEN it accepts writes before DNS has moved back
        awaited(lambda: publisher.write(FIRST)[1].status == 201, "writes are refused")


@pytest.mark.soak
def test_customers_who_follow_dns_do_not_notice_the_fence(fenced, environment):
    """The default: it goes up once DNS has moved, whatever the functions cached before."""
    callers = Callers(environment)
    with callers.call() as seen:
        printed = evacuate(fenced)
        assert "Writes will be refused in us-east-1 from" in printed
        await_region(environment, SECOND)
        awaited(lambda: fence.read(environment, FIRST).is_up, "the fence is not up")
        publisher = Publisher(environment, "2000-06-02")
        awaited(lambda: publisher.write(FIRST)[1].status == 503, "writes are accepted")
        time.sleep(1)
        assert switch.restore(environment, FIRST).fence.is_up is False
        await_region(environment, FIRST)
        time.sleep(2)

    assert len(seen.of("write")) > 5
    assert {request.region for request in seen.of("write")} == set(REGIONS)
    assert seen.failed == []
    assert seen.missing == []


@pytest.mark.soak
def test_a_drill_of_the_switch_passes_where_writes_are_fenced(fenced, environment):
    at = ("--folder", str(fenced.workspace.folder))
    # Other tests may take the processor from it.
    for _ in range(2):
        drilled = run_ops("drill", "--fault", "switch", "--json", *at)
        if drilled.returncode == 0:
            break

    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    report = json.loads(drilled.stdout)
    assert report["writes"]["lost"] == []
    assert fence.read(environment, FIRST).starts_at == ""


@pytest.mark.soak
def test_an_evacuation_that_ends_by_itself_takes_the_fence_down(fenced, environment):
    publisher = Publisher(environment, "2000-06-03")
    evacuate(fenced, "--fence", "now", "--expires-in", "20s")
    awaited(lambda: publisher.write(FIRST)[1].status == 503, "writes are accepted")
    awaited(lambda: publisher.write(FIRST)[1].status == 201, "writes are refused")

    assert not switch.status(environment, FIRST).evacuated


@pytest.mark.soak
def test_a_drill_of_a_partition_shows_what_the_fence_refuses(fenced, environment):
    at = ("--folder", str(fenced.workspace.folder), "--json", "--max-rto-seconds", "3600")

    def drilled(*options):
        # Other tests may take the processor from it.
        for _ in range(2):
            done = run_ops("drill", "--fault", "partition", *options, *at)
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    without, with_fence = drilled(), drilled("--fence", "now")

    # Without it, the Region goes on acknowledging until the fault is cleared
    assert without["fence"] is None
    assert without["consistency"]["after_cut_over"] > 0
    # With it, for a moment only
    found = with_fence["fence"]
    assert (found["regions"], found["acknowledged"]) == ([FIRST], 0)
    assert found["refused"] >= 3
    assert with_fence["writes"]["lost"] == []
    # AND nothing is left of it
    assert not switch.status(environment, FIRST).evacuated
    assert fence.read(environment, FIRST).starts_at == ""
