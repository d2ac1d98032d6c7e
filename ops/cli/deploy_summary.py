"""Prints what a release would change by Region, and what deployments did."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ops.deploy.changes import Action, StackPlan
from ops.deploy.record import History, Outcome, Record

_STYLES = {
    Action.ADD: "green",
    Action.CHANGE: "yellow",
    Action.REPLACE: "magenta",
    Action.DESTROY: "bold red",
}

_ONE_STACK = (
    'With layout = "single", one stack holds every Region: only new versions of functions get '
    "requests Region by Region; all else changes in every Region at once, until it is rolled back. "
    "Everything Region by Region: docs/how-to/deploy-by-region.md"
)


def print_summary(
    console: Console, environment: str, plans: Sequence[StackPlan], serving: str = ""
) -> None:
    """Print one table, then what is replaced and destroyed.

    Args:
        console: Where to print.
        environment: Name of the environment.
        plans: The plans, in the order of deployment.
        serving: Which Region serves customers now; empty if it is not deployed.
    """
    table = Table("Stack", "Region", *(action.value for action in Action), title=environment)
    for plan in plans:
        if plan.waits_for:
            waits = f"can be planned after {', '.join(plan.waits_for)}"
            table.add_row(Text(plan.stack), Text(waits, style="yellow"))
        elif not plan.changes:
            what = "outputs only" if plan.changes_outputs else "no changes"
            if plan.has_unserved:
                what = "new versions of functions, which do not serve yet"
            table.add_row(Text(plan.stack), Text(what, style="dim"))
        for place, counts in plan.counts().items():
            numbers = (
                Text(str(counts[a]), style=_STYLES[a] if counts[a] else "dim") for a in Action
            )
            table.add_row(Text(plan.stack), Text(place), *numbers)
    console.print(table)
    for plan in plans:
        for change in plan.changes:
            if change.action in (Action.REPLACE, Action.DESTROY):
                console.print(f"{change.action} {change.address}", markup=False, soft_wrap=True)
    if [plan.stack for plan in plans] == [environment]:
        console.print(_ONE_STACK, markup=False, soft_wrap=True)
    if serving:
        console.print(serving, markup=False)


def print_deployment(console: Console, environment: str, record: Record | None) -> None:
    """Print how far a deployment came, and what its gates found.

    Args:
        console: Where to print.
        environment: Name of the environment.
        record: The deployment; None if there was none.
    """
    if record is None:
        console.print(f"Nothing was deployed to {environment}.", markup=False)
        return
    table = Table("Stack", "State", "Release", "Before", "Gate", title=record.run)
    gates = {gate["stack"]: gate for gate in record.gates}
    for stack, target in record.targets.items():
        gate = gates.get(stack)
        found = Text(gate["found"], style="" if gate["passed"] else "red") if gate else Text()
        before = record.before.get(stack, "none")
        table.add_row(Text(stack), Text(record.step(stack)), Text(target), Text(before), found)
    console.print(table)
    outcome: str = record.outcome
    if record.is_alive:
        outcome = f"runs as process {record.program.pid}"
    console.print(
        f"{record.kind} of {environment}, begun {record.begun}: {outcome}{_why(record)}",
        style="red" if record.outcome in (Outcome.FAILED, Outcome.ROLLED_BACK) else "",
        markup=False,
        soft_wrap=True,
    )


def print_history(console: Console, history: History) -> None:
    """Print every deployment, the last one first.

    Args:
        console: Where to print.
        history: The history.
    """
    begun, release = Column("Begun", no_wrap=True), Column("Release", no_wrap=True)
    table = Table(begun, "What", release, "Revision", "By", "Outcome")
    for record in reversed(history.records):
        cells = (
            record.begun[:19],
            record.kind,
            record.release or "\n".join(dict.fromkeys(record.targets.values())),
            record.revision,
            f"{record.user} on {record.host}",
            f"{record.outcome}{_why(record)}",
        )
        table.add_row(*map(Text, cells))
    console.print(table)


def _why(record: Record) -> str:
    """Why a deployment stopped, and how long that took; empty if it did not."""
    if not record.reason:
        return ""
    found, rolled_back = record.found_after_seconds, record.rolled_back_after_seconds
    took = [
        *([] if found is None else [f"found after {found:.0f} s"]),
        *([] if rolled_back is None else [f"rolled back in {rolled_back:.0f} s"]),
    ]
    return f": {record.reason}" + (f" ({', '.join(took)})" if took else "")


def history_json(history: History) -> dict[str, Any]:
    """As members of the JSON document: `{deployed, deployments}`, the last deployment last.

    Args:
        history: The history.
    """
    return {
        "deployed": history.deployed,
        "deployments": [asdict(record) for record in history.records],
    }
