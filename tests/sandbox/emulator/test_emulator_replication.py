"""Global tables of the local AWS over HTTP: what a Region sees of another one's writes."""

import itertools
import time
import uuid
from contextlib import contextmanager

import pytest
import requests
from botocore.exceptions import ClientError

from ops.fault_injection import Direction, Fault, InjectedFault
from sandbox.emulator import FAULTS_PATH, REPLICATION_PATH

pytestmark = pytest.mark.e2e

EAST, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"
REGIONS = (EAST, WEST, EU)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def lagging(emulator):
    """A server with a lag that a caller can see, and that no test waits for."""
    with emulator.running("--replication-lag", "0.05") as aws:
        yield aws


class GlobalTable:
    """A global table, and short ways to write to a replica and to read it."""

    def __init__(self, aws, *regions):
        self.aws, self.name = aws, f"table-{uuid.uuid4().hex[:8]}"
        self.client(EAST).create_table(
            TableName=self.name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "color")
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[{
                "IndexName": "by-color", "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [{"AttributeName": "color", "KeyType": "HASH"}],
            }],
        )  # fmt: skip
        for region in regions:
            self.add(region)

    def client(self, region):
        return self.aws.client("dynamodb", region)

    def add(self, region):
        self._update({"Create": {"RegionName": region}})

    def remove(self, region):
        self._update({"Delete": {"RegionName": region}})

    def _update(self, change):
        self.client(EAST).update_table(TableName=self.name, ReplicaUpdates=[change])

    def put(self, region, pk, color="red", **more):
        item = {"pk": {"S": pk}, "color": {"S": color}}
        self.client(region).put_item(TableName=self.name, Item=item, **more)

    def delete(self, region, pk):
        self.client(region).delete_item(TableName=self.name, Key={"pk": {"S": pk}})

    def color(self, region, pk):
        """The color of an item, None without one."""
        found = self.client(region).get_item(
            TableName=self.name, Key={"pk": {"S": pk}}, ConsistentRead=True
        )
        return found["Item"]["color"]["S"] if "Item" in found else None

    def seen(self, region):
        """How many items each way of reading has in a replica."""
        client, name = self.client(region), self.name
        return {
            "scan": client.scan(TableName=name)["Count"],
            "index": client.query(
                TableName=name, IndexName="by-color", KeyConditionExpression="color = :color",
                ExpressionAttributeValues={":color": {"S": "red"}},
            )["Count"],
            "count": client.scan(TableName=name, Select="COUNT")["Count"],
            "description": client.describe_table(TableName=name)["Table"]["ItemCount"],
        }  # fmt: skip

    def records(self, region):
        """`(event, key)` of the records of a replica's stream, in order."""
        streams = self.aws.client("dynamodbstreams", region)
        (stream,) = streams.list_streams(TableName=self.name)["Streams"]
        described = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
        iterator = streams.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=described["Shards"][0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]  # fmt: skip
        found = streams.get_records(ShardIterator=iterator)["Records"]
        return [(each["eventName"], each["dynamodb"]["Keys"]["pk"]["S"]) for each in found]


@contextmanager
def injected(aws, fault):
    """A fault, as the Region endpoints inject it."""
    given = InjectedFault(uuid.uuid4().hex[:8], "now", fault)
    url = aws.url + FAULTS_PATH
    assert requests.post(url, json=given.to_json(), timeout=5).status_code == 201
    try:
        yield
    finally:
        assert requests.delete(f"{url}/{given.id}", timeout=5).status_code == 200


def paused(aws, region, target=None):
    return injected(aws, Fault(region, "replication_paused", target=target))


def pending(aws):
    """`{(source, target): what is pending}`."""
    listed = requests.get(aws.url + REPLICATION_PATH, timeout=5).json()["directions"]
    found = [Direction(**each) for each in listed]
    return {(each.source, each.target): each for each in found}


def settle(aws):
    """Wait until everything has arrived that nothing holds back."""
    until(lambda: not any(each.writes for each in pending(aws).values() if not each.paused))


def until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def code_of(call, *arguments, **more):
    """The code of the error that a call ends with; empty if it succeeds."""
    try:
        call(*arguments, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_a_write_is_read_in_its_region_at_once_and_in_others_later(lagging):
    table = GlobalTable(lagging, WEST, EU)
    with paused(lagging, EAST):
        table.put(EAST, "a")

        assert [table.color(region, "a") for region in REGIONS] == ["red", None, None]
        assert [pending(lagging)[EAST, region].writes for region in (WEST, EU)] == [1, 1]

    until(lambda: table.color(WEST, "a") == table.color(EU, "a") == "red")
    settle(lagging)


def test_every_read_is_of_one_replica(lagging):
    table = GlobalTable(lagging, WEST)
    with paused(lagging, EAST):
        table.put(EAST, "a")
        table.put(EAST, "b")

        assert {*table.seen(EAST).values()} == {2}
        assert {*table.seen(WEST).values()} == {0}

    settle(lagging)
    assert table.seen(WEST) == table.seen(EAST)


def write_batch(table, client):
    item = {"pk": {"S": "b"}, "color": {"S": "red"}}
    requests = [{"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}]
    client.batch_write_item(RequestItems={table.name: requests})


def write_transaction(table, client):
    key, item = {"pk": {"S": "a"}}, {"pk": {"S": "b"}, "color": {"S": "red"}}
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": table.name, "Item": item}},
            {"Delete": {"TableName": table.name, "Key": key}},
        ]
    )


def write_statements(table, client):
    insert = f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'b', 'color': 'red'}}"
    client.execute_statement(Statement=insert)
    client.execute_statement(Statement=f"DELETE FROM \"{table.name}\" WHERE pk = 'a'")


def write_statements_at_once(table, client):
    client.execute_transaction(
        TransactStatements=[
            {"Statement": f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'b', 'color': 'red'}}"},
            {"Statement": f"DELETE FROM \"{table.name}\" WHERE pk = 'a'"},
        ]
    )


def write_update(table, client):
    client.update_item(
        TableName=table.name, Key={"pk": {"S": "b"}}, UpdateExpression="SET color = :color",
        ExpressionAttributeValues={":color": {"S": "red"}},
    )  # fmt: skip
    table.delete(EAST, "a")


@pytest.mark.parametrize(
    "write",
    [write_update, write_batch, write_transaction, write_statements, write_statements_at_once],
)
def test_however_it_is_written_it_arrives(lagging, write):
    table = GlobalTable(lagging, WEST)
    table.put(EAST, "a")
    settle(lagging)

    with paused(lagging, EAST):
        write(table, table.client(EAST))

        assert [table.color(EAST, pk) for pk in "ab"] == [None, "red"]
        assert [table.color(WEST, pk) for pk in "ab"] == ["red", None]
    settle(lagging)

    assert [table.color(WEST, pk) for pk in "ab"] == [None, "red"]


def test_a_transaction_that_is_rolled_back_arrives_nowhere(lagging):
    table = GlobalTable(lagging, WEST)
    insert = f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'a', 'color': 'red'}}"
    twice = f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'known', 'color': 'red'}}"
    table.put(EAST, "known")
    settle(lagging)

    statements = [{"Statement": insert}, {"Statement": twice}]
    refused = code_of(table.client(EAST).execute_transaction, TransactStatements=statements)

    assert refused == "TransactionCanceledException"
    assert [pending(lagging)[EAST, WEST].writes, table.color(EAST, "a")] == [0, None]
    assert table.color(WEST, "a") is None


def test_the_last_writer_wins_whichever_write_arrives_last(lagging):
    table = GlobalTable(lagging, WEST, EU)
    with paused(lagging, EAST):
        table.put(EAST, "a", "first")
        table.put(WEST, "a", "second")
        settle(lagging)
        assert [table.color(r, "a") for r in REGIONS] == ["second"] * 3

    settle(lagging)

    assert [table.color(r, "a") for r in REGIONS] == ["second"] * 3


def test_an_older_write_does_not_bring_back_what_was_deleted(lagging):
    table = GlobalTable(lagging, WEST)
    table.put(EAST, "a", "before")
    settle(lagging)
    with injected(lagging, Fault(WEST, "partition")):
        table.put(EAST, "a", "update")
        table.delete(WEST, "a")
        assert [table.color(region, "a") for region in (EAST, WEST)] == ["update", None]

    settle(lagging)

    assert [table.color(region, "a") for region in (EAST, WEST)] == [None, None]


def test_a_condition_is_one_on_the_region_that_is_asked(lagging):
    table = GlobalTable(lagging, WEST)
    once = {"ConditionExpression": "attribute_not_exists(pk)"}
    with injected(lagging, Fault(WEST, "partition")):
        table.put(EAST, "a", "east", **once)

        assert code_of(table.put, EAST, "a", **once) == "ConditionalCheckFailedException"
        assert code_of(table.put, WEST, "a", "west", **once) == ""

    settle(lagging)
    assert [table.color(region, "a") for region in (EAST, WEST)] == ["west", "west"]


def test_one_direction_can_be_paused(lagging):
    table = GlobalTable(lagging, WEST, EU)
    with paused(lagging, EAST, target=WEST):
        table.put(EAST, "from-east")
        table.put(WEST, "from-west")
        settle(lagging)

        assert [table.color(r, "from-east") for r in (WEST, EU)] == [None, "red"]
        assert [table.color(r, "from-west") for r in (EAST, EU)] == ["red", "red"]
        assert {way for way, each in pending(lagging).items() if each.paused} == {(EAST, WEST)}
    settle(lagging)


def test_a_partition_separates_a_region_both_ways(lagging):
    table = GlobalTable(lagging, WEST, EU)
    with injected(lagging, Fault(EU, "partition")):
        for region in REGIONS:
            table.put(region, f"from-{region}")
        settle(lagging)

        assert {
            reader: {writer for writer in REGIONS if table.color(reader, f"from-{writer}")}
            for reader in REGIONS
        } == {EAST: {EAST, WEST}, WEST: {EAST, WEST}, EU: {EU}}
    settle(lagging)

    for reader, writer in itertools.product(REGIONS, repeat=2):
        assert table.color(reader, f"from-{writer}")


def test_what_is_pending_is_counted_with_its_age(lagging):
    table = GlobalTable(lagging, WEST)
    with paused(lagging, EAST):
        table.put(EAST, "a")
        first = pending(lagging)[EAST, WEST]
        table.put(EAST, "b")
        time.sleep(0.05)
        second = pending(lagging)[EAST, WEST]

    assert (first.writes, second.writes) == (1, 2)
    assert second.oldest_seconds >= first.oldest_seconds + 0.05
    assert second.paused
    settle(lagging)
    assert pending(lagging)[EAST, WEST] == Direction(EAST, WEST, 0, 0.0, paused=False)


def test_a_new_replica_has_what_there_was_and_gets_what_follows(lagging):
    table = GlobalTable(lagging, WEST)
    table.put(EAST, "old")
    with paused(lagging, WEST):
        # On its way to the Region from which the new one is copied.
        table.put(WEST, "on-its-way")
        settle(lagging)
        table.add(EU)
        assert [table.color(EU, pk) for pk in ("old", "on-its-way")] == ["red", None]
        table.put(EAST, "new")
    settle(lagging)

    assert [table.color(EU, pk) for pk in ("old", "on-its-way", "new")] == ["red"] * 3


def test_a_deleted_replica_loses_its_data_and_the_rest_continues(lagging):
    table = GlobalTable(lagging, WEST, EU)
    table.put(EU, "a")
    settle(lagging)

    table.remove(EU)

    assert table.name not in table.client(EU).list_tables()["TableNames"]
    with paused(lagging, EAST):
        table.put(EAST, "b")
        assert [pending(lagging)[EAST, region].writes for region in (WEST, EU)] == [1, 0]
    settle(lagging)
    assert [table.color(WEST, pk) for pk in "ab"] == ["red", "red"]


def test_a_table_of_the_same_name_starts_empty(lagging):
    table = GlobalTable(lagging, WEST)
    with paused(lagging, EAST):
        table.put(EAST, "a")
        table.remove(WEST)
        table.client(EAST).delete_table(TableName=table.name)
        again = GlobalTable.__new__(GlobalTable)
        again.__dict__ |= table.__dict__
        table.client(EAST).create_table(
            TableName=table.name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )  # fmt: skip
        again.add(WEST)
    settle(lagging)

    assert [again.color(region, "a") for region in (EAST, WEST)] == [None, None]


def test_each_stream_has_the_writes_of_an_item_in_order(lagging):
    table = GlobalTable(lagging, WEST)
    for _ in range(2):
        table.put(EAST, "a", "red")
        table.put(EAST, "a", "blue")
        table.delete(EAST, "a")
    settle(lagging)

    expected = [("INSERT", "a"), ("MODIFY", "a"), ("REMOVE", "a")] * 2
    assert table.records(EAST) == expected
    assert table.records(WEST) == expected


def test_a_write_that_loses_is_in_no_other_stream(lagging):
    table = GlobalTable(lagging, WEST)
    with injected(lagging, Fault(WEST, "partition")):
        table.put(EAST, "a", "first")
        table.put(WEST, "a", "second")
    settle(lagging)

    assert table.records(EAST) == [("INSERT", "a"), ("MODIFY", "a")]
    assert table.records(WEST) == [("INSERT", "a")]


def test_the_time_that_it_took_is_a_metric_of_the_region_that_wrote(lagging):
    table = GlobalTable(lagging, WEST)
    for number in range(10):
        table.put(EAST, str(number))
    settle(lagging)

    def counted(region, receiving):
        now = time.time()
        (point,) = lagging.client("cloudwatch", region).get_metric_statistics(
            Namespace="AWS/DynamoDB", MetricName="ReplicationLatency", Period=3600,
            Dimensions=[
                {"Name": "TableName", "Value": table.name},
                {"Name": "ReceivingRegion", "Value": receiving},
            ],
            StartTime=now - now % 3600 - 3600, EndTime=now + 3600,
            Statistics=["SampleCount", "Minimum"], Unit="Milliseconds",
        )["Datapoints"] or [None]  # fmt: skip
        return point

    point = counted(EAST, WEST)
    assert point["SampleCount"] == 10
    # Thirty times less than the median is less than any that is drawn.
    assert point["Minimum"] > 50 / 30
    assert counted(WEST, EAST) is None
    assert counted(EAST, EU) is None


def test_without_a_lag_a_write_is_everywhere_when_it_is_acknowledged(patched):
    table = GlobalTable(patched, WEST, EU)
    for number in range(20):
        table.put(EAST, str(number))
        assert [table.color(region, str(number)) for region in (WEST, EU)] == ["red", "red"]


@pytest.mark.parametrize("lag", ["-1", "3601", "nan", "soon"])
def test_an_invalid_lag_is_refused(emulator, lag):
    process = emulator.start("--replication-lag", lag)

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert f"got '{lag}'; give seconds on AWS from 0, for no lag, to 3600" in errors
