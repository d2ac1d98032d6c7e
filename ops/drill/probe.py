"""Customers during a drill: a read and a write per round, over DNS and new connections.

Rounds begin on time whether or not earlier ones have ended, as customers do not wait for each
other: a Region that hangs is seen by as many of them as call meanwhile.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ops.drill.events import Log, Request
from ops.drill.probe_location import ProbeLocation, key_of, observation_of, value_of
from ops.drill.resolver import CachingResolver, RegionMap
from ops.http_client import Response, signed_headers

STOP_SECONDS = 8.0
"""How long stopping waits for requests under way; whatever blocks, a drill has to restore."""


@dataclass(frozen=True)
class Customer:
    """Calls the API as customers do: one reads, one publishes, both by the same resolver.

    Attributes:
        location: What the publisher writes for.
        resolver: The customer's resolver.
        regions: What the publisher knows of addresses.
        timeout_seconds: When a request is given up.
    """

    location: ProbeLocation
    resolver: CachingResolver
    regions: RegionMap
    timeout_seconds: float

    def send(self, request: Request) -> Request:
        """Send one request.

        Args:
            request: What to send: a read of one location, or a write of its observation.

        Returns:
            The same with what became of it, all but `answered_at`.
        """
        api_url = self.location.environment.outputs.api_url
        address, error = self.resolved()
        if not address:
            return replace(request, error=error)
        if request.kind == "read":
            response = self._read(api_url, address)
            wrong = "" if is_one_location(response) else "not a page of locations"
        else:
            path = self.location.observation_path(request.key)
            response = self.publish("PUT", address, path, observation_of(request.value))
            wrong = "" if is_observation(response, request) else "not the observation"
        return replace(
            request,
            status=response.status,
            region=response.region,
            address=address,
            error=wrong if response.ok else response.error,
            latency_seconds=response.seconds,
        )

    def resolved(self) -> tuple[str, str]:
        """The address that the API's name resolves to for this customer, or why to none."""
        api_url = self.location.environment.outputs.api_url
        found = self.resolver.resolve(urlsplit(api_url).hostname or "")
        return (found.addresses[0], "") if found.addresses else ("", f"DNS: {found.error}")

    def _read(self, api_url: str, address: str) -> Response:
        headers = {"x-api-key": self.location.environment.api_key}
        response = self._call("GET", f"{api_url}/locations?limit=1", address, headers)
        self.regions.learn(address, response.region)
        return response

    def publish(self, method: str, address: str, path: str, body: object) -> Response:
        """Send a signed request.

        Args:
            method: HTTP method.
            address: The address to call.
            path: Path below the stage.
            body: JSON value of the body; None for no body.
        """
        environment = self.location.environment
        url = environment.outputs.api_url + path

        def signed_for(region: str) -> Response:
            headers, data = signed_headers(
                method, url, region=region, credentials=environment.credentials(), body=body
            )
            return self._call(method, url, address, headers, data)

        region = self.regions.region_of(address) or environment.primary
        response = signed_for(region)
        # As the documents ask of publishers: an address may belong to another Region than it did.
        served_by = response.region or region
        if response.status == 403 and served_by != region:
            again = signed_for(served_by)
            response = replace(again, seconds=response.seconds + again.seconds)
        self.regions.learn(address, response.region)
        return response

    def _call(
        self,
        method: str,
        url: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Response:
        return self.location.environment.network.request(
            method,
            url,
            headers=headers,
            body=body,
            timeout_seconds=self.timeout_seconds,
            address=address,
        )


def is_one_location(response: Response) -> bool:
    """Whether it is the page that `limit=1` gives where at least one location is registered.

    Args:
        response: The response to such a read.
    """
    try:
        [location] = response.json["locations"]
        return bool(location["location"])
    except (ValueError, KeyError, TypeError):
        return False


def is_observation(response: Response, request: Request) -> bool:
    """Whether it confirms the observation that was sent.

    Args:
        response: The response.
        request: The write.
    """
    try:
        sent = {"observed_at": request.key, **observation_of(request.value)}
        return bool(sent.items() <= response.json.items())
    except (ValueError, AttributeError):
        return False


@dataclass
class Probe:
    """Sends rounds until it is stopped.

    Attributes:
        customers: Send them, a round each in turn.
        log: Takes what became of them.
        interval_seconds: Time between two rounds.
        stop_seconds: How long stopping waits for requests under way.
        near: The Region that the customers are next to; empty if that does not matter.
        first: Number of its first write.
        step: What is added for the next one: no two probes write for the same time.
    """

    customers: Sequence[Customer]
    log: Log
    interval_seconds: float
    stop_seconds: float = STOP_SECONDS
    near: str = ""
    first: int = 0
    step: int = 1
    _stop: threading.Event = field(default_factory=threading.Event)
    _under_way: dict[threading.Thread, Request] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rounds: threading.Thread | None = None

    def start(self) -> None:
        """Send the first round now."""
        self._rounds = threading.Thread(target=self._run, name="probe", daemon=True)
        self._rounds.start()

    def stop(self) -> None:
        """Send no more; what has no response within `stop_seconds` is logged without one."""
        self._stop.set()
        if self._rounds:
            self._rounds.join()
        deadline = time.monotonic() + self.stop_seconds
        for thread in [*self._under_way]:
            thread.join(max(0.0, deadline - time.monotonic()))
        for thread, request in [*self._under_way.items()]:
            self._ended(thread, replace(request, error="no response when the drill ended"))

    def _run(self) -> None:
        begun = time.monotonic()
        sequence = 0
        while not self._stop.is_set():
            at = self.log.clock()
            customer = self.customers[sequence % len(self.customers)]
            self._begin(customer, Request("read", at, at, near=self.near))
            number = self.first + sequence * self.step
            write = Request(
                "write", at, at, key=key_of(number), value=value_of(number), near=self.near
            )
            self._begin(customer, write)
            sequence += 1
            due = begun + sequence * self.interval_seconds
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _begin(self, customer: Customer, request: Request) -> None:
        # A thread each: none waits in a queue, and none that hangs keeps the program from ending.
        thread = threading.Thread(
            target=self._send, args=(customer, request), name="customer", daemon=True
        )
        self._under_way[thread] = request
        thread.start()

    def _send(self, customer: Customer, request: Request) -> None:
        try:
            done = customer.send(request)
        except Exception as error:  # a probe that dies in silence would look like a success
            done = replace(request, error=f"{type(error).__name__}: {error}")
        self._ended(threading.current_thread(), done)

    def _ended(self, thread: threading.Thread, request: Request) -> None:
        with self._lock:
            if self._under_way.pop(thread, None):
                self.log.add(replace(request, answered_at=self.log.clock()))
