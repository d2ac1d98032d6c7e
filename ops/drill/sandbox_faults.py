"""The faults that the fault-injection API of a sandbox injects."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from ops.drill.fault import DrillFault
from ops.environment import Environment
from ops.errors import UsageError
from ops.fault_injection import DEFAULT_STATUS, Fault, FaultInjection

SLOW_FLOOR_SECONDS = 2.0
"""A customer's time-out has a floor in a sandbox, and the delay must exceed it."""


class SandboxFault(DrillFault):
    """A fault that the fault-injection API of a sandbox injects."""

    kind: ClassVar[str]
    """Its kind in that API."""

    def inject(self, environment: Environment) -> None:
        """Inject it."""
        _api(environment, self.name).inject(self._fault(), id=self.id)

    def is_injected(self, environment: Environment) -> bool:
        """Whether the sandbox has the fault of this run."""
        return any(each.id == self.id for each in _api(environment, self.name).faults())

    def clear(self, environment: Environment) -> bool:
        """Clear it."""
        return _api(environment, self.name).clear(self.id)

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        return f"curl -X DELETE {_api(environment, self.name).url}/faults/{self.id}"

    def _fault(self) -> Fault:
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "id"}
        return Fault(kind=self.kind, **own)


@dataclass(frozen=True, kw_only=True)
class RefuseFault(SandboxFault):
    """The Region refuses connections."""

    name, kind = "refuse", "refuse"
    help = "refuse connections"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let {self.region} refuse connections"


@dataclass(frozen=True, kw_only=True)
class BlackHoleFault(SandboxFault):
    """The Region drops packets."""

    name, kind = "black-hole", "black_hole"
    help = "drop packets"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let {self.region} accept connections and never respond"


@dataclass(frozen=True, kw_only=True)
class ErrorFault(SandboxFault):
    """The Region responds to every request with an error.

    Attributes:
        status: Its HTTP status.
    """

    name, kind = "error", "error"
    help = "respond to every request with an error"
    options: ClassVar[tuple[str, ...]] = ("status",)

    status: int = DEFAULT_STATUS

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let {self.region} respond to every request with {self.status}"


@dataclass(frozen=True, kw_only=True)
class GrayFault(ErrorFault):
    """The Region responds to a share of the requests with an error."""

    name = "gray-failure"
    help = "respond to a share of the requests with an error"
    options: ClassVar[tuple[str, ...]] = ("share", "status")

    share: float = 0.9

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let {self.region} respond to {self.share:.0%} of the requests with {self.status}"


@dataclass(frozen=True, kw_only=True)
class SlowFault(SandboxFault):
    """The Region responds too late.

    Attributes:
        delay_seconds: How long responses are delayed, on the clock of the sandbox.
    """

    name, kind = "slow", "slow"
    help = "respond too late"
    options = ("delay_seconds",)

    delay_seconds: float

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose it for a Region."""
        on_aws = options.get("delay_seconds", 12.0)
        delay = max(SLOW_FLOOR_SECONDS, on_aws / environment.speed)
        return super().choose(environment, id, region, {"delay_seconds": delay})

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"delay every response of {self.region} by {self.delay_seconds:g} s"


@dataclass(frozen=True, kw_only=True)
class TableFault(SandboxFault):
    """The Region's table fails for the functions.

    Attributes:
        error: One of `ops.fault_injection.TABLE_ERRORS`.
    """

    name, kind = "table", "table"
    help = "let the functions' requests to the table fail"
    options = ("error",)

    error: str = "InternalServerError"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let the table in {self.region} fail for the functions: {self.error}"


def _api(environment: Environment, name: str) -> FaultInjection:
    if environment.fault_injection is None:
        raise UsageError(
            f"the fault {name} can be injected into a sandbox, and cleared there, only",
            next_step="choose the sandbox with --environment or --descriptor",
        )
    return environment.fault_injection
