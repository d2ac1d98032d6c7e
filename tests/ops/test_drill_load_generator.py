"""The load generator against real HTTPS servers: open loop, DNS, connections, retries, ledger."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from fake_environment import EAST, WEST, environment
from loopback_api import LoopbackRegion, serving

from ops.drill import load_generator
from ops.drill.durability import assess
from ops.drill.events import Request, stopwatch
from ops.drill.history import Seen
from ops.drill.load import FIRST_WRITE, Load, kind_of
from ops.drill.load_figures import LATE_SECONDS
from ops.drill.load_generator import Generator, Place, _better_known
from ops.drill.probe_location import ProbeLocation, key_of
from ops.drill.resolver import RegionMap
from ops.http_client import DnsAnswer, Network

pytestmark = pytest.mark.unit

PATIENCE_SECONDS = 120
TIMEOUT_SECONDS = 60
ADDRESSES = {"127.0.0.1": EAST, "127.0.0.2": WEST}


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Dns:
    """DNS that gives what is set; counts the questions."""

    def __init__(self):
        self.answer, self.asked = DnsAnswer(("127.0.0.1",), 3600), 0

    def __call__(self, _name):
        self.asked += 1
        return self.answer


@pytest.fixture
def api(tmp_path):
    """Two Regions, DNS, and loads that are stopped at the end of the test."""
    east, west = (LoopbackRegion(region, address) for address, region in ADDRESSES.items())
    started = []
    with serving([east, west], tmp_path) as (port, ca_file):
        network = Network((), "example.com", https_port=port, ca_file=ca_file)
        location = ProbeLocation(environment(network=network), "drill-00000001")

        def load(per_second, profile="steady", *, places=None, timeout=TIMEOUT_SECONDS, **more):
            generator = Generator(
                Load(per_second, profile),
                location,
                places or [Place(dns)],
                RegionMap(lambda: ADDRESSES),
                stopwatch(),
                timeout,
                **more,
            )
            started.append(generator)
            generator.start()
            return generator

        dns = Dns()
        yield SimpleNamespace(east=east, west=west, dns=dns, load=load, location=location)
        for generator in started:
            generator.stop()


def fates(generator):
    return Counter(each.fate for each in generator.traffic().attempts)


def test_requests_are_read_and_written_as_customers_do(api):
    generator = api.load(200)
    wait_until(lambda: len(api.east.calls) >= 40)
    generator.stop()

    assert fates(generator) == {"ok": len(generator.traffic().calls)}
    methods = Counter(method for method, *_ in api.east.calls)
    assert methods["GET"] >= 9 * (methods["PUT"] - 1) > 0
    for method, path, headers in api.east.calls:
        assert headers["Host"] == "weather.example.com"
        if method == "GET":
            assert path == "/v1/locations?limit=1"
            assert headers["x-api-key"] == "a-customers-key-1234567890"
        else:
            written = f"/v1/weather/drill-00000001/observations/{key_of(FIRST_WRITE)[:11]}"
            assert path.startswith(written)
            assert f"/{EAST}/execute-api/" in headers["Authorization"]
            assert "x-api-key" not in headers


def test_requests_begin_on_schedule_though_no_response_comes(api):
    """The loop is open: a Region that hangs is called by as many as come meanwhile."""
    api.east.held = True
    generator = api.load(100)

    wait_until(lambda: len(api.east.calls) >= 50)
    assert generator.traffic().calls == ()
    released_at = generator.clock()
    api.east.release()
    wait_until(lambda: len(generator.traffic().calls) >= 50)
    generator.stop()

    waiting = [call for call in generator.traffic().calls if call.due_at < released_at]
    assert len(waiting) >= 50
    # Each has waited since it was due, not since its response was ready.
    assert all(call.ended_at >= released_at for call in waiting if call.begun_at < released_at)
    assert max(call.ended_at - call.due_at for call in waiting) >= 49 / 100


def test_a_load_that_is_interrupted_while_it_begins_is_stopped(api, monkeypatch):
    """Otherwise it would write what has been deleted, until the program ends."""
    begins, real = threading.Event(), Generator._run
    waits = []

    class Begun(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            if len(waits) == 1:
                raise KeyboardInterrupt
            begins.set()
            return super().wait(timeout)

    def slow(self):
        begins.wait()
        real(self)

    monkeypatch.setattr(Generator, "_run", slow)
    generator = Generator(
        Load(100), api.location, [Place(api.dns)], RegionMap(lambda: ADDRESSES), stopwatch(),
        TIMEOUT_SECONDS, _begun=Begun(),
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        generator.start()

    generator.stop()

    begins.set()
    assert not generator._thread.is_alive()


def test_requests_are_due_evenly_by_the_clock_of_the_drill(api):
    generator = api.load(50)
    wait_until(lambda: len(generator.traffic().calls) >= 20)
    generator.stop()

    due = sorted(call.due_at for call in generator.traffic().calls)
    assert [b - a for a, b in pairwise(due)] == pytest.approx([1 / 50] * (len(due) - 1))
    assert all(call.begun_at >= call.due_at for call in generator.traffic().calls)


def test_a_generator_that_stalls_shows_how_late_its_requests_began(api):
    stalled = []

    def resolve(_name):
        return DnsAnswer(("127.0.0.1",), 3600)

    class Regions(RegionMap):
        def learn(self, *given):
            if not stalled:
                stalled.append(1)
                # In the event loop: nothing else is done meanwhile.
                time.sleep(3 * LATE_SECONDS)
            super().learn(*given)

    generator = api.load(100, places=[Place(resolve)])
    generator.stop()
    generator = Generator(
        Load(100), api.location, [Place(resolve)], Regions(lambda: ADDRESSES), stopwatch(), 60
    )
    generator.start()
    wait_until(lambda: len(generator.traffic().calls) >= 40)
    generator.stop()

    lags = [call.begun_at - call.due_at for call in generator.traffic().calls]
    assert max(lags) > LATE_SECONDS


def test_a_machine_that_does_not_follow_ends_the_load_and_not_the_drill(api, monkeypatch):
    monkeypatch.setattr(load_generator, "OVERLOAD_SECONDS", 0.0)
    generator = api.load(200, "burst")

    wait_until(lambda: generator.traffic().is_overload)
    wait_until(lambda: len({each.ended_at for each in generator.traffic().calls}) > 0)
    sent = len(api.east.calls)
    time.sleep(0.2)

    assert len(api.east.calls) <= sent + 1
    assert generator.traffic().stopped == ""


def test_dns_is_asked_once_while_an_answer_lives_and_all_wait_for_one_question(api):
    answered = threading.Event()

    def resolve(name):
        answer = api.dns(name)
        assert answered.wait(PATIENCE_SECONDS)
        return answer

    generator = api.load(200, places=[Place(resolve)])
    wait_until(lambda: len(asyncio.all_tasks(generator._loop)) >= 20)
    answered.set()
    wait_until(lambda: len(generator.traffic().calls) >= 50)
    generator.stop()

    assert api.dns.asked == 1
    assert fates(generator).keys() == {"ok"}


def test_an_answer_that_has_expired_is_asked_for_again(api):
    api.dns.answer = DnsAnswer(("127.0.0.1",), 0)
    generator = api.load(50)
    wait_until(lambda: api.dns.asked >= 5)
    generator.stop()

    assert fates(generator).keys() == {"ok"}


def test_a_name_without_an_address_is_a_failed_request_and_is_not_cached(api):
    api.dns.answer = DnsAnswer(error="SERVFAIL")
    generator = api.load(50)
    wait_until(lambda: fates(generator)["unreachable"] >= 5)
    api.dns.answer = DnsAnswer(("127.0.0.1",), 3600)
    wait_until(lambda: fates(generator)["ok"] >= 5)
    generator.stop()

    assert {each.region for each in generator.traffic().attempts} == {"", EAST}


def test_connections_are_kept_until_the_answer_changes_and_then_closed(api):
    api.dns.answer = DnsAnswer(("127.0.0.1",), 0)
    generator = api.load(50)
    wait_until(lambda: len(api.east.calls) >= 50)
    assert api.east.connections < len(api.east.calls)
    assert api.east.closed < api.east.connections

    api.dns.answer = DnsAnswer(("127.0.0.2",), 0)
    wait_until(lambda: len(api.west.calls) >= 20)
    wait_until(lambda: api.east.closed == api.east.connections)
    called = len(api.east.calls)
    more = len(api.west.calls) + 10
    wait_until(lambda: len(api.west.calls) >= more)
    assert len(api.east.calls) == called
    generator.stop()

    assert fates(generator).keys() == {"ok"}
    assert {each.region for each in generator.traffic().attempts} == {EAST, WEST}


def test_a_request_on_its_way_is_let_finish_when_the_answer_changes(api):
    api.dns.answer = DnsAnswer(("127.0.0.1",), 0)
    api.east.held = True
    generator = api.load(20)
    wait_until(lambda: len(api.east.calls) >= 5)

    api.dns.answer = DnsAnswer(("127.0.0.2",), 0)
    wait_until(lambda: len(api.west.calls) >= 5)
    api.east.release()
    wait_until(lambda: sum(a.region == EAST for a in generator.traffic().attempts) >= 5)
    generator.stop()

    assert fates(generator).keys() == {"ok"}


def test_customers_of_every_place_take_turns(api):
    east, west = Dns(), Dns()
    west.answer = DnsAnswer(("127.0.0.2",), 3600)
    generator = api.load(100, places=[Place(east, EAST), Place(west, WEST)])
    wait_until(lambda: len(generator.traffic().calls) >= 40)
    generator.stop()

    by_region = Counter(each.region for each in generator.traffic().attempts)
    assert abs(by_region[EAST] - by_region[WEST]) <= 1
    assert {(w.near, w.region) for w in generator.traffic().writes} == {(EAST, EAST), (WEST, WEST)}


@pytest.mark.parametrize(
    ("status", "fate"),
    [(429, "throttled"), (500, "server_error"), (503, "server_error"), (403, "rejected"),
     (302, "rejected")],
)  # fmt: skip
def test_what_becomes_of_a_request_follows_from_its_status(api, status, fate):
    api.east.status = status
    generator = api.load(100)
    wait_until(lambda: len(generator.traffic().calls) >= 10)
    generator.stop()

    assert fates(generator).keys() == {fate}
    assert {each.region for each in generator.traffic().attempts} == {EAST}


def test_a_response_with_another_body_than_the_right_one_is_wrong(api):
    api.east.body = {"message": "sign in"}
    generator = api.load(100)
    wait_until(lambda: len(generator.traffic().calls) >= 10)
    generator.stop()

    assert fates(generator).keys() == {"wrong"}


def test_a_region_that_hangs_is_a_time_out_of_that_region(api):
    api.east.held = True
    generator = api.load(50, timeout=0.2)
    wait_until(lambda: len(generator.traffic().calls) >= 10)
    generator.stop()

    assert fates(generator).keys() == {"time_out"}
    assert {EAST} == {each.region for each in generator.traffic().attempts if each.region}


def test_an_address_that_refuses_connections_is_unreachable(api):
    api.dns.answer = DnsAnswer(("127.0.0.3",), 3600)
    generator = api.load(50)
    wait_until(lambda: len(generator.traffic().calls) >= 10)
    generator.stop()

    assert fates(generator).keys() == {"unreachable"}


def test_what_this_machine_has_run_out_of_is_no_failure_of_the_api(api, monkeypatch):
    async def exhausted(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(load_generator._Connections, "resolve", exhausted)
    generator = api.load(50)
    wait_until(lambda: len(generator.traffic().calls) >= 5)
    generator.stop()

    assert fates(generator).keys() == {"local"}


def test_a_steady_load_leaves_a_failure_alone_and_a_burst_tries_again(api, monkeypatch):
    monkeypatch.setattr("ops.drill.load.FIRST_WAIT_SECONDS", 0.01)
    api.east.statuses = [503, 429] * 5
    generator = api.load(50, "burst")
    wait_until(lambda: len(generator.traffic().calls) >= 20)
    generator.stop()

    traffic = generator.traffic()
    finished = [call for call in traffic.calls if call.is_finished]
    assert {call.fate for call in finished} == {"ok"}
    assert sum(call.attempts - 1 for call in finished) == 10
    assert len(traffic.attempts) == sum(call.attempts for call in traffic.calls)
    assert fates(generator)["server_error"] == fates(generator)["throttled"] == 5

    api.east.statuses = [503] * 5
    steady = api.load(50)
    wait_until(lambda: len(steady.traffic().calls) >= 10)
    steady.stop()
    assert fates(steady)["server_error"] == 5
    assert {call.attempts for call in steady.traffic().calls} == {1}


def test_a_burst_gives_up_after_its_attempts(api, monkeypatch):
    monkeypatch.setattr("ops.drill.load.FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr("ops.drill.load.LONGEST_WAIT_SECONDS", 0.001)
    api.east.status = 503
    generator = api.load(5, "burst")
    wait_until(lambda: len(generator.traffic().calls) >= 3)
    generator.stop()

    assert {call.attempts for call in generator.traffic().calls if call.is_finished} == {10}


def test_those_whom_an_outage_kept_waiting_come_to_the_next_region_at_once(api, monkeypatch):
    """What the profile burst is for."""
    monkeypatch.setattr("ops.drill.load.LONGEST_WAIT_SECONDS", 1.0)
    api.dns.answer = DnsAnswer(("127.0.0.3",), 0)
    generator = api.load(50, "burst")
    wait_until(lambda: fates(generator)["unreachable"] >= 50)
    assert generator.traffic().calls == ()
    moved_at = generator.clock()
    api.dns.answer = DnsAnswer(("127.0.0.2",), 0)
    wait_until(lambda: sum(c.due_at < moved_at for c in generator.traffic().calls) >= 25)
    generator.stop()

    calls = generator.traffic().calls
    served = [call for call in calls if call.due_at < moved_at and call.is_finished]
    assert len(served) >= 20
    assert {call.fate for call in served} == {"ok"}
    assert sum(call.attempts > 1 for call in served) >= 20


def test_writes_of_a_load_are_looked_for_like_those_of_the_other_customers(api):
    generator = api.load(100)
    wait_until(lambda: len(generator.traffic().writes) >= 3)
    generator.stop()
    writes = generator.traffic().writes
    lost, *stored = writes

    held = {write.key: (write.value,) for write in stored}
    at = writes[-1].answered_at + 100
    readings = [Seen(WEST, at, at, held)]
    found = assess(writes, readings, [WEST])

    assert found.acknowledged == len(writes)
    assert [*found.keys("lost")] == [lost.key]


def test_a_write_without_a_response_is_unknown_also_if_a_retry_was_refused():
    unknown = Request("write", 0, 1, key="k")
    refused = Request("write", 0, 1, 429, key="k")
    stored = Request("write", 0, 1, 200, key="k")

    assert _better_known(unknown, refused) == unknown
    assert _better_known(unknown, stored) == stored
    assert _better_known(refused, unknown) == unknown
    assert _better_known(refused, refused) == refused


def test_the_ledger_has_what_is_known_of_all_attempts_of_a_write(api, monkeypatch):
    monkeypatch.setattr("ops.drill.load.FIRST_WAIT_SECONDS", 0.001)
    tried = Counter()

    async def send(_customers, request):
        tried[request.sent_at] += 1
        if tried[request.sent_at] == 1:
            return "time_out", replace(request, error="TimeoutError: no response")
        return "rejected", replace(request, status=400, region=EAST)

    monkeypatch.setattr(load_generator._Customers, "send", send)
    generator = api.load(200, "burst")
    wait_until(lambda: len(generator.traffic().writes) >= 2)
    generator.stop()

    writes = [write for write in generator.traffic().writes if tried[write.sent_at] > 1]
    assert writes
    assert all(write.is_unknown for write in writes)
    assert all(write.answered_at > write.sent_at for write in writes)


def test_what_has_no_response_when_the_drill_ends_is_unfinished_and_its_writes_unknown(
    api, monkeypatch
):
    monkeypatch.setattr(load_generator, "STOP_SECONDS", 1)
    api.east.held = True
    generator = api.load(100)
    wait_until(lambda: len(api.east.calls) >= 20)
    generator.timeout_seconds = 0.1
    generator.stop()

    traffic = generator.traffic()
    assert len(traffic.calls) >= 20
    open_calls = [call for call in traffic.calls if not call.is_finished]
    assert len(open_calls) >= 20
    kinds = [kind_of(number) for number in range(len(traffic.calls))]
    assert len(traffic.writes) == kinds.count("write") > 0
    assert all(write.is_unknown for write in traffic.writes)


def test_customers_of_a_region_without_a_fault_are_not_harmed_for_long(api):
    api.east.status = 503
    generator = api.load(100, protected=(EAST,))
    wait_until(lambda: generator.traffic().stopped)
    sent = len(api.east.calls)
    time.sleep(0.3)

    assert "requests failed in us-east-1, where it may harm other customers" in (
        generator.traffic().stopped
    )
    assert len(api.east.calls) <= sent + 20
    generator.stop()


def test_a_region_with_a_fault_stops_no_load(api):
    api.east.status = 503
    generator = api.load(200, protected=(WEST,))
    wait_until(lambda: len(generator.traffic().calls) >= 60)
    generator.stop()

    assert generator.traffic().stopped == ""


def test_a_load_that_cannot_continue_says_so(api, monkeypatch):
    monkeypatch.setattr(Load, "due", lambda *_: 1 / 0)
    generator = api.load(10)
    generator.stop()

    assert "ZeroDivisionError" in generator.traffic().stopped


def test_too_many_under_way_are_counted_and_not_sent(api, monkeypatch):
    monkeypatch.setattr(load_generator, "MOST_UNDER_WAY", 5)
    api.east.held = True
    generator = api.load(100)
    wait_until(lambda: generator.traffic().skipped >= 5)
    api.east.release()
    generator.stop()

    assert len(api.east.calls) >= 5
