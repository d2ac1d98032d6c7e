"""What the page shows, as values that are JSON once `asdict` has had them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops.calls import DnsAnswer
from ops.edge.faults import InjectedFault
from ops.local import LocalApi
from ops.page.breaking import in_words
from ops.page.customer import region_of
from ops.page.traffic import Figures, Interruption, Rates


class Phase(StrEnum):
    """Where a failover stands."""

    GONE = "gone"
    """The local API does not run."""
    STARTING = "starting"
    """No request has been answered yet."""
    WELL = "well"
    """Customers are served by the Region that should serve them."""
    FAILING = "failing"
    """Customers get errors."""
    OVER = "over"
    """Another Region than the primary serves."""


@dataclass(frozen=True)
class Check:
    """A health check.

    Attributes:
        name: `endpoint`, `record` or `switch`.
        healthy: What it says; None if that is not known.
        reason: Why.
    """

    name: str
    healthy: bool | None
    reason: str


@dataclass(frozen=True)
class Broken:
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
        role: `primary` or `secondary`; empty where DNS does not order Regions.
        address: Where its edge stands.
        checks: Its health checks, the switch's last; the one before decides about DNS.
        faults: What is broken in it.
        rates: What customers see of it.
    """

    name: str
    role: str
    address: str
    checks: tuple[Check, ...]
    faults: tuple[Broken, ...]
    rates: Rates


@dataclass(frozen=True)
class DnsState:
    """What DNS answers for the API's name.

    Attributes:
        name: The name.
        region: The Region that it leads to; None without an answer.
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
    """All that is known at one moment.

    Attributes:
        now: Seconds since the epoch.
        phase: Where a failover stands.
        headline: The same in a sentence.
        problem: Why nothing, or not everything, is known; empty if it is.
        speed: How much faster than AWS health checks and DNS run.
        serving: Region that answered the customers' newest request; None if it failed.
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


def gone(now: float, problem: str) -> State:
    """The state while the local API does not run.

    Args:
        now: Seconds since the epoch.
        problem: Why it does not, and what to do about it.
    """
    return State(now, Phase.GONE, "The local API does not answer.", problem)


def state(
    api: LocalApi,
    *,
    now: float,
    dns: DnsAnswer,
    health: Mapping[str, Mapping[str, Any]],
    faults: Sequence[InjectedFault],
    own: Sequence[str],
    figures: Figures,
    problem: str = "",
) -> State:
    """Puts together what was found.

    Args:
        api: The API.
        now: Seconds since the epoch.
        dns: What DNS answered.
        health: `{id of a health check: its part of the status report}`.
        faults: What is injected into the edges.
        own: Ids of those that the page has injected.
        figures: What customers see.
        problem: What could not be found out; empty if all could.
    """
    names = api.outputs["regions"]
    ordered = api.outputs["routing_policy"] == "failover"
    regions = tuple(
        RegionState(
            name=name,
            role=("secondary" if index else "primary") if ordered else "",
            address=api.network.hosts[api.outputs["domain_targets"][name]][0],
            checks=_checks(api.outputs, name, health),
            faults=tuple(
                Broken(in_words(each.fault), each.id in own)
                for each in faults
                if each.fault.region == name
            ),
            rates=figures.rates[name],
        )
        for index, name in enumerate(names)
    )
    address = dns.addresses[0] if dns.addresses else ""
    phase, headline = story(regions, figures)
    return State(
        now=now,
        phase=phase,
        headline=headline,
        problem=problem,
        speed=api.stand.speed,
        serving=figures.serving,
        dns=DnsState(
            api.outputs["record_name"], region_of(api, address), address, dns.ttl_seconds, dns.error
        ),
        regions=regions,
        traffic=figures,
    )


def story(regions: Sequence[RegionState], figures: Figures) -> tuple[Phase, str]:
    """Where a failover stands, and a sentence that says it.

    Args:
        regions: The Regions in order.
        figures: What customers see.
    """
    first, serving = regions[0], figures.serving
    broken = {region.name: region.faults[0].words for region in regions if region.faults}
    if serving is None:
        if not figures.error:
            return Phase.STARTING, "The first requests are on their way."
        if len(broken) == len(regions):
            return Phase.FAILING, "Customers get errors: every Region is broken."
        if broken:
            where = " and ".join(broken)
            return Phase.FAILING, f"Customers get errors until DNS leads away from {where}."
        return Phase.FAILING, f"Customers get errors: {figures.error}"
    if words := broken.get(serving):
        return Phase.FAILING, f"{serving} {words}: errors are on their way."
    if not first.role or serving == first.name:
        useless = f"; {' and '.join(broken)} could not take over" if broken else ""
        return Phase.WELL, f"{serving} serves all customers{useless}."
    if first.faults:
        return Phase.OVER, f"Failed over: {serving} serves{_after(figures.interruption)}."
    return Phase.OVER, (
        f"{serving} serves. {first.name} gets its customers back once it counts as healthy."
    )


def _after(interruption: Interruption | None) -> str:
    if interruption is None or interruption.seconds is None:
        return ""
    return f", {interruption.seconds:.1f} s after the first error"


def _checks(
    outputs: Mapping[str, Any], region: str, health: Mapping[str, Mapping[str, Any]]
) -> tuple[Check, ...]:
    ids = {
        "endpoint": outputs["endpoint_health_check_ids"][region],
        "record": outputs["health_check_ids"][region],
    }
    if ids["endpoint"] == ids["record"]:
        del ids["record"]
    elif switch := outputs.get("switch"):
        # The record's check is made of the endpoint's and the switch's.
        ids["switch"] = switch["health_check_id"]
    return tuple(
        Check(name, health[id]["healthy"], health[id]["reason"])
        if id in health
        else Check(name, None, "not known")
        for name, id in ids.items()
    )
