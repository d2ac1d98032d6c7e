"""From events to figures, on made-up drills: what is measured, and what can never be."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.drill.events import DnsSeen, Events, HealthSeen, Log, Mark, Request
from ops.drill.expectation import CHECKER_CONFIDENCE, checks_until_detected, expect
from ops.drill.ledger import Durability, Look, acknowledged, compare
from ops.drill.measure import first_of_successes, measure

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
CHECK = "us-east-1 record"


def request(at, region=EAST, status=200, kind="read", seconds=0.1, **more):
    error = "" if status else "ConnectionRefusedError: no"
    return Request(kind, at, at + seconds, status, region if status else None, error=error, **more)


def marks(injecting=10.0, restoring=None):
    found = [Mark(0.0, "started"), Mark(injecting, "injecting"), Mark(injecting + 0.1, "injected")]
    if restoring is not None:
        found += [Mark(restoring, "restoring"), Mark(restoring + 0.1, "restored")]
    return tuple(found)


def measured(requests, dns=(), health=(), steps=None, consecutive=3):
    steps = marks() if steps is None else steps
    return measure(
        Events(tuple(requests), tuple(dns), tuple(health), steps),
        primary=EAST, standby=WEST, primary_check=CHECK, consecutive=consecutive,
    )  # fmt: skip


# A drill as it should go: the fault at 10, the standby answers from 16 on, the restore at 20, the
# primary answers from 25 on.
GOOD = [
    *(request(float(at)) for at in range(10)),
    *(request(at + 0.5, status=None) for at in range(10, 16)),
    *(request(float(at), WEST) for at in range(16, 25)),
    *(request(float(at)) for at in range(25, 30)),
]
GOOD_DNS = [DnsSeen(float(at), ("127.0.0.1",), EAST if at < 14 else WEST, 3) for at in range(20)]
GOOD_HEALTH = [HealthSeen(0.0, CHECK, True), HealthSeen(13.5, CHECK, False)]


def test_a_drill_as_it_should_go():
    found = measured(GOOD, GOOD_DNS, GOOD_HEALTH, marks(restoring=20.0))
    durations = found.durations

    assert durations.detection == pytest.approx(3.5)
    assert durations.dns_change == pytest.approx(4.0)
    assert durations.cut_over == pytest.approx(6.1)
    assert durations.rto == pytest.approx(16.1 - 10.5)
    assert durations.worst_rto == pytest.approx(14 + 3 - 10.5)
    assert durations.error_window == pytest.approx(15.6 - 10.5)
    assert durations.failback == pytest.approx(5.1)
    assert (found.counts["read"].sent, found.counts["read"].failed) == (30, 6)
    assert (found.failed_before, found.failed_during, found.failed_after) == (0, 6, 0)
    assert found.failures == {("no Region named", "ConnectionRefusedError"): 6}


def test_without_a_failed_request_the_rto_is_zero_and_the_cut_over_is_told():
    requests = [request(float(at), EAST if at < 15 else WEST) for at in range(25)]

    durations = measured(requests).durations

    assert durations.rto == 0
    assert durations.cut_over == pytest.approx(5.1)
    assert durations.error_window == 0


def test_a_success_between_failures_is_no_cut_over():
    answers = [None, 200, 200, None, 200, 200, 200]
    requests = [request(11.0 + at, WEST, status) for at, status in enumerate(answers)]

    assert measured(requests).cut_over_at == pytest.approx(15.1)


def test_successes_of_the_primary_are_no_cut_over():
    durations = measured([request(float(at)) for at in range(30)]).durations

    assert durations.cut_over is None
    assert durations.rto is None


def test_a_request_under_way_when_the_fault_came_begins_the_outage():
    requests = [
        request(9.8, status=None, seconds=1.0),
        *(request(12.0 + at, WEST) for at in range(3)),
    ]

    assert measured(requests).durations.rto == pytest.approx(12.1 - 9.8)


def test_failures_before_the_fault_are_told_apart():
    found = measured([request(2.0, status=503), *(request(12.0 + at, WEST) for at in range(3))])

    assert (found.failed_before, found.failed_during) == (1, 0)
    assert found.durations.rto == 0


def test_failures_after_the_cut_over_widen_the_error_window_and_not_the_rto():
    requests = [
        request(11.0, status=503),
        *(request(12.0 + at, WEST) for at in range(3)),
        request(16.0, WEST, 503),
    ]

    durations = measured(requests).durations

    assert durations.rto == pytest.approx(1.1)
    assert durations.error_window == pytest.approx(5.1)


def test_where_health_checks_cannot_be_seen_detection_is_the_first_dns_answer_of_the_standby():
    assert measured(GOOD, GOOD_DNS).durations.detection == pytest.approx(4.0)


def test_a_health_check_that_stays_healthy_has_detected_nothing():
    health = [HealthSeen(0.0, CHECK, True), HealthSeen(12.0, "another", False)]

    assert measured(GOOD, GOOD_DNS, health).durations.detection is None


def test_nothing_was_injected():
    found = measured(GOOD, GOOD_DNS, GOOD_HEALTH, ())

    assert found.durations.cut_over is None
    assert found.durations.failback is None
    assert found.failed_before == 6


events = st.builds(
    Events,
    requests=st.lists(
        st.builds(
            request,
            st.floats(0, 100),
            st.sampled_from([EAST, WEST]),
            st.sampled_from([200, 201, 403, 503, None]),
            st.sampled_from(["read", "write"]),
            st.floats(0, 5),
        ),
        max_size=60,
    ).map(lambda found: tuple(sorted(found, key=lambda r: r.sent_at))),
    dns=st.lists(
        st.builds(
            lambda at, region: DnsSeen(at, ("127.0.0.1",), region, 3),
            st.floats(0, 100),
            st.sampled_from([EAST, WEST, None]),
        ),
        max_size=20,
    ).map(lambda found: tuple(sorted(found, key=lambda d: d.at))),
    health=st.lists(
        st.builds(HealthSeen, st.floats(0, 100), st.just(CHECK), st.booleans()), max_size=10
    ).map(lambda found: tuple(sorted(found, key=lambda h: h.at))),
    marks=st.tuples(st.floats(0, 50), st.floats(50, 100)).map(lambda at: marks(*at)),
)


@given(events, st.integers(1, 5))
def test_what_holds_for_every_drill(seen, consecutive):
    found = measure(seen, primary=EAST, standby=WEST, primary_check=CHECK, consecutive=consecutive)
    durations = found.durations
    injected, restored = seen.when("injecting"), seen.when("restoring")

    assert sum(count.sent for count in found.counts.values()) == len(seen.requests)
    failed = sum(count.failed for count in found.counts.values())
    assert failed == sum(found.failures.values())
    # One that lasts from before the fault until the restore counts once.
    assert found.failed_before + found.failed_during + found.failed_after == failed
    for value in vars(durations).values():
        assert value is None or value >= 0
    assert (durations.rto is None) == (durations.cut_over is None) == (found.cut_over_at is None)
    if found.cut_over_at is not None:
        assert found.cut_over_at >= injected
    if found.failback_at is not None:
        assert found.failback_at >= restored
    if not found.failed_during:
        assert durations.rto in (None, 0)
        assert durations.error_window == 0


@given(events, st.floats(1, 100))
def test_speed_scales_every_duration_and_nothing_else(seen, speed):
    durations = measure(seen, primary=EAST, standby=WEST, primary_check=CHECK).durations

    for name, value in vars(durations).items():
        scaled = getattr(durations.at_speed(speed), name)
        assert scaled is None if value is None else scaled == pytest.approx(value * speed)


def test_the_order_in_which_threads_tell_does_not_matter():
    told = [*GOOD, *GOOD_DNS, *GOOD_HEALTH, *marks()]
    shuffled = random.Random(1).sample(told, len(told))
    logs = Log(), Log()
    for log, order in zip(logs, (told, shuffled), strict=True):
        for event in order:
            log.add(event)

    assert logs[0].events() == logs[1].events()


def test_first_of_successes_needs_so_many_in_a_row():
    requests = [request(float(at), WEST) for at in range(4)]

    assert first_of_successes(requests, WEST, consecutive=4) is requests[0]
    assert first_of_successes(requests, WEST, consecutive=5) is None


def test_expectation_is_interval_times_threshold_and_time_to_live_and_one_probe():
    found = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)

    assert found.seconds == 96
    assert str(found) == ("96 s = 10 s interval x 3 checks + 60 s time to live + 6 s for one probe")


@pytest.mark.parametrize("threshold", range(1, 6))
def test_where_all_fails_the_threshold_is_enough(threshold):
    assert checks_until_detected(threshold) == threshold


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_where_a_share_fails_nearly_every_checker_has_seen_a_run(share):
    checks, chance = checks_until_detected(3, share), random.Random(7)

    def convinced():
        run = 0
        for _ in range(checks):
            run = run + 1 if chance.random() < share else 0
            if run == 3:
                return True
        return False

    tries = 20_000
    assert sum(convinced() for _ in range(tries)) / tries == pytest.approx(
        CHECKER_CONFIDENCE, abs=0.001
    )


def test_only_what_was_answered_200_or_201_is_acknowledged():
    requests = [
        request(1.0, status=201, kind="write", key="a"),
        request(2.0, status=200, kind="write", key="b"),
        request(3.0, status=503, kind="write", key="c"),
        request(4.0, status=None, kind="write", key="d"),
        request(5.0, status=200, kind="read"),
    ]

    assert acknowledged(requests) == ("a", "b")


def test_a_write_that_a_later_look_finds_is_late_and_not_lost():
    look = compare(WEST, ["a", "b", "c"], [(1.0, {"a"}), (2.0, {"a", "b"}), (3.0, {"a", "b"})])

    assert look == Look(WEST, 3, late=("b",), missing=("c",), seconds=2.0)


def test_looking_ends_as_soon_as_all_is_found():
    def looks():
        yield 1.0, {"a", "b"}
        pytest.fail("there is nothing left to look for")

    assert compare(WEST, ["a"], looks()) == Look(WEST, 1)


def test_where_nobody_could_look_everything_is_missing():
    assert compare(WEST, ["a"], []).missing == ("a",)


def test_lost_writes_are_listed_by_key_with_the_regions_that_miss_them():
    durability = Durability(
        3, 0, Look(WEST, 2, missing=("b",)),
        (Look(EAST, 3, missing=("a",)), Look(WEST, 3, missing=("a", "b"))),
    )  # fmt: skip

    assert durability.lost == {"a": (EAST, WEST), "b": (WEST,)}
