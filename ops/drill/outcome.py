"""What a drill found, and whether that is good enough: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ops.drill.durability import Durability, State
from ops.drill.events import Events, Request
from ops.drill.expectation import Expectation, Pace
from ops.drill.measure import CONSECUTIVE_SUCCESSES, Duration, Measurements
from ops.drill.retrying import ATTEMPT_SECONDS
from ops.drill.spending import Spending

LAST_REQUESTS = 40


@dataclass(frozen=True)
class Limits:
    """What a drill must keep to pass.

    Attributes:
        max_rto_seconds: Longest time until the secondary serves, on AWS: from the first failed
            request, or from the fault if it makes none fail.
        max_lost_writes: Most acknowledged writes that may be lost.
    """

    max_rto_seconds: float
    max_lost_writes: int = 0


@dataclass
class Outcome:
    """What a drill found.

    Attributes:
        environment: Name of the environment.
        primary: The Region into which the fault was injected.
        secondary: The Region that should take over.
        speed: How much faster than AWS the environment runs.
        fault: Name of the fault.
        description: What injecting it does, in words.
        fails_requests: Whether it makes customers' requests fail.
        customer: Whose quota the reads were counted against; empty if unknown.
        spending: What it spends of that customer's limits; None if unknown.
        limits: What it must keep.
        started: When it began.
        expectation: What the failover may take.
        pace: Times of the customers' requests.
        selector: The options that choose the environment on a command line.
        finish: The command that restores what is left.
        events: All that was seen.
        measurements: The figures.
        durability: What became of the writes.
        retrying: Attempts of the customer whose client retries in the other Region; None where the
            Regions have no own names.
        findings: What went wrong, in words; empty if the drill passed.
        restored: What was restored, in words.
        left: What could not be restored, in words.
        by_hand: The command lines that restore it without this tool.
        interrupted: Whether it was ended before its time.
    """

    environment: str
    primary: str
    secondary: str
    speed: float
    fault: str
    description: str
    limits: Limits
    started: datetime
    expectation: Expectation
    pace: Pace
    selector: str
    finish: str
    fails_requests: bool = True
    customer: str = ""
    spending: Spending | None = None
    events: Events = field(default_factory=Events)
    measurements: Measurements | None = None
    durability: Durability = field(default_factory=Durability)
    retrying: tuple[Request, ...] | None = None
    findings: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.findings or self.left or self.interrupted)

    @property
    def sent(self) -> tuple[Request, ...]:
        """The requests of all its customers."""
        return (*self.events.requests, *(self.retrying or ()))

    @property
    def verdict(self) -> str:
        """One word: passed, failed or interrupted."""
        if self.interrupted and not self.left:
            return "interrupted"
        return "passed" if self.passed else "failed"


def deciding_time(outcome: Outcome) -> tuple[str, Duration | None]:
    """What is compared with the longest RTO allowed.

    Args:
        outcome: What was found.

    Returns:
        Its name, `rto` or `cut_over`, and the time; None if it did not happen.
    """
    if outcome.measurements is None:
        return "cut_over", None
    durations = outcome.measurements.durations
    return ("rto", durations.rto) if durations.rto else ("cut_over", durations.cut_over)


def dns_source(outcome: Outcome) -> str:
    """Who answered in the place of the zone's name servers, and may cache; empty if nobody did.

    Args:
        outcome: What was found.
    """
    return outcome.measurements.dns_source if outcome.measurements else ""


def seconds_on_aws(duration: Duration, speed: float) -> str:
    """A time on AWS with its error.

    Args:
        duration: The time.
        speed: How much faster than AWS the environment runs.
    """
    error = duration.error_at_speed(speed)
    return f"{duration.at_speed(speed):.1f} ± {error:.1f} s{' (scaled)' if speed != 1 else ''}"


def not_exercised(outcome: Outcome) -> dict[str, str]:
    """What the fault could not show.

    Args:
        outcome: What was found.

    Returns:
        `{name of a duration, lost_writes or replication_lag: why}`.
    """
    measured, durability = outcome.measurements, outcome.durability
    names = sorted(measured.not_exercised) if measured else ()
    found = dict.fromkeys(names, "no request failed because of the fault")
    if not durability.keys("lost"):
        if not outcome.fails_requests:
            found["lost_writes"] = (
                "the primary kept serving and replicating: no write could be lost"
            )
        elif not durability.counted:
            found["lost_writes"] = "no acknowledged write could be counted"
    found["replication_lag"] = "the fault does not stop replication, as the loss of a Region does"
    return found


def basis(outcome: Outcome) -> list[str]:
    """What the verdict is based on, a sentence each, and what the fault could not show.

    Args:
        outcome: What was found.
    """
    name, time = deciding_time(outcome)
    durability, limit = outcome.durability, outcome.limits.max_rto_seconds
    what = "RTO" if name == "rto" else "cut-over, as no request failed because of the fault"
    if time is None:
        found = ["Time: the secondary never served."]
    else:
        found = [f"Time: {what}: {seconds_on_aws(time, outcome.speed)}, {limit:g} s allowed."]
        if abs(time.at_speed(outcome.speed) - limit) <= time.error_at_speed(outcome.speed):
            found.append(
                "The limit is within the error of the time: either verdict may be chance."
                + (" A lower speed is more precise." if outcome.speed != 1 else "")
            )
    if source := dns_source(outcome):
        found.append(
            f"DNS: as {source} answers: port 53 of the zone's name servers is closed here. "
            f"What follows DNS is seen up to {outcome.expectation.ttl_seconds:g} s late, the "
            "time to live, which is part of each error."
        )
    found.append(
        f"Writes: {durability.counted} of {durability.acknowledged} acknowledged ones, read in "
        "every Region, with their values."
    )
    if outcome.retrying is not None:
        found.append(
            "Client that retries: reads by the common name, and what fails, by the other Region's "
            f"own name; {ATTEMPT_SECONDS:g} s for each attempt, on this machine's clock: not "
            "scaled. It has called both Regions before. It is not judged."
        )
    reasons: dict[str, list[str]] = {}
    for name, why in not_exercised(outcome).items():
        reasons.setdefault(why, []).append(name.replace("_", " ").replace("rto", "RTO"))
    found += [f"Not exercised: {', '.join(names)}: {why}." for why, names in reasons.items()]
    return found


def judge(outcome: Outcome) -> list[str]:
    """Compare the figures with the limits.

    Args:
        outcome: All but its judgement.

    Returns:
        What failed, in words.
    """
    findings = []
    limits, durability = outcome.limits, outcome.durability
    name, time = deciding_time(outcome)
    if time and time.at_speed(outcome.speed) > limits.max_rto_seconds:
        what = "RTO is" if name == "rto" else "cut-over took"
        findings.append(
            f"the {what} {seconds_on_aws(time, outcome.speed)}, more than the "
            f"{limits.max_rto_seconds:g} s allowed"
        )
    corrupt: tuple[tuple[State, int, str], ...] = (
        ("lost", limits.max_lost_writes, "not there: replication does not carry them"),
        ("wrong value", 0, "there with another value"),
        ("duplicated", 0, "there more than once"),
    )
    for state, allowed, meaning in corrupt:
        keys = durability.keys(state)
        if len(keys) > allowed:
            where = sorted({region for regions in keys.values() for region in regions})
            listed = ", ".join(list(keys)[:5]) + (", …" if len(keys) > 5 else "")
            findings.append(
                f"{len(keys)} {'write is' if len(keys) == 1 else 'writes are'} {state} in "
                f"{' and '.join(where)}: {meaning} ({listed})"
            )
    if uncounted := durability.keys("uncounted"):
        where = sorted({region for regions in uncounted.values() for region in regions})
        why = "; ".join(f"{region}: {error}" for region, error in durability.unread.items())
        findings.append(
            f"{len(uncounted)} of {durability.acknowledged} acknowledged writes could not be "
            f"counted in {' and '.join(where)}" + (f" ({why})" if why else "")
        )
    return findings


def not_served(
    requests: Sequence[Request], region: str, seconds: float, speed: float, when: str
) -> str:
    """Say that a Region did not begin to serve, and what was seen instead.

    Args:
        requests: All requests.
        region: The Region.
        seconds: How long it was waited for.
        speed: How much faster than AWS the environment runs.
        when: At which step of the drill, in words.
    """
    last = requests[-LAST_REQUESTS:]
    failures = sorted(
        {f"{r.region or r.address or 'DNS'}: {r.kind} {r.what}" for r in last if not r.ok}
    )
    served = ", ".join(sorted({r.region or "?" for r in last if r.ok}))
    seen = "; ".join(failures) or f"every request served by {served or 'nobody'}"
    return (
        f"{region} did not serve {CONSECUTIVE_SUCCESSES} requests in a row within "
        f"{seconds:.0f} s here ({seconds * speed:.0f} s on AWS) {when}; last seen: {seen}"
    )
