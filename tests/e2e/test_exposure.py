"""What the ports of a sandbox are good for: nothing, to a web page or to another machine.

The ports are those that its processes listen on. A new one is tried like the others.
"""

import json
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import psutil
import pytest
from browser import Browser, driver
from prerequisites import require_chromium

pytestmark = pytest.mark.e2e

EVIL = "evil.example"
"""A name that a stranger's page is loaded from; the browser resolves it to this machine."""
CREATE_USER = "Action=CreateUser&Version=2010-05-08&UserName="
FAULT = json.dumps({"region": "us-east-1", "kind": "refuse"})
TIMEOUT_SECONDS = 20


def sockets(workspace, kind):
    """`{(address, port)}` at which the processes of a sandbox receive."""
    return {
        (each.laddr.ip, each.laddr.port)
        for process in workspace.processes()
        for each in process.net_connections()
        if each.laddr and each.type == kind and not each.raddr
        and (kind == socket.SOCK_DGRAM or each.status == psutil.CONN_LISTEN)
    }  # fmt: skip


@pytest.fixture
def listening(api, opened):
    """The TCP ports of a sandbox with everything that it has: the live page, and functions."""
    for region in api.outputs.regions:
        assert api.get(region, "/locations").status == 200
    return sockets(api.workspace, socket.SOCK_STREAM)


@pytest.fixture
def unchanged(api):
    """What a page could have changed has not changed."""

    def state():
        environment = api.local.environment
        return (
            environment.fault_injection.faults(),
            environment.sandbox_status()["speed"],
            [user["UserName"] for user in api.client("iam", "us-east-1").list_users()["Users"]],
            api.client("dynamodb", "us-east-1").list_tables()["TableNames"],
        )

    before = state()
    yield
    assert state() == before


def test_everything_listens_on_loopback_addresses_only(api, listening):
    received = listening | sockets(api.workspace, socket.SOCK_DGRAM)

    assert {port for _, port in received} >= {*asdict(api.workspace.noted().ports).values()}
    assert [address for address, _ in received if not ip_address(address).is_loopback] == []


def exchange(place, request, *, name=None):
    """What a port sends back; over TLS, with a name."""
    received = b""
    with suppress(OSError), ExitStack() as opened:
        connection = opened.enter_context(socket.create_connection(place, timeout=TIMEOUT_SECONDS))
        if name:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(connection, server_hostname=name)
            opened.enter_context(connection)
        connection.sendall(request)
        while data := connection.recv(65536):
            received += data
    return received


def http(method, path, host, body="", **headers):
    headers = {"Host": host, "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}".encode()


FORM = {"Content_Type": "application/x-www-form-urlencoded"}
JSON = {"Content_Type": "application/json"}
FOREIGN = {
    "a page of another origin": {"Origin": f"http://{EVIL}"},
    "a page in a frame without an origin": {"Origin": "null"},
    "a page of another port": {"Origin": "http://127.0.0.1:1", "Sec_Fetch_Site": "same-site"},
    "an image, a script or a link": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
}
REQUESTS = [
    ("GET", "/", "", {}),
    ("GET", "/events", "", {}),
    ("GET", f"/?{CREATE_USER}evil", "", {}),
    ("POST", "/", f"{CREATE_USER}evil", FORM),
    ("POST", "/faults", FAULT, JSON),
    ("POST", "/_local/faults", FAULT, JSON),
    ("POST", "/_ministack/reset", "", {}),
    ("PUT", "/speed", '{"speed": 1}', JSON),
    ("OPTIONS", "/", "", {"Access_Control_Request_Method": "POST"}),
    (
        "GET", "/", "",
        {
            "Upgrade": "websocket", "Connection": "close, Upgrade", "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize("page", [*FOREIGN, "a name of the page's own"])
def test_no_port_carries_out_what_a_page_of_another_origin_asks_for(
    api, listening, unchanged, page
):
    for address, port in listening:
        host = f"{EVIL}:{port}" if page not in FOREIGN else f"{address}:{port}"
        for method, path, body, headers in REQUESTS:
            raw = http(method, path, host, body, **headers, **FOREIGN.get(page, {}))
            for answer in (
                exchange((address, port), raw),
                exchange((address, port), raw, name=EVIL),
            ):
                # What does not speak HTTP, or not without TLS, says nothing.
                status = answer.split(b" ")[1] if answer.startswith(b"HTTP/") else b"403"
                assert status == b"403", (port, method, path, answer[:500])
                assert b"access-control-allow" not in answer.lower()


def test_programs_are_served_where_pages_are_refused(api, listening):
    ports = api.workspace.noted().ports
    for port, path in (
        (ports.aws, "/_ministack/ready"), (ports.faults, "/faults"), (ports.status, "/status"),
        (ports.page, "/"),
    ):  # fmt: skip
        assert ("127.0.0.1", port) in listening
        answer = exchange(("127.0.0.1", port), http("GET", path, f"127.0.0.1:{port}"))
        assert answer.split(b" ")[1] == b"200", answer


def test_the_api_itself_decides_what_other_origins_may_do(api):
    """It has no CORS: a page gets the response of AWS, and may not read it."""
    origin = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
    for region in api.outputs.regions:
        answer = api.by_name("GET", region, "/health", origin)
        assert answer.status == 200
        preflight = api.by_name(
            "OPTIONS", region, "/locations", {**origin, "Access-Control-Request-Method": "GET"}
        )
        assert preflight.status == 403
        for each in (answer, preflight):
            assert not [name for name in each.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/_local/faults", "/_ministack/reset", "/_ministack/health"])
def test_customers_do_not_reach_the_emulator_behind_the_api(api, unchanged, path):
    host = api.outputs.region_urls[api.outputs.primary].split("/")[2]

    answer = api.local.network.request(
        "POST", f"https://{host}{path}", headers={"Content-Type": "application/json"},
        body=FAULT.encode(),
    )  # fmt: skip

    assert answer.status == 403
    assert answer.json == {"message": "Forbidden"}


ATTACK = """
const [place, createUser, fault] = arguments, got = [];
const wait = (run) => Promise.race([new Promise(run), new Promise((end) => setTimeout(end, 3000))]);
async function call(path, options) {
  try {
    const response = await fetch(place + path, options);
    if (response.type !== "opaque") got.push(`${path} ${response.status} ${await response.text()}`);
  } catch {}
}
function load(kind, path) {
  return wait((end) => {
    const element = document.createElement(kind);
    element.onload = () => { got.push(`${kind} ${path}`); end(); };
    element.onerror = end;
    element.src = place + path;
    document.body.append(element);
  });
}
const form = "application/x-www-form-urlencoded", json = "application/json", method = "POST";
for (const mode of ["cors", "no-cors"]) {
  for (const path of ["/", "/faults", "/status", "/ready", "/_ministack/ready", "/v1/health"])
    await call(path, {mode});
  await call("/", {mode, method, body: createUser + mode, headers: {"Content-Type": form}});
  await call("/faults", {mode, method, body: fault, headers: {"Content-Type": "text/plain"}});
  await call("/clear", {mode, method, body: "{}"});
  await call("/_ministack/reset", {mode, method});
}
await call("/faults", {method, body: fault, headers: {"Content-Type": json}});
await call("/speed", {method: "PUT", body: '{"speed": 1}', headers: {"Content-Type": json}});
await call("/faults", {method: "DELETE"});
await load("img", "/?" + createUser + "image");
await load("script", "/status");
await wait((end) => {
  const events = new EventSource(place + "/events");
  events.onopen = events.onmessage = () => { got.push("events"); events.close(); end(); };
  events.onerror = () => { events.close(); end(); };
});
await wait((end) => {
  const connection = new WebSocket(place.replace("http", "ws") + "/");
  connection.onopen = () => { got.push("websocket"); end(); };
  connection.onerror = end;
});
await wait((end) => {
  const frame = document.createElement("iframe"), posted = document.createElement("form");
  frame.name = "into";
  document.body.append(frame);
  Object.assign(posted, {method, action: place + "/", target: "into"});
  for (const pair of (createUser + "form").split("&")) {
    const input = document.createElement("input");
    [input.name, input.value] = pair.split("=");
    posted.append(input);
  }
  document.body.append(posted);
  frame.onload = end;
  posted.submit();
});
return got;
"""
"""Tries everything that a page can send to a place, and gives what it gets."""


class Stranger(BaseHTTPRequestHandler):
    """A page, and a server that refuses nothing, to see that the page tries in earnest."""

    protocol_version = "HTTP/1.0"

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.server.received.append((self.command, self.path, self.rfile.read(length).decode()))
        kind = "text/event-stream" if self.path == "/events" else "text/html"
        self.send_response(200)
        for name in ("Origin", "Methods", "Headers"):
            self.send_header(f"Access-Control-Allow-{name}", "*")
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(b"data: x\n\n" if kind == "text/event-stream" else b"<p>a page")

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_):
        pass


@contextmanager
def stranger():
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A browser that resolves a stranger's name to this machine: DNS rebinding."""
    require_chromium()
    with driver() as url:
        browser = Browser(
            url, tmp_path_factory.mktemp("profile"), f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"
        )
        try:
            yield browser
        finally:
            browser.close()


@pytest.mark.parametrize("page", [pytest.param("127.0.0.1", marks=pytest.mark.soak), EVIL])
def test_a_page_of_another_origin_gets_nothing_from_any_port(listening, unchanged, victim, page):
    with stranger() as own, stranger() as control:
        # GIVEN a stranger's page, which gets what it wants from a server that refuses nothing
        victim.open(f"http://{page}:{own.server_port}/")
        place = f"http://127.0.0.1:{control.server_port}"
        got = victim.run(ATTACK, place, CREATE_USER, FAULT)
        assert "events" in got
        assert any(each.startswith("/faults 200") for each in got)
        sent = {(method, path) for method, path, _ in control.received}
        assert sent >= {("GET", "/events"), ("OPTIONS", "/speed"), ("PUT", "/speed")}
        bodies = {body for method, _, body in control.received if method == "POST"}
        assert bodies >= {FAULT, *(f"{CREATE_USER}{how}" for how in ("cors", "no-cors", "form"))}

        # WHEN it tries every port of the sandbox, THEN it gets nothing
        for address, port in sorted(listening):
            for scheme in ("http", "https"):
                place = f"{scheme}://{address}:{port}"
                assert victim.run(ATTACK, place, CREATE_USER, FAULT) == [], place


def test_a_page_whose_name_becomes_an_address_of_the_sandbox_gets_nothing(
    api, listening, unchanged, victim
):
    ports = api.workspace.noted().ports
    for port in (ports.aws, ports.faults, ports.status, ports.page):
        # GIVEN a page whose name resolves to this machine: all is of its own origin
        victim.open(f"http://{EVIL}:{port}/")
        assert "has no other name" in victim.text("body")

        # WHEN it tries that port, THEN it gets refusals only
        got = victim.run(ATTACK, f"http://{EVIL}:{port}", CREATE_USER, FAULT)
        assert got
        assert [each for each in got if "has no other name" not in each] == []
