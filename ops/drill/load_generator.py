"""Sends the load of a drill: requests on schedule, by DNS, over connections that are kept open.

A thread with an event loop of its own. A connection is used until the resolver's answer changes, as
good clients do: who keeps it longer never fails over. Requests on their way are let finish.
"""

import asyncio
import errno
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ops.drill.events import Request
from ops.drill.load import (
    RETRIED,
    Attempt,
    Call,
    Fate,
    Load,
    Traffic,
    request_of,
)
from ops.drill.probe import is_observation, is_one_location
from ops.drill.probe_location import ProbeLocation, observation_of
from ops.drill.resolver import RegionMap
from ops.http_client import DnsAnswer, Response, signed_headers

CONNECT_SECONDS = 3.0
STOP_SECONDS = 3.0
"""How long stopping waits beyond the time-out of a request."""
MOST_UNDER_WAY = 10_000
"""Requests, waiting ones included: more take the machine's memory, and are not sent."""
BRAKE_SECONDS = 5.0
BRAKE_ATTEMPTS = 20
BRAKE_SHARE = 0.5
OVERLOAD_SECONDS = 3.0
"""A request that begins so late ends the load: with those due meanwhile, it has no verdict.

Customers who try again would otherwise take the machine from the rest of the drill, too.
"""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
"""What this machine, not the API, has run out of."""


@dataclass(frozen=True)
class Place:
    """Customers who share a resolver.

    Attributes:
        resolve: Asks DNS for a name, without a cache.
        near: The Region that they are next to; empty if that does not matter.
    """

    resolve: Callable[[str], DnsAnswer]
    near: str = ""


@dataclass
class Generator:
    """Sends the load until it is stopped.

    Attributes:
        load: The load.
        location: What its writes are for.
        places: Its customers, who take turns.
        regions: What is known of addresses.
        clock: The drill's.
        timeout_seconds: When an attempt is given up.
        protected: Regions whose other customers must not be harmed: the load ends if most attempts
            there fail. Empty in a sandbox, where nobody is harmed.
    """

    load: Load
    location: ProbeLocation
    places: Sequence[Place]
    regions: RegionMap
    clock: Callable[[], float]
    timeout_seconds: float
    protected: Sequence[str] = ()
    _calls: list[Call] = field(default_factory=list)
    _attempts: list[Attempt] = field(default_factory=list)
    _writes: list[Request] = field(default_factory=list)
    _recent: deque[Attempt] = field(default_factory=deque)
    _failed: int = 0
    _skipped: int = 0
    _stopped: str = ""
    _is_overload: bool = False
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _begun: threading.Event = field(default_factory=threading.Event)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Send the first request now."""
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Send no more; what has no response after a time-out is counted without one."""
        if self._thread is None:
            return
        # Whoever is interrupted in `start` has not waited for it.
        self._begun.wait(STOP_SECONDS)
        if (loop := self._loop) is None:
            return
        with suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(self.timeout_seconds + 4 * STOP_SECONDS)

    def traffic(self) -> Traffic:
        """All that was sent until now."""
        return Traffic(
            tuple(self._calls),
            tuple(self._attempts),
            tuple(self._writes),
            self._skipped,
            self._stopped,
            self._is_overload,
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._schedule())
        except Exception as error:  # a load that ends in silence would look like a success
            self._stopped = f"it could not continue: {type(error).__name__}: {error}"
        finally:
            self._begun.set()

    async def _schedule(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        customers = [_Customers(self, place) for place in self.places]
        under_way: set[asyncio.Task[None]] = set()
        begun, number = self.clock(), 0
        while not self._ending.is_set() and not self._is_over:
            due = begun + self.load.due(number)
            if not await self._ended_within(due - self.clock()):
                if len(under_way) < MOST_UNDER_WAY:
                    task = asyncio.create_task(
                        self._call(customers[number % len(customers)], number, due)
                    )
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                else:
                    self._skipped += 1
                number += 1
        await self._ending.wait()
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=self.timeout_seconds + STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=STOP_SECONDS)
        for each in customers:
            await each.close()

    async def _ended_within(self, seconds: float) -> bool:
        """Wait, and say whether the drill has ended meanwhile."""
        if seconds <= 0:
            # Lets those under way continue, also while the schedule is behind.
            await asyncio.sleep(0)
            return self._ending.is_set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)
        return self._ending.is_set()

    async def _call(self, customers: "_Customers", number: int, due: float) -> None:
        begun = at = self.clock()
        self._is_overload |= begun - due > OVERLOAD_SECONDS
        request = request_of(number, due, customers.place.near)
        fate: Fate = "time_out"
        known, tried, is_finished = request, 0, False
        try:
            for retry in range(self.load.attempts):
                if retry:
                    at = self.clock() + self.load.wait_seconds(
                        retry, self.location.environment.speed
                    )
                    if self._is_over or await self._ended_within(at - self.clock()):
                        return
                tried += 1
                fate, done = await customers.send(request)
                known = _better_known(known, done) if tried > 1 else done
                self._record(
                    Attempt(
                        request.kind, at if retry else due, self.clock(), fate, done.region or ""
                    )
                )
                if fate not in RETRIED:
                    break
            is_finished = True
        finally:
            ended = self.clock()
            self._calls.append(Call(due, begun, ended, fate, tried, is_finished))
            if request.kind == "write":
                self._writes.append(replace(known, answered_at=ended))

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is to be sent, though the drill has not ended."""
        return bool(self._stopped) or self._is_overload

    def _record(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        if attempt.region not in self.protected:
            return
        self._recent.append(attempt)
        self._failed += attempt.fate != "ok"
        while self._recent[0].ended_at < attempt.ended_at - BRAKE_SECONDS:
            self._failed -= self._recent.popleft().fate != "ok"
        recent = len(self._recent)
        if recent >= BRAKE_ATTEMPTS and self._failed > BRAKE_SHARE * recent:
            self._stopped = (
                f"{self._failed} of the last {recent} requests failed in "
                f"{' and '.join(self.protected)}, where it may harm other customers"
            )


def _better_known(before: Request, now: Request) -> Request:
    """What is known of a write that was sent twice: one that may be stored stays unknown."""
    return before if not now.ok and not now.is_unknown and before.is_unknown else now


class _Customers:
    """Customers of one place: their resolver, and their connections to the address it names."""

    def __init__(self, generator: Generator, place: Place) -> None:
        self.place = place
        self._generator = generator
        self._environment = generator.location.environment
        self._api_url = self._environment.outputs.api_url
        parts = urlsplit(self._api_url)
        self._host = parts.hostname or ""
        self._port = parts.port or self._environment.network.https_port
        self._base = f"https://{self._host}:{self._port}{parts.path}"
        self._api_key = self._environment.api_key
        self._answer, self._until = DnsAnswer(), float("-inf")
        self._asking: asyncio.Task[DnsAnswer] | None = None
        self._connections: _Connections | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, request: Request) -> tuple[Fate, Request]:
        """Send one attempt, and say what became of it."""
        address = ""
        try:
            async with asyncio.timeout(self._generator.timeout_seconds):
                answer = await self._resolved()
                if not answer.addresses:
                    error = f"DNS: {answer.error}"
                    return "unreachable", replace(request, error=error)
                address = answer.addresses[0]
                response = await self._respond(request, address)
        except TimeoutError:
            return "time_out", self._failed(request, address, "TimeoutError: no response")
        except (aiohttp.ClientError, OSError) as error:
            is_local = _errno(error) in _EXHAUSTED
            return (
                "local" if is_local else "unreachable",
                self._failed(request, address, f"{type(error).__name__}: {error}"),
            )
        except Exception as error:  # no credentials, for example: nothing was sent
            return "local", self._failed(request, address, f"{type(error).__name__}: {error}")
        self._generator.regions.learn(address, response.region)
        is_right = (
            is_one_location(response)
            if request.kind == "read"
            else is_observation(response, request)
        )
        fate = _fate(response.status or 0, is_right=is_right)
        return fate, replace(
            request,
            status=response.status,
            region=response.region or self._region_of(address),
            address=address,
            error="wrong response" if fate == "wrong" else "",
        )

    async def close(self) -> None:
        """Close what is open."""
        if self._connections:
            await self._connections.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=STOP_SECONDS)

    async def _resolved(self) -> DnsAnswer:
        """The resolver's answer, from its cache until its time to live is over.

        While it asks, all wait for the same question. Failures are not cached.
        """
        if self._answer.addresses and self._generator.clock() < self._until:
            return self._answer
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def _asked(self, _: object) -> None:
        self._asking = None

    async def _ask(self) -> DnsAnswer:
        asked = self._generator.clock()
        answer = await asyncio.to_thread(self.place.resolve, self._host)
        if answer.addresses:
            # Looks its Region up, if it is new: not in the event loop.
            await asyncio.to_thread(self._generator.regions.region_of, answer.addresses[0])
        self._answer, self._until = answer, asked + answer.ttl_seconds
        return answer

    def _region_of(self, address: str) -> str | None:
        return self._generator.regions.region_of(address) if address else None

    def _failed(self, request: Request, address: str, error: str) -> Request:
        return replace(request, address=address, region=self._region_of(address), error=error)

    async def _respond(self, request: Request, address: str) -> Response:
        connections = self._to(address)
        connections.users += 1
        try:
            if request.kind == "read":
                headers = {"x-api-key": self._api_key}
                return await self._called(connections, "GET", "/locations?limit=1", headers)
            region = self._region_of(address) or self._environment.primary
            response = await self._write(connections, request, region)
            # An address may belong to another Region than it did.
            if response.status == 403 and response.region not in (None, region):
                response = await self._write(connections, request, response.region or region)
            return response
        finally:
            connections.users -= 1
            if connections is not self._connections and not connections.users:
                self._close(connections)

    async def _write(self, connections: "_Connections", request: Request, region: str) -> Response:
        path = self._generator.location.observation_path(request.key)
        headers, body = signed_headers(
            "PUT",
            self._api_url + path,
            region=region,
            credentials=self._environment.credentials(),
            body=observation_of(request.value),
        )
        return await self._called(connections, "PUT", path, headers, body)

    async def _called(
        self,
        connections: "_Connections",
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> Response:
        async with connections.session.request(
            method,
            URL(f"{self._base}{path}", encoded=True),
            headers={**headers, "Host": self._host},
            data=body,
            allow_redirects=False,
        ) as received:
            return Response(
                received.status,
                region=received.headers.get("X-Served-By-Region"),
                body=await received.text(errors="replace"),
            )

    def _to(self, address: str) -> "_Connections":
        """Connections to an address; those to the one before are closed."""
        before = self._connections
        if before is None or before.address != address:
            self._connections = _Connections(address, self._environment.network.tls)
            if before and not before.users:
                self._close(before)
        assert self._connections is not None
        return self._connections

    def _close(self, connections: "_Connections") -> None:
        task = asyncio.create_task(connections.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Connections(AbstractResolver):
    """Connections to one address, as many as are needed at once, kept open between requests."""

    def __init__(self, address: str, tls: Any) -> None:
        self.address, self.users = address, 0
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=tls,
                resolver=self,
                use_dns_cache=False,
                keepalive_timeout=60,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The whole attempt has its time-out elsewhere.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """The address, whatever the name."""
        return [
            ResolveResult(
                hostname=host,
                host=self.address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Close the connections, also those to a Region that does not say goodbye."""
        await self.session.close()
        for each in [*self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        made.setblocking(False)
        self._sockets.add(made)
        return made


def _fate(status: int, *, is_right: bool) -> Fate:
    if 200 <= status < 300:
        return "ok" if is_right else "wrong"
    if status == 429:
        return "throttled"
    return "server_error" if status >= 500 else "rejected"


def _errno(error: BaseException | None) -> int | None:
    """Number of the operating system's error; that of what caused it, if it has none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__
    return None
