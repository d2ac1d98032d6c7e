"""`ops switch`: the standby takes over from the primary, and keeps it until released.

An item in the standby Region's replica engages the switch. Writing it needs DynamoDB's data plane
in the standby Region and nothing else: neither the primary Region nor any control plane.

Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.environment import Environment
from ops.errors import ExitCode, OpsError


@dataclass(frozen=True)
class SwitchState:
    """The switch as the standby Region's replica shows it.

    Attributes:
        region: Region that takes over, and holds the item.
        engaged: Whether it is engaged.
        engaged_at: Since when, ISO 8601 in UTC; empty if not engaged, or not noted.
        reason: Why, in the operator's words; empty if not engaged, or not noted.
    """

    region: str
    engaged: bool
    engaged_at: str = ""
    reason: str = ""

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
        """Whether anything was done: the switch may have stood so already."""
        return self.before.engaged != self.after.engaged


def status(environment: Environment) -> SwitchState:
    """Reads the switch.

    Args:
        environment: The environment.

    Returns:
        The switch.

    Raises:
        OpsError: The environment has none, or the standby Region does not answer.
    """
    with _told(environment, "read"):
        return _read(environment)


def engage(environment: Environment, *, reason: str = "") -> SwitchChange:
    """Engages the switch; if it is engaged already, that stays as it is.

    Args:
        environment: The environment.
        reason: Why, for whoever finds it engaged.

    Returns:
        The switch before and after.

    Raises:
        OpsError: The environment has none, or the standby Region does not answer.
    """
    switch = _switch_of(environment)
    engaged_at = datetime.now(UTC).isoformat(timespec="seconds")
    before = SwitchState(switch["region"], engaged=False)
    with _told(environment, "engaged"):
        try:
            _dynamodb(environment).put_item(
                TableName=environment.outputs["table_name"],
                Item=_key(switch) | {"engaged_at": {"S": engaged_at}, "reason": {"S": reason}},
                # The first who engaged it is the one to ask; a second must not hide that.
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": next(iter(switch["item"]))},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            before = status(environment)
            if (before.engaged_at, before.reason) == (engaged_at, reason):
                # Its own write: the answer was lost and boto3 tried again.
                before = SwitchState(switch["region"], engaged=False)
    return SwitchChange(before, _read_back(environment, engaged=True))


def release(environment: Environment) -> SwitchChange:
    """Releases the switch, if it is engaged.

    Args:
        environment: The environment.

    Returns:
        The switch before and after.

    Raises:
        OpsError: The environment has none, or the standby Region does not answer.
    """
    switch = _switch_of(environment)
    with _told(environment, "released"):
        answer = _dynamodb(environment).delete_item(
            TableName=environment.outputs["table_name"], Key=_key(switch), ReturnValues="ALL_OLD"
        )
    before = _state(switch, answer.get("Attributes"))
    return SwitchChange(before, _read_back(environment, engaged=False))


def require(environment: Environment) -> None:
    """Makes sure that the environment has a switch.

    Args:
        environment: The environment.

    Raises:
        OpsError: It has none.
    """
    _switch_of(environment)


def _switch_of(environment: Environment) -> Mapping[str, Any]:
    switch: Mapping[str, Any] | None = environment.outputs.get("switch")
    if switch is None:
        raise OpsError(
            f"the environment {environment.name} has no failover switch: its routing policy is "
            f"{environment.outputs.get('routing_policy', 'unknown')}",
            next_step='a switch comes with routing_policy = "failover" in its environment file; '
            "with latency routing, Route 53 leaves out a Region whose health check fails",
            exit_code=ExitCode.USAGE,
        )
    return switch


def _dynamodb(environment: Environment) -> Any:
    return environment.client("dynamodb", _switch_of(environment)["region"])


def _key(switch: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {name: {"S": value} for name, value in switch["item"].items()}


def _state(switch: Mapping[str, Any], item: Mapping[str, Any] | None) -> SwitchState:
    if not item:
        return SwitchState(switch["region"], engaged=False)
    return SwitchState(
        switch["region"],
        engaged=True,
        engaged_at=item.get("engaged_at", {}).get("S", ""),
        reason=item.get("reason", {}).get("S", ""),
    )


def _read(environment: Environment) -> SwitchState:
    switch = _switch_of(environment)
    answer = _dynamodb(environment).get_item(
        TableName=environment.outputs["table_name"], Key=_key(switch), ConsistentRead=True
    )
    return _state(switch, answer.get("Item"))


def _read_back(environment: Environment, *, engaged: bool) -> SwitchState:
    with _told(environment, "read back after it was written"):
        state = _read(environment)
    if state.engaged != engaged:
        raise OpsError(
            f"the switch in {state.region} was written, and read back as: {state}",
            next_step="somebody else may be working it: ask, then look with "
            f"python -m ops switch status --environment {environment.name}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    return state


@contextmanager
def _told(environment: Environment, done: str) -> Iterator[None]:
    """Puts what AWS says in the operator's words."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        region = _switch_of(environment)["region"]
        raise OpsError(
            f"the switch could not be {done}: the table {environment.outputs['table_name']} in "
            f"{region} does not answer as it should: {error}",
            next_step=f"check these credentials and DynamoDB in {region}, then look with python -m "
            f"ops switch status --environment {environment.name}; Route 53 goes on by its health "
            "checks",
        ) from error
