"""The data plane: configuration, health and endpoints together, answering DNS questions.

It reads the API again and again and applies what changed; when the API fails it keeps what it
last read, because failover must not need a control plane.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/disaster-recovery-resiliency.html
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.route53.answers import Answer, Answerer
from sandbox.route53.api_client import Configuration
from sandbox.route53.checkers import CheckerFleet
from sandbox.route53.endpoints import EndpointsFile
from sandbox.route53.health import Evaluation, Status, alarm_is_healthy
from sandbox.route53.model import HealthCheck
from sandbox.route53.routing import Router, UnsupportedRoutingError
from sandbox.route53.targets import Target, find_target
from sandbox.route53.wire import shortened

EVENTS_KEPT = 1000
REFRESH_SECONDS = 1.0
CLIENT_REGION = "us-east-1"
"""The Region next to clients that no Region's address says to be elsewhere: to this machine."""

log = logging.getLogger("sandbox.route53")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed.

    Attributes:
        at: Seconds since the epoch.
        kind: `health_check`, `answer`, `configuration`, `endpoints`, `api` or `speed`.
        subject: What changed, e.g. a health check id or `name type`.
        before: The state before, empty when there was none.
        after: The state after.
        reason: Why, in one line.
    """

    at: float
    kind: str
    subject: str
    before: str
    after: str
    reason: str = ""


class DataPlane:
    """Everything but the sockets.

    Args:
        read: Reads the configuration from the API; run in a thread.
        endpoints: The endpoints file.
        speed: Divides intervals, limits and TTLs.
        checkers: At most so many of a check's checker Regions ask; None for all.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Configuration],
        endpoints: EndpointsFile,
        speed: float = 1.0,
        checkers: int | None = None,
    ) -> None:
        """Start nothing; `run` does."""
        self._read = read
        self._last_known_alarms: dict[str, bool] = {}
        self.endpoints = endpoints
        self.speed = speed
        self.configuration = Configuration()
        self.fleet = CheckerFleet(
            target_of=self.target_of, changed=self.evaluate, speed=speed, checkers=checkers
        )
        self.statuses: dict[str, Status] = {}
        self.since: dict[str, float] = {}
        self.in_service: dict[tuple[str, str], tuple[str, ...]] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.started_at = time.time()
        self.has_read = False
        self.api_error: str | None = "the API has not been read yet"
        self._answerer = self._answers()

    async def run(self, refresh_seconds: float = REFRESH_SECONDS) -> None:
        """Refresh until cancelled, then stop the checkers.

        Args:
            refresh_seconds: Real time between two readings of API and endpoints file.
        """
        try:
            while True:
                await self.refresh()
                await asyncio.sleep(refresh_seconds)
        finally:
            await self.fleet.stop()

    async def refresh(self) -> None:
        """Read the endpoints file and the API once, and apply what changed."""
        if self.endpoints.refresh():
            self._note("endpoints", str(self.endpoints.path.name), "", "read")
        try:
            read = await asyncio.to_thread(self._read)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if self.api_error != text:
                self._note("api", "Route 53 API", "", "failed", text)
            self.api_error = text
            return
        if self.api_error:
            self._note("api", "Route 53 API", "", "read")
        self.api_error = None
        self.has_read = True
        if read == self.configuration:
            return
        old, self.configuration = self.configuration, read
        if (old.zones, old.checks) != (read.zones, read.checks):
            names = ", ".join(zone.name for zone in read.zones) or "no zone"
            counts = f"{sum(len(z.records) for z in read.zones)} records, {len(read.checks)} checks"
            self._note("configuration", names, "", counts)
        self._answerer = self._answers()
        self.fleet.apply(read.checks)
        self.evaluate()

    def set_speed(self, speed: float) -> None:
        """Change the speed of health checks and TTLs while they run.

        Args:
            speed: Factor, 1 or more.
        """
        self._note("speed", "data plane", f"{self.speed:g}", f"{speed:g}")
        self.speed = speed
        self.fleet.set_speed(speed)

    def evaluate(self) -> None:
        """Compute every status again, and note what changed in checks and answers."""
        checks = self.configuration.checks
        new = Evaluation(checks, self.fleet.votes(), self._alarms()).all()
        now = time.time()
        for check_id, status in new.items():
            old = self.statuses.get(check_id)
            if old is None or old.healthy != status.healthy:
                self.since[check_id] = now
            if old is not None and old.healthy != status.healthy:
                words = ("unhealthy", "healthy")
                was, now_is = words[old.healthy], words[status.healthy]
                self._note("health_check", check_id, was, now_is, status.reason)
        self.since = {check_id: self.since[check_id] for check_id in new}
        self.statuses = new
        before, self.in_service = self.in_service, self._pools()
        for key, members in self.in_service.items():
            if key in before and before[key] != members:
                self._note("answer", " ".join(key), ", ".join(before[key]), ", ".join(members))

    def resolve(
        self, name: str, kind: str, client: str = "", recursion_desired: bool = False
    ) -> Answer:
        """Answer one DNS question.

        Args:
            name: The name asked for.
            kind: The record type asked for.
            client: Address of the client's subnet, if the query has one: that of a Region's
                endpoint is next to that Region.
            recursion_desired: Answer as a resolver, which a customer asks: with the addresses of
                the endpoint that a CNAME record points to. Otherwise as Route 53's name servers.
        """
        answer = self._answerer.resolve if recursion_desired else self._answerer.answer
        near = self.endpoints.current.region_at(client) or CLIENT_REGION
        return shortened(answer(name, kind, near), self.speed)

    def target_of(self, check: HealthCheck) -> Target:
        """Find the loopback address a health check is aimed at."""
        return find_target(check, self._answerer, CLIENT_REGION)

    def is_healthy(self, check_id: str) -> bool:
        """Give the status of a health check; one that does not exist counts as healthy."""
        status = self.statuses.get(check_id)
        return status is None or status.healthy

    def _answers(self) -> Answerer:
        return Answerer(self.configuration.zones, self.is_healthy, self.endpoints.find)

    def _alarms(self) -> dict[str, bool]:
        found = {}
        for check in self.configuration.checks.values():
            if check.type == "CLOUDWATCH_METRIC" and check.alarm:
                state = self.configuration.alarms.get(check.alarm, "INSUFFICIENT_DATA")
                known = self._last_known_alarms.get(check.id)
                found[check.id] = alarm_is_healthy(state, check.insufficient_data_status, known)
                if state in ("OK", "ALARM"):
                    self._last_known_alarms[check.id] = found[check.id]
        return found

    def _pools(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Name the record sets in service of every group that has a choice."""
        found = {}
        for zone in self.configuration.zones:
            router = Router(zone, self.is_healthy)
            for key, group in zone.groups.items():
                if group[0].policy == "simple":
                    continue
                try:
                    pool = router.pool(group, CLIENT_REGION)
                except UnsupportedRoutingError:
                    continue
                found[key] = tuple(record.set_identifier or "" for record in pool)
        return found

    def _note(self, kind: str, subject: str, before: str, after: str, reason: str = "") -> None:
        self.events.append(Event(time.time(), kind, subject, before, after, reason))
        change = f"{before} -> {after}" if before else after
        log.info("%s %s: %s%s", kind, subject, change, f" ({reason})" if reason else "")
