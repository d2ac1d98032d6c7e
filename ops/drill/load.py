"""The load of a drill: which requests customers make, when, and how they try again: pure.

The model is open: a request begins when it is due, whatever became of those before. Its latency is
counted from then on, so that a Region, or a machine, that stalls hides nothing (no coordinated
omission). The rate is one of this machine's clock at every speed, as limits of AWS are.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from ops.drill.events import Kind, Request
from ops.drill.probe_location import key_of, value_of

Profile = Literal["steady", "burst"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
Fate = Literal[
    "ok", "throttled", "server_error", "time_out", "unreachable", "rejected", "wrong", "local"
]
FATES: dict[Fate, str] = {
    "ok": "successful",
    "throttled": "throttled (429)",
    "server_error": "5xx",
    "time_out": "time-outs",
    "unreachable": "without a connection",
    "rejected": "other statuses",
    "wrong": "with a wrong response",
    "local": "failed on this machine",
}
"""What becomes of an attempt, and how a report says so."""
RETRIED = ("throttled", "server_error", "time_out", "unreachable")
MOST_PER_SECOND = 500.0
"""A guard against a slip. How many a machine keeps on schedule, benchmarks/load.py measures."""
MAX_FAILED_SHARE = 0.01
WRITE_EVERY = 10
FIRST_WRITE = 1_100_000
"""Number of the first write, between those of publishers: they delete their own."""
STEADY_SECONDS = 8.0
"""Load before the fault, at least, on this machine's clock: processes start, connections open."""
BASELINE_SECONDS = 3.0
"""The last part of it, in which requests must succeed, or nothing is injected."""
HOLD_SECONDS = 5.0
"""Load without a request to a lost Region, before the fault is cleared: what is judged."""
RETRY_ATTEMPTS = 10
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 20.0
"""Back-off of AWS's SDKs, on AWS.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""
DOLLARS_A_MILLION = 6.0
"""With functions, table and logs, as docs/how-to/cost.md adds up."""


@dataclass(frozen=True)
class Load:
    """The load of a drill.

    Attributes:
        per_second: Requests that are due in a second of this machine's clock.
        profile: `steady`: what fails, has failed. `burst`: customers try again with back-off until
            they are served, `RETRY_ATTEMPTS` at most, so that those whom an outage kept waiting
            come to the next Region at once.
        max_failed_share: Share of the attempts that may fail after the cut-over.
    """

    per_second: float
    profile: Profile = "steady"
    max_failed_share: float = MAX_FAILED_SHARE

    def __str__(self) -> str:
        retries = f", each tried up to {self.attempts} times" if self.attempts > 1 else ""
        return f"{self.per_second:g} requests a second ({self.profile}{retries})"

    @property
    def attempts(self) -> int:
        """How often a request is tried at most."""
        return RETRY_ATTEMPTS if self.profile == "burst" else 1

    @property
    def reads_per_second(self) -> float:
        """Reads that are due in a second: they count against the customer's limits."""
        return self.per_second * (1 - 1 / WRITE_EVERY)

    def due(self, number: int) -> float:
        """When a request is due, in seconds since the first one.

        Args:
            number: From 0 on.
        """
        return number / self.per_second

    def wait_seconds(
        self, retry: int, speed: float, share: Callable[[], float] = random.random
    ) -> float:
        """How long a customer waits before a retry: exponential back-off with full jitter.

        What customers wait for, health checks and DNS, is faster at a higher speed, and so are
        they: as many attempts reach a Region in a second as on AWS.

        Args:
            retry: 1 for the first one.
            speed: How much faster than on AWS the environment runs.
            share: Gives a random number from 0 to 1.
        """
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (retry - 1))
        return longest * share() / speed

    def most_reads(self, seconds: float) -> int:
        """How many reads are sent at most.

        Args:
            seconds: How long the load lasts at most.
        """
        return math.ceil(self.reads_per_second * seconds) * self.attempts

    def most_writes(self, seconds: float) -> int:
        """How many observations are written at most.

        Args:
            seconds: How long the load lasts at most.
        """
        return math.ceil(self.per_second * seconds / WRITE_EVERY)


def kind_of(number: int) -> Kind:
    """Whether a request is a read or a write: of every ten, one writes.

    Its place moves on, so that customers of every place, who take turns, write.

    Args:
        number: Number of the request.
    """
    return "write" if number % WRITE_EVERY == number // WRITE_EVERY % WRITE_EVERY else "read"


def request_of(number: int, at: float, near: str = "") -> Request:
    """The request with a number, as the ledger of writes takes it.

    Args:
        number: Number of the request.
        at: When it is due, by the clock of the drill.
        near: The Region that its customer is next to.
    """
    if kind_of(number) == "read":
        return Request("read", at, at, near=near)
    write = FIRST_WRITE + number // WRITE_EVERY
    return Request("write", at, at, key=key_of(write), value=value_of(write), near=near)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request.

    Attributes:
        kind: `read` or `write`.
        sent_at: When it was due: that of a retry when its back-off had ended.
        ended_at: When its response, or its failure, was complete.
        fate: What became of it.
        region: Region that served it, or to which its address belongs; empty if unknown.
    """

    kind: Kind
    sent_at: float
    ended_at: float
    fate: Fate
    region: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a customer, with all its attempts.

    Attributes:
        due_at: When it was due.
        begun_at: When it began.
        ended_at: When the customer had a response, or gave up.
        fate: What became of its last attempt.
        attempts: How many there were.
        is_finished: Whether it ended before the drill did.
    """

    due_at: float
    begun_at: float
    ended_at: float
    fate: Fate
    attempts: int = 1
    is_finished: bool = True


@dataclass(frozen=True)
class Traffic:
    """All that a load was.

    Attributes:
        calls: Requests of customers, in the order in which they ended.
        attempts: Their attempts, likewise.
        writes: Their writes, as the ledger takes them.
        skipped: Requests that were due and not sent, as too many were under way.
        stopped: Why the load was stopped before its time; empty if it was not.
        is_overload: Whether it was ended before its time as this machine did not follow.
    """

    calls: tuple[Call, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    writes: tuple[Request, ...] = ()
    skipped: int = 0
    stopped: str = ""
    is_overload: bool = False
