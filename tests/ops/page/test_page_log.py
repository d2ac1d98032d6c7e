"""The page's log: every change once, and nothing that is no change."""

from dataclasses import replace

import pytest

from ops.page.log import Entry, Kind, changes
from ops.page.state import Broken, Check, DnsState, Phase, RegionState, State, gone
from ops.page.traffic import Rates, Request, Traffic

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


def seen(*, now=10.0, serving=EAST, error="", leads=EAST, faults=(), **checks):
    traffic = Traffic()
    traffic.add(Request(now - 0.1, now, not error, serving, error))
    return State(
        now=now,
        phase=Phase.WELL,
        headline="",
        serving=serving,
        dns=DnsState("weather.example.com", leads, "", 3, ""),
        regions=(
            RegionState(
                name=EAST,
                role="primary",
                address="",
                checks=tuple(Check(name, healthy, "") for name, healthy in checks.items()),
                faults=tuple(Broken(words, True) for words in faults),
                rates=Rates(),
            ),
        ),
        traffic=traffic.figures([EAST, WEST], now),
    )


def told(before, after):
    return [(entry.kind, entry.good, entry.text) for entry in changes(before, after)]


def test_the_first_state_tells_who_serves_and_where_dns_leads():
    assert told(None, seen(endpoint=True)) == [
        (Kind.DNS, True, "DNS answers us-east-1 now"),
        (Kind.CUSTOMERS, True, "us-east-1 serves customers"),
    ]


def test_what_stays_is_not_told():
    state = seen(faults=["refuses connections"], endpoint=False, switch=True)

    assert told(state, replace(state, now=11.0)) == []


def test_a_failover_is_told_step_by_step():
    before = seen(endpoint=True, record=True)
    broken = seen(now=11.0, faults=["refuses connections"], endpoint=True, record=True)
    failing = replace(broken, serving=None, traffic=seen(serving=None, error="refused").traffic)
    over = seen(
        now=13.0, serving=WEST, leads=WEST, faults=["refuses connections"],
        endpoint=False, record=False,
    )  # fmt: skip

    assert told(before, broken) == [
        (Kind.BREAK, False, "us-east-1 is broken: it refuses connections")
    ]
    assert told(broken, failing) == [(Kind.CUSTOMERS, False, "Customers get errors: refused")]
    assert told(failing, over) == [
        (Kind.HEALTH, False, "us-east-1: health check unhealthy"),
        (Kind.HEALTH, False, "us-east-1: DNS record unhealthy"),
        (Kind.DNS, True, "DNS answers us-west-2 now"),
        (Kind.CUSTOMERS, True, "us-west-2 serves customers"),
    ]
    assert changes(failing, over)[0].at == 13.0


def test_a_region_is_mended_when_nothing_of_it_is_broken_any_more():
    both = seen(faults=["refuses connections", "answers late"])
    one = seen(faults=["answers late"])

    assert told(both, one) == []
    assert told(one, seen()) == [(Kind.MEND, True, "us-east-1 is mended")]


def test_a_second_fault_is_told():
    assert told(seen(faults=["answers late"]), seen(faults=["answers late", "is gone"])) == [
        (Kind.BREAK, False, "us-east-1 is broken: it is gone")
    ]


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (True, None, []),
        (None, True, []),
        (None, False, ["us-east-1: health check unhealthy"]),
        (False, True, ["us-east-1: health check healthy"]),
    ],
)
def test_what_is_not_known_for_a_moment_is_no_news(before, after, news):
    assert [text for _, _, text in told(seen(endpoint=before), seen(endpoint=after))] == news


def test_a_switch_is_engaged_not_unhealthy():
    assert told(seen(switch=True), seen(switch=False)) == [
        (Kind.HEALTH, False, "The switch is engaged")
    ]


def test_dns_without_an_answer_is_bad_news():
    assert told(seen(), seen(leads=None)) == [(Kind.DNS, False, "DNS has no answer")]


def test_a_pause_without_requests_is_no_error():
    assert told(seen(), replace(seen(), serving=None)) == []


def test_a_stand_that_goes_and_comes_back_is_told_once():
    away = gone(11.0, "it does not run")

    assert changes(seen(), away) == [
        Entry(11.0, Kind.STAND, False, "The local API does not answer")
    ]
    assert told(away, replace(away, now=12.0)) == []
    assert told(away, seen())[0] == (Kind.STAND, True, "The local API answers")
