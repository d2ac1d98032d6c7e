"""The weather station that a drill writes for: a location of its own and its observations.

A location cannot be removed from the API, so that one which an earlier drill has left empty is
taken again: however many drills run, one location remains.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from ops.calls import Answer, signed_headers
from ops.drill.ledger import Look, compare
from ops.environment import Environment
from ops.errors import OpsError

PREFIX = "drill-"
PAGE = 100
TIMEOUT_SECONDS = 15.0
KNOWN_EVERYWHERE_SECONDS = 30.0
REPLICATION_GRACE_SECONDS = 5.0
"""How late a replica may be: typically it is one second or less.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
POLL_SECONDS = 0.2
LIMITED_SECONDS = 60.0
"""How long a request that a limit refuses is sent again."""
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LOCATION = {"name": "Failover drill", "latitude_degrees": 0, "longitude_degrees": 0}


def key_of(sequence: int) -> str:
    """The time of the observation with a sequence number: one second each.

    Args:
        sequence: From 0 on.
    """
    return (_FIRST + timedelta(seconds=sequence)).strftime("%Y-%m-%dT%H:%M:%SZ")


def observation_of(sequence: int) -> dict[str, Any]:
    """An observation that carries its sequence number, as far as temperatures go.

    Args:
        sequence: From 0 on.
    """
    return {"temperature_celsius": sequence % 700 / 10}


@dataclass(frozen=True)
class Station:
    """A location of a drill.

    Attributes:
        environment: Where it is registered.
        location_id: `drill-` and something random.
    """

    environment: Environment
    location_id: str

    def observation_path(self, key: str) -> str:
        """Path of an observation, below the stage.

        Args:
            key: Its time.
        """
        return f"/weather/{self.location_id}/observations/{key}"

    def observations(self, region: str) -> set[str]:
        """Keys of all observations that one Region holds.

        Args:
            region: The Region, called by its own URL.

        Raises:
            OpsError: It does not list them.
        """
        path = f"/weather/{self.location_id}/observations"
        return {o["observed_at"] for o in _listed(self.environment, region, path, "observations")}

    def look_for(self, region: str, keys: Collection[str]) -> Look:
        """Looks for writes in one Region until all are there, or replication had time enough.

        Args:
            region: The Region, called by its own URL.
            keys: Their keys.
        """
        error = ""

        def looks() -> Iterator[tuple[float, set[str]]]:
            nonlocal error
            deadline = time.monotonic() + REPLICATION_GRACE_SECONDS
            while True:
                begun = time.monotonic()
                try:
                    yield begun, self.observations(region)
                    error = ""
                except OpsError as failure:
                    error = str(failure.args[0])
                if time.monotonic() > deadline:
                    return
                time.sleep(POLL_SECONDS)

        found = compare(region, keys, looks())
        return replace(found, error=error)

    def clear(self, region: str) -> int:
        """Deletes every observation that one Region holds.

        Args:
            region: The Region, called by its own URL.

        Returns:
            How many there were.

        Raises:
            OpsError: One cannot be deleted.
        """
        keys = sorted(self.observations(region))
        with ThreadPoolExecutor(4) as pool:
            for key, answer in zip(
                keys, pool.map(lambda key: self._delete(region, key), keys), strict=True
            ):
                if answer.status != 204:
                    raise OpsError(
                        f"{region} does not delete the observation {key} of {self.location_id}: "
                        f"{answer.status or answer.error}",
                        next_step="when the Region serves: python -m ops drill --restore",
                    )
        return len(keys)

    def register(self) -> None:
        """Registers the location in the primary Region and waits until every Region knows it.

        Raises:
            OpsError: One does not.
        """
        region = self.environment.primary
        answer = _signed(
            self.environment, "PUT", region, f"/locations/{self.location_id}", _LOCATION
        )
        if not answer.ok:
            raise _refusal(f"register {self.location_id}", region, answer)
        deadline = time.monotonic() + KNOWN_EVERYWHERE_SECONDS
        for region in self.environment.regions:
            while True:
                try:
                    self.observations(region)
                    break
                except OpsError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(POLL_SECONDS)

    def _delete(self, region: str, key: str) -> Answer:
        return _signed(self.environment, "DELETE", region, self.observation_path(key))


def stations(environment: Environment) -> list[Station]:
    """Every location that drills have registered, as the first Region that answers knows them.

    Args:
        environment: The environment.

    Raises:
        OpsError: No Region lists its locations.
    """
    refusals = []
    for region in environment.regions:
        try:
            listed = list(_listed(environment, region, "/locations", "locations"))
        except OpsError as error:
            refusals.append(error)
            continue
        return [
            Station(environment, location["location"])
            for location in listed
            if location["location"].startswith(PREFIX)
        ]
    raise refusals[0]


def new_station(environment: Environment) -> tuple[Station, bool]:
    """The location for a new drill.

    Args:
        environment: The environment, every Region of which serves.

    Returns:
        The station, and whether it is registered already.

    Raises:
        OpsError: A Region does not list.
    """
    for station in stations(environment):
        if not any(station.observations(region) for region in environment.regions):
            return station, True
    return Station(environment, PREFIX + secrets.token_hex(4)), False


def _listed(
    environment: Environment, region: str, path: str, member: str
) -> Iterator[dict[str, Any]]:
    query = {"limit": str(PAGE)}
    while True:
        url = f"{environment.region_url(region)}{path}?{urlencode(query)}"
        answer = _within_limits(
            partial(
                environment.network.request,
                "GET",
                url,
                headers={"x-api-key": environment.api_key},
                timeout_seconds=TIMEOUT_SECONDS,
            )
        )
        if not answer.ok:
            raise _refusal(f"list {path}", region, answer)
        page = answer.json
        yield from page[member]
        if not page["next_cursor"]:
            return
        query["cursor"] = page["next_cursor"]


def _signed(
    environment: Environment, method: str, region: str, path: str, body: Any = None
) -> Answer:
    url = environment.region_url(region) + path

    def send() -> Answer:
        headers, data = signed_headers(
            method, url, region=region, credentials=environment.credentials(), body=body
        )
        return environment.network.request(
            method, url, headers=headers, body=data, timeout_seconds=TIMEOUT_SECONDS
        )

    return _within_limits(send)


def _within_limits(send: Callable[[], Answer]) -> Answer:
    """What a drill looks for and clears away outlasts the limits that customers have."""
    deadline = time.monotonic() + LIMITED_SECONDS
    while (answer := send()).status == 429 and (left := deadline - time.monotonic()) > 0:
        wait = answer.headers.get("retry-after", "")
        time.sleep(min(float(wait) if wait.isdecimal() else 1.0, left))
    return answer


def _refusal(what: str, region: str, answer: Answer) -> OpsError:
    return OpsError(
        f"{region} does not {what}: {answer.status or answer.error} {answer.body[:200]}".rstrip(),
        next_step=f"see what is wrong in {region}: python -m ops verify",
    )
