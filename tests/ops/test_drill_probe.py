"""Customers of a drill: caches, Regions of addresses, requests and what becomes of them."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dns.exception
import fake_environment
import pytest
from botocore.credentials import Credentials

from ops.drill.events import Log, Request
from ops.drill.probe import Customer, Probe
from ops.drill.probe_location import ProbeLocation, key_of, observation_of, value_of
from ops.drill.resolver import (
    REFRESH_SECONDS,
    CachingResolver,
    RegionMap,
    addresses_next_to,
)
from ops.drill.watch import Watch
from ops.errors import ExitCode, OpsError
from ops.http_client import DnsAnswer, Response

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


class BlockedNameServer:
    """Does not answer before it is released, as port 53 behind a firewall."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.released = threading.Event()
        self.answer = DnsAnswer(error="no server answers")

    def __call__(self, *_):
        self.asked.release()
        assert self.released.wait(20)
        return self.answer


@pytest.fixture
def blocked():
    server = BlockedNameServer()
    yield server
    server.released.set()


def in_threads(count, call, *arguments):
    for _ in range(count):
        threading.Thread(target=call, args=arguments, daemon=True).start()


def test_nobody_waits_for_the_look_up_of_somebody_else(blocked):
    resolver = CachingResolver(blocked)

    in_threads(3, resolver.resolve, "api")

    assert all(blocked.asked.acquire(timeout=20) for _ in range(3))


def test_an_older_answer_that_arrives_later_does_not_replace_a_newer_one(blocked):
    clock = Clock()
    answers = {100.0: blocked, 101.0: lambda _: DnsAnswer(("127.0.0.2",), 60)}
    blocked.answer = DnsAnswer(("127.0.0.1",), 60)
    resolver = CachingResolver(lambda name: answers[clock.now](name), clock=clock)
    older = threading.Thread(target=resolver.resolve, args=("api",), daemon=True)
    older.start()
    assert blocked.asked.acquire(timeout=20)
    clock.now += 1

    assert resolver.resolve("api").addresses == ("127.0.0.2",)
    blocked.released.set()
    older.join(20)
    assert resolver.resolve("api").addresses == ("127.0.0.2",)


def test_a_known_address_is_found_while_the_target_host_names_do_not_resolve(blocked):
    def targets():
        blocked()
        return {}

    regions = RegionMap(targets)
    regions.learn("192.0.2.1", EAST)

    in_threads(1, regions.region_of, "192.0.2.9")

    assert blocked.asked.acquire(timeout=20)
    assert regions.region_of("192.0.2.1") == EAST
    assert regions.region_of("192.0.2.9") is None


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
    outputs = SimpleNamespace(api_url="https://weather.example.com/v1")
    api_key = "key"
    primary = EAST

    def __init__(self, *answers):
        self.network = FakeNetwork(*answers)

    def credentials(self):
        return Credentials("AKID", "secret")


def customer(environment, *dns, regions=None):
    clock = Clock()
    return Customer(
        ProbeLocation(environment, "drill-1"),
        CachingResolver(NameServer(*dns), clock=clock),
        regions or RegionMap(lambda: {"192.0.2.2": WEST}),
        timeout_seconds=3,
    )


FOUND = DnsAnswer(("192.0.2.2",), 60)
READ = Request("read", 1.0, 1.0)
WRITE = Request("write", 1.0, 1.0, key=key_of(61), value=value_of(61))
PAGE = json.dumps({"locations": [{"location": "berlin"}], "next_cursor": "x"})
OBSERVATION = {"observed_at": key_of(61), "temperature_celsius": 6.1, "observation_id": "1"}
STORED = json.dumps({**OBSERVATION, "created": True})


def test_a_customer_reads_with_the_key_from_the_address_that_dns_gave():
    environment = FakeEnvironment(Response(200, region=WEST, body=PAGE, seconds=0.2))

    request = customer(environment, FOUND).send(READ)

    assert (request.kind, request.ok, request.region) == ("read", True, WEST)
    assert (request.sent_at, request.latency_seconds) == (1.0, 0.2)
    [(method, url, options)] = environment.network.seen
    assert (method, url) == ("GET", "https://weather.example.com/v1/locations?limit=1")
    assert options["address"] == "192.0.2.2"
    assert options["headers"] == {"x-api-key": "key"}
    assert options["timeout_seconds"] == 3


def test_a_publisher_signs_for_the_region_that_it_calls():
    environment = FakeEnvironment(Response(201, region=WEST, body=STORED))

    request = customer(environment, FOUND).send(WRITE)

    assert (request.kind, request.ok, request.key) == ("write", True, "2000-01-01T00:01:01Z")
    assert request.value == 6.1
    [(method, url, options)] = environment.network.seen
    assert method == "PUT"
    assert url.endswith("/v1/weather/drill-1/observations/2000-01-01T00:01:01Z")
    assert f"/{WEST}/execute-api/" in options["headers"]["Authorization"]
    assert options["body"] == b'{"temperature_celsius": 6.1}'


def signed_for(environment):
    return [o["headers"]["Authorization"].split("/")[2] for *_, o in environment.network.seen]


@pytest.mark.parametrize(
    "regions",
    [RegionMap(dict), RegionMap(lambda: {"192.0.2.2": EAST})],
    ids=["unknown address", "address of another Region until now"],
)
def test_a_publisher_signs_again_for_the_region_that_refused_the_signature(regions):
    environment = FakeEnvironment(
        Response(403, region=WEST, seconds=0.2),
        Response(201, region=WEST, body=STORED, seconds=0.3),
        Response(201, region=WEST, body=STORED),
    )
    publisher = customer(environment, FOUND, regions=regions)

    first, second = publisher.send(WRITE), publisher.send(WRITE)

    assert (first.ok, second.ok) == (True, True)
    assert first.latency_seconds == 0.5
    assert signed_for(environment) == [EAST, WEST, WEST]


def test_a_region_that_refuses_its_own_signature_has_refused_the_write():
    environment = FakeEnvironment(Response(403, region=WEST))

    request = customer(environment, FOUND).send(WRITE)

    assert (request.ok, request.is_unknown, request.what) == (False, False, "status 403")
    assert signed_for(environment) == [WEST]


@pytest.mark.parametrize(
    "body",
    ["", "<html>sign in</html>", "[]", "{}", json.dumps({"locations": []}),
     json.dumps({"locations": [1]}), json.dumps({"locations": [{"location": ""}]})],
)  # fmt: skip
def test_a_read_with_another_response_than_the_right_one_is_not_served(body):
    environment = FakeEnvironment(Response(200, region=WEST, body=body))

    request = customer(environment, FOUND).send(READ)

    assert not request.ok
    assert request.what == "status 200, not a page of locations"


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", json.dumps(OBSERVATION | {"observed_at": key_of(62)}),
     json.dumps(OBSERVATION | {"temperature_celsius": 9.9})],
)  # fmt: skip
def test_a_write_with_another_response_than_the_right_one_is_unknown(body):
    environment = FakeEnvironment(Response(201, region=WEST, body=body))

    request = customer(environment, FOUND).send(WRITE)

    assert (request.ok, request.is_unknown) == (False, True)
    assert request.what == "status 201, not the observation"


def test_a_name_that_leads_nowhere_is_a_failed_request():
    environment = FakeEnvironment()

    request = customer(environment, DnsAnswer(error="SERVFAIL, no A record")).send(READ)

    assert (request.ok, request.address, request.what) == (False, "", "DNS")
    assert environment.network.seen == []


def test_no_answer_is_reported_with_its_reason():
    answer = Response(None, error="ConnectTimeoutError: too late", address="192.0.2.2")

    request = customer(FakeEnvironment(answer), FOUND).send(READ)

    assert (request.status, request.region, request.what) == (None, None, "ConnectTimeoutError")


def test_every_write_has_a_time_and_a_temperature_that_the_api_takes():
    assert len({key_of(n) for n in range(5000)}) == 5000
    assert key_of(0) == "2000-01-01T00:00:00Z"
    assert all(0 <= value_of(n) <= 70 for n in range(1000))
    assert observation_of(value_of(61)) == {"temperature_celsius": 6.1}


class HangingCustomer:
    """Hangs in every request until it is released."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.released = threading.Event()

    def send(self, _request):
        self.asked.release()
        self.released.wait(20)
        raise RuntimeError("broken")

    def wait_for(self, requests):
        assert all(self.asked.acquire(timeout=20) for _ in range(requests))


@pytest.fixture
def hanging():
    customer = HangingCustomer()
    yield customer
    customer.released.set()


def test_a_region_that_hangs_is_called_on_time_by_others_and_no_failure_is_lost(hanging):
    log = Log()
    probe = Probe([hanging], log, interval_seconds=0.001, stop_seconds=20)

    probe.start()
    hanging.wait_for(100)
    hanging.released.set()
    probe.stop()

    requests = log.events().requests
    assert len(requests) >= 100
    assert {request.what for request in requests} == {"RuntimeError"}
    assert {request.kind for request in requests} == {"read", "write"}
    assert len({request.key for request in requests if request.kind == "write"}) >= 50


def test_stopping_does_not_wait_for_what_hangs_and_logs_it_as_unknown(hanging):
    # GIVEN requests that hang
    log = Log()
    probe = Probe([hanging], log, interval_seconds=0.001, stop_seconds=0)
    probe.start()
    hanging.wait_for(6)

    # WHEN the probe is stopped
    probe.stop()

    # THEN each is logged, with the key that may be stored, and nothing comes later
    requests = log.events().requests
    assert len(requests) >= 6
    assert {request.what for request in requests} == {"no response when the drill ended"}
    assert all(request.is_unknown for request in requests)
    assert all(request.key for request in requests if request.kind == "write")
    hanging.released.set()
    for thread in threading.enumerate():
        if thread.name == "customer":
            thread.join(20)
    assert log.events().requests == requests


def test_a_request_is_stamped_when_it_was_wanted():
    class Late:
        def send(self, request):
            now.append(5.0)
            done.set()
            return request

    now, done = [1.0], threading.Event()
    log = Log(clock=lambda: now[-1])
    probe = Probe([Late()], log, interval_seconds=1000)

    probe.start()
    assert done.wait(20)
    probe.stop()

    assert {request.sent_at for request in log.events().requests} == {1.0}
    assert {request.answered_at for request in log.events().requests} == {5.0}


def test_a_step_of_the_machines_clock_moves_no_event(monkeypatch):
    log = Log()
    before = log.mark("started")

    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert 0 <= before <= log.mark("ended")


def watch(status, log):
    """A watch of a sandbox whose data plane reports what `status` holds."""
    environment = SimpleNamespace(outputs=fake_environment.outputs(), sandbox_status=lambda: status)
    return Watch(environment, RegionMap(dict), log, interval_seconds=1000)


@pytest.mark.parametrize(
    ("age_seconds", "seen_at"),
    [(2.0, 10.0), (0.0, 12.0), (-3600.0, 12.0), (3600.0, 8.0)],
    ids=["two seconds ago", "now", "in an hour, as the clock was set back", "an hour ago"],
)
def test_a_change_of_a_health_check_is_placed_by_its_age_between_two_looks(age_seconds, seen_at):
    now = [8.0]
    log = Log(clock=lambda: now[0])
    status = {"health_checks": [], "events": []}
    looking = watch(status, log)
    looking.look_at_health()
    now[0] = 12.0
    at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    status["events"].append(
        {"kind": "health_check", "subject": "calculated", "at": at.isoformat(),
         "after": "unhealthy", "reason": "0 of 3"}
    )  # fmt: skip

    looking.look_at_health()

    [seen] = log.events().health
    assert seen.at == pytest.approx(seen_at, abs=1)
    assert (seen.check, seen.healthy) == ("us-east-1 record", False)


def test_watching_stops_although_a_look_hangs(blocked, monkeypatch):
    monkeypatch.setattr("ops.drill.watch.STOP_SECONDS", 0)
    environment = SimpleNamespace(
        outputs=fake_environment.outputs(),
        descriptor=SimpleNamespace(sandbox=None),
        network=SimpleNamespace(resolve=blocked),
    )
    looking = Watch(environment, RegionMap(dict), Log(), interval_seconds=1000)
    looking.start()
    assert blocked.asked.acquire(timeout=20)

    looking.stop()

    assert not blocked.released.is_set()


class Resolving:
    """A network whose answer is that of the address for which it is asked."""

    def __init__(self):
        self.hosts = {"d-east": ("192.0.2.1", 443), "d-west": ("192.0.2.2", 443)}

    def resolve(self, _name, client=""):
        return DnsAnswer((client,), 60) if client else DnsAnswer(error="SERVFAIL", is_known=False)


def asked_by(network):
    outputs = SimpleNamespace(
        record_name="api.example.com", domain_targets={EAST: "d-east", WEST: "d-west"}
    )
    return SimpleNamespace(
        network=network, outputs=outputs, descriptor=SimpleNamespace(sandbox=None)
    )


def test_dns_is_asked_for_the_customers_next_to_each_region():
    environment, log = asked_by(Resolving()), Log()
    places = addresses_next_to(environment, [EAST, WEST])

    Watch(environment, RegionMap(lambda: {"192.0.2.1": EAST, "192.0.2.2": WEST}), log, 1.0,
          places).look_at_dns()  # fmt: skip

    assert [(seen.near, seen.region) for seen in log.events().dns] == [(EAST, EAST), (WEST, WEST)]


def test_dns_is_asked_often_where_answers_vary_and_an_unknown_one_is_marked():
    log = Log()

    Watch(asked_by(Resolving()), RegionMap(dict), log, 1.0, answers=10).look_at_dns()

    assert [seen.is_known for seen in log.events().dns] == [False] * 10


def test_a_region_whose_endpoint_is_not_found_has_no_customers_to_play(monkeypatch):
    network = Resolving()
    del network.hosts["d-west"]
    monkeypatch.setattr(
        "dns.resolver.resolve", lambda *_, **__: (_ for _ in ()).throw(dns.exception.Timeout)
    )

    assert addresses_next_to(asked_by(network), [""]) == {"": ""}
    with pytest.raises(OpsError, match="next to us-west-2 cannot be played: d-west") as caught:
        addresses_next_to(asked_by(network), [EAST, WEST])
    assert caught.value.exit_code is ExitCode.PREREQUISITE


def test_customers_take_turns_and_no_two_probes_write_for_the_same_time():
    class Noted:
        def __init__(self):
            self.rounds, self.enough = set(), threading.Event()

        def send(self, request):
            self.rounds.add(request.key)
            if len(self.rounds) > 3:
                self.enough.set()
            return request

    log, keys = Log(), {}
    for place, near in enumerate((EAST, WEST)):
        customers = [Noted(), Noted()]
        probe = Probe(customers, log, 0.001, near=near, first=place, step=2)
        probe.start()
        assert all(customer.enough.wait(20) for customer in customers)
        probe.stop()
        keys[near] = {key for customer in customers for key in customer.rounds} - {""}

    assert not keys[EAST] & keys[WEST]
    assert {request.near for request in log.events().requests} == {EAST, WEST}
