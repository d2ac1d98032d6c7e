"""The load of a drill: when requests are due, what is reported of them, and what fails a drill."""

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy
import pytest
from fake_environment import EAST, WEST
from matplotlib.figure import Figure

from ops.drill import picture
from ops.drill.durability import Durability
from ops.drill.events import Events, Mark
from ops.drill.expectation import Pace, expect
from ops.drill.load import (
    FATES,
    FIRST_WRITE,
    LONGEST_WAIT_SECONDS,
    MOST_PER_SECOND,
    PROFILES,
    RETRY_ATTEMPTS,
    WRITE_EVERY,
    Attempt,
    Call,
    Load,
    Traffic,
    kind_of,
    request_of,
)
from ops.drill.load_figures import (
    LEAST_JUDGED,
    PARTS,
    PERCENTS,
    Latency,
    LoadResult,
    share_failed,
)
from ops.drill.outcome import Limits, Outcome, judge
from ops.drill.probe_location import key_of
from ops.drill.publisher import FIRST_OWN, FIRST_SHARED, POSITIONS
from ops.drill.report import to_json, to_markdown
from ops.drill.scenario import scenario_of

pytestmark = pytest.mark.unit

LOSS = scenario_of("failover", (EAST, WEST), [EAST])
STEADY = Load(10, "steady", 0.01)
EVENTS = Events(
    marks=(Mark(0.0, "started"), Mark(10.0, "injecting"), Mark(30.0, "restoring"),
           Mark(40.0, "ended"))
)  # fmt: skip
CUT_OVER, RESTORE = 20, 30


# Schedule


@pytest.mark.parametrize("per_second", [0.5, 10, 33, 499])
def test_requests_are_due_evenly_so_many_a_second(per_second):
    load = Load(per_second)
    due = [load.due(number) for number in range(1000)]

    assert due[0] == 0
    assert sum(at < 1 for at in due) == max(1, per_second)
    assert {round(b - a, 9) for a, b in itertools.pairwise(due)} == {round(1 / per_second, 9)}


@pytest.mark.parametrize("places", [1, 2, 3, 4, 8])
def test_of_ten_requests_one_writes_and_customers_of_every_place_do(places):
    kinds = [kind_of(number) for number in range(4000)]

    for ten in range(0, 4000, 10):
        assert Counter(kinds[ten : ten + 10]) == {"read": 9, "write": 1}
    writers = Counter(number % places for number, kind in enumerate(kinds) if kind == "write")
    assert len(writers) == places


def test_no_two_writes_and_no_other_customer_write_for_the_same_time():
    keys = [request_of(number, 0.0).key for number in range(10_000)]
    written = [key for key in keys if key]

    assert len(written) == len({*written}) == 1000
    assert written[0] == key_of(FIRST_WRITE)
    # A probe writes five times a second at most; the clean-up looks at a month.
    assert FIRST_WRITE > 5 * 24 * 3600
    assert written[-1] < "2000-02-01"


def test_no_publisher_writes_or_deletes_what_the_load_has_written():
    """Publishers delete their own, and a write of the load that is gone would count as lost."""
    # Their numbers go on from those of earlier drills, three a round.
    most = POSITIONS + 3 * 24 * 3600 // 10
    longest = int(MOST_PER_SECOND * 4 * 3600)
    written = range(FIRST_WRITE, FIRST_WRITE + longest // WRITE_EVERY)

    for first in (FIRST_OWN, FIRST_SHARED):
        assert not {*written} & {*range(first, first + most)}
    assert key_of(FIRST_SHARED + most) < "2000-02-01"


def test_a_steady_load_tries_once_and_a_burst_so_often_as_it_says():
    assert PROFILES == ("steady", "burst")
    assert Load(10, "steady").attempts == 1
    assert Load(10, "burst").attempts == RETRY_ATTEMPTS
    assert "each tried up to 10 times" in str(Load(10, "burst"))


def test_back_off_doubles_up_to_its_limit_and_is_as_much_faster_as_the_sandbox():
    waits = [Load(1, "burst").wait_seconds(retry, 1, lambda: 1.0) for retry in range(1, 10)]

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert {*waits[5:]} == {LONGEST_WAIT_SECONDS}
    assert Load(1, "burst").wait_seconds(3, 10, lambda: 0.5) == pytest.approx(4 * 0.5 / 10)


def test_the_most_requests_of_a_load_include_every_attempt():
    assert Load(10, "steady").most_reads(100) == 900
    assert Load(10, "burst").most_reads(100) == 900 * RETRY_ATTEMPTS
    assert Load(10, "burst").most_writes(100) == 100


# Latency


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 100, 101, 1000])
def test_percentiles_are_those_of_a_reference(count):
    chance = random.Random(count)
    seconds = [chance.expovariate(1) for _ in range(count)]
    reference = numpy.percentile(seconds, [*PERCENTS, 100], method="inverted_cdf")

    found = Latency.of(random.Random(1).sample(seconds, count))

    assert [found.p50, found.p90, found.p99, found.max] == list(reference)


def test_nothing_has_no_percentiles():
    assert Latency.of([]) is None


def test_latency_counts_from_when_a_request_was_due_whenever_it_began():
    """A machine that stalls for a second shows it: no coordinated omission."""
    stalled = Traffic(tuple(Call(n / 10, 1.0, 1.01, "ok") for n in range(10)))

    latency = LoadResult(STEADY, stalled, EVENTS, LOSS).parts["before"].latency

    assert latency.max == pytest.approx(1.01)
    assert latency.p50 == pytest.approx(1.01 - 0.5, abs=0.11)


# Parts, Regions and seconds


def attempt(at, region, fate="ok", seconds=0.05, kind="read"):
    return Attempt(kind, at, at + seconds, fate, region)


def call(at, fate="ok", seconds=0.05, lag=0.0, **more):
    return Call(at, at + lag, at + seconds, fate, **more)


def traffic(fates=None, *, lag=0.0, **more):
    """Ten requests a second: before, lost until 20, then in the other Region; back after 30.

    Args:
        fates: `{number of a request: fate}` of those that are not as usual.
    """
    attempts, calls = [], []
    for number in range(400):
        at = number / 10
        region = WEST if CUT_OVER <= at < RESTORE else EAST
        usual = "time_out" if 10 <= at < CUT_OVER else "ok"
        fate = (fates or {}).get(number, usual)
        attempts.append(attempt(at, region, fate))
        calls.append(call(at, fate, lag=lag))
    return Traffic(tuple(calls), tuple(attempts), **more)


def result(fates=None, load=STEADY, **more):
    return LoadResult(load, traffic(fates, **more), EVENTS, LOSS)


def test_every_request_counts_in_the_part_in_which_it_was_due():
    parts = result().parts

    assert [*parts] == [*PARTS] == ["before", "during", "after", "restored"]
    assert [part.requests for part in parts.values()] == [100, 100, 100, 100]
    assert [part.failed_attempts for part in parts.values()] == [0, 100, 0, 0]


def test_the_load_has_cut_over_when_it_calls_no_lost_region_any_more():
    assert result().cut_over_at == 20.0
    # One whose resolver had an old answer was the last one.
    later = traffic()
    later = Traffic(later.calls, (*later.attempts, attempt(21.95, EAST, "time_out")))
    assert LoadResult(STEADY, later, EVENTS, LOSS).cut_over_at == 22.0


def test_a_loss_that_moves_nobody_is_judged_from_the_fault_on():
    other = scenario_of("failover", (EAST, WEST), [WEST])
    attempts = tuple(attempt(n / 10, EAST) for n in range(400))

    assert LoadResult(STEADY, Traffic((), attempts), EVENTS, other).cut_over_at == 10.0


def test_failures_are_counted_by_region_with_the_time_that_customers_waited():
    found = result(dict.fromkeys(range(200, 205), "throttled") | {210: "server_error"})

    [west] = found.parts["after"].regions
    assert west.region == WEST
    assert west.counts == {"ok": 94, "throttled": 5, "server_error": 1}
    assert west.failed_seconds == pytest.approx(6 * 0.05)
    [east] = found.parts["during"].regions
    assert (east.region, east.counts) == (EAST, {"time_out": 100})


def test_seconds_are_those_since_the_fault_by_region():
    found = result({205: "throttled"}).seconds()

    assert [*found] == [*range(-10, 30)]
    assert all(sum(each.sent for each in tallies) == 10 for tallies in found.values())
    [tally] = found[10]
    assert (tally.region, tally.counts) == (WEST, {"ok": 9, "throttled": 1})
    assert [t.counts for t in found[9]] == [{"time_out": 10}]


def test_the_borders_of_a_second_belong_to_one_second_only():
    attempts = (attempt(9.999, EAST), attempt(10.0, EAST), attempt(10.999, WEST))

    found = LoadResult(STEADY, Traffic((), attempts), EVENTS, LOSS).seconds()

    assert {second: [t.region for t in tallies] for second, tallies in found.items()} == {
        -1: [EAST], 0: [EAST, WEST],
    }  # fmt: skip


def test_the_slowest_request_of_each_second_is_in_order_though_it_ended_last():
    calls = (call(11.0), call(10.5, seconds=0.2), call(10.0, seconds=3.0), call(9.9, seconds=0.1))

    found = LoadResult(STEADY, Traffic(calls), EVENTS, LOSS).slowest()

    assert [*found] == [-1, 0, 1]
    assert [*found.values()] == pytest.approx([0.1, 3.0, 0.05])


def test_without_a_fault_there_is_nothing_but_before():
    before = Events(marks=(Mark(0.0, "started"), Mark(40.0, "ended")))

    found = LoadResult(STEADY, traffic(), before, LOSS)

    assert found.parts["before"].requests == 400
    assert found.failed_share is None
    assert (found.unmeasured, found.findings) == ([], [])


# The verdict


def test_a_load_that_the_other_region_carries_passes():
    assert (result().findings, result().unmeasured) == ([], [])
    assert result().failed_share == 0


@pytest.mark.parametrize(
    ("failed", "fails"), [(0, False), (1, False), (2, True), (50, True), (100, True)]
)
@pytest.mark.parametrize("fate", [fate for fate in FATES if fate not in ("ok", "local")])
def test_planted_failures_after_the_cut_over_are_found_beyond_the_threshold(failed, fails, fate):
    found = result({200 + n: fate for n in range(failed)})

    assert found.failed_share == failed / 100
    assert bool(found.findings) == fails
    if fails:
        [finding] = found.findings
        assert finding.startswith(f"{failed} % of the 100 requests of the load failed after the")
        assert f"more than the 1 % allowed ({WEST}, of 100: {failed} {FATES[fate]})" in finding


@pytest.mark.parametrize("number", [0, 99, 100, 199, 300, 399])
def test_failures_in_other_parts_are_reported_and_not_judged(number):
    found = result({number: "server_error"})

    assert found.findings == []


def test_a_machine_that_does_not_keep_the_schedule_has_measured_nothing():
    """Neither a failure nor a success of its requests is one of the API."""
    for fates in ({}, dict.fromkeys(range(200, 300), "throttled")):
        found = result(fates, lag=0.5)

        assert found.findings == []
        [reason] = found.unmeasured
        assert "400 of 400 requests of the load began more than 0.1 s late, by at most 0.5 s" in (
            reason
        )


def test_one_late_request_of_a_hundred_is_no_reason():
    calls = [call(n / 10, lag=0.5 if n % 100 == 0 else 0.0) for n in range(400)]

    assert LoadResult(STEADY, Traffic(tuple(calls), traffic().attempts), EVENTS, LOSS).late[0] == 4
    assert not LoadResult(
        STEADY, Traffic(tuple(calls), traffic().attempts), EVENTS, LOSS
    ).unmeasured


@pytest.mark.parametrize(
    ("fates", "more", "named"),
    [
        ({250: "local"}, {}, "1 requests of the load failed on this machine"),
        ({}, {"skipped": 3}, "3 requests of the load were not sent"),
    ],
)
def test_what_this_machine_lacks_is_no_failure_of_the_api(fates, more, named):
    found = result(fates, **more)

    assert any(named in reason for reason in found.unmeasured)
    assert found.findings == []


def test_too_few_requests_after_the_cut_over_are_no_verdict():
    attempts = [attempt(n / 10, EAST) for n in range(200)]
    attempts += [attempt(29.0, WEST, "throttled") for _ in range(LEAST_JUDGED - 1)]

    found = LoadResult(STEADY, Traffic((), tuple(attempts)), EVENTS, LOSS)

    assert found.findings == []
    assert (
        "9 requests of the load were sent after the cut-over, 10 are needed"
        in (found.unmeasured[0])
    )


def test_a_load_that_never_reached_another_region_is_no_success():
    attempts = tuple(attempt(n / 10, EAST) for n in range(400))

    assert LoadResult(STEADY, Traffic((), attempts), EVENTS, LOSS).unmeasured


def test_where_no_region_is_left_there_is_nothing_to_judge():
    all_lost = scenario_of("failover", (EAST, WEST), [EAST, WEST])

    found = LoadResult(STEADY, traffic(), EVENTS, all_lost)

    assert (found.unmeasured, found.findings, found.failed_share) == ([], [], None)


def test_a_load_that_was_stopped_fails_a_drill():
    assert result(stopped="it may harm others").findings == [
        "the load was stopped: it may harm others"
    ]


@pytest.mark.parametrize(("throttled", "fails"), [(0, False), (16, True), (20, True)])
def test_a_region_that_refuses_too_much_to_stay_in_service_is_named(throttled, fails):
    """Its health checks are throttled like its customers, so DNS goes back to the lost Region."""
    flapping = [
        attempt(
            n / 10, WEST if 200 <= n < 220 else EAST, "throttled" if n < 200 + throttled else "ok"
        )
        for n in range(400)
    ]

    found = LoadResult(STEADY, Traffic((), tuple(flapping)), EVENTS, LOSS)

    assert found.cut_over_at is None
    assert bool(found.findings) == fails == (not found.unmeasured)
    if fails:
        [finding] = found.findings
        assert finding.startswith("the load had no lasting cut-over: ")
        assert f"{5 * throttled} % of its 20 requests" in finding
        assert finding.endswith(f"({WEST}, of 20: {throttled} throttled (429))")


def test_a_load_that_this_machine_did_not_follow_to_the_end_was_not_measured():
    ended = replace(traffic(), is_overload=True)

    found = LoadResult(STEADY, ended, EVENTS, LOSS)

    assert found.findings == []
    assert found.unmeasured == [
        "the load was ended before its time, so that the rest of the drill was not disturbed"
    ]


def test_regions_that_do_not_carry_the_load_fail_a_drill_unless_this_machine_is_why():
    nothing_injected = Events(marks=(Mark(0.0, "started"), Mark(40.0, "ended")))

    def uncarried(lag):
        seen = traffic(dict.fromkeys(range(400), "throttled"), lag=lag)
        return LoadResult(STEADY, seen, nothing_injected, LOSS, is_carried=False)

    assert uncarried(0.0).findings == [
        "the Regions do not carry the load without any fault: nothing was injected"
    ]
    late = uncarried(1.0)
    assert (late.findings, bool(late.unmeasured)) == ([], True)
    assert "Nothing was injected: the load failed without any fault." in late.in_words()


def test_all_of_no_requests_have_failed():
    assert share_failed([]) == 1
    assert share_failed([attempt(0, EAST), attempt(1, EAST, "throttled")]) == 0.5


# Outcome and report


@pytest.fixture
def outcome():
    return Outcome(
        environment="local",
        scenario=LOSS,
        speed=20,
        fault="refuse",
        description="let us-east-1 refuse connections",
        limits=Limits(114, 0),
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        expectation=expect(
            interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=24
        ),
        pace=Pace.at_speed(20),
        events=EVENTS,
        durability=Durability(acknowledged=8),
        selector="--environment local",
        finish="python -m ops drill --environment local --restore",
        load=result(),
    )


def test_a_load_that_passes_lets_the_drill_pass(outcome):
    assert judge(outcome) == []
    assert (outcome.passed, outcome.verdict) == (True, "passed")


def test_a_load_that_fails_fails_the_drill(outcome):
    outcome.load = result(dict.fromkeys(range(200, 250), "throttled"))
    outcome.findings += judge(outcome)

    assert outcome.verdict == "failed"
    assert f"({WEST}, of 100: 50 throttled (429))" in outcome.findings[0]


def test_a_load_that_was_not_measured_is_neither_passed_nor_failed(outcome):
    outcome.load = result(lag=1.0)
    outcome.findings += judge(outcome)

    assert (outcome.passed, outcome.verdict) == (False, "not measured")
    outcome.findings.append("the RTO is too long")
    assert outcome.verdict == "failed"


def test_the_report_has_the_load_by_part_region_and_second(outcome):
    outcome.load = result({205: "throttled"})

    found = json.loads(json.dumps(to_json(outcome)))["load"]

    assert (found["per_second"], found["profile"], found["state"]) == (10, "steady", "measured")
    assert found["failed_share"] == 0.01
    after = found["parts"]["after"]
    assert after["latency_seconds"].keys() == {"p50", "p90", "p99", "max"}
    assert after["regions"][0]["throttled"] == 1
    [second] = [each for each in found["seconds"] if each["second"] == 10]
    assert second["regions"] == [
        {"region": WEST, "sent": 10, **dict.fromkeys(FATES, 0), "ok": 9, "throttled": 1,
         "failed_seconds": 0.05}
    ]  # fmt: skip
    text = to_markdown(outcome)
    assert "## Load" in text
    assert "| cut-over to restore | 100 | 1 | 100 | 0.050 | 0.050 | 0.050 | 0.050 |" in text
    assert f"| cut-over to restore | {WEST} | 99 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0.1 s |" in text
    assert "1 % of the requests failed, 1 % allowed" in text


def test_a_report_says_that_a_load_was_not_measured_and_why(outcome):
    outcome.load = result(lag=1.0)

    assert to_json(outcome)["load"]["state"] == "not measured"
    text = to_markdown(outcome)
    assert text.startswith("# Failover drill: refuse, not measured")
    assert "The load was NOT MEASURED: this machine did not keep the schedule" in text


def test_a_drill_without_a_load_has_none_in_its_report(outcome):
    outcome.load = None

    assert to_json(outcome)["load"] is None
    assert "Load" not in to_markdown(outcome)


def test_reads_of_the_load_count_against_the_customers_limits(outcome):
    reads = [request for request in outcome.sent if request.kind == "read"]

    assert len(reads) == 400
    assert Counter(request.region for request in reads) == {EAST: 300, WEST: 100}


def test_the_picture_has_a_part_for_the_load(outcome, tmp_path):
    outcome.load = None
    picture.draw(outcome, tmp_path / "without.png")
    outcome.load = result({205: "throttled", 206: "server_error"})
    picture.draw(outcome, tmp_path / "with.png")

    without, found = (height_of(tmp_path / name) for name in ("without.png", "with.png"))
    assert found > without


def test_the_picture_stacks_what_became_of_the_requests_of_each_second(outcome):
    outcome.load = result({205: "throttled", 206: "server_error", 207: "time_out"})
    axes = Figure().subplots()

    picture._draw_load(axes, outcome)

    tenth = [bar for bar in axes.patches if bar.get_x() == 10 * outcome.speed]
    assert [bar.get_height() for bar in tenth] == [7, 1, 2]
    assert [bar.get_y() for bar in tenth] == [0, 7, 8]
    assert {bar.get_width() for bar in axes.patches} == {outcome.speed}
    assert tenth[1].get_hatch() == picture.THROTTLED_HATCH


def height_of(path):
    return int.from_bytes(path.read_bytes()[20:24], "big")
