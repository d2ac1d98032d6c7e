"""Faults of tables in the local AWS, for the Region endpoints' fault-injection API.

    POST /_local/faults       inject an `InjectedFault`; 201 or 400
    DELETE /_local/faults     clear all; DELETE /_local/faults/{id} clears one
    GET /_local/replication   what has not arrived yet, as `ops.fault_injection.Direction`

A table fails for Lambda functions only, in the Region that their signature names: operators see
what happened while the functions fail. Functions are recognized by `AWS_EXECUTION_ENV`, which every
SDK puts into its user agent.

Paused replication fails no request: writes arrive when the fault is cleared, as those of an
isolated replica do.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from ops.fault_injection import PARTITION, REPLICATION, REPLICATION_PAUSED, Fault, InjectedFault
from sandbox.emulator import FAULTS_PATH, REPLICATION_PATH, read_body
from sandbox.emulator.replication import ReplicatedTables

TIMEOUT = "timeout"
HANG_SECONDS = 60.0
EXECUTION_ENVIRONMENT = "AWS_Lambda_python3.13"

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/dynamodb/aws4_request")
_ERRORS = {
    "InternalServerError": (
        500,
        "The request processing has failed because of an unknown error.",
    ),
    "ProvisionedThroughputExceededException": (
        400,
        "The level of configured provisioned throughput for the table was exceeded.",
    ),
    "ThrottlingException": (400, "Rate of requests exceeds the allowed throughput."),
    "AccessDeniedException": (400, "User is not authorized to perform this action."),
}
"""HTTP status and message of DynamoDB's errors.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

Scope = Mapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class FaultyServices:
    """MiniStack behind the injected faults.

    Args:
        application: MiniStack's ASGI application.
        tables: Its global tables.
    """

    def __init__(self, application: Application, tables: ReplicatedTables) -> None:
        self._application, self._tables = application, tables
        self._injected: dict[str, InjectedFault] = {}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif scope["path"] == FAULTS_PATH or scope["path"].startswith(f"{FAULTS_PATH}/"):
            await self._control(scope, receive, send)
        elif (scope["method"], scope["path"]) == ("GET", REPLICATION_PATH):
            directions = [asdict(each) for each in self._tables.pending()]
            await _respond(send, 200, {"directions": directions})
        elif (error := self._error_of(scope)) is None:
            await self._application(scope, receive, send)
        elif error == TIMEOUT:
            await asyncio.sleep(HANG_SECONDS)
        else:
            status, message = _ERRORS[error]
            body = {"__type": f"com.amazonaws.dynamodb.v20120810#{error}", "message": message}
            await _respond(send, status, body, b"application/x-amz-json-1.0")

    def _error_of(self, scope: Scope) -> str | None:
        if not self._injected:
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        signed = _SCOPE.search(headers.get(b"authorization", ""))
        if signed is None or "exec-env/AWS_Lambda" not in headers.get(b"user-agent", ""):
            return None
        errors = (
            injected.fault.error
            for injected in self._injected.values()
            if injected.fault.region == signed["region"] and not _paused(injected.fault)
        )
        return next(errors, None)

    async def _control(self, scope: Scope, receive: Any, send: Any) -> None:
        id = scope["path"].removeprefix(FAULTS_PATH).strip("/")
        content_type = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0]
        match scope["method"], id:
            case "POST", "" if content_type != b"application/json":
                # A web page cannot send JSON without a preflight request.
                await _respond(send, 415, {"message": "content-type: expected application/json"})
            case "POST", "":
                try:
                    injected = InjectedFault.from_json(json.loads(await read_body(receive)))
                except (ValueError, KeyError, TypeError) as error:
                    await _respond(send, 400, {"message": f"not a fault: {error!r}"})
                    return
                self._injected[injected.id] = injected
                if ways := _paused(injected.fault):
                    self._tables.pause(injected.id, ways)
                await _respond(send, 201, injected.to_json())
            case "DELETE", _ if not id or id in self._injected:
                for each in [id] if id else list(self._injected):
                    del self._injected[each]
                    self._tables.resume(each)
                await _respond(send, 200, {})
            case _:
                await _respond(send, 404, {"message": f"no {scope['method']} {scope['path']}"})


def install(application: Application, tables: ReplicatedTables) -> FaultyServices:
    """Put the faults before MiniStack, and mark its functions' requests.

    Args:
        application: MiniStack's ASGI application.
        tables: Its global tables.

    Returns:
        The application to serve.
    """
    os.environ["AWS_EXECUTION_ENV"] = EXECUTION_ENVIRONMENT
    return FaultyServices(application, tables)


def _paused(fault: Fault) -> tuple[tuple[str | None, str | None], ...]:
    """The directions of replication that a fault pauses, as `Replication.pause` takes them."""
    if fault.kind == PARTITION:
        return (fault.region, None), (None, fault.region)
    if fault.kind == REPLICATION_PAUSED or fault.error == REPLICATION:
        return ((fault.region, fault.target),)
    return ()


async def _respond(
    send: Any, status: int, body: Any, content_type: bytes = b"application/json"
) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", content_type), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
