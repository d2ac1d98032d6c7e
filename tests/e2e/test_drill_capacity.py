"""A secondary whose quota is too small turns a drill under load red; `verify` says so before."""

import json
from contextlib import ExitStack

import pytest
from drills import FEW, drill
from local_api import REGIONS, run_ops

from ops import switch
from ops.drill.load import Load
from ops.drill.probe_location import probe_locations
from ops.lock import LockState, read
from ops.verify import ABOUT_CAPACITY

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("full_speed")]

PRIMARY, SECONDARY = REGIONS
LOAD = 6.0
TRIES = 3
TOO_SMALL = {"api_requests_per_second": 0, "api_burst": 10}


def drill_under_load(environment, notify=print):
    """A drill under a load that this machine can send."""
    for attempt in range(TRIES):
        load = Load(LOAD / 2**attempt, "burst", FEW)
        outcome = drill(environment, "refuse", notify, max_rto_seconds=3600, load=load)
        # A busy machine measures itself.
        if not outcome.load.unmeasured:
            break
    return outcome


def assert_nothing_is_left(environment):
    assert environment.fault_injection.faults() == ()
    assert not switch.status(environment, PRIMARY).evacuated
    assert not environment.journal_file.exists()
    assert read(environment) == LockState()
    for location in probe_locations(environment):
        assert not any(location.observations(region) for region in REGIONS)


@pytest.mark.exhaustive
def test_a_secondary_with_too_small_a_quota_turns_a_drill_under_load_red(api, environment):
    # GIVEN a secondary that takes fewer requests than its customers will send: verify says so
    with api.quota(SECONDARY, **TOO_SMALL):
        done = run_ops("verify", "--folder", str(api.workspace.folder), "--json")
    findings = json.loads(done.stdout)["findings"]
    failed = {each["check"] for each in findings if each["outcome"] == "failed"}
    assert {"quota.parity", "capacity.limits"} <= failed & ABOUT_CAPACITY

    # WHEN it has to carry them
    with ExitStack() as quota:

        def notify(line):
            print(line)
            # Not before: what verify and health checks spend depends on the machine.
            if line.startswith(f"{SECONDARY} serves"):
                quota.enter_context(api.quota(SECONDARY, **TOO_SMALL))
            if line.startswith("Cleared"):
                quota.close()

        outcome = drill_under_load(environment, notify)

    # THEN the finding has what it refused, and of how many
    assert not outcome.passed
    [finding] = outcome.load.findings
    assert f"({SECONDARY}, of " in finding
    assert "throttled (429)" in finding
    assert finding in outcome.findings
    assert_nothing_is_left(environment)


@pytest.mark.soak
def test_a_secondary_with_enough_carries_the_same_load(api, environment):
    outcome = drill_under_load(environment)

    assert (outcome.load.unmeasured, outcome.load.findings) == ([], [])
    parts = outcome.load.parts
    # Those whom the outage kept waiting were served in the end.
    assert sum(each.counts.get("unreachable", 0) for each in parts["during"].regions) > 0
    assert {each.region for each in parts["after"].regions} == {SECONDARY}
    assert_nothing_is_left(environment)
