"""A customer whose client retries in another Region, beside those who follow DNS alone.

It has the policy of the programs that customers copy, examples/clients, in short: one thread, no
connection kept open, and a 429 is left to the next read.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ops.drill.events import Log, Request
from ops.drill.probe import is_one_location
from ops.drill.resolver import CachingResolver
from ops.environment import Environment
from ops.http_client import Response

ATTEMPTS = 4
ATTEMPT_SECONDS = 1.0
FIRST_WAIT_SECONDS = 0.1
RECOVERY_SECONDS = 30.0
"""On AWS: how long a Region that failed is avoided. The other times are the same at every speed."""
FIRST_CALL_SECONDS = 10.0
"""For the first call of each Region, which may start its function."""
FAILURES = (500, 502, 503, 504)
STOP_SECONDS = 3.0


def own_urls(environment: Environment) -> dict[str, str]:
    """URLs of the Regions' own names.

    Args:
        environment: The environment.

    Returns:
        `{region: URL}`; empty where only AWS gives the Regions host names, which no customer knows.
    """
    own = f".{environment.outputs.record_name}"
    urls = environment.outputs.region_urls
    return {r: url for r, url in urls.items() if environment.region_host(r).endswith(own)}


@dataclass
class RetryingCustomer:
    """Reads one location again and again; does nothing where Regions have no own names.

    Attributes:
        environment: Whose API is called.
        clock: The drill's.
        interval_seconds: Time between two reads.
    """

    environment: Environment
    clock: Callable[[], float]
    interval_seconds: float
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._own = own_urls(self.environment)
        self._log = Log(self.clock)
        self._resolver = CachingResolver(self.environment.network.resolve)
        # Of the common name; learned from its responses.
        self._region = self.environment.primary
        self._avoided: dict[str, float] = {}

    def start(self) -> None:
        """Send the first read now."""
        if self._own:
            self._thread = threading.Thread(target=self._run, name="retrying", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send no more; an attempt that hangs is left alone."""
        self._stop.set()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def attempts(self) -> tuple[Request, ...] | None:
        """Its attempts in order; None where Regions have no own names."""
        return self._log.events().requests if self._own else None

    def read(self) -> None:
        """Read once, with as many attempts as it takes or as are allowed."""
        for attempt in range(ATTEMPTS):
            url, region = self._choose()
            request = self._send(url)
            if url == self.environment.outputs.api_url:
                self._region = region = request.region or region
            if request.ok:
                self._avoided.pop(region, None)
                return
            if request.status is not None and request.status not in FAILURES:
                return
            self._avoided[region] = self.clock() + RECOVERY_SECONDS / self.environment.speed
            self._stop.wait(random.uniform(0, FIRST_WAIT_SECONDS * 2**attempt))

    def _run(self) -> None:
        for url in self._own.values():
            self._called(url, FIRST_CALL_SECONDS)
        while not self._stop.is_set():
            self.read()
            self._stop.wait(self.interval_seconds)

    def _choose(self) -> tuple[str, str]:
        """The URL that is called next, and its Region."""
        names = [(self.environment.outputs.api_url, self._region)]
        names += [(url, region) for region, url in self._own.items()]
        now = self.clock()
        for url, region in names:
            if self._avoided.get(region, 0.0) <= now:
                return url, region
        return min(names[1:], key=lambda name: self._avoided[name[1]])

    def _send(self, url: str) -> Request:
        sent_at = self.clock()
        response = self._called(url, ATTEMPT_SECONDS)
        wrong = "" if is_one_location(response) else "not a page of locations"
        request = Request(
            "read",
            sent_at,
            self.clock(),
            response.status,
            response.region,
            response.address,
            wrong if response.ok else response.error,
            latency_seconds=response.seconds,
        )
        self._log.add(request)
        return request

    def _called(self, url: str, timeout_seconds: float) -> Response:
        try:
            address = None
            if url == self.environment.outputs.api_url:
                found = self._resolver.resolve(urlsplit(url).hostname or "")
                if not found.addresses:
                    return Response(None, error=f"DNS: {found.error}")
                address = found.addresses[0]
            return self.environment.network.request(
                "GET",
                f"{url}/locations?limit=1",
                headers={"x-api-key": self.environment.api_key},
                timeout_seconds=timeout_seconds,
                address=address,
            )
        except Exception as error:  # a customer who stops in silence would look like a success
            return Response(None, error=f"{type(error).__name__}: {error}")


def longest_wait(attempts: Sequence[Request], since: float) -> float | None:
    """Find the longest time without a successful response, for one who wants one.

    Args:
        attempts: Those of one customer, in order.
        since: When the fault was injected; attempts that ended before do not count.

    Returns:
        Seconds from the first attempt that failed to the end of the next one that succeeded, or of
        the last one of all; None if none failed.
    """
    longest: float | None = None
    failing: float | None = None
    for each in attempts:
        if each.answered_at < since:
            continue
        if not each.ok and failing is None:
            failing = each.sent_at
        if failing is not None:
            longest = max(longest or 0.0, each.answered_at - failing)
        if each.ok:
            failing = None
    return longest
