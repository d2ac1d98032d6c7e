"""The page's log: what changed from one moment to the next, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ops.page.state import Phase, RegionState, State


class Kind(StrEnum):
    """What an entry is about."""

    BREAK = "break"
    MEND = "mend"
    HEALTH = "health"
    DNS = "dns"
    CUSTOMERS = "customers"
    STAND = "stand"


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
    """What is new.

    Args:
        before: The state before; None at first, which is told in full.
        after: The state now.
    """
    return list(_changes(before or State(0.0, Phase.STARTING, ""), after))


def _changes(before: State, after: State) -> Iterator[Entry]:
    if (before.phase == Phase.GONE) != (after.phase == Phase.GONE):
        is_gone = after.phase == Phase.GONE
        text = "The local API does not answer" if is_gone else "The local API answers"
        yield Entry(after.now, Kind.STAND, not is_gone, text)
    if after.phase == Phase.GONE:
        return
    known = {region.name: region for region in before.regions}
    for region in after.regions:
        yield from _of_region(known.get(region.name), region, after.now)
    led, leads = before.dns and before.dns.region, after.dns and after.dns.region
    if led != leads:
        text = f"DNS answers {leads} now" if leads else "DNS has no answer"
        yield Entry(after.now, Kind.DNS, leads is not None, text)
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
            yield Entry(now, Kind.BREAK, False, f"{after.name} is broken: it {words}")
    if had and not has:
        yield Entry(now, Kind.MEND, True, f"{after.name} is mended")
    states = {check.name: check.healthy for check in before.checks} if before else {}
    for check in after.checks:
        # To be healthy from the start is no news, nor is what is not known for a moment.
        if check.healthy is None or check.healthy == (states.get(check.name) is not False):
            continue
        if check.name == "switch":
            text = f"The switch is {'released' if check.healthy else 'engaged'}"
        else:
            what = "DNS record" if check.name == "record" else "health check"
            text = f"{after.name}: {what} {'healthy' if check.healthy else 'unhealthy'}"
        yield Entry(now, Kind.HEALTH, check.healthy, text)
