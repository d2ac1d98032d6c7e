"""What the replicas of a table and their streams hold, read without eating up the table's capacity.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from ops.environment import Environment
from ops.errors import OpsError
from ops.reconcile.judgement import Record
from ops.reconcile.values import Item

STREAM_SECONDS = 24 * 3600
"""How long a stream keeps its records."""
BATCH = 100
"""Keys in one BatchGetItem."""
_FIRST_LIMIT = 50
_LARGEST_LIMIT = 1000
_SLOWEST_SECONDS = 4.0
_SAME_CREATION_SECONDS = 600.0
"""A stream that is so much younger than its table does not show what was there before."""
_EMPTY_PAGES = 20
"""An open shard has no end; so many empty pages in a row are taken for it. A few do not say so.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html
"""
_EXPIRED = ("ExpiredIteratorException", "TrimmedDataAccessException")
_ATTEMPTS = 3
"""How often in a row an iterator is made again."""


@dataclass(frozen=True)
class Replica:
    """A replica of a table.

    Attributes:
        region: Its Region.
        table: Its ARN.
        keys: Names of its key attributes, the partition key first.
        ttl_attribute: Attribute with the second at which an item expires; empty for none.
        stream: ARN of its stream; empty if it has none with both images.
        uncovered: Why its stream does not show all changes since a time; empty if it does.
    """

    region: str
    table: str
    keys: tuple[str, ...]
    ttl_attribute: str = ""
    stream: str = ""
    uncovered: str = ""


@dataclass
class Pace:
    """Limits the capacity that reading consumes.

    Attributes:
        units_per_second: Read units per second and Region.
        clock: Seconds that never go back.
        sleep: Waits for so many seconds.
    """

    units_per_second: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _free_at: dict[str, float] = field(default_factory=dict)

    def spend(self, region: str, units: float) -> None:
        """Wait until so many units may be consumed, those consumed just now included.

        Args:
            region: The Region.
            units: What a request has consumed there.
        """
        now = self.clock()
        free_at = max(self._free_at.get(region, now), now) + units / self.units_per_second
        self._free_at[region] = free_at
        self.sleep(max(0.0, free_at - now))


def replica(environment: Environment, region: str, table: str, since: float, now: float) -> Replica:
    """Describe a replica.

    Args:
        environment: The environment.
        region: The Region.
        table: ARN of the table there.
        since: The time from which changes are wanted, in seconds since 1970.
        now: The time.

    Raises:
        OpsError: It is not described.
        BotoCoreError, ClientError: It does not respond.
    """
    client = environment.client("dynamodb", region)
    described = _member(client.describe_table(TableName=table), "Table", region)
    keys = tuple(each["AttributeName"] for each in _member(described, "KeySchema", region))
    if not keys:
        raise _incomplete(region, "KeySchema")
    response = client.describe_time_to_live(TableName=table)
    to_live = _member(response, "TimeToLiveDescription", region)
    ttl = ""
    if to_live.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        ttl = str(to_live.get("AttributeName", ""))
    stream, uncovered = _stream(described, since, now)
    return Replica(region, table, keys, ttl, stream, uncovered)


def scanned(client: Any, replica: Replica, pace: Pace) -> Iterator[Item]:
    """Read every item of a replica, strongly consistent.

    Args:
        client: A client of DynamoDB in its Region.
        replica: The replica.
        pace: Limits what is consumed.

    Raises:
        OpsError: A response is incomplete.
        BotoCoreError, ClientError: It does not respond.
    """
    start: Mapping[str, Any] = {}
    limit = _FIRST_LIMIT
    while True:
        page = client.scan(
            TableName=replica.table,
            ConsistentRead=True,
            Limit=limit,
            ReturnConsumedCapacity="TOTAL",
            **start,
        )
        items = _member(page, "Items", replica.region)
        if len(items) != page.get("Count"):
            raise _incomplete(replica.region, "Items")
        yield from items
        units = float(page.get("ConsumedCapacity", {}).get("CapacityUnits", len(items)))
        pace.spend(replica.region, units)
        if not page.get("LastEvaluatedKey"):
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        # A page consumes about what a second may.
        each = max(units / max(len(items), 1), 0.01)
        limit = max(1, min(_LARGEST_LIMIT, int(pace.units_per_second / each)))


def read(
    client: Any, replica: Replica, keys: Sequence[Item], pace: Pace
) -> Iterator[dict[str, Any]]:
    """Read items by key, strongly consistent; those that do not exist are left out.

    Args:
        client: A client of DynamoDB in its Region.
        replica: The replica.
        keys: At most `BATCH` keys.
        pace: Limits what is consumed.

    Raises:
        OpsError: A response is incomplete, or DynamoDB leaves keys out again and again.
        BotoCoreError, ClientError: It does not respond.
    """
    request = {replica.table: {"Keys": list(keys), "ConsistentRead": True}}
    waited = 0.1
    while request:
        response = client.batch_get_item(RequestItems=request, ReturnConsumedCapacity="TOTAL")
        for items in _member(response, "Responses", replica.region).values():
            yield from items
        spent = response.get("ConsumedCapacity") or [{}]
        pace.spend(replica.region, float(spent[0].get("CapacityUnits", 0)))
        request = response.get("UnprocessedKeys") or {}
        if request:
            if waited > _SLOWEST_SECONDS:
                raise OpsError(
                    f"DynamoDB in {replica.region} is throttling: it left out keys again and again",
                    next_step="run the command again with a lower --read-units",
                )
            pace.sleep(random.uniform(waited / 2, waited))
            waited *= 2


def changes(
    client: Any, replica: Replica, since: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Item, Record]]:
    """Read what the stream of a replica shows since a time.

    Args:
        client: A client of DynamoDB Streams in its Region.
        replica: The replica, which has a stream.
        since: The time, in seconds since 1970.
        sleep: Waits for so many seconds.

    Yields:
        The key of an item, and how it changed: in the order of each shard.

    Raises:
        OpsError: A response is incomplete.
        BotoCoreError, ClientError: It does not respond.
    """
    start: dict[str, str] = {}
    while True:
        response = client.describe_stream(StreamArn=replica.stream, **start)
        described = _member(response, "StreamDescription", replica.region)
        for shard in _member(described, "Shards", replica.region):
            for record in _records(client, replica, shard, sleep):
                change = record["dynamodb"]
                at = _seconds(change["ApproximateCreationDateTime"])
                if at < since:
                    continue
                yield (
                    {name: change["Keys"][name] for name in replica.keys},
                    Record(
                        replica.region,
                        at,
                        int(change["SequenceNumber"]),
                        change.get("OldImage"),
                        change.get("NewImage"),
                    ),
                )
        if not described.get("LastEvaluatedShardId"):
            return
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}


def _records(
    client: Any, replica: Replica, shard: Mapping[str, Any], sleep: Callable[[float], None]
) -> Iterator[Mapping[str, Any]]:
    place: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
    # A closed shard has an end, wherever its records are.
    is_open = "EndingSequenceNumber" not in (shard.get("SequenceNumberRange") or {})
    iterator: str | None = ""
    empty = failures = 0
    while iterator is not None and not (is_open and empty >= _EMPTY_PAGES):
        try:
            if not iterator:
                response = client.get_shard_iterator(
                    StreamArn=replica.stream, ShardId=shard["ShardId"], **place
                )
                iterator = str(_member(response, "ShardIterator", replica.region))
            page = client.get_records(ShardIterator=iterator)
        except ClientError as error:
            # It is valid for a quarter of an hour, and so long only as its record is kept.
            code = error.response.get("Error", {}).get("Code", "")
            failures += 1
            if failures > _ATTEMPTS or code not in _EXPIRED:
                raise
            if code == "TrimmedDataAccessException":
                place = {"ShardIteratorType": "TRIM_HORIZON"}
            iterator = ""
            continue
        failures = 0
        records = _member(page, "Records", replica.region)
        yield from records
        if records:
            place = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": records[-1]["dynamodb"]["SequenceNumber"],
            }
        iterator = page.get("NextShardIterator")
        empty = 0 if records else empty + 1
        if not records and iterator:
            sleep(0.05)


def _stream(described: Mapping[str, Any], since: float, now: float) -> tuple[str, str]:
    """ARN of the stream, and why it does not show everything."""
    if described.get("MultiRegionConsistency") == "STRONG":
        # One of two conflicting writes is refused: none is overwritten, and nothing is on its way.
        return "", ""
    given = described.get("StreamSpecification") or {}
    arn = str(described.get("LatestStreamArn") or "")
    if not given.get("StreamEnabled") or not arn:
        return "", "the table has no stream"
    if given.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
        return "", f"it shows {given.get('StreamViewType')}, not NEW_AND_OLD_IMAGES"
    if now - since > STREAM_SECONDS:
        return arn, "it keeps 24 hours"
    label = str(described.get("LatestStreamLabel") or "")
    try:
        begun = datetime.fromisoformat(label)
    except ValueError:
        return arn, ""
    begun = begun if begun.tzinfo else begun.replace(tzinfo=UTC)
    created = described.get("CreationDateTime")
    is_younger = created is None or begun.timestamp() - _seconds(created) > _SAME_CREATION_SECONDS
    # Nothing was in the table before it was made.
    if begun.timestamp() > since and is_younger:
        return arn, f"it was created at {begun.isoformat(timespec='seconds')}"
    return arn, ""


def _seconds(at: Any) -> float:
    return at.timestamp() if isinstance(at, datetime) else float(at)


def _member(response: Mapping[str, Any], name: str, region: str) -> Any:
    if response.get(name) is None:
        raise _incomplete(region, name)
    return response[name]


def _incomplete(region: str, name: str) -> OpsError:
    return OpsError(
        f"a response of DynamoDB in {region} is incomplete: no {name}",
        next_step="check proxies between this machine and AWS, and run the command again",
    )
