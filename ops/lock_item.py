"""The item of an environment's lock, in the secondary Region's replica."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.environment import Environment
from ops.errors import OpsError, explain

COMMANDS: Mapping[str, str] = {
    "drill": "drill",
    "restore": "drill --restore",
    "switch": "switch restore",
    "customers": "customers",
    "deploy": "deploy",
    "records": "records",
    "reconcile": "reconcile --apply",
}
"""The command of each kind."""
ITEM = "operations-lock"
"""Value of the item's last key attribute; the others are those of an evacuation."""


@dataclass(frozen=True)
class LockState:
    """The lock as the secondary Region's replica shows it; empty texts for what it does not have.

    Attributes:
        run: Id of the run that holds it; empty if nobody does.
        kind: What the holder does, one of `COMMANDS`.
        host: The holder's machine.
        user: The holder's user there.
        environment: Name of the environment, as the holder knows it.
        since: Since when, ISO 8601 in UTC.
        expires_at: When the lease ends by the holder's clock, ISO 8601 in UTC.
        renewal: Another value after each renewal.
        interrupted_by: Who interrupted the holder.
        note: What an earlier or the present holder has changed and not restored.
    """

    run: str = ""
    kind: str = ""
    host: str = ""
    user: str = ""
    environment: str = ""
    since: str = ""
    expires_at: str = ""
    renewal: str = ""
    interrupted_by: str = ""
    note: str = ""

    def __str__(self) -> str:
        command = COMMANDS.get(self.kind, self.kind)
        return f"{command} by {self.user} on {self.host} since {self.since} (run {self.run})"


OF_THE_HOLDER = tuple(name for name in LockState.__dataclass_fields__ if name != "note")


def read(environment: Environment) -> LockState:
    """Read the lock.

    Args:
        environment: The environment.

    Raises:
        OpsError: The secondary Region does not respond.
    """
    with explained(environment, "read"):
        return _state(read_item(environment))


def interrupt_drill(environment: Environment, *, by: str) -> LockState | None:
    """Interrupt a drill that holds the lock: it ends early, and restores what it changed.

    Args:
        environment: The environment.
        by: Who interrupts it, in words.

    Returns:
        The drill's lock; None if no drill holds it.

    Raises:
        OpsError: The secondary Region does not respond.
    """
    with explained(environment, "changed"):
        return update(environment, {"interrupted_by": by}, condition="#kind = :kind", kind="drill")


def delete(environment: Environment, *, condition: str, item: str = ITEM, **values: str) -> None:
    """Delete an item if a condition holds.

    Args:
        environment: The environment.
        condition: As of `update`.
        item: Value of its last key attribute.
        values: Texts in the condition, by name.

    Raises:
        BotoCoreError, ClientError: It cannot be deleted, or the condition does not hold.
    """
    _dynamodb(environment).delete_item(
        **_place(environment, item),
        ConditionExpression=condition,
        ExpressionAttributeNames={f"#{name}": name for name in _names(condition)},
        ExpressionAttributeValues=_texts(values),
    )


def _dynamodb(environment: Environment) -> Any:
    return environment.client("dynamodb", environment.secondary)


def key_of(environment: Environment, item: str = ITEM) -> dict[str, dict[str, str]]:
    """Key of an item that this tool keeps in the table.

    Args:
        environment: The environment.
        item: Value of its last key attribute; the others are those of an evacuation.
    """
    evacuation = environment.outputs.evacuation
    if evacuation:
        # The partition that the program keeps for operators.
        names = {**evacuation.item, list(evacuation.item)[-1]: item}
    else:
        table = _dynamodb(environment).describe_table(
            TableName=environment.table(environment.secondary)
        )
        names = {each["AttributeName"]: item for each in table["Table"]["KeySchema"]}
    return {name: {"S": value} for name, value in names.items()}


def update(
    environment: Environment,
    changes: Mapping[str, str],
    *,
    condition: str,
    item: str = ITEM,
    **values: str,
) -> LockState | None:
    """Change an item if a condition holds.

    Args:
        environment: The environment.
        changes: `{attribute: text}`; empty texts are removed.
        condition: Where `#name` is the attribute, and `:name` one of the values.
        item: Value of its last key attribute.
        values: Texts in the condition, by name.

    Returns:
        The lock afterwards, if it is its item; None if the condition does not hold.

    Raises:
        BotoCoreError, ClientError: The secondary Region does not respond.
    """
    given = {name: value for name, value in changes.items() if value}
    removed = [name for name, value in changes.items() if not value]
    expression = ""
    if given:
        expression += "SET " + ", ".join(f"#{name} = :{name}" for name in given)
    if removed:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
    try:
        response = _dynamodb(environment).update_item(
            **_place(environment, item),
            UpdateExpression=expression.strip(),
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{n}": n for n in {*changes, *_names(condition)}},
            ExpressionAttributeValues=_texts(given | values),
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return None
        raise
    return _state(response.get("Attributes"))


def read_item(environment: Environment, item: str = ITEM) -> Mapping[str, Any] | None:
    """Read an item as it is now; None if there is none.

    Args:
        environment: The environment.
        item: Value of its last key attribute.

    Raises:
        BotoCoreError, ClientError: The secondary Region does not respond.
    """
    found: Mapping[str, Any] | None = (
        _dynamodb(environment)
        .get_item(**_place(environment, item), ConsistentRead=True)
        .get("Item")
    )
    return found


def _place(environment: Environment, item: str) -> dict[str, Any]:
    table = environment.table(environment.secondary)
    return {"TableName": table, "Key": key_of(environment, item)}


def _names(condition: str) -> set[str]:
    return set(re.findall(r"#(\w+)", condition))


def _texts(values: Mapping[str, str]) -> dict[str, Any]:
    return {f":{name}": {"S": value} for name, value in values.items()}


def _state(item: Mapping[str, Any] | None) -> LockState:
    known = LockState.__dataclass_fields__
    return LockState(
        **{name: str(value.get("S", "")) for name, value in (item or {}).items() if name in known}
    )


@contextmanager
def explained(environment: Environment, done: str) -> Iterator[None]:
    """Turn an error of AWS into one with a next step.

    Args:
        environment: The environment.
        done: What could not be done with the lock, as a participle.
    """
    try:
        yield
    except OpsError:
        raise
    except Exception as error:
        raise OpsError(
            f"the lock of {environment.name} could not be {done}: DynamoDB in "
            f"{environment.secondary} (table {environment.outputs.table_name}) failed: "
            f"{explain(error)}",
            next_step=f"check these credentials and DynamoDB in {environment.secondary}",
        ) from error
