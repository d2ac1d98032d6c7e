"""`ops switch`: the secondary Region takes over from the primary, until the switch is released.

An item in the secondary Region's replica engages the switch. Writing it needs DynamoDB's data plane
in the secondary Region and nothing else: neither the primary Region nor any control plane.

Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from constructs_lib.outputs import SwitchOutput
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.lock import new_run


@dataclass(frozen=True)
class SwitchState:
    """The switch as the secondary Region's replica shows it.

    Attributes:
        region: Region that takes over, and holds the item.
        engaged: Whether it is engaged.
        engaged_at: Since when, ISO 8601 in UTC; empty if not engaged, or not noted.
        reason: Why, in the operator's words; empty if not engaged, or not noted.
        writer: Id of the run that engaged it; empty if not engaged, or not noted.
        kind: `drill` if a drill engaged it, which releases it at its end.
    """

    region: str
    engaged: bool
    engaged_at: str = ""
    reason: str = ""
    writer: str = ""
    kind: str = ""

    def __str__(self) -> str:
        if not self.engaged:
            return "not engaged"
        since = f" since {self.engaged_at}" if self.engaged_at else ""
        return f"engaged{since}, reason: {self.reason or 'none given'}"


@dataclass(frozen=True)
class SwitchChange:
    """What engaging or releasing did.

    Attributes:
        before: The switch before.
        after: The switch as it was read back.
    """

    before: SwitchState
    after: SwitchState

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.before != self.after


def status(environment: Environment) -> SwitchState:
    """Read the switch.

    Args:
        environment: The environment.

    Raises:
        OpsError: The environment has none, or the secondary Region does not respond.
    """
    switch = require(environment)
    with _explained(environment, "read"):
        response = _dynamodb(environment).get_item(
            TableName=environment.table(switch.region), Key=_key(switch), ConsistentRead=True
        )
    return _state(switch, response.get("Item"))


def engage(
    environment: Environment, *, reason: str = "", writer: str = "", kind: str = "switch"
) -> SwitchChange:
    """Engage the switch; if it is engaged already, nothing changes.

    One that a drill has engaged is taken over: the drill would release it at its end.

    Args:
        environment: The environment.
        reason: Why, for whoever finds it engaged.
        writer: Id of the run that engages it, for `release`; one is chosen by default.
        kind: What the run does; a `drill` takes over nothing.

    Returns:
        The switch before and after.

    Raises:
        OpsError: The environment has none, or the secondary Region does not respond.
    """
    switch = require(environment)
    writer = writer or new_run(kind)
    item = {
        "engaged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
        "writer": writer,
        "kind": kind,
    }
    before = SwitchState(switch.region, engaged=False)
    with _explained(environment, "engaged"):
        # The first who engaged it is the one to ask; a second must not hide that.
        while not _put(environment, item, over=before):
            found = status(environment)
            # Its own write counts as one: the response was lost and boto3 tried again.
            if found.writer == writer:
                break
            before = found
            if found.engaged and (found.kind != "drill" or kind == "drill"):
                # Nothing was written: whoever releases it now does so after this.
                return SwitchChange(found, found)
    return SwitchChange(before, _read_back(environment, engaged=True))


def release(environment: Environment, *, writer: str | None = None) -> SwitchChange:
    """Release the switch, if it is engaged.

    Args:
        environment: The environment.
        writer: Release it only if this run engaged it, or, if empty, one that is not noted; None
            for whoever did.

    Returns:
        The switch before and after; the same if nothing was released.

    Raises:
        OpsError: The environment has none, or the secondary Region does not respond.
    """
    switch = require(environment)
    with _explained(environment, "released"):
        try:
            response = _dynamodb(environment).delete_item(
                TableName=environment.table(switch.region),
                Key=_key(switch),
                ReturnValues="ALL_OLD",
                **({} if writer is None else _if_written_by(switch, writer)),
            )
        except ClientError as error:
            if not _is_refused_condition(error):
                raise
            found = status(environment)
            return SwitchChange(found, found)
    before = _state(switch, response.get("Attributes"))
    if not before.engaged:
        return SwitchChange(before, before)
    return SwitchChange(before, _read_back(environment, engaged=False))


def release_by_hand(environment: Environment, writer: str) -> str:
    """The line of the AWS CLI that releases the switch, if a run still holds it.

    Args:
        environment: An environment with a switch.
        writer: Id of the run that engaged it.
    """
    switch = require(environment)
    words = [
        *("aws", "dynamodb", "delete-item", "--region", switch.region),
        *("--table-name", environment.table(switch.region), "--key", json.dumps(_key(switch))),
        *("--condition-expression", "writer = :writer", "--expression-attribute-values"),
        json.dumps({":writer": {"S": writer}}),
    ]
    return shlex.join(words)


def require(environment: Environment) -> SwitchOutput:
    """Find the environment's switch.

    Args:
        environment: The environment.

    Raises:
        OpsError: It has none.
    """
    switch = environment.outputs.switch
    if switch is None:
        raise UsageError(
            f"the environment {environment.name} has no failover switch: its routing policy is "
            f"{environment.outputs.routing_policy}",
            next_step='set routing_policy = "failover" in the file of a new environment; with '
            f"{environment.outputs.routing_policy} routing, Route 53 leaves out a Region whose "
            "health check fails",
        )
    return switch


def _dynamodb(environment: Environment) -> Any:
    return environment.client("dynamodb", require(environment).region)


def _key(switch: SwitchOutput) -> dict[str, dict[str, str]]:
    return {name: {"S": value} for name, value in switch.item.items()}


def _state(switch: SwitchOutput, item: Mapping[str, Any] | None) -> SwitchState:
    def text(name: str) -> str:
        return str((item or {}).get(name, {}).get("S", ""))

    return SwitchState(
        switch.region,
        bool(item),
        text("engaged_at"),
        text("reason"),
        text("writer"),
        text("kind"),
    )


def _put(environment: Environment, item: Mapping[str, str], *, over: SwitchState) -> bool:
    """Write the item unless another one is there than was seen; whether it was written."""
    switch = require(environment)
    condition: dict[str, Any] = {
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": next(iter(switch.item))},
    }
    if over.engaged:
        condition = _if_written_by(switch, over.writer)
    try:
        _dynamodb(environment).put_item(
            TableName=environment.table(switch.region),
            Item=_key(switch) | {name: {"S": value} for name, value in item.items()},
            **condition,
        )
    except ClientError as error:
        if not _is_refused_condition(error):
            raise
        return False
    return True


def _if_written_by(switch: SwitchOutput, writer: str) -> dict[str, Any]:
    if writer:
        return {
            "ConditionExpression": "#writer = :writer",
            "ExpressionAttributeNames": {"#writer": "writer"},
            "ExpressionAttributeValues": {":writer": {"S": writer}},
        }
    return {
        "ConditionExpression": "attribute_exists(#key) AND attribute_not_exists(#writer)",
        "ExpressionAttributeNames": {"#key": next(iter(switch.item)), "#writer": "writer"},
    }


def _read_back(environment: Environment, *, engaged: bool) -> SwitchState:
    state = status(environment)
    if state.engaged != engaged:
        raise OpsError(
            f"the switch in {state.region} was written, and read back as: {state}",
            next_step="somebody else may be working on it: ask, then look with "
            f"python -m ops switch status {environment.selector}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    return state


def _is_refused_condition(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == "ConditionalCheckFailedException")


@contextmanager
def _explained(environment: Environment, done: str) -> Iterator[None]:
    """Turn an error of AWS into one with a next step."""
    try:
        yield
    except OpsError:
        raise
    except Exception as error:
        region = require(environment).region
        raise OpsError(
            f"the switch could not be {done}: DynamoDB in {region} (table "
            f"{environment.outputs.table_name}) failed: {explain(error)}",
            next_step=f"check these credentials and DynamoDB in {region}, then look with python -m "
            f"ops switch status {environment.selector}; Route 53 continues to use its health "
            "checks",
        ) from error
