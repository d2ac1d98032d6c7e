"""Customers during a drill: a read and a write per round, over DNS and new connections.

Rounds begin on time whether or not earlier ones have ended, as customers do not wait for each
other: a Region that hangs is seen by as many of them as call meanwhile.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ops.calls import Answer, signed_headers
from ops.drill.events import Kind, Log, Request
from ops.drill.resolver import CachingResolver, RegionMap
from ops.drill.station import Station, key_of, observation_of

WORKERS = 24


@dataclass(frozen=True)
class Customer:
    """Calls the API as customers do: one reads, one publishes, both by the same resolver.

    Attributes:
        station: What the publisher writes for.
        resolver: The customer's resolver.
        regions: What the publisher knows of addresses.
        timeout_seconds: When a request is given up.
        clock: Gives seconds since the epoch.
    """

    station: Station
    resolver: CachingResolver
    regions: RegionMap
    timeout_seconds: float
    clock: Callable[[], float] = time.time

    def read(self) -> Request:
        """Lists one location."""
        environment = self.station.environment
        url = f"{environment.api_url}/locations?limit=1"
        headers = {"x-api-key": environment.api_key}
        return self._call("read", "GET", url, lambda _: (headers, None))

    def write(self, sequence: int) -> Request:
        """Publishes the observation with a sequence number, signed for the Region that is called.

        Args:
            sequence: From 0 on, each once.
        """
        environment = self.station.environment
        key = key_of(sequence)
        url = environment.api_url + self.station.observation_path(key)

        def signed(address: str) -> tuple[dict[str, str], bytes | None]:
            return signed_headers(
                "PUT",
                url,
                region=self.regions.region_of(address) or environment.primary,
                credentials=environment.credentials(),
                body=observation_of(sequence),
            )

        return self._call("write", "PUT", url, signed, key)

    def _call(
        self,
        kind: Kind,
        method: str,
        url: str,
        prepared: Callable[[str], tuple[dict[str, str], bytes | None]],
        key: str = "",
    ) -> Request:
        sent_at = self.clock()
        found = self.resolver.resolve(urlsplit(url).hostname or "")
        if not found.addresses:
            answer = Answer(None, error=f"DNS: {found.error}")
        else:
            headers, body = prepared(found.addresses[0])
            answer = self.station.environment.network.request(
                method,
                url,
                headers=headers,
                body=body,
                timeout_seconds=self.timeout_seconds,
                address=found.addresses[0],
            )
            self.regions.learn(found.addresses[0], answer.region)
        return Request(
            kind=kind,
            sent_at=sent_at,
            answered_at=self.clock(),
            status=answer.status,
            region=answer.region,
            address=found.addresses[0] if found.addresses else "",
            error=answer.error,
            key=key,
        )


@dataclass
class Probe:
    """Sends rounds until it is stopped.

    Attributes:
        customer: Sends them.
        log: Takes what became of them.
        interval_seconds: Time between two rounds.
    """

    customer: Customer
    log: Log
    interval_seconds: float
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Sends the first round now."""
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sends no more, and waits for what is under way."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        sequence = 0
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="customer") as pool:
            while not self._stop.is_set():
                pool.submit(self._logged, self.customer.read)
                pool.submit(self._logged, self.customer.write, sequence)
                sequence += 1
                due = begun + sequence * self.interval_seconds
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _logged(self, call: Callable[..., Request], *arguments: int) -> None:
        begun = self.log.clock()
        try:
            self.log.add(call(*arguments))
        except Exception as error:  # a probe that dies in silence would look like a success
            kind: Kind = "write" if arguments else "read"
            text = f"{type(error).__name__}: {error}"
            self.log.add(Request(kind, begun, self.log.clock(), None, None, error=text))
