"""The page's server, on 127.0.0.1 only.

    GET /                                 the page
    GET /events                           server-sent events: the state, twice a second
    POST /inject?region=R&kind=refuse     inject a fault
    POST /clear?region=R                  clear the page's faults there; everywhere without R
    GET /ready                            200

Pages of other origins are refused (`sandbox.request_guard`), and requests that change something
must be `application/json`.
"""

import json
import socketserver
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from ops.errors import OpsError
from sandbox.listener import HOST
from sandbox.request_guard import refusal

KINDS = ("refuse", "black_hole", "error")
"""The faults that the page has buttons for, as `ops.fault_injection` names them."""
PAGE = Path(__file__).with_name("page.html")
LARGEST_BODY = 1024
STALLED_SECONDS = 30.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page loads nothing, and no other page may show it in a frame and have its buttons pressed."""


class Shown(Protocol):
    """What the page shows and controls; `Watch` is one."""

    def states(self) -> Generator[str, None, None]:
        """Give every state from now on, as JSON."""

    def regions(self) -> Iterable[str]:
        """Give the Regions that can fail."""

    def inject(self, region: str, kind: str) -> None:
        """Inject a fault."""

    def clear(self, region: str | None = None) -> None:
        """Clear the faults that were injected here."""


def event(data: str) -> bytes:
    """Encode a server-sent event.

    Args:
        data: What it carries, in one line.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    return f"data: {data}\n\n".encode()


class PageServer(socketserver.ThreadingTCPServer):
    """Serves the page.

    Args:
        shown: What it shows.
        port: Port; 0 takes one that is free.

    Raises:
        OSError: The port is taken.
    """

    allow_reuse_address = True
    # Browsers reconnect by themselves after it ends.
    daemon_threads = True

    def __init__(self, shown: Shown, port: int) -> None:
        self.shown = shown
        super().__init__((HOST, port), _Handler)

    @property
    def port(self) -> int:
        """The port."""
        return int(self.server_address[1])


class _RefusedError(Exception):
    """A request that cannot be carried out."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = STALLED_SECONDS

    def parse_request(self) -> bool:
        """Read the head of a request, and refuse it if it comes from a page of another origin."""
        if not super().parse_request():
            return False
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in self.headers.items()]
        if reason := refusal(headers, (HOST, self.server.port)):
            self.close_connection = True
            with suppress(OSError):
                self._json(HTTPStatus.FORBIDDEN, {"message": reason})
        return not reason

    def do_GET(self) -> None:
        """Serve what reads."""
        with suppress(OSError), self._refusing():
            match urlsplit(self.path).path:
                case "/":
                    self._respond(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
                case "/events":
                    self._events()
                case "/ready":
                    self._json(HTTPStatus.OK, {"ready": True})
                case path:
                    raise _RefusedError(HTTPStatus.NOT_FOUND, f"no {path}; the page is at /")

    def do_POST(self) -> None:
        """Carry out what a button asks for."""
        with suppress(OSError), self._refusing():
            self._check_content()
            asked = urlsplit(self.path)
            query = dict(parse_qsl(asked.query))
            match asked.path:
                case "/inject":
                    region = self._one_of("region", query, self.server.shown.regions())
                    kind = self._one_of("kind", query, KINDS)
                    self.server.shown.inject(region, kind)
                case "/clear" if "region" in query:
                    region = self._one_of("region", query, self.server.shown.regions())
                    self.server.shown.clear(region)
                case "/clear":
                    self.server.shown.clear()
                case path:
                    raise _RefusedError(
                        HTTPStatus.NOT_FOUND, f"no {path}; there are /inject and /clear"
                    )
            self._json(HTTPStatus.OK, {"done": True})

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Respond with the reason to what cannot be carried out."""
        try:
            yield
        except _RefusedError as refused:
            self._json(refused.status, {"message": str(refused)})
        except OpsError as error:
            message = f"{error.args[0]}. Next: {error.next_step}"
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"message": message})

    def _check_content(self) -> None:
        kind = self.headers.get_content_type() if "Content-Type" in self.headers else "nothing"
        if kind != "application/json":
            message = f"content-type: expected application/json, got {kind}"
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "all parameters are in the URL"
            )
        self.rfile.read(int(length))

    @staticmethod
    def _one_of(name: str, query: Mapping[str, str], allowed: Iterable[str]) -> str:
        if query.get(name) not in (among := list(allowed)):
            message = f"{name}: expected one of {', '.join(among)}, got {query.get(name)!r}"
            raise _RefusedError(HTTPStatus.BAD_REQUEST, message)
        return query[name]

    def _events(self) -> None:
        self._head(HTTPStatus.OK, "text/event-stream")
        self.wfile.write(b"retry: 1000\n\n")
        with closing(self.server.shown.states()) as states:
            for state in states:
                self.wfile.write(event(state))

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._respond(status, "application/json", json.dumps(value).encode())

    def _respond(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self._head(status, kind, {"Content-Length": str(len(content))})
        self.wfile.write(content)

    def _head(
        self, status: HTTPStatus, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the page has its own log."""
