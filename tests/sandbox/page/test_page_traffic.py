"""The figures of the page: what the last minute of requests says."""

import pytest

from sandbox.page.traffic import RATE_SECONDS, WINDOW_SECONDS, Interruption, Request, Traffic

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
NOW = 1000.5


def request(sent_at, region=EAST, *, ok=True, seconds=0.05, error="refused"):
    return Request(sent_at, sent_at + seconds, ok, region, "" if ok else error)


def figures(*requests, now=NOW):
    seen = Traffic()
    for each in requests:
        seen.add(each)
    return seen.figures([EAST, WEST], now)


def test_rates_are_those_of_the_last_seconds():
    seen = figures(
        request(NOW - RATE_SECONDS - 1),
        *(request(NOW - 1 - i / 10, seconds=0.02) for i in range(5)),
        *(request(NOW - 1, WEST, ok=False) for _ in range(10)),
    )

    assert seen.rates[EAST].responses_per_second == 5 / RATE_SECONDS
    assert seen.rates[EAST].errors_per_second == 0
    assert seen.rates[EAST].latency_ms == pytest.approx(20)
    assert seen.rates[WEST].responses_per_second == 0
    assert seen.rates[WEST].errors_per_second == 10 / RATE_SECONDS
    assert seen.rates[WEST].latency_ms is None
    assert seen.total.responses_per_second == 5 / RATE_SECONDS
    assert seen.total.errors_per_second == 10 / RATE_SECONDS


def test_an_error_without_a_region_counts_for_all():
    seen = figures(request(NOW - 1, None, ok=False))

    assert seen.total.errors_per_second == 1 / RATE_SECONDS
    assert seen.rates[EAST].errors_per_second == seen.rates[WEST].errors_per_second == 0


def test_series_hold_whole_seconds_and_leave_the_present_one_out():
    seen = figures(
        request(999.1), request(999.8), request(998.2, WEST), request(998.3, ok=False),
        request(1000.1),
    )  # fmt: skip

    assert seen.ends_at == 1000
    assert len(seen.errors) == len(seen.responses[EAST]) == WINDOW_SECONDS
    assert seen.responses[EAST][-2:] == [0, 2]
    assert seen.responses[WEST][-2:] == [1, 0]
    assert seen.errors[-2:] == [1, 0]


def test_what_is_older_than_the_window_is_forgotten():
    seen = figures(request(NOW - WINDOW_SECONDS - 2), request(NOW - WINDOW_SECONDS + 1))

    assert sum(seen.responses[EAST]) == 1
    assert seen.responses[EAST][0:2] == [0, 1]


def test_the_newest_request_decides_which_region_serves():
    assert figures(request(NOW - 2), request(NOW - 1, WEST)).serving == WEST
    failed = figures(request(NOW - 2), request(NOW - 1, ok=False))
    assert (failed.serving, failed.error) == (None, "refused")


def test_a_request_that_hung_does_not_speak_for_the_present():
    # GIVEN a request that was sent first and given up last
    hung = request(NOW - 3, ok=False, seconds=2.9, error="timed out")

    seen = figures(request(NOW - 1, WEST), hung)

    assert (seen.serving, seen.error) == (WEST, "")


def test_nobody_serves_when_nothing_was_sent_lately():
    seen = figures(request(NOW - 30))

    assert (seen.serving, seen.error) == (None, "")
    assert figures().serving is None


def test_an_interruption_lasts_from_the_first_failure_to_the_first_answer():
    seen = figures(
        request(990.0),
        request(991.0, ok=False, seconds=0.5), request(991.2, ok=False, seconds=0.5),
        request(993.0, WEST, seconds=0.5),
        request(994.0, WEST),
    )  # fmt: skip

    assert seen.interruption == Interruption(991.0, 2, 993.5)
    assert seen.interruption.seconds == 2.5


def test_an_interruption_goes_on_until_something_is_answered():
    seen = figures(request(990.0), request(991.0, ok=False))

    assert seen.interruption == Interruption(991.0)
    assert seen.interruption.seconds is None


def test_a_response_to_an_earlier_request_does_not_end_an_interruption():
    seen = figures(request(991.0, ok=False), request(990.9, seconds=0.3))

    assert seen.interruption.ended_at is None


def test_a_late_failure_belongs_to_the_interruption_in_which_it_was_sent():
    seen = figures(
        request(991.0, ok=False),
        request(993.0, WEST),
        request(992.0, ok=False, seconds=3),
        request(995.1, WEST),
    )

    assert seen.interruption == Interruption(991.0, 2, 993.05)


def test_another_interruption_replaces_the_last_one():
    seen = figures(request(991.0, ok=False), request(993.0), request(999.0, ok=False))

    assert seen.interruption == Interruption(999.0)


def test_where_requests_hang_the_interruption_ends_with_the_first_answer_all_the_same():
    hung = [request(991.0 + i / 5, ok=False, seconds=3) for i in range(4)]

    seen = figures(
        request(990.9), request(993.0, WEST), request(993.2, WEST), *hung, request(995.0, WEST)
    )

    assert seen.interruption == Interruption(991.0, 4, 993.05)
