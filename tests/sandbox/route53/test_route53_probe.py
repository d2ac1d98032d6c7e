"""Rules of one health-checking request, against real loopback servers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from sandbox.route53.health import Observation
from sandbox.route53.model import HealthCheck
from sandbox.route53.probe import Limits, observe
from sandbox.route53.targets import Target

pytestmark = pytest.mark.unit

QUICK = Limits(0.3, 0.3, 0.3, 0.3)
PATIENT = Limits(60, 60, 60, 60)
"""A busy machine takes longer than AWS allows."""
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    """A server context with an expired certificate of a foreign name."""
    past = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("somewhere.else.test", not_after=past).configure_cert(context)
    return context


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server on a free loopback port until the block ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(*parts: bytes | float) -> Handler:
    """Make a handler that reads a request, then writes the parts; a number is a pause."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)

    return handler


def probe(
    check: HealthCheck,
    handler: Handler,
    context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> Observation:
    """Send one request to a server with the given behaviour, by default without a tight limit."""

    async def run() -> Observation:
        async with serving(handler, context) as port:
            return await observe(check, Target("127.0.0.1", port), limits or PATIENT)

    return asyncio.run(run())


def limits_for(parts: tuple[bytes | float, ...]) -> Limits:
    """Give short limits where a pause is meant to exceed them, else none that matters."""
    return QUICK if any(isinstance(part, float) and part > 0.5 for part in parts) else PATIENT


def reply(status: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


PLAIN = HealthCheck("hc", "HTTP", port=8080, domain_name="api.example.com", path="/v1/health")
MATCH = HealthCheck("hc", "HTTP_STR_MATCH", port=8080, domain_name="a.test", search_string="ok!")


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ("200 OK", True),
        ("204 No Content", True),
        ("299", True),
        ("301 Moved Permanently", True),
        ("302 Found", True),
        ("399 x", True),
        ("400 Bad Request", False),
        ("403 Forbidden", False),
        ("404 Not Found", False),
        ("429 Too Many Requests", False),
        ("500 Internal Server Error", False),
        ("503 Service Unavailable", False),
    ],
)
def test_status_2xx_and_3xx_are_healthy(status: str, healthy: bool) -> None:
    found = probe(PLAIN, saying(reply(status)))
    assert found.healthy is healthy
    assert found.reason == f"HTTP status {status[:3]}"


def test_a_redirect_is_not_followed() -> None:
    elsewhere = reply("302 Found", headers="Location: http://127.0.0.1:1/\r\n")
    assert probe(PLAIN, saying(elsewhere)).healthy


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((5.0,), "no HTTP status within 0.3 s of connecting"),
        ((0.6, reply("200 OK")), "no HTTP status within 0.3 s of connecting"),
        ((b"HTTP/1.1 200", 5.0), "no HTTP status within 0.3 s of connecting"),
        ((), "the response ended before an HTTP status"),
        ((b"SSH-2.0-OpenSSH_9\r\n",), "not an HTTP response"),
        ((b"x" * 40_000,), "connection broken"),
    ],
)
def test_without_a_timely_status_line_an_endpoint_is_unhealthy(
    parts: tuple[bytes | float, ...], reason: str
) -> None:
    found = probe(PLAIN, saying(*parts), limits=limits_for(parts))
    assert not found.healthy
    assert found.reason.startswith(reason)


def test_a_slow_body_does_not_matter_without_string_matching() -> None:
    assert probe(PLAIN, saying(b"HTTP/1.1 200 OK\r\n", 5.0)).healthy


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(
    ("parts", "healthy"),
    [
        ((reply("200 OK", b"all ok! here"),), True),
        ((reply("200 OK", b"all OK! here"),), False),
        ((reply("200 OK", b""),), False),
        ((reply("503 Bad", b"ok!"),), False),
        ((reply("200 OK", b"x" * 5117 + b"ok!"),), True),
        ((reply("200 OK", b"x" * 5118 + b"ok!"),), False),
        ((reply("200 OK", b"x" * 5120 + b"ok!"),), False),
        ((reply("200 OK", b"ok!" + b"x" * 90_000),), True),
        ((chunked(b"o", b"k!"),), True),
        ((chunked(b"x" * 5117, b"ok!"),), True),
        ((chunked(b"x" * 5119, b"ok!"),), False),
        ((b"HTTP/1.0 200 OK\r\n\r\nok! until the end",), True),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0.1, b"ok!"), True),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0.7, b"ok!"), False),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no", 5.0), False),
        ((b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 4000 + b"\r\nok!",), False),
    ],
)
def test_the_search_string_must_lie_in_the_first_5120_bytes_and_come_in_time(
    parts: tuple[bytes | float, ...], healthy: bool
) -> None:
    assert probe(MATCH, saying(*parts), limits=limits_for(parts)).healthy is healthy


def test_body_time_starts_with_the_status() -> None:
    # GIVEN a status and a body that together take longer than the limit of each
    parts = (1.2, b"HTTP/1.1 200 OK\r\n", 1.2, b"Content-Length: 3\r\n\r\nok!")
    assert probe(MATCH, saying(*parts), limits=Limits(2.0, 2.0, 2.0, 2.0)).healthy


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "TCP"])
def test_a_refused_connection_is_unhealthy_at_once(kind: str) -> None:
    async def run() -> Observation:
        async with serving(saying()) as port:
            pass
        return await observe(HealthCheck("hc", kind, port=1), Target("127.0.0.1", port), PATIENT)

    found = asyncio.run(run())
    assert not found.healthy
    assert found.reason.startswith("connection refused by 127.0.0.1:")


def test_tcp_needs_a_connection_and_nothing_else() -> None:
    found = probe(HealthCheck("hc", "TCP", port=1), saying(5.0))
    assert (found.healthy, found.reason) == (True, "TCP connection established")


def test_a_target_that_cannot_be_located_is_unhealthy_with_the_reason() -> None:
    found = asyncio.run(observe(PLAIN, Target(failure="DNS resolution failed: why"), QUICK))
    assert (found.healthy, found.reason) == (False, "DNS resolution failed: why")


def _request_of(check: HealthCheck) -> bytes:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply("200 OK"))
        await writer.drain()

    assert probe(check, handler).healthy
    return seen[0]


@pytest.mark.parametrize(
    ("check", "host"),
    [
        (HealthCheck("hc", "HTTP", port=80, domain_name="a.test"), b"a.test"),
        (HealthCheck("hc", "HTTP", port=443, domain_name="a.test"), b"a.test:443"),
        (HealthCheck("hc", "HTTP", port=8080, domain_name="a.test"), b"a.test:8080"),
        (HealthCheck("hc", "HTTP", port=80, ip_address="127.0.0.1"), b"127.0.0.1"),
        (
            HealthCheck("hc", "HTTP", port=80, ip_address="127.0.0.1", domain_name="b.test"),
            b"b.test",
        ),
    ],
)
def test_the_host_header_carries_every_port_but_the_protocols_own(
    check: HealthCheck, host: bytes
) -> None:
    assert b"\r\nHost: " + host + b"\r\n" in _request_of(check)


def test_the_request_names_the_path_and_the_health_checker() -> None:
    request = _request_of(PLAIN)
    assert request.startswith(b"GET /v1/health HTTP/1.1\r\n")
    assert b"User-Agent: Amazon-Route53-Health-Check-Service (ref hc" in request


# --- HTTPS -----------------------------------------------------------------------------------

SECURE = HealthCheck("hc", "HTTPS", port=443, domain_name="api.example.com", enable_sni=True)


def test_the_certificate_is_not_validated(tls: ssl.SSLContext) -> None:
    # GIVEN a server whose certificate expired long ago and names another host
    assert probe(SECURE, saying(reply("200 OK")), tls).healthy


@pytest.mark.parametrize(("enabled", "expected"), [(True, "api.example.com"), (False, None)])
def test_the_host_name_goes_into_the_handshake_with_sni_only(
    tls: ssl.SSLContext, enabled: bool, expected: str | None
) -> None:
    seen: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: seen.append(name)
    check = HealthCheck("hc", "HTTPS", domain_name="api.example.com", enable_sni=enabled)
    assert probe(check, saying(reply("200 OK")), tls).healthy
    assert seen == [expected]


def test_plain_http_behind_an_https_check_is_unhealthy() -> None:
    found = probe(SECURE, saying(reply("200 OK")), limits=QUICK)
    assert not found.healthy


def test_a_handshake_that_never_ends_counts_against_the_status_limit() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    found = probe(SECURE, silence, limits=QUICK)
    assert found.reason == "no HTTP status within 0.3 s of connecting"


def test_string_matching_works_over_https(tls: ssl.SSLContext) -> None:
    check = HealthCheck("hc", "HTTPS_STR_MATCH", domain_name="a.test", search_string="ok!")
    assert probe(check, saying(reply("200 OK", b"ok!")), tls).healthy
    assert not probe(check, saying(reply("200 OK", b"no")), tls).healthy


# --- limits ----------------------------------------------------------------------------------


def test_limits_are_those_of_the_developer_guide() -> None:
    assert Limits() == Limits(4, 10, 2, 2)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(1, Limits(4, 10, 2, 2)), (4, Limits(1, 2.5, 0.5, 0.5)), (100, Limits(*[0.25] * 4))],
)
def test_a_sped_up_run_keeps_limits_that_loopback_can_meet(speed: float, expected: Limits) -> None:
    assert Limits().divided(speed) == expected


def test_a_check_that_is_given_up_as_its_handshake_ends_closes_nothing_under_the_event_loop(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop would never read what gets the same file descriptor next."""
    complete = SSLProtocol._on_handshake_complete

    async def run() -> Observation:
        async with serving(saying(reply("200 OK"))) as plain, serving(saying(), tls) as secure:
            given_up = asyncio.create_task(observe(SECURE, Target("127.0.0.1", secure), PATIENT))

            def end(protocol: SSLProtocol, error: BaseException | None) -> None:
                complete(protocol, error)
                if not protocol._server_side:
                    given_up.cancel()

            monkeypatch.setattr(SSLProtocol, "_on_handshake_complete", end)
            with pytest.raises(asyncio.CancelledError):
                await given_up
            return await observe(PLAIN, Target("127.0.0.1", plain), Limits(2, 2, 2, 2))

    assert asyncio.run(run()).healthy
