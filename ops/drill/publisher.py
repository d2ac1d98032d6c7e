"""Publishers during a drill who update, delete, and write what others write, too: at a small rate.

The customers of `probe` measure times, with a key for each write. What these do shows what becomes
of the order of writes, of deletions, and of keys that two Regions write.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ops.drill.history import Operation, OperationKind, Result, Value
from ops.drill.probe import Customer
from ops.drill.probe_location import LOCATION_KEY, ProbeLocation, key_of, observation_of, value_of
from ops.fault_injection import INSIDE_HEADER
from ops.http_client import Response, signed_headers

STOP_SECONDS = 8.0
"""How long stopping waits for a request under way."""
FIRST_OWN, FIRST_SHARED = 1_000_000, 2_000_000
"""Numbers of the observations of publishers, above those of customers; shared ones have the same in
each publisher's rounds."""
DELETED_AFTER = 2
"""Rounds after which a publisher deletes its own observation."""
CUSTOMERS = "customers"


class Route(Protocol):
    """How a publisher reaches the API."""

    def send(self, method: str, path: str, body: object) -> Response:
        """Send one signed request to a path below the stage."""


@dataclass(frozen=True)
class ByName:
    """By the name that all customers use, as DNS resolves it.

    Attributes:
        customer: Whose resolver and time-outs it has.
    """

    customer: Customer

    def send(self, method: str, path: str, body: object) -> Response:
        """Send one signed request."""
        address, error = self.customer.resolved()
        if not address:
            return Response(None, error=error, unreachable=True)
        return self.customer.publish(method, address, path, body)


@dataclass(frozen=True)
class Inside:
    """By the Region's own endpoint, from within the Region, as a sandbox knows it by a header.

    Attributes:
        location: The drill's location.
        region: The Region.
        timeout_seconds: When a request is given up.
    """

    location: ProbeLocation
    region: str
    timeout_seconds: float

    def send(self, method: str, path: str, body: object) -> Response:
        """Send one signed request."""
        environment = self.location.environment
        url = environment.region_url(self.region) + path
        headers, data = signed_headers(
            method, url, region=self.region, credentials=environment.credentials(), body=body
        )
        return environment.network.request(
            method,
            url,
            headers={**headers, INSIDE_HEADER: self.region},
            body=data,
            timeout_seconds=self.timeout_seconds,
        )


@dataclass
class Publisher:
    """Writes one thing after the other until it is stopped.

    Attributes:
        client: Its name in the history.
        location: The drill's location.
        route: How it reaches the API.
        clock: The drill's.
        interval_seconds: Time between two writes.
        numbers: Of its writes; shared, so that no two updates write the same value.
    """

    client: str
    location: ProbeLocation
    route: Route
    clock: Callable[[], float]
    interval_seconds: float
    numbers: Iterator[int] = field(default_factory=itertools.count)
    _operations: list[Operation] = field(default_factory=list)
    _own: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Send the first write now."""
        self._thread = threading.Thread(target=self._run, name=self.client, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send no more, and wait for nothing."""
        self._stop.set()

    def stop(self) -> None:
        """Send no more; a request that hangs is noted as unknown by whoever asks."""
        self.end()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def operations(self) -> tuple[Operation, ...]:
        """What it has sent, and what became of it."""
        return tuple(self._operations)

    def round(self, number: int) -> None:
        """Send the writes of one round, apart from each other: an update, a new one, a deletion.

        Args:
            number: Of the round, from 0 on.
        """
        for step in (self._update, self._put, self._delete, self._put_shared):
            step(number)
            self._stop.wait(self.interval_seconds)
            if self._stop.is_set():
                return

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            self.round(number)

    def _update(self, _round: int) -> None:
        value = position_of(next(self.numbers))
        self._send(
            "update", LOCATION_KEY, value, "PUT", self.location.path, self.location.body(value)
        )

    def _put(self, _round: int) -> None:
        number = FIRST_OWN + next(self.numbers)
        self._own.append(number)
        self._put_observation(number, value_of(number))

    def _put_shared(self, number: int) -> None:
        # Another value than that of the others, who write the same key.
        self._put_observation(FIRST_SHARED + number, value_of(next(self.numbers)))

    def _put_observation(self, number: int, value: float) -> None:
        key = key_of(number)
        path, body = self.location.observation_path(key), observation_of(value)
        self._send("put", key, value, "PUT", path, body)

    def _delete(self, _round: int) -> None:
        if len(self._own) > DELETED_AFTER:
            key = key_of(self._own.pop(0))
            self._send("delete", key, None, "DELETE", self.location.observation_path(key), None)

    def _send(
        self, kind: OperationKind, key: str, value: Value, method: str, path: str, body: object
    ) -> None:
        sent_at = self.clock()
        begun = len(self._operations)
        # Noted before: one that hangs may be carried out.
        pending = Operation(self.client, kind, key, value, sent_at, sent_at, "unknown")
        self._operations.append(pending)
        try:
            response = self.route.send(method, path, body)
        except Exception as error:  # a publisher that dies in silence would look like a success
            response = Response(None, error=f"{type(error).__name__}: {error}")
        self._operations[begun] = Operation(
            self.client,
            kind,
            key,
            value,
            sent_at,
            self.clock(),
            result_of(response),
            response.region,
            response.status,
        )


def result_of(response: Response) -> Result:
    """What the sender of a write knows by its response.

    Args:
        response: The response.
    """
    if response.unreachable:
        return "rejected"
    if response.ok:
        return "acknowledged"
    return "rejected" if response.status and 400 <= response.status < 500 else "unknown"


def position_of(number: int) -> float:
    """The latitude that an update with a number writes.

    Args:
        number: The number.
    """
    return number % POSITIONS / 100


def number_after(position: Value) -> int:
    """The number of the first update after those that earlier drills have written.

    Args:
        position: What is written now; None if nothing is.
    """
    return round(float(position or 0) * 100) + 1


POSITIONS = 9000
"""So many latitudes north of the equator, to the hundredth of a degree."""
