"""Between API Gateway and the operations: events in, answers out.

The only place that gives an error its HTTP status. Failures are described as RFC 9457 problem
documents; a failure that nobody foresaw says nothing about itself but the id to quote, under which
the log has one line of JSON. No payload, no header and no key of a customer is logged.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
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
)

_PROBLEMS: Final[dict[type[WeatherError], tuple[int, str]]] = {
    InvalidRequest: (400, "Invalid request"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    UnsupportedMediaType: (415, "Unsupported media type"),
    Unavailable: (503, "Unavailable"),
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
    """

    status: int
    document: Mapping[str, object] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

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
    operation: Callable[[Request], Response],
) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """Make a Lambda handler of an operation.

    Args:
        operation: Answers a request, or raises.

    Returns:
        A handler that answers every event and never raises: a `WeatherError` becomes the problem
        document of its status, any other exception a 500.
    """

    @wraps(operation)
    def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        request_id = str((event.get("requestContext") or {}).get("requestId", "unknown"))
        try:
            response = operation(Request.from_event(event))
        except WeatherError as error:
            response = _describe(error, request_id)
        except Exception as error:
            _log(request_id, "error", error, notes=getattr(error, "__notes__", []))
            response = _problem(
                500,
                "Internal error",
                "The request could not be served. Please quote the instance when you report it.",
                request_id,
            )
        return response.to_proxy_result()

    return handler


def _describe(error: WeatherError, request_id: str) -> Response:
    """Write the answer to an error of the family."""
    status, title = _PROBLEMS[type(error)]
    if isinstance(error, InvalidRequest):
        faults = [fault._asdict() for fault in error.faults]
        return _problem(status, title, error.detail, request_id, errors=faults)
    if isinstance(error, Unavailable):
        _log(request_id, "warning", error, notes=[error.cause])
        retry_after = {"Retry-After": str(error.retry_after_seconds)}
        return _problem(status, title, error.detail, request_id, headers=retry_after)
    return _problem(status, title, error.detail, request_id)


def _problem(
    status: int,
    title: str,
    detail: str,
    request_id: str,
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
            "instance": f"urn:weather:request:{request_id}",
            **extensions,
        },
        headers or {},
        "application/problem+json",
    )


def _log(request_id: str, level: str, error: Exception, *, notes: Sequence[str]) -> None:
    """Write one line of JSON about an error.

    The messages of exceptions stay out of it, for they may quote the payload; where it happened
    and notes of our own are enough to find the cause.
    """
    frames = traceback.extract_tb(error.__traceback__)
    line = {
        "level": level,
        "request_id": request_id,
        "region": region(),
        "error": type(error).__name__,
        "notes": list(notes),
        "trace": [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames],
    }
    print(json.dumps(line), flush=True)
