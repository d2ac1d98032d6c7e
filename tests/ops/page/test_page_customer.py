"""The customer of the page: what is sent, when nothing is, and what becomes of it."""

import threading
import time
from contextlib import ExitStack
from types import MappingProxyType

import pytest

from ops.calls import Answer, DnsAnswer
from ops.page import customer
from ops.page.customer import MOST_UNDER_WAY, Customer, Places, send, wake
from ops.page.traffic import Request

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
def places():
    return Places()


def test_customers_look_up_the_apis_name_and_call_it_with_their_key(make_api, places):
    network = FakeNetwork(Answer(200, region=WEST))
    clock = iter([10.0, 10.5])

    sent = send(make_api(network), places, clock=lambda: next(clock))

    assert sent == Request(10.0, 10.5, True, WEST)
    assert network.resolved == ["weather.example.com"]
    url = "https://weather.example.com/v1/locations?limit=1"
    assert network.asked == [("GET", url, {"x-api-key": "the-key"}, "127.0.1.1")]


def test_without_customers_the_open_operation_is_called(make_api, places):
    network = FakeNetwork(Answer(200, region=EAST))

    send(make_api(network, customers=[]), places)

    assert network.asked == [("GET", "https://weather.example.com/v1/health", {}, "127.0.1.1")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(503), "HTTP status 503"),
        (
            Answer(None, error="ConnectionRefusedError: [Errno 111] Connection refused"),
            "Connection refused",
        ),
        (
            Answer(
                None,
                error="ProtocolError: ('Connection aborted.', RemoteDisconnected('Remote end "
                "closed connection'))",
            ),
            "Remote end closed connection",
        ),
        (RuntimeError("boom"), "boom"),
    ],
)
def test_a_failure_is_told_shortly_and_counts_for_the_region_that_was_called(
    make_api, places, answer, error
):
    sent = send(make_api(FakeNetwork(answer)), places)

    assert (sent.ok, sent.error, sent.region) == (False, error, EAST)


def test_no_answer_of_dns_is_a_failure_of_no_region(make_api, places):
    network = FakeNetwork(Answer(200), DnsAnswer(error="SERVFAIL, no A record"))

    sent = send(make_api(network), places)

    assert (sent.ok, sent.error, sent.region) == (False, "DNS: SERVFAIL, no A record", None)
    assert network.asked == []


def test_a_region_that_hangs_is_not_called_ever_more_and_keeps_no_other_one_back(make_api, places):
    east = FakeNetwork(Answer(200, region=EAST))
    west = FakeNetwork(Answer(200, region=WEST), DnsAnswer(("127.0.1.2",), 3))

    with ExitStack() as under_way:
        for _ in range(MOST_UNDER_WAY):
            assert under_way.enter_context(places.at("127.0.1.1"))

        assert send(make_api(east), places) is None
        assert send(make_api(west), places).region == WEST
    assert send(make_api(east), places).region == EAST


def test_every_region_is_woken_by_its_own_name(make_api):
    network = FakeNetwork(Answer(200))

    wake(make_api(network))

    assert [(url.partition("/v1")[0], address) for _, url, _, address in network.asked] == [
        ("https://east.example", None), ("https://west.example", None),
    ]  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    """Starts a customer who is in a hurry; it stops once nobody looks."""
    monkeypatch.setattr(customer, "INTERVAL_SECONDS", 0.001)
    watching = threading.Event()

    def run(send):
        threading.Thread(target=Customer(send, watching).run, daemon=True).start()
        return watching

    yield run
    watching.clear()


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_nothing_is_sent_while_nobody_looks(run):
    sent = []
    watching = run(lambda: sent.append(1))

    time.sleep(0.02)
    assert sent == []

    watching.set()
    wait_until(lambda: len(sent) > 3)
    watching.clear()
    time.sleep(0.05)
    count = len(sent)
    time.sleep(0.05)
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
