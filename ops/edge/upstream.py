"""The local AWS behind the edges: requests go on to it over connections that are kept."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import h11

from ops.edge.conversation import LARGEST_HEAD_BYTES, READ_BYTES, Answer, Headers, Request

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""A second more than the longest integration of a REST API.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""
KEPT_IDLE_SECONDS = 30.0

_SAFE_TO_REPEAT = {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"}
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
    """The local AWS does not answer as HTTP asks; the message says how."""


class Upstream:
    """Sends requests to one address, and keeps the connections that can be used again.

    Args:
        host: Loopback host.
        port: Port, plain HTTP.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: list[_Line] = []

    async def send(self, request: Request) -> Answer:
        """Sends one request.

        Args:
            request: As it shall arrive; its body is announced by `Content-Length`.

        Returns:
            The final answer, without the headers that are of the connection only.

        Raises:
            UpstreamError: No answer is to be had.
            TimeoutError: None came within `ANSWER_SECONDS`.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            line = self._kept()
            if line and request.method in _SAFE_TO_REPEAT:
                try:
                    return await self._exchange(line, request)
                except UpstreamError:
                    # It may have been closed while it was idle: once more, on a new one.
                    line = None
            return await self._exchange(line or await self._connect(), request)

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.is_usable():
                return line
            line.close()
        return None

    async def _connect(self) -> _Line:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise UpstreamError(f"no connection: {error.strerror or error}") from error
        return _Line(
            reader, writer, h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD_BYTES)
        )

    async def _exchange(self, line: _Line, request: Request) -> Answer:
        try:
            answer = await line.exchange(request)
            kept = line.begins_anew()
        except (OSError, h11.ProtocolError) as error:
            line.close()
            if isinstance(error, TimeoutError):
                raise
            raise UpstreamError(f"the connection broke: {error}") from error
        except BaseException:
            line.close()
            raise
        if kept:
            self._idle.append(line)
        else:
            line.close()
        return answer


@dataclass
class _Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: h11.Connection
    idle_since: float = 0.0

    def is_usable(self) -> bool:
        fresh = time.monotonic() - self.idle_since < KEPT_IDLE_SECONDS
        return fresh and not self.reader.at_eof() and not self.writer.is_closing()

    def begins_anew(self) -> bool:
        if self.connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return False
        self.connection.start_next_cycle()
        self.idle_since = time.monotonic()
        return True

    def close(self) -> None:
        self.writer.transport.abort()

    async def exchange(self, request: Request) -> Answer:
        body = request.body or b""
        head = h11.Request(
            method=request.method,
            target=request.target,
            headers=_framed(end_to_end(request.headers), body),
        )
        sent = [self.connection.send(head)]
        if body:
            sent.append(self.connection.send(h11.Data(data=body)))
        sent.append(self.connection.send(h11.EndOfMessage()))
        self.writer.write(b"".join(filter(None, sent)))
        await self.writer.drain()
        return await self._answer(request.method)

    async def _answer(self, method: bytes) -> Answer:
        head: h11.Response | None = None
        body: list[bytes] = []
        while True:
            event = self.connection.next_event()
            if event is h11.NEED_DATA:
                self.connection.receive_data(await self.reader.read(READ_BYTES))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head:
                content = b"".join(body)
                headers = end_to_end(tuple(head.headers.raw_items()))
                if method != b"HEAD" and head.status_code not in (204, 304):
                    headers = tuple(_framed(headers, content, always=True))
                return Answer(head.status_code, headers, content, bytes(head.reason))
            elif not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError(f"{type(event).__name__} instead of an answer")


def end_to_end(headers: Headers) -> Headers:
    """Leaves out the headers that are of one connection only.

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
