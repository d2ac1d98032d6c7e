"""Figures of the customers' requests in the last minute."""

import statistics
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

WINDOW_SECONDS = 60
RATE_SECONDS = 5
"""Over how long rates and latency are taken: short enough to see a change at once."""
FRESH_SECONDS = 5.0
"""How old the newest request may be to decide which Region serves."""


@dataclass(frozen=True)
class Request:
    """The result of one request.

    Attributes:
        sent_at: Seconds since the epoch.
        ended_at: When there was a response, or none in time.
        ok: Whether it succeeded.
        region: Region that responded, or else the one that was called; None without one.
        error: Why it failed; empty if it did not.
    """

    sent_at: float
    ended_at: float
    ok: bool
    region: str | None
    error: str = ""


@dataclass(frozen=True)
class Interruption:
    """A period in which requests failed.

    Attributes:
        began_at: When the first request that failed was sent.
        failed: Requests that failed.
        ended_at: When the first one succeeded again; None while it continues.
    """

    began_at: float
    failed: int = 1
    ended_at: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it continues."""
        return None if self.ended_at is None else self.ended_at - self.began_at


@dataclass(frozen=True)
class Rates:
    """The rates of one Region, or of all, as customers see them.

    Attributes:
        responses_per_second: Requests that succeeded.
        errors_per_second: Requests that failed.
        latency_ms: Median of those that succeeded; None without any.
    """

    responses_per_second: float = 0.0
    errors_per_second: float = 0.0
    latency_ms: float | None = None


@dataclass(frozen=True)
class Figures:
    """The figures of the last minute.

    Attributes:
        serving: Region that served the newest request; None if that failed or is too old.
        error: Why the newest request failed; empty if it did not.
        rates: `{region: rates}`.
        total: The same of all requests.
        ends_at: The second at which the series end, which is not part of them.
        responses: `{region: requests that succeeded in each second}`, oldest first.
        errors: Requests that failed in each second.
        interruption: The last interruption; None if there was none.
    """

    serving: str | None
    error: str
    rates: dict[str, Rates]
    total: Rates
    ends_at: int
    responses: dict[str, list[int]]
    errors: list[int]
    interruption: Interruption | None


class Traffic:
    """The requests of the last minute."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._interruption: Interruption | None = None
        self._lock = threading.Lock()

    def add(self, request: Request) -> None:
        """Record a request.

        Args:
            request: The request; slow ones are recorded after later ones.
        """
        with self._lock:
            self._requests.append(request)
            self._interruption = _interruption(self._interruption, request, self._requests)

    def figures(self, regions: Iterable[str], now: float) -> Figures:
        """Compute the figures.

        Args:
            regions: The Regions.
            now: Seconds since the epoch.
        """
        ends_at = int(now)
        with self._lock:
            while self._requests and self._requests[0].ended_at < ends_at - WINDOW_SECONDS:
                self._requests.popleft()
            requests, interruption = list(self._requests), self._interruption
        newest = max(requests, key=lambda r: r.sent_at, default=None)
        if newest and newest.ended_at < now - FRESH_SECONDS:
            newest = None
        recent = [r for r in requests if r.ended_at > now - RATE_SECONDS]
        names = list(regions)
        return Figures(
            serving=newest.region if newest and newest.ok else None,
            error=newest.error if newest else "",
            rates={name: _rates(r for r in recent if r.region == name) for name in names},
            total=_rates(recent),
            ends_at=ends_at,
            responses={
                name: _series((r for r in requests if r.ok and r.region == name), ends_at)
                for name in names
            },
            errors=_series((r for r in requests if not r.ok), ends_at),
            interruption=interruption,
        )


def _interruption(
    last: Interruption | None, request: Request, requests: Iterable[Request]
) -> Interruption | None:
    if request.ok:
        if last and last.ended_at is None and request.sent_at > last.began_at:
            return replace(last, ended_at=request.ended_at)
        return last
    # One that was sent before the end belongs to it, however late it fails.
    if last and (last.ended_at is None or request.sent_at < last.ended_at):
        return replace(last, began_at=min(last.began_at, request.sent_at), failed=last.failed + 1)
    # Where requests hang, the first success comes sooner than the first failure.
    later = [each for each in requests if each.ok and each.sent_at > request.sent_at]
    end = min(later, key=lambda each: each.sent_at, default=None)
    return Interruption(request.sent_at, ended_at=end.ended_at if end else None)


def _rates(requests: Iterable[Request]) -> Rates:
    seen = list(requests)
    latencies = [r.ended_at - r.sent_at for r in seen if r.ok]
    return Rates(
        responses_per_second=len(latencies) / RATE_SECONDS,
        errors_per_second=(len(seen) - len(latencies)) / RATE_SECONDS,
        latency_ms=statistics.median(latencies) * 1000 if latencies else None,
    )


def _series(requests: Iterable[Request], ends_at: int) -> list[int]:
    counts = [0] * WINDOW_SECONDS
    for request in requests:
        second = int(request.ended_at) - ends_at + WINDOW_SECONDS
        if 0 <= second < WINDOW_SECONDS:
            counts[second] += 1
    return counts
