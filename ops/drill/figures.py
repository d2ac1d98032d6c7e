"""What a drill found, as figures and words that report, screen and picture share."""

from collections.abc import Iterator, Sequence
from typing import Any

from ops.drill.consistency import KEPT, Verdict
from ops.drill.consistency import STATES as CONSISTENCY_STATES
from ops.drill.durability import STATES
from ops.drill.events import HealthSeen
from ops.drill.measure import DURATIONS
from ops.drill.outcome import Outcome, not_exercised
from ops.drill.retrying import longest_wait

MEANINGS = {
    "detection": "Time to detection: fault to {detection}",
    "dns_change": "DNS change: fault to the first answer that resolves to a Region that is left",
    "cut_over": "Cut-over: fault to the first of several successes from a Region that is left",
    "rto": "RTO: first failed request to the first of several successes from a Region that is left",
    "worst_rto": "RTO of a customer whose resolver had asked just before DNS changed",
    "error_window": "Error window: first failed request to the end of the last one",
    "failback": "Failback: restore to the first of several successes from whoever served before",
    "served_again": "Served again: restore to the first of several successes, if none was left",
}
assert tuple(MEANINGS) == DURATIONS
_DETECTION = {
    "health check": "unhealthy health check",
    "DNS": "DNS change, as health checks cannot be seen",
}


def durations(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """What was measured.

    Args:
        outcome: What was found.

    Returns:
        `{name: {state, aws_seconds, aws_error_seconds, here_seconds, here_error_seconds}}`; `state`
        is `measured`, `never` or `not exercised`, and without `measured` the rest is None.
    """
    measured, found = outcome.measurements, {}
    for name in DURATIONS:
        if name == "served_again" and outcome.scenario.left:
            continue
        duration = getattr(measured.durations, name) if measured else None
        seconds: list[float | None] = [None] * 4
        state = "not exercised" if measured and name in measured.not_exercised else "never"
        if duration:
            state = "measured"
            seconds = [
                round(value, 3)
                for speed in (outcome.speed, 1.0)
                for value in (duration.at_speed(speed), duration.error_at_speed(speed))
            ]
        names = ("aws_seconds", "aws_error_seconds", "here_seconds", "here_error_seconds")
        found[name] = {"state": state, **dict(zip(names, seconds, strict=True))}
    return found


def times_header(outcome: Outcome) -> tuple[str, str, str]:
    """Headings of `times_table`.

    Args:
        outcome: What was found.
    """
    scaled = f"On AWS (estimate, scaled {outcome.speed:g} times)"
    return "Measured", scaled if outcome.speed != 1 else "On AWS", "Here"


def times_table(outcome: Outcome) -> list[tuple[str, str, str]]:
    """What was measured, for people.

    Args:
        outcome: What was found.

    Returns:
        A row of meaning, time on AWS and time here for each duration, with errors.
    """
    measured = outcome.measurements
    detection = _DETECTION[measured.detected_by if measured else "health check"]
    rows = []
    for name, found in durations(outcome).items():
        on_aws, here = found["state"], ""
        if on_aws == "measured":
            on_aws = f"{found['aws_seconds']:.1f} ± {found['aws_error_seconds']:.1f} s"
            here = f"{found['here_seconds']:.2f} ± {found['here_error_seconds']:.2f} s"
        rows.append((MEANINGS[name].format(detection=detection), on_aws, here))
    return rows


def writes_in_words(outcome: Outcome) -> str:
    """What became of the writes, in one line.

    Args:
        outcome: What was found.
    """
    durability = outcome.durability
    counts = {state: f"{len(durability.keys(state))} {state}" for state in STATES}
    if durability.late_seconds:
        counts["late"] += f" by at most {durability.late_seconds:.1f} s"
    if "lost_writes" in not_exercised(outcome):
        counts["lost"] = "loss not exercised"
    stored = f" ({durability.unknown_stored} of them stored)" if durability.unknown else ""
    return (
        f"{durability.acknowledged} acknowledged, {', '.join(counts.values())}; "
        f"{durability.unknown} unknown{stored}, {durability.rejected} rejected"
    )


def consistency_in_words(verdict: Verdict) -> list[str]:
    """What became of all writes: puts, updates and deletions.

    Args:
        verdict: The verdict.
    """
    kinds = ", ".join(f"{count} {kind}" for kind, count in verdict.acknowledged.items())
    lines = [
        f"Acknowledged: {kinds}; {verdict.unknown} unknown, {verdict.rejected} rejected.",
    ]
    for each in verdict.cut_over:
        count = len(each.missing)
        lines.append(
            f"RPO: at the cut-over, {each.region} lacked {count or 'no'} acknowledged "
            f"{'write' if count == 1 else 'writes'}"
            + (
                f": {each.window_seconds:.1f} s of writes on AWS, the oldest acknowledged "
                f"{each.oldest_seconds:.1f} s before the cut-over."
                if count
                else "."
            )
        )
    if verdict.after_cut_over:
        lines.append(
            f"After the cut-over, lost Regions acknowledged {verdict.after_cut_over} more writes."
        )
    counts = [
        f"{len(verdict.of(state)) if state != 'lost' else verdict.lost} {state}"
        for state in CONSISTENCY_STATES
    ]
    lines.append(f"At the end: {', '.join(counts)}.")
    for conflict in verdict.conflicts:
        won = "all values are kept" if conflict.winner == KEPT else f"{conflict.winner} won"
        lines.append(
            f"Conflict about {conflict.key} between {' and '.join(conflict.regions)}: "
            f"{won if conflict.winner else 'no winner'}, {conflict.overwritten} writes overwritten."
        )
    return lines


def retrying(outcome: Outcome) -> dict[str, Any] | None:
    """What the customer saw whose client retries in another Region.

    Args:
        outcome: What was found.

    Returns:
        `{state, seconds, attempts, failed_attempts}`; `state` is `measured`, or `not exercised` if
        no attempt failed since the fault: `seconds` is None then. `seconds` is the longest time
        without a successful response, on this machine's clock. None where the Regions have no own
        names.
    """
    if outcome.retrying is None:
        return None
    injected = outcome.events.when("injecting")
    wait = None if injected is None else longest_wait(outcome.retrying, injected)
    return {
        "state": "not exercised" if wait is None else "measured",
        "seconds": None if wait is None else round(wait, 3),
        "attempts": len(outcome.retrying),
        "failed_attempts": sum(not each.ok for each in outcome.retrying),
    }


def retrying_in_words(outcome: Outcome) -> str:
    """The same in one line.

    Args:
        outcome: What was found.
    """
    found = retrying(outcome)
    if found is None:
        return "not measured: the Regions have no own names (regional_names)"
    counts = f"{found['failed_attempts']} of {found['attempts']} attempts failed"
    if found["seconds"] is None:
        return f"not exercised, as no attempt failed because of the fault; {counts}"
    return f"at most {found['seconds']:.2f} s without a successful response; {counts}"


def course(outcome: Outcome) -> list[tuple[float, str]]:
    """What happened in order.

    Args:
        outcome: What was found.

    Returns:
        Seconds on AWS (scaled) since the fault, or since the start without one, and what it was.
    """
    events = outcome.events
    zero = events.when("injecting") or events.when("started") or 0.0
    found = [(mark.at, f"drill: {mark.name}") for mark in events.marks]
    found += [(seen.at, _health(seen)) for seen in events.health if seen.at >= zero]
    found += _answers(outcome)
    measured, scenario = outcome.measurements, outcome.scenario
    if measured and measured.cut_over_at:
        serving = {r for each in measured.customers for r in each.moved.served}
        regions = [region for region in scenario.taking_over if region in serving]
        found.append((measured.cut_over_at, f"{_serve(regions or scenario.taking_over)}"))
    if measured and measured.failback_at:
        found.append((measured.failback_at, f"{_serve(scenario.coming_back)} again"))
    found.sort(key=lambda each: each[0])
    return [((at - zero) * outcome.speed, what) for at, what in found]


def _answers(outcome: Outcome) -> Iterator[tuple[float, str]]:
    """When DNS resolved to something else; where answers vary, the first and the last of each."""
    for customers in outcome.scenario.customers:
        seen = [each for each in outcome.events.dns if each.near == customers.near]
        who = f" for {customers}" if customers.near else ""
        if customers.varies:
            measured = outcome.measurements
            if measured and measured.durations.dns_change:
                begin = outcome.events.when("injecting") or 0.0
                at = begin + measured.durations.dns_change.waited_seconds
                yield at, f"DNS no longer resolves to {' or '.join(customers.leaves)}"
            continue
        before: str | None = None
        for each in seen:
            leads = each.region or ", ".join(each.addresses) or each.error
            if leads != before:
                yield each.at, f"DNS resolves to {leads}{who}"
            before = leads


def _serve(regions: Sequence[str]) -> str:
    return f"{' and '.join(regions)} {'serve' if len(regions) > 1 else 'serves'}"


def _health(seen: HealthSeen) -> str:
    state = "healthy" if seen.healthy else "unhealthy"
    return f"health check {seen.check}: {state}" + (f" ({seen.reason})" if seen.reason else "")
