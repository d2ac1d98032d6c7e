"""A local AWS that has lost a Region: a proxy before it resets every connection for that Region."""

import re
import socket
import struct
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import urllib3

HOMES = {"iam": "us-east-1", "route53": "us-east-1"}
"""Control planes of services that have one for all Regions."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextmanager
def without(region, endpoint_url, homes=HOMES, is_lost=lambda: True):
    """The local AWS without one Region: where it answers, and the calls that were refused.

    Args:
        region: The Region that is lost.
        endpoint_url: Where the local AWS answers.
        homes: `{service: Region}` of services with one control plane; None as Region never fails.
        is_lost: Whether it is lost at this moment.
    """
    refused = []
    pool = urllib3.PoolManager(maxsize=16)

    class Proxy(BaseHTTPRequestHandler):
        def forward(self):
            scope = re.search(r"Credential=\S+?/\d+/([^/]+)/([^/]+)/", str(self.headers))
            of, service = scope.groups() if scope else ("", "")
            self.close_connection = True
            if homes.get(service, of) == region and is_lost():
                refused.append(service)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                return
            answer = pool.request(
                self.command, endpoint_url + self.path, headers=dict(self.headers),
                body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                decode_content=False, retries=False, redirect=False,
            )  # fmt: skip
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.data)

        do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = forward  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", refused
    finally:
        server.shutdown()
        server.server_close()
