"""Faults of tables in the local AWS, for the Region endpoints' fault-injection API.

    POST /_local/faults       inject an `InjectedFault`; 201 or 400
    DELETE /_local/faults     clear all; DELETE /_local/faults/{id} clears one
    GET /_local/replication   what has not arrived yet, as `ops.fault_injection.Direction`
    PUT /_local/replication   {"speed": how much faster than AWS it runs, and what capacity counts}
    DELETE /_local/replication/{region}   lose what was written there and has reached no other one

A table fails for Lambda functions only, in the Region that their signature names: operators see
what happened while the functions fail. Functions are recognized by `AWS_EXECUTION_ENV`, which every
SDK puts into its user agent.

If the name of the table's endpoint does not resolve, functions do not get as far as a request:
their own look-up fails, in `function_process`.

APIs of operators (control planes) respond with 503 while they do not work, in the Region of the
fault and in us-east-1, which has those of IAM, Route 53 and the global endpoint of STS. Invocations
of functions and requests of DynamoDB are served: they are the data planes.

Paused replication fails no request: writes arrive when the fault is cleared, as those of an
isolated replica do.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/global-services.html
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

from ops.fault_injection import (
    CONTROL_KINDS,
    PARTITION,
    REPLICATION,
    REPLICATION_PAUSED,
    UNRESOLVED,
    Fault,
    InjectedFault,
)
from sandbox.emulator import FAULTS_PATH, REPLICATION_PATH, process_environment, read_body
from sandbox.emulator.capacity import in_use
from sandbox.emulator.replication import ReplicatedTables

TIMEOUT = "timeout"
HANG_SECONDS = 60.0
EXECUTION_ENVIRONMENT = "AWS_Lambda_python3.13"

GLOBAL_REGION = "us-east-1"
"""Where the control planes of IAM, Route 53 and the global endpoint of STS are."""
CONTROL_PLANES = {
    "sts": ("sts",),
    "control_plane": ("sts", "iam", "route53", "lambda", "apigateway", "monitoring"),
}
"""`{kind: names of services in signatures}`."""
assert CONTROL_PLANES.keys() == CONTROL_KINDS.keys()

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
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
        elif (scope["method"], scope["path"]) == ("PUT", REPLICATION_PATH):
            speed = json.loads(await read_body(receive))["speed"]
            self._tables.set_speed(float(speed))
            in_use.set_speed(float(speed))
            await _respond(send, 200, {"speed": speed})
        elif scope["method"] == "DELETE" and scope["path"].startswith(f"{REPLICATION_PATH}/"):
            region = scope["path"].removeprefix(f"{REPLICATION_PATH}/")
            await _respond(send, 200, {"discarded": self._tables.discard(region)})
        elif (signed := self._signed(scope)) is None:
            await self._application(scope, receive, send)
        elif self._has_no_control_plane(signed, scope["path"]):
            # Without a body, as from something before the service: every SDK takes it for a failure
            # that may pass.
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        elif (error := self._error_of(signed, scope)) is None:
            await self._application(scope, receive, send)
        elif error == TIMEOUT:
            await asyncio.sleep(HANG_SECONDS)
        else:
            status, message = _ERRORS[error]
            body = {"__type": f"com.amazonaws.dynamodb.v20120810#{error}", "message": message}
            await _respond(send, status, body, b"application/x-amz-json-1.0")

    def _signed(self, scope: Scope) -> re.Match[str] | None:
        """The scope of the signature, while a fault is injected that may concern the request."""
        if not self._injected:
            return None
        return _SCOPE.search(_header(scope, b"authorization"))

    def _has_no_control_plane(self, signed: re.Match[str], path: str) -> bool:
        return any(
            signed["region"] in (injected.fault.region, GLOBAL_REGION)
            and signed["service"] in CONTROL_PLANES.get(injected.fault.kind, ())
            for injected in self._injected.values()
        ) and not path.endswith("/invocations")

    def _error_of(self, signed: re.Match[str], scope: Scope) -> str | None:
        if signed["service"] != "dynamodb":
            return None
        if "exec-env/AWS_Lambda" not in _header(scope, b"user-agent"):
            return None
        errors = (
            injected.fault.error
            for injected in self._injected.values()
            if injected.fault.region == signed["region"]
            and injected.fault.error not in (None, UNRESOLVED)
            and not _paused(injected.fault)
        )
        return next(errors, None)

    def _resolve(self) -> None:
        """Let the name of the table's endpoint resolve for functions, or not, in each Region."""
        process_environment.set_unresolved(
            {
                injected.fault.region
                for injected in self._injected.values()
                if injected.fault.error == UNRESOLVED
            }
        )

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
                self._resolve()
                await _respond(send, 201, injected.to_json())
            case "DELETE", _ if not id or id in self._injected:
                for each in [id] if id else list(self._injected):
                    del self._injected[each]
                    self._tables.resume(each)
                self._resolve()
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


def _header(scope: Scope, name: bytes) -> str:
    found = (value for key, value in scope["headers"] if key.lower() == name)
    return next(found, b"").decode("latin-1")


async def _respond(
    send: Any, status: int, body: Any, content_type: bytes = b"application/json"
) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", content_type), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
