"""From events to figures: pure, so that what a report says can be checked on made-up events.

All times and durations are those of the clock that the events were seen by. Where health checks and
DNS run faster than on AWS, `Durations.at_speed` gives what the same course takes there.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ops.drill.events import Events, Kind, Request

CONSECUTIVE_SUCCESSES = 5
"""A single success proves nothing where some requests fail; so many in a row do."""

NOBODY = "no Region named"
"""Who failed, where no answer tells its Region."""


@dataclass(frozen=True)
class Durations:
    """What a drill measures, in seconds; None where it did not come to pass.

    Attributes:
        detection: From the fault to the primary's health check being unhealthy; where its state
            cannot be seen, to the first DNS answer that leads to the standby.
        dns_change: From the fault to the first DNS answer that leads to the standby.
        cut_over: From the fault to the first of several successes in a row from the standby.
        rto: From the first failed request to the first of several successes in a row from the
            standby; 0 if no request failed.
        worst_rto: The same for a customer whose resolver had asked just before DNS changed: the
            DNS change and one time to live after the first failed request; 0 if none failed.
        error_window: From the first failed request to the end of the last one, until the restore.
        failback: From the restore to the first of several successes in a row from the primary.
    """

    detection: float | None
    dns_change: float | None
    cut_over: float | None
    rto: float | None
    worst_rto: float | None
    error_window: float
    failback: float | None

    def at_speed(self, speed: float) -> "Durations":
        """The same course where it runs slower.

        Args:
            speed: How much faster it ran here than there.
        """

        def scaled(seconds: float | None) -> float | None:
            return None if seconds is None else seconds * speed

        return Durations(
            detection=scaled(self.detection),
            dns_change=scaled(self.dns_change),
            cut_over=scaled(self.cut_over),
            rto=scaled(self.rto),
            worst_rto=scaled(self.worst_rto),
            error_window=self.error_window * speed,
            failback=scaled(self.failback),
        )


@dataclass(frozen=True)
class Count:
    """How many requests of one kind were sent, and how many of them failed."""

    sent: int
    failed: int


@dataclass(frozen=True)
class Measurements:
    """The figures of one drill.

    Attributes:
        durations: In seconds of the clock here.
        counts: `{kind: requests}`, over the whole drill.
        failed_before: Requests that failed before the fault was injected.
        failed_during: Requests that failed from the fault to the restore.
        failed_after: Requests that failed from the restore on.
        failures: `{(Region or NOBODY, what): how many}`.
        detected_at: When the loss was detected, in seconds since the epoch; None if never.
        cut_over_at: When the first of the successes from the standby was complete.
        failback_at: When the first of the successes from the primary was complete.
    """

    durations: Durations
    counts: dict[Kind, Count]
    failed_before: int
    failed_during: int
    failed_after: int
    failures: dict[tuple[str, str], int]
    detected_at: float | None
    cut_over_at: float | None
    failback_at: float | None


def measure(
    events: Events,
    *,
    primary: str,
    standby: str,
    primary_check: str,
    consecutive: int = CONSECUTIVE_SUCCESSES,
) -> Measurements:
    """Measures a drill, finished or not.

    Args:
        events: What was seen.
        primary: The Region that was broken.
        standby: The Region that should take over.
        primary_check: Name of the health check of the primary's record.
        consecutive: Successes in a row that count as serving again.
    """
    injected = events.when("injecting")
    restored = events.when("restoring")
    end = float("inf") if restored is None else restored
    begin = float("inf") if injected is None else injected
    # A request that was under way when the fault came may fail by it.
    during = [r for r in events.requests if r.answered_at >= begin and r.sent_at < end]
    after = [r for r in events.requests if r.sent_at >= end]
    failed = [r for r in during if not r.ok]

    cut_over = first_of_successes(
        [r for r in during if r.sent_at >= begin], standby, consecutive=consecutive
    )
    failback = first_of_successes(after, primary, consecutive=consecutive)
    changed = next(
        (seen for seen in events.dns if begin <= seen.at < end and seen.region == standby), None
    )
    unhealthy = next(
        (
            seen.at
            for seen in events.health
            if seen.check == primary_check and not seen.healthy and begin <= seen.at < end
        ),
        None,
    )
    watched = any(seen.check == primary_check for seen in events.health)
    detected_at = unhealthy if watched else (changed.at if changed else None)
    cut_over_at = cut_over.answered_at if cut_over else None
    # What fails before the cut-over is the outage; a failure after it is in the error window only.
    outage = [r for r in failed if cut_over is None or r.sent_at < cut_over.sent_at]
    first_failed = min((r.sent_at for r in outage), default=None)

    def since_first_failure(at: float | None) -> float | None:
        if at is None:
            return None
        return 0.0 if first_failed is None else max(0.0, at - first_failed)

    return Measurements(
        durations=Durations(
            detection=_between(injected, detected_at),
            dns_change=_between(injected, changed.at if changed else None),
            cut_over=_between(injected, cut_over_at),
            rto=since_first_failure(cut_over_at),
            worst_rto=since_first_failure(changed.at + changed.ttl_seconds if changed else None),
            error_window=max((r.answered_at for r in failed), default=0.0)
            - min((r.sent_at for r in failed), default=0.0),
            failback=_between(restored, failback.answered_at if failback else None),
        ),
        counts={
            kind: Count(
                sum(r.kind == kind for r in events.requests),
                sum(r.kind == kind and not r.ok for r in events.requests),
            )
            for kind in ("read", "write")
        },
        failed_before=sum(not r.ok for r in events.requests if r.answered_at < begin),
        failed_during=len(failed),
        failed_after=sum(not r.ok for r in after),
        failures=dict(Counter((r.region or NOBODY, r.what) for r in events.requests if not r.ok)),
        detected_at=detected_at,
        cut_over_at=cut_over_at,
        failback_at=failback.answered_at if failback else None,
    )


def first_of_successes(
    requests: Sequence[Request], region: str, *, consecutive: int = CONSECUTIVE_SUCCESSES
) -> Request | None:
    """Finds where a Region began to serve.

    Args:
        requests: In the order they were sent.
        region: The Region.
        consecutive: Successes in a row that it takes.

    Returns:
        The first of them; None if there are not so many.
    """
    run: list[Request] = []
    for request in requests:
        run = [*run, request] if request.ok and request.region == region else []
        if len(run) == consecutive:
            return run[0]
    return None


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else max(0.0, end - begin)
