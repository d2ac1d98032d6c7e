"""The status of the data plane, as JSON over HTTP.

    GET /status               the whole report
    GET /ready                200 once every zone has been read, else 503
    PUT /speed {"speed": F}   change the speed while health checks run

`now`, `at`, `since` and the like are real moments in ISO 8601, whatever the speed.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sandbox.http_server import Request, RequestError, Response
from sandbox.route53.dataplane import DataPlane
from sandbox.route53.model import HealthCheck
from sandbox.validation import FASTEST, SLOWEST


class StatusApi:
    """Reports what the data plane does, and sets its speed.

    Args:
        plane: The data plane.
    """

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def respond(self, request: Request) -> Response:
        """Respond to one request.

        Args:
            request: The request.

        Raises:
            RequestError: It cannot be carried out.
        """
        match request.method, request.path:
            case b"GET" | b"HEAD", "/status":
                return Response.of(200, report(self._plane))
            case b"GET" | b"HEAD", "/ready":
                ready = is_ready(self._plane)
                return Response.of(200 if ready else 503, {"ready": ready})
            case b"PUT", "/speed":
                speed = _speed(request.json())
                if speed != self._plane.speed:
                    self._plane.set_speed(speed)
                return Response.of(200, {"speed": speed})
        allowed = "GET /status, GET /ready, PUT /speed"
        raise RequestError(404, f"no {request.method.decode()} {request.path}; there are {allowed}")


def report(plane: DataPlane) -> dict[str, Any]:
    """Describe the data plane now.

    Args:
        plane: The data plane, running or not.

    Returns:
        `{now, started_at, speed, ready, api, endpoints, health_checks, records, events}`; health
        checks are in the order of the API, events oldest first. Records are the groups in which
        the routing policy has a choice, with the set identifiers that are in service.
    """
    now = time.time()
    configuration = plane.configuration
    return {
        "now": _iso(now),
        "started_at": _iso(plane.started_at),
        "speed": plane.speed,
        "ready": is_ready(plane),
        "api": {"error": plane.api_error, "missing_zones": list(configuration.missing)},
        "endpoints": {
            "hosts": sorted(plane.endpoints.current.hosts),
            "error": plane.endpoints.error,
        },
        "health_checks": [_check(plane, check, now) for check in configuration.checks.values()],
        "records": [
            {"name": name, "type": kind, "in_service": list(members)}
            for (name, kind), members in plane.in_service.items()
        ],
        "events": [asdict(event) | {"at": _iso(event.at)} for event in plane.events],
    }


def is_ready(plane: DataPlane) -> bool:
    """Check whether every zone asked for has been found."""
    return plane.has_read and not plane.configuration.missing


def _check(plane: DataPlane, check: HealthCheck, now: float) -> dict[str, Any]:
    status = plane.statuses.get(check.id)
    target = plane.target_of(check) if check.watches_endpoint else None
    return {
        "id": check.id,
        "type": check.type,
        "target": f"{target.address}:{target.port}" if target and not target.failure else None,
        "healthy": status.healthy if status else True,
        "status": "healthy" if not status or status.healthy else "unhealthy",
        "reason": status.reason if status else "",
        "since": _iso(plane.since.get(check.id, now)),
        "checkers": [
            {"region": region, "healthy": state.healthy, "reason": state.reason}
            for region, state in plane.fleet.states(check.id).items()
        ],
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _speed(data: Any) -> float:
    speed = data.get("speed") if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(speed, int | float) or speed is True or not SLOWEST <= speed < FASTEST:
        raise RequestError(400, f'expected {{"speed": F}} with F 1 or more, got {data!r}')
    return float(speed)
