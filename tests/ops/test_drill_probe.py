"""Customers of a drill: caches, Regions of addresses, requests and what becomes of them."""

import threading

import pytest
from botocore.credentials import Credentials

from ops.calls import Answer, DnsAnswer
from ops.drill.events import Log
from ops.drill.probe import Customer, Probe
from ops.drill.resolver import REFRESH_SECONDS, CachingResolver, RegionMap
from ops.drill.station import Station, key_of, observation_of

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class NameServer:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, _name):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_an_answer_is_used_until_its_time_to_live_is_over():
    clock = Clock()
    server = NameServer(DnsAnswer(("127.0.0.1",), 60), DnsAnswer(("127.0.0.2",), 60))
    resolver = CachingResolver(server, clock=clock)

    assert resolver.resolve("api").addresses == ("127.0.0.1",)
    clock.now += 59.9
    assert resolver.resolve("api").addresses == ("127.0.0.1",)
    assert server.asked == 1
    clock.now += 0.1
    assert resolver.resolve("api").addresses == ("127.0.0.2",)


def test_an_answer_without_time_to_live_is_asked_for_again():
    server = NameServer(DnsAnswer(("127.0.0.1",), 0))
    resolver = CachingResolver(server, clock=Clock())

    resolver.resolve("api")
    resolver.resolve("api")

    assert server.asked == 2


def test_a_failure_is_not_cached():
    server = NameServer(DnsAnswer(error="SERVFAIL"), DnsAnswer(("127.0.0.1",), 60))
    resolver = CachingResolver(server, clock=Clock())

    assert resolver.resolve("api").error == "SERVFAIL"
    assert resolver.resolve("api").addresses == ("127.0.0.1",)


def test_an_expired_answer_does_not_outlive_a_failure():
    clock = Clock()
    server = NameServer(DnsAnswer(("127.0.0.1",), 60), DnsAnswer(error="SERVFAIL"))
    resolver = CachingResolver(server, clock=clock)
    resolver.resolve("api")
    clock.now += 61

    assert resolver.resolve("api").addresses == ()


def test_every_name_has_an_answer_of_its_own():
    server = NameServer(DnsAnswer(("127.0.0.1",), 60), DnsAnswer(("127.0.0.2",), 60))
    resolver = CachingResolver(server, clock=Clock())

    assert resolver.resolve("a").addresses != resolver.resolve("b").addresses


def test_the_region_of_an_address_is_that_of_the_target_host_names():
    asked = []

    def targets():
        asked.append(1)
        return {"192.0.2.1": EAST}

    clock = Clock()
    regions = RegionMap(targets, clock=clock)

    assert regions.region_of("192.0.2.1") == EAST
    assert regions.region_of("192.0.2.9") is None
    assert len(asked) == 1, "an unknown address is not asked for with every request"
    clock.now += REFRESH_SECONDS
    assert regions.region_of("192.0.2.9") is None
    assert len(asked) == 2


def test_an_answer_tells_the_region_of_its_address():
    regions = RegionMap(lambda: {"192.0.2.1": EAST})

    regions.learn("192.0.2.1", WEST)
    regions.learn("192.0.2.2", None)

    assert regions.region_of("192.0.2.1") == WEST
    assert regions.region_of("192.0.2.2") is None


class FakeNetwork:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []

    def request(self, method, url, **options):
        self.seen.append((method, url, options))
        return self.answers.pop(0)


class FakeEnvironment:
    api_url = "https://weather.example.com/v1"
    api_key = "key"
    primary = EAST

    def __init__(self, *answers):
        self.network = FakeNetwork(*answers)

    def credentials(self):
        return Credentials("AKID", "secret")


def customer(environment, *dns, regions=None):
    clock = Clock()
    return Customer(
        Station(environment, "drill-1"),
        CachingResolver(NameServer(*dns), clock=clock),
        regions or RegionMap(lambda: {"192.0.2.2": WEST}),
        timeout_seconds=3,
        clock=clock,
    )


FOUND = DnsAnswer(("192.0.2.2",), 60)


def test_a_customer_reads_with_the_key_from_the_address_that_dns_gave():
    environment = FakeEnvironment(Answer(200, region=WEST))

    request = customer(environment, FOUND).read()

    assert (request.kind, request.ok, request.region) == ("read", True, WEST)
    [(method, url, options)] = environment.network.seen
    assert (method, url) == ("GET", "https://weather.example.com/v1/locations?limit=1")
    assert options["address"] == "192.0.2.2"
    assert options["headers"] == {"x-api-key": "key"}
    assert options["timeout_seconds"] == 3


def test_a_publisher_signs_for_the_region_that_it_calls():
    environment = FakeEnvironment(Answer(201, region=WEST))

    request = customer(environment, FOUND).write(61)

    assert (request.kind, request.ok, request.key) == ("write", True, "2000-01-01T00:01:01Z")
    [(method, url, options)] = environment.network.seen
    assert method == "PUT"
    assert url.endswith("/v1/weather/drill-1/observations/2000-01-01T00:01:01Z")
    assert f"/{WEST}/execute-api/" in options["headers"]["Authorization"]
    assert options["body"] == b'{"temperature_celsius": 6.1}'


def test_a_publisher_that_knows_no_region_takes_the_primary_and_learns_from_the_refusal():
    environment = FakeEnvironment(Answer(403, region=WEST), Answer(201, region=WEST))
    publisher = customer(environment, FOUND, regions=RegionMap(dict))

    refused, accepted = publisher.write(0), publisher.write(1)

    assert (refused.ok, accepted.ok) == (False, True)
    regions = [o["headers"]["Authorization"].split("/")[2] for _, _, o in environment.network.seen]
    assert regions == [EAST, WEST]


def test_a_name_that_leads_nowhere_is_a_failed_request():
    environment = FakeEnvironment()

    request = customer(environment, DnsAnswer(error="SERVFAIL, no A record")).read()

    assert (request.ok, request.address, request.what) == (False, "", "DNS")
    assert environment.network.seen == []


def test_no_answer_is_told_with_its_reason():
    answer = Answer(None, error="ConnectTimeoutError: too late", address="192.0.2.2")

    request = customer(FakeEnvironment(answer), FOUND).read()

    assert (request.status, request.region, request.what) == (None, None, "ConnectTimeoutError")


def test_every_write_has_a_time_and_a_temperature_that_the_api_takes():
    assert len({key_of(n) for n in range(5000)}) == 5000
    assert key_of(0) == "2000-01-01T00:00:00Z"
    assert all(-100 <= observation_of(n)["temperature_celsius"] <= 70 for n in range(1000))


class HangingCustomer:
    """Hangs in its first two requests until it has been asked for more."""

    def __init__(self):
        self.asked = 0
        self.enough = threading.Event()
        self.lock = threading.Lock()

    def read(self):
        return self._call()

    def write(self, _sequence):
        return self._call()

    def _call(self):
        with self.lock:
            self.asked += 1
            if self.asked >= 6:
                self.enough.set()
        assert self.enough.wait(20)
        raise RuntimeError("broken")


def test_a_region_that_hangs_is_called_on_time_by_others_and_no_failure_is_lost():
    hanging, log = HangingCustomer(), Log()
    probe = Probe(hanging, log, interval_seconds=0.001)

    probe.start()
    assert hanging.enough.wait(20)
    probe.stop()

    requests = log.events().requests
    assert len(requests) == hanging.asked
    assert {request.what for request in requests} == {"RuntimeError"}
    assert {request.kind for request in requests} == {"read", "write"}
