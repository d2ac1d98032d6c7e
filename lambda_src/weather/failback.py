"""Manual failback: the Regions that take over evacuate the one that has failed over.

Health checkers ask an observer every few seconds whether another Region is evacuated. If it is not,
the observer also looks up which Region Route 53 answers, and takes one step:

| Route 53 answers          | step                                                             |
|---------------------------|------------------------------------------------------------------|
| the Region                | note in a mark since when it serves; later, that it has for long |
| one before it             | delete the mark: the Region waits again, and has not failed      |
| one behind it             | after a long service, write the item that evacuates the Region;  |
|                           | else delete the mark                                             |
| that no Region is healthy | nothing                                                          |
| nothing in time           | nothing                                                          |

While a Region is evacuated, by whomever, the mark is deleted. One that is restored can thus fail
over only after it has served. Every step may be repeated, and none needs the one before it.

Reads the environment variables `REGION_ORDER` (the Regions, separated by spaces), `SERVING_NAME`
and `AWS_REGION`. Without the first two, failback is automatic.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Final

from weather import replica
from weather.errors import Unavailable
from weather.model import Key, evacuation_key, serving_key

LOOK_SECONDS: Final = 1.0
"""How often a function looks, for each Region that it is asked about."""
LOOKUP_SECONDS: Final = 0.5
"""Longest wait for DNS. Route 53 waits 2 s for the function."""
LONG: Final = timedelta(seconds=15)
"""How long a Region must have served to fail over.

A resolver keeps an answer for the 2 s of the record's TTL, and Route 53's servers do not learn of a
change at the same time: two observers may get different answers. Without this, one that still gets
the answer from before a failback, or from before an evacuation that has ended, would take the
Region out of service again.
"""
FRESH_SECONDS: Final = 1.5
"""How long an answer counts, from when it was asked for."""
NAMED_BY: Final = "192.0.2."
"""Addresses that name a Region by its place in the order, from 1; 0 for that none is healthy.

They are for documentation, so nobody has them: https://www.rfc-editor.org/rfc/rfc5737
"""


class Serving:
    """Which Region Route 53 answers.

    It is looked up in a thread, as nothing limits how long a lookup takes. One that comes too late
    for a call is there for the next.

    Args:
        name: The name whose addresses say so.
        regions: The Regions in order.
        resolve: Gives the IPv4 address of a name, or raises.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        name: str,
        regions: Sequence[str],
        resolve: Callable[[str], str] = socket.gethostbyname,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._regions = {
            f"{NAMED_BY}{place}": region for place, region in enumerate(regions, start=1)
        }
        # With its root: no search domain is tried.
        self._name = f"{name}."
        self._resolve = resolve
        self._clock = clock
        self._thread = Thread()
        self._found = float("-inf"), ""

    def __call__(self) -> str | None:
        """Look it up; None if no Region is healthy, or nothing is known in time."""
        address = self._fresh()
        if address is None:
            if not self._thread.is_alive():
                self._thread = Thread(target=self._look, args=(self._clock(),), daemon=True)
                self._thread.start()
            self._thread.join(LOOKUP_SECONDS)
            address = self._fresh()
        return self._regions.get(address or "")

    def _fresh(self) -> str | None:
        begun, address = self._found
        return address if self._clock() < begun + FRESH_SECONDS else None

    def _look(self, begun: float) -> None:
        with suppress(OSError):
            self._found = begun, self._resolve(self._name)


class Latch:
    """Evacuates a Region that has failed over, until an operator restores it.

    Args:
        client: A client of the local replica that gives up soon.
        regions: The Regions in order.
        here: The Region of this function.
        serving: Gives the Region that Route 53 answers, or None.
        clock: Seconds of a clock that never goes back.
        now: The time of day.
    """

    def __init__(
        self,
        client: replica.DynamoDbClient,
        regions: Sequence[str],
        here: str,
        serving: Callable[[], str | None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        # Nobody takes over from the last, and none is to judge itself.
        self._places = {region: place for place, region in enumerate(regions)}
        self._watched = set(regions[:-1]) - {here}
        self._here = here
        self._serving = serving
        self._clock = clock
        self._now = now
        self._looked: dict[str, tuple[bool, float]] = {}

    def has_failed_over(self, region: str) -> bool:
        """Take the step for a Region that is not evacuated, if it is time to.

        Args:
            region: The Region; one that is not observed here has not failed over.

        Returns:
            Whether it is evacuated now.

        Raises:
            Unavailable: If the replica does not answer.
        """
        if not self._is_due(region, evacuated=False):
            return False
        answered = self._serving()
        if answered is None:
            return False
        key = serving_key(region)
        mark = replica.read(self._client, key)
        if answered == region:
            self._note(key, mark)
        elif mark is not None:
            if self._places[answered] > self._places[region] and "long_at" in mark:
                return self._evacuate(region, mark["since"])
            replica.delete(self._client, key)
        return False

    def forget(self, region: str) -> None:
        """Delete the mark of a Region that is evacuated, if it is time to look for it.

        Args:
            region: The Region.
        """
        if not self._is_due(region, evacuated=True):
            return
        # Whatever happens, the Region is evacuated; the next call does it.
        with suppress(Unavailable):
            key = serving_key(region)
            if replica.read(self._client, key) is not None:
                replica.delete(self._client, key)

    def _is_due(self, region: str, *, evacuated: bool) -> bool:
        if region not in self._watched:
            return False
        now = self._clock()
        was_evacuated, at = self._looked.get(region, (not evacuated, now))
        if was_evacuated is evacuated and now < at + LOOK_SECONDS:
            return False
        self._looked[region] = evacuated, now
        return True

    def _note(self, key: Key, mark: Mapping[str, str] | None) -> None:
        now = self._now()
        if mark is None:
            replica.write(self._client, key, {"since": now.isoformat()})
        elif "long_at" not in mark and datetime.fromisoformat(mark["since"]) + LONG <= now:
            # Not one that was deleted meanwhile: the Region is evacuated then.
            since = mark["since"]
            texts = {"since": since, "long_at": now.isoformat()}
            replica.write(self._client, key, texts, over=("since", since))

    def _evacuate(self, region: str, since: str) -> bool:
        key = evacuation_key(region)
        now = self._now().isoformat(timespec="seconds")
        item = {
            "evacuated_at": now,
            # At once, unlike an operator's: it has failed, and nothing of this is graceful.
            "fence_after": now,
            "evacuated_by": f"failover, in {self._here}",
            "reason": "failed over; failback is manual",
            # The same in every Region, for whoever deletes what one of them wrote.
            "writer": f"failover-{since}",
            "kind": "failover",
        }
        found = replica.read(self._client, key)
        if found is None:
            return replica.write(self._client, key, item)
        ended_at = found.get("expires_at", "")
        # One of an operator's that has ended is still there; one that has not was written just now.
        return not replica.is_past(ended_at) or replica.write(
            self._client, key, item, over=("expires_at", ended_at)
        )


def latch(client: replica.DynamoDbClient) -> Latch | None:
    """Give the latch of this function's environment; None if failback is automatic.

    Args:
        client: A client of the local replica that gives up soon.
    """
    name, regions = (os.environ.get(each, "") for each in ("SERVING_NAME", "REGION_ORDER"))
    if not (name and regions):
        return None
    order = regions.split()
    return Latch(client, order, os.environ["AWS_REGION"], Serving(name, order))
