"""One lock per environment, which every machine sees: an item in the secondary Region's replica.

Whoever changes an environment holds it. It is a lease: a thread renews it, and a holder that no
longer does has ended. Nobody's clock decides that, only a whole lease during which somebody else
has seen no renewal.

The item outlives its holder while it carries a note: what a drill has changed and not restored.
"""

import getpass
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from ops.environment import Environment
from ops.errors import OpsError
from ops.lock_item import (
    OF_THE_HOLDER,
    LockState,
    delete,
    explained,
    interrupt_drill,
    read,
    update,
)

__all__ = [
    "LEASE",
    "Lease",
    "Lock",
    "LockState",
    "LockedError",
    "hold",
    "interrupt_drill",
    "new_run",
    "read",
]
Kind = Literal["drill", "restore", "switch", "customers", "deploy", "records", "reconcile"]


@dataclass(frozen=True)
class Lease:
    """How long a lock is valid without a renewal.

    Attributes:
        seconds: So long; also how long a lock is watched before it counts as abandoned.
        renewal_seconds: Time between two renewals.
        poll_seconds: Time between two looks at somebody else's lock.
        clock: Gives seconds that no change of the time of day affects.
        sleep: Waits for so many seconds.
    """

    seconds: float = 30.0
    renewal_seconds: float = 5.0
    poll_seconds: float = 0.5
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


LEASE = Lease()


class LockedError(OpsError):
    """Somebody else holds the lock, or has taken it."""


def new_run(kind: str) -> str:
    """Choose the id of a run: everything that the run changes carries it.

    Args:
        kind: What the run does.
    """
    return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


@dataclass
class Lock:
    """The lock of an environment in the hands of one run.

    Attributes:
        environment: The environment.
        kind: What the run does.
        run: Its id.
        lease: How long the lock is valid.
        note: What was changed and is not restored yet, by this run or by an earlier one.
    """

    environment: Environment
    kind: Kind
    run: str
    lease: Lease = LEASE
    note: str = ""
    _since: str = field(default_factory=lambda: _now())
    _renewed_at: float = 0.0
    _lost: str = ""

    @property
    def lost(self) -> str:
        """Why the run must end early, as the last renewal has shown; empty if it may continue."""
        if self._lost:
            return self._lost
        silence = self.lease.clock() - self._renewed_at
        return f"the lock could not be renewed for {silence:.0f} s" * (silence > self.lease.seconds)

    def check(self) -> None:
        """Make sure, by asking, that nobody has taken or interrupted it.

        Raises:
            OpsError: Somebody has, or the secondary Region does not respond.
        """
        self.renew()
        if self.lost:
            raise LockedError(
                self.lost,
                next_step="see who works on this environment: python -m ops verify "
                f"{self.environment.selector}",
            )

    def renew(self) -> None:
        """Renew the lease.

        Raises:
            OpsError: The secondary Region does not respond.
        """
        begun = self.lease.clock()
        with explained(self.environment, "renewed"):
            state = update(self.environment, self._lease(), condition="#run = :held", held=self.run)
        if state is None:
            self._lost = f"somebody else has taken the lock of {self.environment.name}"
            return
        self._renewed_at = begun
        if state.interrupted_by:
            self._lost = f"interrupted by {state.interrupted_by}"

    def annotate(self, note: str) -> None:
        """Note what is changed and not restored: it stays in the table when this run ends.

        Args:
            note: The note; empty if everything is restored.

        Raises:
            OpsError: It cannot be noted; somebody else may have taken the lock.
        """
        with explained(self.environment, "changed"):
            state = update(
                self.environment, {"note": note}, condition="#run = :held", held=self.run
            )
        if state is None:
            raise LockedError(
                f"somebody else has taken the lock of {self.environment.name}",
                next_step=f"python -m ops verify {self.environment.selector}",
            )
        self.note = note

    def acquire(
        self, *, replaces: str = "", notify: Callable[[str], None] = lambda _: None
    ) -> None:
        """Take it.

        Args:
            replaces: A run that is known to have ended.
            notify: Called with a line before somebody else's lock is watched.

        Raises:
            OpsError: Somebody holds it, or the secondary Region does not respond.
        """
        watched, watched_since = LockState(), self.lease.clock()
        while True:
            # Its own run counts as free: the response was lost, and boto3 tried again.
            if self._take("attribute_not_exists(#run) OR #run IN (:own, :replaced)", replaces):
                return
            found = read(self.environment)
            if not found.run:
                continue
            if not watched.run:
                watched, watched_since = found, self.lease.clock()
                notify(f"Waiting up to {self.lease.seconds:.0f} s for the lock of {found}")
            elif (found.run, found.renewal) != (watched.run, watched.renewal):
                raise _locked(self.environment, found)
            elif self.lease.clock() - watched_since >= self.lease.seconds:
                if self._take("#run = :watched AND #renewal = :seen", replaces, watched):
                    return
                raise _locked(self.environment, read(self.environment))
            self.lease.sleep(self.lease.poll_seconds)

    def release(self) -> None:
        """Give it back; an item with a note stays, without a holder."""
        # A lock that cannot be given back ends with its lease.
        with suppress(Exception):
            if self.note:
                gone = dict.fromkeys(OF_THE_HOLDER, "")
                update(self.environment, gone, condition="#run = :held", held=self.run)
            else:
                delete(self.environment, condition="#run = :held", held=self.run)

    def _take(self, condition: str, replaces: str, watched: LockState | None = None) -> bool:
        begun = self.lease.clock()
        values = {"own": self.run, "replaced": replaces or self.run}
        if watched:
            values = {"watched": watched.run, "seen": watched.renewal}
        mine = {
            "run": self.run,
            "kind": self.kind,
            "host": socket.gethostname(),
            "user": user(),
            "environment": self.environment.name,
            "since": self._since,
            "interrupted_by": "",
        }
        with explained(self.environment, "taken"):
            state = update(self.environment, mine | self._lease(), condition=condition, **values)
        if state is None:
            return False
        self._renewed_at, self.note = begun, state.note
        return True

    def _lease(self) -> dict[str, str]:
        expiry = datetime.now(UTC) + timedelta(seconds=self.lease.seconds)
        return {
            "expires_at": expiry.isoformat(timespec="seconds"),
            "renewal": secrets.token_hex(8),
        }


@contextmanager
def hold(
    environment: Environment,
    *,
    kind: Kind,
    run: str = "",
    replaces: str = "",
    lease: Lease = LEASE,
    notify: Callable[[str], None] = lambda _: None,
) -> Iterator[Lock]:
    """Hold the lock of an environment for as long as the block runs.

    A lock that nobody renews is taken over, after a whole lease.

    Args:
        environment: The environment.
        kind: What the run does.
        run: Its id; one is chosen by default.
        replaces: A run that is known to have ended, whose lock is taken over at once.
        lease: How long the lock is valid.
        notify: Called with a line before somebody else's lock is watched.

    Yields:
        The lock.

    Raises:
        OpsError: Somebody holds it, or the secondary Region does not respond.
    """
    lock = Lock(environment, kind, run or new_run(kind), lease)
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(lease.renewal_seconds):
            # One that fails is followed by the next; `lost` knows how long none has succeeded.
            with suppress(Exception):
                lock.renew()

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    lock.acquire(replaces=replaces, notify=notify)
    try:
        thread.start()
        yield lock
    finally:
        ended.set()
        lock.release()


def _locked(environment: Environment, found: LockState) -> LockedError:
    return LockedError(
        f"the environment {environment.name} is being changed: {found}",
        next_step="wait for it, or ask whoever runs it to end it with Ctrl-C; if its machine is "
        f"gone, run this again: a lock that nobody renews is free after {LEASE.seconds:.0f} s",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def user() -> str:
    """Name of the user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
