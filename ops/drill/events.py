"""What happens during a drill, as it is seen from outside: a log of events and nothing more.

All times are seconds since the log began, by a clock that nobody can step.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["read", "write"]


@dataclass(frozen=True)
class Request:
    """One request of a customer, and what became of it.

    Attributes:
        kind: `read` or `write`.
        sent_at: When the customer wanted it, whatever kept it from being sent.
        answered_at: When its response, or its failure, was complete.
        status: HTTP status; None without a response.
        region: Region that served it, as its header says; None if no response names it.
        address: Address that DNS resolved to; empty if it did not.
        error: Why there is no response, or why it is not the right one.
        key: For a write: `observed_at` of the observation.
        value: For a write: what the observation says.
        latency_seconds: How long the Region took for it: part of the time until `answered_at`.
        near: The Region that the customer is next to; empty if that does not matter.
    """

    kind: Kind
    sent_at: float
    answered_at: float
    status: int | None = None
    region: str | None = None
    address: str = ""
    error: str = ""
    key: str = ""
    value: float | None = None
    latency_seconds: float = 0.0
    near: str = ""

    @property
    def ok(self) -> bool:
        """Whether it succeeded, with the right response."""
        return self.status is not None and 200 <= self.status < 300 and not self.error

    @property
    def is_unknown(self) -> bool:
        """Whether it failed, and may have done what it asked for all the same."""
        return not self.ok and (self.status is None or not 400 <= self.status < 500)

    @property
    def what(self) -> str:
        """What became of it, in a few words that the same failures share."""
        reason = self.error.partition(":")[0]
        return ", ".join(filter(None, (f"status {self.status}" if self.status else "", reason)))


@dataclass(frozen=True)
class DnsSeen:
    """What DNS answered: the zone's name servers, without a cache, if they can be asked.

    Attributes:
        at: When they were asked.
        addresses: The addresses; empty where there was none.
        region: Region that the first address belongs to; None if unknown.
        ttl_seconds: Time to live of the answer.
        error: Why there is no address.
        source: Who answered, if not a name server of the zone: a resolver, which may cache.
        near: The Region next to which they were asked; empty if that does not matter.
        is_known: Whether somebody who knows has answered: if not, nothing follows from it.
    """

    at: float
    addresses: tuple[str, ...]
    region: str | None
    ttl_seconds: int = 0
    error: str = ""
    source: str = ""
    near: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class HealthSeen:
    """A health check that was seen in a state.

    Attributes:
        at: Since when.
        check: Its name, like `us-east-1 record`.
        healthy: The state.
        reason: Why, in one line.
    """

    at: float
    check: str
    healthy: bool
    reason: str = ""


MarkName = Literal[
    "started", "injecting", "injected", "restoring", "restored", "ended", "reconciled", "fenced"
]


@dataclass(frozen=True)
class Mark:
    """A step of the drill itself.

    Attributes:
        at: When.
        name: Which one.
    """

    at: float
    name: MarkName


@dataclass(frozen=True)
class Events:
    """All that was seen, each kind in order of time."""

    requests: tuple[Request, ...] = ()
    dns: tuple[DnsSeen, ...] = ()
    health: tuple[HealthSeen, ...] = ()
    marks: tuple[Mark, ...] = ()

    def when(self, name: MarkName) -> float | None:
        """The time of a step, None if it was not reached."""
        return next((mark.at for mark in self.marks if mark.name == name), None)


def stopwatch() -> Callable[[], float]:
    """A clock that gives the seconds since now; a step of the machine's clock does not move it."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun


@dataclass
class Log:
    """Takes events from several threads.

    Attributes:
        clock: Gives seconds since it began.
    """

    clock: Callable[[], float] = field(default_factory=stopwatch)
    _events: list[Request | DnsSeen | HealthSeen | Mark] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, event: Request | DnsSeen | HealthSeen | Mark) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(event)

    def mark(self, name: MarkName) -> float:
        """Add a step of the drill, now; its time."""
        at = self.clock()
        self.add(Mark(at, name))
        return at

    def events(self) -> Events:
        """What was seen until now."""
        with self._lock:
            seen = list(self._events)
        return Events(
            tuple(sorted((e for e in seen if isinstance(e, Request)), key=lambda e: e.sent_at)),
            tuple(sorted((e for e in seen if isinstance(e, DnsSeen)), key=lambda e: e.at)),
            tuple(sorted((e for e in seen if isinstance(e, HealthSeen)), key=lambda e: e.at)),
            tuple(sorted((e for e in seen if isinstance(e, Mark)), key=lambda e: e.at)),
        )
