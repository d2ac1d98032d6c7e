"""One Region endpoint: the responses of its API Gateway endpoint, and the faults before them."""

from __future__ import annotations

import asyncio
import ssl

from ops.fault_injection import INSIDE_HEADER, LONGEST_DELAY_SECONDS, Fault
from sandbox.http_server import Headers, Request, Response, serve_connection
from sandbox.listener import Listener
from sandbox.region_endpoints.config import Region
from sandbox.region_endpoints.faults import Faults
from sandbox.region_endpoints.upstream import Upstream, UpstreamError, end_to_end
from sandbox.request_guard import host_name

REGION_HEADER = b"X-Amz-Local-Region"
FAULT_HEADER = "X-Local-Fault"
_INSIDE = INSIDE_HEADER.lower().encode()

_ERRORS = {
    500: ("Internal server error", "InternalServerErrorException"),
    502: ("Internal server error", "InternalServerErrorException"),
    503: ("Service Unavailable", "ServiceUnavailableException"),
    504: ("Endpoint request timed out", "InternalServerErrorException"),
}
"""Body and error type of API Gateway's own responses.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""


class RegionEndpoint:
    """Serves one Region.

    Args:
        region: Its address and names.
        port: Its port; 0 takes a free one.
        context: Its TLS settings.
        upstream: The local AWS.
        faults: The injected faults, of all Regions.
    """

    def __init__(
        self,
        region: Region,
        *,
        port: int,
        context: ssl.SSLContext,
        upstream: Upstream,
        faults: Faults,
    ) -> None:
        self.region = region
        self._upstream = upstream
        self._faults = faults
        self.listener = Listener(
            region.address,
            port,
            lambda reader, writer: serve_connection(reader, writer, self.respond, self._refuse),
            context=context,
            swallows=lambda: faults.swallows(region.name),
        )

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://{self.listener.address}:{self.listener.port}"

    def begin(self, fault: Fault) -> None:
        """Apply a fault that was just injected to the connections that are already open."""
        if fault.kind == "refuse":
            self.listener.refuse()
        elif fault.kind == "black_hole":
            self.listener.freeze()

    def end(self) -> None:
        """Listen again, unless another fault still forbids it.

        Raises:
            OpsError: Another program has taken the address meanwhile.
        """
        if not self._faults.refuses(self.region.name):
            self.listener.open()

    def _refuse(self, request: Request, _server: tuple[str, int]) -> Response | None:
        """Serve no names but the API's, which decides itself what other origins may do."""
        if self.region.serves(host_name(request.header(b"host") or "")) and (
            request.method != b"CONNECT"
        ):
            return None
        kind = {"x-amzn-ErrorType": "ForbiddenException"}
        return Response.of(403, {"message": "Forbidden"}, **kind)

    async def respond(self, request: Request) -> Response:
        """Respond to one request.

        Args:
            request: As the client sent it.
        """
        return await self._injected(request) or await self._real(request)

    async def _injected(self, request: Request) -> Response | None:
        if self._faults.isolates(self.region.name) and (
            request.header(_INSIDE) != self.region.name
        ):
            # Longer than any client waits; what was lost is not carried out later.
            await asyncio.sleep(LONGEST_DELAY_SECONDS)
            return Response.of(504, {"message": "Endpoint request timed out"})
        for injected in self._faults.of_request(self.region.name, request.path):
            fault = injected.fault
            if fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)
            elif fault.status:
                message, kind = _ERRORS[fault.status]
                headers = {"x-amzn-ErrorType": kind, FAULT_HEADER: injected.id}
                return Response.of(fault.status, {"message": message}, **headers)
        return None

    async def _real(self, request: Request) -> Response:
        if request.body is None:
            return Response.of(413, {"message": "Request Too Long"})
        place = f"the local AWS at http://{self._upstream.host}:{self._upstream.port}"
        try:
            return await self._upstream.send(
                Request(request.method, request.target, self._headers(request), request.body)
            )
        except UpstreamError as error:
            return Response.of(502, {"message": f"{place} does not respond: {error}"})
        except TimeoutError:
            return Response.of(504, {"message": f"{place} did not respond in time"})

    def _headers(self, request: Request) -> Headers:
        """The client's own headers, the host without its port, and the Region."""
        kept = []
        for name, value in end_to_end(request.headers):
            match name.lower():
                case b"host":
                    kept.append((name, value.partition(b":")[0]))
                case b"expect" | b"x-amz-local-region":
                    continue
                case other if other == _INSIDE:
                    continue
                case _:
                    kept.append((name, value))
        return (*kept, (REGION_HEADER, self.region.name.encode()))
