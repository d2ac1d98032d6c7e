"""A client of the edges' control API, for whoever breaks Regions on purpose."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import urllib3

from ops.edge.faults import Fault, InjectedFault
from ops.errors import ExitCode, OpsError

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class RegionCounters:
    """What one Region's edge saw since it started.

    Attributes:
        requests: Requests read.
        answered: `{status: answers}`.
        faults: `{kind: what it broke}`; for `refuse` open connections that were reset, for
            `black_hole` connections, else requests.
        connections: Connections accepted.
        open_connections: Connections open now.
    """

    requests: int
    answered: dict[int, int]
    faults: dict[str, int]
    connections: int
    open_connections: int


class EdgeControl:
    """Breaks and mends the edges of one running process.

    Args:
        url: Where its control API stands, like `http://127.0.0.1:8444`.
        timeout_seconds: Longest wait for an answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self.url = url.rstrip("/")
        # Never by way of a proxy, and never again: a fault is injected once.
        self._pool = urllib3.PoolManager(timeout=timeout_seconds, retries=False)

    def inject(self, fault: Fault) -> str:
        """Breaks something.

        Args:
            fault: What.

        Returns:
            The id by which it is mended.

        Raises:
            OpsError: It cannot be injected, or the edges do not answer.
        """
        given = {name: value for name, value in asdict(fault).items() if value is not None}
        return str(self._call("POST", "/faults", given)["id"])

    def mend(self, id: str) -> bool:
        """Mends one fault.

        Args:
            id: What `inject` gave.

        Returns:
            Whether it was injected still.

        Raises:
            OpsError: It cannot be mended, or the edges do not answer.
        """
        return bool(self._call("DELETE", f"/faults/{id}", missing={}))

    def mend_all(self) -> tuple[InjectedFault, ...]:
        """Mends everything.

        Returns:
            What was injected.

        Raises:
            OpsError: Something cannot be mended, or the edges do not answer.
        """
        return _faults(self._call("DELETE", "/faults"))

    def faults(self) -> tuple[InjectedFault, ...]:
        """What is injected now, oldest first.

        Raises:
            OpsError: The edges do not answer.
        """
        return _faults(self._call("GET", "/faults"))

    def requests(self) -> dict[str, RegionCounters]:
        """What every Region saw: `{region: counters}`.

        Raises:
            OpsError: The edges do not answer.
        """
        counters = {}
        for region, seen in self._call("GET", "/requests").items():
            answered = {int(status): count for status, count in seen["answered"].items()}
            counters[region] = RegionCounters(**{**seen, "answered": answered})
        return counters

    def regions(self) -> dict[str, str]:
        """Where every Region stands: `{region: URL}`.

        Raises:
            OpsError: The edges do not answer.
        """
        return dict(self._call("GET", "/ready")["regions"])

    def wait_until_ready(self, timeout_seconds: float = 10.0) -> dict[str, str]:
        """Waits for edges that are starting.

        Args:
            timeout_seconds: Longest wait.

        Returns:
            As `regions`.

        Raises:
            OpsError: They do not answer in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self.regions()
            except OpsError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[str]:
        """Breaks something for as long as the block runs.

        Args:
            fault: What.

        Yields:
            The fault's id.
        """
        id = self.inject(fault)
        try:
            yield id
        finally:
            self.mend(id)

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        missing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            response = self._pool.request(
                method,
                self.url + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            data: dict[str, Any] = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise OpsError(
                f"the edges at {self.url} do not answer: {error}",
                next_step="start the local API with: python -m ops local up",
            ) from error
        if response.status == 404 and missing is not None:
            return missing
        if response.status >= 400:
            raise OpsError(
                f"the edges refuse {method} {path}: {data.get('message')}",
                next_step="mend what is named above and try again",
                exit_code=ExitCode.USAGE if response.status < 409 else ExitCode.SURROUNDINGS,
            )
        return data


def _faults(data: dict[str, Any]) -> tuple[InjectedFault, ...]:
    return tuple(InjectedFault.from_json(each) for each in data["faults"])
