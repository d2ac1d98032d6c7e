"""Plans every stack of an environment, in the order of deployment, and refuses to destroy data."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ops.deploy.changes import StackPlan, changes_in, changes_outputs
from ops.errors import ExitCode, OpsError

_NEEDS_ANOTHER_STATE = re.compile(r"cross-stack-output|remote state", re.IGNORECASE)
"""Errors of a stack that reads what another one does not output yet.

Source: https://developer.hashicorp.com/terraform/language/state/remote-state-data
"""


class Planner(Protocol):
    """What plans a stack."""

    @property
    def name(self) -> str:
        """Name of the stack."""

    def plan(self, file: Path, replace: Sequence[str] = ()) -> dict[str, Any]:
        """Plan the stack into a file; returns what `terraform show -json` prints of it."""


def plan_stack(planner: Planner, file: Path, replace: Sequence[str] = ()) -> StackPlan:
    """Plan one stack.

    Args:
        planner: What plans it.
        file: Where to write Terraform's plan.
        replace: Addresses of resources to replace in any case.

    Raises:
        OpsError: It cannot be planned.
    """
    document = planner.plan(file, replace)
    try:
        return StackPlan(
            planner.name, changes_in(document), changes_outputs=changes_outputs(document)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OpsError(
            f"the plan of {planner.name} cannot be understood: {error!r}",
            next_step="use a supported version of Terraform: 1.11 or newer",
        ) from error


def plan_stacks(
    planners: Sequence[Planner],
    folder: Path,
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[StackPlan, ...]:
    """Plan stacks.

    A stack that reads an output which an earlier one does not have yet cannot be planned; it is
    left for later, if the earlier one has changes.

    Args:
        planners: What plans each stack, in the order of deployment.
        folder: Where to write Terraform's plans: `NAME.tfplan`.
        on_step: Called with a line before each.

    Raises:
        OpsError: One cannot be planned.
    """
    plans: list[StackPlan] = []
    for planner in planners:
        on_step(f"Planning {planner.name}")
        earlier = tuple(plan.stack for plan in plans if not plan.is_empty)
        try:
            plans.append(plan_stack(planner, folder / f"{planner.name}.tfplan"))
        except OpsError as error:
            if not (earlier and _NEEDS_ANOTHER_STATE.search(str(error))):
                raise
            plans.append(StackPlan(planner.name, waits_for=earlier))
    return tuple(plans)


def refuse_to_destroy_data(plans: Sequence[StackPlan]) -> None:
    """Refuse plans that would destroy or replace data.

    Args:
        plans: The plans.

    Raises:
        OpsError: One would; with the exit code of a failed check.
    """
    lost = [(plan, change) for plan in plans for change in plan.destroyed_data]
    if not lost:
        return
    listed = "\n".join(
        f"  {change.action}: {change.address} ({change.where}, stack {plan.stack})"
        for plan, change in lost
    )
    raise OpsError(
        f"this release would destroy data, and this plan was not applied:\n{listed}",
        next_step="undo the change of the environment file that causes it (tables, replicas, keys "
        "and zones must stay); to remove one on purpose, apply the stack with Terraform itself",
        exit_code=ExitCode.CHECK_FAILED,
    )
