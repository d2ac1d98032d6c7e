"""The page's server: what it serves, whom it answers, and what it lets nobody do."""

import http.client
import json
import threading
import time
from contextlib import closing

import pytest

from ops.errors import OpsError
from ops.page.audience import Audience
from ops.page.server import HOST, LARGEST_BODY, PageServer

pytestmark = pytest.mark.unit

JSON = {"Content-Type": "application/json"}


class Shown:
    """What the page shows, and what was done to it."""

    def __init__(self):
        self.done = []
        self.audience = Audience()
        self.failure = None

    def moments(self):
        return self.audience.listen()

    def regions(self):
        return ("us-east-1", "us-west-2")

    def break_region(self, region, fault):
        if self.failure:
            raise self.failure
        self.done.append(("break", region, fault))

    def mend(self, region=None):
        self.done.append(("mend", region))


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
        with closing(http.client.HTTPConnection(HOST, server.port, timeout=5)) as connection:
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
        shown.audience.watching.wait()
        shown.audience.tell('{"now": 1}')

    threading.Thread(target=tell).start()
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=5)) as connection:
        lines = read_events(connection, 4)

    assert lines == ["retry: 1000\n", "\n", 'data: {"now": 1}\n', "\n"]


def test_who_has_left_looks_no_more(server, shown):
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=5)) as connection:
        read_events(connection, 2)
        shown.audience.watching.wait(5)
        assert shown.audience.watching.is_set()

    deadline = time.monotonic() + 5
    while shown.audience.watching.is_set():
        assert time.monotonic() < deadline
        shown.audience.tell("{}")
        time.sleep(0.01)


def test_a_region_is_broken_and_mended(call, shown):
    for path in (
        "/break?region=us-west-2&fault=black-hole", "/mend?region=us-west-2", "/mend",
    ):  # fmt: skip
        assert call("POST", path, JSON, "{}")[0] == 200

    assert shown.done == [
        ("break", "us-west-2", "black-hole"), ("mend", "us-west-2"), ("mend", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "/break?region=mars&fault=refuse",
            "region: expected one of us-east-1, us-west-2, got 'mars'",
        ),
        ("/break?fault=refuse", "region: expected one of us-east-1, us-west-2, got None"),
        (
            "/break?region=us-east-1&fault=slow",
            "fault: expected one of refuse, black-hole, error, got 'slow'",
        ),
        ("/mend?region=mars", "region: expected one of us-east-1, us-west-2, got 'mars'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(call, shown, path, message):
    status, _, text = call("POST", path, JSON)

    assert (status, json.loads(text)["message"]) == (400, message)
    assert shown.done == []


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""],
)
def test_what_a_foreign_page_can_send_unasked_changes_nothing(call, shown, kind):
    headers = {} if kind is None else {"Content-Type": kind}

    assert call("POST", "/mend", headers, "x")[0] == 415
    assert shown.done == []


def test_json_may_name_its_charset(call, shown):
    status, _, _ = call("POST", "/mend", {"Content-Type": "application/json; charset=utf-8"}, "{}")

    assert status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_is_refused(call, shown, origin):
    assert call("POST", "/mend", {**JSON, "Origin": origin})[0] == 403
    assert call("GET", "/events", {"Origin": origin})[0] == 403
    assert shown.done == []


def test_no_origin_is_ever_allowed_by_name(call):
    status, headers, _ = call("OPTIONS", "/mend", {"Origin": "https://evil.example"})

    assert status == 501
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", ""])
def test_a_name_that_only_leads_here_opens_nothing(call, server, shown, host):
    headers = {"Host": host.format(port=server.port)}

    assert call("GET", "/", headers)[0] == 403
    assert call("POST", "/mend", JSON | headers)[0] == 403
    assert shown.done == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_page_itself_is_answered_by_either_name(call, server, name):
    own = f"{name}:{server.port}"

    assert call("POST", "/mend", {**JSON, "Host": own, "Origin": f"http://{own}"})[0] == 200


def test_a_large_body_is_not_read(call, shown):
    headers = {**JSON, "Content-Length": str(LARGEST_BODY + 1)}

    assert call("POST", "/mend", headers)[0] == 413
    assert shown.done == []


def test_what_the_stand_refuses_is_told_with_the_next_step(call, shown):
    shown.failure = OpsError("the edges do not answer", next_step="start them")

    status, _, text = call("POST", "/break?region=us-east-1&fault=refuse", JSON)

    assert status == 503
    assert json.loads(text)["message"] == "the edges do not answer. Next: start them"


def test_a_taken_port_is_an_error(server, shown):
    with pytest.raises(OSError, match="in use"):
        PageServer(shown, server.port)
