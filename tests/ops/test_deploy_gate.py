"""A gate lets a release continue only if the Region serves: right, fast, and for a while."""

import json
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from fake_environment import EAST, WEST, environment

from ops.deploy.gate import MOST_FAILED, WATCH_SECONDS, RegionGate, failed_checks
from ops.deploy.transaction import Transaction, Transactor
from ops.drill.probe_location import ProbeLocation, key_of
from ops.http_client import Response
from ops.verify.finding import failed, region_check, unreadable

pytestmark = pytest.mark.unit

GOOD = Transaction(0.1, published=True)
BAD = Transaction(0.1, "us-west-2: GET /locations: 500")
LIMITED = Transaction(0.1, "429", is_limited=True)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Scripted:
    """Transactions in the order of the test; the last one again and again."""

    def __init__(self, *found):
        self.found, self.done = list(found), 0

    def run(self):
        self.done += 1
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


def gate(*found, checks=lambda *_: (), versions=lambda _: "", alarms=lambda *_: (), **changes):
    clock, scripted = Clock(), Scripted(*found)
    made = RegionGate(
        environment(**changes),
        lambda *_: scripted,
        checks,
        versions,
        lambda *each: frozenset(alarms(*each)),
        clock=clock,
        sleep=clock.sleep,
    )
    return made, scripted


WEST_STACK = f"production-{WEST}"


def test_a_region_that_serves_for_the_whole_time_passes():
    made, scripted = gate(GOOD)

    result = made.check(WEST_STACK, 10)

    assert result.passed
    assert result.found == f"{WEST}: 6 of 6 transactions passed, as a publisher and a customer"
    assert scripted.done == 6
    assert result.figures[f"{WEST} median milliseconds"] == 100


def test_a_function_that_always_fails_is_found_at_once():
    made, scripted = gate(BAD)

    result = made.check(WEST_STACK, 3600)

    assert not result.passed
    assert scripted.done == MOST_FAILED + 1
    assert BAD.problem in result.found


def test_a_function_that_fails_now_and_then_is_found_while_it_bakes():
    made, _ = gate(*[GOOD, BAD] * 10, GOOD)

    assert not made.check(WEST_STACK, 60).passed


def test_a_function_that_fails_at_first_passes():
    made, _ = gate(*[BAD] * MOST_FAILED, GOOD)

    assert made.check(WEST_STACK, 10).passed
    assert not gate(*[BAD] * (MOST_FAILED + 1), GOOD)[0].check(WEST_STACK, 10).passed


def test_without_time_one_good_transaction_is_required():
    assert gate(GOOD)[0].check(WEST_STACK, 0).passed
    assert gate(BAD, GOOD)[0].check(WEST_STACK, 0).passed
    assert not gate(BAD)[0].check(WEST_STACK, 0).passed


@pytest.mark.parametrize(("after", "passes"), [(0.7, True), (0.9, False)])
def test_a_region_that_has_become_slow_fails(after, passes):
    made, _ = gate(*[GOOD] * 5, replace(GOOD, seconds=after))

    made.prepare(WEST_STACK)

    assert made.check(WEST_STACK, 10).passed is passes


def test_limits_of_the_customer_are_no_failure_and_no_success():
    assert gate(LIMITED, LIMITED, LIMITED, GOOD)[0].check(WEST_STACK, 1).passed
    assert not gate(LIMITED)[0].check(WEST_STACK, 1).passed


def test_a_check_that_fails_only_at_first_passes():
    found = iter([("broken",), ("broken",), ()])
    assert gate(GOOD, checks=lambda *_: next(found))[0].check(WEST_STACK, 0).passed

    result = gate(GOOD, checks=lambda *_: ("broken",))[0].check(WEST_STACK, 0)
    assert (result.passed, result.found) == (False, "broken")


def test_the_checks_take_nothing_of_the_bake_time():
    def checks(*_):
        made.sleep(100)
        return ()

    made, scripted = gate(GOOD, checks=checks)

    assert made.check(WEST_STACK, 10).figures[f"{WEST} seconds"] == 110
    assert scripted.done == 6


def test_an_alarm_that_goes_off_while_it_bakes_fails():
    on = iter([["old"], ["old"], ["old", "errors"]])
    made, _ = gate(GOOD, alarms=lambda *_: next(on))
    made.prepare(WEST_STACK)

    result = made.check(WEST_STACK, 3600)

    assert (result.passed, result.found) == (False, f"{WEST}: in the state ALARM: errors")
    assert made.clock() == 2 * WATCH_SECONDS


def test_an_alarm_that_was_on_before_passes_and_without_time_none_is_read():
    made, _ = gate(GOOD, alarms=lambda *_: ["old"])
    assert made.check(WEST_STACK, 0).passed
    assert not made.check(WEST_STACK, 1).passed

    made.prepare(WEST_STACK)
    assert made.check(WEST_STACK, 1).passed


def test_a_version_that_ends_with_errors_fails():
    made, _ = gate(GOOD, versions=lambda region: f"{region}: 1 of 9 invocations")

    assert made.check(WEST_STACK, 1).found == f"{WEST}: 1 of 9 invocations"


def test_a_gate_looks_at_the_regions_of_its_stack_only():
    looked = []

    def checks(_, region):
        looked.append(region)
        return ()

    made, scripted = gate(GOOD, checks=checks)
    assert made.check("production-data", 9).passed
    assert (looked, scripted.done) == ([], 0)

    made.check(f"production-{EAST}", 0)
    assert set(looked) == {EAST}

    looked.clear()
    made.check("production", 0)
    assert set(looked) == {EAST, WEST}


def test_the_checks_of_verify_are_those_of_one_region():
    @region_check("region.sample")
    def sample(environment, region):
        yield failed(region, "is broken", "fix it")

    assert failed_checks(environment(), WEST, [sample]) == (f"region.sample of {WEST}: is broken",)


def test_after_the_routing_the_domain_name_must_be_served():
    def serves(response):
        network = SimpleNamespace(request=lambda *_: response)
        made, _ = gate(GOOD)
        made.environment = SimpleNamespace(
            name="production", primary=EAST, network=network, outputs=environment().outputs
        )
        return made.check("production-routing", 9)

    assert serves(Response(200, region=EAST)).found == f"{EAST} (primary) serves customers now"
    assert not serves(Response(503, region=EAST)).passed
    assert not serves(Response(None, error="no address")).passed


NO_CUSTOMERS = {"outputs": {"customers": []}}


def test_without_customers_the_checks_are_repeated_for_the_whole_time():
    made, scripted = gate(GOOD, **NO_CUSTOMERS)
    made.prepare(WEST_STACK)

    result = made.check(WEST_STACK, 9)

    assert result.passed
    assert result.found == f"{WEST}: 6 of 6 rounds of checks passed; without a customer, no " + (
        "transaction"
    )
    assert made.clock() == 10
    assert scripted.done == 0


def test_without_customers_what_fails_while_it_bakes_is_found():
    found = iter([()] * 9 + [("region.url: 500",)] * 9)
    made, _ = gate(GOOD, checks=lambda *_: next(found), **NO_CUSTOMERS)

    result = made.check(WEST_STACK, 3600)

    assert (result.passed, "region.url: 500" in result.found) == (False, True)

    on = iter([["old"], ["old"], ["old", "errors"]])
    made, _ = gate(GOOD, alarms=lambda *_: next(on), **NO_CUSTOMERS)
    made.prepare(WEST_STACK)
    assert made.check(WEST_STACK, 3600).found == f"{WEST}: in the state ALARM: errors"

    made, _ = gate(GOOD, versions=lambda region: f"{region}: 1 of 9 invocations", **NO_CUSTOMERS)
    assert made.check(WEST_STACK, 3600).found == f"{WEST}: 1 of 9 invocations"


@pytest.mark.parametrize(("changes", "passes"), [({}, True), (NO_CUSTOMERS, False)])
def test_without_customers_a_region_that_cannot_be_reached_has_failed(changes, passes):
    @region_check("region.sample")
    def sample(_, region):
        yield unreadable(region, "no Region can be reached", "")

    assert (failed_checks(environment(**changes), WEST, [sample]) == ()) is passes


def test_of_a_stack_with_several_regions_one_alone_can_be_checked():
    looked = []
    made, _ = gate(GOOD, checks=lambda _, region: looked.append(region) or ())

    assert made.check("production", 0, WEST).found.startswith(f"{WEST}: ")
    assert looked == [WEST]


class Api:
    """The API of one Region."""

    def __init__(self, **faults):
        self.locations = {"drill-00000001"}
        self.observations = {}
        self.faults = faults
        self.hosts = set()

    def request(self, method, url, *, headers=None, body=None, timeout_seconds=None):
        parts = urlsplit(url)
        self.hosts.add(parts.hostname)
        path = parts.path.removeprefix("/v1")
        signed = "Authorization" in (headers or {})
        if method == "GET":
            assert headers == {"x-api-key": "a-customers-key-1234567890"}
        else:
            assert signed
        *_, last = path.split("/")
        operation = "weather" if last in self.locations else last
        operation = operation if method == "GET" else method
        if operation in self.faults:
            fault = self.faults[operation]
            return fault if isinstance(fault, Response) else fault(self)
        status, value = self._served(method, path, operation, body)
        return Response(status, body=json.dumps(value))

    def _served(self, method, path, operation, body):
        key = path.rpartition("/")[2]
        if method == "PUT":
            self.observations[key] = json.loads(body)["temperature_celsius"]
            return 201, {}
        if method == "DELETE":
            self.observations.pop(key)
            return 204, None
        if operation == "locations":
            named = [{"location": each, "name": "Failover drill"} for each in self.locations]
            return 200, {"locations": named, "next_cursor": None}
        if operation == "weather":
            return 200, {"temperature_celsius": self.observations[max(self.observations)]}
        listed = [
            {"observed_at": key, "temperature_celsius": value}
            for key, value in self.observations.items()
        ]
        return 200, {"observations": listed, "next_cursor": None}


def transactor(api, **changes):
    seconds = count()
    made = environment(network=api)
    changes = {"_location": ProbeLocation(made, "drill-00000001")} | changes
    return Transactor(made, WEST, clock=lambda: float(next(seconds)), **changes)


def test_a_transaction_reads_what_it_wrote_in_its_own_region_and_removes_it():
    api = Api()

    assert transactor(api).run() == Transaction(1.0, published=True)
    assert api.observations == {}
    assert api.hosts == {f"west.execute-api.{WEST}.amazonaws.com"}


def test_what_a_killed_transaction_has_left_is_removed():
    api = Api()
    api.observations[key_of(5)] = 1
    made = RegionGate(environment(network=api))

    made.clean()

    assert api.observations == {}


def test_a_region_that_does_not_list_what_is_left_keeps_nobody_from_resuming():
    RegionGate(environment(network=Api(locations=Response(503)))).clean()
    RegionGate(environment(network=Api(), outputs={"customers": []})).clean()


def test_a_transaction_needs_no_other_region_to_know_the_location_of_drills():
    api = Api()

    assert transactor(api, _location=None).run().published
    assert api.hosts == {f"west.execute-api.{WEST}.amazonaws.com"}


WRONG = {
    "weather": Response(200, body='{"temperature_celsius": -273.15}'),
    "observations": Response(200, body='{"observations": [], "next_cursor": null}'),
    "locations": Response(200, body="{}"),
}


@pytest.mark.parametrize("operation", WRONG)
def test_an_operation_that_answers_wrongly_with_200_is_found(operation):
    api = Api(**{operation: WRONG[operation]})

    found = transactor(api).run()

    assert "returned something else than was written: 200" in found.problem
    assert api.observations == {}


@pytest.mark.parametrize("operation", ["locations", "weather", "observations", "PUT", "DELETE"])
def test_an_operation_that_fails_is_found(operation):
    found = transactor(Api(**{operation: Response(500)})).run()

    assert found.problem.startswith(f"{WEST}: ")
    assert found.problem.endswith(": 500")


def test_an_operation_that_does_not_respond_is_found():
    assert "no response" in transactor(Api(weather=Response(None, error="timed out"))).run().problem


def test_credentials_that_may_not_publish_leave_the_customers_part():
    api = Api(PUT=Response(403))

    assert transactor(api).run() == Transaction(1.0)


def test_a_permission_that_is_lost_is_found():
    api = Api()
    made = transactor(api)
    made.run()
    api.faults["PUT"] = Response(403)

    assert made.run().problem.endswith(": 403")


def test_a_limit_is_known_as_such():
    assert transactor(Api(locations=Response(429))).run().is_limited


def test_what_a_failed_transaction_left_is_older_than_what_the_next_one_reads():
    api = Api(DELETE=Response(500))
    times = iter([1_000_000.0, 1_000_002.0])
    made = transactor(api, time_of_day=lambda: next(times))
    assert made.run().problem
    api.faults.clear()

    assert not made.run().problem
