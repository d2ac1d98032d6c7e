"""From events to figures, on made-up drills: what is measured, and what can never be."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.drill.events import DnsSeen, Events, HealthSeen, Log, Mark, Request
from ops.drill.expectation import CHECKER_CONFIDENCE, checks_until_detected, expect
from ops.drill.measure import DURATIONS, Duration, first_of_successes, measure
from ops.drill.scenario import scenario_of

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
CHECK = "us-east-1 record"
LOSS = scenario_of("failover", (EAST, WEST), [EAST])


def request(at, region=EAST, status=200, kind="read", seconds=0.1, **more):
    error = "" if status else "ConnectionRefusedError: no"
    return Request(
        kind, at, at + seconds, status, region if status else None,
        error=error, latency_seconds=seconds, **more,
    )  # fmt: skip


def marks(injecting=10.0, restoring=None):
    found = [Mark(0.0, "started"), Mark(injecting, "injecting"), Mark(injecting + 0.1, "injected")]
    if restoring is not None:
        found += [Mark(restoring, "restoring"), Mark(restoring + 0.1, "restored")]
    return tuple(found)


def measured(requests, dns=(), health=(), steps=None, consecutive=3, **more):
    steps = marks() if steps is None else steps
    return measure(
        Events(tuple(requests), tuple(dns), tuple(health), steps),
        more.pop("scenario", LOSS), interval_seconds=1.0,
        consecutive=consecutive, **more,
    )  # fmt: skip


def here(durations, name):
    """A duration as it was here."""
    return pytest.approx(getattr(durations, name).at_speed())


# A drill as it should go: the fault at 10, the secondary answers from 16 on, the restore at 20, the
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

    assert here(durations, "detection") == 3.5
    assert here(durations, "dns_change") == 4.0
    assert here(durations, "cut_over") == 6.1
    assert here(durations, "rto") == 16.1 - 10.5
    assert here(durations, "worst_rto") == 14 + 3 - 10.5
    assert here(durations, "error_window") == 15.6 - 10.5
    assert here(durations, "failback") == 5.1
    assert found.detected_by == "health check"
    assert found.not_exercised == frozenset()
    assert (found.counts["read"].sent, found.counts["read"].failed) == (30, 6)
    assert (found.failed_before, found.failed_during, found.failed_after) == (0, 6, 0)
    assert found.failures == {("no Region named", "ConnectionRefusedError"): 6}


def test_what_a_caching_resolver_says_may_be_a_time_to_live_old():
    """GIVEN a network in which port 53 of the zone's name servers is closed."""
    by_cache = [replace(seen, ttl_seconds=0, source="a resolver") for seen in GOOD_DNS]
    steps = marks(restoring=20.0)

    plain, cached = (
        measured(GOOD, dns, (), steps, ttl_seconds=60.0) for dns in (GOOD_DNS, by_cache)
    )

    for name in [name for name in DURATIONS if name != "served_again"]:
        before, after = (getattr(each.durations, name) for each in (plain, cached))
        assert after.error_seconds == pytest.approx(before.error_seconds + 60.0), name
    assert cached.durations.cut_over.waited_seconds == plain.durations.cut_over.waited_seconds
    # The time to live of such an answer is unknown: the record's own counts.
    assert here(cached.durations, "worst_rto") == 14 + 60 - 10.5
    assert (plain.dns_source, cached.dns_source) == ("", "a resolver")
    # AND a health check whose state is seen is detected without DNS
    watched = measured(GOOD, by_cache, GOOD_HEALTH, steps, ttl_seconds=60.0)
    assert watched.durations.detection.error_seconds < 60.0


def test_without_a_failed_request_rto_is_not_exercised_and_the_cut_over_is_measured():
    requests = [request(float(at), EAST if at < 15 else WEST) for at in range(25)]

    found = measured(requests)

    assert found.not_exercised == {"rto", "worst_rto", "error_window"}
    assert found.durations.rto is None
    assert found.durations.error_window is None
    assert here(found.durations, "cut_over") == 5.1


def test_a_request_that_fails_by_chance_is_not_the_rto_of_a_fault_that_makes_none_fail():
    requests = [
        *(request(float(at), EAST) for at in range(12)),
        request(12.0, EAST, 503),
        *(request(float(at), WEST) for at in range(13, 25)),
    ]

    found = measured(requests, fails_requests=False)

    assert found.not_exercised == {"rto", "worst_rto"}
    assert found.durations.rto is None
    assert here(found.durations, "error_window") == 0.1
    assert here(found.durations, "cut_over") == 3.1


def test_a_success_between_failures_is_no_cut_over():
    answers = [None, 200, 200, None, 200, 200, 200]
    requests = [request(11.0 + at, WEST, status) for at, status in enumerate(answers)]

    assert measured(requests).cut_over_at == pytest.approx(15.0)


def test_successes_of_the_primary_are_no_cut_over():
    durations = measured([request(11.0, status=503), *GOOD[:10]]).durations

    assert durations.cut_over is None
    assert durations.rto is None


def test_a_request_under_way_when_the_fault_came_begins_the_outage():
    requests = [
        request(9.8, status=None, seconds=1.0),
        *(request(12.0 + at, WEST) for at in range(3)),
    ]

    assert here(measured(requests).durations, "rto") == 12.1 - 9.8


def test_failures_before_the_fault_are_separate():
    found = measured([request(2.0, status=503), *(request(12.0 + at, WEST) for at in range(3))])

    assert (found.failed_before, found.failed_during) == (1, 0)
    assert "rto" in found.not_exercised


def test_failures_after_the_cut_over_widen_the_error_window_and_not_the_rto():
    requests = [
        request(11.0, status=503),
        *(request(12.0 + at, WEST) for at in range(3)),
        request(16.0, WEST, 503),
    ]

    durations = measured(requests).durations

    assert here(durations, "rto") == 1.1
    assert here(durations, "error_window") == 5.1


def test_where_health_checks_cannot_be_seen_detection_is_the_first_dns_answer_of_the_secondary():
    found = measured(GOOD, GOOD_DNS)

    assert here(found.durations, "detection") == 4.0
    assert found.detected_by == "DNS"


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


@given(events, st.integers(1, 5), st.booleans())
def test_what_holds_for_every_drill(seen, consecutive, fails_requests):
    found = measured(
        seen.requests, seen.dns, seen.health, seen.marks, consecutive,
        fails_requests=fails_requests,
    )  # fmt: skip
    durations = found.durations
    injected, restored = seen.when("injecting"), seen.when("restoring")

    assert sum(count.sent for count in found.counts.values()) == len(seen.requests)
    failed = sum(count.failed for count in found.counts.values())
    assert failed == sum(found.failures.values())
    # One that lasts from before the fault until the restore counts once.
    assert found.failed_before + found.failed_during + found.failed_after == failed
    for name in DURATIONS:
        value = getattr(durations, name)
        assert value is None or min(value.waited_seconds, value.latency_seconds) >= 0
        # Nothing is seen more exactly than from one probe to the next.
        assert value is None or value.error_seconds >= 1.0
        assert value is None or name not in found.not_exercised
    assert (durations.cut_over is None) == (found.cut_over_at is None)
    assert durations.rto is None or durations.cut_over is not None
    assert "rto" in found.not_exercised or fails_requests
    if found.cut_over_at is not None:
        assert found.cut_over_at >= injected
        waited = durations.cut_over.waited_seconds
        assert waited == pytest.approx(found.cut_over_at - injected)
    if found.failback_at is not None:
        assert found.failback_at >= restored
    if not found.failed_during:
        assert found.not_exercised == {"rto", "worst_rto", "error_window"}


def test_what_waits_for_health_checks_and_dns_is_scaled_and_what_the_machine_takes_is_not():
    duration = Duration(waited_seconds=4.0, latency_seconds=0.5, error_seconds=0.2)

    assert duration.at_speed(20) == 80.5
    assert duration.error_at_speed(20) == 4.0


def test_the_latency_of_the_response_that_ends_a_time_is_known():
    durations = measured(GOOD, GOOD_DNS, GOOD_HEALTH, marks(restoring=20.0)).durations

    assert durations.cut_over.latency_seconds == pytest.approx(0.1)
    assert durations.cut_over.at_speed(10) == pytest.approx(60.1)
    assert durations.detection.latency_seconds == 0


def test_a_time_is_as_exact_as_the_probes_were_sent_and_the_fault_was_injected():
    # GIVEN probes that were planned each second, and a machine that sent none for four
    requests = [*(request(float(at)) for at in range(12)),
                *(request(16.0 + at, WEST) for at in range(4))]  # fmt: skip
    steps = (Mark(0.0, "started"), Mark(10.0, "injecting"), Mark(10.5, "injected"))

    # WHEN it is measured
    durations = measured(requests, steps=steps).durations

    # THEN the cut-over may have been anywhere between
    assert durations.cut_over.error_seconds == pytest.approx(5.0 + 0.5)


def test_what_happened_while_the_fault_was_injected_is_in_the_error():
    steps = (Mark(0.0, "started"), Mark(10.0, "injecting"), Mark(12.0, "injected"))

    durations = measured(GOOD, GOOD_DNS, GOOD_HEALTH, steps).durations

    assert durations.detection.error_seconds == pytest.approx(1.0 + 2.0)
    assert durations.rto.error_seconds == pytest.approx(1.0)


def test_the_order_in_which_threads_tell_does_not_matter():
    in_order = [*GOOD, *GOOD_DNS, *GOOD_HEALTH, *marks()]
    shuffled = random.Random(1).sample(in_order, len(in_order))
    logs = Log(), Log()
    for log, order in zip(logs, (in_order, shuffled), strict=True):
        for event in order:
            log.add(event)

    assert logs[0].events() == logs[1].events()


def test_first_of_successes_needs_so_many_in_a_row():
    requests = [request(float(at), WEST) for at in range(4)]

    assert first_of_successes(requests, [WEST], consecutive=4) is requests[0]
    assert first_of_successes(requests, [WEST], consecutive=5) is None


def test_expectation_is_interval_times_threshold_and_time_to_live_and_one_probe():
    found = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)

    assert found.seconds == 96
    assert str(found) == ("96 s = 10 s interval x 3 checks + 60 s time to live + 6 s for one probe")


@pytest.mark.parametrize("threshold", range(1, 6))
def test_where_all_fails_the_threshold_is_enough(threshold):
    assert checks_until_detected(threshold) == threshold


@pytest.mark.parametrize(("threshold", "share"), [(1, 0.5), (1, 0.9), (3, 0.5), (3, 0.8), (3, 0.9)])
def test_where_a_share_fails_nearly_every_checker_has_seen_a_run(threshold, share):
    checks, chance = checks_until_detected(threshold, share), random.Random(7)

    def convinced():
        run = 0
        for _ in range(checks):
            run = run + 1 if chance.random() < share else 0
            if run == threshold:
                return True
        return False

    tries = 20_000
    assert sum(convinced() for _ in range(tries)) / tries == pytest.approx(
        CHECKER_CONFIDENCE, abs=0.001
    )


# --- several kinds of customers --------------------------------------------------------------

NEAR_EAST, NEAR_WEST = {"near": EAST}, {"near": WEST}
LATENCY = scenario_of("latency", (EAST, WEST), [EAST])
SPARED = [request(float(at), WEST, **NEAR_WEST) for at in range(30)]
MOVED = [replace(each, near=EAST) for each in GOOD]
MOVED_DNS = [replace(seen, near=EAST) for seen in GOOD_DNS]


def in_order(*requests):
    return sorted((each for some in requests for each in some), key=lambda each: each.sent_at)


def test_only_the_customers_of_the_lost_region_are_timed():
    found = measured(
        in_order(MOVED, SPARED), MOVED_DNS, GOOD_HEALTH, marks(restoring=20.0), scenario=LATENCY
    )
    plain = measured(GOOD, GOOD_DNS, GOOD_HEALTH, marks(restoring=20.0))

    assert found.durations == plain.durations
    moved, spared = found.customers
    assert (moved.before.served, moved.moved.served, moved.after.served) == (
        {EAST: 10}, {WEST: 4}, {EAST: 5}
    )  # fmt: skip
    assert (moved.during.sent, moved.during.failed) == (10, 6)
    assert (spared.during.sent, spared.during.failed, spared.elsewhere) == (10, 0, 0)
    assert set(vars(spared.durations).values()) == {None}
    assert found.failed_others == 0


def test_customers_who_were_not_to_notice_and_did_are_counted():
    noticing = [
        *SPARED[:12],
        request(12.0, WEST, 503, **NEAR_WEST),
        request(13.0, EAST, **NEAR_WEST),
        *SPARED[14:26],
        request(26.0, WEST, 503, **NEAR_WEST),
    ]

    found = measured(
        in_order(MOVED, noticing), MOVED_DNS, GOOD_HEALTH, marks(restoring=20.0), scenario=LATENCY
    )

    assert found.failed_others == 2
    assert found.customers[1].elsewhere == 1


def test_of_several_places_those_who_waited_longest_count_and_all_must_move():
    both = scenario_of("latency", (EAST, WEST, "eu-west-1"), [EAST, WEST])
    later = [
        *(request(float(at), WEST, **NEAR_WEST) for at in range(10)),
        *(request(at + 0.5, WEST, 503, **NEAR_WEST) for at in range(10, 18)),
    ]
    served = [request(18.5 + at, "eu-west-1", **NEAR_WEST) for at in range(3)]
    moved = [replace(r, region="eu-west-1" if r.region == WEST else r.region) for r in MOVED]

    complete = measured(in_order(moved, later, served), scenario=both)
    partly = measured(in_order(moved, later), scenario=both)

    assert here(complete.durations, "rto") == 18.6 - 10.5
    assert partly.durations.rto is None
    assert partly.durations.cut_over is None


WEIGHTED = scenario_of("weighted", (EAST, WEST), [EAST])


def drawn(at):
    """Answers before and after the fault: every other one each Region; none East from 14 on."""
    return EAST if at % 2 == 0 and not 14 <= at < 20 else WEST


def test_where_answers_vary_the_change_is_the_last_answer_with_a_lost_region():
    dns = [DnsSeen(float(at), ("127.0.0.1",), drawn(at), 3) for at in range(30)]
    requests = [
        request(float(at), drawn(at), 503 if drawn(at) == EAST and 10 <= at < 20 else 200)
        for at in range(30)
    ]

    found = measured(requests, dns, (), marks(restoring=20.0), scenario=WEIGHTED)

    # WHEN 12 is the last one that resolves to the lost Region
    assert here(found.durations, "dns_change") == 13 - 10
    assert here(found.durations, "cut_over") == 13.1 - 10
    assert here(found.durations, "rto") == 13.1 - 10
    assert here(found.durations, "failback") == 0.1
    (everybody,) = found.customers
    shares = [phase.share([EAST]) for phase in (everybody.before, everybody.moved, everybody.after)]
    assert shares == [0.5, 0.0, 0.5]


def test_where_answers_vary_several_successes_by_chance_are_no_cut_over():
    dns = [DnsSeen(float(at), ("127.0.0.1",), EAST if at == 19 else WEST, 3) for at in range(20)]
    requests = [request(float(at), WEST) for at in range(20)]

    found = measured(requests, dns, (), marks(restoring=20.0), scenario=WEIGHTED)

    assert found.durations.dns_change is None
    assert found.durations.cut_over is None


def test_if_no_region_was_left_the_time_is_that_until_one_serves_again():
    both = scenario_of("failover", (EAST, WEST), [EAST, WEST])
    requests = [
        *(request(float(at)) for at in range(10)),
        *(request(float(at), status=None) for at in range(10, 20)),
        *(request(20.5 + at, WEST) for at in range(3)),
        *(request(24.0 + at) for at in range(3)),
    ]
    health = [*GOOD_HEALTH, HealthSeen(15.0, "us-west-2 record", False)]

    found = measured(requests, GOOD_DNS, health, marks(restoring=20.0), scenario=both)

    assert here(found.durations, "served_again") == 0.6
    assert here(found.durations, "failback") == 4.1
    # AND the loss is detected once both are
    assert here(found.durations, "detection") == 5.0
    assert found.not_exercised == {"dns_change", "cut_over", "rto", "worst_rto"}
    assert found.failed_during == 10


def test_if_nobody_was_to_move_there_is_no_time_but_that_of_the_detection():
    second = scenario_of("failover", (EAST, WEST), [WEST])
    health = [
        HealthSeen(0.0, "us-west-2 record", True),
        HealthSeen(13.0, "us-west-2 record", False),
    ]

    seen = measured([request(float(at)) for at in range(30)], GOOD_DNS, health, scenario=second)
    unseen = measured([request(float(at)) for at in range(30)], scenario=second)

    assert here(seen.durations, "detection") == 3.0
    assert {"rto", "cut_over", "failback"} < seen.not_exercised
    assert "detection" not in seen.not_exercised
    assert "detection" in unseen.not_exercised


def test_an_answer_without_an_address_is_counted_unless_nobody_knew():
    dns = [DnsSeen(1.0, (), None, error="NOERROR, no A record"),
           DnsSeen(2.0, (), None, error="silent", is_known=False)]  # fmt: skip

    assert measured([], dns).empty_answers == 1
