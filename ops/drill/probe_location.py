"""The location that a drill writes observations for.

A location cannot be removed from the API, so one that an earlier drill has emptied is used again:
however many drills run, one location remains.
"""

import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.drill.history import Seen, Value
from ops.drill.region_api import RETRY_SECONDS, listed, refusal, signed
from ops.environment import Environment
from ops.errors import OpsError
from ops.http_client import Response

KNOWN_EVERYWHERE_SECONDS = 30.0
POLL_SECONDS = 0.2
READING_SECONDS = 1.0
"""Between two readings of a Region: each spends requests of a customer's quota."""
_ID = re.compile(r"drill-[0-9a-f]{8}")
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_END = "2000-02-01"
"""No drill takes a month: later observations are of somebody else."""
_NAME = "Failover drill"
LOCATION_KEY = "location"
"""Key of the location itself, in the history of a drill."""
LATITUDE, TEMPERATURE = "latitude_degrees", "temperature_celsius"
"""What a drill writes, in the API's documents and in the items of the table."""


def key_of(sequence: int) -> str:
    """The time of the observation with a sequence number: one second each.

    Args:
        sequence: From 0 on.
    """
    return (_FIRST + timedelta(seconds=sequence)).strftime("%Y-%m-%dT%H:%M:%SZ")


def value_of(sequence: int) -> float:
    """The temperature of the observation with a sequence number, as different as they go.

    Args:
        sequence: From 0 on.
    """
    return sequence % 700 / 10


def observation_of(value: float | None) -> dict[str, Any]:
    """The observation of a temperature.

    Args:
        value: The temperature.
    """
    return {TEMPERATURE: value}


def is_probe_location(location_id: str) -> bool:
    """Whether a location may be one of a drill, by its id.

    Args:
        location_id: Its id.
    """
    return bool(_ID.fullmatch(location_id))


@dataclass(frozen=True)
class ProbeLocation:
    """A location of a drill.

    Attributes:
        environment: Where it is registered.
        location_id: `drill-` and eight random digits.
    """

    environment: Environment
    location_id: str

    @property
    def path(self) -> str:
        """Path of the location itself, below the stage."""
        return f"/locations/{self.location_id}"

    def body(self, position: float = 0) -> dict[str, Any]:
        """What is registered.

        Args:
            position: The latitude, which updates change.
        """
        return {"name": _NAME, LATITUDE: position, "longitude_degrees": 0}

    def observation_path(self, key: str) -> str:
        """Path of an observation, below the stage.

        Args:
            key: Its time.
        """
        return f"/weather/{self.location_id}/observations/{key}"

    def observations(
        self, region: str, *, retry_seconds: float = RETRY_SECONDS
    ) -> dict[str, tuple[float | None, ...]]:
        """List all observations that one Region holds.

        Args:
            region: The Region, called by its own URL.
            retry_seconds: How long a temporary refusal is retried.

        Returns:
            `{key: values}`: of one time there may be several.

        Raises:
            OpsError: It does not list them.
        """
        path = f"/weather/{self.location_id}/observations"
        values = defaultdict[str, tuple[float | None, ...]](tuple)
        found = listed(
            self.environment,
            region,
            path,
            lambda page: [
                (each["observed_at"], each.get(TEMPERATURE)) for each in page["observations"]
            ],
            retry_seconds,
        )
        for key, value in found:
            values[key] += (value,)
        return dict(values)

    def position(self, region: str) -> float | None:
        """Read the latitude that one Region holds.

        Args:
            region: The Region, called by its own URL.

        Returns:
            The latitude; None if the Region does not know the location.

        Raises:
            OpsError: The Region does not list its locations.
        """
        found = listed(
            self.environment,
            region,
            "/locations",
            lambda page: [(each["location"], each[LATITUDE]) for each in page["locations"]],
            retry_seconds=0,
        )
        return next((at for location, at in found if location == self.location_id), None)

    def seen(self, region: str, clock: Callable[[], float]) -> Seen:
        """Read all that one Region holds, once.

        Args:
            region: The Region, called by its own URL.
            clock: The clock of the requests.
        """
        at = clock()
        try:
            values = dict[str, tuple[Value, ...]](self.observations(region, retry_seconds=0))
            if (position := self.position(region)) is not None:
                values[LOCATION_KEY] = (position,)
        except OpsError as failure:
            return Seen(region, at, clock(), {}, str(failure.args[0]))
        return Seen(region, at, clock(), values)

    def readings(
        self,
        region: str,
        keys: Collection[str],
        seconds: float,
        clock: Callable[[], float],
        *,
        is_whole: Callable[[Seen], bool] = lambda _: True,
    ) -> Iterator[Seen]:
        """Read one Region until it shows every write, or time is up.

        Args:
            region: The Region, called by its own URL.
            keys: Keys of writes that it must hold.
            seconds: How long to wait for them.
            clock: The clock of the requests.
            is_whole: Whether a reading shows all other writes.

        Yields:
            Each reading; the last one begins when time is up, or later.
        """
        deadline = clock() + seconds
        while True:
            reading = self.seen(region, clock)
            yield reading
            shown = {*keys} <= reading.values.keys()
            if reading.at >= deadline or (shown and not reading.error and is_whole(reading)):
                return
            time.sleep(READING_SECONDS)

    def written(self, region: str, *, retry_seconds: float = RETRY_SECONDS) -> list[str]:
        """List the keys of the observations of drills that one Region holds.

        Args:
            region: The Region, called by its own URL.
            retry_seconds: How long a temporary refusal is retried.

        Raises:
            OpsError: It does not list them.
        """
        keys = self.observations(region, retry_seconds=retry_seconds)
        return sorted(key for key in keys if key_of(0) <= key < _END)

    def empty(self, region: str) -> int:
        """Delete every observation of a drill that one Region holds, and no other one.

        Args:
            region: The Region, called by its own URL.

        Returns:
            How many there were.

        Raises:
            OpsError: One cannot be deleted.
        """
        keys = self.written(region)
        deadline = time.monotonic() + RETRY_SECONDS
        pool = ThreadPoolExecutor(4)
        try:
            responses = pool.map(lambda key: self._delete(region, key, deadline), keys)
            for key, response in zip(keys, responses, strict=True):
                if response.status != 204:
                    raise refusal(
                        f"delete the observation {key} of {self.location_id}",
                        self.environment,
                        region,
                        response,
                    )
        finally:
            # After a failure nobody waits for hundreds that fail likewise.
            pool.shutdown(cancel_futures=True)
        return len(keys)

    def register_in(self, region: str) -> None:
        """Register the location in one Region.

        Args:
            region: The Region, called by its own URL.

        Raises:
            OpsError: It refuses.
        """
        response = signed(self.environment, "PUT", region, self.path, body=self.body())
        if not response.ok:
            raise refusal(f"register {self.location_id}", self.environment, region, response)

    def register(self) -> None:
        """Register the location in the primary Region and wait until every Region knows it.

        Raises:
            OpsError: One does not.
        """
        self.register_in(self.environment.primary)
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

    def _delete(self, region: str, key: str, deadline: float) -> Response:
        path = self.observation_path(key)
        return signed(self.environment, "DELETE", region, path, deadline=deadline)


def probe_locations(
    environment: Environment,
    *,
    regions: Sequence[str] = (),
    retry_seconds: float = RETRY_SECONDS,
) -> list[ProbeLocation]:
    """List every location that drills have registered, as the first Region that responds has them.

    Args:
        environment: The environment.
        regions: The Regions to ask, in order; all of them by default, the primary first.
        retry_seconds: How long a temporary refusal is retried.

    Raises:
        OpsError: No Region lists its locations.
    """
    refusals = []
    for region in regions or environment.regions:
        try:
            ids = list(
                listed(
                    environment,
                    region,
                    "/locations",
                    lambda page: [
                        str(each["location"])
                        for each in page["locations"]
                        if each.get("name") == _NAME
                    ],
                    retry_seconds,
                )
            )
        except OpsError as error:
            refusals.append(error)
            continue
        return [ProbeLocation(environment, id) for id in ids if _ID.fullmatch(id)]
    raise refusals[0]


def free_location(environment: Environment) -> tuple[ProbeLocation, bool]:
    """Choose the location for a new drill.

    Args:
        environment: The environment, every Region of which serves.

    Returns:
        The location, and whether it is registered already.

    Raises:
        OpsError: A Region does not list its locations or observations.
    """
    for location in probe_locations(environment):
        if not any(location.observations(region) for region in environment.regions):
            return location, True
    return ProbeLocation(environment, f"drill-{secrets.token_hex(4)}"), False
