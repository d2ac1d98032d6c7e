"""One listening address and its connections, which can be refused, reset or frozen.

A frozen or swallowed connection stays open for the kernel: what the client sends is acknowledged
and thrown away, and nothing is ever sent, not even the end of the connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable

from ops.errors import OpsError

HANDSHAKE_SECONDS = 10.0
CLOSING_SECONDS = 1.0

_BEGINNING_SECONDS = 0.01
_BACKLOG = 1024
_OUT_OF_FILES_SECONDS = 0.1
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_DISCARD_BYTES = 64 * 1024

HOST = "127.0.0.1"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Accepts the connections of one address.

    Args:
        address: IPv4 loopback address.
        port: Port; 0 takes a free one the first time, and keeps it.
        serve: Talks on one connection until it ends.
        context: TLS settings; None is plain TCP.
        swallows: Draws, for each connection, whether it disappears in a black hole.
    """

    def __init__(
        self,
        address: str,
        port: int,
        serve: Serve,
        *,
        context: ssl.SSLContext | None = None,
        swallows: Callable[[], bool] = lambda: False,
    ) -> None:
        self.address = address
        self.port = port
        self.accepted = 0
        self.swallowed = 0
        self._serve = serve
        self._context = context
        self._swallows = swallows
        self._socket: socket.socket | None = None
        self._connections: set[_Connection] = set()
        self._held: set[socket.socket] = set()

    @property
    def open_connections(self) -> int:
        """How many connections are open, those in a black hole too."""
        return len(self._connections) + len(self._held)

    def open(self) -> None:
        """Listen, unless it does already.

        Raises:
            OpsError: The address cannot be used.
        """
        if self._socket is None:
            self._socket = listen(self.address, self.port)
            self.port = self._socket.getsockname()[1]
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def refuse(self) -> None:
        """Stop listening, and reset every connection."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for connection in list(self._connections):
            connection.reset()
        for held in list(self._held):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._let_go(held)

    def freeze(self) -> None:
        """Draw for every open connection, and freeze those that disappear."""
        for connection in list(self._connections):
            if self._swallows() and (held := connection.freeze()):
                self._hold(held)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        tasks = [connection.task for connection in self._connections]
        self.refuse()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        """Accept what waits; called by the event loop when something does."""
        loop = asyncio.get_running_loop()
        listener = self._socket
        for _ in range(_BACKLOG):
            if listener is None or listener is not self._socket:
                return
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No file descriptor is left: the event loop would call again at once.
                loop.remove_reader(listener)
                loop.call_later(_OUT_OF_FILES_SECONDS, self._listen_again, listener)
                return
            client.setblocking(False)
            self.accepted += 1
            if self._swallows():
                self._hold(client)
            else:
                self._connections.add(
                    _Connection(client, self._serve, self._context, self._connections.discard)
                )

    def _listen_again(self, listener: socket.socket) -> None:
        if listener is self._socket:
            asyncio.get_running_loop().add_reader(listener, self._accept)

    def _hold(self, client: socket.socket) -> None:
        self.swallowed += 1
        self._held.add(client)
        asyncio.get_running_loop().add_reader(client, self._discard, client)

    def _discard(self, client: socket.socket) -> None:
        try:
            if client.recv(_DISCARD_BYTES):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._let_go(client)

    def _let_go(self, client: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(client)
        self._held.discard(client)
        client.close()


class _Connection:
    """One accepted connection and the task that serves it."""

    def __init__(
        self,
        client: socket.socket,
        serve: Serve,
        context: ssl.SSLContext | None,
        ended: Callable[[_Connection], None],
    ) -> None:
        self._client = client
        self._serve = serve
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._run())
        self.task.add_done_callback(lambda _: ended(self))

    def reset(self) -> None:
        """End it with a reset."""
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._stop()

    def freeze(self) -> socket.socket | None:
        """End the serving but not the connection.

        Returns:
            The connection, still open; None when it has ended already.
        """
        try:
            # A second descriptor: the client does not notice that the first one is closed.
            held = self._client.dup()
        except OSError:
            return None
        self._stop()
        return held

    def _stop(self) -> None:
        if self._transport:
            self._transport.abort()
            self.task.cancel()
        else:
            # A handshake that has not begun cannot be ended: give it the time to begin.
            self._loop.call_later(_BEGINNING_SECONDS, self.task.cancel)

    async def _run(self) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        tls = self._context is not None
        try:
            self._transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol,
                self._client,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
                ssl_shutdown_timeout=CLOSING_SECONDS if tls else None,
            )
        except OSError:
            self._client.close()
            return
        writer = asyncio.StreamWriter(self._transport, protocol, reader, self._loop)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._serve(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        finally:
            self._transport.abort()


def listen(address: str, port: int) -> socket.socket:
    """Open a listening socket.

    Args:
        address: IPv4 loopback address.
        port: TCP port; 0 takes a free one.

    Raises:
        OpsError: Something else listens there, or this machine has no such address.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((address, port))
        server.listen(_BACKLOG)
    except OSError as error:
        server.close()
        raise OpsError(
            f"{address}:{port} cannot be used: {error.strerror}",
            next_step=_next_step(error.errno, address),
        ) from error
    server.setblocking(False)
    return server


def _next_step(number: int | None, address: str) -> str:
    if number == errno.EADDRNOTAVAIL:
        # macOS gives the loopback interface 127.0.0.1 alone; Linux gives it all of 127.0.0.0/8.
        alias = (
            f"sudo ifconfig lo0 alias {address}"
            if sys.platform == "darwin"
            else f"sudo ip address add {address}/8 dev lo"
        )
        return f"give this machine the address: {alias}"
    return "end the program that listens there, or choose another port"


def port_number(text: str, *, least: int = 0) -> int:
    """Read a port from a command line.

    Args:
        text: The argument.
        least: The least port; 0 means a free one.

    Raises:
        argparse.ArgumentTypeError: It is not a port.
    """
    if not text.isdecimal() or not least <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from {least} to 65535, got {text!r}")
    return int(text)
