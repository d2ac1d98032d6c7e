"""A drill replays what replicas lack of its own history, and finds what was not replayed."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest
from replicas import REGIONS, START, Replicas, error

from ops.drill import reconciliation
from ops.drill.consistency import (
    RECONCILED,
    after_reconciliation,
    before_reconciliation,
    check,
    wanted,
)
from ops.drill.history import History, Operation, Seen
from ops.drill.probe_location import LATITUDE, LOCATION_KEY, TEMPERATURE, key_of
from ops.errors import ExitCode, OpsError
from ops.reconcile import comparison, replay
from ops.reconcile.reading import Pace

pytestmark = pytest.mark.unit

EAST, WEST, THIRD = REGIONS
LOCATION = "drill-0000000a"
CUSTOMERS = "harbour"
LATER = 120.0


class World:
    """The API over replicated tables, as a drill's publishers and readings see it."""

    def __init__(self, regions=REGIONS[:2], *, seed=0):
        self.replicas, self.operations, self.readings = Replicas(regions, seed=seed), [], []
        self.marks = {}

    @property
    def now(self):
        return self.replicas.now - START

    def _items(self, region, location=LOCATION):
        return [i for i in self.replicas.items[region].values() if location in i["pk"]["S"]]

    def _acknowledge(self, kind, key, value, region, item, result="acknowledged"):
        sent_at = self.now
        for text in [item] if kind != "delete" else item:
            key_item = {name: text[name] for name in ("pk", "sk")}
            self.replicas.write(region, key_item, None if kind == "delete" else text)
        self.replicas.wait(0.01)
        self.operations.append(
            Operation(region, kind, key, value, sent_at, self.now, result, region, 200)
        )

    def put(self, region, number, value, location=LOCATION):
        sk = f"observation#{key_of(number)}#{value}"
        item = {"pk": {"S": f"location#{location}"}, "sk": {"S": sk},
                TEMPERATURE: {"N": f"{value:g}"}}  # fmt: skip
        if location == LOCATION:
            self._acknowledge("put", key_of(number), value, region, item)
        else:
            self.replicas.write(region, {name: item[name] for name in ("pk", "sk")}, item)

    def update(self, region, value):
        item = {"pk": {"S": "locations"}, "sk": {"S": LOCATION}, LATITUDE: {"N": f"{value:g}"},
                "longitude_degrees": {"N": "0"}}  # fmt: skip
        self._acknowledge("update", LOCATION_KEY, value, region, item)

    def delete(self, region, number):
        key = key_of(number)
        found = [each for each in self._items(region) if f"#{key}#" in each["sk"]["S"]]
        self._acknowledge("delete", key, None, region, found)

    def read(self):
        for region in self.replicas.regions:
            values = {}
            for item in self._items(region):
                key = item["sk"]["S"].split("#")[1]
                values[key] = (*values.get(key, ()), float(item[TEMPERATURE]["N"]))
            for item in self.replicas.items[region].values():
                if item["sk"]["S"] == LOCATION:
                    values[LOCATION_KEY] = (float(item[LATITUDE]["N"]),)
            self.readings.append(Seen(region, self.now, self.now, values))

    def mark(self, name):
        self.replicas.wait(0.1)
        self.marks[name] = self.now

    def isolate(self, region=EAST):
        self.mark("injecting")
        self.replicas.isolate(region)

    def connect(self, region=EAST, *, discard=False):
        self.mark("restoring")
        if discard:
            self.replicas.engine.discard(
                region, lambda _table, source, text: self.replicas.items[source].get(text)
            )
        self.discarded = (region,) if discard else ()
        self.replicas.connect(region)
        self.replicas.wait(LATER)
        self.read()

    def history(self):
        return History(
            environment="local", started="2000-01-01T00:00:00+00:00", fault="region-loss",
            regions=self.replicas.regions, lost=(EAST,), taking_over=(WEST,), isolated=(EAST,),
            discarded=self.discarded, speed=1.0, lost_after_seconds=30.0, max_lost_writes=1000,
            operations=tuple(self.operations), readings=tuple(self.readings),
            marks=dict(self.marks),
        )  # fmt: skip

    def reconcile(self):
        before = self.history()
        done = reconciliation.reconcile(
            self.replicas.environment(),
            SimpleNamespace(location_id=LOCATION),
            before,
            check(before),
            datetime.fromtimestamp(START - 10, UTC),
        )
        self.mark(RECONCILED)
        self.replicas.wait(LATER)
        self.read()
        return replace(done, after=after_reconciliation(self.history()))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """No time of this machine decides what is on its way."""
    monkeypatch.setattr(comparison.time, "time", lambda: START + 1000)
    monkeypatch.setattr(reconciliation, "Pace", partial(Pace, sleep=lambda _: None))


@pytest.fixture
def lost():
    """A Region that was lost for good, with a put, an update and a deletion."""
    world = World()
    world.read()
    world.update(WEST, 1.0)
    world.put(EAST, 1, 10.0)
    world.replicas.wait(5)
    world.isolate()
    world.put(EAST, 2, 20.0)
    world.update(EAST, 2.0)
    world.delete(EAST, 1)
    world.put(WEST, 3, 30.0)
    world.connect(discard=True)
    return world


def test_what_a_lost_region_took_with_it_is_there_again_in_every_region(lost):
    before = check(lost.history())
    assert {(each.kind, each.state) for each in before.found} >= {
        ("put", "lost"), ("update", "lost"), ("delete", "lost"),
    }  # fmt: skip

    done = lost.reconcile()

    assert (done.lost, done.replayed, done.left) == (3, 3, 0)
    assert done.problems == []
    assert done.in_words()[-1] == "After reconciliation: none."
    for reading in lost.readings[-2:]:
        assert reading.values == {
            key_of(2): (20.0,), key_of(3): (30.0,), LOCATION_KEY: (2.0,),
        }  # fmt: skip


def test_nothing_but_the_items_of_the_drill_is_looked_at(lost):
    lost.replicas.isolate(EAST)
    # What the drill has lost is what others have, too.
    lost.put(EAST, 2, 20.0, CUSTOMERS)
    lost.put(EAST, 2, 20.0, "drill-0000000b")
    lost.replicas.wait(LATER)
    others = [lost._items(EAST, each) for each in (CUSTOMERS, "drill-0000000b")]

    done = lost.reconcile()

    assert done.left == 0
    assert done.replayed == 3
    assert [lost._items(EAST, each) for each in (CUSTOMERS, "drill-0000000b")] == others
    assert not lost._items(WEST, CUSTOMERS)


@pytest.mark.parametrize("skipped", range(3))
def test_a_reconciliation_that_skips_an_item_is_found(lost, monkeypatch, skipped):
    entries = list
    monkeypatch.setattr(
        replay,
        "entries_of",
        lambda path: (
            entries(comparison_entries(path))[:skipped]
            + entries(comparison_entries(path))[skipped + 1 :]
        ),
    )

    done = lost.reconcile()

    assert (done.replayed, done.left) == (2, 1)
    assert done.problems[0].startswith("after reconciliation, 1 write is lost in")
    assert done.in_words()[-1] == "After reconciliation: 1."


comparison_entries = reconciliation.entries_of


def test_a_reconciliation_that_writes_in_one_region_only_is_found(lost, monkeypatch):
    applied = replay._applied

    def first(line, entry, *rest):
        return applied(line, replace(entry, targets=entry.targets[:1]), *rest)

    monkeypatch.setattr(replay, "_applied", first)
    monkeypatch.setattr(lost.replicas.engine, "write", lambda *_: None)

    assert lost.reconcile().left


def test_after_a_partition_the_last_acknowledged_write_is_there_and_nothing_is_replayed():
    world = World()
    world.read()
    world.update(WEST, 1.0)
    world.replicas.wait(5)
    world.isolate()
    for value in range(2, 8):
        world.update((EAST, WEST)[value % 2], float(value))
        world.put(EAST, value, 1.0)
        world.put(WEST, value, 2.0)
        world.replicas.wait(5)
    world.connect()

    done = world.reconcile()

    assert done.overwritten > 0
    assert (done.lost, done.replayed, done.left) == (0, 0, 0)
    assert {each.values[LOCATION_KEY] for each in world.readings[-2:]} == {(7.0,)}


def test_replicas_that_differ_for_good_get_the_value_of_the_ledger():
    world = World()
    world.read()
    world.update(EAST, 1.0)
    world.replicas.wait(5)
    world.isolate()
    world.update(EAST, 2.0)
    world.replicas.wait(5)
    world.update(WEST, 3.0)
    # Replication loses them, as it must not.
    for direction in world.replicas.engine._directions.values():
        direction.clear()
    world.connect()
    assert "diverged" in {each.state for each in check(world.history()).found}

    done = world.reconcile()

    assert (done.replayed, done.left) == (1, 0)
    assert {each.values[LOCATION_KEY] for each in world.readings[-2:]} == {(3.0,)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("regions", [REGIONS[:2], REGIONS])
def test_whatever_was_written_nothing_is_lost_afterwards(seed, regions):
    world, chance = World(regions, seed=seed), random.Random(seed)
    world.read()
    discards = chance.random() < 0.7

    def written(number):
        region = chance.choice(regions)
        match chance.randrange(4):
            case 0:
                world.update(region, float(number + 1))
            case 1:
                world.delete(region, chance.randrange(number + 1))
            case _:
                world.put(region, chance.randrange(number + 1), number / 10)
        world.replicas.wait(chance.choice((0.1, 1.0, 3.0)))

    for number in range(10):
        written(number)
    world.isolate()
    for number in range(10, 40):
        written(number)
    world.replicas.wait(5)
    world.read()
    world.connect(discard=discards)

    before = check(world.history())
    done = world.reconcile()

    assert done.after is not None
    assert done.after.lost == 0
    assert not done.after.of("diverged")
    assert done.left == 0
    assert bool(done.replayed) >= bool(before.lost)


def test_a_history_with_a_reconciliation_is_judged_before_and_after_it(lost):
    before = lost.history()

    lost.reconcile()

    assert before_reconciliation(lost.history()) == before
    assert check(before_reconciliation(lost.history())).lost == 3
    assert after_reconciliation(lost.history()).problems == []
    assert before_reconciliation(before) is before


def test_what_is_as_it_must_be_is_not_demanded_of_an_item_that_is_replaced(lost):
    assert wanted(lost.history())[LOCATION_KEY, 2.0]
    lost.reconcile()

    assert {key for key, _ in wanted(lost.history())} == {key_of(2), key_of(3)}


# --- Permissions


@pytest.mark.parametrize(
    ("service", "denied"),
    [
        ("dynamodb", "describe_table"),  ("dynamodb", "batch_get_item"),
        ("dynamodb", "get_item"), ("dynamodbstreams", "describe_stream"), ("dynamodb", "put_item"),
        ("dynamodb", "delete_item"),
    ],
)  # fmt: skip
def test_missing_permissions_are_refused_with_the_policies_that_give_them(service, denied):
    class Denied:
        def __init__(self, client):
            self._client = client

        def __getattr__(self, name):
            if name == denied:
                return self._deny
            return getattr(self._client, name)

        def _deny(self, **_):
            raise error("AccessDeniedException")

    def wrapped(client, name, region):
        return Denied(client) if (name, region) == (service, WEST) else client

    with pytest.raises(OpsError) as refused:
        reconciliation.require(Replicas().environment(wrapped))

    assert f"--reconcile: the table in {WEST} cannot be" in str(refused.value)
    assert "AccessDeniedException" in str(refused.value)
    assert "--for reconcile-apply" in refused.value.next_step
    assert refused.value.exit_code == ExitCode.PREREQUISITE


def test_a_table_with_streams_is_not_read_whole(lost):
    lost.reconcile()

    assert not [each for each in lost.replicas.calls if each[0] == "scan"]


def test_asking_for_permissions_writes_nothing():
    replicas = Replicas()
    replicas.write(EAST, {"pk": {"S": "a"}, "sk": {"S": "b"}}, {"pk": {"S": "a"}, "sk": {"S": "b"}})
    before = {region: dict(items) for region, items in replicas.items.items()}

    reconciliation.require(replicas.environment())

    assert replicas.writes == 0
    assert replicas.items == before
