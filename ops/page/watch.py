"""Looks at the stand again and again, and hands what it sees to whoever looks at the page."""

import json
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import urllib3

from ops import local
from ops.edge.control import EdgeControl
from ops.errors import OpsError
from ops.local import LocalApi
from ops.page.audience import Audience
from ops.page.breaking import Breaker
from ops.page.customer import Customer, Places, send, wake
from ops.page.log import Entry, changes
from ops.page.state import State, gone, state
from ops.page.traffic import Traffic
from ops.processes import Program
from ops.stand import Ports, Workspace

INTERVAL_SECONDS = 0.5
PATIENCE_SECONDS = 2.0
LOG_ENTRIES = 60
SERVED_BY = ("aws", "edge", "route53")


class Watch:
    """The stand as the page shows it: watched, and sent requests, while anybody looks.

    Args:
        workspace: Where the local API is kept.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._api: LocalApi | None = None
        self._awake: LocalApi | None = None
        self._made_of: tuple[Ports, list[Program | None]] | None = None
        self._places = Places()
        self._traffic = Traffic()
        self._breaker = Breaker()
        self._log: deque[Entry] = deque(maxlen=LOG_ENTRIES)
        self._seen: State | None = None
        self._audience = Audience()
        self._opening = threading.Lock()
        self._soon = threading.Event()

    def start(self) -> None:
        """Begins, without waiting for the stand."""
        customer = Customer(self._send, self._audience.watching)
        for run in (customer.run, self._run):
            threading.Thread(target=run, daemon=True).start()

    def moments(self) -> Generator[str, None, None]:
        """Every state from now on, as JSON; close it to look no more."""
        return self._audience.listen()

    def regions(self) -> tuple[str, ...]:
        """The Regions that can be broken.

        Raises:
            OpsError: The local API does not run.
        """
        return tuple(self._opened().outputs["regions"])

    def break_region(self, region: str, fault: str) -> None:
        """Breaks a Region.

        Args:
            region: The Region.
            fault: One of `ops.page.breaking.FAULTS`.

        Raises:
            OpsError: It cannot be broken, or the local API does not run.
        """
        self._breaker.break_region(_edge(self._opened()), region, fault)
        self._soon.set()

    def mend(self, region: str | None = None) -> None:
        """Mends what the page has broken.

        Args:
            region: The Region; None mends every one.

        Raises:
            OpsError: It cannot be mended, or the local API does not run.
        """
        if self._breaker.injected:
            self._breaker.mend(_edge(self._opened()), region)
            self._soon.set()

    def look(self, now: float) -> State:
        """Looks once.

        Args:
            now: Seconds since the epoch.
        """
        try:
            api = self._opened()
            health, problem = _health(api)
            return state(
                api,
                now=now,
                dns=api.network.resolve(api.outputs["record_name"]),
                health=health,
                faults=_edge(api).faults(),
                own=list(self._breaker.injected),
                figures=self._traffic.figures(api.outputs["regions"], now),
                problem=problem,
            )
        except OpsError as error:
            return gone(now, f"{error.args[0]}. Next: {error.next_step}")

    def _run(self) -> None:
        while True:
            self._audience.watching.wait()
            try:
                seen = self.look(time.time())
            except Exception as error:  # whoever looks must not look at a picture that stands still
                seen = gone(time.time(), f"{type(error).__name__}: {error}")
            self._log.extend(changes(self._seen, seen))
            self._seen = seen
            log = [asdict(entry) for entry in self._log]
            self._audience.tell(json.dumps({**asdict(seen), "log": log}))
            self._soon.wait(INTERVAL_SECONDS)
            self._soon.clear()

    def _opened(self) -> LocalApi:
        """The API that runs now: `up` may have started it anew, elsewhere."""
        noted = self._workspace.noted()
        programs = [noted.programs.get(name) if noted else None for name in SERVED_BY]
        made_of = (noted.ports, programs) if noted else None
        alive = all(program and program.process() for program in programs)
        with self._opening:
            if self._api is None or made_of != self._made_of or not alive:
                # Until it is found, and awake, customers have nobody to call.
                self._api = self._awake = None
                self._api, self._made_of = local.status(self._workspace), made_of
                threading.Thread(target=self._wake, args=(self._api,), daemon=True).start()
            return self._api

    def _wake(self, api: LocalApi) -> None:
        wake(api)
        with self._opening:
            if self._api is api:
                self._awake = api

    def _send(self) -> None:
        api = self._awake
        if api and (request := send(api, self._places)):
            self._traffic.add(request)


def _edge(api: LocalApi) -> EdgeControl:
    return EdgeControl(api.stand.control_url, timeout_seconds=PATIENCE_SECONDS)


def _health(api: LocalApi) -> tuple[dict[str, dict[str, Any]], str]:
    """`{id of a health check: what is reported of it}`, and why there is nothing."""
    url = f"{api.stand.status_url}/status"
    try:
        report = urllib3.request("GET", url, retries=False, timeout=PATIENCE_SECONDS).json()
        return {check["id"]: check for check in report["health_checks"]}, ""
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        return {}, f"Route 53's health checks do not answer: {error}"
