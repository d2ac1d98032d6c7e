"""A client that outlasts the loss of an AWS Region: copy this file; it needs urllib3 2 only.

    client = RegionalClient.discover(
        "https://weather.example.com/v1", headers={"x-api-key": os.environ["WEATHER_API_KEY"]}
    )
    print(client.request("GET", "/weather/amsterdam").json())

It calls the common name, which DNS fails over within minutes. What fails there is repeated at once
by the own name of a Region that has not failed, and later requests go there first, until the
common name is tried again.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import urllib3

ATTEMPT_SECONDS = 1.0
"""Longest time for one attempt: DNS, connection, TLS, and the whole response."""
ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0
"""A retry waits for a random time from 0 to the first wait, doubled with each retry up to this."""
LONGEST_RETRY_AFTER_SECONDS = 5.0
"""A 429 that asks for a longer wait, as one of an exhausted quota does, is returned."""
RECOVERY_SECONDS = 30.0
"""How long a Region that failed is avoided."""
FAILURES = frozenset({500, 502, 503, 504})
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

Headers = Mapping[str, str] | Callable[[str, str, bytes | None], Mapping[str, str]]


class RegionalClient:
    """Calls an API by its common name, or by the Regions' own names. Threads may share it.

    Args:
        common: URL that DNS fails over; None to call the Regions by their own names only, as a
            publisher who signs for a Region does.
        regions: `{region: URL}` of the Regions' own names, the first choice first.
        headers: Headers of every request; or what makes them of method, URL and body, such as a
            signature, for each attempt.
        http: Connection pools, for other TLS or proxy settings than the system's.
        attempt_seconds: Longest time for one attempt.
        recovery_seconds: How long a Region that failed is avoided.
    """

    def __init__(
        self,
        common: str | None,
        regions: Mapping[str, str],
        *,
        headers: Headers | None = None,
        http: urllib3.PoolManager | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
        recovery_seconds: float = RECOVERY_SECONDS,
    ) -> None:
        self._servers = [*([common] if common else []), *regions.values()]
        self._region = {url: region for region, url in regions.items()}
        """Region of each server; that of the common name is learned from its responses."""
        if common:
            self._region[common] = next(iter(regions), "")
        self._headers = headers or {}
        self._http = http or urllib3.PoolManager(maxsize=32)
        self._attempt_seconds, self._recovery_seconds = attempt_seconds, recovery_seconds
        self._avoided: dict[str, float] = {}
        """Until when each server of a Region that failed is avoided."""
        self._lock = threading.Lock()
        # urllib3's timeouts are those of one address and one read. Waiting for a thread is what
        # limits an attempt, however many addresses the name has.
        self._threads = ThreadPoolExecutor(max_workers=256, thread_name_prefix="attempt")

    @classmethod
    def discover(
        cls, common: str, *, headers: Headers | None = None, http: urllib3.PoolManager | None = None
    ) -> "RegionalClient":
        """Read the Regions' own names from the API's OpenAPI document, once.

        Args:
            common: URL that DNS fails over.
            headers: As for the client.
            http: As for the client.

        Raises:
            RuntimeError: The API does not serve the document.
            urllib3.exceptions.HTTPError, TimeoutError: There is no response.
        """
        response = cls(common, {}, http=http).request("GET", "/openapi.json")
        if response.status != 200:
            raise RuntimeError(f"{common}/openapi.json: status {response.status}, expected 200")
        common, *own = (server["url"] for server in response.json()["servers"])
        regions = {str(urlsplit(url).hostname).split(".")[0]: url for url in own}
        return cls(common, regions, headers=headers, http=http)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, repeat: bool | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and repeat it elsewhere after a failure.

        Args:
            method: HTTP method.
            path: What follows the URL of a server.
            body: Request body.
            repeat: Whether it may be repeated; by default, if its method is idempotent.

        Returns:
            The last response, whatever its status.

        Raises:
            urllib3.exceptions.HTTPError, TimeoutError: The last attempt got no response.
        """
        retries = ATTEMPTS - 1 if (method in IDEMPOTENT if repeat is None else repeat) else 0
        server, retry = "", 0
        while True:
            server = server or self._choose()
            # Full jitter: clients that failed together do not return together.
            wait = random.uniform(0, min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**retry))
            try:
                response = self._send(method, server, path, body)
            except (urllib3.exceptions.HTTPError, TimeoutError):
                if retry == retries:
                    raise
                server = ""
            else:
                if response.status == 429:
                    wait += urllib3.Retry().get_retry_after(response) or 0
                elif response.status in FAILURES:
                    server = ""
                else:
                    return response
                if retry == retries or wait > LONGEST_RETRY_AFTER_SECONDS:
                    return response
            time.sleep(wait)
            retry += 1

    def _send(
        self, method: str, server: str, path: str, body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        url, headers = server + path, self._headers
        attempt = self._threads.submit(
            self._http.request,
            method,
            url,
            body=body,
            headers=headers(method, url, body) if callable(headers) else headers,
            timeout=self._attempt_seconds,
            retries=False,
        )
        try:
            response = attempt.result(self._attempt_seconds)
        except (urllib3.exceptions.HTTPError, TimeoutError):
            self._failed(server)
            raise
        with self._lock:
            self._region[server] = response.headers.get("X-Served-By-Region", self._region[server])
            if response.status not in FAILURES:
                for each in self._of_same_region(server):
                    self._avoided.pop(each, None)
        if response.status in FAILURES:
            self._failed(server)
        return response

    def _choose(self) -> str:
        with self._lock:
            now = time.monotonic()
            free = [server for server in self._servers if self._avoided.get(server, 0) <= now]
            # If all are avoided, the one that failed first; a Region's own name before the common.
            server = (
                free[0] if free else min(reversed(self._servers), key=self._avoided.__getitem__)
            )
            if server in self._avoided:
                self._avoid(server)  # others still do, until it has served this request
            return server

    def _failed(self, server: str) -> None:
        with self._lock:
            self._avoid(server)
        # A connection that stays open stays in its Region, whatever DNS says of the name now.
        self._http.clear()

    def _avoid(self, server: str) -> None:
        until = time.monotonic() + self._recovery_seconds
        self._avoided |= dict.fromkeys(self._of_same_region(server), until)

    def _of_same_region(self, server: str) -> list[str]:
        return [each for each in self._servers if self._region[each] == self._region[server]]
