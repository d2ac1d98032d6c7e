"""The report of a drill: JSON for machines, Markdown for people, and a picture."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.drill.markdown import PICTURE, to_markdown
from ops.drill.outcome import Outcome
from ops.drill.summary import durations

VERSION = 1


def report_folder(folder: Path, outcome: Outcome) -> Path:
    """Where the report of one drill stands.

    Args:
        folder: Folder of all drills.
        outcome: What it found.
    """
    return folder / f"{outcome.environment}-{outcome.started:%Y%m%dT%H%M%SZ}"


def write(folder: Path, outcome: Outcome) -> Path:
    """Writes the report.

    Args:
        folder: Folder of all drills.
        outcome: What was found.

    Returns:
        The report's own folder, with `report.json`, `report.md` and `timeline.png`.
    """
    # Only here: it takes a second to import, and no other part of a verb needs it.
    from ops.drill import picture

    place = report_folder(folder, outcome)
    place.mkdir(parents=True, exist_ok=True)
    (place / "report.json").write_text(json.dumps(to_json(outcome), indent=1), encoding="utf-8")
    (place / "report.md").write_text(to_markdown(outcome), encoding="utf-8")
    picture.draw(outcome, place / PICTURE)
    return place


def to_json(outcome: Outcome, *, with_events: bool = True) -> dict[str, Any]:
    """The report as JSON values; all times of events are seconds since the epoch.

    Args:
        outcome: What was found.
        with_events: Whether all events are in it.

    Returns:
        `{version, environment, primary, standby, fault, broken, started, speed, passed,
        interrupted, findings, restored, expectation, limits, measurements, requests, writes}` and
        `events`. `measurements` holds each duration as `{aws_seconds, here_seconds}`, or null if it
        did not come to pass. Keys stay, and further ones may come.
    """
    durability, events = outcome.durability, outcome.events
    report: dict[str, Any] = {
        "version": VERSION,
        "environment": outcome.environment,
        "primary": outcome.primary,
        "standby": outcome.standby,
        "fault": outcome.fault,
        "broken": outcome.broken,
        "started": outcome.started.isoformat(timespec="seconds"),
        "speed": outcome.speed,
        "passed": outcome.passed,
        "interrupted": outcome.interrupted,
        "findings": outcome.findings,
        "restored": outcome.restored,
        "expectation": {**asdict(outcome.expectation), "seconds": outcome.expectation.seconds},
        "limits": asdict(outcome.limits),
        "pace": asdict(outcome.pace),
        "measurements": durations(outcome),
        "requests": _requests(outcome),
        "writes": {
            "acknowledged": durability.acknowledged,
            "unacknowledged": durability.unacknowledged,
            "lost": [
                {"key": key, "regions": list(regions)} for key, regions in durability.lost.items()
            ],
            "cut_over": asdict(durability.cut_over) if durability.cut_over else None,
            "end": [asdict(look) for look in durability.end],
        },
    }
    if with_events:
        report["events"] = asdict(events)
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
