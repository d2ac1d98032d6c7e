"""The control API: what is injected, what was seen, and faults in and out.

    GET /faults               what is injected now
    POST /faults              inject one; 201, or 400 with what is wrong
    DELETE /faults            mend all; DELETE /faults/{id} mends one
    GET /requests             counters of every Region
    GET /ready                where every Region stands

It listens on 127.0.0.1 only, and takes JSON only as `application/json`: a web page that is open on
the same machine cannot send that without asking first, and is never allowed to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ops.edge.conversation import Answer, Request
from ops.edge.faults import Fault, FaultError, Faults, InjectedFault
from ops.edge.region import RegionEdge
from ops.errors import OpsError


class ControlApi:
    """Answers the requests of whoever drives the edges.

    Args:
        edges: The Regions.
        faults: What is injected in them.
    """

    def __init__(self, edges: Mapping[str, RegionEdge], faults: Faults) -> None:
        self._edges = edges
        self._faults = faults

    async def answer(self, request: Request) -> Answer:
        """Answers one request.

        Args:
            request: What was asked.
        """
        method, path = request.method.decode(), request.path
        match method, path.strip("/").split("/"):
            case "GET", ["ready"]:
                regions = {name: edge.url for name, edge in self._edges.items()}
                return Answer.of(200, {"ready": True, "regions": regions})
            case "GET", ["requests"]:
                return Answer.of(200, {name: e.counters() for name, e in self._edges.items()})
            case "GET", ["faults"]:
                return Answer.of(200, _listed(self._faults.all()))
            case "POST", ["faults"]:
                return self._inject(request)
            case "DELETE", ["faults"]:
                return self._mend(self._faults.all())
            case "DELETE", ["faults", id]:
                found = [each for each in self._faults.all() if each.id == id]
                if not found:
                    return Answer.of(404, {"message": f"no fault {id} is injected"})
                return self._mend(found)
        allowed = "GET /faults, POST /faults, DELETE /faults[/{id}], GET /requests, GET /ready"
        return Answer.of(404, {"message": f"no {method} {path}; there are {allowed}"})

    def _inject(self, request: Request) -> Answer:
        kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            message = f"content-type: expected application/json, got {kind!r}"
            return Answer.of(415, {"message": message})
        try:
            data = json.loads(request.body or b"")
            fault = Fault.from_json(data, regions=self._edges.keys())
        except FaultError as error:
            return Answer.of(400, {"message": str(error)})
        except ValueError as error:
            return Answer.of(400, {"message": f"the body is not JSON: {error}"})
        injected = self._faults.inject(fault)
        self._edges[fault.region].begin(injected)
        return Answer.of(201, injected.to_json())

    def _mend(self, found: list[InjectedFault]) -> Answer:
        for each in found:
            self._faults.remove(each.id)
        problems = []
        mended = []
        for each in found:
            try:
                self._edges[each.fault.region].end()
                mended.append(each)
            except OpsError as error:
                self._faults.restore(each)
                problems.append(f"{each.id} is not mended: {error.args[0]}; {error.next_step}")
        if problems:
            return Answer.of(409, {"message": "; ".join(problems), **_listed(mended)})
        return Answer.of(200, _listed(mended))


def _listed(faults: list[InjectedFault]) -> dict[str, object]:
    return {"faults": [each.to_json() for each in faults]}
