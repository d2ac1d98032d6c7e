"""The faults that the fault-injection API of a sandbox injects."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from ops import fence, switch
from ops.drill.aws_faults import SwitchFault
from ops.drill.fault import DrillFault
from ops.environment import Environment
from ops.errors import UsageError
from ops.fault_injection import (
    DEFAULT_STATUS,
    PARTITION,
    REPLICATION_PAUSED,
    UNRESOLVED,
    Fault,
    FaultInjection,
)
from ops.fence import When

SLOW_FLOOR_SECONDS = 2.0
"""A customer's time-out has a floor in a sandbox, and the delay must exceed it."""


class SandboxFault(DrillFault):
    """A fault that the fault-injection API of a sandbox injects."""

    kind: ClassVar[str]
    """Its kind in that API."""

    @property
    def parts(self) -> tuple[Fault, ...]:
        """What is injected, in this order, and cleared in the same one."""
        own = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in ("id", "fence")
        }
        return (Fault(kind=self.kind, **own),)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the parts: that of the fault, and further ones."""
        return tuple(f"{self.id}_{n}" if n else self.id for n in range(len(self.parts)))

    def inject(self, environment: Environment) -> None:
        """Inject it."""
        api = _api(environment, self.name)
        for id, part in zip(self.ids, self.parts, strict=True):
            api.inject(part, id=id)

    def is_injected(self, environment: Environment) -> bool:
        """Whether the sandbox has any part of the fault of this run."""
        return any(each.id in self.ids for each in _api(environment, self.name).faults())

    def clear(self, environment: Environment) -> bool:
        """Clear it."""
        api = _api(environment, self.name)
        # All of them, whatever the first is.
        cleared = [api.clear(id) for id in self.ids]
        return any(cleared)

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        url = _api(environment, self.name).url
        return " && ".join(f"curl -X DELETE {url}/faults/{id}" for id in self.ids)


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


@dataclass(frozen=True, kw_only=True)
class DynamoDbDnsFault(SandboxFault):
    """The name of the table's endpoint does not resolve for the functions."""

    name, kind = "dynamodb-dns", "table"
    help = "let the name of DynamoDB's endpoint not resolve for the functions"

    @property
    def parts(self) -> tuple[Fault, ...]:
        """What is injected."""
        return (Fault(self.region, self.kind, error=UNRESOLVED),)

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"let the name of DynamoDB's endpoint in {self.region} not resolve for the functions"


@dataclass(frozen=True, kw_only=True)
class PartitionFault(SandboxFault):
    """The Region is cut off from the others and from customers; clients within it still write.

    Writes are held back first, so that none leaves the Region in between, and arrive before its
    customers come back.
    """

    name, kind = "partition", PARTITION
    help = "cut the Region off from the others; clients within it still write there"
    isolates = True
    serves_inside = True
    takes_fence = True

    @property
    def parts(self) -> tuple[Fault, ...]:
        """What is injected."""
        return Fault(self.region, PARTITION), Fault(self.region, "isolated")

    @property
    def _evacuation(self) -> SwitchFault:
        return SwitchFault(id=self.id, region=self.region)

    def put_up_fence(self, environment: Environment) -> str:
        """Evacuate the Region, which refuses writes at once.

        With manual failback, it has been taken out of service by its failover already.
        """
        change = switch.evacuate(
            environment,
            self.region,
            reason="failover drill",
            writer=self.id,
            kind="drill",
            fence_from=When.NOW,
        )
        if change.changed:
            return str(change.fence)
        return str(fence.change(environment, self.region, When.NOW))

    def is_injected(self, environment: Environment) -> bool:
        """Whether any part is injected by this run, or the Region evacuated by it."""
        return super().is_injected(environment) or (
            self.fence and self._evacuation.is_injected(environment)
        )

    def clear(self, environment: Environment) -> bool:
        """Clear it: writes arrive before the Region is restored."""
        was_injected = super().clear(environment)
        return (self.fence and self._evacuation.clear(environment)) or was_injected

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        clearing = super().by_hand(environment)
        if not self.fence:
            return clearing
        return f"{clearing} && {self._evacuation.by_hand(environment)}"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return (
            f"cut {self.region} off from other Regions, health checkers and customers, while "
            "clients within it still write there"
        )


@dataclass(frozen=True, kw_only=True)
class RegionLossFault(SandboxFault):
    """The Region refuses connections, and what it has not sent does not leave it any more.

    Attributes:
        discard: Whether that is lost for good, or arrives when the fault is cleared.
    """

    name, kind = "region-loss", PARTITION
    help = "refuse connections, and hold back the writes that have not left the Region"
    options = ("discard",)
    isolates = True

    discard: bool = False

    @property
    def loses_writes(self) -> bool:
        """Whether the Region is lost for good."""
        return self.discard

    @property
    def parts(self) -> tuple[Fault, ...]:
        """What is injected."""
        return Fault(self.region, PARTITION), Fault(self.region, "refuse")

    def clear(self, environment: Environment) -> bool:
        """Clear it; what is to be lost is discarded before it could arrive."""
        api = _api(environment, self.name)
        if self.discard and any(each.id == self.id for each in api.faults()):
            api.discard(self.region)
        return super().clear(environment)

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        url = _api(environment, self.name).url
        discarding = f"curl -X DELETE {url}/replication/{self.region} && " if self.discard else ""
        return discarding + super().by_hand(environment)

    def describe(self) -> str:
        """Describe what injecting it does."""
        lost = "are lost for good" if self.discard else "arrive once the fault is cleared"
        return (
            f"let {self.region} refuse connections and replicate nothing; the writes that have not "
            f"left it {lost}"
        )


@dataclass(frozen=True, kw_only=True)
class StsFault(SandboxFault):
    """The Region refuses connections, and STS does not work there nor in us-east-1."""

    name, kind = "sts", "sts"
    help = "refuse connections, while STS in the Region and in us-east-1 does not work"
    what: ClassVar[str] = "STS"

    @property
    def parts(self) -> tuple[Fault, ...]:
        """What is injected."""
        return Fault(self.region, "refuse"), Fault(self.region, self.kind)

    def describe(self) -> str:
        """Describe what injecting it does."""
        places = " and ".join(dict.fromkeys((self.region, "us-east-1")))
        return (
            f"let {self.region} refuse connections, while {self.what} in {places} responds with 503"
        )


@dataclass(frozen=True, kw_only=True)
class ControlPlaneFault(StsFault):
    """The Region refuses connections, and no API of operators works there nor in us-east-1."""

    name, kind = "control-plane", "control_plane"
    help = "the same of STS, IAM, Route 53, Lambda, API Gateway and CloudWatch"
    what = "every API of STS, IAM, Route 53, Lambda, API Gateway and CloudWatch"


@dataclass(frozen=True, kw_only=True)
class ReplicationPausedFault(SwitchFault):
    """Replication from the Region stops, customers notice nothing, and it is then evacuated.

    Attributes:
        target: The one Region that its writes do not reach; empty for all.
    """

    name = "replication-paused"
    help = "hold back the writes of the Region, and evacuate it meanwhile"
    options = ("target",)
    works_on_aws = False
    isolates = True

    target: str = ""

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose it for a Region."""
        others = [each for each in environment.regions if each != region]
        if options.get("target", others[0]) not in others:
            raise UsageError(
                f"--target {options['target']}: the writes of {region} do not go there",
                next_step=f"give one of {', '.join(others)}, or leave it out for all",
            )
        return super().choose(environment, id, region, options)

    def inject(self, environment: Environment) -> None:
        """Inject it."""
        paused = Fault(self.region, REPLICATION_PAUSED, target=self.target or None)
        _api(environment, self.name).inject(paused, id=self.id)
        super().inject(environment)

    def is_injected(self, environment: Environment) -> bool:
        """Whether writes are held back by this run, or it has evacuated the Region."""
        faults = _api(environment, self.name).faults()
        return any(each.id == self.id for each in faults) or super().is_injected(environment)

    def clear(self, environment: Environment) -> bool:
        """Clear it: writes arrive before the Region serves customers again."""
        was_paused = _api(environment, self.name).clear(self.id)
        return super().clear(environment) or was_paused

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        url = _api(environment, self.name).url
        return f"curl -X DELETE {url}/faults/{self.id} && {super().by_hand(environment)}"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return (
            f"hold back what {self.region} writes for {self.target or 'other Regions'}, and "
            "evacuate it meanwhile"
        )


def _api(environment: Environment, name: str) -> FaultInjection:
    if environment.fault_injection is None:
        raise UsageError(
            f"the fault {name} can be injected into a sandbox, and cleared there, only",
            next_step="choose the sandbox with --environment or --descriptor",
        )
    return environment.fault_injection
