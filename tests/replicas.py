"""A global table whose replicas the sandbox's replication engine keeps, with streams and clients.

Each client answers as DynamoDB does for one Region: scans in an order of its own and in pages,
leaves keys of a batch out now and then, and checks conditions. Nothing waits: the test owns time.
"""

import heapq
import random
import re
from collections import defaultdict
from datetime import UTC, datetime

from botocore.exceptions import ClientError
from fake_environment import OUTPUTS, Canned, environment

from ops.reconcile.values import digest, key_of, key_text
from sandbox.replication.engine import Replication

TABLE = "weather"
KEYS = ("pk", "sk")
START = 1_800_000_000.0
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def error(code):
    return ClientError({"Error": {"Code": code, "Message": "injected"}}, "Injected")


class Replicas:
    """The table: written by customers through `write`, and by the tool through its clients."""

    def __init__(self, regions=REGIONS[:2], *, seed=0, lag=0.4, keys=KEYS):
        self.regions, self.keys, self.now = regions, keys, START
        self.random = random.Random(seed)
        self.items = {region: {} for region in regions}
        self.records = {region: [] for region in regions}
        self.specification = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        self.created = self.table_created = datetime.fromtimestamp(START - 1e6, UTC)
        self.consistency = "EVENTUAL"
        self.ttl, self.sequence, self.writes = "", 0, 0
        self.before_write = lambda region: None
        self.calls = defaultdict(int)
        self.combines = False
        self.engine = Replication(
            self._store, lag=lambda: self.random.uniform(0, 2 * lag), clock=lambda: self.now
        )
        self.engine.set_replicas(TABLE, regions, source=regions[0])

    def wait(self, seconds):
        """Let time pass, and what is due arrive when it is due."""
        end = self.now + seconds
        while (due := self._deliver()) is not None and self.now + due <= end:
            self.now += due
        self.now = end
        self._deliver()

    def isolate(self, region):
        self.engine.pause(region, ((region, None), (None, region)))

    def connect(self, region):
        self.engine.resume(region)
        self._deliver()

    def write(self, region, key, item):
        """A customer's write; a deletion of nothing is none."""
        text = key_text(key)
        if digest(self.items[region].get(text)) == digest(item):
            return False
        self.engine.write(TABLE, region, text, item)
        self._store(TABLE, region, text, item)
        return True

    def shown(self, region):
        return {text: digest(item) for text, item in self.items[region].items()}

    def environment(self, wrapped=lambda client, service, region: client, **changes):
        """An environment with this table; each client may be wrapped."""
        arns = {
            each: f"arn:aws:dynamodb:{each}:123456789012:table/{TABLE}" for each in self.regions
        }
        known = {
            name: {each: value.get(each, f"{name}-{each}") for each in self.regions}
            for name, value in OUTPUTS.items()
            if isinstance(value, dict) and set(value) == set(REGIONS[:2])
        }
        clients = {}
        for each in self.regions:
            sts = Canned(
                get_caller_identity={"Account": "123456789012", "Arn": "arn:aws:iam::1:user/ada"}
            )
            for service, client in (
                *(("dynamodb", DynamoDb(self, each)), ("dynamodbstreams", Streams(self, each))),
                ("sts", sts),
            ):
                clients[service, each] = wrapped(client, service, each)
        return environment(
            clients,
            outputs=known | {"regions": list(self.regions), "table_arns": arns},
            **changes,
        )

    def _deliver(self):
        """What is due arrives; of several writes to an item, AWS may send the last one only."""
        for direction in self.engine._directions.values() if self.combines else ():
            queue = sorted(direction.queue, key=lambda entry: entry[1])
            last = {change.key: number for _, number, change in queue}
            direction.queue = [e for e in direction.queue if last[e[2].key] == e[1]]
            heapq.heapify(direction.queue)
        return self.engine.deliver()

    def _store(self, table, region, text, item):
        items = self.items[region]
        old = items.get(text)
        # A write that changes nothing, and a deletion of nothing, leave no record.
        if digest(old) == digest(item):
            return
        if item is None:
            del items[text]
        else:
            items[text] = item
        self.sequence += 1
        record = {
            "Keys": key_of(item or old, self.keys),
            "ApproximateCreationDateTime": datetime.fromtimestamp(int(self.now), UTC),
            "SequenceNumber": f"{self.sequence:021d}",
        }
        if old is not None:
            record["OldImage"] = old
        if item is not None:
            record["NewImage"] = item
        name = "REMOVE" if item is None else "MODIFY" if old else "INSERT"
        self.records[region].append({"eventName": name, "dynamodb": record})


class DynamoDb:
    """DynamoDB in one Region."""

    def __init__(self, replicas, region):
        self._replicas, self._region = replicas, region
        self._order = random.Random(region)

    def describe_table(self, *, TableName):  # noqa: N803
        label = self._replicas.created.isoformat(timespec="milliseconds").removesuffix("+00:00")
        kinds = ("HASH", "RANGE")
        return {
            "Table": {
                "TableArn": TableName,
                "KeySchema": [
                    {"AttributeName": name, "KeyType": kind}
                    for name, kind in zip(self._replicas.keys, kinds, strict=False)
                ],
                "CreationDateTime": self._replicas.table_created,
                "MultiRegionConsistency": self._replicas.consistency,
                "StreamSpecification": self._replicas.specification,
                "LatestStreamArn": f"{TableName}/stream/{label}",
                "LatestStreamLabel": label,
            }
        }

    def describe_time_to_live(self, *, TableName):  # noqa: N803
        if not self._replicas.ttl:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        to_live = {"TimeToLiveStatus": "ENABLED", "AttributeName": self._replicas.ttl}
        return {"TimeToLiveDescription": to_live}

    def scan(self, *, Limit, ExclusiveStartKey=None, ConsistentRead, **_):  # noqa: N803
        assert ConsistentRead
        self._replicas.calls["scan", self._region] += 1
        items = self._replicas.items[self._region]
        # As of hashes: another order in each Region.
        texts = sorted(items, key=lambda text: random.Random(f"{self._region}{text}").random())
        if ExclusiveStartKey:
            texts = texts[texts.index(key_text(ExclusiveStartKey)) + 1 :]
        page = [items[text] for text in texts[:Limit]]
        response = {
            "Items": page,
            "Count": len(page),
            "ConsumedCapacity": {"CapacityUnits": float(len(page))},
        }
        if len(texts) > Limit:
            response["LastEvaluatedKey"] = key_of(page[-1], self._replicas.keys)
        return response

    def batch_get_item(self, *, RequestItems, **_):  # noqa: N803
        ((table, asked),) = RequestItems.items()
        assert asked["ConsistentRead"]
        keys = asked["Keys"]
        taken = keys[: max(1, self._order.randint(1, len(keys)))]
        items = self._replicas.items[self._region]
        found = [items[key_text(key)] for key in taken if key_text(key) in items]
        response = {
            "Responses": {table: found},
            "ConsumedCapacity": [{"CapacityUnits": float(len(taken))}],
        }
        if rest := keys[len(taken) :]:
            response["UnprocessedKeys"] = {table: {"Keys": rest, "ConsistentRead": True}}
        return response

    def get_item(self, *, TableName, Key, ConsistentRead):  # noqa: N803
        assert ConsistentRead
        item = self._replicas.items[self._region].get(key_text(Key))
        return {} if item is None else {"Item": item}

    def put_item(self, *, TableName, Item, **condition):  # noqa: N803
        self._write(key_of(Item, self._replicas.keys), Item, condition)
        return {}

    def delete_item(self, *, TableName, Key, **condition):  # noqa: N803
        self._write(Key, None, condition)
        return {}

    def _write(self, key, item, condition):
        self._replicas.before_write(self._region)
        if not _holds(condition, self._replicas.items[self._region].get(key_text(key))):
            raise error("ConditionalCheckFailedException")
        self._replicas.writes += self._replicas.write(self._region, key, item)


class Streams:
    """DynamoDB Streams in one Region, in two shards."""

    def __init__(self, replicas, region):
        self._replicas, self._region = replicas, region

    def describe_stream(self, *, StreamArn, ExclusiveStartShardId=None):  # noqa: N803
        if ExclusiveStartShardId is None:
            shards = {"Shards": [{"ShardId": "0"}], "LastEvaluatedShardId": "0"}
            return {"StreamDescription": shards}
        return {"StreamDescription": {"Shards": [{"ShardId": "1"}]}}

    def get_shard_iterator(self, *, ShardId, **_):  # noqa: N803
        return {"ShardIterator": f"{ShardId}:0"}

    def get_records(self, *, ShardIterator):  # noqa: N803
        shard, _, place = ShardIterator.partition(":")
        records = [
            record
            for record in self._replicas.records[self._region]
            # One item is in one shard.
            if sum(map(ord, key_text(record["dynamodb"]["Keys"]))) % 2 == int(shard)
        ]
        page = records[int(place) : int(place) + 3]
        after = int(place) + len(page)
        if shard == "0" and after == len(records):
            # A closed shard ends.
            return {"Records": page}
        return {"Records": page, "NextShardIterator": f"{shard}:{after}"}


def _holds(condition, item):
    """Whether a condition of equalities and of attributes that exist or do not holds."""
    names = condition.get("ExpressionAttributeNames", {})
    values = condition.get("ExpressionAttributeValues", {})
    for term in filter(None, condition.get("ConditionExpression", "").split(" AND ")):
        if match := re.fullmatch(r"attribute(_not)?_exists\((#\w+)\)", term):
            if (names[match[2]] in (item or {})) == bool(match[1]):
                return False
            continue
        name, value = re.fullmatch(r"(#\w+) = (:\w+)", term).groups()
        found = (item or {}).get(names[name])
        if found is None or digest({"x": found}) != digest({"x": values[value]}):
            return False
    return True
