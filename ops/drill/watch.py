"""Watches the zone's own answers and the states of the health checks, beside the customers."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from constructs_lib.outputs import Outputs
from ops.drill.events import DnsSeen, HealthSeen, Log
from ops.drill.resolver import RegionMap
from ops.drill.scenario import record_check
from ops.environment import Environment
from ops.errors import OpsError
from ops.http_client import DnsAnswer

STOP_SECONDS = 3.0
"""How long stopping waits for looks under way, which change nothing any more."""


def check_names(outputs: Outputs) -> dict[str, str]:
    """Name the health checks.

    Args:
        outputs: Outputs of the stack.

    Returns:
        `{health check id: name}`; a check that is the record's and the endpoint's is the record's.
    """
    endpoints = outputs.endpoint_health_check_ids
    names = {id: f"{region} endpoint" for region, id in endpoints.items()}
    if outputs.evacuation:
        for (region, observer), id in outputs.evacuation.all_health_check_ids.items():
            names[id] = f"evacuation of {region} in {observer}"
    return names | {id: record_check(region) for region, id in outputs.health_check_ids.items()}


@dataclass
class Watch:
    """Asks again and again until it is stopped.

    Attributes:
        environment: What is watched.
        regions: Which Region an address belongs to.
        log: Takes what is seen.
        interval_seconds: Time between two looks.
        places: `{Region or empty: address}` of the customers for whom DNS is asked; the address is
            empty where their place does not matter.
        answers: How often DNS is asked in each look: more than once where answers vary.
    """

    environment: Environment
    regions: RegionMap
    log: Log
    interval_seconds: float
    places: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    answers: int = 1
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _seen: set[tuple[str, str]] | None = None
    _looked_at: float = 0.0

    def start(self) -> None:
        """Look for the first time now."""
        looks = [self.look_at_dns]
        if self.environment.descriptor.sandbox:
            looks.append(self.look_at_health)
        for look in looks:
            thread = threading.Thread(target=self._repeat, args=(look,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Look no more; a look that hangs is left alone."""
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def look_at_dns(self) -> None:
        """Ask DNS once: the zone's name servers, past every cache, if they can be asked."""
        name = self.environment.outputs.record_name
        for near, address in self.places.items():
            for _ in range(self.answers):
                at = self.log.clock()
                answer = self._resolve(name, address)
                region = self.regions.region_of(answer.addresses[0]) if answer.addresses else None
                seen = DnsSeen(
                    at,
                    answer.addresses,
                    region,
                    answer.ttl_seconds,
                    answer.error,
                    answer.source,
                    near,
                    answer.is_known,
                )
                self.log.add(seen)

    def _resolve(self, name: str, address: str) -> DnsAnswer:
        network = self.environment.network
        return network.resolve(name, client=address) if address else network.resolve(name)

    def look_at_health(self) -> None:
        """Read the data plane's states once: all at first, then every change since."""
        names = check_names(self.environment.outputs)
        status = self.environment.sandbox_status()
        looked_at, now = self.log.clock(), datetime.now(UTC)
        events = [
            event
            for event in status["events"]
            if event["kind"] == "health_check" and event["subject"] in names
        ]
        if self._seen is None:
            for check in status["health_checks"]:
                if name := names.get(check["id"]):
                    self.log.add(HealthSeen(looked_at, name, check["healthy"], check["reason"]))
            self._seen = {(event["at"], event["subject"]) for event in events}
        for event in events:
            if (event["at"], event["subject"]) not in self._seen:
                self._seen.add((event["at"], event["subject"]))
                # Its age, and whatever the machine's clock does: since the look before.
                age = (now - datetime.fromisoformat(event["at"])).total_seconds()
                at = looked_at - min(max(0.0, age), looked_at - self._looked_at)
                self.log.add(
                    HealthSeen(
                        at, names[event["subject"]], event["after"] == "healthy", event["reason"]
                    )
                )
        self._looked_at = looked_at

    def _repeat(self, look: Callable[[], None]) -> None:
        while not self._stop.is_set():
            # What is not seen is missing from the report; the drill continues without it.
            with suppress(OpsError, ValueError, KeyError):
                look()
            self._stop.wait(self.interval_seconds)
