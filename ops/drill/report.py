"""The report of a drill: JSON for machines, Markdown for people, and a picture."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.drill import history as histories
from ops.drill.durability import STATES
from ops.drill.figures import (
    consistency_in_words,
    course,
    durations,
    retrying,
    retrying_in_words,
    times_header,
    times_table,
    writes_in_words,
)
from ops.drill.outcome import Outcome, basis, deciding_time, dns_source, not_exercised

VERSION = 3
PICTURE = "timeline.png"
PHASES = ("before", "during", "moved", "after")


def report_folder(folder: Path, outcome: Outcome) -> Path:
    """Folder of the report of one drill.

    Args:
        folder: Folder of all drills.
        outcome: What it found.
    """
    return folder / f"{outcome.environment}-{outcome.started:%Y%m%dT%H%M%SZ}"


def write(folder: Path, outcome: Outcome) -> Path:
    """Write the report.

    Args:
        folder: Folder of all drills.
        outcome: What was found.

    Returns:
        The report's own folder, with `report.json`, `report.md`, `timeline.png`, and
        `history.jsonl` if the drill has sent requests.
    """
    # Only here: it takes a second to import, and no other part of a command needs it.
    from ops.drill import picture

    place = report_folder(folder, outcome)
    place.mkdir(parents=True, exist_ok=True)
    (place / "report.json").write_text(json.dumps(to_json(outcome), indent=1), encoding="utf-8")
    (place / "report.md").write_text(to_markdown(outcome), encoding="utf-8")
    if outcome.history and outcome.consistency:
        path = place / histories.FILE
        histories.write(path, outcome.history, outcome.consistency.to_json())
    picture.draw(outcome, place / PICTURE)
    return place


def to_json(outcome: Outcome, *, with_events: bool = True) -> dict[str, Any]:
    """The report as JSON values.

    Times of events are seconds since the drill began, by a clock that nobody can step.

    Args:
        outcome: What was found.
        with_events: Whether all events are in it.

    Returns:
        `{version, environment, primary, secondary, routing_policy, regions, lost, fault,
        description, customers, customer, started, speed,
        is_scaled, passed, interrupted, judged_by, basis, not_exercised, dns_source, findings,
        restored, left, finish, expectation, limits, pace, measurements, requests, retrying_client,
        spending, load, writes, consistency, reconciliation, fence, held_back}` and `events`;
        `load`, `reconciliation` and `fence` are None without one.
        `measurements` holds a duration each, as `durations` gives them; `not_exercised` is
        `{what: why}`. Keys are stable, and new ones may be added.
    """
    durability, events = outcome.durability, outcome.events
    report: dict[str, Any] = {
        "version": VERSION,
        "environment": outcome.environment,
        "primary": outcome.scenario.regions[0],
        "secondary": outcome.scenario.regions[1],
        **outcome.scenario.to_json(),
        "fault": outcome.fault,
        "description": outcome.description,
        "customer": outcome.customer,
        "started": outcome.started.isoformat(timespec="seconds"),
        "speed": outcome.speed,
        "is_scaled": outcome.speed != 1,
        "passed": outcome.passed,
        "interrupted": outcome.interrupted,
        "judged_by": deciding_time(outcome)[0],
        "basis": basis(outcome),
        "not_exercised": not_exercised(outcome),
        "dns_source": dns_source(outcome) or None,
        "findings": outcome.findings,
        "restored": outcome.restored,
        "left": outcome.left,
        "finish": [outcome.finish, *outcome.by_hand] if outcome.left else [],
        "expectation": {**asdict(outcome.expectation), "seconds": outcome.expectation.seconds},
        "limits": asdict(outcome.limits),
        "pace": asdict(outcome.pace),
        "measurements": durations(outcome),
        "requests": _requests(outcome),
        "customers": _customers(outcome),
        "retrying_client": retrying(outcome),
        "load": outcome.load and outcome.load.to_json(),
        "spending": outcome.spending and outcome.spending.to_json(outcome.sent),
        "writes": {
            "acknowledged": durability.acknowledged,
            "unknown": durability.unknown,
            "unknown_stored": durability.unknown_stored,
            "rejected": durability.rejected,
            **{
                state.replace(" ", "_"): [
                    {"key": key, "regions": list(regions)}
                    for key, regions in durability.keys(state).items()
                ]
                for state in STATES
            },
            "late_seconds": durability.late_seconds,
            "unread": dict(durability.unread),
        },
        "consistency": outcome.consistency and outcome.consistency.to_json(),
        "reconciliation": outcome.reconciliation and outcome.reconciliation.to_json(),
        "fence": outcome.fence and outcome.fence.to_json(),
        "held_back": outcome.held_back,
    }
    if with_events:
        retried = [asdict(attempt) for attempt in outcome.retrying or ()]
        report["events"] = {**asdict(events), "retrying_client": retried}
    return report


def _requests(outcome: Outcome) -> dict[str, Any]:
    measured = outcome.measurements
    if measured is None:
        return {}
    return {
        **{kind: asdict(count) for kind, count in measured.counts.items()},
        "failed_before_the_fault": measured.failed_before,
        "failed_during_the_fault": measured.failed_during,
        "failed_after_the_restore": measured.failed_after,
        "failures": [
            {"region": region, "what": what, "count": count}
            for (region, what), count in sorted(measured.failures.items())
        ],
    }


def _customers(outcome: Outcome) -> list[dict[str, Any]]:
    """What customers of each place saw, a member for each part of the drill."""
    return [
        {
            "near": each.customers.near or None,
            "moves": bool(each.customers.leaves),
            "elsewhere": each.elsewhere,
            **{name: asdict(getattr(each, name)) for name in PHASES},
        }
        for each in (outcome.measurements.customers if outcome.measurements else ())
    ]


def to_markdown(outcome: Outcome) -> str:
    """The report as Markdown, the picture beside it.

    Args:
        outcome: What was found.
    """
    lines = [
        f"# Failover drill: {outcome.fault}, {outcome.verdict}",
        "",
        f"Environment **{outcome.environment}**, begun {outcome.started:%Y-%m-%d %H:%M:%S} UTC. "
        f"Regions {', '.join(outcome.scenario.regions)}, {outcome.scenario.routing_policy} "
        "routing.",
        "",
        f"What was done: {outcome.description}.",
        "",
        *[f"- **{finding}**" for finding in outcome.findings],
        *([""] if outcome.findings else []),
        f"![Responses, errors, DNS and health checks over time]({PICTURE})",
        "",
        "## Times",
        "",
        "| {} | {} | {} |".format(*times_header(outcome)),
        "|---|--:|--:|",
        *["| {} | {} | {} |".format(*row) for row in times_table(outcome)],
        "",
        f"Expected at most: {outcome.expectation}. Allowed: {outcome.limits.max_rto_seconds:g} s.",
        "",
        f"Client that retries in another Region: {retrying_in_words(outcome)}.",
        "",
        "## What the verdict is based on",
        "",
        *[f"- {line}" for line in basis(outcome)],
        "",
        *_customer_lines(outcome),
        *_request_lines(outcome),
        *(outcome.load.lines() if outcome.load else ()),
        *_write_lines(outcome),
        "## Course",
        "",
        f"| {times_header(outcome)[1]} | What |",
        "|--:|---|",
        *[f"| {at:+.1f} s | {what} |" for at, what in course(outcome)],
        "",
    ]
    if outcome.restored:
        lines += ["## Restored", "", *[f"- {done}" for done in outcome.restored], ""]
    if outcome.left:
        lines += ["## Not restored", "", *[f"- {what}" for what in outcome.left], ""]
        lines += [f"Finish with `{line}`." for line in (outcome.finish, *outcome.by_hand)]
        lines += [""]
    return "\n".join(lines)


def _customer_lines(outcome: Outcome) -> list[str]:
    measured = outcome.measurements
    if measured is None:
        return []
    rows = [
        [
            str(each.customers),
            *(_served(getattr(each, name).served) for name in ("before", "moved", "after")),
            f"{each.during.failed} of {each.during.sent}",
        ]
        for each in measured.customers
    ]
    return [
        "## Who served whom",
        "",
        "| | Before | While lost | After | Failed in between |",
        "|---|---|---|---|--:|",
        *[f"| {' | '.join(row)} |" for row in rows],
        "",
    ]


def _served(served: Mapping[str, int]) -> str:
    return ", ".join(f"{region} {count}" for region, count in sorted(served.items())) or "nobody"


def _request_lines(outcome: Outcome) -> list[str]:
    measured = outcome.measurements
    if measured is None:
        return []
    return [
        "## Requests",
        "",
        *_spending_lines(outcome),
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


def _spending_lines(outcome: Outcome) -> list[str]:
    if outcome.spending is None:
        return [f"Reads count against the limits of the customer {outcome.customer or '?'}.", ""]
    first, *others = outcome.spending.in_words(outcome.sent)
    return [first, "", *[f"- {line}" for line in others], *([""] if others else [])]


def _write_lines(outcome: Outcome) -> list[str]:
    durability = outcome.durability
    lines = ["## Writes (RPO)", "", f"{writes_in_words(outcome)}.", ""]
    lines += [f"- {region} was not read at the end: {e}" for region, e in durability.unread.items()]
    lines += [
        f"- {key}: {state} in {', '.join(regions)}"
        for state in STATES
        for key, regions in durability.keys(state).items()
    ]
    if outcome.consistency:
        lines += [
            "",
            "With updates, deletions and shared keys, as "
            f"[`{histories.FILE}`]({histories.FILE}) has them:",
            "",
            *[f"- {line}" for line in consistency_in_words(outcome.consistency)],
        ]
    if outcome.fence:
        lines += [f"- {line}" for line in outcome.fence.in_words()]
    if outcome.reconciliation:
        lines += [f"- {line}" for line in outcome.reconciliation.in_words()]
    if outcome.held_back is not None:
        lines += [
            f"- Beside it, what the sandbox knows and AWS does not show: {outcome.held_back} "
            "writes had not left the lost Regions before the fault was cleared."
        ]
    return [*lines, ""]
