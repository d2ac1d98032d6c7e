"""Manual failback in a sandbox that enforces IAM: a lost primary stays out until it is restored."""

import json
import time
from dataclasses import replace

import pytest
from callers import Callers
from cdktf import App
from failback_sandbox import (
    AUTOMATIC,
    FIRST,
    MANUAL,
    SECOND,
    await_mark,
    await_region,
    awaited,
    local_toml,
    region_of_dns,
)
from local_api import REGIONS, Api, run_ops

import weather_api.stack
from constructs_lib.settings import load
from ops import fence, switch
from ops.fault_injection import Fault
from ops.fence import When
from ops.http_client import signed_headers
from ops.verify.health_states import health_states
from sandbox.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

FENCED = "fence_writes = true\n"
"""A Region that failed over also refuses writes, for whoever calls it by its own name."""
OBSERVATION = "/weather/amsterdam/observations/2000-06-01T00:00:00Z"
SPEED = 5
"""So slow that a busy machine, or Terraform on it, fails no health check: DNS is to stay."""


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    (folder / "local.toml").write_text(local_toml(MANUAL + FENCED))
    return folder


@pytest.fixture(scope="module")
def manual(tmp_path_factory, environments):
    """A module's own sandbox."""
    sandbox = Api(
        Workspace(tmp_path_factory.mktemp("sandbox")),
        ("--iam-enforced",),
        {"FAILOVER_ENVIRONMENTS": str(environments)},
    )
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.down()


@pytest.fixture
def environment(manual):
    """The environment, once the primary has served for long."""
    manual.replace_unless_healthy()
    manual.set_speed(SPEED)
    environment = manual.local.environment
    await_mark(environment)
    yield environment
    # Whatever the test has left.
    switch.restore(environment, FIRST)


def serving(environment):
    """What the serving name says: the place of a Region, 0 for none."""
    (address,) = environment.network.resolve(environment.outputs.failback.names[0]).addresses
    return int(address.rpartition(".")[2])


def await_latch(environment):
    """Wait until the primary is evacuated, and the health check that asks the secondary knows."""
    awaited(lambda: switch.status(environment, FIRST).evacuated, "it is not latched")
    id = environment.outputs.evacuation.health_check_ids[FIRST][SECOND]
    awaited(lambda: health_states(environment)[id].healthy is False, "Route 53 does not see it")


def stays(environment, region, intervals=6):
    """Whether DNS answers a Region for some intervals of health checks on end."""
    end = time.monotonic() + intervals * 10 / SPEED
    while time.monotonic() < end:
        if region_of_dns(environment) != region:
            return False
        time.sleep(0.05)
    return True


def writes(environment, region):
    """The status of a write in a Region by its own name."""
    url = environment.region_url(region) + OBSERVATION
    headers, body = signed_headers(
        "PUT", url, region=region, credentials=environment.credentials(),
        body={"temperature_celsius": 1.5},
    )  # fmt: skip
    return environment.network.request(
        "PUT", url, headers=headers, body=body, timeout_seconds=30
    ).status


def test_a_lost_primary_stays_out_until_it_is_restored(manual, environment):
    at = ("--folder", str(manual.workspace.folder))
    callers = Callers(environment)
    await_region(environment, FIRST)
    assert serving(environment) == 1
    # WHEN the primary is lost, and comes back
    with environment.fault_injection.injected(Fault(FIRST, "refuse")):
        await_region(environment, SECOND)
        await_latch(environment)
    # THEN it refuses writes: replication has brought the item that evacuates it
    awaited(lambda: writes(environment, FIRST) == 503, "it accepts writes")
    assert writes(environment, SECOND) in (200, 201)
    # UNTIL an operator says otherwise, which leaves it out of service
    assert fence.change(environment, FIRST, When.NEVER).is_up is False
    awaited(lambda: writes(environment, FIRST) in (200, 201), "it refuses writes")
    with callers.call() as seen:
        # AND customers stay in the secondary
        assert stays(environment, SECOND)
        assert serving(environment) == 2
        status = run_ops("switch", "status", *at)
        assert f"{FIRST} of local is evacuated since" in status.stdout
        assert "failed over; failback is manual" in status.stdout
        assert f"python -m ops switch restore {FIRST}" in status.stdout
        # UNTIL an operator restores it
        restored = run_ops("switch", "restore", FIRST, "--yes", *at)
        assert restored.returncode == 0, restored.stdout + restored.stderr
        await_region(environment, FIRST)
        # AND it is not latched again
        assert stays(environment, FIRST)
    assert not switch.status(environment, FIRST).evacuated
    # AND the way back costs nobody anything
    assert len(seen.of("read")) > 5
    assert {request.region for request in seen.requests} <= set(REGIONS)
    assert seen.failed == []
    assert seen.missing == []


def test_a_drill_restores_what_it_made_fail_over(manual, environment):
    at = ("--folder", str(manual.workspace.folder))
    # Other tests may take the processor from it.
    for _ in range(2):
        drilled = run_ops("drill", "--fault", "refuse", "--json", *at)
        if drilled.returncode == 0:
            break
        await_mark(environment)

    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    report = json.loads(drilled.stdout)
    assert any(
        done.startswith(f"restored {FIRST}, which failed over") for done in report["restored"]
    )
    assert report["writes"]["lost"] == []
    assert not switch.status(environment, FIRST).evacuated


def test_an_operators_evacuation_ends_without_a_latch(environment):
    await_region(environment, FIRST)
    switch.evacuate(environment, FIRST, reason="a test", writer="switch-1")
    await_region(environment, SECOND)
    assert switch.status(environment, FIRST).writer == "switch-1"
    assert switch.restore(environment, FIRST).changed
    await_region(environment, FIRST)

    assert stays(environment, FIRST)


def apply(manual, file, top):
    """Deploy another file, as Terraform does: `up` waits until no Region is evacuated."""
    file.write_text(local_toml(top + FENCED))
    app = App(outdir=str(manual.workspace.synthesized / "cdktf.out"))
    weather_api.stack.build_stack(app, load(file))
    app.synth()
    applied = manual.terraform("apply", "-auto-approve", "-input=false", "-no-color")
    assert applied.returncode == 0, applied.stdout[-3000:] + applied.stderr


@pytest.mark.soak
def test_the_setting_changes_while_the_environment_serves(manual, environments, environment):
    file, callers = environments / "local.toml", Callers(environment)
    without = replace(environment.outputs, failback=None)
    automatic = replace(environment, descriptor=replace(environment.descriptor, outputs=without))
    # GIVEN a Region that has failed over
    with environment.fault_injection.injected(Fault(FIRST, "refuse")):
        await_region(environment, SECOND)
        await_latch(environment)
    try:
        # WHEN failback becomes automatic
        with callers.call() as seen:
            apply(manual, file, AUTOMATIC)
        # THEN it still waits for an operator
        assert not environment.network.resolve(environment.outputs.failback.names[0]).addresses
        assert switch.status(automatic, FIRST).evacuated
        assert stays(automatic, SECOND)
        assert seen.failed == seen.missing == []
        assert switch.restore(automatic, FIRST).changed
        await_region(automatic, FIRST)
    finally:
        # AND WHEN it becomes manual again
        with callers.call() as seen:
            apply(manual, file, MANUAL)
    # THEN nobody is latched
    assert stays(environment, FIRST)
    assert not switch.status(environment, FIRST).evacuated
    assert seen.failed == seen.missing == []
    await_mark(environment)
    # AND nothing is left to change
    assert manual.terraform("plan", "-input=false", "-detailed-exitcode").returncode == 0
