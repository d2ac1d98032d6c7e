"""What happens during a drill, as it is seen from outside: a log of events and nothing more."""

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
        sent_at: When it was sent, in seconds since the epoch.
        answered_at: When its answer, or its failure, was complete.
        status: HTTP status; None if no answer came.
        region: Region that served it, as its header says; None if no answer tells.
        address: Address that DNS led to; empty if it led nowhere.
        error: Why there is no answer, in words.
        key: For a write: `observed_at` of the observation.
    """

    kind: Kind
    sent_at: float
    answered_at: float
    status: int | None
    region: str | None
    address: str = ""
    error: str = ""
    key: str = ""

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def what(self) -> str:
        """What became of it, in a few words that the same failures share."""
        return f"status {self.status}" if self.status else self.error.partition(":")[0]


@dataclass(frozen=True)
class DnsSeen:
    """What the zone's name servers answered when they were asked without a cache.

    Attributes:
        at: When, in seconds since the epoch.
        addresses: The addresses; empty where there was none.
        region: Region that the first address belongs to; None if unknown.
        ttl_seconds: Time to live of the answer.
        error: Why there is no address.
    """

    at: float
    addresses: tuple[str, ...]
    region: str | None
    ttl_seconds: int = 0
    error: str = ""


@dataclass(frozen=True)
class HealthSeen:
    """A health check that was seen in a state.

    Attributes:
        at: Since when, in seconds since the epoch.
        check: What it stands for, like `us-east-1 record`.
        healthy: The state.
        reason: Why, in one line.
    """

    at: float
    check: str
    healthy: bool
    reason: str = ""


MarkName = Literal["started", "injecting", "injected", "restoring", "restored", "ended"]


@dataclass(frozen=True)
class Mark:
    """A step of the drill itself.

    Attributes:
        at: When, in seconds since the epoch.
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


@dataclass
class Log:
    """Takes events from several threads.

    Attributes:
        clock: Gives seconds since the epoch.
    """

    clock: Callable[[], float] = time.time
    _events: list[Request | DnsSeen | HealthSeen | Mark] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, event: Request | DnsSeen | HealthSeen | Mark) -> None:
        """Adds an event."""
        with self._lock:
            self._events.append(event)

    def mark(self, name: MarkName) -> float:
        """Adds a step of the drill, now; its time."""
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
