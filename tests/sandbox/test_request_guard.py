"""Who may use a port of the sandbox: programs and its own page, no page of another origin."""

import asyncio

import pytest

from sandbox.http_server import Response, serve_connection
from sandbox.listener import HOST, Listener
from sandbox.request_guard import refusal

pytestmark = pytest.mark.unit

SERVER = (HOST, 8444)
OWN = "127.0.0.1:8444"


def refused(server=SERVER, is_api=lambda host: False, **headers):
    """The reason for refusing a request with these headers; `_` in a name is `-`."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return refusal(raw, server, is_api=is_api)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": OWN},
        {"host": "LOCALHOST:8444"},
        {"Host": OWN, "Origin": f"http://{OWN}", "Sec_Fetch_Site": "same-origin"},
        {"Host": "localhost:8444", "Origin": "http://localhost:8444"},
        {"Host": OWN, "Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"},
    ],
)
def test_programs_and_the_own_page_may(headers):
    assert refused(**headers) == ""


@pytest.mark.parametrize(
    "host",
    [
        "", "127.0.0.1:", "localhost:8444x", "127.0.0.2:8444", "evil.example", "evil.example:8444",
        "127.0.0.1.evil.example:8444", "localhost.evil.example:8444", "x.localhost:8444",
        "127.0.0.1:8444@evil.example", "127.0.0.1:8444, evil.example", "[::1]:8444", "0.0.0.0:8444",
    ],
)  # fmt: skip
def test_another_name_of_this_address_is_refused(host):
    assert refused(Host=host) == f"this is {OWN}, and has no other name"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8445", "localhost", "localhost:1"])
def test_a_program_may_be_forwarded_from_another_port(host):
    assert refused(Host=host) == ""
    assert refused(Host=host, Origin=f"http://{OWN}")


def test_a_request_without_host_or_with_two_is_refused():
    assert refused()
    assert refusal([(b"Host", OWN.encode()), (b"host", b"evil.example")], SERVER)
    assert refusal([(b"host", b"evil.example"), (b"Host", OWN.encode())], SERVER)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "https://evil.example", f"https://{OWN}", "http://127.0.0.1", "http://localhost",
        "http://127.0.0.1:3000", "http://localhost:8444", f"http://{OWN}.evil.example",
        f"http://{OWN}/", "file://",
    ],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(origin):
    assert refused(Host=OWN, Origin=origin) == "a page of another origin may not use this"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "", "whatever"])
def test_a_request_that_a_page_elsewhere_caused_is_refused(site):
    assert refused(Host=OWN, Sec_Fetch_Site=site)
    assert refused(Host=OWN, Sec_Fetch_Site=site, Origin=f"http://{OWN}")


def test_of_two_origins_or_sites_each_counts():
    own = [(b"Host", OWN.encode()), (b"Origin", f"http://{OWN}".encode())]
    assert refusal([*own, (b"origin", b"null")], SERVER)
    sites = [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")]
    assert refusal([*own, *sites], SERVER)


def test_the_api_decides_itself_what_other_origins_may_do():
    page = {"Origin": "https://shop.example", "Sec_Fetch_Site": "cross-site"}

    def is_api(host):
        return host == "weather.example.com"

    assert refused(is_api=is_api, Host="Weather.example.com:8443", **page) == ""
    assert refused(is_api=is_api, Host="weather.example.com.", **page) == ""
    assert refused(is_api=is_api, Host="evil-weather.example.com", **page)
    assert refused(is_api=is_api, Host=OWN, **page)


def test_a_server_of_the_sandbox_refuses_unless_it_says_otherwise():
    """GIVEN a server that names no rule of its own, THEN nothing of a refused request happens."""
    seen = []

    async def respond(request):
        seen.append(request.method)
        return Response.of(200, {})

    async def exchange(extra):
        listener = Listener(HOST, 0, lambda r, w: serve_connection(r, w, respond))
        listener.open()
        reader, writer = await asyncio.open_connection(HOST, listener.port)
        head = f"POST /faults HTTP/1.1\r\nHost: {HOST}:{listener.port}\r\n{extra}\r\n"
        writer.write(head.encode() + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        received = await reader.read()
        writer.close()
        await listener.close()
        return received

    for method in ("Origin: http://evil.example", "Sec-Fetch-Site: same-site"):
        answer = asyncio.run(exchange(method))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"access-control" not in answer.lower()
    assert seen == []
    assert asyncio.run(exchange("X: y")).startswith(b"HTTP/1.1 200 ")
    assert seen == [b"POST"]
