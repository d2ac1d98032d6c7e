"""Between API Gateway and the operations: events in, answers out.

The only place that gives an error its HTTP status. Failures are described as RFC 9457 problem
documents; a failure that nobody foresaw says nothing about itself but the id to quote, under which
the log has the rest.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final
from urllib.parse import unquote

from weather.documents import to_json
from weather.errors import (
    Conflict,
    Fault,
    InvalidRequest,
    NotFound,
    Unavailable,
    UnsupportedMediaType,
    WeatherError,
    WritesRefused,
)
from weather.telemetry import Telemetry

_PROBLEMS: Final[dict[type[WeatherError], tuple[int, str]]] = {
    InvalidRequest: (400, "Invalid request"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    UnsupportedMediaType: (415, "Unsupported media type"),
    Unavailable: (503, "Unavailable"),
    WritesRefused: (503, "Writes refused"),
}


@dataclass(frozen=True)
class Request:
    """What a customer asks, free of the ways of API Gateway.

    Attributes:
        path_parameters: Decoded, by name.
        query_parameters: Every value given for each, by name.
        headers: By name in lower case.
        body: Decoded bytes; empty if there is none.
    """

    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query_parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Request":
        """Read the event of a REST API's proxy integration (payload version 1.0).

        API Gateway decodes query parameters. Path parameters are decoded once, here: their rules
        allow no percent sign, so one that arrives decoded already means the same.

        Args:
            event: The event.

        Returns:
            The request.

        Raises:
            InvalidRequest: If a body marked as base64 is not.
        """
        path = event.get("pathParameters") or {}
        body = (event.get("body") or "").encode("utf-8", "surrogatepass")
        if event.get("isBase64Encoded"):
            try:
                body = base64.b64decode(body, validate=True)
            except ValueError:
                raise InvalidRequest(Fault("body", "must be valid base64")) from None
        return cls(
            path_parameters={name: unquote(value) for name, value in path.items()},
            query_parameters=event.get("multiValueQueryStringParameters")
            or {name: [v] for name, v in (event.get("queryStringParameters") or {}).items()},
            headers={name.lower(): v for name, v in (event.get("headers") or {}).items()},
            body=body,
        )

    def header(self, name: str) -> str | None:
        """Look a header up.

        Args:
            name: In any case.

        Returns:
            Its value, or None.
        """
        return self.headers.get(name.lower())

    def json_body(self) -> bytes:
        """Take the body of an operation that accepts JSON.

        Returns:
            The body, not parsed.

        Raises:
            UnsupportedMediaType: If the request announces another type; none at all is taken as
                JSON.
        """
        media_type = (self.header("Content-Type") or "application/json").partition(";")[0].strip()
        if media_type.lower() != "application/json":
            raise UnsupportedMediaType("The body must be sent as Content-Type application/json.")
        return self.body


@dataclass(frozen=True)
class Response:
    """What a customer is answered.

    Attributes:
        status: HTTP status code.
        document: Becomes the JSON body; text is JSON already; None for no body.
        headers: Beside `Content-Type` and `X-Served-By-Region`, which every answer has.
        content_type: Of the body.
        error: What kept the operation from success, for the log only.
    """

    status: int
    document: Mapping[str, object] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    error: Exception | None = None

    def to_proxy_result(self) -> dict[str, Any]:
        """Write the result that the proxy integration expects."""
        return {
            "statusCode": self.status,
            "headers": {
                "Content-Type": self.content_type,
                "X-Served-By-Region": region(),
                **self.headers,
            },
            "body": self._body(),
            "isBase64Encoded": False,
        }

    def _body(self) -> str:
        """Write the body."""
        if isinstance(self.document, str):
            return self.document
        return "" if self.document is None else to_json(self.document)


def region() -> str:
    """The Region this function runs in."""
    return os.environ["AWS_REGION"]


def lambda_handler(
    operation: Callable[[Request], Response], *, quiet: bool = False
) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """Make a Lambda handler of an operation, which is in a module of the same name.

    Args:
        operation: Answers a request, or raises.
        quiet: Log failures and the first request only; by default, a line for every request.

    Returns:
        A handler that answers every event and never raises: a `WeatherError` becomes the problem
        document of its status, any other exception a 500.
    """
    telemetry = Telemetry(operation.__module__, quiet=quiet)

    @wraps(operation)
    def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        started = time.perf_counter()
        request_id = str((event.get("requestContext") or {}).get("requestId", "unknown"))
        try:
            response = operation(Request.from_event(event))
            result = response.to_proxy_result()
        except Exception as error:
            response = _describe(error, request_id)
            result = response.to_proxy_result()
        telemetry.log(
            status=response.status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
            function_request_id=getattr(context, "aws_request_id", None),
            error=response.error,
        )
        return result

    return handler


def _describe(error: Exception, request_id: str) -> Response:
    """Write the answer to an error."""
    if not isinstance(error, WeatherError):
        detail = "The request could not be served. Please quote the instance when you report it."
        return _problem(500, "Internal error", detail, request_id, error)
    status, title = _PROBLEMS[type(error)]
    if isinstance(error, InvalidRequest):
        faults = [fault._asdict() for fault in error.faults]
        return _problem(status, title, error.detail, request_id, error, errors=faults)
    if isinstance(error, Unavailable | WritesRefused):
        retry_after = {"Retry-After": str(error.retry_after_seconds)}
        return _problem(status, title, error.detail, request_id, error, headers=retry_after)
    return _problem(status, title, error.detail, request_id, error)


def _problem(
    status: int,
    title: str,
    detail: str,
    request_id: str,
    error: Exception,
    *,
    headers: Mapping[str, str] | None = None,
    **extensions: object,
) -> Response:
    """Write a problem document.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """
    return Response(
        status,
        {
            "type": f"urn:weather:problem:{title.lower().replace(' ', '-')}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": f"urn:request:{request_id}",
            **extensions,
        },
        headers or {},
        "application/problem+json",
        error,
    )
