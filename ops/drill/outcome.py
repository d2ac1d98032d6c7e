"""What a drill found, and whether that is good enough: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ops.drill.events import Events, Request
from ops.drill.expectation import Expectation
from ops.drill.ledger import Durability
from ops.drill.measure import CONSECUTIVE_SUCCESSES, Measurements

LAST_REQUESTS = 40


@dataclass(frozen=True)
class Limits:
    """What a drill must keep to pass.

    Attributes:
        max_rto_seconds: Longest time from the first failed request to the standby, on AWS.
        max_lost_writes: Most acknowledged writes that may be lost.
    """

    max_rto_seconds: float
    max_lost_writes: int = 0


@dataclass(frozen=True)
class Pace:
    """Times of the customers' requests, in seconds on the clock here.

    Attributes:
        interval_seconds: Between two rounds.
        timeout_seconds: When a request is given up.
    """

    interval_seconds: float
    timeout_seconds: float

    @classmethod
    def at_speed(cls, speed: float) -> "Pace":
        """What suits an environment: a round a second and five seconds' patience, on AWS.

        Args:
            speed: How much faster than AWS it runs; the requests themselves run no faster, hence
                the floors.
        """
        return cls(max(0.2, 1 / speed), max(1.0, 5 / speed))


@dataclass
class Outcome:
    """What a drill found.

    Attributes:
        environment: Name of the environment.
        primary: The Region that was broken.
        standby: The Region that should take over.
        speed: How much faster than AWS the environment runs.
        fault: Name of the fault.
        broken: What that is, in words.
        limits: What it must keep.
        started: When it began.
        expectation: What the failover may take.
        pace: Times of the customers' requests.
        events: All that was seen.
        measurements: The figures.
        durability: What became of the writes.
        findings: What went wrong, in words; empty if the drill passed.
        restored: What was put right at the end.
        interrupted: Whether it was ended before its time.
    """

    environment: str
    primary: str
    standby: str
    speed: float
    fault: str
    broken: str
    limits: Limits
    started: datetime
    expectation: Expectation
    pace: Pace
    events: Events = field(default_factory=Events)
    measurements: Measurements | None = None
    durability: Durability = field(default_factory=lambda: Durability(0, 0))
    findings: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong."""
        return not self.findings and not self.interrupted


def judge(outcome: Outcome) -> list[str]:
    """Holds the figures against the limits.

    Args:
        outcome: All but its judgement.

    Returns:
        What is not as it should be, in words.
    """
    findings = []
    limits, durability = outcome.limits, outcome.durability
    if outcome.measurements:
        rto = outcome.measurements.durations.at_speed(outcome.speed).rto
        if rto is not None and rto > limits.max_rto_seconds:
            findings.append(
                f"the RTO is {rto:.1f} s on AWS, more than the {limits.max_rto_seconds:g} s allowed"
            )
    lost = durability.lost
    if len(lost) > limits.max_lost_writes:
        where = sorted({region for regions in lost.values() for region in regions})
        keys = ", ".join(list(lost)[:5]) + (", …" if len(lost) > 5 else "")
        findings.append(
            f"{len(lost)} of {durability.acknowledged} acknowledged writes are not in "
            f"{' and '.join(where)}: replication does not carry them there ({keys})"
        )
    looks = (durability.cut_over, *durability.end)
    findings += [
        f"the writes in {look.region} could not be counted: {look.error}"
        for look in looks
        if look and look.error
    ]
    return findings


def not_served(
    requests: Sequence[Request], region: str, seconds: float, speed: float, when: str
) -> str:
    """Says that a Region did not begin to serve, and what was seen instead.

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
