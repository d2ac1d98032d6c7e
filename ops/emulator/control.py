"""A client of the faults of AWS services in the local AWS."""

from __future__ import annotations

import json
from typing import Any

import urllib3

from ops.emulator.faults import PATH, ServiceFault
from ops.errors import ExitCode, OpsError


class ServiceFaults:
    """Breaks and mends the services of one local AWS.

    Args:
        url: Where it answers, like `http://127.0.0.1:4566`.
        timeout_seconds: Longest wait for an answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(timeout=timeout_seconds, retries=False)

    def inject(self, service: str, region: str, error: str) -> ServiceFault:
        """Breaks a service in one Region.

        Args:
            service: Like `dynamodb`.
            region: The Region.
            error: What becomes of requests, or `replication`.

        Raises:
            OpsError: It cannot be injected, or the local AWS does not answer.
        """
        given = {"service": service, "region": region, "error": error}
        return ServiceFault(**self._call("POST", "", given))

    def faults(self) -> tuple[ServiceFault, ...]:
        """What is injected now.

        Raises:
            OpsError: The local AWS does not answer.
        """
        return tuple(ServiceFault(**fault) for fault in self._call("GET", "")["faults"])

    def mend(self, id: str) -> None:
        """Mends one fault.

        Args:
            id: That of the fault.

        Raises:
            OpsError: There is none, or the local AWS does not answer.
        """
        self._call("DELETE", f"/{id}")

    def mend_all(self) -> tuple[ServiceFault, ...]:
        """Mends everything.

        Returns:
            What was injected.

        Raises:
            OpsError: The local AWS does not answer.
        """
        return tuple(ServiceFault(**fault) for fault in self._call("DELETE", "")["faults"])

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            response = self._pool.request(
                method,
                self.url + PATH + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            data: dict[str, Any] = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise OpsError(
                f"the local AWS at {self.url} tells nothing of its faults: {error}",
                next_step="start it anew: python -m ops local down, and up again",
            ) from error
        if response.status >= 400:
            raise OpsError(
                f"the local AWS refuses {method} {PATH}{path}: {data.get('message')}",
                next_step="mend what is named above and try again",
                exit_code=ExitCode.USAGE,
            )
        return data
