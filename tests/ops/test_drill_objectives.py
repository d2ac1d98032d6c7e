"""Drills pass or fail by the objectives of their environment, on AWS's clock."""

from dataclasses import replace

import pytest
from fake_environment import environment

from constructs_lib.outputs import ObjectivesOutput
from ops.drill.consistency import CutOver, Verdict, check
from ops.drill.durability import Durability, Finding
from ops.drill.events import Events, Mark, Request
from ops.drill.expectation import Pace, expect
from ops.drill.history import History, Operation, Seen
from ops.drill.objectives import figures, judge_rpo, limits_of, objectives_of, rpo_of
from ops.drill.outcome import Limits, Outcome
from ops.drill.scenario import scenario_of

pytestmark = pytest.mark.unit

EAST, WEST = REGIONS = ("us-east-1", "us-west-2")
EXPECTATION = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)


def limits(objectives=None, option=None):
    return limits_of(
        environment(outputs={"objectives": objectives}), EXPECTATION,
        max_rto_seconds=option, max_lost_writes=0,
    ).max_rto_seconds  # fmt: skip


def test_the_longest_rto_is_that_of_the_option_then_the_objective_then_what_is_expected():
    assert limits() == 96
    assert limits({"rpo_seconds": 5}) == 96
    assert limits({"rto_seconds": 120}) == 120
    assert limits({"rto_seconds": 120}, option=50) == 50


def test_objectives_are_read_from_the_outputs():
    found = environment(outputs={"objectives": {"rto_seconds": 120, "proofs": ["switch"]}})

    assert objectives_of(found) == ObjectivesOutput(120, None, ("switch",), 90)
    assert objectives_of(environment()) == ObjectivesOutput()


INJECTED = (Mark(10.0, "injecting"),)


def write(at, key):
    return Request("write", at - 0.1, at, status=201, region=EAST, key=key, value=1.0)


def drilled(*found, speed=1.0, isolates=True, marks=INJECTED):
    """A drill with a write a second, of which some were not there, and a fault after ten."""
    requests = tuple(write(float(second), f"w{second}") for second in range(1, 14))
    return Outcome(
        environment="production",
        scenario=scenario_of("failover", REGIONS, [EAST]),
        speed=speed,
        fault="refuse",
        description="refuse connections",
        limits=Limits(96),
        started=None,
        expectation=EXPECTATION,
        pace=Pace(0.5, 1.0),
        selector="",
        finish="",
        isolates=isolates,
        events=Events(requests=requests, marks=marks),
        durability=Durability(
            acknowledged=13,
            found=tuple(Finding(key, WEST, state, 1.0) for key, state in found),
        ),
    )


def test_the_rpo_is_the_age_of_the_oldest_write_that_was_not_there_when_the_fault_came():
    rpo = rpo_of(drilled(("w9", "late"), ("w7", "lost"), ("w12", "late")))

    assert rpo.writes == 2
    assert rpo.age.at_speed() == pytest.approx(3.0)
    assert rpo.age.error_at_speed() == 0.5


def test_of_a_region_that_took_over_it_is_what_it_lacked_then():
    lacking = tuple(
        Operation("customers", "put", f"w{n}", 1.0, n - 0.1, float(n), "acknowledged", EAST, 201)
        for n in (8, 9)
    )
    outcome = drilled(("w9", "late"), speed=10.0)
    cut_over = CutOver(WEST, 11.0, 11.5, lacking, oldest_seconds=30.0, window_seconds=20.0)
    outcome.consistency = Verdict({}, 0, 0, (cut_over,), 0, (), ())

    rpo = rpo_of(outcome)

    assert (rpo.writes, rpo.age.at_speed(10.0), rpo.age.error_at_speed(10.0)) == (2, 20.0, 5.0)
    (finding,) = judge_rpo(outcome, ObjectivesOutput(rpo_seconds=19.0))
    assert "20.0 ± 5.0 s (scaled), more than the 19 s allowed: 2 acknowledged writes" in finding


def test_a_region_that_could_not_be_read_when_it_took_over_leaves_the_rpo_open():
    outcome = drilled()
    outcome.history = History(
        "production", "2026-01-01T00:00:00+00:00", "refuse", REGIONS, (EAST,), (WEST,), (EAST,), (),
        1.0, 30.0, marks={"injecting": 10.0, "cut-over": 11.0, "restoring": 20.0},
        readings=(Seen(WEST, 12.0, 12.1, {}, "no response"), Seen(WEST, 21.0, 21.1, {})),
    )  # fmt: skip
    outcome.consistency = check(outcome.history)

    assert rpo_of(outcome) is None
    assert figures(outcome)["rpo"] == {
        "writes": None, "state": "not measured", "seconds": None, "error_seconds": None,
    }  # fmt: skip
    assert judge_rpo(outcome, ObjectivesOutput()) == []
    (finding,) = judge_rpo(outcome, ObjectivesOutput(rpo_seconds=1000.0))
    assert finding == "the RPO is not known: us-west-2 could not be read at the cut-over"


def test_nothing_missing_is_an_rpo_of_nothing_with_its_error():
    rpo = rpo_of(drilled())

    assert (rpo.writes, rpo.age.at_speed(), rpo.age.error_at_speed()) == (0, 0.0, 0.5)


def test_a_fault_that_stops_nothing_shows_no_rpo():
    assert rpo_of(drilled(isolates=False)) is None
    assert rpo_of(drilled(marks=())) is None
    assert rpo_of(drilled(("w9", "lost"), isolates=False)) is not None


def test_a_drill_fails_by_the_rpo_on_awss_clock():
    late = drilled(("w9", "late"), speed=10.0)

    assert judge_rpo(late, ObjectivesOutput(rpo_seconds=10.0)) == []
    assert judge_rpo(late, ObjectivesOutput()) == []
    (finding,) = judge_rpo(late, ObjectivesOutput(rpo_seconds=9.9))
    assert finding == (
        "the RPO is 10.0 ± 5.0 s (scaled), more than the 9.9 s allowed: 1 acknowledged write was "
        "not there"
    )


def test_figures_are_on_awss_clock_and_say_what_was_not_measured():
    assert figures(drilled(("w9", "late"), speed=10.0)) == {
        "rto": {
            "judged_by": "cut_over", "state": "never", "seconds": None, "error_seconds": None,
        },
        "rpo": {"writes": 1, "state": "measured", "seconds": 10.0, "error_seconds": 5.0},
    }  # fmt: skip
    quiet = replace(drilled(isolates=False), scenario=scenario_of("failover", REGIONS, [WEST]))
    assert figures(quiet)["rto"]["state"] == "not exercised"
    assert figures(quiet)["rpo"] == {
        "writes": None, "state": "not exercised", "seconds": None, "error_seconds": None,
    }  # fmt: skip
