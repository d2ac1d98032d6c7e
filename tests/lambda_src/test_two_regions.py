"""Rules of two Regions that write at once: nothing acknowledged is lost, and both agree in the end.

The global table is a fake: two replicas, each with its own items. A write takes effect in its own
replica at once and reaches the other one whenever a step of the test delivers it, in any order. The
later write of an item wins. Clocks of the Regions differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import delete_observation
import get_weather
import list_locations
import list_observations
import put_location
import put_observation
from weather import model, repository

pytestmark = pytest.mark.unit

REGIONS = ("eu-central-1", "eu-west-1")
TIMES = ("2026-01-31T06:00:00Z", "2026-01-31T07:00:00Z")
BODIES = tuple({"temperature_celsius": degrees} for degrees in (1, 2, 3))

Item = dict[str, dict[str, str]]
Stamp = tuple[int, str]


class Replica:
    """One Region's replica, with the calls of the low-level client that the service makes.

    It understands the one key condition of the repository, and always reads consistently.
    """

    def __init__(self, table: "GlobalTable", region: str) -> None:
        self.table = table
        self.region = region
        self.versions: dict[model.Key, tuple[Stamp, Item | None]] = {}

    def apply(self, key: model.Key, stamp: Stamp, item: Item | None) -> None:
        """Take a version in; the later one wins, and None removes."""
        standing = self.versions.get(key)
        if standing is None or standing[0] < stamp:
            self.versions[key] = (stamp, item)

    def items(self) -> dict[model.Key, Item]:
        """What the replica holds, in the order of keys."""
        return {k: item for k, (_, item) in sorted(self.versions.items()) if item is not None}

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """Read one item."""
        assert arguments["ConsistentRead"]
        item = self.items().get(key_of(arguments["Key"]))
        return {"Item": item} if item else {}

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Read a range of sort keys."""
        assert arguments["ConsistentRead"]
        assert arguments["KeyConditionExpression"] == "pk = :pk AND sk BETWEEN :lowest AND :highest"
        values = {k: v["S"] for k, v in arguments["ExpressionAttributeValues"].items()}
        found = [
            item
            for key, item in self.items().items()
            if key.pk == values[":pk"] and values[":lowest"] <= key.sk <= values[":highest"]
        ]
        ordered = found if arguments["ScanIndexForward"] else found[::-1]
        return {"Items": ordered[: arguments.get("Limit")]}

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """Write one item."""
        old = self.items().get(key_of(arguments["Item"]))
        self.table.write(self, key_of(arguments["Item"]), arguments["Item"])
        return {"Attributes": old} if old and arguments.get("ReturnValues") == "ALL_OLD" else {}

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """Remove one item."""
        self.table.write(self, key_of(arguments["Key"]), None)
        return {}


class GlobalTable:
    """Two replicas and the writes still under way between them."""

    def __init__(self, skew: int = 0) -> None:
        self.skew = {REGIONS[0]: 0, REGIONS[1]: skew}
        self.clock = 0
        self.replicas = {region: Replica(self, region) for region in REGIONS}
        self.under_way: list[tuple[str, model.Key, Stamp, Item | None]] = []

    def write(self, replica: Replica, key: model.Key, item: Item | None) -> None:
        """Write in one Region, and send the write on its way to the other."""
        self.clock += 1
        stamp = (self.clock + self.skew[replica.region], replica.region)
        replica.apply(key, stamp, item)
        (other,) = set(REGIONS) - {replica.region}
        self.under_way.append((other, key, stamp, item))

    def deliver(self, number: int) -> None:
        """Let one of the writes under way arrive."""
        if self.under_way:
            region, *version = self.under_way.pop(number % len(self.under_way))
            self.replicas[region].apply(*version)

    def settle(self) -> None:
        """Let all writes under way arrive, the last one first."""
        while self.under_way:
            self.deliver(-1)


def key_of(item: Item) -> model.Key:
    """The key of an item."""
    return model.Key(item["pk"]["S"], item["sk"]["S"])


@contextmanager
def at(table: GlobalTable, region: str) -> Iterator[None]:
    """Run the operations in a Region."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "client", table.replicas[region])
        patch.setenv("AWS_REGION", region)
        yield


def registered(call, skew: int = 0) -> GlobalTable:
    """A global table with one location, known in both Regions."""
    table = GlobalTable(skew)
    body = {"name": "Paris", "latitude_degrees": 48.9, "longitude_degrees": 2.4}
    with at(table, REGIONS[0]):
        assert call(put_location, path={"location": "paris"}, body=body).status == 201
    table.settle()
    return table


def everything_shown(call, table: GlobalTable, region: str) -> list[Any]:
    """All that the API shows in a Region."""
    path = {"location": "paris"}
    with at(table, region):
        answers = [
            call(list_locations),
            call(list_observations, path=path, query={"limit": "100"}),
            call(get_weather, path=path),
        ]
    for answer in answers:
        assert answer.headers["X-Served-By-Region"] == region
        if answer.status != 200:
            answer.document.pop("instance")
    return [(answer.status, answer.document) for answer in answers]


REGION = st.sampled_from(REGIONS)
TIME = st.sampled_from(TIMES)
BODY = st.sampled_from(BODIES)
PUT = st.tuples(st.just("put"), REGION, TIME, BODY)
DELETE = st.tuples(st.just("delete"), REGION, TIME, st.none())
DELIVER = st.tuples(st.just("deliver"), st.integers(0, 9), st.none(), st.none())
SKEW = st.integers(-3, 3)
SPLIT = [
    ("put", REGIONS[0], TIMES[0], BODIES[0]),
    ("put", REGIONS[1], TIMES[0], BODIES[1]),
]


@given(st.lists(PUT | DELIVER, max_size=12), SKEW)
@example(SPLIT, 0)
def test_no_acknowledged_observation_is_lost(call, steps, skew) -> None:
    # GIVEN two Regions that take observations while replication is late and out of order
    table = registered(call, skew)
    acknowledged = set()
    for kind, where, time, body in steps:
        if kind == "deliver":
            table.deliver(where)
            continue
        with at(table, where):
            answer = call(
                put_observation, path={"location": "paris", "observed_at": time}, body=body
            )
        assert answer.status in (200, 201, 409)
        if answer.status != 409:
            acknowledged.add((time, answer.document["observation_id"]))
    # WHEN replication has caught up
    table.settle()
    # THEN both Regions list all that was acknowledged, and nothing else
    for region in REGIONS:
        _, (_, listing), _ = everything_shown(call, table, region)
        shown = [(o["observed_at"], o["observation_id"]) for o in listing["observations"]]
        assert shown == sorted(acknowledged)


@given(st.lists(PUT | DELETE | DELIVER, max_size=12), SKEW)
@example(SPLIT, 0)
def test_both_regions_converge_to_the_same_answers(call, steps, skew) -> None:
    # GIVEN two Regions that take and remove observations, replaced locations among them
    table = registered(call, skew)
    for kind, where, time, body in steps:
        path = {"location": "paris", "observed_at": time}
        if kind == "deliver":
            table.deliver(where)
            continue
        with at(table, where):
            if kind == "delete":
                assert call(delete_observation, path=path).status == 204
            else:
                assert call(put_observation, path=path, body=body).status in (200, 201, 409)
            location = {"name": f"{where} {time}", "latitude_degrees": 1, "longitude_degrees": 2}
            assert call(put_location, path=path, body=location).status == 200
    # WHEN replication has caught up
    table.settle()
    # THEN both Regions give the same answers
    first, second = (everything_shown(call, table, region) for region in REGIONS)
    assert first == second


def test_two_bodies_for_one_time_both_stay_and_a_third_is_rejected(call) -> None:
    # GIVEN two Regions that accepted different bodies for one time
    table = registered(call)
    path = {"location": "paris", "observed_at": TIMES[0]}
    ids = []
    for region, body in zip(REGIONS, BODIES, strict=False):
        with at(table, region):
            answer = call(put_observation, path=path, body=body)
        assert (answer.status, answer.document["created"]) == (201, True)
        ids.append(answer.document["observation_id"])
    # WHEN replication has caught up
    table.settle()
    # THEN in both Regions both are listed, the larger id is the weather, either may be repeated,
    # and a third is refused
    for region in REGIONS:
        _, (_, listing), (_, weather) = everything_shown(call, table, region)
        assert [each["observation_id"] for each in listing["observations"]] == sorted(ids)
        assert weather["observation_id"] == max(ids)
        with at(table, region):
            statuses = [call(put_observation, path=path, body=body).status for body in BODIES]
        assert statuses == [200, 200, 409]
    # AND one delete removes both
    with at(table, REGIONS[1]):
        assert call(delete_observation, path=path).status == 204
    table.settle()
    assert len(table.replicas[REGIONS[0]].items()) == 1


def test_a_put_repeated_in_the_other_region_is_the_same_observation(call) -> None:
    # GIVEN a write whose Region failed before its answer, and before replication
    table = registered(call)
    path = {"location": "paris", "observed_at": TIMES[0]}
    statuses = []
    # WHEN it is repeated in the other Region, and once more after replication
    for region in REGIONS:
        with at(table, region):
            statuses.append(call(put_observation, path=path, body=BODIES[0]).status)
    table.settle()
    with at(table, REGIONS[0]):
        statuses.append(call(put_observation, path=path, body=BODIES[0]).status)
    # THEN it succeeds each time, and there is one observation
    assert statuses == [201, 201, 200]
    assert len(table.replicas[REGIONS[0]].items()) == 2


def test_a_delete_repeated_in_the_other_region_succeeds(call) -> None:
    # GIVEN an observation deleted in one Region
    table = registered(call)
    path = {"location": "paris", "observed_at": TIMES[0]}
    with at(table, REGIONS[0]):
        call(put_observation, path=path, body=BODIES[0])
    table.settle()
    # WHEN the delete is repeated in the other one, before and after replication
    statuses = []
    for region in (*REGIONS, REGIONS[1]):
        with at(table, region):
            statuses.append(call(delete_observation, path=path).status)
    table.settle()
    # THEN it succeeds each time, and nothing comes back
    assert statuses == [204, 204, 204]
    assert len(table.replicas[REGIONS[0]].items()) == 1


@given(st.sets(st.integers(0, 59), min_size=1, max_size=20), st.integers(1, 7), st.data())
def test_paging_goes_on_in_the_other_region(call, minutes, limit, data) -> None:
    # GIVEN observations that both Regions hold
    table = registered(call)
    times = [f"2026-01-31T06:{minute:02}:00Z" for minute in sorted(minutes)]
    with at(table, REGIONS[0]):
        for time in times:
            path = {"location": "paris", "observed_at": time}
            assert call(put_observation, path=path, body=BODIES[0]).status == 201
    table.settle()
    # WHEN each page is asked for in any Region
    shown: list[str] = []
    query: dict[str, str] = {"limit": str(limit)}
    while True:
        with at(table, data.draw(REGION)):
            answer = call(list_observations, path={"location": "paris"}, query=query)
        shown += [each["observed_at"] for each in answer.document["observations"]]
        if answer.document["next_cursor"] is None:
            break
        query["cursor"] = answer.document["next_cursor"]
    # THEN every observation comes once, in order
    assert shown == times


def test_the_fake_answers_like_dynamodb(table, call, monkeypatch) -> None:
    # GIVEN the same steps on the fake and on moto
    def run() -> list[Any]:
        answers = []
        location = {"name": "Paris", "latitude_degrees": 48.9, "longitude_degrees": 2.4}
        path = {"location": "paris"}
        answers += [call(put_location, path=path, body=location) for _ in range(2)]
        for time in (*TIMES, *TIMES):
            for body in BODIES:
                there = {**path, "observed_at": time}
                answers.append(call(put_observation, path=there, body=body))
        answers.append(call(list_observations, path=path, query={"limit": "1"}))
        cursor = answers[-1].document["next_cursor"]
        answers.append(call(list_observations, path=path, query={"cursor": cursor}))
        answers.append(call(get_weather, path=path))
        answers.append(call(delete_observation, path={**path, "observed_at": TIMES[1]}))
        answers += [call(get_weather, path=path), call(list_locations)]
        return answers

    # WHEN both have run
    real = run()
    monkeypatch.setattr(repository, "client", GlobalTable().replicas[REGIONS[0]])
    # THEN the answers are the same
    assert run() == real
