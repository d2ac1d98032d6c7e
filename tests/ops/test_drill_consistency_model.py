"""The checker on histories of the replication engine: it finds planted bugs, and nothing else."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from writes_model import LAGS, STEPS, Writers

from ops.drill import consistency
from ops.drill.consistency import check
from sandbox.replication import engine

pytestmark = pytest.mark.model

PLAYED = st.lists(st.sampled_from(LAGS), min_size=1, max_size=5)
ENGINE_BUGS = {
    "replication order: writes to an item overtake each other, the last arrival wins": (
        ("due = self._latest[item] = max(due, self._latest.get(item, due))",
         "self._latest[item] = due"),
        ("if known and change.stamp <= known:", "if known and change.stamp == known:"),
    ),
    "replication order: a write gets the time of its arrival": (
        ("change = self._directions[way].take()",
         "change = self._directions[way].take()\n"
         "                change = Change(\n"
         "                    change.table, change.key, change.item, Stamp(now, 0, way[0])\n"
         "                )"),
    ),
    "conflict resolution: the last arrival wins": (
        ("if known and change.stamp <= known:", "if known and change.stamp == known:"),
    ),
    "conflict resolution: the first writer wins": (
        ("if known and change.stamp <= known:", "if known and change.stamp != known:"),
    ),
    "conflict resolution: a deletion is forgotten": (
        ("        self.stamps[change.key] = change.stamp\n",
         "        self.stamps[change.key] = change.stamp\n"
         "        if change.item is None:\n"
         "            del self.stamps[change.key]\n"),
    ),
    "a pause loses what it held": (
        ("            self._pauses.pop(id, None)",
         "            self._pauses.pop(id, None)\n            self._directions.clear()"),
    ),
}  # fmt: skip
"""`{what is wrong: (what the engine says, what it says then), ...}`."""
CHECKER_BUGS = {
    "a delete explains what was written after it": (
        "return all(_before(each, write) for each in deletes)",
        "return False if deletes else True",
    ),
    "the order of two writes is turned around": (
        "return first.ok and first.ended_at + skew < second.sent_at",
        "return second.ok and second.ended_at + skew < first.sent_at",
    ),
    "readings before the acknowledgement count": (
        "later = [reading for reading in readings if reading.at >= write.ended_at]",
        "later = list(readings)",
    ),
    "any write before a delete came back": (
        "if self._was_held(write, value) and (write.region == region or value in gone)",
        "if True",
    ),
}
"""`{what is wrong: (what the checker says, what it says then)}`; each finds what is not there, or
misses a bug of the engine."""


def planted(module, changes, monkeypatch):
    """A module with a bug."""
    source = Path(module.__file__).read_text()
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    mutant = ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", mutant)
    exec(compile(source, "planted", "exec"), mutant.__dict__)
    return mutant


def searching(play):
    """The first failure will do: no time is spent on a shorter one."""
    return settings(
        max_examples=1500, phases=[Phase.generate], derandomize=True, database=None
    )(given(steps=STEPS, lags=PLAYED)(play))  # fmt: skip


@settings(max_examples=200)
@given(steps=STEPS, lags=PLAYED)
def test_nothing_is_found_where_replication_is_right(steps, lags):
    verdict = check(Writers(engine, lags).play(steps))

    assert verdict.problems == []
    assert {each.state for each in verdict.found} <= {"not deleted"}


@settings(max_examples=200)
@given(before=STEPS, after=STEPS, lags=PLAYED)
def test_exactly_what_is_gone_with_a_region_is_lost(before, after, lags):
    writers = Writers(engine, lags)
    while_cut_off = [step for step in after if step[0] in ("write", "delete", "read")]
    ending = [("discard", "a"), ("read", "a"), ("resume",)]

    verdict = check(writers.play([*before, ("partition", "a"), *while_cut_off, *ending]))

    assert {each.state for each in verdict.found} <= {"lost", "not deleted"}
    deleted = {each.key for each in writers.operations if each.kind == "delete"}
    gone = {float(each.item) for each in writers.gone if each.item and len(each.key) == 2}
    kept = {each.value for each in writers.operations if each.key in deleted}
    lost = {each.value for each in verdict.of("lost") if each.kind == "put"}
    assert lost - kept == gone - kept


@pytest.mark.soak
@settings(max_examples=10000)
@given(steps=STEPS, lags=PLAYED)
def test_nothing_is_found_in_many_more_histories(steps, lags):
    assert check(Writers(engine, lags).play(steps)).problems == []


@pytest.mark.parametrize("bug", ENGINE_BUGS)
def test_a_planted_bug_of_replication_is_found(bug, monkeypatch):
    mutant = planted(engine, ENGINE_BUGS[bug], monkeypatch)
    # It is imported and runs: what is found later is the bug.
    assert check(Writers(mutant, [0.0]).play([("write", "a", "put-1")])).problems == []

    def play(steps, lags):
        assert check(Writers(mutant, lags).play(steps)).problems == []

    with pytest.raises(AssertionError):
        searching(play)()


@pytest.mark.parametrize("bug", CHECKER_BUGS)
def test_a_planted_bug_of_the_checker_is_found(bug, monkeypatch):
    mutant = planted(consistency, [CHECKER_BUGS[bug]], monkeypatch)
    assert mutant.check(Writers(engine, [0.0]).play([("write", "a", "put-1")])).problems == []
    losing = planted(engine, ENGINE_BUGS["a pause loses what it held"], monkeypatch)

    def play(steps, lags):
        assert mutant.check(Writers(engine, lags).play(steps)).problems == []
        history = Writers(losing, lags).play(steps)
        assert mutant.check(history).to_json() == check(history).to_json()

    with pytest.raises(AssertionError):
        searching(play)()
