"""What the fence does to the recovery point: the real operations, over the sandbox's replication.

Replication out of the primary stops, the primary is evacuated, and a publisher who knows it by its
own name goes on writing there. What it acknowledges from then on is missing in the Region that
serves: that is the RPO, in writes. The clock is the test's.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

import put_location
import put_observation
from sandbox.replication.engine import Replication
from weather import fence, replica, repository
from weather.model import evacuation_key

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
START = datetime(2026, 1, 31, tzinfo=UTC)
LAG, AFTER_DNS = 0.5, 180
PARIS = {"name": "Paris", "latitude_degrees": 48.9, "longitude_degrees": 2.4}
CUT, EVACUATED, END = 10, 20, 300
"""Seconds at which replication stops, the primary is evacuated, and the publisher stops."""


class World:
    """Two Regions, each with its functions, over one engine."""

    def __init__(self, monkeypatch, *, fenced):
        self.now, self.items = 0.0, {EAST: {}, WEST: {}}
        self.engine = Replication(self._store, lag=lambda: LAG, clock=lambda: self.now)
        self.engine.set_replicas("weather", [EAST, WEST], source=EAST)
        self.patch = monkeypatch
        self.clients = {region: Client(self, region) for region in (EAST, WEST)}
        self.fences = {
            region: fence.Fence(self.clients[region], region, 60, clock=lambda: self.now)
            if fenced
            else None
            for region in (EAST, WEST)
        }
        monkeypatch.setattr(
            replica, "is_past", lambda time: bool(time) and datetime.fromisoformat(time) <= self.day
        )

    @property
    def day(self):
        return START + timedelta(seconds=self.now)

    def _store(self, _table, region, key, item):
        if item is None:
            self.items[region].pop(key, None)
        else:
            self.items[region][key] = item

    def write(self, region, key, item):
        self._store("weather", region, key, item)
        self.engine.write("weather", region, key, item)

    def pass_to(self, now):
        self.now = now
        self.engine.deliver()

    def call(self, call, operation, region, **arguments):
        """Call an operation in a Region."""
        self.patch.setattr(repository, "client", self.clients[region])
        self.patch.setattr(fence, "_fence", self.fences[region])
        self.patch.setenv("AWS_REGION", region)
        return call(operation, **arguments)

    def evacuate(self, *, seconds, replicas):
        key = evacuation_key(EAST)
        at = (self.day + timedelta(seconds=seconds)).isoformat()
        texts = {"pk": key.pk, "sk": key.sk, "fence_after": at}
        for region in replicas:
            self.write(region, key, {name: {"S": text} for name, text in texts.items()})


@dataclass
class Client:
    """The calls of the low-level client that these operations make."""

    world: World
    region: str

    def _key(self, attributes):
        return attributes["pk"]["S"], attributes["sk"]["S"]

    def get_item(self, *, Key, **_):  # noqa: N803
        item = self.world.items[self.region].get(self._key(Key))
        return {"Item": item} if item else {}

    def put_item(self, *, Item, **_):  # noqa: N803
        self.world.write(self.region, self._key(Item), Item)
        return {}

    def query(self, *, ExpressionAttributeValues, **_):  # noqa: N803
        pk, low, high = (v["S"] for v in ExpressionAttributeValues.values())
        items = self.world.items[self.region]
        return {"Items": [items[k] for k in sorted(items) if k[0] == pk and low <= k[1] <= high]}


@dataclass
class Seen:
    """What a publisher saw.

    Attributes:
        missing: Seconds at which the primary acknowledged what the secondary never got.
        refused: Seconds at which the primary refused, and the secondary took it.
    """

    missing: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


def outage(monkeypatch, call, *, fenced, fence_seconds=0, replicas=(WEST, EAST), one_way=True):
    """Play it, and see what the publisher lost."""
    world, seen, acknowledged = World(monkeypatch, fenced=fenced), Seen(), {}
    body = {"temperature_celsius": 1}
    assert world.call(call, put_location, EAST, path={"location": "paris"}, body=PARIS).status < 300
    for second in range(1, END):
        world.pass_to(second)
        if second == CUT:
            ways = [(EAST, None)] if one_way else [(EAST, None), (None, EAST)]
            world.engine.pause("cut", ways)
        if second == EVACUATED:
            world.evacuate(seconds=fence_seconds, replicas=replicas)
        path = {
            "location": "paris",
            "observed_at": (START - timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        answer = world.call(call, put_observation, EAST, path=path, body=body)
        if answer.status == 503:
            assert answer.headers["Retry-After"] == "60"
            seen.refused.append(second)
            # As docs/how-to/retry-across-regions.md: the next Region.
            answer = world.call(call, put_observation, WEST, path=path, body=body)
        assert answer.status == 201
        acknowledged[second] = path["observed_at"]
    world.pass_to(END + 60)
    held = "".join(f"{key}" for key in world.items[WEST])
    seen.missing = [second for second, time in acknowledged.items() if time not in held]
    return seen


def test_without_a_fence_all_that_is_acknowledged_meanwhile_is_missing(monkeypatch, call):
    seen = outage(monkeypatch, call, fenced=False)

    # What was written in the half second before the cut is on its way, too.
    assert seen.missing == list(range(CUT, END))
    assert seen.refused == []


def test_with_a_fence_at_once_nothing_is_missing_from_then_on(monkeypatch, call):
    seen = outage(monkeypatch, call, fenced=True)

    assert seen.missing == list(range(CUT, EVACUATED))
    assert seen.refused == list(range(EVACUATED, END))


def test_after_dns_nothing_is_missing_from_the_very_second_on(monkeypatch, call):
    """The item is there before: every function compares it with the time at each write."""
    seen = outage(monkeypatch, call, fenced=True, fence_seconds=AFTER_DNS)

    assert seen.missing == list(range(CUT, EVACUATED + AFTER_DNS))
    assert seen.refused == list(range(EVACUATED + AFTER_DNS, END))


def test_replication_alone_brings_the_fence_while_it_flows_that_way(monkeypatch, call):
    seen = outage(monkeypatch, call, fenced=True, replicas=(WEST,))

    assert seen.refused[0] <= EVACUATED + LAG + fence.LOOK_SECONDS + 1
    assert seen.refused[-1] == END - 1


def test_a_region_that_is_cut_off_both_ways_needs_the_item_written_there(monkeypatch, call):
    alone = outage(monkeypatch, call, fenced=True, replicas=(WEST,), one_way=False)
    assert alone.missing == list(range(CUT, END))

    written = outage(monkeypatch, call, fenced=True, one_way=False)
    assert written.missing[-1] <= EVACUATED + fence.LOOK_SECONDS
