"""The example API at several addresses of loopback, over HTTPS: each Region responds as set."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager

import trustme
from aiohttp import web
from loopback_regions import server_context

NAME = "weather.example.com"


class LoopbackRegion:
    """One Region.

    Attributes:
        status: HTTP status of every response.
        statuses: Those of the next ones.
        held: Whether requests wait for `release`.
        calls: `(method, path, headers)` of each request.
        connections: How many connections were opened.
        closed: How many of them are closed.
        body: What is responded, if not the right body.
    """

    def __init__(self, name, address):
        self.name, self.address = name, address
        self.status, self.statuses, self.body = 200, [], None
        self.calls, self.connections, self.closed = [], 0, 0
        self.held = False
        self._released = asyncio.Event()

    def release(self):
        self.held = False
        self._loop.call_soon_threadsafe(self._released.set)

    async def serve(self, context, port):
        self._loop = asyncio.get_running_loop()
        region = self

        class Counting(web.Server):
            def connection_made(self, *given):
                region.connections += 1
                super().connection_made(*given)

            def connection_lost(self, *given):
                region.closed += 1
                super().connection_lost(*given)

        server = Counting(self._respond)
        listening = await self._loop.create_server(server, self.address, port, ssl=context)
        return server, listening

    async def _respond(self, request):
        self.calls.append((request.method, request.raw_path, dict(request.headers)))
        content = await request.text()
        if self.held:
            await self._released.wait()
        status = self.statuses.pop(0) if self.statuses else self.status
        body = {"locations": [{"location": "berlin"}], "next_cursor": None}
        if request.method == "PUT":
            key = request.path.rpartition("/")[2]
            body = {"observed_at": key, **json.loads(content)}
        headers = {"X-Served-By-Region": self.name}
        return web.json_response(
            body if self.body is None else self.body, status=status, headers=headers
        )


def free_port(addresses):
    """A port that is free at all addresses."""
    while True:
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
        try:
            for address in addresses:
                with socket.socket() as other:
                    other.bind((address, port))
        except OSError:
            continue
        return port


@contextmanager
def serving(regions, folder):
    """Serve them, in a thread; gives the port and the file of the authority's certificate."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = server_context(authority, [NAME])
    port = free_port([region.address for region in regions])
    begun, loop = threading.Event(), asyncio.new_event_loop()

    async def run():
        servers = [await region.serve(context, port) for region in regions]
        begun.set()
        return servers

    def serve():
        loop.servers = loop.run_until_complete(run())
        loop.run_forever()

    async def close():
        for region in regions:
            region._released.set()
        for server, listening in loop.servers:
            listening.close()
            await server.shutdown(0)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert begun.wait(60)
    try:
        yield port, ca_file
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
