"""The status report: what the data plane knows, as JSON values.

Two clocks stand in it: `at`, `since` and the like are real moments in ISO 8601; names that end
in `aws_seconds` are durations at AWS's own pace, that is, real seconds times the speed.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any

from ops.route53.answers import Answerer
from ops.route53.dataplane import DataPlane, Event
from ops.route53.health import CheckerState
from ops.route53.model import HealthCheck, RecordSet, Zone
from ops.route53.routing import Router, UnsupportedRoutingError

REPORT_VERSION = 1


def report(plane: DataPlane) -> dict[str, Any]:
    """Describe the data plane now.

    Args:
        plane: The data plane, running or not.

    Returns:
        `{version, now, started_at, speed, elapsed_aws_seconds, client_region, ready, api,
        endpoints, zones, health_checks, records, events}`; lists are in the order of the API,
        events oldest first.
    """
    now = time.time()
    configuration = plane.configuration
    return {
        "version": REPORT_VERSION,
        "now": _iso(now),
        "started_at": _iso(plane.started_at),
        "speed": plane.speed,
        "elapsed_aws_seconds": _aws(plane, now - plane.started_at),
        "client_region": plane.client_region,
        "ready": is_ready(plane),
        "api": {
            "ok": plane.api_error is None,
            "read_at": _iso(plane.api_read_at),
            "error": plane.api_error,
            "missing_zones": list(configuration.missing),
        },
        "endpoints": {
            "hosts": sorted(plane.endpoints.current.hosts),
            "error": plane.endpoints.error,
        },
        "zones": [
            {"id": zone.id, "name": zone.name, "records": len(zone.records)}
            for zone in configuration.zones
        ],
        "health_checks": [_check(plane, check, now) for check in configuration.checks.values()],
        "records": [
            _group(plane, zone, group)
            for zone in configuration.zones
            for group in zone.groups.values()
        ],
        "events": [_event(plane, event) for event in plane.events],
    }


def is_ready(plane: DataPlane) -> bool:
    """Tell whether every zone asked for has been found."""
    return plane.api_read_at is not None and not plane.configuration.missing


def _check(plane: DataPlane, check: HealthCheck, now: float) -> dict[str, Any]:
    status = plane.statuses.get(check.id)
    since = plane.since.get(check.id, now)
    target = plane.locate(check) if check.watches_endpoint else None
    return {
        "id": check.id,
        "type": check.type,
        "aim": check.domain_name or check.ip_address,
        "path": check.path if check.type.startswith("HTTP") else None,
        "target": f"{target.address}:{target.port}" if target and not target.failure else None,
        "healthy": status.healthy if status else True,
        "status": "healthy" if not status or status.healthy else "unhealthy",
        "reason": status.reason if status else "",
        "since": _iso(since),
        "since_aws_seconds": _aws(plane, now - since),
        "disabled": check.disabled,
        "inverted": check.inverted,
        "interval_seconds": check.interval_seconds,
        "failure_threshold": check.failure_threshold,
        "children": list(check.children),
        "checkers": [
            _checker(region, state) for region, state in plane.fleet.states(check.id).items()
        ],
    }


def _checker(region: str, state: CheckerState) -> dict[str, Any]:
    last = state.last
    return {
        "region": region,
        "healthy": state.healthy,
        "contrary_in_a_row": state.against,
        "last": None
        if last is None
        else {
            "at": _iso(last.at),
            "healthy": last.healthy,
            "reason": last.reason,
            "duration_seconds": round(last.duration_seconds, 4),
        },
    }


def _group(plane: DataPlane, zone: Zone, group: tuple[RecordSet, ...]) -> dict[str, Any]:
    """Describe the record sets of one name and type, and what they answer now."""
    router = Router(zone, plane.is_healthy)
    try:
        pool = router.pool(group, plane.client_region)
    except UnsupportedRoutingError:
        pool = ()
    first = group[0]
    answerer = plane.answerer(random.Random(0))
    answer = answerer.answer(first.name, first.type, plane.client_region)
    wanted = [records for records in answer.records if records.type == first.type]
    return {
        "zone": zone.name,
        "name": first.name,
        "type": first.type,
        "policy": first.policy,
        "code": answer.code,
        "reason": answer.reason,
        "ttl_seconds": wanted[-1].ttl_seconds if wanted else None,
        "values": list(wanted[-1].values) if wanted else [],
        "in_service": [record.set_identifier or "" for record in pool],
        "record_sets": [_record(router, answerer, record, record in pool) for record in group],
    }


def _record(
    router: Router, answerer: Answerer, record: RecordSet, in_service: bool
) -> dict[str, Any]:
    alias = record.alias
    endpoint = answerer.endpoint(alias.dns_name) if alias else None
    return {
        "set_identifier": record.set_identifier,
        "failover": record.failover,
        "weight": record.weight,
        "region": record.region,
        "health_check_id": record.health_check_id,
        "alias": alias.dns_name if alias else None,
        "evaluate_target_health": alias.evaluate_target_health if alias else None,
        "values": list(endpoint.of_type(record.type)) if endpoint else list(record.values),
        "healthy": router.in_service(record),
        "in_service": in_service,
    }


def _event(plane: DataPlane, event: Event) -> dict[str, Any]:
    return {
        "at": _iso(event.at),
        "aws_seconds": _aws(plane, event.at - plane.started_at),
        "kind": event.kind,
        "subject": event.subject,
        "before": event.before,
        "after": event.after,
        "reason": event.reason,
    }


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _aws(plane: DataPlane, seconds: float) -> float:
    return round(seconds * plane.speed, 3)
