"""Drills with every routing policy: one Region, several and all of them lost, and each evacuated.

With `FAILOVER_WRITE_DOCS=1` docs/reference/drills.md has what they measured.
"""

import os
from collections import Counter

import pytest
from drills import DRILLS, drill, over_time
from local_api import SPEED

from ops import switch
from ops.drill.outcome import deciding_time
from scripts import drills as table
from scripts.drills import Result

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
WEIGHTS = {2: (3, 1), 3: (2, 1, 1), 4: (2, 1, 1, 0)}
WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"
ATTEMPTS = 3


@pytest.fixture(scope="module")
def sandboxes(own_sandbox):
    """`(policy, number of Regions)` to a sandbox; one runs at a time."""
    current = {}

    def of(policy, count):
        if (policy, count) not in current:
            current.clear()
            regions = REGIONS[:count]
            weights = {"weights": dict(zip(regions, WEIGHTS[count], strict=True))}
            current[policy, count] = own_sandbox(
                regions=regions, routing_policy=policy, **weights if policy == "weighted" else {}
            )
        return current[policy, count]

    return of


@pytest.mark.parametrize(
    ("policy", "count", "fault", "lost"),
    DRILLS,
    ids=[f"{p}-{n}-{f}-{'+'.join(map(str, lost))}" for p, n, f, lost in DRILLS],
)
def test_who_is_to_move_moves_and_nobody_else_notices(sandboxes, policy, count, fault, lost):
    sandbox = sandboxes(policy, count)
    sandbox.replace_unless_healthy()
    sandbox.set_speed(SPEED)
    environment = sandbox.local.environment
    regions = [REGIONS[place - 1] for place in lost]

    # Other programs may take the processor from it: at half the speed, that counts half.
    for attempt in range(ATTEMPTS):
        at_speed = environment.at_speed(environment.speed / 2**attempt)
        outcome = drill(at_speed, fault, regions=regions)
        if not (over_time(outcome) or outcome.measurements.failed_others):
            break

    assert outcome.passed, outcome.findings
    assert outcome.left == []
    assert outcome.durability.acknowledged > 10
    assert outcome.durability.found == ()
    assert outcome.measurements.empty_answers == 0
    assert outcome.measurements.detected_by == "health check"
    assert outcome.measurements.durations.detection is not None
    for each in outcome.measurements.customers:
        leaves = {*each.customers.leaves}
        # THEN all of them are served by those who should
        before = {*each.customers.before}
        assert {*each.before.served} <= before
        assert {*each.before.answers} == before
        # After the loss of all, whichever Region is healthy first serves everybody for a while.
        assert before <= {*each.after.answers}
        assert not outcome.scenario.left or {*each.after.served} | {*each.after.answers} <= before
        assert not {*each.moved.served} & leaves
        if each.customers.after:
            assert {*each.moved.served} <= {*each.customers.after}
        # AND DNS names no lost Region, unless none is left
        assert not each.customers.after or not leaves & {*each.moved.answers}
        if not leaves:
            assert (each.during.failed, each.elsewhere) == (0, 0)
    # AND nothing is left
    assert environment.fault_injection.faults() == ()
    assert not any(state.exists for state in switch.statuses(environment)[0].values())
    assert not environment.journal_file.exists()
    if WRITES_DOCS:
        table.write([result_of(outcome, count)])


def result_of(outcome, count):
    """A row of the table."""
    judged_by, time = deciding_time(outcome)
    measured, scenario = outcome.measurements, outcome.scenario
    moving = [each for each in measured.customers if each.customers.leaves]
    others = [each for each in measured.customers if not each.customers.leaves]
    shares = None
    if scenario.routing_policy == "weighted" and moving:
        (one,) = moving
        phases = (one.before, one.moved, one.after)
        shares = [round(phase.share(scenario.lost), 3) for phase in phases]
    speed = outcome.speed
    return Result(
        routing_policy=scenario.routing_policy,
        regions=count,
        fault=outcome.fault,
        lost=places(scenario.lost),
        judged_by=judged_by,
        expected_seconds=round(outcome.expectation.seconds, 1),
        seconds=time and round(time.at_speed(speed), 1),
        error_seconds=time and round(time.error_at_speed(speed), 1),
        sent=sum(each.during.sent for each in moving),
        failed=sum(each.during.failed for each in moving),
        others_sent=sum(each.during.sent for each in others),
        others_failed=sum(each.during.failed for each in others),
        acknowledged=outcome.durability.acknowledged,
        lost_writes=len(outcome.durability.keys("lost")),
        before=places(served(moving, "before")),
        after=places(served(moving, "moved")),
        share=shares,
        speed=speed,
    )


def served(figures, phase):
    return Counter(region for each in figures for region in getattr(each, phase).served)


def places(regions):
    return sorted(REGIONS.index(region) + 1 for region in regions)
