"""A small upstream that records bytes, and endpoints that run in a thread of the test."""

import asyncio
import json
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.fault_injection import FaultInjection
from sandbox.region_endpoints.certificates import authority_file
from sandbox.region_endpoints.config import Config, Region
from sandbox.region_endpoints.region_endpoint import RegionEndpoint
from sandbox.region_endpoints.server import open_endpoints

EAST = "us-east-1"
WEST = "eu-west-1"
DOMAIN = "weather.example.com"
EAST_HOST = f"abc123.execute-api.{EAST}.amazonaws.com"
WEST_HOST = f"def456.execute-api.{WEST}.amazonaws.com"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine"


class RecordingUpstream(socketserver.ThreadingTCPServer):
    """Keeps what it is sent, byte for byte, and responds with `reply`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recorder)
        self.requests: list[bytes] = []
        self.reply = OK

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def last(self) -> bytes:
        return self.requests[-1]


class _Recorder(socketserver.StreamRequestHandler):
    server: RecordingUpstream
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = self.rfile.read(int(length[1])) if length else b""
            self.server.requests.append(head + body)
            reply = self.server.reply
            if head.startswith(b"HEAD "):
                reply = reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            self.wfile.write(reply)
            if b"Content-Length" not in reply:
                return


@dataclass
class Endpoints:
    """Running endpoints, and ways to call them as a client would."""

    config: Config
    endpoints: dict[str, RegionEndpoint]
    control: FaultInjection
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def port(self) -> int:
        return self.endpoints[EAST].listener.port

    def address(self, region: str = EAST) -> tuple[str, int]:
        return self.endpoints[region].region.address, self.port

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authority_file(self.config.certificates)))

    def connect(
        self, region: str = EAST, *, name: str | None = DOMAIN, timeout: float = 20.0
    ) -> ssl.SSLSocket:
        context = self.trusting
        context.check_hostname = name is not None
        connection = context.wrap_socket(socket.socket(), server_hostname=name)
        connection.settimeout(timeout)
        try:
            connection.connect(self.address(region))
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, raw: bytes, region: str = EAST, *, name: str = DOMAIN) -> "Received":
        with closing(self.connect(region, name=name)) as connection:
            return exchange(connection, raw)

    def get(self, path: str = "/v1/x", region: str = EAST, host: str = DOMAIN) -> "Received":
        return self.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), region)

    def statuses(self, count: int, path: str = "/v1/x") -> list[int]:
        """The statuses of requests that follow each other on one connection."""
        raw = f"GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()
        with closing(self.connect()) as connection:
            return [exchange(connection, raw).status for _ in range(count)]


@dataclass
class Received:
    """One answer as a client got it."""

    head: bytes
    body: bytes
    seconds: float

    @property
    def status(self) -> int:
        return int(self.head.split(b" ")[1])

    @property
    def headers(self) -> list[bytes]:
        return self.head.rstrip().split(b"\r\n")[1:]

    @property
    def message(self) -> Any:
        return json.loads(self.body)["message"]


def exchange(connection: socket.socket, raw: bytes) -> Received:
    began = time.monotonic()
    connection.sendall(raw)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    wanted = int(length[1]) if length and not raw.startswith(b"HEAD ") else 0
    while len(body) < wanted:
        body += _some(connection)
    return Received(head, body, time.monotonic() - began)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError("the connection ended")
    return data


def make_config(folder: Path, upstream_port: int, **changes: Any) -> Config:
    regions = (
        Region(EAST, "127.0.1.1", (EAST_HOST, f"{DOMAIN}.execute-api.{EAST}.amazonaws.com"),
               (DOMAIN,)),
        Region(WEST, "127.0.1.2", (WEST_HOST, f"{DOMAIN}.execute-api.{WEST}.amazonaws.com"),
               (DOMAIN,)),
    )  # fmt: skip
    values: dict[str, Any] = {
        "upstream_host": "127.0.0.1",
        "upstream_port": upstream_port,
        "certificates": folder / "certificates",
        "regions": regions,
        "port": 0,
    }
    return Config(**{**values, **changes})


def _run(config: Config, stop: threading.Event, opened: Callable[[Endpoints], None]) -> None:
    async def serve() -> None:
        async with AsyncExitStack() as stack:
            endpoints, control = await open_endpoints(config, stack)
            client = FaultInjection(f"http://{control.address}:{control.port}")
            opened(Endpoints(config, endpoints, client, asyncio.get_running_loop()))
            while not stop.is_set():
                await asyncio.sleep(0.01)

    asyncio.run(serve())


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream(upstream_server: RecordingUpstream) -> RecordingUpstream:
    upstream_server.requests.clear()
    upstream_server.reply = OK
    return upstream_server


@pytest.fixture(scope="session")
def running_endpoints(
    upstream_server: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoints]:
    stop, opened = threading.Event(), threading.Event()
    found: list[Endpoints] = []

    def keep(endpoints: Endpoints) -> None:
        found.append(endpoints)
        opened.set()

    config = make_config(tmp_path_factory.mktemp("endpoints"), upstream_server.port)
    thread = threading.Thread(target=_run, args=(config, stop, keep))
    thread.start()
    assert opened.wait(30)
    yield found[0]
    stop.set()
    thread.join()


@pytest.fixture
def endpoints(running_endpoints: Endpoints, upstream: RecordingUpstream) -> Iterator[Endpoints]:
    """Endpoints without a fault; those that the test injects are cleared after it."""
    yield running_endpoints
    for each in running_endpoints.control.faults():
        running_endpoints.control.clear(each.id)


@pytest.fixture
def endpoint_config() -> Callable[..., Config]:
    return make_config


@pytest.fixture
def over() -> Callable[[socket.socket, bytes], Received]:
    """Send a request over a connection that is open, and read the answer."""
    return exchange


@pytest.fixture
def client_resets() -> Callable[[socket.socket], None]:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return reset
