"""The replicated tables of MiniStack with a clock that is set: in a process of their own.

MiniStack keeps its tables in its modules, and patches stay: no other test must see them.
"""

import json
import subprocess
import sys
import textwrap

import pytest
from repository_files import REPOSITORY

pytestmark = pytest.mark.program

START = """
import json, os, time
from types import SimpleNamespace
from sandbox.emulator import module
from sandbox.emulator.replication import ReplicatedTables
from sandbox.replication.lag import LogNormalLag

dynamodb, responses = module("services.dynamodb"), module("core.responses")
now = 0.0
tables = ReplicatedTables(LogNormalLag(0.5, seed=1), speed=10.0, clock=lambda: now)
tables.install()
ACCOUNT, EAST, WEST = responses.get_account_id(), "us-east-1", "us-west-2"

def call(region, function, **data):
    with responses.request_scope(ACCOUNT, region):
        status, _, body = getattr(dynamodb, function)(data)
    assert status == 200, body
    return json.loads(body)

def put(region, pk, **attributes):
    call(region, "_put_item", TableName="table", Item={"pk": {"S": pk}, **attributes})

def keys(region):
    return sorted(each["pk"]["S"] for each in call(region, "_scan", TableName="table")["Items"])

def wait(seconds):
    global now
    now += seconds
    tables.pending()

call(EAST, "_create_table", TableName="table", BillingMode="PAY_PER_REQUEST",
     AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
     KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}])
call(EAST, "_update_table", TableName="table", ReplicaUpdates=[{"Create": {"RegionName": WEST}}])
"""


def run(body):
    """What a program prints, as JSON, which has a global table in two Regions at ten times AWS."""
    done = subprocess.run(
        [sys.executable, "-c", START + textwrap.dedent(body)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_write_arrives_when_the_drawn_time_is_over_as_fast_as_the_sandbox_runs():
    before, after, expected = run(
        """
        lag = LogNormalLag(0.5, seed=1)() / 10
        put(EAST, "a")
        wait(lag - 0.001)
        before = keys(WEST)
        wait(0.002)
        print(json.dumps([before, keys(WEST), lag]))
        """
    )

    assert (before, after) == ([], ["a"])
    assert 0.01 < expected < 0.5


def test_ages_are_in_seconds_of_aws():
    (age,) = run(
        """
        tables.pause("p", ((EAST, None),))
        put(EAST, "a")
        wait(3.0)
        print(json.dumps([each.oldest_seconds for each in tables.pending() if each.writes]))
        """
    )

    assert age == 30.0


def test_what_expires_in_one_region_is_deleted_in_the_others():
    east, before, after = run(
        """
        put(EAST, "old", expires={"N": "1"})
        put(EAST, "new", expires={"N": str(int(time.time()) + 3600)})
        wait(60.0)
        call(EAST, "_update_ttl", TableName="table",
             TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
        # Of the two Regions, this one finds it expired first.
        dynamodb._ttl_settings.pop_scoped(ACCOUNT, WEST, "table")
        seconds = iter([0])

        def sleep(_):
            if next(seconds, None) is None:
                raise SystemExit

        dynamodb.time = SimpleNamespace(sleep=sleep, time=time.time)
        try:
            dynamodb._ttl_reaper()
        except SystemExit:
            dynamodb.time = time
        before = keys(WEST)
        wait(60.0)
        print(json.dumps([keys(EAST), before, keys(WEST)]))
        """
    )

    assert (east, before, after) == (["new"], ["new", "old"], ["new"])


def test_a_region_that_is_lost_for_good_loses_what_it_has_not_sent():
    count, east, west = run(
        """
        put(EAST, "sent")
        wait(60.0)
        tables.pause("p", ((EAST, None), (None, EAST)))
        put(EAST, "held")
        call(EAST, "_delete_item", TableName="table", Key={"pk": {"S": "sent"}})
        put(WEST, "theirs")
        count = tables.discard(EAST)
        tables.resume("p")
        wait(60.0)
        print(json.dumps([count, keys(EAST), keys(WEST)]))
        """
    )

    assert (count, east, west) == (2, ["sent", "theirs"], ["sent", "theirs"])


def test_what_was_written_arrived_and_expired_is_in_the_stream_of_each_replica():
    east, west = run(
        """
        def shown(region):
            with responses.request_scope(ACCOUNT, region):
                found = dynamodb.stream_live_records("table")
            return [
                [each["eventName"], each.get("userIdentity", {}).get("principalId")]
                for each in found
            ]

        put(EAST, "old", expires={"N": "1"})
        wait(60.0)
        put(WEST, "old", expires={"N": "2"})
        wait(60.0)
        put(EAST, "late")
        # It loses on arrival, and so changes nothing there.
        tables.pause("p", ((EAST, WEST),))
        put(EAST, "late", value={"S": "lost"})
        wait(0.001)
        put(WEST, "late", value={"S": "won"})
        wait(60.0)
        tables.resume("p")
        wait(60.0)
        call(EAST, "_update_ttl", TableName="table",
             TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
        dynamodb._ttl_settings.pop_scoped(ACCOUNT, WEST, "table")
        seconds = iter([0])

        def sleep(_):
            if next(seconds, None) is None:
                raise SystemExit

        dynamodb.time = SimpleNamespace(sleep=sleep, time=time.time)
        try:
            dynamodb._ttl_reaper()
        except SystemExit:
            dynamodb.time = time
        wait(60.0)
        print(json.dumps([shown(EAST), shown(WEST)]))
        """
    )

    by_dynamodb = ["REMOVE", "dynamodb.amazonaws.com"]
    inserted, modified, removed = ([name, None] for name in ("INSERT", "MODIFY", "REMOVE"))
    assert east == [inserted, modified, inserted, modified, modified, by_dynamodb]
    assert west == [inserted, modified, inserted, removed]


def test_a_speed_that_changes_counts_for_what_is_on_its_way_and_turns_no_time_back():
    before, after, ages = run(
        """
        tables.pause("p", ((WEST, None),))
        put(WEST, "held")
        wait(1.0)
        tables.set_speed(1.0)
        wait(1.0)
        ages = [each.oldest_seconds for each in tables.pending() if each.writes]
        lag = LogNormalLag(0.5, seed=1)
        lag()
        put(EAST, "a")
        due = lag()
        wait(due - 0.01)
        before = keys(WEST)
        wait(0.02)
        print(json.dumps([before, keys(WEST), ages]))
        """
    )

    assert (before, after) == (["held"], ["a", "held"])
    assert ages == [11.0]
