"""The HTTP of a health-checking request: what is sent, and how much of the response is read.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

import asyncio
import re

from sandbox.route53.model import HealthCheck

BODY_BYTES = 5120
"""The search string must lie within this many first bytes of the body.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

HEADER_BYTES = 16_384
"""Longest headers a checker accepts.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
"""

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |\r|\n|$)")


class UnhealthyError(Exception):
    """The endpoint failed the check; the message is the reason."""


def request_bytes(check: HealthCheck) -> bytes:
    """Write the request; the Host header carries the port unless it is the protocol's own.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
    """
    host = (check.domain_name or check.ip_address or "").rstrip(".")
    if check.port != (443 if check.type.startswith("HTTPS") else 80):
        host = f"{host}:{check.port}"
    agent = f"Amazon-Route53-Health-Check-Service (ref {check.id}; local data plane)"
    return (
        f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"User-Agent: {agent}\r\nAccept: */*\r\n\r\n"
    ).encode()


async def read_status(reader: asyncio.StreamReader) -> int:
    """Read the status line and give its code.

    Raises:
        UnhealthyError: The response ended, or is not HTTP.
    """
    line = await _line(reader, "the response ended before an HTTP status")
    found = _STATUS_LINE.match(line)
    if not found:
        raise UnhealthyError(f"not an HTTP response: {line[:40]!r}")
    return int(found[1])


async def read_body(reader: asyncio.StreamReader) -> bytes:
    """Read the headers, then the body up to its end or the first `BODY_BYTES`.

    Raises:
        UnhealthyError: The response ended too soon, or its headers are too long.
    """
    length, chunked, total = BODY_BYTES, False, 0
    while (line := await _line(reader, "the response ended in its headers")).strip():
        name, _, value = line.decode("latin-1").partition(":")
        total += len(line)
        if total > HEADER_BYTES:
            raise UnhealthyError(f"response headers longer than {HEADER_BYTES} bytes")
        if name.lower() == "content-length":
            length = min(length, int(value))
        chunked = chunked or (name.lower() == "transfer-encoding" and "chunked" in value.lower())
    if not chunked:
        return await _at_most(reader, length)
    body = b""
    while len(body) < BODY_BYTES:
        size = int((await _line(reader, "the response ended in its body")).split(b";")[0], 16)
        if size == 0:
            break
        body += await _at_most(reader, min(size, BODY_BYTES - len(body)))
        if len(body) < BODY_BYTES:
            await reader.readexactly(2)
    return body


async def _line(reader: asyncio.StreamReader, ended: str) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise UnhealthyError(ended)
    return line


async def _at_most(reader: asyncio.StreamReader, wanted: int) -> bytes:
    body = b""
    while len(body) < wanted and (part := await reader.read(wanted - len(body))):
        body += part
    return body
