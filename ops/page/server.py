"""The page's server, on 127.0.0.1 only.

    GET /                                 the page
    GET /events                           server-sent events: the state, twice a second
    POST /break?region=R&fault=refuse     break a Region
    POST /mend?region=R                   mend what the page broke there; everywhere without R
    GET /ready                            200

Two rules keep other web pages out that are open on the same machine: what changes something is
taken as `application/json` only, which a page of another origin cannot send without asking first
and is never allowed to; and only who calls this server by its own name is answered, so that a
foreign name that leads here opens nothing.
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
from ops.page.breaking import FAULTS

HOST = "127.0.0.1"
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
    """What the page shows and drives; `Watch` is one."""

    def moments(self) -> Generator[str, None, None]:
        """Every state from now on, as JSON."""

    def regions(self) -> Iterable[str]:
        """The Regions that can be broken."""

    def break_region(self, region: str, fault: str) -> None:
        """Breaks a Region."""

    def mend(self, region: str | None = None) -> None:
        """Mends what was broken."""


def event(data: str) -> bytes:
    """A server-sent event.

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
    # Those who look are told nothing when it ends; their browsers come again.
    daemon_threads = True

    def __init__(self, shown: Shown, port: int) -> None:
        self.shown = shown
        super().__init__((HOST, port), _Conversation)

    @property
    def port(self) -> int:
        """The port."""
        return int(self.server_address[1])

    @property
    def names(self) -> tuple[str, str]:
        """What it is called by, as in `Host`."""
        return f"{HOST}:{self.port}", f"localhost:{self.port}"


class _RefusedError(Exception):
    """A request that is not done."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Conversation(BaseHTTPRequestHandler):
    server: PageServer
    timeout = STALLED_SECONDS

    def do_GET(self) -> None:
        """Answers what reads."""
        with suppress(OSError), self._refusing():
            self._check_caller()
            match urlsplit(self.path).path:
                case "/":
                    self._answer(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
                case "/events":
                    self._events()
                case "/ready":
                    self._json(HTTPStatus.OK, {"ready": True})
                case path:
                    raise _RefusedError(HTTPStatus.NOT_FOUND, f"no {path}; the page is at /")

    def do_POST(self) -> None:
        """Does what the buttons ask for."""
        with suppress(OSError), self._refusing():
            self._check_caller()
            self._check_content()
            asked = urlsplit(self.path)
            query = dict(parse_qsl(asked.query))
            match asked.path:
                case "/break":
                    region = self._one_of("region", query, self.server.shown.regions())
                    fault = self._one_of("fault", query, FAULTS)
                    self.server.shown.break_region(region, fault)
                case "/mend" if "region" in query:
                    region = self._one_of("region", query, self.server.shown.regions())
                    self.server.shown.mend(region)
                case "/mend":
                    self.server.shown.mend()
                case path:
                    raise _RefusedError(
                        HTTPStatus.NOT_FOUND, f"no {path}; there are /break and /mend"
                    )
            self._json(HTTPStatus.OK, {"done": True})

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Answers what cannot be done with the reason."""
        try:
            yield
        except _RefusedError as refused:
            self._json(refused.status, {"message": str(refused)})
        except OpsError as error:
            message = f"{error.args[0]}. Next: {error.next_step}"
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"message": message})

    def _check_caller(self) -> None:
        origins = [f"http://{name}" for name in self.server.names]
        if self.headers.get("Host") not in self.server.names:
            raise _RefusedError(
                HTTPStatus.FORBIDDEN, f"this is {origins[0]}, and answers to no other"
            )
        if self.headers.get("Origin", origins[0]) not in origins:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this is for the live page alone")

    def _check_content(self) -> None:
        kind = self.headers.get_content_type() if "Content-Type" in self.headers else "nothing"
        if kind != "application/json":
            message = f"content-type: expected application/json, got {kind}"
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "what is to be done is in the URL"
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
        with closing(self.server.shown.moments()) as moments:
            for moment in moments:
                self.wfile.write(event(moment))

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._answer(status, "application/json", json.dumps(value).encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
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
        """Says nothing: what is done stands in the page's own log."""
