"""After a drill: what the replicas lack of its own history is replayed, by `ops reconcile`'s code.

The history says what was acknowledged; the replicas' streams have the items as they were written,
also those that no replica holds any more. What is written is conditional, as with a plan that a
person has reviewed. Only items of the drill's location are looked at.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.drill.consistency import FAILING, Verdict, not_reconciled, wanted
from ops.drill.history import History, Value
from ops.drill.probe_location import LATITUDE, LOCATION_KEY, TEMPERATURE, ProbeLocation
from ops.environment import Environment
from ops.errors import FAILURES, ExitCode, OpsError, explain
from ops.reconcile import reading, replay
from ops.reconcile.acknowledged import names_in
from ops.reconcile.comparison import Comparison
from ops.reconcile.plan import KEEP, Writer, entries_of
from ops.reconcile.reading import Pace
from ops.reconcile.values import Item, to_json

READ_UNITS = 200.0
"""Read units per second and Region: under a hundredth of what an on-demand table serves."""
LONGEST_SECONDS = 300.0
"""For the streams of a table that is not too busy, and for reading every Region again."""
PERMISSIONS_KEY = "drill-permissions"
"""Key of an item that does not exist: writing it on condition that it does changes nothing."""


@dataclass(frozen=True)
class Reconciliation:
    """What was done, and what is left.

    Attributes:
        lost: Acknowledged writes that were lost before it.
        overwritten: Acknowledged writes that had lost against one of another Region.
        found: `{state: how many items}`, as `ops reconcile` names them.
        replayed: How many items were written or deleted.
        kept: What was to be replayed and was not, in words.
        notes: What could not be known.
        after: What became of the writes, as Regions show them afterwards; None if that was not
            read.
    """

    lost: int
    overwritten: int
    found: Mapping[str, int] = field(default_factory=dict)
    replayed: int = 0
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    after: Verdict | None = None

    @property
    def left(self) -> int | None:
        """How many writes are lost, wrong or uncounted afterwards; None if that is not known."""
        if self.after is None:
            return None
        return self.after.lost + sum(each.state in FAILING for each in self.after.found)

    @property
    def problems(self) -> list[str]:
        """Why it has not passed, in words; empty if it has."""
        if self.after is None:
            return ["the Regions were not read after the reconciliation"]
        return not_reconciled(self.after)

    def in_words(self) -> list[str]:
        """What was done, and what is left, a sentence each."""
        findings = ", ".join(f"{count} {state}" for state, count in self.found.items())
        lines = [
            f"Before reconciliation: {self.lost} lost, {self.overwritten} overwritten; the "
            f"replicas and their streams show {findings or 'nothing to replay'}.",
            f"Replayed: {self.replayed}.",
            *(f"Not replayed: {each}." for each in self.kept),
            *(f"Note: {each}." for each in self.notes),
        ]
        left = "not known" if self.left is None else str(self.left or "none")
        return [*lines, f"After reconciliation: {left}."]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "lost": self.lost,
            "overwritten": self.overwritten,
            "found": dict(self.found),
            "replayed": self.replayed,
            "kept": list(self.kept),
            "notes": list(self.notes),
            "left": self.left,
            "after": self.after and self.after.to_json(),
        }


@dataclass(frozen=True)
class Ledger:
    """What a drill's history demands of items.

    Attributes:
        wanted: `{(key, value): whether Regions must show it, or must not}`.
    """

    wanted: Mapping[tuple[str, Value], bool]

    def __call__(self, item: Item) -> bool | None:
        """Whether an item must be there, or must not; None for neither."""
        if (position := item.get(LATITUDE)) is not None:
            return self.wanted.get((LOCATION_KEY, float(position["N"])))
        value = float(item[TEMPERATURE]["N"]) if TEMPERATURE in item else None
        found = {
            self.wanted[name, value] for name in names_in(item) if (name, value) in self.wanted
        }
        return found.pop() if found else None


def require(environment: Environment) -> None:
    """Make sure that these credentials may compare the replicas and write to them.

    Nothing is changed: each write has a condition that no item meets.

    Args:
        environment: The environment.

    Raises:
        OpsError: They may not, or a Region does not respond.
    """
    for region, table in environment.outputs.table_arns.items():
        client = environment.client("dynamodb", region)
        done = "described"
        try:
            replica = reading.replica(environment, region, table, 0.0, 0.0)
            key = {name: {"S": PERMISSIONS_KEY} for name in replica.keys}
            condition = {
                "ConditionExpression": "attribute_exists(#key)",
                "ExpressionAttributeNames": {"#key": replica.keys[0]},
            }
            done = "read"
            if not replica.stream:
                next(reading.scanned(client, replica, Pace(READ_UNITS)), None)
            next(reading.read(client, replica, [key], Pace(READ_UNITS)), None)
            client.get_item(TableName=table, Key=key, ConsistentRead=True)
            if replica.stream:
                done = "asked for its stream"
                streams = environment.client("dynamodbstreams", region)
                streams.describe_stream(StreamArn=replica.stream)
            done = "written to"
            with _refused():
                client.put_item(TableName=table, Item=key, **condition)
            with _refused():
                client.delete_item(TableName=table, Key=key, **condition)
        except FAILURES as error:
            raise OpsError(
                f"--reconcile: the table in {region} cannot be {done} with these credentials: "
                f"{explain(error)}",
                next_step="attach the policies that python -m ops iam-policy --for reconcile and "
                f"--for reconcile-apply {environment.selector} print, too, or leave out "
                "--reconcile",
                exit_code=ExitCode.PREREQUISITE,
            ) from error


def reconcile(
    environment: Environment,
    location: ProbeLocation,
    history: History,
    verdict: Verdict,
    since: datetime,
) -> Reconciliation:
    """Compare the replicas with a drill's history, and replay what they lack.

    Args:
        environment: The environment, without any fault.
        location: The drill's location.
        history: The history, with a reading of each Region after the last write.
        verdict: What became of the writes.
        since: When the drill began.

    Returns:
        What was done; Regions are to be read again.

    Raises:
        OpsError: A Region does not respond.
    """
    tables = {environment.outputs.table_name: dict(environment.outputs.table_arns)}
    with tempfile.TemporaryDirectory(prefix="ops-drill-") as folder:
        plan = Path(folder) / "plan.jsonl"
        summary = Comparison(
            environment,
            tables,
            since.timestamp(),
            Pace(READ_UNITS),
            location=location.location_id,
            ledger=Ledger(wanted(history)),
        ).run(Writer(plan))
        replay.check(plan, environment, tables, deletes=True)
        kept = [
            f"{to_json(entry.key)}: {entry.state}, {entry.why}"
            for _, entry in entries_of(plan)
            if entry.action == KEEP and len({*map(str, entry.regions.values())}) > 1
        ]
        replayed = 0
        for each in replay.apply(plan, environment, tables):
            replayed += each.outcome is replay.Outcome.DONE
            if each.is_left:
                kept.append(f"{to_json(each.entry.key)}: {each.outcome}")
    return Reconciliation(
        verdict.lost,
        verdict.overwritten,
        {str(state): count for state, count in Counter(summary.states).items() if count},
        replayed,
        tuple(kept),
        tuple(summary.notes),
    )


@contextmanager
def _refused() -> Iterator[None]:
    """Expect that DynamoDB refuses a write for its condition."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
