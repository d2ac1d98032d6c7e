"""Reads and writes of the records, in the local replica of the table.

Every read is strongly consistent within its own Region: what a Region has acknowledged, it shows at
once. The other Region shows it when replication has brought it, typically within a second.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from weather.documents import number_text
from weather.errors import NotFound
from weather.model import (
    Key,
    Listing,
    Location,
    Observation,
    ObservationTime,
    SortKeyRange,
    encode_cursor,
    location_key,
    observation_range,
    observations_partition,
)
from weather.replica import TABLE_NAME, connect, unavailable_if_aws_is

Item = dict[str, dict[str, str]]
"""An item as DynamoDB's low-level interface shows it: `{attribute: {type: value}}`."""

Record = TypeVar("Record", Location, Observation)

client = connect(connect_timeout_seconds=0.5, read_timeout_seconds=1.0, attempts=2)
"""Made while the function starts, where it costs a request nothing."""


def require_location(location_id: str) -> None:
    """Make sure that a location is registered.

    Operations ask only when they found no observation, which saves a read: observations are only
    accepted for registered locations, and locations are not removed.

    Args:
        location_id: Which one.

    Raises:
        NotFound: If it is not.
        Unavailable: If the local replica cannot be read.
    """
    pk, sk = location_key(location_id)
    with unavailable_if_aws_is():
        answer = client.get_item(
            TableName=TABLE_NAME, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
    if "Item" not in answer:
        raise NotFound(f"Location {location_id} is not registered.")


def put_location(location: Location) -> bool:
    """Write a location whole, in place of whatever stood there.

    If two Regions do so at once, the later write is in both when replication is done.

    Args:
        location: What to write.

    Returns:
        True if the local replica held no such location before.

    Raises:
        Unavailable: If the local replica cannot be written.
    """
    with unavailable_if_aws_is():
        answer = client.put_item(
            TableName=TABLE_NAME,
            Item=_to_item(location.key, location.fields),
            ReturnValues="ALL_OLD",
        )
    return "Attributes" not in answer


def list_locations(listing: Listing) -> tuple[list[Location], str | None]:
    """Read one page of locations, by location id.

    Args:
        listing: The page.

    Returns:
        The locations, and the cursor of the next page, which is None at the end.

    Raises:
        Unavailable: If the local replica cannot be read.
    """
    return _page(Location, listing)


def list_observations(listing: Listing) -> tuple[list[Observation], str | None]:
    """Read one page of observations, oldest first.

    Args:
        listing: The page.

    Returns:
        The observations, and the cursor of the next page, which is None at the end.

    Raises:
        Unavailable: If the local replica cannot be read.
    """
    return _page(Observation, listing)


def find_latest_observation(location_id: str) -> Observation | None:
    """Read the observation with the largest sort key, which is the same one in every Region.

    Args:
        location_id: Where.

    Returns:
        The observation, or None if there is none yet.

    Raises:
        Unavailable: If the local replica cannot be read.
    """
    partition = observations_partition(location_id)
    items = _query(partition, observation_range(), limit=1, newest_first=True)
    return _from_item(Observation, items[0]) if items else None


def find_observations_at(moment: ObservationTime) -> list[Observation]:
    """Read every observation of one moment that the local replica holds.

    Args:
        moment: Where and when.

    Returns:
        None or one as a rule; more if different ones were accepted at the same instant.

    Raises:
        Unavailable: If the local replica cannot be read.
    """
    items = _query(observations_partition(moment.location_id), moment.sort_keys)
    return [_from_item(Observation, item) for item in items]


def put_observation(observation: Observation) -> None:
    """Write an observation; to write the same one again changes nothing.

    Args:
        observation: What to write.

    Raises:
        Unavailable: If the local replica cannot be written.
    """
    with unavailable_if_aws_is():
        client.put_item(TableName=TABLE_NAME, Item=_to_item(observation.key, observation.fields))


def delete_observation(observation: Observation) -> None:
    """Remove an observation; to remove it again changes nothing.

    Args:
        observation: What to remove.

    Raises:
        Unavailable: If the local replica cannot be written.
    """
    pk, sk = observation.key
    with unavailable_if_aws_is():
        client.delete_item(TableName=TABLE_NAME, Key={"pk": {"S": pk}, "sk": {"S": sk}})


def _page(kind: type[Record], listing: Listing) -> tuple[list[Record], str | None]:
    """Read one item more than the page holds, to find out whether another page follows."""
    items = _query(listing.partition, listing.sort_keys, limit=listing.limit + 1)
    records = [_from_item(kind, item) for item in items[: listing.limit]]
    more = len(items) > listing.limit
    return records, encode_cursor(records[-1].key.sk) if more else None


def _query(
    partition: str,
    sort_keys: SortKeyRange,
    *,
    limit: int | None = None,
    newest_first: bool = False,
) -> list[Item]:
    """Read up to `limit` items (all by default) of a partition, however many calls that takes."""
    if sort_keys.lowest > sort_keys.highest:
        return []  # DynamoDB refuses a BETWEEN whose ends are the wrong way round.
    arguments: dict[str, Any] = {
        "TableName": TABLE_NAME,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :lowest AND :highest",
        "ExpressionAttributeValues": {
            ":pk": {"S": partition},
            ":lowest": {"S": sort_keys.lowest},
            ":highest": {"S": sort_keys.highest},
        },
        "ConsistentRead": True,
        "ScanIndexForward": not newest_first,
    }
    items: list[Item] = []
    while True:
        if limit is not None:
            arguments["Limit"] = limit - len(items)
        with unavailable_if_aws_is():
            answer = client.query(**arguments)
        items += answer["Items"]
        if "LastEvaluatedKey" not in answer or len(items) == limit:
            return items
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _to_item(key: Key, fields: Mapping[str, Decimal | str]) -> Item:
    """Write a record as an item."""
    item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    for name, value in fields.items():
        item[name] = {"S": value} if isinstance(value, str) else {"N": number_text(value)}
    return item


def _from_item(kind: type[Record], item: Item) -> Record:
    """Read a record from an item."""
    fields = {
        name: Decimal(value["N"]) if "N" in value else value["S"]
        for name, value in item.items()
        if name not in ("pk", "sk")
    }
    return kind.from_key(Key(item["pk"]["S"], item["sk"]["S"]), fields)
