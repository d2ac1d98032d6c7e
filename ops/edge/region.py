"""One Region's edge: what its API Gateway endpoint would answer, and the faults before that."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from typing import Any

from ops.edge.config import Region
from ops.edge.conversation import Answer, Headers, Request, converse
from ops.edge.door import Door
from ops.edge.faults import Faults, InjectedFault
from ops.edge.upstream import Upstream, UpstreamError, end_to_end

REGION_HEADER = b"X-Amz-Local-Region"
FAULT_HEADER = "X-Local-Fault"

_ERRORS = {
    500: ("Internal server error", "InternalServerErrorException"),
    502: ("Internal server error", "InternalServerErrorException"),
    503: ("Service Unavailable", "ServiceUnavailableException"),
    504: ("Endpoint request timed out", "InternalServerErrorException"),
}
"""Body and error type of API Gateway's own answers.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""


class RegionEdge:
    """Serves one Region.

    Args:
        region: Its address and names.
        port: Its port; 0 takes a free one.
        context: Its TLS settings.
        upstream: The local AWS.
        faults: What is injected, in all Regions.
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
        self._requests = 0
        self._answered: Counter[int] = Counter()
        self._broken: Counter[str] = Counter()
        self.door = Door(
            region.address,
            port,
            lambda reader, writer: converse(reader, writer, self.answer),
            context=context,
            swallows=lambda: faults.swallows(region.name),
        )

    @property
    def url(self) -> str:
        """Where it stands."""
        return f"https://{self.door.address}:{self.door.port}"

    def begin(self, injected: InjectedFault) -> None:
        """Lets a fault that was just injected befall what is open already."""
        if injected.fault.kind == "refuse":
            self.door.refuse()
        elif injected.fault.kind == "black_hole":
            self.door.freeze()

    def end(self) -> None:
        """Listens again, unless something injected still forbids it.

        Raises:
            OpsError: Another program took the address meanwhile.
        """
        if not self._faults.refuses(self.region.name):
            self.door.open()

    def counters(self) -> dict[str, Any]:
        """What it saw so far.

        Returns:
            Requests read, answers by status, what each kind of fault broke (`refuse`: open
            connections that were reset; `black_hole`: connections; else requests), and
            connections.
        """
        broken = {"refuse": self.door.cut, "black_hole": self.door.swallowed, **self._broken}
        return {
            "requests": self._requests,
            "answered": {str(status): count for status, count in sorted(self._answered.items())},
            "faults": {kind: count for kind, count in broken.items() if count},
            "connections": self.door.accepted,
            "open_connections": self.door.open_connections,
        }

    async def answer(self, request: Request) -> Answer:
        """Answers one request.

        Args:
            request: As the client sent it.
        """
        self._requests += 1
        answer = await self._injected(request) or await self._real(request)
        self._answered[answer.status] += 1
        return answer

    async def _injected(self, request: Request) -> Answer | None:
        for injected in self._faults.of_request(self.region.name, request.path):
            fault = injected.fault
            self._broken[fault.kind] += 1
            if fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)
            elif fault.status:
                message, kind = _ERRORS[fault.status]
                headers = {"x-amzn-ErrorType": kind, FAULT_HEADER: injected.id}
                return Answer.of(fault.status, {"message": message}, **headers)
        return None

    async def _real(self, request: Request) -> Answer:
        host = (request.header(b"host") or "").partition(":")[0]
        if request.body is None:
            return Answer.of(413, {"message": "Request Too Long"})
        if not self.region.serves(host) or request.method == b"CONNECT":
            kind = {"x-amzn-ErrorType": "ForbiddenException"}
            return Answer.of(403, {"message": "Forbidden"}, **kind)
        place = f"the local AWS at http://{self._upstream.host}:{self._upstream.port}"
        try:
            return await self._upstream.send(
                Request(request.method, request.target, self._headers(request), request.body)
            )
        except UpstreamError as error:
            return Answer.of(502, {"message": f"{place} does not answer: {error}"})
        except TimeoutError:
            return Answer.of(504, {"message": f"{place} did not answer in time"})

    def _headers(self, request: Request) -> Headers:
        """The client's own headers, the host without its port, and the Region."""
        kept = []
        for name, value in end_to_end(request.headers):
            match name.lower():
                case b"host":
                    kept.append((name, value.partition(b":")[0]))
                case b"expect" | b"x-amz-local-region":
                    continue
                case _:
                    kept.append((name, value))
        return (*kept, (REGION_HEADER, self.region.name.encode()))
