"""Prints what a release would change, by Region."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.deploy.changes import Action, StackPlan

_STYLES = {
    Action.ADD: "green",
    Action.CHANGE: "yellow",
    Action.REPLACE: "magenta",
    Action.DESTROY: "bold red",
}


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
        elif plan.is_empty:
            table.add_row(Text(plan.stack), Text("no changes", style="dim"))
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
    if serving:
        console.print(serving, markup=False)
