"""HTTP/1.1 with one client: requests in, responses out, nothing in them rewritten.

Bodies are read whole before they are forwarded, as API Gateway does.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11

from sandbox.request_guard import refusal

Headers = tuple[tuple[bytes, bytes], ...]

LARGEST_BODY_BYTES = 10 * 1024 * 1024
LARGEST_HEAD_BYTES = 64 * 1024
IDLE_SECONDS = 60.0
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: As sent.
        target: Path and query, as sent.
        headers: Names and values in the order, and the names in the case, they were sent.
        body: All of it; None when it was larger than `LARGEST_BODY_BYTES`.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | None = b""

    @property
    def path(self) -> str:
        """The target without its query; percent-encoding untouched."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """The value of the first header of a lower-case name."""
        found = (value for key, value in self.headers if key.lower() == name)
        value = next(found, None)
        return None if value is None else value.decode("latin-1")

    def json(self) -> Any:
        """Decode the body.

        Raises:
            RequestError: It is not declared as JSON, or is not JSON.
        """
        kind = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(415, f"content-type: expected application/json, got {kind!r}")
        try:
            return json.loads(self.body or b"")
        except ValueError as error:
            raise RequestError(400, f"the body is not JSON: {error}") from error


class RequestError(Exception):
    """A request that cannot be carried out.

    Attributes:
        status: HTTP status of the response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """One response; attributes as of `Request`."""

    status: int
    headers: Headers
    body: bytes = b""
    reason: bytes = b""

    @classmethod
    def of(cls, status: int, content: Any, **headers: str) -> Response:
        """Make a response of JSON.

        Args:
            status: Its HTTP status.
            content: What is encoded.
            headers: More headers; `_` in a name becomes `-`.
        """
        body = json.dumps(content).encode()
        named = {"content-type": "application/json", **headers, "content-length": str(len(body))}
        return cls(
            status,
            tuple((k.replace("_", "-").encode(), v.encode()) for k, v in named.items()),
            body,
            HTTPStatus(status).phrase.encode(),
        )


def refuse_foreign_pages(request: Request, server: tuple[str, int]) -> Response | None:
    """Refuse what comes from a web page that is not the sandbox's own.

    Args:
        request: The request.
        server: Address and port that it arrived at.

    Returns:
        The response; None if the request may be carried out.
    """
    reason = refusal(request.headers, server)
    return Response.of(403, {"message": reason}) if reason else None


async def serve_connection(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    respond: Callable[[Request], Awaitable[Response]],
    refuse: Callable[[Request, tuple[str, int]], Response | None] = refuse_foreign_pages,
) -> None:
    """Respond to the requests of one connection, one after another, until it ends.

    Args:
        reader: What the client sends.
        writer: To the client; the caller closes it.
        respond: Gives the response to a request; may raise `RequestError`.
        refuse: Gives the response to a request that nobody may send, None for all others; also
            gets the address and port that it arrived at.
    """
    server = writer.get_extra_info("sockname")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)
    try:
        while request := await _next_request(connection, reader, writer):
            try:
                response = refuse(request, server) or await respond(request)
            except RequestError as error:
                response = Response.of(error.status, {"message": str(error)})
            await _send(connection, writer, response, with_body=request.method != b"HEAD")
            if connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                return
            connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            refusal = Response.of(error.error_status_hint, {"message": "Bad Request"})
            await _send(connection, writer, refusal, with_body=True)


async def _next_request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    too_large = False
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                writer.write(connection.send(go_on) or b"")
            async with asyncio.timeout(IDLE_SECONDS):
                connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            too_large = too_large or len(body) + len(event.data) > LARGEST_BODY_BYTES
            if not too_large:
                body += event.data
        elif isinstance(event, h11.EndOfMessage) and head:
            headers = tuple(head.headers.raw_items())
            return Request(head.method, head.target, headers, None if too_large else bytes(body))
        else:
            return None


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, response: Response, *, with_body: bool
) -> None:
    head = h11.Response(
        status_code=response.status, headers=list(response.headers), reason=response.reason
    )
    # One write for all of it: one TLS record for a small response.
    sent = [connection.send(head)]
    if with_body and response.body:
        sent.append(connection.send(h11.Data(data=response.body)))
    sent.append(connection.send(h11.EndOfMessage()))
    writer.write(b"".join(filter(None, sent)))
    await writer.drain()
