"""The local AWS behind the Region endpoints."""

from __future__ import annotations

import asyncio

import h11

from sandbox.http_server import (
    LARGEST_HEAD_BYTES,
    READ_BYTES,
    Headers,
    Request,
    Response,
)

CONNECT_SECONDS = 5.0
RESPONSE_SECONDS = 30.0
"""A second more than the longest integration of a REST API.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


class UpstreamError(Exception):
    """The local AWS has not sent a response; the message says why."""


class Upstream:
    """Sends requests to one address, each on a connection of its own: the emulator keeps none.

    Args:
        host: Loopback host.
        port: Port, plain HTTP.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    async def send(self, request: Request) -> Response:
        """Send one request.

        Args:
            request: As it shall arrive; `Content-Length` announces its body.

        Returns:
            The final response, without the headers of the connection.

        Raises:
            UpstreamError: There is none.
            TimeoutError: There was none within `RESPONSE_SECONDS`.
        """
        async with asyncio.timeout(RESPONSE_SECONDS):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(self.host, self.port)
            except OSError as error:
                raise UpstreamError(f"no connection: {error.strerror or error}") from error
            try:
                return await _exchange(reader, writer, request)
            except (OSError, h11.ProtocolError) as error:
                raise UpstreamError(f"the connection broke: {error}") from error
            finally:
                writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
) -> Response:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD_BYTES)
    body = request.body or b""
    head = h11.Request(
        method=request.method,
        target=request.target,
        headers=_framed(end_to_end(request.headers), body),
    )
    sent = [connection.send(head)]
    if body:
        sent.append(connection.send(h11.Data(data=body)))
    sent.append(connection.send(h11.EndOfMessage()))
    writer.write(b"".join(filter(None, sent)))
    await writer.drain()
    return await _response(connection, reader, request.method)


async def _response(
    connection: h11.Connection, reader: asyncio.StreamReader, method: bytes
) -> Response:
    head: h11.Response | None = None
    body: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and head:
            content = b"".join(body)
            headers = end_to_end(tuple(head.headers.raw_items()))
            if method != b"HEAD" and head.status_code not in (204, 304):
                headers = tuple(_framed(headers, content, always=True))
            return Response(head.status_code, headers, content, bytes(head.reason))
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError(f"{type(event).__name__} instead of a response")


def end_to_end(headers: Headers) -> Headers:
    """Leave out the headers of the connection.

    Args:
        headers: As received.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    """
    left_out = set(_HOP_BY_HOP)
    for name, value in headers:
        if name.lower() == b"connection":
            left_out |= {token.strip().lower() for token in value.split(b",")}
    return tuple((name, value) for name, value in headers if name.lower() not in left_out)


def _framed(headers: Headers, body: bytes, *, always: bool = False) -> list[tuple[bytes, bytes]]:
    announced = any(name.lower() == b"content-length" for name, _ in headers)
    if announced or not (body or always):
        return list(headers)
    return [*headers, (b"Content-Length", str(len(body)).encode())]
