"""The emulator behind the request guard: what it never sees."""

import asyncio
import json

import pytest

from sandbox.emulator.guarded import guarded

pytestmark = pytest.mark.unit

PORT = 4566
OWN = f"127.0.0.1:{PORT}"
API = "abc.execute-api.us-east-1.amazonaws.com"
PAGE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


def exchange(kind="http", method="GET", path="/", **headers):
    """What the emulator saw, and what was sent back, of a request with these headers."""
    seen, sent = [], []

    async def application(scope, _receive, _send):
        seen.append(scope["path"])

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind, "method": method, "path": path, "server": ("127.0.0.1", PORT),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    serve = guarded(application, is_api=lambda host: host == API)
    asyncio.run(serve(scope, None, send))
    return seen, sent


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": OWN, "origin": "https://evil.example"},
        {"host": OWN, "sec_fetch_site": "cross-site"},
        {"host": f"evil.example:{PORT}"},
        {"host": f"x.execute-api.localhost:{PORT}"},
        {"host": f"bucket.s3.localhost:{PORT}"},
        {},
    ],
)
def test_a_page_of_another_origin_is_refused_before_the_emulator_sees_it(method, headers):
    seen, [start, body] = exchange(method=method, **headers)

    assert seen == []
    assert start["status"] == 403
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control")]
    assert json.loads(body["body"])["message"]


def test_a_websocket_of_another_origin_is_never_accepted():
    seen, sent = exchange("websocket", host=OWN, origin="https://evil.example")

    assert (seen, sent) == ([], [{"type": "websocket.close"}])


@pytest.mark.parametrize("host", [OWN, f"localhost:{PORT}"])
def test_programs_are_served(host):
    assert exchange(host=host, path="/_local/faults") == (["/_local/faults"], [])


def test_the_start_of_the_server_is_passed_on():
    async def application(scope, *_):
        seen.append(scope["type"])

    seen = []
    asyncio.run(guarded(application)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]


def test_the_api_has_its_own_cors():
    page = {name.replace("-", "_"): value for name, value in PAGE.items()}

    assert exchange(method="OPTIONS", path="/v1/health", host=API, **page) == (["/v1/health"], [])


@pytest.mark.parametrize(
    "path",
    [
        "/_local/faults",
        "/_local/faults/x",
        "/_local/replication",
        "/_ministack/reset",
        "/_aws/execute-api/x/v1/y",
    ],
)
def test_nothing_but_the_api_has_the_apis_name(path):
    seen, [start, body] = exchange(method="POST", path=path, host=API)

    assert (seen, start["status"]) == ([], 403)
    assert json.loads(body["body"]) == {"message": "Forbidden"}
