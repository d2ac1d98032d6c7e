"""One health-checking request over the network, to loopback only.

The times and rules are those of the developer guide; nothing here remembers anything.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

from sandbox.listener import CLOSING_SECONDS, HANDSHAKE_SECONDS
from sandbox.route53.exchange import (
    BODY_BYTES,
    HEADER_BYTES,
    UnhealthyError,
    read_body,
    read_status,
    request_bytes,
)
from sandbox.route53.health import Observation
from sandbox.route53.model import HealthCheck
from sandbox.route53.targets import Target


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a checker waits.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
    """

    connect_seconds: float = 4.0
    tcp_connect_seconds: float = 10.0
    status_seconds: float = 2.0
    body_seconds: float = 2.0

    def divided(self, speed: float, floor_seconds: float = 0.25) -> Limits:
        """Shorten every limit for a sped-up run, but not below what loopback needs.

        Args:
            speed: Factor, 1 or more.
            floor_seconds: The least of the resulting limits.
        """
        return Limits(*(max(floor_seconds, value / speed) for value in astuple(self)))


async def observe(check: HealthCheck, target: Target, limits: Limits) -> Observation:
    """Send one health-checking request.

    Args:
        check: A check that watches an endpoint.
        target: The loopback address to connect to.
        limits: The longest waits.

    Returns:
        Healthy or not, and why. Never raises for anything the endpoint does.
    """
    try:
        if target.failure:
            raise UnhealthyError(target.failure)
        return Observation(True, await _pass(check, target, limits))
    except UnhealthyError as failure:
        return Observation(False, str(failure))
    except Exception as error:  # an exception would end the checker, and nobody would see it
        return Observation(False, f"connection broken: {error or type(error).__name__}")


async def _pass(check: HealthCheck, target: Target, limits: Limits) -> str:
    """Go through the steps of a check; return the reason for health or raise `UnhealthyError`."""
    tcp_only = check.type == "TCP"
    seconds = limits.tcp_connect_seconds if tcp_only else limits.connect_seconds
    async with _within(seconds, f"no TCP connection within {seconds:g} s"):
        connection = await _connect(target)
    if tcp_only:
        connection.close()
        return "TCP connection established"
    matching = "STR_MATCH" in check.type
    async with contextlib.AsyncExitStack() as stack:
        seconds = limits.status_seconds
        async with _within(seconds, f"no HTTP status within {seconds:g} s of connecting"):
            reader = await stack.enter_async_context(_request(check, connection))
            status = await read_status(reader)
        if not 200 <= status < 400:
            raise UnhealthyError(f"HTTP status {status}")
        if not matching:
            return f"HTTP status {status}"
        seconds = limits.body_seconds
        async with _within(seconds, f"no response body within {seconds:g} s of the status"):
            body = await read_body(reader)
    if (check.search_string or "").encode() not in body:
        raise UnhealthyError(
            f"HTTP status {status}, search string not in the first {BODY_BYTES} bytes"
        )
    return f"HTTP status {status}, search string found"


@contextlib.asynccontextmanager
async def _within(seconds: float, reason: str) -> AsyncIterator[None]:
    """Turn the expiry of a limit into a reason for being unhealthy."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UnhealthyError(reason) from None


async def _connect(target: Target) -> socket.socket:
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (target.address, target.port))
    except ConnectionRefusedError:
        connection.close()
        raise UnhealthyError(f"connection refused by {target.address}:{target.port}") from None
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.asynccontextmanager
async def _request(
    check: HealthCheck, connection: socket.socket
) -> AsyncIterator[asyncio.StreamReader]:
    """Start TLS where asked, send the request, and drop the connection at the end.

    The certificate is not validated; the host name goes into the handshake with EnableSNI only.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
    """
    secure = check.type.startswith("HTTPS")
    server_name = (check.enable_sni and check.domain_name) or ""
    tls: dict[str, Any] = {
        "ssl": _tls(),
        "server_hostname": server_name,
        "ssl_handshake_timeout": HANDSHAKE_SECONDS,
        "ssl_shutdown_timeout": CLOSING_SECONDS,
    }
    try:
        # From here on asyncio closes the socket, whatever happens: it may still wait for it.
        reader, writer = await asyncio.open_connection(
            sock=connection, limit=HEADER_BYTES, **(tls if secure else {})
        )
    except ssl.SSLError as error:
        raise UnhealthyError(f"TLS handshake failed: {error.reason or error}") from None
    try:
        writer.write(request_bytes(check))
        yield reader
    finally:
        writer.transport.abort()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
