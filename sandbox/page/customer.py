"""The customer whose requests the page shows.

Every request resolves the name again and opens a new connection. Requests start on time whether or
not earlier ones have ended, as customers do not wait for each other.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ops.environment import Environment
from ops.http_client import Response
from sandbox.page.traffic import Request

INTERVAL_SECONDS = 0.2
TIMEOUT_SECONDS = 3.0
FIRST_CALL_TIMEOUT_SECONDS = 15.0
MOST_AT_ONCE = 4
"""Requests to one Region at once: each may start one more function process here."""


class RequestLimit:
    """Limits concurrent requests per address."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def at(self, address: str) -> Iterator[bool]:
        """Count a request for as long as the block runs.

        Args:
            address: Where the request goes.

        Yields:
            Whether it is within the limit.
        """
        with self._lock:
            free = self._taken[address] < MOST_AT_ONCE
            self._taken[address] += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken[address] -= free


class Customer:
    """Sends requests while a page is open.

    Args:
        send: Sends one and records the result.
        watching: Set while a page is open.
    """

    def __init__(self, send: Callable[[], object], watching: threading.Event) -> None:
        self._send = send
        self._watching = watching

    def run(self) -> None:
        """Send them one after the other, without end."""
        due = time.monotonic()
        while True:
            self._watching.wait()
            threading.Thread(target=self._send, daemon=True).start()
            # Late requests are skipped: they would be a burst.
            due = max(due + INTERVAL_SECONDS, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def wake(environment: Environment) -> None:
    """Send one request to every Region: a function's first call takes long.

    Args:
        environment: The sandbox's environment.
    """
    for url in environment.outputs.region_urls.values():
        _call(environment, url, FIRST_CALL_TIMEOUT_SECONDS)


def send(
    environment: Environment, limit: RequestLimit, clock: Callable[[], float] = time.time
) -> Request | None:
    """Send one request as a customer does, by the API's name.

    Args:
        environment: The sandbox's environment.
        limit: The limit on concurrent requests.
        clock: Gives seconds since the epoch.

    Returns:
        The result; None if the limit was reached.
    """
    sent_at, url = clock(), environment.outputs.api_url
    found = environment.network.resolve(urlsplit(url).hostname or "")
    if not found.addresses:
        return Request(sent_at, clock(), False, None, f"DNS: {found.error}")
    address = found.addresses[0]
    with limit.at(address) as free:
        if not free:
            return None
        answer = _call(environment, url, TIMEOUT_SECONDS, address)
    return Request(
        sent_at,
        clock(),
        answer.ok,
        answer.region or region_of(environment, address),
        "" if answer.ok else _short(answer.error) or f"HTTP status {answer.status}",
    )


def region_of(environment: Environment, address: str) -> str | None:
    """Find the Region that has an address; None if none has.

    Args:
        environment: The sandbox's environment.
        address: An IP address.
    """
    targets = environment.outputs.domain_targets
    return next(
        (r for r, host in targets.items() if environment.network.hosts[host][0] == address), None
    )


def _call(
    environment: Environment, url: str, timeout_seconds: float, address: str | None = None
) -> Response:
    try:
        if environment.outputs.customers:
            path, headers = "/locations?limit=1", {"x-api-key": environment.api_key}
        else:  # no other operation works without a key
            path, headers = "/health", {}
        return environment.network.request(
            "GET", url + path, headers=headers, timeout_seconds=timeout_seconds, address=address
        )
    except Exception as error:  # an error must not look like a success
        return Response(None, error=f"{type(error).__name__}: {error}")


def _short(error: str) -> str:
    """Remove the names of exceptions."""
    text = re.sub(r"^\w+Error: (\[Errno -?\d+\] )?", "", error)
    # ('Connection aborted.', RemoteDisconnected('Remote end closed connection …'))
    nested = re.findall(r"'([^']+)'", text) if text.startswith("(") else []
    return nested[-1] if nested else text
