"""Rules of manual failback: who is taken out of service, and who never is.

The model drives the function itself. The table is a fake, in which every call may fail before or
after it has taken effect, as when a function is ended. Each function sees what DNS answered at some
moment of the last 5 s, as resolvers do. What must hold is written down from the history of DNS and
of the operator, and reads nothing of the function but the item that it leaves.
"""

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

import get_evacuation
from weather import failback, replica
from weather.errors import Unavailable

pytestmark = pytest.mark.unit

FIRST, SECOND, THIRD, FOURTH = "us-east-1", "us-west-2", "eu-west-1", "eu-central-1"
TTL = 5
START = datetime(2026, 1, 31, tzinfo=UTC)
OPERATORS = {"reason": {"S": "a gray failure"}, "writer": {"S": "switch-1"}}


class Table:
    """Items by sort key, with the conditions that the function uses."""

    def __init__(self):
        self.items = {}
        self.fail = None

    @contextmanager
    def _call(self):
        """One call; `fail` is how many succeed before one fails, and whether it has an effect."""
        calls, has_effect = self.fail or (1, True)
        if self.fail:
            self.fail = (calls - 1, has_effect)
        if calls == 0 and not has_effect:
            raise Unavailable("lost")
        yield
        if calls == 0:
            raise Unavailable("lost")

    def get_item(self, **arguments):
        assert arguments["ConsistentRead"]
        with self._call():
            item = self.items.get(arguments["Key"]["sk"]["S"])
        return {"Item": dict(item)} if item else {}

    def put_item(self, **arguments):
        item, condition = arguments["Item"], arguments["ConditionExpression"]
        with self._call():
            found = self.items.get(item["sk"]["S"])
            if condition == "attribute_not_exists(pk)":
                holds = found is None
            else:
                assert condition == "#name = :text"
                name = arguments["ExpressionAttributeNames"]["#name"]
                text = arguments["ExpressionAttributeValues"][":text"]
                holds = found is not None and found.get(name) == text
            if not holds:
                error = {"Error": {"Code": "ConditionalCheckFailedException"}}
                raise ClientError(error | {"ResponseMetadata": {"HTTPStatusCode": 400}}, "PutItem")
            self.items[item["sk"]["S"]] = item

    def delete_item(self, **arguments):
        with self._call():
            self.items.pop(arguments["Key"]["sk"]["S"], None)


@dataclass
class World:
    """Regions in order, functions that observe them, what DNS answers, and an operator."""

    regions: tuple = (FIRST, SECOND, THIRD)
    now: int = 0
    answered: list = field(default_factory=lambda: [(0, None)])
    restored_at: dict = field(default_factory=dict)

    def __post_init__(self):
        self.table = Table()
        self.latches = {}
        self.lag = 0

    # DNS

    def answers(self, region):
        self.answered.append((self.now, region))

    def seen_at(self, moment):
        return next(region for at, region in reversed(self.answered) if at <= max(0, moment))

    # The operator

    def item(self, region):
        return self.table.items.get(f"evacuation-{region}")

    def evacuate(self, region, *, ended=False):
        end = {"expires_at": {"S": "2020-01-01T00:00:00+00:00"}} if ended else {}
        self.table.items[f"evacuation-{region}"] = OPERATORS | end

    def restore(self, region):
        self.table.items.pop(f"evacuation-{region}", None)

    # The functions

    def ask(self, region, observer, instance=0, *, lag=0, fail=None, dns=True):
        """Ask a function about a Region: its status."""

        def serving():
            assert not is_out(self.item(region)), "an evacuated Region waits for no lookup"
            return self.seen_at(self.now - lag) if dns else None

        key = observer, instance
        if key not in self.latches:
            self.latches[key] = failback.Latch(
                self.table,
                self.regions,
                observer,
                lambda: self.lookup(),
                clock=lambda: float(self.now),
                now=lambda: START + timedelta(seconds=self.now),
            )
        self.lookup = serving
        before = self.item(region)
        self.table.fail = fail
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(get_evacuation, "_client", self.table)
            patch.setattr(get_evacuation, "_latch", self.latches[key])
            event = {"pathParameters": {"region": region}}
            status = get_evacuation.handler(event, None)["statusCode"]
        self.table.fail = None
        self._must_hold(region, before, status, failed=fail is not None)
        return status

    def _must_hold(self, region, before, status, *, failed):
        after = self.item(region)
        if is_out(before):
            # What an operator, or a failover, has written stays as it is.
            assert after == before
            assert status == 200 or failed
        elif is_out(after):
            assert after["kind"]["S"] == "failover"
            assert status == 200 or failed
            # It has served since it was restored, and one behind it has been answered lately.
            since = self.restored_at.get(region, 0)
            assert any(self.seen_at(at) == region for at in range(since, self.now + 1))
            lately = {self.seen_at(self.now - lag) for lag in range(TTL + 1)}
            behind = self.regions[self.regions.index(region) + 1 :]
            assert lately & set(behind)
        else:
            assert status != 200
            assert after == before

    def pass_time(self, seconds):
        self.now += seconds

    def rounds(self, seconds):
        """Health checkers that ask every function every few seconds: all statuses, by Region."""
        statuses = {region: [] for region in self.regions}
        for _ in range(0, seconds, 3):
            self.pass_time(3)
            for region in self.regions:
                for observer in self.regions:
                    if observer != region:
                        statuses[region].append(self.ask(region, observer))
        return statuses


def is_out(item):
    return item is not None and "expires_at" not in item


def test_a_region_that_served_and_fails_over_is_evacuated_until_it_is_restored():
    # GIVEN a Region that serves
    world = World()
    world.answers(FIRST)
    assert set(world.rounds(60)[FIRST]) == {404}
    # WHEN another one is answered
    world.answers(SECOND)
    world.rounds(9)
    # THEN it is evacuated, for whoever reads why
    item = {name: value["S"] for name, value in world.item(FIRST).items()}
    assert item["evacuated_by"].startswith("failover, in ")
    assert item["reason"] == "failed over; failback is manual"
    assert item["kind"] == "failover"
    # AND it refuses writes at once, where writes are fenced
    assert item["fence_after"] == item["evacuated_at"]
    assert item["writer"].startswith("failover-2026-01-31T00:00:")
    # AND it stays so, also when it was answered for lack of another
    assert set(world.rounds(60)[FIRST]) == {200}
    assert "serving-us-east-1" not in world.table.items
    # UNTIL an operator restores it, while DNS still has to follow
    world.restore(FIRST)
    assert set(world.rounds(60)[FIRST]) == {404}
    world.answers(FIRST)
    assert set(world.rounds(60)[FIRST]) == {404}


def test_a_new_environment_whose_second_region_is_healthy_first_latches_nobody():
    world = World()
    for answer in (None, THIRD, SECOND, FIRST):
        world.answers(answer)
        statuses = world.rounds(30)
        assert {status for region in statuses for status in statuses[region]} == {404}


def test_each_region_of_a_chain_is_latched_when_it_fails_in_its_turn():
    world = World((FIRST, SECOND, THIRD, FOURTH))
    for region in world.regions:
        world.answers(region)
        world.rounds(60)

    assert [is_out(world.item(region)) for region in world.regions] == [True, True, True, False]


def test_a_region_that_waits_again_has_not_failed_over():
    # GIVEN the second served, until the first was restored
    world = World()
    world.answers(SECOND)
    world.rounds(60)
    world.answers(FIRST)
    world.rounds(60)
    # WHEN the first fails while the second is unhealthy
    world.answers(THIRD)
    world.rounds(60)
    # THEN the first has failed over, and not the second
    assert is_out(world.item(FIRST))
    assert not is_out(world.item(SECOND))


def test_one_that_served_for_a_moment_only_is_not_latched():
    world = World()
    world.answers(FIRST)
    world.rounds(12)
    world.answers(SECOND)

    assert set(world.rounds(60)[FIRST]) == {404}


def test_an_answer_from_before_a_restore_latches_nobody():
    # GIVEN an operator who evacuates a Region and restores it as soon as DNS has followed
    world = World()
    world.answers(FIRST)
    world.rounds(60)
    world.evacuate(FIRST)
    world.rounds(30)
    world.answers(SECOND)
    world.pass_time(1)
    world.restore(FIRST)
    # WHEN a function is still told that it serves
    world.pass_time(1)
    assert world.ask(FIRST, THIRD, lag=3) == 404
    # THEN it is not taken out again while DNS follows, late
    assert set(world.rounds(90)[FIRST]) == {404}


def test_without_an_answer_nothing_is_written():
    world = World()
    world.answers(FIRST)
    world.rounds(60)
    world.answers(SECOND)
    before = json.dumps(world.table.items)
    world.pass_time(10)

    assert world.ask(FIRST, SECOND, dns=False) == 404
    assert json.dumps(world.table.items) == before


def test_when_no_region_is_healthy_everything_stays_as_it_is():
    world = World()
    world.answers(FIRST)
    world.rounds(60)
    world.answers(None)
    assert set(world.rounds(60)[FIRST]) == {404}
    # AND the first has failed over once the second is healthy, before it
    world.answers(SECOND)
    world.rounds(9)
    assert is_out(world.item(FIRST))


def test_a_region_is_asked_about_by_others_only_and_the_last_never_fails_over():
    world = World()
    world.answers(FIRST)
    for region, observer in ((FIRST, FIRST), (THIRD, FIRST), ("eu-north-1", FIRST)):
        world.pass_time(10)
        assert world.ask(region, observer) == 404
    world.answers(THIRD)
    world.pass_time(10)
    assert world.ask(THIRD, FIRST) == 404
    assert world.table.items == {}


def test_a_failover_replaces_an_evacuation_that_has_ended():
    world = World()
    world.evacuate(FIRST, ended=True)
    world.answers(FIRST)
    world.rounds(60)
    world.answers(SECOND)
    world.rounds(9)

    assert world.item(FIRST)["kind"] == {"S": "failover"}
    assert is_out(world.item(FIRST))


def test_an_operator_who_evacuates_at_the_same_time_is_the_one_to_ask():
    # GIVEN a Region that has failed over
    world = World()
    world.answers(FIRST)
    world.rounds(60)
    world.answers(SECOND)
    world.pass_time(6)
    # WHEN an operator evacuates it, for an hour, while a function looks up what DNS answers
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    item = OPERATORS | {"expires_at": {"S": end}}
    latch = failback.Latch(
        world.table,
        world.regions,
        SECOND,
        lambda: world.table.items.update({f"evacuation-{FIRST}": item}) or SECOND,
    )
    # THEN the operator's item stays
    assert latch.has_failed_over(FIRST)
    assert world.item(FIRST) == item


REGIONS3 = st.sampled_from((FIRST, SECOND, THIRD))
FAILS = st.none() | st.tuples(st.integers(0, 4), st.booleans())
EVENTS = st.one_of(
    st.tuples(st.just("answers"), st.sampled_from((FIRST, SECOND, THIRD, None))),
    st.tuples(st.just("evacuate"), REGIONS3),
    st.tuples(st.just("end"), REGIONS3),
    st.tuples(st.just("restore"), REGIONS3),
    st.tuples(st.just("pass_time"), st.sampled_from((1, 3, 6, 16, 60))),
    st.tuples(st.just("rounds"), st.sampled_from((9, 30))),
    st.tuples(
        st.just("ask"), REGIONS3, REGIONS3, st.integers(0, 1), st.integers(0, TTL), FAILS,
        st.booleans(),
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
@example(
    [
        ("answers", FIRST),
        ("rounds", 30),
        ("answers", SECOND),
        ("pass_time", 6),
        ("ask", FIRST, SECOND, 0, 0, (3, True), True),
        ("ask", FIRST, THIRD, 0, 0, None, True),
    ]
)
def test_whatever_happens_only_who_served_and_failed_is_latched_and_all_ends_well(events):
    world = World()
    for name, *values in events:
        if name == "ask":
            region, observer, instance, lag, fail, dns = values
            if region != observer:
                world.ask(region, observer, instance, lag=lag, fail=fail, dns=dns)
        elif name == "restore":
            if is_out(world.item(values[0])):
                world.restored_at[values[0]] = world.now
            world.restore(values[0])
        elif name == "end":
            if is_out(world.item(values[0])):
                world.restored_at[values[0]] = world.now
            world.evacuate(values[0], ended=True)
        elif name == "answers" and values[0] and is_out(world.item(values[0])):
            pass  # Route 53 answers with none that is evacuated.
        else:
            getattr(world, name)(*values)
    # WHEN the operator restores all, and the first serves for a minute, THEN nobody is out
    for region in world.regions:
        world.restore(region)
    world.answers(FIRST)
    world.restored_at.clear()
    statuses = world.rounds(60)
    assert {status for region in statuses for status in statuses[region]} == {404}
    # AND WHEN it fails, one call is enough
    world.answers(SECOND)
    world.pass_time(6)
    assert world.ask(FIRST, THIRD) == 200
    assert set(world.rounds(30)[FIRST]) == {200}
    assert not is_out(world.item(SECOND))


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("192.0.2.1", FIRST),
        ("192.0.2.2", SECOND),
        ("192.0.2.0", None),
        ("192.0.2.3", None),
        ("203.0.113.1", None),
        (socket.gaierror("no address"), None),
    ],
)
def test_the_address_names_the_region(monkeypatch, address, region):
    # A busy machine takes its time for a thread.
    monkeypatch.setattr(failback, "LOOKUP_SECONDS", 60)

    def resolve(name):
        assert name == "serving.api.example.com."
        if isinstance(address, Exception):
            raise address
        return address

    assert failback.Serving("serving.api.example.com", (FIRST, SECOND), resolve)() == region


class Slow:
    """DNS that answers when it is told to, and a clock."""

    def __init__(self):
        self.now, self.asked, self.answer, self.answers = 0.0, 0, "192.0.2.1", Event()

    def resolve(self, _name):
        self.asked += 1
        answer = self.answer
        assert self.answers.wait(60)
        return answer

    def serving(self):
        return failback.Serving("serving", (FIRST, SECOND), self.resolve, lambda: self.now)


def test_a_lookup_that_takes_too_long_is_there_for_the_next_call(monkeypatch):
    monkeypatch.setattr(failback, "LOOKUP_SECONDS", 0.05)
    dns = Slow()
    serving = dns.serving()
    # GIVEN a lookup that was given up
    assert serving() is None
    assert dns.asked == 1
    # WHEN it ends, THEN the next call has its answer
    monkeypatch.setattr(failback, "LOOKUP_SECONDS", 60)
    dns.answers.set()
    dns.now += 1
    assert serving() == FIRST
    assert dns.asked == 1


def test_an_old_answer_is_not_used(monkeypatch):
    monkeypatch.setattr(failback, "LOOKUP_SECONDS", 0.05)
    dns = Slow()
    serving = dns.serving()
    assert serving() is None
    # GIVEN an answer that comes minutes late, as to a function that has slept meanwhile
    dns.now += 100
    monkeypatch.setattr(failback, "LOOKUP_SECONDS", 60)
    dns.answers.set()
    assert serving() is None
    # WHEN it is asked again, THEN it asks DNS again
    dns.answer = "192.0.2.2"
    assert serving() == SECOND
    assert dns.asked == 2
    # AND what it has found counts for a moment
    dns.answer = "192.0.2.1"
    assert serving() == SECOND
    dns.now += failback.FRESH_SECONDS
    assert serving() == FIRST


def test_without_its_variables_failback_is_automatic(monkeypatch):
    assert failback.latch(None) is None
    monkeypatch.setenv("SERVING_NAME", "serving.api.example.com")
    assert failback.latch(None) is None
    monkeypatch.setenv("REGION_ORDER", f"{FIRST} {SECOND}")
    assert isinstance(failback.latch(None), failback.Latch)


def test_dynamodb_takes_the_conditions(table):
    client = boto3.client("dynamodb", region_name="eu-central-1")
    key = failback.serving_key(FIRST)
    assert replica.write(client, key, {"since": "1"})
    assert not replica.write(client, key, {"since": "2"})
    assert not replica.write(client, key, {"since": "2"}, over=("since", "2"))
    assert replica.write(client, key, {"since": "1", "long_at": "3"}, over=("since", "1"))
    assert replica.read(client, key) == dict(key._asdict(), since="1", long_at="3")
    replica.delete(client, key)
    assert replica.read(client, key) is None
    assert not replica.write(client, key, {"since": "2"}, over=("since", "1"))
