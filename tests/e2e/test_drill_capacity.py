"""A secondary whose quota is too small turns a drill under load red; `verify` says so before."""

import json

import pytest
from local_api import REGIONS, run_ops

from ops import switch
from ops.drill.probe_location import probe_locations
from ops.lock import LockState, read

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("full_speed")]

PRIMARY, SECONDARY = REGIONS
LOAD = 6.0
TRIES = 3
TOO_SMALL = {"api_requests_per_second": 1, "api_burst": 20}
"""Enough for health checks and `verify`, not for customers; the rate is scaled, as checks are."""
SAY_SO = {"quota.parity", "capacity.limits"}
HEADROOM = {"capacity.headroom"}
"""Fails if the tests before have called the primary often enough."""


def failed_checks(api):
    done = run_ops("verify", "--folder", str(api.workspace.folder), "--json")
    return {f["check"] for f in json.loads(done.stdout)["findings"] if f["outcome"] == "failed"}


def drill(api, folder):
    """A drill under a load that this machine can send: its exit code, and what it found."""
    for attempt in range(TRIES):
        done = run_ops(
            "drill", "--folder", str(api.workspace.folder), "--fault", "refuse", "--json",
            "--report-folder", str(folder), "--max-rto-seconds", "3600",
            "--load", str(LOAD / 2**attempt), "--profile", "burst",
        )  # fmt: skip
        found = json.loads(done.stdout)
        # A busy machine measures itself.
        if not found["load"]["unmeasured"]:
            break
    return done.returncode, found


def assert_nothing_is_left(environment):
    assert environment.fault_injection.faults() == ()
    assert not switch.status(environment, PRIMARY).evacuated
    assert not environment.journal_file.exists()
    assert read(environment) == LockState()
    for location in probe_locations(environment):
        assert not any(location.observations(region) for region in REGIONS)


@pytest.mark.exhaustive
def test_a_secondary_with_too_small_a_quota_turns_a_drill_under_load_red(
    api, environment, tmp_path
):
    # GIVEN a secondary that takes fewer requests than its customers will send: verify says so
    with api.quota(SECONDARY, **TOO_SMALL):
        assert failed_checks(api) - HEADROOM == SAY_SO

        # WHEN it has to carry them, THEN the drill is not kept from showing what that does
        code, found = drill(api, tmp_path)

    assert code == 1, found
    assert {each.partition(",")[0] for each in found["warnings"]} - HEADROOM == SAY_SO
    [finding] = [each for each in found["findings"] if "throttled (429)" in each]
    assert f"({SECONDARY}, of " in finding
    assert found["left"] == []
    assert_nothing_is_left(environment)


@pytest.mark.soak
def test_a_secondary_with_enough_passes_the_same_drill(api, environment, tmp_path):
    code, found = drill(api, tmp_path)

    assert code == 0, found
    during, after = (found["load"]["parts"][part]["regions"] for part in ("during", "after"))
    # Those whom the outage kept waiting were served in the end.
    assert sum(each["unreachable"] for each in during) > 0
    assert {each["region"] for each in after} == {SECONDARY}
    assert_nothing_is_left(environment)
