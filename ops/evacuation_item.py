"""The item that evacuates a Region, in the replica of one Region."""

import json
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from constructs_lib.outputs import Outputs
from ops.environment import Environment
from ops.lock import user

_TEXTS = (
    *("evacuated_at", "evacuated_by", "reason", "writer", "kind", "expires_at"),
    "fence_after",
)
"""Attributes of the item beside its key."""


@dataclass(frozen=True)
class Evacuation:
    """Whether a Region is evacuated; empty texts for what the item does not have.

    Attributes:
        region: The Region.
        evacuated: Whether it is.
        evacuated_at: Since when, ISO 8601 in UTC.
        evacuated_by: By whom: user and machine.
        reason: Why, in the operator's words.
        writer: Id of the run that evacuated it.
        kind: What that run does; a `drill` restores the Region at its end.
        expires_at: When it ends without anybody restoring it, ISO 8601 in UTC.
        expired: Whether it has ended in this way.
        fence_after: From when on the Region refuses writes, ISO 8601 in UTC; empty for never.
        replicas: The Regions whose replicas say that it is evacuated.
        unread: `{Region: why it is not known what its replica says}`.
    """

    region: str
    evacuated: bool = False
    evacuated_at: str = ""
    evacuated_by: str = ""
    reason: str = ""
    writer: str = ""
    kind: str = ""
    expires_at: str = ""
    expired: bool = False
    fence_after: str = ""
    replicas: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether there is an item, be it expired or not."""
        return self.evacuated or self.expired

    def __str__(self) -> str:
        if self.expired:
            return f"not evacuated (its evacuation ended at {self.expires_at})"
        if not self.evacuated:
            return "not evacuated"
        since = f" since {self.evacuated_at}" if self.evacuated_at else ""
        by = f" by {self.evacuated_by}" if self.evacuated_by else ""
        until = f" until {self.expires_at}" if self.expires_at else ""
        return f"evacuated{since}{by}{until}, reason: {self.reason or 'none given'}"


def read(environment: Environment, region: str, replica: str) -> Evacuation:
    """Read what a replica says of a Region.

    Args:
        environment: The environment.
        region: The Region.
        replica: The Region of the replica.

    Raises:
        BotoCoreError, ClientError: It does not respond.
    """
    response = _dynamodb(environment, replica).get_item(
        **_place(environment, region, replica), ConsistentRead=True
    )
    return _evacuation(region, replica, response.get("Item"))


def write(
    environment: Environment, region: str, replica: str, *, item: Mapping[str, str]
) -> tuple[Evacuation, bool]:
    """Write the item, unless somebody else has evacuated the Region.

    One that has expired is replaced, and that of a drill, unless this is a drill's, too: the drill
    would delete it at its end.

    Args:
        environment: The environment.
        region: The Region to evacuate.
        replica: The Region of the replica.
        item: Its attributes, `writer` and `kind` among them.

    Returns:
        What was there, and whether it was written.

    Raises:
        BotoCoreError, ClientError: The replica does not respond.
    """
    before = Evacuation(region)
    # The first who evacuated it is the one to ask; a second must not hide that.
    while not _put(environment, region, replica, item, over=before):
        found = read(environment, region, replica)
        # Its own write counts as one: it has come from another replica, or the response was lost
        # and boto3 tried again.
        if found.writer == item["writer"]:
            break
        before = found
        if found.evacuated and (found.kind != "drill" or item["kind"] == "drill"):
            # Nothing was written: whoever restores the Region now does so after this.
            return found, False
    return before, True


def delete(
    environment: Environment, region: str, replica: str, *, writer: str | None
) -> tuple[Evacuation, bool]:
    """Delete the item, and with manual failback the mark that the Region serves.

    Args:
        environment: The environment.
        region: The Region to restore.
        replica: The Region of the replica.
        writer: Delete it only if this run wrote it, or, if empty, one that is not noted; None for
            whoever did.

    Returns:
        What was there, and whether it was deleted.

    Raises:
        BotoCoreError, ClientError: The replica does not respond.
    """
    if environment.outputs.failback:
        # First: with it, what fails over is evacuated, and this Region has not served since.
        _dynamodb(environment, replica).delete_item(**_mark(environment, region, replica))
    try:
        response = _dynamodb(environment, replica).delete_item(
            **_place(environment, region, replica),
            ReturnValues="ALL_OLD",
            **({} if writer is None else _if_written_by(environment, writer)),
        )
    except ClientError as error:
        if not _is_refused_condition(error):
            raise
        return read(environment, region, replica), False
    before = _evacuation(region, replica, response.get("Attributes"))
    return before, before.exists


def rewrite(
    environment: Environment,
    state: Evacuation,
    replica: str,
    *,
    fence_after: str,
    create: bool,
) -> bool:
    """Write an evacuation again, with another time from which on the Region refuses writes.

    Args:
        environment: The environment.
        state: The evacuation.
        replica: The Region of the replica.
        fence_after: The time; empty for never.
        create: Whether the replica lacks it; otherwise it must be there as the same run's.

    Returns:
        Whether it was written.

    Raises:
        BotoCoreError, ClientError: The replica does not respond.
    """
    item = {name: str(getattr(state, name)) for name in _TEXTS} | {"fence_after": fence_after}
    over = Evacuation(state.region) if create else state
    return _put(environment, state.region, replica, item, over=over)


def read_mark(environment: Environment, region: str, replica: str) -> dict[str, str]:
    """Read what a replica notes of a Region that serves, with manual failback.

    Args:
        environment: An environment with manual failback.
        region: The Region.
        replica: The Region of the replica.

    Returns:
        `{attribute: text}`: `since`, and `long_at` once it has served for long; empty if it does
        not serve.

    Raises:
        BotoCoreError, ClientError: It does not respond.
    """
    response = _dynamodb(environment, replica).get_item(
        **_mark(environment, region, replica), ConsistentRead=True
    )
    return {name: str(value.get("S", "")) for name, value in response.get("Item", {}).items()}


def written_by() -> str:
    """User and machine, for whoever finds a Region evacuated."""
    return f"{user()} on {socket.gethostname()}"


def evacuate_by_hand(outputs: Outputs, region: str, replica: str) -> str:
    """The line of the AWS CLI that evacuates a Region, if nobody has.

    Args:
        outputs: Outputs of an environment whose Regions can be evacuated.
        region: The Region to evacuate.
        replica: The Region of the replica.
    """
    item = _key(outputs, region) | {"reason": {"S": "by hand"}}
    return _command(
        outputs, "put-item", replica, "--item", json.dumps(item),
        "--condition-expression", f"attribute_not_exists({_key_attribute(outputs)})",
    )  # fmt: skip


def restore_by_hand(outputs: Outputs, region: str, replica: str, writer: str = "") -> str:
    """The line of the AWS CLI that restores a Region.

    Args:
        outputs: Outputs of an environment whose Regions can be evacuated.
        region: The Region to restore.
        replica: The Region of the replica.
        writer: Only if this run evacuated it; empty for whoever did.
    """
    condition = ["--condition-expression", "writer = :writer", "--expression-attribute-values",
                 json.dumps({":writer": {"S": writer}})] if writer else []  # fmt: skip
    key = json.dumps(_key(outputs, region))
    return _command(outputs, "delete-item", replica, "--key", key, *condition)


def _command(outputs: Outputs, command: str, replica: str, *words: str) -> str:
    table = outputs.table_arns[replica]
    return shlex.join(
        ["aws", "dynamodb", command, "--region", replica, "--table-name", table, *words]
    )


def _dynamodb(environment: Environment, replica: str) -> Any:
    return environment.client("dynamodb", replica)


def _key(outputs: Outputs, region: str) -> dict[str, dict[str, str]]:
    assert outputs.evacuation is not None
    key = outputs.evacuation.key_of(region)
    return {name: {"S": value} for name, value in key.items()}


def _key_attribute(outputs: Outputs) -> str:
    assert outputs.evacuation is not None
    return next(iter(outputs.evacuation.item))


def _place(environment: Environment, region: str, replica: str) -> dict[str, Any]:
    return {"TableName": environment.table(replica), "Key": _key(environment.outputs, region)}


def _mark(environment: Environment, region: str, replica: str) -> dict[str, Any]:
    assert environment.outputs.failback is not None
    key = environment.outputs.failback.mark_of(region)
    return {
        "TableName": environment.table(replica),
        "Key": {name: {"S": value} for name, value in key.items()},
    }


def _evacuation(region: str, replica: str, item: Mapping[str, Any] | None) -> Evacuation:
    if not item:
        return Evacuation(region)
    texts: dict[str, Any] = {name: str(item.get(name, {}).get("S", "")) for name in _TEXTS}
    expired = is_past(texts["expires_at"])
    return Evacuation(
        region,
        evacuated=not expired,
        expired=expired,
        replicas=() if expired else (replica,),
        **texts,
    )


def is_past(time: str) -> bool:
    """Whether a time is over; one that is missing or cannot be read never is.

    Args:
        time: ISO 8601, with its offset from UTC.
    """
    try:
        return datetime.fromisoformat(time) <= datetime.now(UTC)
    except (ValueError, TypeError):
        return False


def _put(
    environment: Environment,
    region: str,
    replica: str,
    item: Mapping[str, str],
    *,
    over: Evacuation,
) -> bool:
    """Write the item unless another one is there than was seen; whether it was written."""
    condition: dict[str, Any] = {
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": _key_attribute(environment.outputs)},
    }
    if over.exists:
        condition = _if_written_by(environment, over.writer)
    try:
        _dynamodb(environment, replica).put_item(
            TableName=environment.table(replica),
            Item=_key(environment.outputs, region)
            | {name: {"S": value} for name, value in item.items() if value},
            **condition,
        )
    except ClientError as error:
        if not _is_refused_condition(error):
            raise
        return False
    return True


def _if_written_by(environment: Environment, writer: str) -> dict[str, Any]:
    if writer:
        return {
            "ConditionExpression": "#writer = :writer",
            "ExpressionAttributeNames": {"#writer": "writer"},
            "ExpressionAttributeValues": {":writer": {"S": writer}},
        }
    return {
        "ConditionExpression": "attribute_exists(#key) AND attribute_not_exists(#writer)",
        "ExpressionAttributeNames": {
            "#key": _key_attribute(environment.outputs),
            "#writer": "writer",
        },
    }


def _is_refused_condition(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == "ConditionalCheckFailedException")
