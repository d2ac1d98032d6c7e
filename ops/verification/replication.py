"""What one Region writes the others read, and how long that takes.

Writes an item of its own beside the switch's, never among customers' data, and removes it.
"""

import secrets
import statistics
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.environment import Environment
from ops.verification.finding import Finding, check, failed, guarded, passed
from ops.verification.reaching import client

SAMPLES = 5
POLL_SECONDS = 0.02
LIMIT_SECONDS = 10.0
"""Typically it takes a second or less; longer than this is a fault.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
PARTITION = "control"


class NotReplicatedError(Exception):
    """An item did not arrive in time."""


@check("data.replication")
def replication(environment: Environment) -> Iterator[Finding]:
    """Each Region reads what each other one writes; time from acknowledgement to first reading."""
    for source in environment.regions:
        for target in environment.regions:
            if source != target:
                yield from guarded(
                    f"{source} to {target}",
                    partial(_way, environment, source, target),
                )


def _way(environment: Environment, source: str, target: str) -> Iterator[Finding]:
    subject = f"{source} to {target}"
    here, there = (client(environment, "dynamodb", region) for region in (source, target))
    table = environment.outputs["table_name"]
    key_names = _key_names(here, table)
    times = []
    try:
        for _ in range(SAMPLES):
            key = _key(key_names, source)
            try:
                times.append(_milliseconds(here, there, table, key))
            finally:
                here.delete_item(TableName=table, Key=key)
    except NotReplicatedError:
        yield failed(
            subject,
            f"what {source} wrote was not to be read in {target} within {LIMIT_SECONDS:g} s",
            f"see the replicas' status in DynamoDB and its metric ReplicationLatency in {source}; "
            "writes that have not arrived are lost to customers after a failover",
        )
        return
    except (BotoCoreError, ClientError) as error:
        yield failed(
            subject,
            f"the table does not answer as it should: {error}",
            f"see that DynamoDB answers in {source} and {target}, and that these credentials may "
            f"read, write and delete items of {table}",
        )
        return
    median, longest = statistics.median(times), max(times)
    yield passed(
        subject,
        f"median {median:.0f} ms, longest {longest:.0f} ms of {len(times)}",
        samples=len(times),
        median_ms=round(median, 1),
        max_ms=round(longest, 1),
    )


def _milliseconds(here: Any, there: Any, table: str, key: dict[str, Any]) -> float:
    here.put_item(TableName=table, Item=key)
    written = time.monotonic()
    while True:
        asked = time.monotonic()
        if "Item" in there.get_item(TableName=table, Key=key, ConsistentRead=True):
            return (time.monotonic() - written) * 1000
        if asked - written > LIMIT_SECONDS:
            raise NotReplicatedError
        time.sleep(POLL_SECONDS)


def _key_names(dynamodb: Any, table: str) -> list[str]:
    """Names of the key attributes, the partition key first."""
    schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    return [
        part["AttributeName"] for part in sorted(schema, key=lambda part: part["KeyType"] != "HASH")
    ]


def _key(names: list[str], region: str) -> dict[str, dict[str, str]]:
    own = f"verify#{region}#{secrets.token_hex(8)}"
    values = [own] if len(names) == 1 else [PARTITION, own]
    return {name: {"S": value} for name, value in zip(names, values, strict=True)}
