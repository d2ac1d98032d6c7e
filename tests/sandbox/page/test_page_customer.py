"""The customer of the page: what is sent, when nothing is, and what becomes of it."""

import threading
import time
from contextlib import ExitStack
from types import MappingProxyType

import pytest

from ops.http_client import DnsAnswer, Response
from sandbox.page import customer
from sandbox.page.customer import MOST_AT_ONCE, Customer, RequestLimit, send, wake
from sandbox.page.traffic import Request

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
AT_EAST = DnsAnswer(("127.0.1.1",), 3)


class FakeNetwork:
    hosts = MappingProxyType(
        {"target.east": ("127.0.1.1", 8443), "target.west": ("127.0.1.2", 8443)}
    )

    def __init__(self, answer, dns=AT_EAST):
        self.answer = answer
        self.dns = dns
        self.resolved = []
        self.asked = []

    def resolve(self, name):
        self.resolved.append(name)
        return self.dns

    def request(self, method, url, *, headers, timeout_seconds, address):
        self.asked.append((method, url, headers, address))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def limit():
    return RequestLimit()


def test_customers_look_up_the_apis_name_and_call_it_with_their_key(make_api, limit):
    network = FakeNetwork(Response(200, region=WEST))
    clock = iter([10.0, 10.5])

    sent = send(make_api(network), limit, clock=lambda: next(clock))

    assert sent == Request(10.0, 10.5, True, WEST)
    assert network.resolved == ["weather.example.com"]
    url = "https://weather.example.com/v1/locations?limit=1"
    assert network.asked == [("GET", url, {"x-api-key": "the-key"}, "127.0.1.1")]


def test_without_customers_the_open_operation_is_called(make_api, limit):
    network = FakeNetwork(Response(200, region=EAST))

    send(make_api(network, customers=[]), limit)

    assert network.asked == [("GET", "https://weather.example.com/v1/health", {}, "127.0.1.1")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(503), "HTTP status 503"),
        (
            Response(None, error="ConnectionRefusedError: [Errno 111] Connection refused"),
            "Connection refused",
        ),
        (
            Response(
                None,
                error="ProtocolError: ('Connection aborted.', RemoteDisconnected('Remote end "
                "closed connection'))",
            ),
            "Remote end closed connection",
        ),
        (RuntimeError("boom"), "boom"),
    ],
)
def test_a_failure_is_described_briefly_and_counts_for_the_region_that_was_called(
    make_api, limit, answer, error
):
    sent = send(make_api(FakeNetwork(answer)), limit)

    assert (sent.ok, sent.error, sent.region) == (False, error, EAST)


def test_a_failed_dns_lookup_counts_for_no_region(make_api, limit):
    network = FakeNetwork(Response(200), DnsAnswer(error="SERVFAIL, no A record"))

    sent = send(make_api(network), limit)

    assert (sent.ok, sent.error, sent.region) == (False, "DNS: SERVFAIL, no A record", None)
    assert network.asked == []


def test_a_hanging_region_gets_no_further_requests_and_delays_no_other_one(make_api, limit):
    east = FakeNetwork(Response(200, region=EAST))
    west = FakeNetwork(Response(200, region=WEST), DnsAnswer(("127.0.1.2",), 3))

    with ExitStack() as under_way:
        for _ in range(MOST_AT_ONCE):
            assert under_way.enter_context(limit.at("127.0.1.1"))

        assert send(make_api(east), limit) is None
        assert send(make_api(west), limit).region == WEST
    assert send(make_api(east), limit).region == EAST


def test_every_region_is_woken_by_its_own_name(make_api):
    network = FakeNetwork(Response(200))

    wake(make_api(network))

    assert [(url.partition("/v1")[0], address) for _, url, _, address in network.asked] == [
        ("https://east.example", None), ("https://west.example", None),
    ]  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    """Starts a customer who is in a hurry; it stops once no page is open."""
    monkeypatch.setattr(customer, "INTERVAL_SECONDS", 0.001)
    watching = threading.Event()

    def run(send):
        threading.Thread(target=Customer(send, watching).run, daemon=True).start()
        return watching

    yield run
    watching.clear()


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_nothing_is_sent_without_an_open_page(run):
    sent = []
    watching = run(lambda: sent.append(1))

    time.sleep(0.02)
    assert sent == []

    watching.set()
    wait_until(lambda: len(sent) > 3)
    watching.clear()
    time.sleep(0.2)
    count = len(sent)
    time.sleep(0.1)
    assert len(sent) == count


def test_requests_begin_on_time_whether_or_not_earlier_ones_have_ended(run):
    begun, end = [], threading.Event()

    def hang():
        begun.append(1)
        end.wait()

    watching = run(hang)
    watching.set()

    wait_until(lambda: len(begun) > 10)
    end.set()
