"""Latency routing in a sandbox: the Regions are evacuated one after the other, and restored."""

import time

import pytest
from local_api import SPEED, run_ops

from ops import switch
from ops.errors import ExitCode
from ops.verify.health_states import health_states

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

REGIONS = NEAR, FAR = "us-east-1", "us-west-2"
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def latency(own_sandbox):
    return own_sandbox(routing_policy="latency")


@pytest.fixture
def environment(latency):
    latency.replace_unless_healthy()
    latency.set_speed(SPEED)
    return latency.local.environment


def answered(environment):
    """The Region that DNS answers to this machine; it always answers one."""
    hosts, targets = environment.network.hosts, environment.outputs.domain_targets
    regions = {hosts[target][0]: region for region, target in targets.items()}
    (address, *_) = environment.network.resolve(environment.outputs.record_name).addresses
    return regions[address]


def until(holds):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def in_service(environment):
    states, ids = health_states(environment), environment.outputs.health_check_ids
    return {region for region in REGIONS if states[ids[region]].healthy}


@pytest.mark.parametrize(("region", "other"), [(NEAR, FAR), (FAR, NEAR)])
def test_each_region_is_evacuated_and_restored(environment, latency, region, other):
    at = ("--folder", str(latency.workspace.folder))
    before = answered(environment)
    until(lambda: in_service(environment) == {*REGIONS})

    try:
        # On a busy machine, the other one may be unhealthy for a moment: this is refused then.
        until(lambda: run_ops("switch", "evacuate", region, *at).returncode == ExitCode.PASSED)
        until(lambda: in_service(environment) == {other})
        until(lambda: answered(environment) == other)
        # The last one is not evacuated by mistake; if it is on purpose, DNS answers all the same.
        refused = run_ops("switch", "evacuate", other, *at)
        assert refused.returncode == ExitCode.CHECK_FAILED, refused.stdout
        forced = run_ops("switch", "evacuate", other, "--force", other, *at)
        assert forced.returncode == 0, forced.stderr
        until(lambda: not in_service(environment))
        until(lambda: answered(environment) == before)
    finally:
        for each in REGIONS:
            switch.restore(environment, each)
    until(lambda: in_service(environment) == {*REGIONS})
    until(lambda: answered(environment) == before)


def test_the_short_forms_name_the_command_to_use(latency):
    at = ("--folder", str(latency.workspace.folder))

    engaged = run_ops("switch", "engage", *at)

    assert engaged.returncode == ExitCode.USAGE
    assert "switch evacuate REGION" in engaged.stderr


def test_verify_finds_everything_in_place(environment, latency):
    at = ("--folder", str(latency.workspace.folder))
    until(lambda: in_service(environment) == {*REGIONS})
    # A new sandbox's functions are cold, and the machine may be busy.
    for _ in range(3):
        verified = run_ops("verify", *at)
        if verified.returncode == 0:
            break

    assert verified.returncode == 0, verified.stdout + verified.stderr
