"""What a deployment works with: stacks, a gate, aliases and customers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ops.deploy.changes import StackPlan
from ops.deploy.planning import Planner
from ops.terraform import Progress


class Stack(Planner, Protocol):
    """What plans and applies a stack."""

    @property
    def folder(self) -> Path:
        """Folder of the synthesized stack."""

    def init(self) -> None:
        """Install the provider and open the backend."""

    def apply_plan(
        self, file: Path, on_progress: Callable[[Progress], None], on_start: Callable[[int], None]
    ) -> None:
        """Apply a plan."""


@dataclass(frozen=True)
class GateResult:
    """What a gate found.

    Attributes:
        passed: Whether the release may continue.
        found: What was found, for people.
        figures: `{name with unit: number}`.
    """

    passed: bool
    found: str
    figures: Mapping[str, float]


class Gate(Protocol):
    """Decides whether a release may continue after a stack."""

    def prepare(self, stack: str) -> None:
        """Measure what there is before the stack changes."""

    def check(self, stack: str, bake_seconds: float, region: str = "") -> GateResult:
        """Check what the stack serves, in one Region alone if it is given."""

    def clean(self) -> None:
        """Remove what the gates of a deployment that was killed have left, if possible."""


class Aliases(Protocol):
    """Decides which version of functions gets how many requests."""

    def regions(self, stack: str) -> Sequence[str]:
        """Regions of the functions of a stack, in the order of release."""

    def has_unserved(self, stack: str) -> bool:
        """Whether there are new versions that do not get all requests."""

    def share(self, region: str, share: float) -> int:
        """Give new versions a share; returns of how many functions there is one."""

    def release(self, region: str) -> None:
        """Give new versions all requests."""

    def restore(self, stack: str) -> None:
        """Give all requests to the versions that served before."""


class Customers(Protocol):
    """Lets a Region serve all customers for a while."""

    def may_move_to(self, stack: str) -> bool:
        """Whether a stack is of the Region that can take over."""

    def move(self, run: str) -> None:
        """Let that Region take over."""

    def back(self, run: str) -> None:
        """Undo it, if this deployment did it."""


def with_unserved(plan: StackPlan, aliases: Aliases) -> StackPlan:
    """Let a plan without changes of resources know of versions that have no requests yet.

    Args:
        plan: The plan.
        aliases: Knows them.
    """
    if plan.changes or plan.waits_for:
        return plan
    return replace(plan, has_unserved=aliases.has_unserved(plan.stack))
