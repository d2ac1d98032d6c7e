"""The few calls a second that API Gateway takes of those who manage APIs: `--throttled`.

Nobody can have these quotas raised, and an apply of one environment is far above them. What is over
a quota gets 429, and whoever called must try again. By default the emulator takes every call, as
tests and drills would wait for nothing else.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.strict import Application, current_call
from sandbox.emulator.strict.requests import CREDENTIAL


@dataclass(frozen=True)
class Rate:
    """A quota.

    Attributes:
        per_second: Calls a second.
        burst: Calls at once.
    """

    per_second: float
    burst: int = 1


TOTAL = Rate(10, 40)
"""Of all calls together."""
RATES = {
    "CreateApiKey": Rate(5, 5),
    "CreateDeployment": Rate(1 / 5),
    "CreateDomainName": Rate(1 / 30),
    "CreateResource": Rate(5, 5),
    "CreateRestApi": Rate(1 / 3),
    "DeleteApiKey": Rate(5, 5),
    "DeleteDomainName": Rate(1 / 30),
    "DeleteResource": Rate(5, 5),
    "DeleteRestApi": Rate(1 / 30),
    "GetResources": Rate(5 / 2, 5),
    "UpdateAccount": Rate(1 / 20),
    "UpdateDomainName": Rate(1 / 30),
    "UpdateUsagePlan": Rate(1 / 20),
}
"""`{operation: its quota}` of an account in a Region; others have only the total."""
_log = logging.getLogger(__name__)


class Quotas:
    """What is left of the quotas, as token buckets.

    Args:
        clock: Seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, owner: str, operation: str) -> bool:
        """Count a call, unless it is over a quota.

        Args:
            owner: Account and Region.
            operation: The operation of API Gateway.

        Returns:
            Whether the call may be served.
        """
        now = self._clock()
        rates = {"": TOTAL} | ({operation: RATES[operation]} if operation in RATES else {})
        left = {}
        for name, rate in rates.items():
            tokens, since = self._left.get((owner, name), (rate.burst, now))
            left[name] = min(rate.burst, tokens + (now - since) * rate.per_second)
        taken = min(left.values()) >= 1
        for name, tokens in left.items():
            self._left[owner, name] = (tokens - taken, now)
        return taken


class ThrottledServices:
    """MiniStack behind the quotas; itself behind the check of requests, which reads them.

    Args:
        application: MiniStack's ASGI application.
        quotas: The quotas.
    """

    def __init__(self, application: Application, quotas: Quotas | None = None) -> None:
        self._application = application
        self._quotas = quotas or Quotas()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        call = current_call.get()
        if scope["type"] == "http" and call and call.service == "apigateway":
            authorization = dict(scope["headers"]).get(b"authorization", b"")
            signed = CREDENTIAL.search(authorization.decode("latin-1"))
            owner = f"{signed['account']} {signed['region']}" if signed else ""
            if not self._quotas.take(owner, call.operation.name):
                _log.warning("apigateway.%s throttled", call.operation.name)
                await _respond(send)
                return
        await self._application(scope, receive, send)


async def _respond(send: Any) -> None:
    body = json.dumps({"message": "Too Many Requests"}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", b"TooManyRequestsException"),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
