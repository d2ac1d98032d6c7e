"""Publishers of a drill: what they write and note, and what they know of what became of it."""

import itertools
from types import SimpleNamespace

import pytest

from ops.drill.events import Request
from ops.drill.expectation import Pace
from ops.drill.fault import DrillFault
from ops.drill.history import Seen
from ops.drill.probe_location import LOCATION_KEY, ProbeLocation, key_of
from ops.drill.publisher import (
    FIRST_OWN,
    FIRST_SHARED,
    Inside,
    Publisher,
    number_after,
    position_of,
    result_of,
)
from ops.drill.publishing import Publishing
from ops.fault_injection import INSIDE_HEADER
from ops.http_client import Response

pytestmark = pytest.mark.unit

EAST = "us-east-1"


class Route:
    def __init__(self, *responses):
        self.responses, self.sent = list(responses), []

    def send(self, method, path, body):
        self.sent.append((method, path, body))
        response = self.responses.pop(0) if self.responses else Response(200, EAST, "{}")
        if isinstance(response, Exception):
            raise response
        return response


def publisher(route, numbers=None, client="customers"):
    clock = itertools.count().__next__
    location = ProbeLocation(None, "drill-1")
    return Publisher(client, location, route, clock, 0.0, numbers or itertools.count(1))


def test_a_round_updates_adds_deletes_and_shares():
    route = Route()
    made = publisher(route)

    for number in range(3):
        made.round(number)

    kinds = [each.kind for each in made.operations()]
    assert kinds == ["update", "put", "put"] * 2 + ["update", "put", "delete", "put"]
    assert [method for method, *_ in route.sent][-2:] == ["DELETE", "PUT"]
    own = [each.key for each in made.operations() if each.kind == "put"][::2]
    deleted = [each.key for each in made.operations() if each.kind == "delete"]
    assert deleted == own[:1]
    assert all(each.ok and each.region == EAST for each in made.operations())
    times = [(each.sent_at, each.ended_at) for each in made.operations()]
    assert times == sorted(times)


def test_two_publishers_write_the_same_shared_keys_with_other_values():
    numbers = itertools.count(1)
    operations = []
    for client in ("customers", "inside"):
        made = publisher(Route(), numbers, client)
        made.round(0)
        operations += made.operations()

    shared = [each for each in operations if each.key == key_of(FIRST_SHARED)]
    assert [each.client for each in shared] == ["customers", "inside"]
    assert len({each.value for each in shared}) == 2
    updates = [each.value for each in operations if each.key == LOCATION_KEY]
    assert len({*updates}) == 2
    own = {each.key for each in operations} - {LOCATION_KEY, key_of(FIRST_SHARED)}
    assert len(own) == 2
    assert min(own) > key_of(FIRST_OWN)


@pytest.mark.parametrize(
    ("response", "result"),
    [
        (Response(200), "acknowledged"),
        (Response(204), "acknowledged"),
        (Response(409), "rejected"),
        (Response(503), "unknown"),
        (Response(None, error="ReadTimeoutError"), "unknown"),
        (Response(None, error="refused", unreachable=True), "rejected"),
    ],
)
def test_what_a_sender_knows(response, result):
    assert result_of(response) == result


def test_a_request_that_fails_in_an_unknown_way_is_unknown():
    made = publisher(Route(ValueError("unheard of")))

    made.round(0)

    assert [each.result for each in made.operations()][:2] == ["unknown", "acknowledged"]


def test_a_request_that_hangs_is_noted_as_unknown():
    made = publisher(SimpleNamespace(send=lambda *_: seen.extend(made.operations()) or Response(1)))
    seen = []

    made._update(0)

    assert [(each.kind, each.result) for each in seen] == [("update", "unknown")]


def test_updates_begin_after_those_of_earlier_drills_and_differ():
    assert (number_after(None), number_after(0.0), number_after(0.29)) == (1, 1, 30)
    positions = [position_of(number) for number in range(1, 9000)]
    assert len({*positions}) == len(positions)
    assert all(0 <= position <= 90 for position in positions)
    assert position_of(number_after(position_of(30)) - 1) == position_of(30)


class Isolating(DrillFault):
    serves_inside = True


def test_there_is_one_who_follows_dns_and_one_within_each_isolated_region_that_serves():
    faults = [Isolating(id="a", region=EAST), DrillFault(id="b", region="us-west-2")]
    readings = [Seen(EAST, 0.0, 0.0, {LOCATION_KEY: (0.29,)}), Seen("us-west-2", 0.0, 0.0, {})]

    made = Publishing.of(None, None, faults, readings, float, Pace(0.2, 1.0))

    assert [each.client for each in made.publishers] == ["customers", f"inside {EAST}"]
    assert next(made.publishers[0].numbers) == 30
    assert next(made.publishers[1].numbers) == 31


def test_there_is_one_within_a_region_that_is_fenced():
    faults = [DrillFault(id="a", region=EAST, fence=True)]

    made = Publishing.of(None, None, faults, [], float, Pace(0.2, 1.0))

    assert [each.client for each in made.publishers] == ["customers", f"inside {EAST}"]


def test_writes_of_customers_are_operations_too():
    requests = [
        Request("write", 1.0, 1.1, 201, EAST, key="a", value=1.5),
        Request("write", 0.5, 0.6, 409, EAST, key="b", value=1.5),
        Request("write", 2.0, 2.1, None, key="c", value=1.5, error="TimeoutError"),
        Request("read", 2.0, 2.1, 200),
    ]

    found = Publishing(()).operations(requests)

    assert [(each.key, each.result) for each in found] == [
        ("b", "rejected"), ("a", "acknowledged"), ("c", "unknown")
    ]  # fmt: skip


def test_a_publisher_within_a_region_calls_its_own_endpoint_and_says_where_it_is():
    calls = []

    def request(method, url, **options):
        calls.append((method, url, options["headers"][INSIDE_HEADER], options["timeout_seconds"]))
        return Response(201, EAST)

    environment = SimpleNamespace(
        region_url=lambda region: f"https://{region}.example.com/live",
        credentials=lambda: SimpleNamespace(access_key="a", secret_key="s", token=None),
        network=SimpleNamespace(request=request),
    )
    route = Inside(ProbeLocation(environment, "drill-1"), EAST, 2.0)

    assert route.send("PUT", "/locations/drill-1", {}).ok
    assert calls == [("PUT", f"https://{EAST}.example.com/live/locations/drill-1", EAST, 2.0)]
