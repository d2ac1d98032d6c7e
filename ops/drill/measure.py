"""From events to figures: pure, so that what a report says can be checked on made-up events.

Where health checks and DNS run faster than on AWS, what waits for them is scaled, what the machine
takes for a request is not, and the error is scaled like the time between two probes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from ops.drill.events import DnsSeen, Events, Kind, MarkName, Request
from ops.drill.scenario import CONSECUTIVE_SUCCESSES as CONSECUTIVE_SUCCESSES
from ops.drill.scenario import Customers, Scenario, record_check

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

    Of customers of several Regions, those who waited longest count.

    Attributes:
        detection: From the fault to the lost Regions' health checks being unhealthy; where their
            states cannot be seen, to the DNS change.
        dns_change: From the fault to the first DNS answer that resolves to a Region that is left;
            where answers vary, to the first one after which none resolves to a lost Region.
        cut_over: From the fault to the first of several successes in a row from a Region that is
            left.
        rto: From the first failed request to the first of several successes in a row from a Region
            that is left; not exercised if the fault made no request fail.
        worst_rto: The same for a customer whose resolver had asked just before DNS changed: the
            DNS change and one time to live after the first failed request.
        error_window: From the first failed request to the end of the last one, until the restore;
            not exercised if none failed.
        failback: From the restore to the first of several successes in a row from the Region that
            served before; where answers vary, from the last of those Regions to serve again.
        served_again: From the restore to the first of several successes in a row from any Region,
            if none was left.
    """

    detection: Duration | None
    dns_change: Duration | None
    cut_over: Duration | None
    rto: Duration | None
    worst_rto: Duration | None
    error_window: Duration | None
    failback: Duration | None
    served_again: Duration | None = None


DURATIONS = tuple(each.name for each in fields(Durations))


@dataclass(frozen=True)
class Count:
    """How many requests of one kind were sent, and how many of them failed."""

    sent: int
    failed: int


@dataclass(frozen=True)
class Phase:
    """What customers of one place saw in one part of a drill.

    Attributes:
        sent: Requests that were sent.
        failed: How many of them failed.
        served: `{Region: successes}`.
        answers: `{Region: DNS answers}`.
    """

    sent: int
    failed: int
    served: dict[str, int]
    answers: dict[str, int]

    def share(self, regions: Iterable[str]) -> float | None:
        """Share of the DNS answers that resolve to some Regions; None without an answer.

        Args:
            regions: The Regions.
        """
        answers = sum(self.answers.values())
        return sum(self.answers.get(r, 0) for r in regions) / answers if answers else None


@dataclass(frozen=True)
class CustomerFigures:
    """What customers of one place saw.

    Attributes:
        customers: Who they are.
        before: Until the fault.
        during: From the fault to the restore.
        moved: From the cut-over to the restore; from the fault if they were not to move.
        after: From the failback on, or from the restore if there was none.
        durations: How long things took; all None for those who were not to move.
        elsewhere: Since the fault, successes from a Region that was not to serve them.
    """

    customers: Customers
    before: Phase
    during: Phase
    moved: Phase
    after: Phase
    durations: Durations
    elsewhere: int


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
        cut_over_at: When the last customers had moved.
        failback_at: When the last customers were served as before.
        customers: What customers of each place saw.
        failed_others: Requests that failed, since the fault, of customers who were not to notice.
        empty_answers: DNS answers without an address.
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
    customers: tuple[CustomerFigures, ...] = ()
    failed_others: int = 0
    empty_answers: int = 0


def measure(
    events: Events,
    scenario: Scenario,
    *,
    interval_seconds: float,
    fails_requests: bool = True,
    ttl_seconds: float = 0.0,
    consecutive: int | None = None,
) -> Measurements:
    """Measure a drill, finished or not.

    Args:
        events: What was seen.
        scenario: The Regions that are lost, and whom that concerns.
        interval_seconds: Time between two probes, as planned.
        fails_requests: Whether the fault makes requests of customers fail.
        ttl_seconds: Time to live of the record: so old may be what a resolver answers.
        consecutive: Successes in a row that count as serving again; those of the customers by
            default.
    """
    injected, restored = events.when("injecting"), events.when("restoring")
    end = float("inf") if restored is None else restored
    begin = float("inf") if injected is None else injected
    watched, unhealthy = detection(events, scenario)
    each = [
        _Measuring(
            events, customers, scenario, interval_seconds, fails_requests, ttl_seconds, consecutive
        )
        for customers in scenario.customers
    ]
    moving = [one for one in each if one.customers.leaves]
    changed = [one.changed for one in moving if one.customers.after]
    seen_in_dns = max((c.at for c in changed if c), default=None) if all(changed) else None
    detected_at = unhealthy if watched else seen_in_dns
    look_error = max((one.look_error for one in moving), default=interval_seconds)
    durations = Durations(
        detection=_until(
            injected,
            detected_at,
            _between(events, "injecting", "injected")
            + (interval_seconds if watched else look_error),
        ),
        **{
            name: _longest([getattr(one.durations, name) for one in moving if one.has(name)])
            for name in DURATIONS
            if name != "detection"
        },
    )
    figures = tuple(one.figures() for one in each)
    requests = events.requests
    during = [r for r in requests if r.answered_at >= begin and r.sent_at < end]
    return Measurements(
        durations=durations,
        not_exercised=frozenset(_not_exercised(moving, watched=watched)),
        detected_by="health check" if watched else "DNS",
        dns_source=next((seen.source for seen in events.dns if seen.source), ""),
        counts={
            kind: Count(
                sum(r.kind == kind for r in requests),
                sum(r.kind == kind and not r.ok for r in requests),
            )
            for kind in ("read", "write")
        },
        failed_before=sum(not r.ok for r in requests if r.answered_at < begin),
        failed_during=sum(not r.ok for r in during),
        failed_after=sum(not r.ok for r in requests if r.sent_at >= end),
        failures=dict(Counter((r.region or NOBODY, r.what) for r in requests if not r.ok)),
        detected_at=detected_at,
        cut_over_at=begin + durations.cut_over.waited_seconds if durations.cut_over else None,
        failback_at=end + durations.failback.waited_seconds if durations.failback else None,
        customers=figures,
        failed_others=sum(
            not r.ok
            for r in requests
            for other in scenario.others
            if r.near == other.near and r.answered_at >= begin
        ),
        empty_answers=sum(seen.is_known and not seen.addresses for seen in events.dns),
    )


def detection(events: Events, scenario: Scenario) -> tuple[bool, float | None]:
    """Find out when the loss was detected, as far as health checks are seen.

    Args:
        events: What was seen.
        scenario: The Regions that are lost.

    Returns:
        Whether the states of their health checks are seen, and when the last of them became
        unhealthy between fault and restore; None if one did not.
    """
    begin = events.when("injecting")
    end = events.when("restoring")
    checks = [record_check(region) for region in scenario.lost]
    watched = any(seen.check in checks for seen in events.health)
    if begin is None:
        return watched, None
    times = [
        next(
            (
                seen.at
                for seen in events.health
                if seen.check == check
                and not seen.healthy
                and begin <= seen.at < (float("inf") if end is None else end)
            ),
            None,
        )
        for check in checks
    ]
    found = [at for at in times if at is not None]
    return watched, max(found) if found and len(found) == len(times) else None


def dns_changed(
    answers: Sequence[DnsSeen], customers: Customers, begin: float, end: float
) -> DnsSeen | None:
    """Find the answer from which on DNS names no lost Region to customers.

    Args:
        answers: The answers for these customers, in order of time.
        customers: The customers.
        begin: When the fault was injected.
        end: When it was restored.
    """
    seen = [each for each in answers if begin <= each.at < end]
    if customers.varies:
        named = [n for n, each in enumerate(seen) if each.region in customers.leaves]
        seen = seen[named[-1] + 1 :] if named else seen
    return next((each for each in seen if each.region in customers.after), None)


class _Measuring:
    """Measures what customers of one place saw."""

    def __init__(
        self,
        events: Events,
        customers: Customers,
        scenario: Scenario,
        interval_seconds: float,
        fails_requests: bool,
        ttl_seconds: float,
        consecutive: int | None,
    ) -> None:
        self.customers, self._interval = customers, interval_seconds
        injected, restored = events.when("injecting"), events.when("restoring")
        self._end = end = float("inf") if restored is None else restored
        self._begin = begin = float("inf") if injected is None else injected
        self._requests = [r for r in events.requests if r.near == customers.near]
        self._answers = [seen for seen in events.dns if seen.near == customers.near]
        run = consecutive or customers.consecutive
        # A request that was under way when the fault came may fail by it.
        during = [r for r in self._requests if r.answered_at >= begin and r.sent_at < end]
        after = [r for r in self._requests if r.sent_at >= end]
        failed = [r for r in during if not r.ok]

        self.changed = dns_changed(self._answers, customers, begin, end)
        since = begin
        if customers.varies:
            # Before, several in a row are from other Regions by chance.
            since = self.changed.at if self.changed else float("inf")
        cut_over = first_of_successes(
            [r for r in during if r.sent_at >= since], customers.after, consecutive=run
        )
        if customers.varies:
            firsts = [
                next((r for r in after if r.ok and r.region == region), None)
                for region in customers.leaves
            ]
            back = [r for r in firsts if r is not None]
            complete = len(back) == len(firsts)
            failback = max(back, key=lambda r: r.answered_at) if back and complete else None
        else:
            failback = first_of_successes(after, customers.before, consecutive=run)
        again = first_of_successes(after, scenario.regions, consecutive=run)
        # What fails before the cut-over is the outage; a failure after it is in the error window
        # only.
        outage = [r for r in failed if cut_over is None or r.sent_at < cut_over.sent_at]
        self._first_failed = (
            min((r.sent_at for r in outage), default=None) if fails_requests else None
        )
        self._has_failed = bool(failed)
        self._moved_at = cut_over.sent_at if cut_over else None
        self._back_at = failback.sent_at if failback else None
        last_failed = max(failed, key=lambda r: r.answered_at, default=None)

        injecting = _between(events, "injecting", "injected")
        restoring = _between(events, "restoring", "restored")
        # Whoever follows a cache follows DNS so much later, at most.
        age = ttl_seconds if any(seen.source for seen in events.dns) else 0.0
        looks = [seen.at for seen in self._answers]
        self.look_error = age + (
            self._resolution(looks, self.changed.at) if self.changed else interval_seconds
        )
        self.durations = Durations(
            detection=None,
            dns_change=_until(
                injected, self.changed.at if self.changed else None, injecting + self.look_error
            ),
            cut_over=self._served(injected, cut_over, injecting + age),
            rto=self._served(self._first_failed, cut_over, age),
            worst_rto=_until(
                self._first_failed,
                self.changed.at + (age or self.changed.ttl_seconds) if self.changed else None,
                self.look_error + interval_seconds,
            ),
            error_window=self._served(
                min((r.sent_at for r in failed), default=None), last_failed, age
            ),
            failback=self._served(restored, failback, restoring + age),
            served_again=None
            if customers.after
            else self._served(restored, again, restoring + age),
        )

    def has(self, name: str) -> bool:
        """Whether a duration is one of these customers."""
        match name:
            case "rto" | "worst_rto":
                return self._first_failed is not None and bool(self.customers.after)
            case "error_window":
                return self._has_failed
            case "served_again":
                return not self.customers.after
            case "dns_change" | "cut_over":
                return bool(self.customers.after)
        return True

    def figures(self) -> CustomerFigures:
        """What they saw, in figures."""
        begin, end, moved, back = self._begin, self._end, self._begin, self._end
        moves = bool(self.customers.leaves)
        if moves and self.customers.after:
            moved = end if self._moved_at is None else self._moved_at
        if moves and self._back_at is not None:
            back = self._back_at
        # An evacuated Region serves until customers have moved; when it comes back, both do.
        since = [
            r
            for r in self._requests
            if r.ok and r.region and (moved <= r.sent_at < end or (not moves and r.sent_at >= end))
        ]
        empty = dict.fromkeys((each.name for each in fields(Durations)), None)
        return CustomerFigures(
            customers=self.customers,
            before=self._phase(float("-inf"), begin),
            during=self._phase(begin, end),
            moved=self._phase(moved, end),
            after=self._phase(back, float("inf")),
            durations=self.durations if moves else Durations(**empty),
            elsewhere=sum(r.region not in self.customers.after for r in since),
        )

    def _phase(self, begin: float, end: float) -> Phase:
        requests = [r for r in self._requests if begin <= r.sent_at < end]
        answers = [seen for seen in self._answers if begin <= seen.at < end]
        return Phase(
            sent=len(requests),
            failed=sum(not r.ok for r in requests),
            served=dict(Counter(r.region for r in requests if r.ok and r.region)),
            answers=dict(Counter(seen.region for seen in answers if seen.region)),
        )

    def _resolution(self, times: Sequence[float], at: float) -> float:
        """Time since the probe before, which a busy machine may have sent late."""
        return max(self._interval, at - max((t for t in times if t < at), default=at))

    def _served(
        self, since: float | None, request: Request | None, error: float = 0.0
    ) -> Duration | None:
        if since is None or request is None:
            return None
        sent = [r.sent_at for r in self._requests if r.kind == request.kind]
        latency = min(request.latency_seconds, request.answered_at - max(since, request.sent_at))
        waited = max(0.0, request.answered_at - latency - since)
        return Duration(waited, latency, error + self._resolution(sent, request.sent_at))


def _until(since: float | None, at: float | None, error: float) -> Duration | None:
    if since is None or at is None:
        return None
    return Duration(max(0.0, at - since), 0.0, error)


def _longest(durations: Sequence[Duration | None]) -> Duration | None:
    """The longest of them; None if one did not happen, or there is none."""
    found = [each for each in durations if each is not None]
    if not found or len(found) < len(durations):
        return None
    return max(found, key=lambda each: each.waited_seconds + each.latency_seconds)


def _not_exercised(moving: Sequence[_Measuring], *, watched: bool) -> Iterable[str]:
    """Names of the durations that nobody could show."""
    for name in DURATIONS:
        if name == "served_again":
            # Measured if no Region was left; else there is nothing to measure.
            continue
        # Where health checks cannot be seen, the DNS change shows the detection.
        shown_by = "dns_change" if name == "detection" else name
        is_seen = watched and name == "detection"
        if not is_seen and not any(one.has(shown_by) for one in moving):
            yield name


def first_of_successes(
    requests: Sequence[Request],
    regions: Sequence[str],
    *,
    consecutive: int = CONSECUTIVE_SUCCESSES,
) -> Request | None:
    """Find where some Regions began to serve, and no other one.

    Args:
        requests: In the order they were sent.
        regions: The Regions.
        consecutive: Successes in a row that it takes.

    Returns:
        The first of them; None if there are not so many.
    """
    run: list[Request] = []
    for request in requests:
        run = [*run, request] if request.ok and request.region in regions else []
        if len(run) == consecutive:
            return run[0]
    return None


def _between(events: Events, first: MarkName, second: MarkName) -> float:
    """Time between two steps of the drill; 0 if they were not reached."""
    begin, end = events.when(first), events.when(second)
    return 0.0 if begin is None or end is None else end - begin
