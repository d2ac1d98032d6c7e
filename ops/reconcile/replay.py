"""Carries out a plan, item by item, and only where the item is still what the plan saw.

Each write is conditional. What has changed since is reported and left as it is. What is as wanted
already is skipped, so an interrupted run is continued by running it again.

A condition names the attributes that the plan saw, and those that would be written: it cannot
exclude an attribute that neither has. The item is read, strongly consistent, right before the
write, so such an attribute would have to be added in between.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.environment import Environment
from ops.errors import UsageError
from ops.reconcile.comparison import Tables, explained, owner_of
from ops.reconcile.plan import DELETE, KEEP, REPLAY, Entry, entries_of, header_of
from ops.reconcile.values import Item, digest, key_text

MOST_ATTRIBUTES = 100
"""Of an item and the one in its place, in a condition whose expression has at most 4 KB.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""


class Outcome(StrEnum):
    """What was done with one entry."""

    DONE = "done"
    ALREADY = "already as wanted"
    CHANGED = "changed since the plan, left as it is"
    TOO_LARGE = "has too many attributes for a condition, left as it is"


@dataclass(frozen=True)
class Applied:
    """One entry that was carried out, or left.

    Attributes:
        line: Its line in the plan.
        entry: The entry.
        outcome: What was done.
        where: The Regions in which it was written, or in which it has changed.
    """

    line: int
    entry: Entry
    outcome: Outcome
    where: tuple[str, ...] = ()

    @property
    def is_left(self) -> bool:
        """Whether it was not carried out."""
        return self.outcome in (Outcome.CHANGED, Outcome.TOO_LARGE)


def check(path: Path, environment: Environment, tables: Tables, *, deletes: bool) -> int:
    """Refuse a plan that cannot be carried out as it is, before anything is changed.

    Args:
        path: The plan.
        environment: The environment.
        tables: Its tables.
        deletes: Whether items may be deleted.

    Returns:
        How many entries have something to do.

    Raises:
        OpsError: It is of another environment, or something in it is not allowed.
    """
    header = header_of(path)
    if header.environment != environment.name:
        raise _refused(
            path, f"it is of the environment {header.environment}, not {environment.name}"
        )
    if header.tables != {name: dict(arns) for name, arns in tables.items()}:
        raise _refused(path, "it is of other tables, or of another account")
    seen: dict[tuple[str, str], int] = {}
    for line, entry in entries_of(path):
        if entry.action == KEEP:
            continue
        where = f"line {line}"
        if entry.table not in tables or {*entry.regions} != {*tables[entry.table]}:
            raise _refused(path, f"{where}: its table or Regions are not those of the first line")
        if owner_of(environment, entry.key) == "ops":
            raise _refused(path, f"{where}: the item belongs to this tool, which changes it itself")
        if entry.action == DELETE and not deletes:
            raise _refused(
                path,
                f"{where} deletes an item",
                "if that is meant, give --allow-deletes; otherwise set its action to keep",
            )
        item = (entry.table, key_text(entry.key))
        if earlier := seen.get(item):
            raise _refused(
                path,
                f"lines {earlier} and {line} change the same item",
                "set the action of all but one of them to keep",
            )
        seen[item] = line
    return len(seen)


def apply(path: Path, environment: Environment, tables: Tables) -> Iterator[Applied]:
    """Carry out a plan that `check` has accepted.

    Args:
        path: The plan.
        environment: The environment.
        tables: Its tables.

    Yields:
        Each entry with something to do, when it is done or left.

    Raises:
        OpsError: A Region does not respond; what was yielded is done.
    """
    for line, entry in entries_of(path):
        if entry.action in (REPLAY, DELETE):
            yield _applied(line, entry, environment, tables[entry.table])


def _applied(line: int, entry: Entry, environment: Environment, arns: Mapping[str, str]) -> Applied:
    wanted = digest(entry.wanted)
    added = entry.wanted or {}
    if any(len({*(item or {}), *added}) > MOST_ATTRIBUTES for item in entry.regions.values()):
        return Applied(line, entry, Outcome.TOO_LARGE)

    def look(region: str) -> str:
        with explained(region):
            response = _client(environment, region).get_item(
                TableName=arns[region], Key=entry.key, ConsistentRead=True
            )
        return digest(response.get("Item"))

    now = {region: look(region) for region in entry.regions}
    # What this plan has written may have arrived in another Region already.
    changed = [
        region for region in now if now[region] not in (wanted, digest(entry.regions[region]))
    ]
    if changed:
        return Applied(line, entry, Outcome.CHANGED, tuple(changed))
    written = []
    for region in entry.targets:
        if now[region] == wanted:
            continue
        with explained(region, "written"):
            is_written = _write(_client(environment, region), arns[region], entry, region)
            # It may have arrived from another Region, or the first response was lost.
            if not is_written and look(region) != wanted:
                return Applied(line, entry, Outcome.CHANGED, (region,))
        written.append(region)
    return Applied(line, entry, Outcome.DONE if written else Outcome.ALREADY, tuple(written))


def _write(client: Any, table: str, entry: Entry, region: str) -> bool:
    """Write one Region's item, if it is still what the plan saw."""
    wanted = entry.wanted
    condition = condition_of(entry.regions[region], wanted, entry.key)
    try:
        if wanted is None:
            client.delete_item(TableName=table, Key=entry.key, **condition)
        else:
            client.put_item(TableName=table, Item=wanted, **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def condition_of(seen: Item | None, wanted: Item | None, key: Item) -> dict[str, Any]:
    """The arguments of a write that fails unless the item is what was seen.

    Args:
        seen: The item; None for none.
        wanted: The item that will be written; None for none.
        key: Its key.
    """
    names = {f"#a{number}": name for number, name in enumerate({**key, **(seen or {})})}
    if seen is None:
        first = next(iter(key))
        return {
            "ConditionExpression": "attribute_not_exists(#a0)",
            "ExpressionAttributeNames": {"#a0": first},
        }
    values = {f":a{alias[2:]}": seen[name] for alias, name in names.items()}
    terms = [f"{alias} = :a{alias[2:]}" for alias in names]
    for number, name in enumerate(sorted((wanted or {}).keys() - seen.keys())):
        names[f"#n{number}"] = name
        terms.append(f"attribute_not_exists(#n{number})")
    return {
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def _client(environment: Environment, region: str) -> Any:
    return environment.client("dynamodb", region)


def _refused(path: Path, why: str, next_step: str = "") -> UsageError:
    return UsageError(
        f"the plan {path} cannot be carried out: {why}; nothing was changed",
        next_step=next_step or "make a plan of this environment with --since",
    )
