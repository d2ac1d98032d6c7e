"""Polls the sandbox while a page is open, and publishes its state to every open page."""

import json
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops import fence
from ops.descriptor import read
from ops.environment import Environment
from ops.errors import OpsError
from ops.fault_injection import Fault, FaultInjection
from sandbox.page.customer import Customer, RequestLimit, send, wake
from sandbox.page.log import Entry, changes
from sandbox.page.state import State, down, state
from sandbox.page.traffic import Traffic

INTERVAL_SECONDS = 0.5
TIMEOUT_SECONDS = 2.0
LOG_ENTRIES = 60


class Subscribers:
    """The open pages, and the newest state for each of them.

    Attributes:
        present: Set while there are any.
    """

    def __init__(self) -> None:
        self.present = threading.Event()
        self._count = 0
        self._state = ""
        self._number = 0
        self._changed = threading.Condition()

    def publish(self, state: str) -> None:
        """Send a state to all of them.

        Args:
            state: The state.
        """
        with self._changed:
            self._state = state
            self._number += 1
            self._changed.notify_all()

    def subscribe(self) -> Generator[str, None, None]:
        """Give every state from now on; a slow subscriber misses some.

        Close it to unsubscribe.
        """
        with self._changed:
            seen = self._number
            self._count += 1
            self.present.set()
        try:
            while True:
                with self._changed:
                    while self._number == seen:
                        self._changed.wait()
                    seen, state = self._number, self._state
                yield state
        finally:
            with self._changed:
                self._count -= 1
                if not self._count:
                    self.present.clear()


class Watch:
    """Polls the sandbox and sends it requests as a customer, while a page is open.

    Args:
        descriptor: File of the sandbox's environment descriptor; it is read again when it changes.
    """

    def __init__(self, descriptor: Path) -> None:
        self._descriptor = descriptor
        self._environment: Environment | None = None
        self._awake: Environment | None = None
        self._version: tuple[int, int] | None = None
        self._limit = RequestLimit()
        self._traffic = Traffic()
        self._injected: dict[str, str] = {}
        self._log: deque[Entry] = deque(maxlen=LOG_ENTRIES)
        self._seen: State | None = None
        self._subscribers = Subscribers()
        self._opening = threading.Lock()
        self._soon = threading.Event()

    def start(self) -> None:
        """Start, without waiting for the sandbox."""
        customer = Customer(self._send, self._subscribers.present)
        for run in (customer.run, self._run):
            threading.Thread(target=run, daemon=True).start()

    def states(self) -> Generator[str, None, None]:
        """Give every state from now on, as JSON; close it to unsubscribe."""
        return self._subscribers.subscribe()

    def regions(self) -> tuple[str, ...]:
        """Give the Regions that can fail.

        Raises:
            OpsError: The sandbox does not run.
        """
        return tuple(self._open().outputs.regions)

    def inject(self, region: str, kind: str) -> None:
        """Inject a fault.

        Args:
            region: The Region.
            kind: One of `sandbox.page.server.KINDS`.

        Raises:
            OpsError: It cannot be injected, or the sandbox does not run.
        """
        self._injected[_faults(self._open()).inject(Fault(region, kind))] = region
        self._soon.set()

    def clear(self, region: str | None = None) -> None:
        """Clear the faults that were injected here, and no other ones.

        Args:
            region: The Region; None clears them in every one.

        Raises:
            OpsError: One cannot be cleared, or the sandbox does not run.
        """
        for id, injected in list(self._injected.items()):
            if region in (None, injected):
                # Whether it is still injected or was cleared by another program.
                _faults(self._open()).clear(id)
                self._injected.pop(id, None)
                self._soon.set()

    def look(self, now: float) -> State:
        """Read the state once.

        Args:
            now: Seconds since the epoch.
        """
        try:
            environment = self._open()
            report, problem = _status(environment)
            return state(
                environment,
                now=now,
                dns=environment.network.resolve(environment.outputs.record_name),
                report=report,
                faults=_faults(environment).faults(),
                own=list(self._injected),
                figures=self._traffic.figures(environment.outputs.regions, now),
                # Read only where there is a fence: no other page pays for it.
                fences=fence.read_all(environment) if environment.outputs.fencing else {},
                problem=problem,
            )
        except OpsError as error:
            with self._opening:
                # Its functions are called once it is back; until then no customer sends requests.
                self._environment = self._awake = None
            return down(now, f"{error.args[0]}. Next: {error.next_step}")

    def _run(self) -> None:
        while True:
            self._subscribers.present.wait()
            try:
                seen = self.look(time.time())
            except Exception as error:  # a page must never show an old state
                seen = down(time.time(), f"{type(error).__name__}: {error}")
            self._log.extend(changes(self._seen, seen))
            self._seen = seen
            log = [asdict(entry) for entry in self._log]
            self._subscribers.publish(json.dumps({**asdict(seen), "log": log}))
            self._soon.wait(INTERVAL_SECONDS)
            self._soon.clear()

    def _open(self) -> Environment:
        """Give the environment that runs now: `up` may have started it again on other ports."""
        try:
            found = self._descriptor.stat()
        except OSError as error:
            raise OpsError(
                f"no sandbox runs: there is no {self._descriptor}",
                next_step="start it: python -m sandbox up",
            ) from error
        version = (found.st_mtime_ns, found.st_ino)
        with self._opening:
            if self._environment is None or version != self._version:
                self._awake = None
                self._environment, self._version = Environment(read(self._descriptor)), version
                threading.Thread(target=self._wake, args=(self._environment,), daemon=True).start()
            return self._environment

    def _wake(self, environment: Environment) -> None:
        wake(environment)
        with self._opening:
            if self._environment is environment:
                self._awake = environment

    def _send(self) -> None:
        environment = self._awake
        if environment and (request := send(environment, self._limit)):
            self._traffic.add(request)


def _faults(environment: Environment) -> FaultInjection:
    if sandbox := environment.descriptor.sandbox:
        return FaultInjection(sandbox.fault_injection_url, timeout_seconds=TIMEOUT_SECONDS)
    raise OpsError(
        f"the environment {environment.name} is not a sandbox",
        next_step="show one of a sandbox: python -m sandbox up --open",
    )


def _status(environment: Environment) -> tuple[dict[str, Any], str]:
    """Read the report of the local Route 53; empty with the reason if there is none."""
    try:
        return environment.sandbox_status(), ""
    except OpsError as error:
        return {}, str(error.args[0])
