"""What is watched beside the customers: the zone's own answers, and the health checks' states."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import urllib3

from ops.drill.events import DnsSeen, HealthSeen, Log
from ops.drill.resolver import RegionMap
from ops.environment import Environment

STATUS_TIMEOUT_SECONDS = 2.0


def record_check(region: str) -> str:
    """Name of the health check of a Region's record.

    Args:
        region: The Region.
    """
    return f"{region} record"


def check_names(outputs: Mapping[str, Any]) -> dict[str, str]:
    """What the health checks stand for.

    Args:
        outputs: Outputs of the stack.

    Returns:
        `{health check id: name}`; a check that is the record's and the endpoint's is the record's.
    """
    endpoints = outputs["endpoint_health_check_ids"]
    names = {id: f"{region} endpoint" for region, id in endpoints.items()}
    if switch := outputs.get("switch"):
        names[switch["health_check_id"]] = "switch"
    return names | {id: record_check(region) for region, id in outputs["health_check_ids"].items()}


@dataclass
class Watch:
    """Asks again and again until it is stopped.

    Attributes:
        environment: What is watched.
        regions: Which Region an address belongs to.
        log: Takes what is seen.
        interval_seconds: Time between two looks.
    """

    environment: Environment
    regions: RegionMap
    log: Log
    interval_seconds: float
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _seen: set[tuple[str, str]] | None = None

    def start(self) -> None:
        """Looks for the first time now."""
        looks = [self.look_at_dns]
        if self.environment.status_url:
            looks.append(self.look_at_health)
        for look in looks:
            thread = threading.Thread(target=self._repeat, args=(look,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Looks no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def look_at_dns(self) -> None:
        """Asks the zone's name servers once, past every cache."""
        at = self.log.clock()
        answer = self.environment.network.resolve(self.environment.outputs["record_name"])
        region = self.regions.region_of(answer.addresses[0]) if answer.addresses else None
        self.log.add(DnsSeen(at, answer.addresses, region, answer.ttl_seconds, answer.error))

    def look_at_health(self) -> None:
        """Reads the data plane's states once: all at first, then every change since."""
        names = check_names(self.environment.outputs)
        status = urllib3.request(
            "GET",
            f"{self.environment.status_url}/status",
            retries=False,
            timeout=STATUS_TIMEOUT_SECONDS,
        ).json()
        events = [
            event
            for event in status["events"]
            if event["kind"] == "health_check" and event["subject"] in names
        ]
        if self._seen is None:
            for check in status["health_checks"]:
                if check["id"] in names:
                    self.log.add(
                        HealthSeen(
                            self.log.clock(),
                            names[check["id"]],
                            check["healthy"],
                            check["reason"],
                        )
                    )
            self._seen = {(event["at"], event["subject"]) for event in events}
        for event in events:
            if (event["at"], event["subject"]) not in self._seen:
                self._seen.add((event["at"], event["subject"]))
                self.log.add(
                    HealthSeen(
                        datetime.fromisoformat(event["at"]).timestamp(),
                        names[event["subject"]],
                        event["after"] == "healthy",
                        event["reason"],
                    )
                )

    def _repeat(self, look: Callable[[], None]) -> None:
        while not self._stop.is_set():
            # What is not seen is missing from the report; the drill goes on without it.
            with suppress(urllib3.exceptions.HTTPError, ValueError, KeyError):
                look()
            self._stop.wait(self.interval_seconds)
