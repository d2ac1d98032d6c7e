"""A DNS server over UDP and TCP on one loopback port.

Source: https://www.rfc-editor.org/rfc/rfc1035 (section 4.2)
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from typing import Any

from ops.errors import OpsError
from sandbox.route53.wire import Resolve, respond

IDLE_SECONDS = 10.0
LONGEST_QUERY_BYTES = 4096
"""Far more than a resolver sends, and less than the first two letters of an HTTP request mean."""
_FREE_PORT_ATTEMPTS = 20


class DnsServer:
    """Answers on UDP and TCP until closed.

    Args:
        resolve: Gives the answer to one question.
    """

    def __init__(self, resolve: Resolve) -> None:
        """Open nothing; `start` does."""
        self._resolve = resolve
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: A loopback address.
            port: The port for both protocols; 0 picks one that both have free.

        Raises:
            OpsError: Another program listens there.
        """
        for _ in range(1 if port else _FREE_PORT_ATTEMPTS):
            try:
                await self._open(host, port)
            except OSError as error:
                await self.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return
        raise OpsError(
            f"{host}:{port} cannot be used: {os.strerror(errno.EADDRINUSE)}",
            next_step="end the program that listens there, or choose another --dns-port",
        )

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._udp:
            self._udp.close()
            self._udp = None
        if self._tcp:
            self._tcp.close()
            self._tcp = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _open(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._resolve), local_addr=(host, port)
        )
        self.port = self._udp.get_extra_info("sockname")[1]
        self._tcp = await asyncio.start_server(self._serve, host, self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the messages of one connection, each after its two-byte length."""
        task = asyncio.current_task()
        if task:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    if length > LONGEST_QUERY_BYTES:
                        break
                    query = await reader.readexactly(length)
                response = respond(query, over_udp=False, resolve=self._resolve)
                if response is None:
                    break
                writer.write(len(response).to_bytes(2) + response)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """One response datagram for each query datagram."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = respond(data, over_udp=True, resolve=self._resolve)
        if response is not None and self._transport:
            self._transport.sendto(response, addr)
