"""AWS by its own host names, behind a proxy on loopback that lets some of them be unreachable."""

import json
import re
import socket
import ssl
import struct
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
ROLE = "arn:aws:sts::123456789012:assumed-role/on-call/ada"
STS = {
    "AssumeRole": "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s"
    "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z"
    f"</Expiration></Credentials><AssumedRoleUser><Arn>{ROLE}</Arn>"
    "<AssumedRoleId>A:ada</AssumedRoleId></AssumedRoleUser>",
    "GetCallerIdentity": f"<Arn>{ROLE}</Arn><UserId>A:ada</UserId><Account>123456789012</Account>",
}


class AwsByName:
    """STS, and a table with a replica in each Region; every other service denies everything.

    Args:
        authority: Issues the certificates.
        regions: The Regions of the replicas.
        lost: Pattern of the host names that are unreachable.
        is_black_hole: Whether they accept connections and never respond, or refuse them.

    Attributes:
        url: URL of the proxy.
        called: Host names that were called and respond.
        unreachable: Host names that were called and do not.
    """

    def __init__(self, authority, regions, lost, *, is_black_hole):
        self.called, self.unreachable = set(), set()
        self._authority, self._lost, self._is_black_hole = authority, lost, is_black_hole
        self._tables = {region: {} for region in regions}
        self._released = Event()
        handler = type("Handler", (_Proxy,), {"aws": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def lets_through(self, host, connection):
        """Whether a host responds; one that does not is treated as it is lost."""
        if not self._lost.fullmatch(host):
            self.called.add(host)
            return True
        self.unreachable.add(host)
        if self._is_black_hole:
            self._released.wait()
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        return False

    def context(self, host):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context

    def respond(self, host, target, body):
        """The status and the body of a response."""
        service, _, rest = host.partition(".")
        if service == "sts":
            (action,) = parse_qs(body)["Action"]
            result = f"<{action}Result>{STS[action]}</{action}Result>"
            return 200, f"<{action}Response>{result}</{action}Response>"
        if service == "dynamodb":
            return self._dynamodb(rest.partition(".")[0], target.partition(".")[2], body)
        return 403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"

    def _dynamodb(self, region, operation, body):
        request, table = json.loads(body), self._tables[region]
        if operation == "DescribeTable":
            arn = f"arn:aws:dynamodb:{region}:123456789012:table/weather"
            return 200, json.dumps({"Table": {"TableArn": arn}})
        item = request.get("Item") or request["Key"]
        key = (item["pk"]["S"], item["sk"]["S"])
        if operation == "UpdateItem" or not key[1].startswith("evacuation-"):
            # The lock: nobody else wants it.
            return 200, "{}"
        found = table.get(key)
        if operation == "PutItem":
            if found:
                return 400, json.dumps({"__type": "ConditionalCheckFailedException"})
            self._replicated(key, request["Item"])
        elif operation == "DeleteItem":
            self._replicated(key, None)
            return 200, json.dumps({"Attributes": found} if found else {})
        return 200, json.dumps({"Item": found} if operation == "GetItem" and found else {})

    def _replicated(self, key, item):
        """Store an item in each Region whose table can be reached."""
        for region, table in self._tables.items():
            if self._lost.fullmatch(f"dynamodb.{region}.amazonaws.com"):
                continue
            if item is None:
                table.pop(key, None)
            else:
                table[key] = item


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    aws: AwsByName
    host = ""

    def do_CONNECT(self):
        self.host = re.sub(r":\d+$", "", self.path)
        self.close_connection = True
        if not self.aws.lets_through(self.host, self.connection):
            return
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            self.connection = self.aws.context(self.host).wrap_socket(
                self.connection, server_side=True
            )
            self.rfile, self.wfile = (self.connection.makefile(mode) for mode in ("rb", "wb"))
            self.close_connection = False
            while not self.close_connection:
                self.handle_one_request()
            self.connection.close()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status, text = self.aws.respond(self.host, self.headers.get("X-Amz-Target") or "", body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())
        self.wfile.flush()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_):
        """Print nothing."""
