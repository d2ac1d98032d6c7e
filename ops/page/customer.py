"""The customer whose requests the page shows.

Every request looks the name up anew and opens a new connection. Requests begin on time whether or
not earlier ones have ended, as customers do not wait for each other.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ops.calls import Answer
from ops.local import LocalApi
from ops.page.traffic import Request

INTERVAL_SECONDS = 0.2
TIMEOUT_SECONDS = 3.0
PATIENCE_FOR_A_FIRST_CALL_SECONDS = 15.0
MOST_UNDER_WAY = 4
"""A Region that hangs is not called ever more: here each call may start one more process."""


class Places:
    """Room for requests under way, so much at each address."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def at(self, address: str) -> Iterator[bool]:
        """Takes a place for as long as the block runs.

        Args:
            address: Where the request goes.

        Yields:
            Whether there was one.
        """
        with self._lock:
            free = self._taken[address] < MOST_UNDER_WAY
            self._taken[address] += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken[address] -= free


class Customer:
    """Sends requests as long as somebody looks.

    Args:
        send: Sends one, and takes in what becomes of it.
        watching: Set while somebody looks.
    """

    def __init__(self, send: Callable[[], object], watching: threading.Event) -> None:
        self._send = send
        self._watching = watching

    def run(self) -> None:
        """Sends them one after the other, for ever."""
        due = time.monotonic()
        while True:
            self._watching.wait()
            threading.Thread(target=self._send, daemon=True).start()
            # What is late is not made up for: it would come as a burst.
            due = max(due + INTERVAL_SECONDS, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def wake(api: LocalApi) -> None:
    """Calls what customers call once in every Region: a function's first call takes long.

    Args:
        api: The API.
    """
    for url in api.outputs["region_urls"].values():
        _call(api, url, PATIENCE_FOR_A_FIRST_CALL_SECONDS)


def send(api: LocalApi, places: Places, clock: Callable[[], float] = time.time) -> Request | None:
    """Sends one request as a customer does: by the API's name.

    Args:
        api: The API.
        places: Room for it.
        clock: Gives seconds since the epoch.

    Returns:
        What became of it; None if there was no room.
    """
    sent_at, url = clock(), api.outputs["api_url"]
    found = api.network.resolve(urlsplit(url).hostname or "")
    if not found.addresses:
        return Request(sent_at, clock(), False, None, f"DNS: {found.error}")
    address = found.addresses[0]
    with places.at(address) as free:
        if not free:
            return None
        answer = _call(api, url, TIMEOUT_SECONDS, address)
    return Request(
        sent_at,
        clock(),
        answer.ok,
        answer.region or region_of(api, address),
        "" if answer.ok else _short(answer.error) or f"HTTP status {answer.status}",
    )


def region_of(api: LocalApi, address: str) -> str | None:
    """The Region that stands at an address; None if none does.

    Args:
        api: The API.
        address: An IP address.
    """
    targets = api.outputs["domain_targets"]
    return next((r for r, host in targets.items() if api.network.hosts[host][0] == address), None)


def _call(api: LocalApi, url: str, timeout_seconds: float, address: str | None = None) -> Answer:
    try:
        path, headers = "/locations?limit=1", {"x-api-key": api.api_key}
        if not api.api_key:  # no customers: nothing else answers without a key
            path, headers = "/health", {}
        return api.network.request(
            "GET", url + path, headers=headers, timeout_seconds=timeout_seconds, address=address
        )
    except Exception as error:  # a customer who dies in silence would look like a success
        return Answer(None, error=f"{type(error).__name__}: {error}")


def _short(error: str) -> str:
    """Without the names that a program has for it."""
    text = re.sub(r"^\w+Error: (\[Errno -?\d+\] )?", "", error)
    # ('Connection aborted.', RemoteDisconnected('Remote end closed connection …'))
    nested = re.findall(r"'([^']+)'", text) if text.startswith("(") else []
    return nested[-1] if nested else text
