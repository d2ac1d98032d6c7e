"""From events to figures: pure, so that what a report says can be checked on made-up events.

Where health checks and DNS run faster than on AWS, what waits for them is scaled, what the machine
takes for a request is not, and the error is scaled like the time between two probes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from ops.drill.events import Events, Kind, MarkName, Request

CONSECUTIVE_SUCCESSES = 5
"""A single success proves nothing where some requests fail; so many in a row do."""

NOBODY = "no Region named"
"""Who failed, where no response names its Region."""


@dataclass(frozen=True)
class Duration:
    """A time that was measured, in seconds of the clock here.

    Attributes:
        waited_seconds: What passes faster at a higher speed.
        latency_seconds: What the response that ended it took: the same at every speed.
        error_seconds: How much longer or shorter the time may have been: what happens between two
            probes, or while the fault is being injected, is seen at the later one.
    """

    waited_seconds: float
    latency_seconds: float = 0.0
    error_seconds: float = 0.0

    def at_speed(self, speed: float = 1.0) -> float:
        """How long the same course takes where it runs slower.

        Args:
            speed: How much faster it ran here than there.
        """
        return self.waited_seconds * speed + self.latency_seconds

    def error_at_speed(self, speed: float = 1.0) -> float:
        """The error where it runs slower.

        Args:
            speed: How much faster it ran here than there.
        """
        return self.error_seconds * speed


@dataclass(frozen=True)
class Durations:
    """What a drill measures; None where it did not happen, or was not exercised.

    Attributes:
        detection: From the fault to the primary's health check being unhealthy; where its state
            cannot be seen, to the first DNS answer that resolves to the secondary.
        dns_change: From the fault to the first DNS answer that resolves to the secondary.
        cut_over: From the fault to the first of several successes in a row from the secondary.
        rto: From the first failed request to the first of several successes in a row from the
            secondary; not exercised if the fault made no request fail.
        worst_rto: The same for a customer whose resolver had asked just before DNS changed: the
            DNS change and one time to live after the first failed request.
        error_window: From the first failed request to the end of the last one, until the restore;
            not exercised if none failed.
        failback: From the restore to the first of several successes in a row from the primary.
    """

    detection: Duration | None
    dns_change: Duration | None
    cut_over: Duration | None
    rto: Duration | None
    worst_rto: Duration | None
    error_window: Duration | None
    failback: Duration | None


DURATIONS = tuple(each.name for each in fields(Durations))


@dataclass(frozen=True)
class Count:
    """How many requests of one kind were sent, and how many of them failed."""

    sent: int
    failed: int


@dataclass(frozen=True)
class Measurements:
    """The figures of one drill.

    Attributes:
        durations: How long things took.
        not_exercised: Names of the durations that the fault could not show.
        detected_by: What `durations.detection` is the time of.
        dns_source: Who answered in the place of the zone's name servers, and may cache; empty if
            nobody did.
        counts: `{kind: requests}`, over the whole drill.
        failed_before: Requests that failed before the fault was injected.
        failed_during: Requests that failed from the fault to the restore.
        failed_after: Requests that failed from the restore on.
        failures: `{(Region or NOBODY, what): how many}`.
        detected_at: When the loss was detected; None if never.
        cut_over_at: When the first of the successes from the secondary reached it.
        failback_at: When the first of the successes from the primary reached it.
    """

    durations: Durations
    not_exercised: frozenset[str]
    detected_by: Literal["health check", "DNS"]
    dns_source: str
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
    secondary: str,
    primary_check: str,
    interval_seconds: float,
    fails_requests: bool = True,
    ttl_seconds: float = 0.0,
    consecutive: int = CONSECUTIVE_SUCCESSES,
) -> Measurements:
    """Measure a drill, finished or not.

    Args:
        events: What was seen.
        primary: The Region into which the fault was injected.
        secondary: The Region that should take over.
        primary_check: Name of the health check of the primary's record.
        interval_seconds: Time between two probes, as planned.
        fails_requests: Whether the fault makes requests of customers fail.
        ttl_seconds: Time to live of the record: so old may be what a resolver answers.
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
        [r for r in during if r.sent_at >= begin], secondary, consecutive=consecutive
    )
    failback = first_of_successes(after, primary, consecutive=consecutive)
    changed = next(
        (seen for seen in events.dns if begin <= seen.at < end and seen.region == secondary), None
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
    # What fails before the cut-over is the outage; a failure after it is in the error window only.
    outage = [r for r in failed if cut_over is None or r.sent_at < cut_over.sent_at]
    first_failed = min((r.sent_at for r in outage), default=None) if fails_requests else None
    last_failed = max(failed, key=lambda r: r.answered_at, default=None)

    def resolution(times: Sequence[float], at: float) -> float:
        """Time since the probe before, which a busy machine may have sent late."""
        return max(interval_seconds, at - max((t for t in times if t < at), default=at))

    def until(since: float | None, at: float | None, error: float) -> Duration | None:
        if since is None or at is None:
            return None
        return Duration(max(0.0, at - since), 0.0, error)

    def served(since: float | None, request: Request | None, error: float = 0.0) -> Duration | None:
        if since is None or request is None:
            return None
        sent = [r.sent_at for r in events.requests if r.kind == request.kind]
        latency = min(request.latency_seconds, request.answered_at - max(since, request.sent_at))
        waited = max(0.0, request.answered_at - latency - since)
        return Duration(waited, latency, error + resolution(sent, request.sent_at))

    injecting = _between(events, "injecting", "injected")
    restoring = _between(events, "restoring", "restored")
    looks = [seen.at for seen in events.dns]
    dns_source = next((seen.source for seen in events.dns if seen.source), "")
    # Whoever follows a cache follows DNS so much later, at most.
    age = ttl_seconds if dns_source else 0.0
    look = age + (resolution(looks, changed.at) if changed else interval_seconds)
    cut_over_time = served(injected, cut_over, injecting + age)
    failback_time = served(restored, failback, restoring + age)
    return Measurements(
        durations=Durations(
            detection=until(
                injected, detected_at, injecting + (interval_seconds if watched else look)
            ),
            dns_change=until(injected, changed.at if changed else None, injecting + look),
            cut_over=cut_over_time,
            rto=served(first_failed, cut_over, age),
            worst_rto=until(
                first_failed,
                changed.at + (age or changed.ttl_seconds) if changed else None,
                look + interval_seconds,
            ),
            error_window=served(min((r.sent_at for r in failed), default=None), last_failed, age),
            failback=failback_time,
        ),
        not_exercised=frozenset(
            [
                *([] if first_failed is not None else ["rto", "worst_rto"]),
                *([] if failed else ["error_window"]),
            ]
        ),
        detected_by="health check" if watched else "DNS",
        dns_source=dns_source,
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
        cut_over_at=begin + cut_over_time.waited_seconds if cut_over_time else None,
        failback_at=end + failback_time.waited_seconds if failback_time else None,
    )


def first_of_successes(
    requests: Sequence[Request], region: str, *, consecutive: int = CONSECUTIVE_SUCCESSES
) -> Request | None:
    """Find where a Region began to serve.

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


def _between(events: Events, first: MarkName, second: MarkName) -> float:
    """Time between two steps of the drill; 0 if they were not reached."""
    begin, end = events.when(first), events.when(second)
    return 0.0 if begin is None or end is None else end - begin
