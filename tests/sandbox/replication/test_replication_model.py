"""Replication against a specification, with random writes, lags, pauses, and planted bugs."""

import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from replication_model import KEY, LAGS, REGION, REGIONS, STEPS, TABLE, Player

from sandbox.replication import engine

pytestmark = pytest.mark.model

PLAYED = st.lists(st.sampled_from(LAGS), min_size=1, max_size=7)

BUGS = {
    "the last arrival wins": (
        "if known and change.stamp <= known:",
        "if known and change.stamp == known:",
    ),
    "of one time, the last arrival wins": (
        "if known and change.stamp <= known:",
        "if known and change.stamp.time < known.time:",
    ),
    "what arrives again is applied again": (
        "if known and change.stamp <= known:",
        "if known and change.stamp < known:",
    ),
    "a deletion is forgotten": (
        "        self.stamps[change.key] = change.stamp\n",
        "        self.stamps[change.key] = change.stamp\n"
        "        if change.item is None:\n"
        "            del self.stamps[change.key]\n",
    ),
    "a replica forgets its own write": ("        self.stamps[key] = stamp\n", ""),
    "a write of the same time does not win over what its writer saw": (
        "if known and known.time >= now:",
        "if known and known.time > now:",
    ),
    "a write gets the time of its arrival": (
        "change = self._directions[way].take()",
        "change = self._directions[way].take()\n"
        "                change = Change(\n"
        "                    change.table, change.key, change.item, Stamp(now, 0, way[0])\n"
        "                )",
    ),
    "writes to an item overtake each other": (
        "due = self._latest[item] = max(due, self._latest.get(item, due))",
        "self._latest[item] = due",
    ),
    "writes of the same time are turned around": (
        "heapq.heappush(self.queue, (due, number, change))",
        "heapq.heappush(self.queue, (due, -number, change))",
    ),
    "nothing takes time": ("if due > now:", "if due > now + 100:"),
    "a pause loses what it held": (
        "            self._pauses.pop(id, None)",
        "            self._pauses.pop(id, None)\n            self._directions.clear()",
    ),
    "a pause holds the other direction": (
        "source in (None, way[0]) and target in (None, way[1])",
        "source in (None, way[1]) and target in (None, way[0])",
    ),
    "one of two pauses ends both": ("self._pauses.pop(id, None)", "self._pauses.clear()"),
}
"""`{what is wrong: (what the engine says, what it says then)}`."""


@settings(max_examples=150)
@given(steps=STEPS, lags=PLAYED)
def test_the_replicas_are_as_specified_at_any_time_and_equal_in_the_end(steps, lags):
    Player(engine, lags).play(steps)


@pytest.mark.soak
@settings(max_examples=5000)
@given(steps=STEPS, lags=PLAYED)
def test_the_replicas_are_as_specified_after_many_more_schedules(steps, lags):
    Player(engine, lags).play(steps)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug, monkeypatch):
    mutant = planted(*BUGS[bug], monkeypatch)
    # It is imported and runs: what fails later is the bug.
    Player(mutant, [0.0]).play([])

    # The first failure will do: no time is spent on a shorter one.
    @settings(max_examples=1000, phases=[Phase.generate], derandomize=True, database=None)
    @given(steps=STEPS, lags=PLAYED)
    def play(steps, lags):
        Player(mutant, lags).play(steps)

    with pytest.raises(AssertionError):
        play()


MEMBERS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), REGION, KEY, st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from((0.1, 0.5, 2.0))),
        st.tuples(st.just("remove"), REGION),
        st.tuples(st.just("add"), REGION, REGION),
        st.tuples(st.just("pause"), REGION, REGION),
    ),
    max_size=30,
)


@settings(max_examples=200)
@given(steps=MEMBERS, lags=PLAYED)
def test_replicas_that_come_and_go_lose_no_write_and_are_equal_in_the_end(steps, lags):
    play_with_members(engine, steps, lags)


BUGS_OF_MEMBERS = {
    "a new replica does not get what is on its way": (
        "if change.table == table:\n                            way",
        "if change.table != table:\n                            way",
    ),
    "a new replica does not know the age of its items": ("Replica(origin.stamps)", "Replica()"),
    "the writes of a deleted replica are lost": (
        "for _, direction in self._to(region):",
        "for direction in self._directions.values():",
    ),
}


@pytest.mark.parametrize("bug", BUGS_OF_MEMBERS)
def test_a_planted_bug_of_members_is_found(bug, monkeypatch):
    mutant = planted(*BUGS_OF_MEMBERS[bug], monkeypatch)
    play_with_members(mutant, [], [0.0])

    @settings(max_examples=3000, phases=[Phase.generate], derandomize=True, database=None)
    @given(steps=MEMBERS, lags=PLAYED)
    def play(steps, lags):
        play_with_members(mutant, steps, lags)

    with pytest.raises(AssertionError):
        play()


def play_with_members(engine, steps, lags):
    """Play steps, and let everything arrive."""
    now, lag, last = 0.0, itertools.cycle(lags), {}
    stores = {region: {} for region in REGIONS}
    replication = engine.Replication(
        lambda _, region, key, item: stores[region].update({key: item}),
        lag=lambda: next(lag),
        clock=lambda: now,
    )
    replication.set_replicas(TABLE, REGIONS, source="a")
    for number, (step, *arguments) in enumerate(steps):
        # No two writes are of the same time.
        now += 0.001
        match step, arguments:
            case "write", (region, key, deleted) if region in stores:
                last[key] = stores[region][key] = None if deleted else number
                replication.write(TABLE, region, key, last[key])
            case "wait", (seconds,):
                now += seconds
                replication.deliver()
            case "remove", (region,) if stores.keys() > {region}:
                del stores[region]
                replication.set_replicas(TABLE, stores, source=min(stores))
            case "add", (region, source) if region not in stores and source in stores:
                stores[region] = dict(stores[source])
                replication.set_replicas(TABLE, stores, source=source)
            case "pause", ways:
                replication.pause(str(number), [tuple(ways)])
    for number in range(len(steps)):
        replication.resume(str(number))
    now += 1e6
    replication.deliver()

    assert all(store == last for store in stores.values())


def planted(old, new, monkeypatch):
    """The engine with a bug."""
    source = Path(engine.__file__).read_text()
    assert source.count(old) == 1
    mutant = ModuleType("planted")
    # Where dataclasses look for the types of their attributes.
    monkeypatch.setitem(sys.modules, "planted", mutant)
    exec(compile(source.replace(old, new), "planted", "exec"), mutant.__dict__)
    return mutant


@given(
    writes=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.none() | st.integers()),
        min_size=1,
        max_size=4,
    )
)
def test_any_order_of_arrival_has_the_same_result(writes):
    """At a replica that wrote nothing itself, with each write arriving twice."""
    sources = {region: engine.Replica() for region in "ab"}
    changes = [
        engine.Change("table", "key", item, sources[region].write("key", region, float(time)))
        for time, region, item in sorted(writes, key=lambda write: write[0])
    ]
    results = set()
    for order in itertools.permutations(changes):
        target, item = engine.Replica(), None
        for change in (*order, *reversed(order)):
            if target.accept(change):
                item = change.item
        results.add(item)

    assert len(results) == 1
