"""The status page's server: JSON over HTTP on loopback, read-only.

`GET /status` is the whole report; `GET /ready` is 200 once every zone has been read, else 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ops.route53.endpoints import loopback_or_reason
from ops.route53.server import PortTakenError

REQUEST_SECONDS = 5.0


class StatusServer:
    """Serves the report.

    Args:
        report: Gives the present report; its `ready` decides `/ready`.
    """

    def __init__(self, report: Callable[[], dict[str, Any]]) -> None:
        """Open nothing; `start` does."""
        self._report = report
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: A loopback address.
            port: 0 picks a free one.

        Raises:
            PortTakenError: Another program listens there.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            message = f"status port {host}:{port} is in use; choose another --status-port"
            raise PortTakenError(message) from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(self._response(head))
                await writer.drain()
        writer.close()

    def _response(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        method, _, rest = request.partition(" ")
        status, body = self._answer(method, rest.partition(" ")[0].partition("?")[0])
        content = json.dumps(body, indent=1).encode()
        origin = headers.get("origin", "")
        allow = f"Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n"
        return (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Content-Type: application/json\r\nCache-Control: no-store\r\n"
            f"{allow if _is_local(origin) else ''}"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        ).encode() + (b"" if method == "HEAD" else content)

    def _answer(self, method: str, path: str) -> tuple[HTTPStatus, dict[str, Any]]:
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, {"message": "only GET and HEAD are allowed"}
        if path == "/status":
            return HTTPStatus.OK, self._report()
        if path == "/ready":
            ready = bool(self._report()["ready"])
            code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            return code, {"ready": ready}
        return HTTPStatus.NOT_FOUND, {"message": f"no {path}; try /status or /ready"}


def _is_local(origin: str) -> bool:
    """Tell whether a page on this machine asks; no other origin may read the answer."""
    with contextlib.suppress(ValueError):
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or (bool(host) and loopback_or_reason(host) is None)
    return False
