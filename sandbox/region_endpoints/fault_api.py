"""The fault-injection API of the sandbox, as `ops.fault_injection` defines it.

Faults of the local AWS itself are forwarded to it. A fault that is injected again with the same id
is injected once.

It listens on 127.0.0.1 only, and takes JSON only as `application/json`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ops.errors import OpsError
from ops.fault_injection import LOCAL_AWS_KINDS, Fault, FaultError, InjectedFault
from sandbox.emulator import CAPACITY_PATH, FAULTS_PATH, REPLICATION_PATH
from sandbox.emulator.capacity import Limits
from sandbox.http_server import Request, RequestError, Response
from sandbox.region_endpoints.faults import Faults
from sandbox.region_endpoints.region_endpoint import RegionEndpoint
from sandbox.region_endpoints.upstream import Upstream, UpstreamError
from sandbox.validation import FASTEST


class FaultApi:
    """Injects faults into the Region endpoints and the local AWS.

    Args:
        endpoints: The Region endpoints.
        faults: Their faults.
        upstream: The local AWS.
    """

    def __init__(
        self, endpoints: Mapping[str, RegionEndpoint], faults: Faults, upstream: Upstream
    ) -> None:
        self._endpoints = endpoints
        self._faults = faults
        self._upstream = upstream

    async def start(self) -> None:
        """Clear what earlier Region endpoints have left in the local AWS, if it responds."""
        with suppress(OpsError):
            await self._forward("DELETE", "")

    async def respond(self, request: Request) -> Response:
        """Respond to one request.

        Args:
            request: The request.

        Raises:
            RequestError: It cannot be carried out.
        """
        method, path = request.method.decode(), request.path
        match method, path.strip("/").split("/"):
            case "GET", ["ready"]:
                regions = {name: each.url for name, each in self._endpoints.items()}
                return Response.of(200, {"ready": True, "regions": regions})
            case "GET", ["faults"]:
                return _listed(self._faults.all())
            case "GET", ["replication"]:
                return await self._emulator("GET", REPLICATION_PATH, "list what is pending")
            case "PUT", ["replication"]:
                body = json.dumps({"speed": _speed(request.json())}).encode()
                return await self._emulator("PUT", REPLICATION_PATH, "change its speed", body)
            case "DELETE", ["replication", region] if region in self._endpoints:
                return await self._emulator(
                    "DELETE", f"{REPLICATION_PATH}/{region}", "discard writes"
                )
            case "GET", ["capacity"]:
                return await self._emulator("GET", CAPACITY_PATH, "show its capacity")
            case "PUT", ["capacity", region] if region in self._endpoints:
                try:
                    Limits().with_values(request.json())
                except ValueError as error:
                    raise RequestError(400, str(error)) from error
                return await self._emulator(
                    "PUT", f"{CAPACITY_PATH}/{region}", "change it", request.body or b""
                )
            case "POST", ["faults"]:
                return await self._inject(request)
            case "DELETE", ["faults", id]:
                if injected := self._faults.get(id):
                    return await self._clear(injected)
                raise RequestError(404, f"no fault {id} is injected")
        allowed = (
            "GET /faults, POST /faults, DELETE /faults/{id}, GET /replication, "
            "PUT /replication, DELETE /replication/{region}, GET /capacity, "
            "PUT /capacity/{region}, GET /ready"
        )
        raise RequestError(404, f"no {method} {path}; there are {allowed}")

    async def _emulator(self, method: str, path: str, done: str, body: bytes = b"") -> Response:
        """Have the local AWS itself show or change something."""
        try:
            found = await self._call(method, path, done, body)
        except OpsError as error:
            raise RequestError(502, error.args[0]) from error
        return Response.of(200, json.loads(found))

    async def _inject(self, request: Request) -> Response:
        data = request.json()
        try:
            fault = Fault.from_json(data, regions=self._endpoints.keys())
        except FaultError as error:
            raise RequestError(400, str(error)) from error
        id = data.get("id") or secrets.token_hex(4)
        if known := self._faults.get(id):
            if known.fault != fault:
                raise RequestError(409, f"id: {id} is the fault {known.fault} of {fault.region}")
            return Response.of(200, known.to_json())
        injected = InjectedFault(id, datetime.now(UTC).isoformat(timespec="milliseconds"), fault)
        if fault.kind in LOCAL_AWS_KINDS:
            try:
                await self._forward("POST", "", injected)
            except OpsError as error:
                raise RequestError(502, error.args[0]) from error
            self._faults.add(injected)
        else:
            self._faults.add(injected)
            self._endpoints[fault.region].begin(fault)
        return Response.of(201, injected.to_json())

    async def _clear(self, injected: InjectedFault) -> Response:
        self._faults.remove(injected.id)
        try:
            if injected.fault.kind in LOCAL_AWS_KINDS:
                await self._forward("DELETE", f"/{injected.id}")
            else:
                self._endpoints[injected.fault.region].end()
        except OpsError as error:
            self._faults.add(injected)
            problem = f"{injected.id} is not cleared: {error.args[0]}; {error.next_step}"
            raise RequestError(503, problem) from error
        return _listed([injected])

    async def _forward(self, method: str, path: str, injected: InjectedFault | None = None) -> None:
        """Inject or clear in the local AWS.

        Raises:
            OpsError: It cannot be done there.
        """
        body = json.dumps(injected.to_json()).encode() if injected else b""
        done = f"{'inject' if injected else 'clear'} it"
        await self._call(method, FAULTS_PATH + path, done, body)

    async def _call(self, method: str, path: str, done: str, body: bytes = b"") -> bytes:
        """Call the local AWS; the body of its response.

        Raises:
            OpsError: It does not respond, or with an error.
        """
        host = f"{self._upstream.host}:{self._upstream.port}"
        headers = ((b"Host", host.encode()), (b"Content-Type", b"application/json"))
        request = Request(method.encode(), path.encode(), headers, body)
        try:
            response = await self._upstream.send(request)
            if response.status < 400 or (method, response.status) == ("DELETE", 404):
                return response.body
            problem = f"status {response.status}: {response.body[:300].decode('latin-1')}"
        except (UpstreamError, TimeoutError) as error:
            problem = str(error) or "no response in time"
        raise OpsError(
            f"the local AWS at http://{host} does not {done}: {problem}",
            next_step="restart the sandbox: python -m sandbox down, then up",
        )


def _speed(data: Any) -> float:
    """The speed that a request asks for.

    Raises:
        RequestError: It is not a speed.
    """
    speed = data.get("speed") if isinstance(data, dict) else None
    if isinstance(speed, int | float) and speed is not True and 0 < speed < FASTEST:
        return speed
    raise RequestError(400, f"speed: expected more than 0 and less than {FASTEST}, got {speed!r}")


def _listed(faults: list[InjectedFault]) -> Response:
    return Response.of(200, {"faults": [each.to_json() for each in faults]})
