"""The customer of a drill whose client retries in the other Region."""

import json
import threading
from collections import defaultdict
from datetime import UTC, datetime

import pytest
from fake_environment import EAST, NAME, WEST, environment

from ops.cli import drill_screen
from ops.drill import report
from ops.drill.events import Events, Mark, Request
from ops.drill.expectation import Pace, expect
from ops.drill.outcome import Limits, Outcome, basis
from ops.drill.quota import most_requests
from ops.drill.retrying import RetryingCustomer, longest_wait, own_urls
from ops.drill.scenario import scenario_of
from ops.drill.spending import KeyLimits, Spending
from ops.http_client import DnsAnswer, Response

pytestmark = pytest.mark.unit

COMMON = f"https://{NAME}/v1"
OWN = {region: f"https://{region}.{NAME}/v1" for region in (EAST, WEST)}
PAGE = json.dumps({"locations": [{"location": "amsterdam"}], "next_cursor": None})
LOST = Response(None, error="ReadTimeoutError: too late")
UNAVAILABLE = Response(503)
EXPECTATION = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)


def served_by(region):
    return Response(200, region=region, body=PAGE)


class FakeNetwork:
    """Responds at each URL as a test says; the common name resolves to the primary by default."""

    def __init__(self):
        self.responses = {COMMON: served_by(EAST), **{url: served_by(r) for r, url in OWN.items()}}
        self.called, self.addresses = [], ("192.0.2.1",)
        self.was_called = defaultdict(threading.Event)

    def resolve(self, _name):
        return DnsAnswer(self.addresses, 0, "" if self.addresses else "SERVFAIL")

    def request(self, method, url, *, headers, timeout_seconds, address):
        base, _, path = url.partition("/locations")
        assert (method, path) == ("GET", "?limit=1")
        assert headers["x-api-key"]
        assert (address is not None) == (base == COMMON)
        self.called.append(base)
        self.was_called[base].set()
        response = self.responses[base]
        if isinstance(response, Exception):
            raise response
        return response


class Clock:
    """Goes on a little with each look at it."""

    now = 100.0

    def __call__(self):
        self.now += 0.001
        return self.now


@pytest.fixture
def network():
    return FakeNetwork()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def customer(network, clock):
    named = environment(outputs={"region_urls": OWN}, network=network)
    customer = RetryingCustomer(named, clock, interval_seconds=1000)
    # Nobody waits in these tests.
    customer._stop.set()
    return customer


def test_while_all_is_well_the_common_name_is_called_once_for_each_read(customer, network):
    customer.read()
    customer.read()

    assert network.called == [COMMON, COMMON]
    assert [each.ok for each in customer.attempts()] == [True, True]


@pytest.mark.parametrize("failure", [LOST, UNAVAILABLE, RuntimeError("a defect")], ids=str)
def test_what_fails_is_repeated_in_the_other_region_which_is_called_at_once_then(
    customer, network, failure
):
    network.responses[COMMON] = network.responses[OWN[EAST]] = failure

    customer.read()
    customer.read()

    assert network.called == [COMMON, OWN[WEST], OWN[WEST]]
    assert [each.ok for each in customer.attempts()] == [False, True, True]


def test_a_name_that_does_not_resolve_is_a_failure(customer, network):
    network.addresses = ()

    customer.read()

    assert network.called == [OWN[WEST]]
    assert customer.attempts()[0].what == "DNS"


def test_the_region_that_the_common_name_resolves_to_is_learned(customer, network):
    network.responses[COMMON] = served_by(WEST)
    customer.read()
    network.responses[COMMON] = network.responses[OWN[WEST]] = LOST

    customer.read()

    assert network.called == [COMMON, COMMON, OWN[EAST]]


def test_the_common_name_is_tried_again_when_the_time_is_over(customer, network, clock):
    network.responses[COMMON] = LOST
    customer.read()
    network.responses[COMMON] = served_by(EAST)
    clock.now += 29
    customer.read()
    clock.now += 1

    customer.read()

    assert network.called == [COMMON, OWN[WEST], OWN[WEST], COMMON]


def test_attempts_are_limited_and_spread_over_both_regions(customer, network):
    network.responses = dict.fromkeys(network.responses, LOST)

    customer.read()

    assert network.called == [COMMON, OWN[WEST], OWN[EAST], OWN[WEST]]


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_is_not_repeated_and_no_fault_of_the_region(customer, network, status):
    network.responses[COMMON] = Response(status, region=EAST)

    customer.read()
    customer.read()

    assert network.called == [COMMON, COMMON]


def test_each_region_is_called_once_before_the_reads_begin(network):
    named = environment(outputs={"region_urls": OWN}, network=network)
    customer = RetryingCustomer(named, Clock(), interval_seconds=1000)

    customer.start()
    assert network.was_called[COMMON].wait(20)
    customer.stop()

    assert network.called == [OWN[EAST], OWN[WEST], COMMON]
    assert len(customer.attempts()) == 1


def test_without_names_of_the_regions_it_does_nothing(network):
    customer = RetryingCustomer(environment(network=network), Clock(), interval_seconds=0)

    customer.start()
    customer.stop()

    assert own_urls(customer.environment) == {}
    assert network.called == []
    assert customer.attempts() is None


def attempt(sent_at, answered_at, ok=True):
    return Request("read", sent_at, answered_at, 200 if ok else None, EAST if ok else None)


@pytest.mark.parametrize(
    ("attempts", "longest"),
    [
        ([attempt(0, 1), attempt(2, 9)], None),
        ([attempt(4, 6, ok=False), attempt(6, 7)], 3),
        ([attempt(0, 4, ok=False), attempt(6, 7)], None),
        ([attempt(6, 7, ok=False), attempt(7, 8), attempt(9, 11, ok=False), attempt(11, 13)], 4),
        ([attempt(6, 7, ok=False), attempt(8, 9, ok=False), attempt(9, 10)], 4),
        ([attempt(6, 7, ok=False), attempt(8, 10, ok=False)], 4),
        ([], None),
    ],
    ids=["none fails", "under way at the fault", "before the fault", "the longest of two",
         "several attempts", "never again", "no attempt"],
)  # fmt: skip
def test_the_longest_time_without_a_successful_response(attempts, longest):
    assert longest_wait(attempts, since=5) == longest


@pytest.fixture
def outcome():
    return Outcome(
        environment="local", scenario=scenario_of("failover", (EAST, WEST), [EAST]), speed=20,
        fault="refuse",
        description="let us-east-1 refuse connections", limits=Limits(114, 0),
        started=datetime(2026, 1, 2, tzinfo=UTC), expectation=EXPECTATION, pace=Pace.at_speed(20),
        selector="--environment local", finish="restore",
        events=Events(marks=(Mark(5.0, "injecting"),)),
        retrying=(attempt(4, 6.1, ok=False), attempt(6.1, 6.2), attempt(7, 7.1)),
    )  # fmt: skip


def printed(outcome, capsys):
    drill_screen.print_outcome(outcome, "Report: here")
    return " ".join(capsys.readouterr().out.split())


def test_the_report_has_the_time_which_is_not_scaled_and_its_basis(outcome, capsys):
    found = json.loads(json.dumps(report.to_json(outcome)))

    assert found["retrying_client"] == {
        "state": "measured", "seconds": 2.2, "attempts": 3, "failed_attempts": 1,
    }  # fmt: skip
    assert len(found["events"]["retrying_client"]) == 3
    words = "at most 2.20 s without a successful response; 1 of 3 attempts failed"
    assert f"Client that retries in another Region: {words}." in report.to_markdown(outcome)
    assert words in printed(outcome, capsys)
    [line] = [line for line in basis(outcome) if line.startswith("Client that retries")]
    assert "1 s for each attempt" in line
    assert "not scaled" in line


def test_a_fault_that_no_attempt_notices_is_not_exercised(outcome, capsys):
    outcome.retrying = (attempt(6, 7),)

    assert report.to_json(outcome)["retrying_client"]["state"] == "not exercised"
    assert "not exercised, as no attempt failed because of the fault" in printed(outcome, capsys)


def test_without_names_of_the_regions_the_report_says_so(outcome, capsys):
    outcome.retrying = None

    assert report.to_json(outcome)["retrying_client"] is None
    assert report.to_json(outcome)["events"]["retrying_client"] == []
    words = "not measured: the Regions have no own names (regional_names)"
    assert words in report.to_markdown(outcome)
    assert words in printed(outcome, capsys)
    assert not any(line.startswith("Client that retries") for line in basis(outcome))


def test_its_attempts_are_spent_of_the_customers_quota_too(outcome):
    outcome.spending = Spending("operator", 300, (KeyLimits(EAST, 50.0, 1000, "DAY", 900),))

    [east] = report.to_json(outcome)["spending"]["regions"]

    assert east["reads"] == 3
    # AND they are planned for: half of a read's attempts in each of two Regions
    named = most_requests(environment(outputs={"region_urls": OWN}), EXPECTATION)
    others = most_requests(environment(), EXPECTATION)
    assert others < named < 3 * others
