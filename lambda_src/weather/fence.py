"""The fence: an evacuated Region refuses writes, once the item that evacuates it says so.

Customers whose resolver keeps an old answer, and those who call the Region by its own name, still
reach a Region that is evacuated. What it acknowledges then may not be in the Regions that serve.

The item in the Region's own replica decides, by its texts:

| text          | meaning                                                                    |
|---------------|----------------------------------------------------------------------------|
| `fence_after` | the time from which on writes are refused; without it, they are accepted   |
| `expires_at`  | the time at which the evacuation ends, and the fence with it; none if empty |

A time that cannot be read is none. If the item cannot be read, what was read last counts for
`KEPT_SECONDS`; after that, writes are accepted, and a line and a metric say so.

Reads the environment variables `FENCE_RETRY_AFTER_SECONDS`, without which nothing is refused, and
`AWS_REGION` when it is imported.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Final

from weather import replica, telemetry
from weather.errors import WritesRefused
from weather.http import Request, Response
from weather.model import evacuation_key

ACTIONS: Final = ("dynamodb:GetItem",)
"""What an operation that is fenced needs beside, for the partition of the item alone."""
LOOK_SECONDS: Final = 1.0
"""How often a function reads the item at most, and so how late it learns of a change."""
KEPT_SECONDS: Final = 30.0
"""How long what was read last counts while the item cannot be read.

Reads of a Region that is half lost fail now and then; the fence must not be open in between.
"""

Operation = Callable[[Request], Response]


class Fence:
    """Refuses writes while the item says so.

    Args:
        client: A client of the local replica that gives up soon.
        here: The Region of this function.
        retry_after_seconds: After how long a client that is refused reaches another Region.
        clock: The time of day in seconds. A monotonic clock may stop while Lambda has frozen the
            function, and what was read before would count for as long as that took.
    """

    def __init__(
        self,
        client: replica.DynamoDbClient,
        here: str,
        retry_after_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._key = evacuation_key(here)
        self._here = here
        self._retry_after_seconds = retry_after_seconds
        self._clock = clock
        self._item: Mapping[str, str] = {}
        self._looked_at = self._read_at = float("-inf")

    def require_open(self) -> None:
        """Let a write pass.

        Raises:
            WritesRefused: The Region is evacuated and refuses it.
        """
        now = self._clock()
        if not 0 <= now - self._looked_at < LOOK_SECONDS:
            self._looked_at = now
            self._look(now)
        # Compared with the time of day at every write, so that the fence is up at that time in
        # every function, and down when the evacuation ends.
        if replica.is_past(self._item.get("fence_after", "")) and not replica.is_past(
            self._item.get("expires_at", "")
        ):
            raise WritesRefused(self._here, retry_after_seconds=self._retry_after_seconds)

    def _look(self, now: float) -> None:
        try:
            self._item = replica.read(self._client, self._key) or {}
            self._read_at = now
        except Exception as error:  # whatever it is, it must not take writes down
            telemetry.warn("FenceUnknown", error)
            if not 0 <= now - self._read_at < KEPT_SECONDS:
                self._item = {}


def refusing_writes(operation: Operation) -> Operation:
    """Let an operation that writes refuse to, while the Region is fenced.

    Args:
        operation: Answers a request, or raises.

    Returns:
        The same, which raises `WritesRefused` while the Region is fenced.
    """

    @wraps(operation)
    def guarded(request: Request) -> Response:
        if _fence:
            _fence.require_open()
        return operation(request)

    return guarded


def _of_environment() -> Fence | None:
    seconds = os.environ.get("FENCE_RETRY_AFTER_SECONDS", "")
    if not seconds:
        return None
    client = replica.connect(connect_timeout_seconds=0.3, read_timeout_seconds=0.4, attempts=1)
    return Fence(client, os.environ["AWS_REGION"], int(seconds))


_fence = _of_environment()
