"""What the page shows, as dataclasses that `asdict` turns into JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from constructs_lib.outputs import Outputs
from ops.environment import Environment
from ops.fault_injection import Fault, InjectedFault
from ops.fence import FenceState
from ops.http_client import DnsAnswer
from sandbox.page.customer import region_of
from sandbox.page.traffic import Figures, Interruption, Rates

_WORDS = {
    "refuse": "refuses connections",
    "black_hole": "accepts connections and never responds",
    "error": "responds with status {status}",
    "slow": "responds late",
    "table": "has a failing table ({error})",
    "replication_paused": "does not replicate its writes to {target}",
    "partition": "exchanges no writes with other Regions",
    "isolated": "responds to clients within it only",
    "sts": "has no STS",
    "control_plane": "has no APIs for operators",
}


class Phase(StrEnum):
    """The state of a failover."""

    DOWN = "down"
    """The sandbox does not run."""
    STARTING = "starting"
    """There is no response yet."""
    HEALTHY = "healthy"
    """Customers are served by the Region that should serve them."""
    FAILING = "failing"
    """Customers get errors."""
    FAILED_OVER = "failed-over"
    """A Region other than the primary serves."""


@dataclass(frozen=True)
class Check:
    """A health check.

    Attributes:
        name: `endpoint`, `record`, `evacuation` or `fence`.
        healthy: Its status; None if that is not known. A fence is healthy while it is down.
        reason: Why.
    """

    name: str
    healthy: bool | None
    reason: str


@dataclass(frozen=True)
class FaultState:
    """A fault that is injected.

    Attributes:
        words: What the Region does, like `refuses connections`.
        own: Whether this page has injected it.
    """

    words: str
    own: bool


@dataclass(frozen=True)
class RegionState:
    """A Region.

    Attributes:
        name: The Region.
        role: `primary`, `secondary`, `3rd` and so on; empty where DNS does not order Regions.
        address: Address of its endpoint.
        checks: Its health checks: that of its endpoint, and then, each if there is one, of its
            record, which decides about DNS, its evacuation and its fence.
        faults: The faults that are injected in it.
        rates: Its rates as customers see them.
    """

    name: str
    role: str
    address: str
    checks: tuple[Check, ...]
    faults: tuple[FaultState, ...]
    rates: Rates


@dataclass(frozen=True)
class DnsState:
    """What DNS answers for the API's name.

    Attributes:
        name: The name.
        region: The Region that it resolves to; None without an answer.
        address: The address; empty without an answer.
        ttl_seconds: Time to live of the answer.
        error: Why there is none; empty if there is one.
    """

    name: str
    region: str | None
    address: str
    ttl_seconds: int
    error: str


@dataclass(frozen=True)
class State:
    """Everything that is known at one moment.

    Attributes:
        now: Seconds since the epoch.
        phase: The state of the failover.
        headline: The same as a sentence.
        problem: Why nothing, or not everything, is known; empty if it is.
        speed: How much faster than AWS health checks and DNS run.
        serving: Region that served the customers' newest request; None if it failed.
        dns: What DNS answers.
        regions: The Regions in order.
        traffic: What customers see; None if nothing is known.
    """

    now: float
    phase: Phase
    headline: str
    problem: str = ""
    speed: float = 1.0
    serving: str | None = None
    dns: DnsState | None = None
    regions: tuple[RegionState, ...] = ()
    traffic: Figures | None = None


def down(now: float, problem: str) -> State:
    """Make the state of a sandbox that does not run.

    Args:
        now: Seconds since the epoch.
        problem: Why it does not, and what to do about it.
    """
    return State(now, Phase.DOWN, "The sandbox does not respond.", problem)


def state(
    environment: Environment,
    *,
    now: float,
    dns: DnsAnswer,
    report: Mapping[str, Any],
    faults: Sequence[InjectedFault],
    own: Sequence[str],
    figures: Figures,
    fences: Mapping[str, FenceState] = MappingProxyType({}),
    problem: str = "",
) -> State:
    """Combine what was read.

    Args:
        environment: The sandbox's environment.
        now: Seconds since the epoch.
        dns: What DNS answered.
        report: The report of the local Route 53; empty if there is none.
        faults: The injected faults.
        own: Ids of those that the page has injected.
        figures: What customers see.
        fences: `{region: whether it refuses writes}`; empty without a fence.
        problem: What could not be read; empty if everything was.
    """
    names = environment.outputs.regions
    health = {check["id"]: check for check in report.get("health_checks", ())}
    regions = tuple(
        RegionState(
            name=name,
            role=environment.outputs.roles.get(name, ""),
            address=environment.network.hosts[environment.outputs.domain_targets[name]][0],
            checks=(*_checks(environment.outputs, name, health), *_fence(fences.get(name))),
            faults=tuple(
                FaultState(in_words(each.fault), each.id in own)
                for each in faults
                if each.fault.region == name
            ),
            rates=figures.rates[name],
        )
        for name in names
    )
    address = dns.addresses[0] if dns.addresses else ""
    shared = environment.outputs.routing_policy == "weighted"
    phase, headline = describe(regions, figures, shared=shared)
    return State(
        now=now,
        phase=phase,
        headline=headline,
        problem=problem,
        speed=report.get("speed", environment.speed),
        serving=figures.serving,
        dns=DnsState(
            environment.outputs.record_name,
            region_of(environment, address),
            address,
            dns.ttl_seconds,
            dns.error,
        ),
        regions=regions,
        traffic=figures,
    )


def describe(
    regions: Sequence[RegionState], figures: Figures, *, shared: bool = False
) -> tuple[Phase, str]:
    """Give the state of a failover, also as a sentence.

    Args:
        regions: The Regions in order.
        figures: What customers see.
        shared: Whether several Regions serve at the same time.
    """
    first, serving = regions[0], figures.serving
    failing = {region.name: region.faults[0].words for region in regions if region.faults}
    if serving is None:
        if not figures.error:
            return Phase.STARTING, "Sending the first requests."
        if len(failing) == len(regions):
            return Phase.FAILING, "Customers get errors: every Region has a fault."
        if failing:
            where = " and ".join(failing)
            return Phase.FAILING, f"Customers get errors until DNS fails over from {where}."
        return Phase.FAILING, f"Customers get errors: {figures.error}"
    if words := failing.get(serving):
        return Phase.FAILING, f"{serving} {words}: customers are about to get errors."
    if not first.role or serving == first.name:
        unable = f"; {' and '.join(failing)} cannot take over" if failing else ""
        if shared:
            return Phase.HEALTHY, f"{serving} served the newest request{unable}."
        return Phase.HEALTHY, f"{serving} serves all customers{unable}."
    if first.faults:
        return Phase.FAILED_OVER, f"Failed over: {serving} serves{_after(figures.interruption)}."
    if any(check.name == "evacuation" and check.healthy is False for check in first.checks):
        return Phase.FAILED_OVER, (
            f"{serving} serves. {first.name} is evacuated until it is restored: python -m ops "
            f"switch restore {first.name}."
        )
    return Phase.FAILED_OVER, (
        f"{serving} serves. DNS fails back to {first.name} once it is healthy."
    )


def _after(interruption: Interruption | None) -> str:
    if interruption is None or interruption.seconds is None:
        return ""
    return f", {interruption.seconds:.1f} s after the first error"


def _checks(
    outputs: Outputs, region: str, health: Mapping[str, Mapping[str, Any]]
) -> tuple[Check, ...]:
    ids = {"endpoint": [outputs.endpoint_health_check_ids[region]]}
    if evacuation := outputs.evacuation:
        # The record's check is calculated from the others.
        ids["record"] = [outputs.health_check_ids[region]]
        ids["evacuation"] = list(evacuation.health_check_ids[region].values())
    return tuple(
        # All must be healthy: the one that matters is unhealthy, or else not known.
        min(
            (
                Check(name, health[id]["healthy"], health[id]["reason"])
                if id in health
                else Check(name, None, "not known")
                for id in each
            ),
            key=lambda check: (False, None, True).index(check.healthy),
        )
        for name, each in ids.items()
    )


def _fence(state: FenceState | None) -> tuple[Check, ...]:
    if state is None:
        return ()
    if state.is_up is None:
        return (Check("fence", None, "not known"),)
    return (Check("fence", not state.is_up, str(state) if state.starts_at else ""),)


def in_words(fault: Fault) -> str:
    """Describe what a Region does that has a fault.

    Args:
        fault: The fault.
    """
    return _WORDS[fault.kind].format(
        status=fault.status, error=fault.error, target=fault.target or "other Regions"
    )
