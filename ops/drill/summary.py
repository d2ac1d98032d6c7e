"""What a drill came to, in the words and figures that every form of its report shares."""

from dataclasses import fields

from ops.drill.events import HealthSeen
from ops.drill.measure import Durations
from ops.drill.outcome import Outcome

MEANINGS = {
    "detection": "Time to detection: fault to unhealthy health check",
    "dns_change": "DNS change: fault to the first answer that leads to the standby",
    "cut_over": "Cut-over: fault to the first of several successes from the standby",
    "rto": "RTO: first failed request to the first of several successes from the standby",
    "worst_rto": "RTO of a customer whose resolver had asked just before DNS changed",
    "error_window": "Error window: first failed request to the end of the last one",
    "failback": "Failback: restore to the first of several successes from the primary",
}
assert list(MEANINGS) == [field.name for field in fields(Durations)]


def verdict(outcome: Outcome) -> str:
    """One word for what a drill came to.

    Args:
        outcome: What was found.
    """
    if outcome.interrupted:
        return "interrupted"
    return "passed" if outcome.passed else "failed"


def durations(outcome: Outcome) -> dict[str, dict[str, float] | None]:
    """What was measured.

    Args:
        outcome: What was found.

    Returns:
        `{name: {"aws_seconds": …, "here_seconds": …}}`; None for what did not come to pass.
    """
    if outcome.measurements is None:
        return dict.fromkeys(MEANINGS)
    here = outcome.measurements.durations
    aws = here.at_speed(outcome.speed)
    return {
        name: None
        if getattr(here, name) is None
        else {
            "aws_seconds": round(getattr(aws, name), 2),
            "here_seconds": round(getattr(here, name), 3),
        }
        for name in MEANINGS
    }


def course(outcome: Outcome) -> list[tuple[float, str]]:
    """What happened in order.

    Args:
        outcome: What was found.

    Returns:
        Seconds on AWS since the fault, or since the start without one, and what it was.
    """
    events = outcome.events
    zero = events.when("injecting") or events.when("started") or 0.0
    found = [(mark.at, f"drill: {mark.name}") for mark in events.marks]
    found += [(seen.at, _health(seen)) for seen in events.health if seen.at >= zero]
    before: str | None = None
    for seen in events.dns:
        leads = seen.region or ", ".join(seen.addresses) or seen.error
        if leads != before:
            found.append((seen.at, f"DNS leads to {leads}"))
        before = leads
    measured = outcome.measurements
    if measured and measured.cut_over_at:
        found.append((measured.cut_over_at, f"{outcome.standby} serves"))
    if measured and measured.failback_at:
        found.append((measured.failback_at, f"{outcome.primary} serves again"))
    return sorted(((at - zero) * outcome.speed, what) for at, what in found)


def _health(seen: HealthSeen) -> str:
    state = "healthy" if seen.healthy else "unhealthy"
    return f"health check {seen.check}: {state}" + (f" ({seen.reason})" if seen.reason else "")
