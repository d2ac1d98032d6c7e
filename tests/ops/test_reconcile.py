"""`ops reconcile`: what is compared, what the plan says, and what carrying it out may do."""

import json
import resource
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicas import REGIONS, START, Replicas, Streams, error

from ops import __main__ as program
from ops.cli import reconcile as cli
from ops.errors import ExitCode, OpsError, UsageError
from ops.reconcile import reading, values
from ops.reconcile.comparison import Comparison, owner_of
from ops.reconcile.judgement import State
from ops.reconcile.plan import Entry, Overwritten, Writer, entries_of
from ops.reconcile.reading import Pace
from ops.reconcile.replay import (
    MOST_ATTRIBUTES,
    Outcome,
    _applied,
    apply,
    check,
    condition_of,
)
from ops.reconcile.spill import Sorter, by_key

pytestmark = pytest.mark.unit

EAST, WEST = REGIONS[:2]
LATER = 300.0


def key(text="a"):
    return {"pk": {"S": "p"}, "sk": {"S": text}}


def item(text="a", value="1", **more):
    return key(text) | {"value": {"N": value}} | more


def compare(replicas, path, *, since=START - 10, tables=None, **options):
    environment = replicas.environment()
    comparison = Comparison(
        environment,
        tables or cli.tables_of(environment),
        since,
        Pace(1e9, sleep=lambda _: None),
        clock=lambda: replicas.now,
        **options,
    )
    summary = comparison.run(Writer(path))
    return summary, [entry for _, entry in entries_of(path)]


def edited(path, **changes):
    """The plan with the first entry changed as a person would."""
    first, second, *rest = path.read_text().splitlines()
    lines = [first, json.dumps(json.loads(second) | changes), *rest]
    path.write_text("\n".join(lines) + "\n")


def carried_out(replicas, path, *, deletes=False):
    environment = replicas.environment()
    tables = cli.tables_of(environment)
    check(path, environment, tables, deletes=deletes)
    return list(apply(path, environment, tables))


@pytest.fixture
def replicas():
    return Replicas()


@pytest.fixture
def plan(tmp_path):
    return tmp_path / "plan.jsonl"


@pytest.fixture
def partitioned(replicas):
    """Written on both sides of a partition that has ended."""
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item(value="1"))
    replicas.wait(10)
    replicas.write(WEST, key(), item(value="2"))
    replicas.wait(10)
    replicas.connect(EAST)
    replicas.wait(LATER)
    return replicas


# --- Values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1"}, {"N": "1.0"}),
        ({"N": "100"}, {"N": "1E2"}),
        ({"N": "-0"}, {"N": "0.00"}),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
        ({"BS": [b"1", b"2"]}, {"BS": [b"2", b"1"]}),
        ({"M": {"a": {"N": "1"}, "b": {"S": "x"}}}, {"M": {"b": {"S": "x"}, "a": {"N": "1.0"}}}),
    ],
)
def test_values_that_dynamodb_takes_for_equal_are_equal(one, other):
    assert values.digest(item(x=one)) == values.digest(item(x=other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1"}, {"S": "1"}),
        ({"B": b"1"}, {"S": "1"}),
        ({"B": b"MQ=="}, {"B": b"1"}),
        ({"L": [{"N": "1"}, {"N": "2"}]}, {"L": [{"N": "2"}, {"N": "1"}]}),
        ({"N": "1" * 37 + "8"}, {"N": "1" * 37 + "9"}),
        ({"NULL": True}, {"S": ""}),
        ({"SS": ["a"]}, {"L": [{"S": "a"}]}),
    ],
)
def test_values_that_dynamodb_takes_for_different_are_different(one, other):
    assert values.digest(item(x=one)) != values.digest(item(x=other))


scalars = st.one_of(
    st.builds(lambda text: {"S": text}, st.text()),
    st.builds(lambda number: {"N": str(number)}, st.integers()),
    st.builds(lambda data: {"B": data}, st.binary()),
    st.just({"NULL": True}),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.builds(lambda data: {"BS": sorted(data)}, st.sets(st.binary(), min_size=1)),
    st.builds(lambda data: {"SS": sorted(data)}, st.sets(st.text(), min_size=1)),
)
attributes = st.recursive(
    scalars,
    lambda inner: (
        st.builds(lambda found: {"L": found}, st.lists(inner, max_size=3))
        | st.builds(lambda found: {"M": found}, st.dictionaries(st.text(), inner, max_size=3))
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), attributes))
def test_an_item_survives_the_plan(content):
    again = values.from_json(json.loads(json.dumps(values.to_json(content))))

    assert values.digest(again) == values.digest(content)


@given(scalars.filter(lambda value: next(iter(value)) in "SNB"), scalars)
def test_a_key_survives_its_text(one, other):
    found = {"pk": one, "sk": {"S": "a\tb\nc"}}

    assert values.key_text(values.key_from(values.key_text(found))) == values.key_text(found)
    assert "\n" not in values.key_text(found)
    assert "\t" not in values.key_text(found)


@pytest.mark.parametrize("data", [[], {"a": "b"}, {"a": {"S": "x", "N": "1"}}, {"a": {"X": 1}}])
def test_what_is_no_item_is_refused(data):
    with pytest.raises(ValueError, match=r"expected|no type"):
        values.from_json(data)


# --- Sorting


@given(st.lists(st.tuples(st.text("abc!~", max_size=4), st.text("xyz", max_size=3))))
def test_lines_are_grouped_by_key_whatever_fits_into_memory(tmp_path_factory, lines):
    sorters = [Sorter(tmp_path_factory.mktemp("runs"), run_bytes=20) for _ in range(2)]
    for number, (name, text) in enumerate(lines):
        sorters[number % 2].add(name, text)

    found = list(by_key(sorters))

    expected = {}
    for name, text in sorted(lines):
        expected.setdefault(name, []).append(text)
    assert found == sorted(expected.items())


def test_more_runs_than_a_process_may_have_open_files_are_sorted(tmp_path):
    """A terabyte of a stream is many runs; the error came after the hours of its scan."""
    sorter = Sorter(tmp_path, run_bytes=1)
    for number in reversed(range(400)):
        sorter.add(f"{number:03}", "x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len([*Path("/dev/fd").iterdir()])
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 100, hard))
    try:
        found = [key for key, _ in sorter]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert found == [f"{number:03}" for number in range(400)]


# --- Reading


def test_a_scan_consumes_no_more_than_it_may(replicas, plan):
    for number in range(500):
        replicas.write(EAST, key(str(number)), item(str(number)))
    replicas.wait(LATER)
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(10.0, clock=lambda: now[0], sleep=sleep)
    client = replicas.environment().client("dynamodb", EAST)
    found = reading.replica(replicas.environment(), EAST, "arn", START, replicas.now)

    assert len(list(reading.scanned(client, found, pace))) == 500
    assert now[0] == pytest.approx(50.0)
    # Its pages are of a second's units, but for the first one.
    assert max(slept[1:]) <= 1.0


def test_keys_that_are_left_out_again_and_again_end_the_comparison(replicas):
    class Throttled:
        def batch_get_item(self, *, RequestItems, **_):  # noqa: N803
            return {"Responses": {}, "UnprocessedKeys": RequestItems}

    found = reading.Replica(EAST, "arn", ("pk", "sk"))
    with pytest.raises(OpsError, match="throttling"):
        list(reading.read(Throttled(), found, [key()], Pace(1.0, sleep=lambda _: None)))


def test_a_page_that_lacks_items_is_not_taken_for_an_empty_table():
    class Emptied:
        def scan(self, **_):
            return {"Items": [], "Count": 3}

    found = reading.Replica(EAST, "arn", ("pk", "sk"))
    with pytest.raises(OpsError, match="incomplete"):
        list(reading.scanned(Emptied(), found, Pace(1.0, sleep=lambda _: None)))


@pytest.mark.parametrize("code", ["ExpiredIteratorException", "TrimmedDataAccessException"])
def test_an_iterator_that_has_expired_is_made_again(partitioned, plan, monkeypatch, code):
    real, failed = Streams.get_records, []

    def get_records(self, *, ShardIterator):  # noqa: N803
        if not failed:
            failed.append(ShardIterator)
            raise error(code)
        return real(self, ShardIterator=ShardIterator)

    monkeypatch.setattr(Streams, "get_records", get_records)
    summary, _ = compare(partitioned, plan)

    assert failed
    assert summary.states[State.OVERWRITTEN] == 1


def test_an_iterator_that_expires_again_and_again_ends_no_stream(partitioned, plan, monkeypatch):
    def get_records(self, *, ShardIterator):  # noqa: N803
        raise error("ExpiredIteratorException")

    monkeypatch.setattr(Streams, "get_records", get_records)

    with pytest.raises(OpsError, match="cannot be read"):
        compare(partitioned, plan)


def test_empty_pages_before_the_records_of_a_shard_do_not_end_it(partitioned, plan, monkeypatch):
    """AWS: it might take several calls to get to a part of the shard that has records."""
    real, described = Streams.get_records, Streams.describe_stream
    # The first one is closed: it has an end.
    pages = {"0": 100, "1": 10}

    def get_records(self, *, ShardIterator):  # noqa: N803
        iterator, has_pages, place = ShardIterator.partition("+")
        if has_pages and len(place) < pages[iterator[0]]:
            return {"Records": [], "NextShardIterator": f"{ShardIterator}x"}
        return real(self, ShardIterator=iterator)

    def describe_stream(self, **given):
        found = described(self, **given)
        for shard in found["StreamDescription"]["Shards"]:
            if shard["ShardId"] == "0":
                shard["SequenceNumberRange"] = {"EndingSequenceNumber": "9"}
        return found

    def get_shard_iterator(self, *, ShardId, **_):  # noqa: N803
        return {"ShardIterator": f"{ShardId}:0+"}

    monkeypatch.setattr(Streams, "get_records", get_records)
    monkeypatch.setattr(Streams, "describe_stream", describe_stream)
    monkeypatch.setattr(Streams, "get_shard_iterator", get_shard_iterator)
    summary, _ = compare(partitioned, plan)

    assert summary.states[State.OVERWRITTEN] == 1


# --- The plan


def test_nothing_differs(replicas, plan):
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)

    summary, entries = compare(replicas, plan)

    assert not summary.differs
    assert entries == []
    assert summary.items == {"weather": {EAST: 1, WEST: 1}}


def test_a_write_that_lost_is_listed_with_both_values_and_kept(partitioned, plan):
    _, (entry,) = compare(partitioned, plan)

    assert entry.state is State.OVERWRITTEN
    assert entry.overwritten.region == EAST
    assert entry.overwritten.value == item(value="1")
    assert entry.regions == {EAST: item(value="2"), WEST: item(value="2")}
    assert (entry.action, entry.wins) == ("keep", WEST)


def test_a_conflict_within_a_second_is_only_possible(replicas, plan):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item(value="1"))
    replicas.wait(0.1)
    replicas.write(WEST, key(), item(value="2"))
    replicas.wait(0.1)
    replicas.connect(EAST)
    replicas.wait(LATER)

    summary, (entry,) = compare(replicas, plan)

    assert entry.state is State.MAYBE_OVERWRITTEN
    assert (entry.overwritten.value, entry.wins) == (item(value="1"), "")
    assert summary.differs


def test_a_write_that_somebody_has_seen_and_replaced_is_not_lost(replicas, plan):
    replicas.write(EAST, key(), item(value="1"))
    replicas.wait(10)
    replicas.write(WEST, key(), item(value="2"))
    replicas.wait(10)
    replicas.write(EAST, key(), None)
    replicas.wait(10)
    replicas.write(WEST, key(), item(value="1"))
    replicas.wait(LATER)

    assert compare(replicas, plan)[1] == []


def test_a_deletion_that_lost_is_kept_and_can_be_carried_out(replicas, plan):
    replicas.write(EAST, key(), item(value="1"))
    replicas.wait(10)
    replicas.isolate(EAST)
    replicas.write(EAST, key(), None)
    replicas.wait(10)
    replicas.write(WEST, key(), item(value="2"))
    replicas.wait(10)
    replicas.connect(EAST)
    replicas.wait(LATER)

    _, (entry,) = compare(replicas, plan)
    assert entry.state is State.OVERWRITTEN
    assert (entry.overwritten.value, entry.action, entry.source) == (None, "keep", "")
    assert "the deletion in us-east-1" in entry.why

    edited(plan, action="delete")
    assert carried_out(replicas, plan, deletes=True)[0].outcome is Outcome.DONE
    replicas.wait(LATER)
    assert replicas.items == {EAST: {}, WEST: {}}


def test_a_write_that_lost_to_a_third_region_is_listed_once(plan):
    replicas = Replicas(REGIONS)
    replicas.isolate(EAST)
    replicas.write(WEST, key(), item(value="1"))
    replicas.wait(10)
    replicas.write(EAST, key(), item(value="2"))
    replicas.wait(10)
    replicas.connect(EAST)
    replicas.wait(LATER)

    # The write that lost was in two Regions, and that of the isolated one won.
    _, (entry,) = compare(replicas, plan)

    assert (entry.overwritten.region, entry.wins) == (WEST, EAST)
    assert entry.overwritten.value == item(value="1")


def test_a_missing_item_is_proposed_for_replay(replicas, plan):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)

    _, (entry,) = compare(replicas, plan)

    assert entry.state is State.MISSING
    assert (entry.action, entry.source, entry.targets) == ("replay", EAST, (WEST,))


def test_an_item_that_was_deleted_later_does_not_come_back(replicas, plan):
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)
    replicas.isolate(WEST)
    replicas.write(EAST, key(), item(value="2"))
    replicas.wait(10)
    replicas.write(WEST, key(), None)
    replicas.wait(LATER)

    _, (entry,) = compare(replicas, plan)

    assert entry.state is State.DELETED
    assert entry.action == "keep"
    assert entry.wins == WEST


def test_an_old_difference_is_left_to_a_person(replicas, plan):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)

    _, (entry,) = compare(replicas, plan, since=replicas.now - 60)

    assert entry.state is State.UNDECIDED
    assert entry.action == "keep"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"StreamEnabled": False}, "no stream"),
        ({"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, "KEYS_ONLY"),
    ],
)
def test_without_streams_a_missing_item_may_be_a_deleted_one(replicas, plan, change, why):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)
    replicas.specification = change

    summary, (entry,) = compare(replicas, plan)

    assert entry.state is State.UNDECIDED
    assert all(why in note for note in summary.notes)
    assert len(summary.notes) == 2


def test_a_table_that_is_younger_than_the_outage_is_known_from_its_beginning(replicas, plan):
    replicas.created = datetime.fromtimestamp(START - 5, UTC)
    replicas.table_created = datetime.fromtimestamp(START - 8, UTC)
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)

    summary, (entry,) = compare(replicas, plan)

    assert entry.state is State.MISSING
    assert summary.notes == []


def test_a_strongly_consistent_table_needs_no_stream(replicas, plan):
    replicas.specification, replicas.consistency = {}, "STRONG"

    summary, _ = compare(replicas, plan)

    assert summary.notes == []


@pytest.mark.parametrize(
    ("since", "created", "why"),
    [(START - 90_000, START - 1e6, "24 hours"), (START - 10, START - 5, "created at")],
)
def test_a_stream_that_begins_too_late_decides_nothing(replicas, plan, since, created, why):
    replicas.created = datetime.fromtimestamp(created, UTC)
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)

    summary, (entry,) = compare(replicas, plan, since=since)

    assert entry.state is State.UNDECIDED
    assert why in summary.notes[0]


def test_what_was_written_a_moment_ago_is_on_its_way(replicas, plan):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(5)

    _, (entry,) = compare(replicas, plan)

    assert entry.state is State.ON_ITS_WAY
    assert entry.action == "keep"


def test_what_arrives_during_the_comparison_is_no_difference(replicas, plan, monkeypatch):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)
    real = reading.read

    def arriving(*words):
        replicas.connect(EAST)
        replicas.wait(LATER)
        return real(*words)

    monkeypatch.setattr(reading, "read", arriving)
    summary, entries = compare(replicas, plan)

    assert not summary.differs
    assert entries == []


def test_an_expired_item_that_one_region_has_deleted_is_no_difference(replicas, plan):
    replicas.ttl = "expires"
    replicas.write(EAST, key(), item(expires={"N": str(int(START + 10))}))
    replicas.wait(20)
    replicas.isolate(EAST)
    replicas.write(EAST, key(), None)
    replicas.wait(LATER)

    summary, entries = compare(replicas, plan)

    assert entries == []
    assert summary.states[State.EXPIRED] == 1
    assert not summary.differs


def test_items_of_this_tool_and_of_drills_are_not_customers_data(replicas, plan):
    replicas.isolate(EAST)
    for pk, sk in (
        *(("control", "operations-lock"), ("control", "evacuation-us-east-1")),
        *(("locations", "drill-0123abcd"), ("location#drill-0123abcd", "observation#1#2")),
        ("locations", "drill-site"),
    ):
        place = {"pk": {"S": pk}, "sk": {"S": sk}}
        replicas.write(EAST, place, place)
    replicas.wait(LATER)

    summary, (entry,) = compare(replicas, plan)

    assert entry.key["sk"] == {"S": "drill-site"}
    assert summary.own == {"ops": 2, "drill": 2}


@pytest.mark.parametrize("name", ["operations-lock", "api-key-operator-1", "verify#1"])
def test_items_of_this_tool_are_known_without_a_partition_of_their_own(replicas, name):
    environment = replicas.environment()
    object.__setattr__(environment.outputs, "evacuation", None)

    assert owner_of(environment, {"pk": {"S": name}, "sk": {"S": name}}) == "ops"
    assert owner_of(environment, {"pk": {"S": "a"}, "sk": {"S": name}}) == ""


def test_several_tables_and_other_keys(tmp_path, plan):
    replicas = Replicas(keys=("id",))
    replicas.isolate(EAST)
    binary = {"id": {"B": b"\x00\xff"}}
    replicas.write(EAST, binary, binary | {"tags": {"BS": [b"2", b"1"]}})
    replicas.wait(LATER)
    arns = cli.tables_of(replicas.environment())["weather"]

    summary, entries = compare(replicas, plan, tables={"one": arns, "two": arns})

    assert {entry.table for entry in entries} == {"one", "two"}
    assert all(entry.key == binary for entry in entries)
    assert summary.items == {"one": {EAST: 1, WEST: 0}, "two": {EAST: 1, WEST: 0}}


def test_what_does_not_fit_into_memory_is_compared_all_the_same(replicas, plan):
    for number in range(300):
        replicas.write(EAST, key(str(number)), item(str(number)))
    replicas.wait(LATER)
    replicas.isolate(EAST)
    for number in range(0, 300, 2):
        replicas.write(EAST, key(str(number)), item(str(number), value="2"))
    replicas.wait(LATER)

    summary, entries = compare(replicas, plan, run_bytes=1_000)

    assert summary.states == {State.DIFFERENT: 150}
    assert len({entry.key["sk"]["S"] for entry in entries}) == 150


def test_only_the_operator_may_read_a_plan_and_a_failed_comparison_leaves_none(
    replicas, plan, monkeypatch
):
    compare(replicas, plan)
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    plan.unlink()

    def fail(*_):
        raise error("AccessDeniedException")
        yield

    monkeypatch.setattr(reading, "changes", fail)
    with pytest.raises(OpsError, match="cannot be read"):
        compare(replicas, plan)
    assert not list(plan.parent.iterdir())


def test_what_was_reviewed_is_not_listed_again(partitioned, plan, tmp_path):
    _, (entry,) = compare(partitioned, plan)

    reviewed = frozenset({entry.identity})
    summary, entries = compare(partitioned, tmp_path / "second.jsonl", reviewed=reviewed)

    assert not summary.differs
    assert (entries, summary.reviewed) == ([], 1)


# --- Carrying it out


def test_an_overwritten_value_is_written_again_where_a_person_says_so(partitioned, plan):
    compare(partitioned, plan)
    edited(plan, action="replay")

    (applied,) = carried_out(partitioned, plan)
    partitioned.wait(LATER)

    assert applied.outcome is Outcome.DONE
    for region in (EAST, WEST):
        assert partitioned.items[region][values.key_text(key())] == item(value="1")
    assert carried_out(partitioned, plan)[0].outcome is Outcome.ALREADY
    assert partitioned.writes == 1


def test_an_item_that_has_changed_since_is_left(partitioned, plan):
    compare(partitioned, plan)
    edited(plan, action="replay")
    partitioned.write(WEST, key(), item(value="3"))

    (applied,) = carried_out(partitioned, plan)

    assert (applied.outcome, applied.where) == (Outcome.CHANGED, (WEST,))
    assert partitioned.writes == 0


@pytest.mark.parametrize("changed", [item(value="3"), item(value="2", more={"S": "x"}), None])
def test_an_item_that_changes_right_before_the_write_is_left(partitioned, plan, changed):
    compare(partitioned, plan)
    edited(plan, action="replay")
    if changed and "more" in changed:
        # An attribute that the plan would write, and did not see.
        lost = values.to_json(item(value="1", more={"S": "y"}))
        entry = json.loads(plan.read_text().splitlines()[1])["overwritten"]
        edited(plan, overwritten=entry | {"value": lost})

    def race(region):
        partitioned.before_write = lambda region: None
        partitioned.write(region, key(), changed)

    partitioned.before_write = race
    (applied,) = carried_out(partitioned, plan)

    assert applied.outcome is Outcome.CHANGED
    assert partitioned.items[EAST].get(values.key_text(key())) == changed


def test_a_write_whose_response_was_lost_counts_as_done(replicas, plan):
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item())
    replicas.wait(LATER)
    compare(replicas, plan)
    # It was written, and boto3 tried again: the condition no longer holds.
    replicas.before_write = lambda region: replicas.write(region, key(), item())

    (applied,) = carried_out(replicas, plan)

    assert applied.outcome is Outcome.DONE


def test_nothing_is_deleted_without_being_told(partitioned, plan):
    compare(partitioned, plan)
    edited(plan, action="delete")

    with pytest.raises(UsageError, match="deletes an item") as refused:
        carried_out(partitioned, plan)

    assert "--allow-deletes" in refused.value.next_step
    assert carried_out(partitioned, plan, deletes=True)[0].outcome is Outcome.DONE
    partitioned.wait(LATER)
    assert partitioned.items == {EAST: {}, WEST: {}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"action": "undo"}, "action: expected one of keep, replay, delete, got 'undo'"),
        ({"action": "replay", "from": "mars"}, "from: expected what to replay"),
        ({"action": "replay", "in": ["mars"]}, "in: expected some of us-east-1, us-west-2"),
        ({"action": "replay", "in": []}, "in: expected some of"),
        ({"action": "replay", "key": None}, "expected the key"),
        ({"action": "replay", "key": {"pk": {"S": "x"}, "sk": {"S": "a"}}}, "another key"),
        ({"action": "replay", "table": "other"}, "its table or Regions"),
        ({"state": "odd"}, "odd"),
        ({"regions": 5}, "not an entry"),
    ],
)
def test_a_plan_that_makes_no_sense_changes_nothing(partitioned, plan, changes, why):
    compare(partitioned, plan)
    edited(plan, **changes)

    with pytest.raises(UsageError) as refused:
        carried_out(partitioned, plan)

    assert why in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    assert partitioned.writes == 0


def test_a_plan_of_another_environment_changes_nothing(partitioned, plan):
    compare(partitioned, plan)
    first, *rest = plan.read_text().splitlines()
    for name, value in (("environment", "other"), ("tables", {}), ("plan", 7)):
        plan.write_text("\n".join([json.dumps(json.loads(first) | {name: value}), *rest]))
        with pytest.raises(UsageError):
            carried_out(partitioned, plan)


def test_two_actions_on_one_item_are_refused(partitioned, plan):
    compare(partitioned, plan)
    edited(plan, action="replay")
    first, second = plan.read_text().splitlines()
    plan.write_text("\n".join([first, second, second]))

    with pytest.raises(UsageError, match="lines 2 and 3 change the same item"):
        carried_out(partitioned, plan)


def test_an_item_of_this_tool_is_never_written(partitioned, plan):
    compare(partitioned, plan)
    own = {"pk": {"S": "control"}, "sk": {"S": "operations-lock"}}
    edited(plan, key=own, action="delete", regions={EAST: None, WEST: None}, overwritten=None)
    with pytest.raises(UsageError, match="belongs to this tool"):
        carried_out(partitioned, plan, deletes=True)


def test_an_item_with_too_many_attributes_for_a_condition_is_left(replicas, plan):
    many = {f"a{number}": {"N": "1"} for number in range(200)}
    replicas.isolate(EAST)
    replicas.write(EAST, key(), item() | many)
    replicas.wait(LATER)
    compare(replicas, plan)

    (applied,) = carried_out(replicas, plan)

    assert applied.outcome is Outcome.TOO_LARGE
    assert replicas.writes == 0


def test_attributes_that_a_write_would_add_count_in_its_condition():
    """DynamoDB refuses the request otherwise, and nothing after it is carried out."""
    many = {f"a{n}": {"S": "x"} for n in range(MOST_ATTRIBUTES)}
    lost = Overwritten(WEST, "2026-01-01T00:00:00+00:00", 1, {**item(), **many})
    entry = Entry(
        "weather", key(), State.OVERWRITTEN, "", {EAST: item(), WEST: item()},
        action="replay", source="overwritten", targets=(WEST,), overwritten=lost,
    )  # fmt: skip

    assert _applied(2, entry, None, {}).outcome is Outcome.TOO_LARGE
    text = condition_of(item(), {**key(), **dict([*many.items()][:96])}, key())
    assert len(text["ConditionExpression"]) < 4096


def test_a_condition_names_what_was_seen_and_what_would_be_added():
    condition = condition_of(item(), item(other={"S": "x"}), key())

    assert condition["ConditionExpression"] == (
        "#a0 = :a0 AND #a1 = :a1 AND #a2 = :a2 AND attribute_not_exists(#n0)"
    )
    assert condition["ExpressionAttributeNames"]["#n0"] == "other"
    assert condition_of(None, item(), key())["ConditionExpression"] == "attribute_not_exists(#a0)"


def test_entries_are_the_same_after_a_round_trip(partitioned, plan):
    _, (entry,) = compare(partitioned, plan)

    assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry


# --- The command


@pytest.fixture
def command(partitioned, monkeypatch, tmp_path, capsys):
    """Run the command on the partitioned table; exit code and JSON document."""
    environment = partitioned.environment(folder=tmp_path)
    monkeypatch.setattr(cli, "environment_from", lambda _: environment)
    monkeypatch.setattr(cli, "hold", _held)
    monkeypatch.setattr(cli, "datetime", _Clock)
    monkeypatch.setattr(cli, "Comparison", partial(Comparison, clock=lambda: partitioned.now))

    def run(*words):
        code = program.main(["reconcile", "--environment", "production", "--json", *words])
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return code, json.loads(out.out), out.err

    return run


class _Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(START + LATER, tz)


SINCE = "2027-01-15T07:59:00Z"


def _held(environment, *, kind, notify):
    @contextmanager
    def held():
        assert kind == "reconcile"
        yield SimpleNamespace(lost="")

    return held()


def test_the_command_compares_plans_and_carries_out(command, partitioned, tmp_path):
    since = SINCE
    code, document, printed = command("--since", since)
    assert code == ExitCode.CHECK_FAILED
    assert "production" in printed
    assert "123456789012" in printed
    assert document["notes"] == []
    assert document["findings"]["overwritten"] == 1
    plan = document["plan"]

    code, document, _ = command("--since", since, "--reviewed", plan)
    assert (code, document["reviewed"]) == (ExitCode.PASSED, 1)

    assert command("--apply", plan)[0] == ExitCode.PASSED
    assert partitioned.writes == 0
    edited(tmp_path / "reconcile" / plan.rpartition("/")[2], action="replay")
    code, document, _ = command("--apply", plan)
    assert code == ExitCode.USAGE, "not confirmed"
    assert partitioned.writes == 0
    code, document, _ = command("--apply", plan, "--yes")
    assert (code, document["outcomes"]["done"]) == (ExitCode.PASSED, 1)
    partitioned.wait(LATER)
    assert command("--since", since)[0] == ExitCode.PASSED


@pytest.mark.parametrize("action", ["delete", "keep"])
def test_a_plan_that_is_edited_while_it_is_confirmed_is_not_carried_out(
    command, partitioned, tmp_path, monkeypatch, action
):
    """In particular not with deletions, which nobody has allowed."""
    _, document, _ = command("--since", SINCE)
    plan = tmp_path / "reconcile" / document["plan"].rpartition("/")[2]
    edited(plan, action="replay")
    monkeypatch.setattr(cli, "confirm", lambda *_, **__: edited(plan, action=action))

    assert command("--apply", str(plan))[0] == ExitCode.USAGE
    assert partitioned.writes == 0


def test_what_streams_no_longer_show_has_not_passed(command, partitioned, tmp_path):
    # Equal replicas, and nothing that is not in the streams is known.
    code, document, printed = command("--since", "2026-01-01T00:00:00Z")
    assert code == ExitCode.CHECK_FAILED
    assert "24 hours" in document["notes"][0]

    words = ("--since", "2026-01-01T00:00:00Z", "--reviewed", document["plan"])
    code, document, printed = command(*words)
    assert code == ExitCode.PREREQUISITE
    assert "Whether a write was overwritten is not known" in printed


def test_what_is_left_is_a_failed_check(command, partitioned, tmp_path):
    _, document, _ = command("--since", SINCE)
    plan = tmp_path / "reconcile" / document["plan"].rpartition("/")[2]
    edited(plan, action="replay")
    partitioned.write(EAST, key(), item(value="9"))

    code, document, _ = command("--apply", str(plan), "--yes")

    assert code == ExitCode.CHECK_FAILED
    assert document["left"] == [
        {"line": 2, "outcome": "changed since the plan, left as it is", "regions": [EAST]}
    ]


def operation(key, *, kind="put", result="acknowledged"):
    return json.dumps({"type": "operation", "kind": kind, "key": key, "result": result})


def test_what_a_drill_says_was_acknowledged_must_be_in_a_replica_or_a_stream(
    command, partitioned, tmp_path
):
    history = tmp_path / "history.jsonl"
    place = {"pk": {"S": "location#drill-0123abcd"}, "sk": {"S": "observation#2000-01-01#x"}}
    partitioned.write(EAST, place, place)
    partitioned.wait(10)
    # As a drill does at its end: only the streams show it now.
    partitioned.write(EAST, place, None)
    partitioned.wait(LATER)
    lines = [
        json.dumps({"type": "drill", "version": 1, "location": "drill-0123abcd"}),
        operation("2000-01-01"),
        operation("2000-01-02", result="unknown"),
        operation("2000-01-03", kind="delete"),
    ]
    history.write_text("\n".join([*lines, '{"type": "oper']))
    words = ("--since", SINCE, "--history", str(history))
    _, document, _ = command(*words)
    assert document["unseen"] == []

    history.write_text("\n".join([*lines, operation("2000-01-04")]))
    plan = document["plan"]
    code, document, printed = command(*words, "--reviewed", plan)
    assert (code, document["unseen"]) == (ExitCode.CHECK_FAILED, ["2000-01-04"])
    assert "in no replica and no stream: 2000-01-04" in printed


def test_a_write_of_another_drill_is_not_the_one_that_was_acknowledged(
    command, partitioned, tmp_path
):
    place = {"pk": {"S": "location#drill-99999999"}, "sk": {"S": "observation#2000-01-01#x"}}
    partitioned.write(EAST, place, place)
    partitioned.wait(LATER)
    history = tmp_path / "history.jsonl"
    head = json.dumps({"type": "drill", "version": 1, "location": "drill-0123abcd"})
    history.write_text(f"{head}\n{operation('2000-01-01')}")

    _, document, _ = command("--since", SINCE, "--history", str(history))

    assert document["unseen"] == ["2000-01-01"]


@pytest.mark.parametrize("text", ["", "{}", "[1]\n2", "odd\n{}", '{"type": "drill"}'])
def test_a_file_that_is_no_history_is_refused(command, tmp_path, text):
    history = tmp_path / "history.jsonl"
    history.write_text(text)

    assert command("--since", "4h", "--history", str(history))[0] == ExitCode.USAGE


def test_a_plan_is_never_overwritten(command, tmp_path):
    plan = tmp_path / "plan.jsonl"
    assert command("--since", "4h", "--output", str(plan))[0] == ExitCode.CHECK_FAILED
    before = plan.read_text()

    assert command("--since", "4h", "--output", str(plan))[0] == ExitCode.USAGE
    assert plan.read_text() == before


def test_a_plan_that_cannot_be_written_is_named(command, tmp_path):
    (tmp_path / "file").touch()

    code, document, _ = command("--since", "4h", "--output", str(tmp_path / "file" / "plan"))

    assert code == ExitCode.PREREQUISITE
    assert "cannot be written" in document["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "yesterday"],
        ["--since", "2026-01-01T00:00:00"],
        ["--since", "2999-01-01T00:00:00Z"],
        ["--since", "4h", "--allow-deletes"],
        ["--since", "4h", "--apply", "plan"],
        ["--since", "4h", "--read-units", "0"],
        ["--since", "4h", "--read-units", "nan"],
        ["--since", "4h", "--reviewed", "missing.jsonl"],
        ["--apply", "missing.jsonl"],
        ["--apply", "missing.jsonl", "--output", "x"],
        [],
    ],
)
def test_wrong_usage_is_refused(command, words):
    assert command(*words)[0] == ExitCode.USAGE
