"""A transaction in one Region, by its own name: what a publisher writes, a customer reads."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ops.drill.probe_location import (
    ProbeLocation,
    key_of,
    observation_of,
    probe_locations,
    value_of,
)
from ops.environment import Environment
from ops.errors import OpsError
from ops.http_client import Response, signed_headers

TIMEOUT_SECONDS = 10.0
"""A request that takes longer has failed."""
_SEQUENCES = 30 * 86_400
"""Seconds of the month in which drills and gates write."""
_TOO_MANY = 429


@dataclass(frozen=True)
class Transaction:
    """What a transaction showed.

    Attributes:
        seconds: Its slowest request.
        problem: What was wrong; empty if nothing was.
        published: Whether the publisher's part was done; these credentials may not allow it.
        is_limited: Whether a limit ended it, which says nothing.
    """

    seconds: float
    problem: str = ""
    published: bool = False
    is_limited: bool = False


class _EndedError(Exception):
    """A request that had not the expected response."""

    def __init__(self, what: str, response: Response) -> None:
        super().__init__(what)
        self.response = response


@dataclass
class Transactor:
    """Does transactions in one Region, one after the other.

    Attributes:
        environment: The environment, in which no drill runs.
        region: The Region, called by its own URL.
        may_publish: Whether the publisher's part belongs to them; None until the first one.
        clock: Gives seconds that no change of the time of day affects.
        time_of_day: Gives seconds since the epoch.
    """

    environment: Environment
    region: str
    may_publish: bool | None = None
    clock: Callable[[], float] = time.monotonic
    time_of_day: Callable[[], float] = time.time
    _location: ProbeLocation | None = None
    _slowest: float = 0.0

    def run(self) -> Transaction:
        """Do one; what it writes it removes again."""
        self._slowest, published = 0.0, False
        try:
            self._read("/locations", lambda body: isinstance(body["locations"], list))
            if self.may_publish is not False:
                published = self._publish()
        except _EndedError as ended:
            return Transaction(
                self._slowest,
                f"{self.region}: {ended}: {ended.response.summary}",
                published,
                ended.response.status == _TOO_MANY,
            )
        except OpsError as error:
            return Transaction(self._slowest, str(error.args[0]), published)
        return Transaction(self._slowest, published=published)

    def _publish(self) -> bool:
        """Write, read and remove an observation; whether these credentials may."""
        location = self._location = self._location or self._known_location()
        if location is None:
            return False
        # Later than what a failed transaction may have left, as the latest one is read.
        sequence = int(self.time_of_day()) % _SEQUENCES
        path, value = location.observation_path(key_of(sequence)), value_of(sequence)
        put = self._signed("PUT", path, observation_of(value))
        if put.status == 403 and self.may_publish is None:
            return False
        if not put.ok:
            raise _EndedError(f"PUT {path}", put)
        try:
            weather = f"/weather/{location.location_id}"
            self._read(weather, lambda body: body["temperature_celsius"] == value)
            self._read(
                f"{weather}/observations",
                lambda body: value in [o["temperature_celsius"] for o in body["observations"]],
            )
        finally:
            deleted = self._signed("DELETE", path)
        if deleted.status != 204:
            raise _EndedError(f"DELETE {path}", deleted)
        self.may_publish = True
        return True

    def _known_location(self) -> ProbeLocation | None:
        """A location of drills; registered if there is none and these credentials may."""
        # Another Region may be lost, or have one that this Region does not know.
        found = probe_locations(self.environment, regions=[self.region], retry_seconds=0)
        if found:
            return found[0]
        location = ProbeLocation(self.environment, f"drill-{secrets.token_hex(4)}")
        with suppress(OpsError):
            location.register_in(self.region)
            return location
        return None

    def _read(self, path: str, is_right: Callable[[Any], bool]) -> None:
        """Read as a customer."""
        headers = {"x-api-key": self.environment.api_key}
        response = self._sent("GET", path, headers=headers)
        if not response.ok:
            raise _EndedError(f"GET {path}", response)
        try:
            right = is_right(response.json)
        except (ValueError, KeyError, TypeError):
            right = False
        if not right:
            raise _EndedError(f"GET {path} returned something else than was written", response)

    def _signed(self, method: str, path: str, body: Any = None) -> Response:
        """Write as a publisher."""
        headers, data = signed_headers(
            method,
            self.environment.region_url(self.region) + path,
            region=self.region,
            credentials=self.environment.credentials(),
            body=body,
        )
        return self._sent(method, path, headers=headers, body=data)

    def _sent(self, method: str, path: str, **request: Any) -> Response:
        begun = self.clock()
        response = self.environment.network.request(
            method,
            self.environment.region_url(self.region) + path,
            timeout_seconds=TIMEOUT_SECONDS,
            **request,
        )
        self._slowest = max(self._slowest, self.clock() - begun)
        return response
