"""The page's log: what has changed from one state to the next."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sandbox.page.state import Phase, RegionState, State


class Kind(StrEnum):
    """What an entry is about."""

    INJECT = "inject"
    CLEAR = "clear"
    HEALTH = "health"
    DNS = "dns"
    CUSTOMERS = "customers"
    SANDBOX = "sandbox"


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes:
        at: When it was noticed, in seconds since the epoch.
        kind: What it is about.
        good: Whether it is good news.
        text: What happened.
    """

    at: float
    kind: Kind
    good: bool
    text: str


def changes(before: State | None, after: State) -> list[Entry]:
    """List what has changed.

    Args:
        before: The state before; None at first, when everything is new.
        after: The state now.
    """
    return list(_changes(before or State(0.0, Phase.STARTING, ""), after))


def _changes(before: State, after: State) -> Iterator[Entry]:
    if (before.phase == Phase.DOWN) != (after.phase == Phase.DOWN):
        is_down = after.phase == Phase.DOWN
        text = "The sandbox does not respond" if is_down else "The sandbox responds"
        yield Entry(after.now, Kind.SANDBOX, not is_down, text)
    if after.phase == Phase.DOWN:
        return
    known = {region.name: region for region in before.regions}
    for region in after.regions:
        yield from _of_region(known.get(region.name), region, after.now)
    resolved, resolves = before.dns and before.dns.region, after.dns and after.dns.region
    if resolved != resolves:
        text = f"DNS resolves to {resolves}" if resolves else "DNS has no answer"
        yield Entry(after.now, Kind.DNS, resolves is not None, text)
    if before.serving != after.serving and after.traffic:
        if after.serving:
            yield Entry(after.now, Kind.CUSTOMERS, True, f"{after.serving} serves customers")
        elif after.traffic.error:
            text = f"Customers get errors: {after.traffic.error}"
            yield Entry(after.now, Kind.CUSTOMERS, False, text)


def _of_region(before: RegionState | None, after: RegionState, now: float) -> Iterator[Entry]:
    had = [fault.words for fault in before.faults] if before else []
    has = [fault.words for fault in after.faults]
    for words in has:
        if words not in had:
            yield Entry(now, Kind.INJECT, False, f"Fault injected in {after.name}: it {words}")
    if had and not has:
        yield Entry(now, Kind.CLEAR, True, f"Fault cleared in {after.name}")
    states = {check.name: check.healthy for check in before.checks} if before else {}
    for check in after.checks:
        # Healthy from the start is not a change, nor is a status that is unknown for a moment.
        if check.healthy is None or check.healthy == (states.get(check.name) is not False):
            continue
        if check.name == "evacuation":
            text = f"{after.name} is {'restored' if check.healthy else 'evacuated'}"
        elif check.name == "fence":
            text = f"{after.name} {'accepts writes again' if check.healthy else 'refuses writes'}"
        else:
            what = "DNS record" if check.name == "record" else "health check"
            text = f"{after.name}: {what} {'healthy' if check.healthy else 'unhealthy'}"
        yield Entry(now, Kind.HEALTH, check.healthy, text)
