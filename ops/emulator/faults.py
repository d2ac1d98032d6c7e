"""Faults of AWS services that can be injected into the local AWS, over its own port.

    GET /_local/faults        what is injected now
    POST /_local/faults       inject {"service": "dynamodb", "region": R, "error": E}; 201 or 400
    DELETE /_local/faults     mend all; DELETE /_local/faults/{id} mends one

An error befalls the requests of Lambda functions only, in the Region that their signature names:
operators see what happened while the functions fail. Functions are told by `AWS_EXECUTION_ENV`,
which every SDK puts into its user agent. The error `replication` breaks no request: what is written
in that Region stays there until it is mended, and is then copied, as a replica catches up.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ops.emulator.corrections.replacing import module, replace

PATH = "/_local/faults"
SERVICES = ("dynamodb",)
STATUSES = {
    "InternalServerError": 500,
    "ProvisionedThroughputExceededException": 400,
    "ThrottlingException": 400,
    "AccessDeniedException": 400,
}
TIMEOUT = "timeout"
REPLICATION = "replication"
ERRORS = (*STATUSES, TIMEOUT, REPLICATION)
HANG_SECONDS = 60.0
EXECUTION_ENVIRONMENT = "AWS_Lambda_python3.13"

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_MESSAGES = {
    "InternalServerError": "The request processing has failed because of an unknown error.",
    "ProvisionedThroughputExceededException": "The level of configured provisioned throughput "
    "for the table was exceeded.",
    "ThrottlingException": "Rate of requests exceeds the allowed throughput.",
    "AccessDeniedException": "User is not authorized to perform this action.",
}

Scope = Mapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class FaultError(ValueError):
    """A fault that cannot be injected; the message says why."""


@dataclass(frozen=True)
class ServiceFault:
    """What is broken.

    Attributes:
        id: By which it is mended.
        service: One of `SERVICES`.
        region: The Region in which it fails.
        error: One of `ERRORS`.
    """

    id: str
    service: str
    region: str
    error: str

    @classmethod
    def from_json(cls, data: Any) -> ServiceFault:
        """Reads and checks a fault.

        Args:
            data: Decoded JSON.

        Raises:
            FaultError: It cannot be injected.
        """
        names = ("service", "region", "error")
        if not isinstance(data, dict) or set(data) != set(names):
            raise FaultError(f"expected an object with {', '.join(names)}, got {data!r}")
        if data["service"] not in SERVICES:
            raise FaultError(
                f"service: expected one of {', '.join(SERVICES)}, got {data['service']!r}"
            )
        if not isinstance(data["region"], str) or not _REGION.fullmatch(data["region"]):
            raise FaultError(f"region: expected one like us-east-1, got {data['region']!r}")
        if data["error"] not in ERRORS:
            raise FaultError(f"error: expected one of {', '.join(ERRORS)}, got {data['error']!r}")
        return cls(secrets.token_hex(4), data["service"], data["region"], data["error"])


class FaultyServices:
    """MiniStack behind the faults that are injected.

    Args:
        application: MiniStack's ASGI application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._injected: dict[str, ServiceFault] = {}
        self._held_back: list[tuple[str, Callable[[], None]]] = []

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif scope["path"] == PATH or scope["path"].startswith(f"{PATH}/"):
            await self._control(scope, receive, send)
        elif (error := self._error_of(scope)) is None:
            await self._application(scope, receive, send)
        elif error == TIMEOUT:
            await asyncio.sleep(HANG_SECONDS)
        else:
            body = {
                "__type": f"com.amazonaws.dynamodb.v20120810#{error}",
                "message": _MESSAGES[error],
            }
            await _answer(send, STATUSES[error], body, b"application/x-amz-json-1.0")

    def hold_back(self, region: str, copy: Callable[[], None]) -> bool:
        """Keeps a write from its other replicas while replication is broken.

        Args:
            region: Where it was written.
            copy: Copies it.

        Returns:
            Whether it is kept; otherwise the caller copies.
        """
        broken = any(f.error == REPLICATION and f.region == region for f in self._all())
        if broken:
            self._held_back.append((region, copy))
        return broken

    def _all(self) -> list[ServiceFault]:
        return list(self._injected.values())

    def _error_of(self, scope: Scope) -> str | None:
        if not self._injected:
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        signed = _SCOPE.search(headers.get(b"authorization", ""))
        if signed is None or "exec-env/AWS_Lambda" not in headers.get(b"user-agent", ""):
            return None
        for fault in self._all():
            if fault.error != REPLICATION and (fault.service, fault.region) == (
                signed["service"],
                signed["region"],
            ):
                return fault.error
        return None

    async def _control(self, scope: Scope, receive: Any, send: Any) -> None:
        id = scope["path"].removeprefix(PATH).strip("/")
        match scope["method"], id:
            case "GET", "":
                await _answer(send, 200, self._listed(self._all()))
            case "POST", "":
                headers = dict(scope["headers"])
                if headers.get(b"content-type", b"").partition(b";")[0] != b"application/json":
                    # What a web page cannot send without asking first.
                    await _answer(send, 415, {"message": "content-type: expected application/json"})
                    return
                await self._inject(await _body(receive), send)
            case "DELETE", "":
                await self._mend(self._all(), send)
            case "DELETE", _ if id in self._injected:
                await self._mend([self._injected[id]], send)
            case _:
                await _answer(send, 404, {"message": f"no {scope['method']} {scope['path']}"})

    async def _inject(self, body: bytes, send: Any) -> None:
        try:
            fault = ServiceFault.from_json(json.loads(body))
        except ValueError as error:
            await _answer(send, 400, {"message": str(error)})
            return
        self._injected[fault.id] = fault
        await _answer(send, 201, asdict(fault))

    async def _mend(self, faults: list[ServiceFault], send: Any) -> None:
        for fault in faults:
            del self._injected[fault.id]
        broken = {fault.region for fault in self._all() if fault.error == REPLICATION}
        ready = [copy for region, copy in self._held_back if region not in broken]
        self._held_back = [held for held in self._held_back if held[0] in broken]
        for copy in ready:
            copy()
        await _answer(send, 200, self._listed(faults))

    @staticmethod
    def _listed(faults: list[ServiceFault]) -> dict[str, Any]:
        return {"faults": [asdict(fault) for fault in faults]}


def install(application: Application) -> FaultyServices:
    """Puts the faults before MiniStack, and tells its functions apart from its operators.

    Args:
        application: MiniStack's ASGI application.

    Returns:
        The application to serve.
    """
    os.environ["AWS_EXECUTION_ENV"] = EXECUTION_ENVIRONMENT
    services = FaultyServices(application)
    responses = module("core.responses")

    def replicating(original: Any) -> Any:
        def replicate_write(*arguments: Any) -> None:
            account, region = responses.get_account_id(), responses.get_region()

            def copy() -> None:
                with responses.request_scope(account, region):
                    original(*arguments)

            if not services.hold_back(region, copy):
                original(*arguments)

        return replicate_write

    replace(module("services.dynamodb"), "_replicate_write", replicating)
    return services


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message: dict[str, Any] = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _answer(
    send: Any, status: int, body: Any, content_type: bytes = b"application/json"
) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", content_type), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
