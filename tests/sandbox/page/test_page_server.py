"""The page's server: what it serves, whom it answers, and what it lets nobody do."""

import http.client
import json
import threading
import time
from contextlib import closing

import pytest

from ops.errors import OpsError
from sandbox.listener import HOST
from sandbox.page.server import LARGEST_BODY, PageServer
from sandbox.page.watch import Subscribers

pytestmark = pytest.mark.unit

JSON = {"Content-Type": "application/json"}


class Shown:
    """What the page shows, and what was done to it."""

    def __init__(self):
        self.done = []
        self.subscribers = Subscribers()
        self.failure = None

    def states(self):
        return self.subscribers.subscribe()

    def regions(self):
        return ("us-east-1", "us-west-2")

    def inject(self, region, kind):
        if self.failure:
            raise self.failure
        self.done.append(("inject", region, kind))

    def clear(self, region=None):
        self.done.append(("clear", region))


@pytest.fixture
def shown():
    return Shown()


@pytest.fixture
def server(shown):
    with PageServer(shown, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def call(server):
    def call(method, path, headers=None, body=None):
        with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    return call


def test_the_page_is_served_and_may_load_nothing(call):
    status, headers, text = call("GET", "/")

    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert text.startswith("<!doctype html>")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_the_page_names_nothing_outside_of_itself(call):
    _, _, text = call("GET", "/")

    others = [word for word in text.split('"') if word.startswith(("http:", "https:", "//"))]
    assert others == ["http://www.w3.org/2000/svg"], "the name of SVG, which nobody loads"
    assert "us-east" not in text


def test_it_is_ready(call):
    status, _, text = call("GET", "/ready")

    assert (status, json.loads(text)) == (200, {"ready": True})


@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("POST", 404), ("DELETE", 501)])
def test_there_is_nothing_else(call, method, status):
    assert call(method, "/status", JSON)[0] == status


def read_events(connection, count):
    connection.request("GET", "/events")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    return [answer.readline().decode() for _ in range(count)]


def test_states_are_server_sent_events(server, shown):
    def tell():
        shown.subscribers.present.wait()
        shown.subscribers.publish('{"now": 1}')

    threading.Thread(target=tell).start()
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        lines = read_events(connection, 4)

    assert lines == ["retry: 1000\n", "\n", 'data: {"now": 1}\n', "\n"]


def test_a_closed_page_is_unsubscribed(server, shown):
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        read_events(connection, 2)
        shown.subscribers.present.wait(30)
        assert shown.subscribers.present.is_set()

    deadline = time.monotonic() + 30
    while shown.subscribers.present.is_set():
        assert time.monotonic() < deadline
        shown.subscribers.publish("{}")
        time.sleep(0.01)


def test_a_fault_is_injected_and_cleared(call, shown):
    for path in (
        "/inject?region=us-west-2&kind=black_hole", "/clear?region=us-west-2", "/clear",
    ):  # fmt: skip
        assert call("POST", path, JSON, "{}")[0] == 200

    assert shown.done == [
        ("inject", "us-west-2", "black_hole"), ("clear", "us-west-2"), ("clear", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "/inject?region=mars&kind=refuse",
            "region: expected one of us-east-1, us-west-2, got 'mars'",
        ),
        ("/inject?kind=refuse", "region: expected one of us-east-1, us-west-2, got None"),
        (
            "/inject?region=us-east-1&kind=slow",
            "kind: expected one of refuse, black_hole, error, got 'slow'",
        ),
        ("/clear?region=mars", "region: expected one of us-east-1, us-west-2, got 'mars'"),
    ],
)
def test_an_invalid_parameter_is_refused_with_the_allowed_values(call, shown, path, message):
    status, _, text = call("POST", path, JSON)

    assert (status, json.loads(text)["message"]) == (400, message)
    assert shown.done == []


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""],
)
def test_a_request_without_preflight_changes_nothing(call, shown, kind):
    headers = {} if kind is None else {"Content-Type": kind}

    assert call("POST", "/clear", headers, "x")[0] == 415
    assert shown.done == []


def test_json_may_name_its_charset(call, shown):
    status, _, _ = call("POST", "/clear", {"Content-Type": "application/json; charset=utf-8"}, "{}")

    assert status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_is_refused(call, shown, origin):
    assert call("POST", "/clear", {**JSON, "Origin": origin})[0] == 403
    assert call("GET", "/events", {"Origin": origin})[0] == 403
    assert shown.done == []


def test_no_origin_is_ever_allowed_by_name(call):
    status, headers, _ = call("OPTIONS", "/clear", {"Origin": "https://evil.example"})

    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.2:{port}", ""])
def test_another_name_of_this_address_is_refused(call, server, shown, host):
    headers = {"Host": host.format(port=server.port)}

    assert call("GET", "/", headers)[0] == 403
    assert call("POST", "/clear", JSON | headers)[0] == 403
    assert shown.done == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_page_itself_is_answered_by_either_name(call, server, name):
    own = f"{name}:{server.port}"

    assert call("POST", "/clear", {**JSON, "Host": own, "Origin": f"http://{own}"})[0] == 200


def test_a_large_body_is_not_read(call, shown):
    headers = {**JSON, "Content-Length": str(LARGEST_BODY + 1)}

    assert call("POST", "/clear", headers)[0] == 413
    assert shown.done == []


def test_an_error_of_the_sandbox_is_shown_with_the_next_step(call, shown):
    shown.failure = OpsError("the sandbox does not respond", next_step="start it")

    status, _, text = call("POST", "/inject?region=us-east-1&kind=refuse", JSON)

    assert status == 503
    assert json.loads(text)["message"] == "the sandbox does not respond. Next: start it"


def test_a_taken_port_is_an_error(server, shown):
    with pytest.raises(OSError, match="in use"):
        PageServer(shown, server.port)
