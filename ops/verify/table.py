"""The global table: replicated each way, backed up, and protected alike in each Region.

Replication is measured with items of its own beside the switch's, never among customers' data;
they are removed.
"""

import json
import secrets
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from ops.environment import Environment
from ops.errors import ExitCode, OpsError, explain
from ops.verify.comparison import Settings, compared
from ops.verify.finding import Check, Finding, check, failed, passed, passed_unless, region_check
from ops.verify.replicas import described, uses_kms

SAMPLES = 5
SAMPLING_SECONDS = 3.0
"""No further sample is begun after that."""
POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 8.0
"""Replication typically takes a second or less.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
PARTITION = "control"
_FIX = "deploy again; these are settings of each replica"


class NotReplicatedError(Exception):
    """An item did not arrive in time."""


def _pairs(environment: Environment) -> dict[str, Callable[[], Iterator[Finding]]]:
    return {
        f"{source} to {target}": partial(_replication, environment, source, target)
        for source, target in permutations(environment.regions, 2)
    }


replication = Check(
    "table.replication",
    _pairs,
    "Check that each Region reads what each other one writes, and measure how long that takes.",
    if_late=f"an item that it wrote may be left in the partition {PARTITION!r}",
)


@region_check("table.protection")
def protection(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the Region's replica has continuous backups."""
    settings = _settings(environment, region)
    off = "point-in-time recovery is off: overwritten data cannot be restored"
    yield passed_unless(
        region,
        [] if settings["point-in-time recovery"] == "ENABLED" else [off],
        found=", ".join(f"{name}: {value}" for name, value in settings.items()),
        fix=_FIX,
    )


@check("table.parity")
def parity(environment: Environment) -> Iterator[Finding]:
    """Check that the replicas have the same settings."""
    yield from compared(environment, _settings, subject="the table", fix=_FIX)


def _replication(environment: Environment, source: str, target: str) -> Iterator[Finding]:
    subject = f"{source} to {target}"
    here, there = (environment.client("dynamodb", region) for region in (source, target))
    tables = environment.table(source), environment.table(target)
    key_names = _key_names(described(environment, source))
    times: list[float] = []
    begun = time.monotonic()
    try:
        while len(times) < SAMPLES and (not times or time.monotonic() - begun < SAMPLING_SECONDS):
            key = _key(key_names, source)
            times.append(_sample(here, there, tables, key))
    except NotReplicatedError:
        yield failed(
            subject,
            f"a write in {source} was not readable in {target} within {TIMEOUT_SECONDS:g} s",
            f"see the replicas' status in DynamoDB{_metric(environment, source)}; "
            "after a failover, customers cannot read writes that have not arrived",
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


def _metric(environment: Environment, source: str) -> str:
    """Where DynamoDB shows how long replication takes, which is nothing with strong consistency."""
    if environment.outputs.consistency == "strong":
        return ""
    return f" and its metric ReplicationLatency in {source}"


def _sample(here: Any, there: Any, tables: tuple[str, str], key: dict[str, Any]) -> float:
    """Milliseconds until a new item is there; it is removed whatever happens."""
    try:
        here.put_item(TableName=tables[0], Item=key)
    except Exception as error:
        if _may_have_arrived(error):
            _remove(here, tables[0], key)
        raise
    try:
        return _milliseconds_until(there, tables[1], key)
    finally:
        _remove(here, tables[0], key)


def _milliseconds_until(there: Any, table: str, key: dict[str, Any]) -> float:
    written_at = time.monotonic()
    while True:
        read_at = time.monotonic()
        if "Item" in there.get_item(TableName=table, Key=key, ConsistentRead=True):
            return (time.monotonic() - written_at) * 1000
        if read_at - written_at > TIMEOUT_SECONDS:
            raise NotReplicatedError
        time.sleep(POLL_SECONDS)


def _may_have_arrived(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
    return not isinstance(error, EndpointConnectionError | ConnectTimeoutError)


def _remove(here: Any, table: str, key: dict[str, Any]) -> None:
    try:
        here.delete_item(TableName=table, Key=key)
    except Exception as error:
        raise OpsError(
            f"an item that was written to measure replication may be left: {explain(error)}",
            next_step=f"aws dynamodb delete-item --region {table.split(':')[3]} --table-name "
            f"{table} --key {shlex.quote(json.dumps(key))}",
            exit_code=ExitCode.CHECK_FAILED,
        ) from error


def _key_names(table: dict[str, Any]) -> list[str]:
    """Names of the key attributes, the partition key first."""
    schema = sorted(table["KeySchema"], key=lambda part: part["KeyType"] != "HASH")
    return [part["AttributeName"] for part in schema]


def _key(names: list[str], region: str) -> dict[str, dict[str, str]]:
    unique = f"verify#{region}#{secrets.token_hex(8)}"
    values = [unique] if len(names) == 1 else [PARTITION, unique]
    return {name: {"S": value} for name, value in zip(names, values, strict=True)}


def _settings(environment: Environment, region: str) -> Settings:
    table = described(environment, region)
    name = environment.table(region)
    dynamodb = environment.client("dynamodb", region)
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return {
        "deletion protection": "on" if table.get("DeletionProtectionEnabled") else "off",
        "point-in-time recovery": recovery.get("PointInTimeRecoveryStatus", "DISABLED"),
        "stream": table.get("StreamSpecification", {}).get("StreamViewType", "off"),
        "encryption": table["SSEDescription"].get("SSEType", "KMS")
        if uses_kms(table)
        else "AWS owned key",
        "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "expiry": expiry.get("AttributeName", "off"),
    }
