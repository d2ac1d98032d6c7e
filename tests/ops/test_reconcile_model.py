"""Random histories of a partitioned global table: nothing lost is missed, nothing is made up.

The ledger knows every acknowledged write, and which value its writer saw. A write is lost if it is
not the last one, and nobody who saw it wrote over it. The tool sees replicas and streams only.
"""

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from replicas import REGIONS, START, TABLE, Replicas

from ops.cli.reconcile import tables_of
from ops.reconcile import comparison, judgement, values
from ops.reconcile.comparison import Comparison
from ops.reconcile.judgement import History, State
from ops.reconcile.plan import DELETE, KEEP, OVERWRITTEN, REPLAY, Writer, entries_of
from ops.reconcile.reading import Pace
from ops.reconcile.replay import Outcome, apply, check

pytestmark = pytest.mark.model
SETTLE_SECONDS = 300.0
SEEDS = range(60)
PLANTED_SEEDS = range(150, 250)


@dataclass(eq=False)
class Write:
    """An acknowledged write, and the one that its writer saw."""

    at: float
    region: str
    key: dict
    item: dict | None
    saw: "Write | None"


class Ledger:
    """What was acknowledged, and which write each replica shows."""

    def __init__(self, replicas):
        self.replicas, self.writes = replicas, []

    def write(self, region, key, item):
        saw = self.shown(region, key)
        if self.replicas.write(region, key, item):
            self.writes.append(Write(self.replicas.now, region, key, item, saw))

    def shown(self, region, key):
        """The write that a replica shows: values are unique, deletions are found by their place."""
        found = self.replicas.items[region].get(values.key_text(key))
        for write in reversed(self.of(key)):
            if write.item == found:
                return write
        return None

    def of(self, key):
        return [write for write in self.writes if write.key == key]

    def last(self, key):
        return max(self.of(key), key=lambda write: (write.at, write.region), default=None)

    def lost(self, key):
        seen = {id(write.saw) for write in self.of(key)}
        return [w for w in self.of(key) if w is not self.last(key) and id(w) not in seen]


def key_of_number(number):
    """Keys that differ in type only, among others."""
    sort = ({"S": "1"}, {"N": "1"}, {"B": b"1"}, {"N": "2"})[number]
    return {"pk": {"S": "p"}, "sk": sort}


def history(seed, *, deletes=False, connected=True):
    """Play a random history; `connected` lets everything arrive at the end."""
    draw = random.Random(seed)
    replicas = Replicas(REGIONS[: draw.choice((2, 3))], seed=seed)
    replicas.combines = draw.random() < 0.3
    ledger = Ledger(replicas)
    for number in range(draw.randint(3, 25)):
        what = draw.random()
        region = draw.choice(replicas.regions)
        if what < 0.15:
            replicas.isolate(region)
        elif what < 0.25:
            replicas.connect(region)
        elif what < 0.45:
            replicas.wait(draw.choice((0.2, 1.5, 10.0, 90.0)))
        else:
            # No two writes are of the same time: the engine's order of those is another test's.
            replicas.wait(0.01)
            key = key_of_number(draw.randrange(4))
            item = key | {"value": {"N": str(number)}, "tags": {"SS": ["b", "a"]}}
            ledger.write(region, key, None if deletes and draw.random() < 0.3 else item)
    if connected:
        for region in replicas.regions:
            replicas.connect(region)
    replicas.wait(SETTLE_SECONDS)
    return replicas, ledger, draw


def compare(replicas, path, reviewed=frozenset()):
    environment = replicas.environment()
    summary = Comparison(
        environment,
        tables_of(environment),
        START - 10,
        Pace(1e9, sleep=lambda _: None),
        clock=lambda: replicas.now,
        run_bytes=300,
        reviewed=reviewed,
    ).run(Writer(path))
    return summary, [entry for _, entry in entries_of(path)]


def rewrite(path, entries, replicas):
    """A person's edits: the same plan with other actions."""
    writer = Writer(path)
    environment = replicas.environment()
    writer.begin(comparison.Header(environment.name, "", "", "", tables_of(environment)))
    for entry in entries:
        writer.add(entry)
    writer.finish()


def carried_out(replicas, path):
    environment = replicas.environment()
    tables = tables_of(environment)
    check(path, environment, tables, deletes=True)
    return list(apply(path, environment, tables))


def keys():
    return [key_of_number(number) for number in range(4)]


def losses(seed, folder):
    """After everything has arrived, what was overwritten is what the ledger says."""
    replicas, ledger, _ = history(seed)
    summary, entries = compare(replicas, folder / "plan.jsonl")
    certain = {
        (values.key_text(e.key), values.digest(e.overwritten.value))
        for e in entries
        if e.state is State.OVERWRITTEN
    }
    maybe = {
        (values.key_text(e.key), values.digest(e.overwritten.value))
        for e in entries
        if e.state is State.MAYBE_OVERWRITTEN
    }
    lost = {
        (values.key_text(key), values.digest(write.item))
        for key in keys()
        for write in ledger.lost(key)
    }
    assert certain <= lost
    assert lost <= certain | maybe
    # No difference is left, so nothing else is found.
    assert len(entries) == len(certain) + len(maybe) == summary.states.total()
    return len(certain)


def replays(seed, folder):
    """During a partition: what the plan proposes leads to the last acknowledged writes."""
    replicas, ledger, _ = history(seed, deletes=True, connected=False)
    path = folder / "plan.jsonl"
    _, entries = compare(replicas, path)
    proposed = [entry for entry in entries if entry.action != KEEP]
    assert all(entry.state in (State.MISSING, State.DIFFERENT) for entry in proposed)
    differing = {
        values.key_text(key)
        for key in keys()
        if len({values.digest(i.get(values.key_text(key))) for i in replicas.items.values()}) > 1
    }
    found = {values.key_text(e.key) for e in entries if e.overwritten is None}
    assert found == differing
    for applied in carried_out(replicas, path):
        assert applied.outcome in (Outcome.DONE, Outcome.ALREADY)
    for region in replicas.regions:
        replicas.connect(region)
    replicas.wait(SETTLE_SECONDS)
    for key in keys():
        last = ledger.last(key)
        for region in replicas.regions:
            shown = replicas.items[region].get(values.key_text(key))
            assert values.digest(shown) == values.digest(last.item if last else None)
    _, entries = compare(replicas, path)
    assert not [entry for entry in entries if entry.overwritten is None]
    return len(proposed)


def decisions(seed, folder):
    """What a person decides is what is there afterwards, and a second comparison finds nothing."""
    replicas, ledger, draw = history(seed, deletes=True)
    path = folder / "plan.jsonl"
    _, entries = compare(replicas, path)
    expected = {
        values.key_text(key): last.item if (last := ledger.last(key)) else None for key in keys()
    }
    decided, edited = set(), []
    for entry in entries:
        text = values.key_text(entry.key)
        if entry.overwritten and text not in decided and draw.random() < 0.5:
            decided.add(text)
            expected[text] = entry.overwritten.value
            is_deletion = entry.overwritten.value is None
            entry = comparison.replace(
                entry,
                action=DELETE if is_deletion else REPLAY,
                source="" if is_deletion else OVERWRITTEN,
            )
        edited.append(entry)
    rewrite(path, edited, replicas)
    outcomes = [applied.outcome for applied in carried_out(replicas, path)]
    assert outcomes == [Outcome.DONE] * len(decided)
    replicas.wait(SETTLE_SECONDS)
    for region in replicas.regions:
        for text, item in expected.items():
            assert values.digest(replicas.items[region].get(text)) == values.digest(item)
    writes = replicas.writes
    assert {a.outcome for a in carried_out(replicas, path)} <= {Outcome.ALREADY}
    assert replicas.writes == writes
    reviewed = frozenset(entry.identity for entry in edited if entry.action == KEEP)
    _, entries = compare(replicas, folder / "second.jsonl", reviewed)
    # One deletion is like another: a replay within the second may show one that was none.
    assert not [
        entry
        for entry in entries
        if entry.state is not State.MAYBE_OVERWRITTEN or entry.overwritten.value is not None
    ]
    return len(decided)


@pytest.mark.parametrize("play", [losses, replays, decisions])
def test_what_is_found_and_replayed_is_what_the_ledger_says(play, tmp_path):
    assert sum(play(seed, tmp_path) for seed in SEEDS) > 10


@pytest.mark.soak
@pytest.mark.parametrize("play", [losses, replays, decisions])
def test_many_more_histories_agree_with_the_ledger(play, tmp_path):
    for seed in range(60, 1500):
        play(seed, tmp_path)


def _oldest_wins(monkeypatch):
    judge = judgement._difference

    def reversed_time(values, digests, history, changed):
        found = judge(values, digests, history, changed)
        if found.state not in (State.DIFFERENT, State.MISSING):
            return found
        other = next(r for r in values if digests[r] != digests[found.winner])
        return comparison.replace(found, winner=other)

    monkeypatch.setattr(judgement, "_difference", reversed_time)


def _deletions_are_missing_items(monkeypatch):
    judge = judgement._difference

    def forgetful(values, digests, history, changed):
        found = judge(values, digests, history, changed)
        if found.state is not State.DELETED:
            return found
        other = next(region for region in values if values[region] is not None)
        return comparison.replace(found, state=State.MISSING, winner=other)

    monkeypatch.setattr(judgement, "_difference", forgetful)


def _every_change_is_local(monkeypatch):
    monkeypatch.setattr(History, "origin", lambda self, record: record)


def _nobody_knew_anything(monkeypatch):
    monkeypatch.setattr(History, "_was_known", lambda *_: False)


def _what_another_region_wrote_over_is_lost(monkeypatch):
    monkeypatch.setattr(History, "_replacers", lambda *_: [])


def _replayed_is_lost(monkeypatch):
    monkeypatch.setattr(History, "_came_back", lambda *_: True)


def _numbers_are_not_compared(monkeypatch):
    monkeypatch.setattr(values, "_number", lambda _: "0")


@pytest.mark.parametrize(
    "planted",
    [
        *(_oldest_wins, _deletions_are_missing_items, _every_change_is_local),
        *(_nobody_knew_anything, _what_another_region_wrote_over_is_lost, _replayed_is_lost),
        _numbers_are_not_compared,
    ],
    ids=lambda planted: planted.__name__,
)
def test_a_planted_bug_is_found(planted, monkeypatch):
    planted(monkeypatch)
    with tempfile.TemporaryDirectory() as folder:
        for seed in PLANTED_SEEDS:
            for play in (losses, replays, decisions):
                try:
                    play(seed, Path(folder))
                except Exception:
                    return
    pytest.fail("no history tells the difference")


def test_the_table_of_the_model_is_that_of_the_environment():
    assert {*tables_of(Replicas().environment())} == {TABLE}
