"""HTTPS servers on loopback in the place of an API's names, which fail as a test says."""

import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HELD_SECONDS = 60
"""No client waits this long for a response."""


class Server:
    """What responds at one name.

    Attributes:
        address: Address and port.
        region: The Region that it says it is.
        calls: `(method, path, body)` of each request; of a black hole, a connection each.
        replies: What the next requests get, `(status, headers)`; 200 when none is left.
        always: What every request gets instead.
        document: What it serves to everybody.
        byte_seconds: How long it takes for each byte of a response.
    """

    byte_seconds = 0.0

    def __init__(self, region, context):
        self.region, self._context = region, context
        self.calls, self.replies, self.always, self.document = [], [], None, {}
        self._released = threading.Event()
        self._released.set()
        self._http, self._open = None, []
        self.address = ("127.0.0.1", 0)
        self.listen()

    def listen(self):
        """Accept connections, at the same port as before."""
        handler = type("Handler", (_Handler,), {"server_of_region": self})
        self._http = _HttpServer(self.address, handler)
        self.address = self._http.server_address
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def refuse(self):
        """Refuse connections, and end the open ones."""
        self._http.shutdown()
        self._http.server_close()
        self._http = None
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def swallow(self):
        """Accept connections, and never respond."""
        self._released.clear()

    def hold(self, what):
        """Wait, if nothing gets a response, whoever has connected."""
        if not self._released.is_set():
            self.calls.append(what)
            self._released.wait(HELD_SECONDS)
            raise ConnectionAbortedError

    def encrypted(self, connection):
        encrypted = self._context.wrap_socket(connection, server_side=True)
        self._open.append(encrypted)
        return encrypted

    def close(self):
        self._released.set()
        if self._http:
            self.refuse()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        """Clients give up; that is the point."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_region: Server

    def setup(self):
        self.server_of_region.hold(("connection", "", ""))
        self.request = self.server_of_region.encrypted(self.request)
        super().setup()

    def finish(self):
        super().finish()
        self.request.close()

    def _respond(self):
        server = self.server_of_region
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        server.hold((self.command, self.path, body))
        server.calls.append((self.command, self.path, body))
        planned = server.replies.pop(0) if server.replies else server.always
        status, headers = planned or (200, {})
        data = json.dumps(server.document).encode()
        self.send_response(status)
        headers = {"X-Served-By-Region": server.region, "Content-Length": len(data)} | headers
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if server.byte_seconds:
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(server.byte_seconds)
        else:
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = _respond  # noqa: N815

    def log_message(self, *_):
        """Print nothing."""


def server_context(authority, names):
    """TLS of servers with a certificate for all the names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context
