"""What became of the customers' requests in the last minute, as figures."""

import statistics
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

WINDOW_SECONDS = 60
RATE_SECONDS = 5
"""Over how long rates and latency are taken: short enough to see a change at once."""
FRESH_SECONDS = 5.0
"""How old the newest request may be to tell who serves."""


@dataclass(frozen=True)
class Request:
    """What became of one request.

    Attributes:
        sent_at: Seconds since the epoch.
        answered_at: When it was answered or given up.
        ok: Whether it succeeded.
        region: Region that answered, or else the one that was called; None without one.
        error: What went wrong, in words; empty if nothing did.
    """

    sent_at: float
    answered_at: float
    ok: bool
    region: str | None
    error: str = ""


@dataclass(frozen=True)
class Interruption:
    """A time in which customers got no answer.

    Attributes:
        began_at: When the first request that failed was sent.
        failed: Requests that failed.
        ended_at: When the first one was answered again; None while it goes on.
    """

    began_at: float
    failed: int = 1
    ended_at: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return None if self.ended_at is None else self.ended_at - self.began_at


@dataclass(frozen=True)
class Rates:
    """What customers see of one Region, or of all, now.

    Attributes:
        answers_per_second: Requests that succeeded.
        errors_per_second: Requests that failed.
        latency_ms: Median of those that succeeded; None without any.
    """

    answers_per_second: float = 0.0
    errors_per_second: float = 0.0
    latency_ms: float | None = None


@dataclass(frozen=True)
class Figures:
    """What the last minute of requests says.

    Attributes:
        serving: Region that answered the newest request; None if that failed or is too old.
        error: Why the newest request failed; empty if it did not.
        rates: `{region: rates}`.
        total: The same of all requests.
        ends_at: The second at which the series end, which is not part of them.
        answers: `{region: requests that succeeded in each second}`, oldest first.
        errors: Requests that failed in each second.
        interruption: The last time without answers; None if there was none.
    """

    serving: str | None
    error: str
    rates: dict[str, Rates]
    total: Rates
    ends_at: int
    answers: dict[str, list[int]]
    errors: list[int]
    interruption: Interruption | None


class Traffic:
    """The requests of the last minute."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._interruption: Interruption | None = None
        self._lock = threading.Lock()

    def add(self, request: Request) -> None:
        """Takes in what became of a request.

        Args:
            request: The request; those that took long come after later ones.
        """
        with self._lock:
            self._requests.append(request)
            self._interruption = _interruption(self._interruption, request, self._requests)

    def figures(self, regions: Iterable[str], now: float) -> Figures:
        """What they say.

        Args:
            regions: The Regions to tell of.
            now: Seconds since the epoch.
        """
        ends_at = int(now)
        with self._lock:
            while self._requests and self._requests[0].answered_at < ends_at - WINDOW_SECONDS:
                self._requests.popleft()
            requests, interruption = list(self._requests), self._interruption
        newest = max(requests, key=lambda r: r.sent_at, default=None)
        if newest and newest.answered_at < now - FRESH_SECONDS:
            newest = None
        recent = [r for r in requests if r.answered_at > now - RATE_SECONDS]
        names = list(regions)
        return Figures(
            serving=newest.region if newest and newest.ok else None,
            error=newest.error if newest else "",
            rates={name: _rates(r for r in recent if r.region == name) for name in names},
            total=_rates(recent),
            ends_at=ends_at,
            answers={
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
            return replace(last, ended_at=request.answered_at)
        return last
    # One that was sent before the end belongs to it, however late it is given up.
    if last and (last.ended_at is None or request.sent_at < last.ended_at):
        return replace(last, began_at=min(last.began_at, request.sent_at), failed=last.failed + 1)
    # Where requests hang, the first answer comes sooner than the first failure.
    later = [each for each in requests if each.ok and each.sent_at > request.sent_at]
    end = min(later, key=lambda each: each.sent_at, default=None)
    return Interruption(request.sent_at, ended_at=end.answered_at if end else None)


def _rates(requests: Iterable[Request]) -> Rates:
    seen = list(requests)
    answered = [r.answered_at - r.sent_at for r in seen if r.ok]
    return Rates(
        answers_per_second=len(answered) / RATE_SECONDS,
        errors_per_second=(len(seen) - len(answered)) / RATE_SECONDS,
        latency_ms=statistics.median(answered) * 1000 if answered else None,
    )


def _series(requests: Iterable[Request], ends_at: int) -> list[int]:
    counts = [0] * WINDOW_SECONDS
    for request in requests:
        second = int(request.answered_at) - ends_at + WINDOW_SECONDS
        if 0 <= second < WINDOW_SECONDS:
            counts[second] += 1
    return counts
