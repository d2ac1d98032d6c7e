"""The page's log: every change once, and nothing else."""

from dataclasses import replace

import pytest

from sandbox.page.log import Entry, Kind, changes
from sandbox.page.state import Check, DnsState, FaultState, Phase, RegionState, State, down
from sandbox.page.traffic import Rates, Request, Traffic

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


def seen(*, now=10.0, serving=EAST, error="", resolves=EAST, faults=(), **checks):
    traffic = Traffic()
    traffic.add(Request(now - 0.1, now, not error, serving, error))
    return State(
        now=now,
        phase=Phase.HEALTHY,
        headline="",
        serving=serving,
        dns=DnsState("weather.example.com", resolves, "", 3, ""),
        regions=(
            RegionState(
                name=EAST,
                role="primary",
                address="",
                checks=tuple(Check(name, healthy, "") for name, healthy in checks.items()),
                faults=tuple(FaultState(words, True) for words in faults),
                rates=Rates(),
            ),
        ),
        traffic=traffic.figures([EAST, WEST], now),
    )


def entries(before, after):
    return [(entry.kind, entry.good, entry.text) for entry in changes(before, after)]


def test_the_first_state_logs_what_serves_and_what_dns_resolves_to():
    assert entries(None, seen(endpoint=True)) == [
        (Kind.DNS, True, "DNS resolves to us-east-1"),
        (Kind.CUSTOMERS, True, "us-east-1 serves customers"),
    ]


def test_a_fence_that_goes_up_and_down_is_logged():
    down, up = seen(fence=True), seen(fence=False)

    assert entries(down, up) == [(Kind.HEALTH, False, "us-east-1 refuses writes")]
    assert entries(up, down) == [(Kind.HEALTH, True, "us-east-1 accepts writes again")]
    assert entries(None, down)[0][0] is not Kind.HEALTH


def test_nothing_is_logged_without_a_change():
    state = seen(faults=["refuses connections"], endpoint=False, evacuation=True)

    assert entries(state, replace(state, now=11.0)) == []


def test_a_failover_is_logged_step_by_step():
    before = seen(endpoint=True, record=True)
    broken = seen(now=11.0, faults=["refuses connections"], endpoint=True, record=True)
    failing = replace(broken, serving=None, traffic=seen(serving=None, error="refused").traffic)
    over = seen(
        now=13.0, serving=WEST, resolves=WEST, faults=["refuses connections"],
        endpoint=False, record=False,
    )  # fmt: skip

    assert entries(before, broken) == [
        (Kind.INJECT, False, "Fault injected in us-east-1: it refuses connections")
    ]
    assert entries(broken, failing) == [(Kind.CUSTOMERS, False, "Customers get errors: refused")]
    assert entries(failing, over) == [
        (Kind.HEALTH, False, "us-east-1: health check unhealthy"),
        (Kind.HEALTH, False, "us-east-1: DNS record unhealthy"),
        (Kind.DNS, True, "DNS resolves to us-west-2"),
        (Kind.CUSTOMERS, True, "us-west-2 serves customers"),
    ]
    assert changes(failing, over)[0].at == 13.0


def test_a_clear_is_logged_when_no_fault_is_left():
    both = seen(faults=["refuses connections", "responds late"])
    one = seen(faults=["responds late"])

    assert entries(both, one) == []
    assert entries(one, seen()) == [(Kind.CLEAR, True, "Fault cleared in us-east-1")]


def test_a_second_fault_is_logged():
    assert entries(seen(faults=["responds late"]), seen(faults=["responds late", "is gone"])) == [
        (Kind.INJECT, False, "Fault injected in us-east-1: it is gone")
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
def test_a_status_that_is_unknown_for_a_moment_is_not_logged(before, after, news):
    assert [text for _, _, text in entries(seen(endpoint=before), seen(endpoint=after))] == news


def test_a_region_is_evacuated_not_unhealthy():
    assert entries(seen(evacuation=True), seen(evacuation=False)) == [
        (Kind.HEALTH, False, "us-east-1 is evacuated")
    ]


def test_dns_without_an_answer_is_bad_news():
    assert entries(seen(), seen(resolves=None)) == [(Kind.DNS, False, "DNS has no answer")]


def test_a_pause_without_requests_is_not_an_error():
    assert entries(seen(), replace(seen(), serving=None)) == []


def test_a_sandbox_that_ends_and_comes_back_is_logged_once():
    away = down(11.0, "it does not run")

    assert changes(seen(), away) == [
        Entry(11.0, Kind.SANDBOX, False, "The sandbox does not respond")
    ]
    assert entries(away, replace(away, now=12.0)) == []
    assert entries(away, seen())[0] == (Kind.SANDBOX, True, "The sandbox responds")
