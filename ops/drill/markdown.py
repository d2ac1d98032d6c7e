"""The report of a drill as Markdown, for people."""

from ops.drill.outcome import Outcome
from ops.drill.summary import MEANINGS, course, durations, verdict

PICTURE = "timeline.png"


def to_markdown(outcome: Outcome) -> str:
    """The report as Markdown, the picture beside it.

    Args:
        outcome: What was found.
    """
    lines = [
        f"# Failover drill: {outcome.fault}, {verdict(outcome)}",
        "",
        f"Environment **{outcome.environment}**, begun {outcome.started:%Y-%m-%d %H:%M:%S} UTC. "
        f"Primary {outcome.primary}, standby {outcome.standby}.",
        "",
        f"What was done: {outcome.broken}.",
        "",
        *[f"- **{finding}**" for finding in outcome.findings],
        *([""] if outcome.findings else []),
        f"![Answers, errors, DNS and health checks over time]({PICTURE})",
        "",
        f"## Times, in seconds ({outcome.speed:g} times as fast here as on AWS)",
        "",
        "| | On AWS | Here |",
        "|---|--:|--:|",
    ]
    for name, meaning in MEANINGS.items():
        duration = durations(outcome)[name]
        on_aws, here = (
            (f"{duration['aws_seconds']:.1f}", f"{duration['here_seconds']:.2f}")
            if duration
            else ("never", "never")
        )
        lines.append(f"| {meaning} | {on_aws} | {here} |")
    lines += [
        "",
        f"Expected at most: {outcome.expectation}. Allowed: {outcome.limits.max_rto_seconds:g} s.",
        "",
        *_request_lines(outcome),
        *_write_lines(outcome),
        "## Course",
        "",
        "| On AWS | What |",
        "|--:|---|",
        *[f"| {at:+.1f} s | {what} |" for at, what in course(outcome)],
        "",
    ]
    if outcome.restored:
        lines += ["## Put right", "", *[f"- {done}" for done in outcome.restored], ""]
    return "\n".join(lines)


def _request_lines(outcome: Outcome) -> list[str]:
    measured = outcome.measurements
    if measured is None:
        return []
    return [
        "## Requests",
        "",
        "| | Sent | Failed |",
        "|---|--:|--:|",
        *[f"| {kind} | {count.sent} | {count.failed} |" for kind, count in measured.counts.items()],
        "",
        f"Failed before the fault {measured.failed_before}, during it {measured.failed_during}, "
        f"after the restore {measured.failed_after}.",
        "",
        *[
            f"- {count} times {what}, {region}"
            for (region, what), count in sorted(measured.failures.items())
        ],
        *([""] if measured.failures else []),
    ]


def _write_lines(outcome: Outcome) -> list[str]:
    durability = outcome.durability
    lines = [
        "## Writes (RPO)",
        "",
        f"Acknowledged {durability.acknowledged}, **lost {len(durability.lost)}**; "
        f"{durability.unacknowledged} were never acknowledged.",
        "",
    ]
    looks = [("after cut-over", durability.cut_over)] + [("at the end", e) for e in durability.end]
    for when, look in looks:
        if look:
            lines.append(
                f"- {look.region} {when}: {look.looked_for - len(look.missing)} of "
                f"{look.looked_for} there, {len(look.late)} of them late"
                + (f" ({look.error})" if look.error else "")
            )
    lines += [f"- lost: {key}, not in {', '.join(r)}" for key, r in durability.lost.items()]
    return [*lines, ""]
