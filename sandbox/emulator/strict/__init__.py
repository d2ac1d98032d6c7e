"""Refuses what AWS refuses: requests that do not fit the service's model.

MiniStack takes nearly everything. Here each signed request of Terraform, the operator's tool and
the functions is checked against botocore's model of the service before MiniStack sees it: unknown
and missing members, types, lengths, ranges, patterns and enumerations. What does not fit is refused
with the service's own error, and nothing has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from botocore.serialize import CBORSerializer
from moto.core.serialize import get_serializer_class

from sandbox.emulator import read_body
from sandbox.emulator.strict.constraints import violations
from sandbox.emulator.strict.requests import CBOR, Call, read, service_of

ERROR_CODES = {
    "apigateway": "BadRequestException",
    "cloudwatch": "ValidationError",
    "iam": "ValidationError",
    "lambda": "InvalidParameterValueException",
    "route53": "InvalidInput",
    "s3": "InvalidRequest",
    "sns": "InvalidParameter",
    "sts": "ValidationError",
}
"""`{service: code of the error}` where it is not `ValidationException`.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that is being served."""
_log = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]


class InvalidCallError(Exception):
    """A call that its service refuses.

    Args:
        call: The call.
        found: What does not fit, as `(path, constraint)`.
    """

    def __init__(self, call: Call, found: Iterable[tuple[str, str]]) -> None:
        found = list(found)
        self.code = ERROR_CODES.get(call.service, "ValidationException")
        errors = f"{len(found)} validation error{'s' * (len(found) > 1)} detected"
        self.message = f"{errors}: " + "; ".join(f"{path} {what}" for path, what in found)
        super().__init__(self.message)


class StrictServices:
    """MiniStack behind the checks.

    Args:
        application: MiniStack's ASGI application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", ())
        }
        service = service_of(headers, scope.get("query_string", b""))
        if scope["type"] != "http" or not service:
            await self._application(scope, receive, send)
            return
        body = await read_body(receive)
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        call = read(service, scope["method"], target, headers, body)
        current_call.set(call)
        error = check(call) if call else None
        if call and error:
            _log.warning("%s.%s refused: %s", call.service, call.operation.name, error)
            await _respond(send, *_response(call, error))
        else:
            await self._application(scope, _again(body, receive), send)


def check(call: Call) -> InvalidCallError | None:
    """Check a call against the model of its service.

    Args:
        call: The call.

    Returns:
        The error that refuses it; None if it fits.
    """
    found = list(call.violations)
    if call.operation.input_shape is not None:
        found += violations(call.operation.input_shape, call.parameters)
    return InvalidCallError(call, found) if found else None


def _response(call: Call, error: InvalidCallError) -> tuple[int, bytes, Mapping[str, str]]:
    if call.protocol == CBOR:
        item = bytearray()
        CBORSerializer()._serialize_data_item(
            item, {"__type": error.code, "message": error.message}, None
        )
        return 400, bytes(item), {"Smithy-Protocol": "rpc-v2-cbor"}
    serializer = get_serializer_class(call.service, call.protocol)(call.operation)
    response = serializer.serialize(error)
    content = response["body"]
    body = content.encode() if isinstance(content, str) else content
    return 400, body, response["headers"]


async def _respond(send: Any, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    given.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


def _again(body: bytes, receive: Any) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    """Give the body once more, and then what follows it."""
    given = False

    async def receive_again() -> Mapping[str, Any]:
        nonlocal given
        if given:
            return dict(await receive())
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
