"""What the health checks say now, and which Region DNS should lead to therefore."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import urllib3

from ops.environment import Environment
from ops.errors import OpsError
from ops.verification.finding import Finding, check, failed, passed, unknown
from ops.verification.reaching import client

HEALTHY_SHARE = 0.18
"""An endpoint is healthy when more than this share of its checkers say so.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""
METRICS_REGION = "us-east-1"
"""The only Region with health checks' metrics.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-cloudwatch.html
"""
_METRIC_AGE = timedelta(minutes=5)


@dataclass(frozen=True)
class HealthState:
    """What a health check says.

    Attributes:
        healthy: Whether it is healthy; None if that is not known.
        found: Why, in words.
    """

    healthy: bool | None
    found: str


def health_states(environment: Environment) -> dict[str, HealthState]:
    """What every health check of the environment says: `{id: state}`.

    Args:
        environment: The environment.

    Raises:
        OpsError: The local data plane does not answer.
    """
    if environment.status_url:
        return {
            check["id"]: HealthState(check["healthy"], check["reason"] or check["status"])
            for check in local_report(environment)["health_checks"]
        }
    outputs = environment.outputs
    endpoints = set(outputs["endpoint_health_check_ids"].values())
    others = set(outputs["health_check_ids"].values()) - endpoints
    if "switch" in outputs:
        others.add(outputs["switch"]["health_check_id"])
    return {id: _observed(environment, id) for id in sorted(endpoints)} | {
        id: _measured(environment, id) for id in sorted(others)
    }


def local_report(environment: Environment) -> dict[str, Any]:
    """The status page of the local data plane.

    Args:
        environment: A local environment.

    Raises:
        OpsError: It does not answer.
    """
    url = f"{environment.status_url}/status"
    try:
        report: dict[str, Any] = urllib3.request("GET", url, timeout=5, retries=False).json()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise OpsError(
            f"the local Route 53 at {url} does not answer: {error}",
            next_step="complete the stand with: python -m ops local up",
        ) from error
    return report


def regions_to_serve(
    environment: Environment, states: Mapping[str, HealthState]
) -> tuple[str, ...]:
    """The Regions that DNS may lead to now; several if that is not for certain.

    Args:
        environment: The environment.
        states: What the health checks say.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-simple-configs.html
    """
    ids = environment.outputs["health_check_ids"]
    healthy = {
        region: states.get(ids[region], HealthState(None, "")).healthy
        for region in environment.regions
    }
    if environment.outputs["routing_policy"] != "failover":
        return tuple(r for r in healthy if healthy[r] is not False) or environment.regions
    if None in healthy.values():
        return environment.regions
    if not healthy[environment.primary] and healthy[environment.standby]:
        return (environment.standby,)
    return (environment.primary,)


@check("health_check.state")
def state(environment: Environment) -> Iterator[Finding]:
    """Every health check is healthy, in the eyes of enough of its observers."""
    states = health_states(environment)
    for subject, id in _subjects(environment).items():
        state = states.get(id, HealthState(None, "it has not been seen yet"))
        if state.healthy is None:
            yield unknown(subject, state.found)
        elif state.healthy:
            yield passed(subject, f"healthy: {state.found}")
        else:
            yield failed(
                subject,
                f"unhealthy: {state.found}",
                "mend what the other findings name; without any, see the log of the health "
                "function",
            )


def _subjects(environment: Environment) -> dict[str, str]:
    """`{subject: health check id}`, each health check once."""
    outputs = environment.outputs
    subjects = dict(outputs["endpoint_health_check_ids"])
    if "switch" in outputs:
        subjects["switch"] = outputs["switch"]["health_check_id"]
        subjects["primary's record"] = outputs["health_check_ids"][environment.primary]
    return subjects


def _observed(environment: Environment, id: str) -> HealthState:
    """What the checkers of an endpoint report.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckStatus.html
    """
    observations = client(environment, "route53", environment.primary).get_health_check_status(
        HealthCheckId=id
    )["HealthCheckObservations"]
    if not observations:
        return HealthState(None, "no health checker has reported yet")
    reports = [seen["StatusReport"]["Status"] for seen in observations]
    successes = [report for report in reports if report.startswith("Success")]
    share = len(successes) / len(reports)
    failure = next((report for report in reports if report not in successes), "")
    return HealthState(
        share > HEALTHY_SHARE,
        f"{len(successes)} of {len(reports)} checkers healthy" + (failure and f"; {failure}"),
    )


def _measured(environment: Environment, id: str) -> HealthState:
    """What CloudWatch says of a calculated or an inverted check, which has no observers of its own.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html
    """
    now = datetime.now(UTC)
    points = client(environment, "cloudwatch", METRICS_REGION).get_metric_statistics(
        Namespace="AWS/Route53",
        MetricName="HealthCheckStatus",
        Dimensions=[{"Name": "HealthCheckId", "Value": id}],
        StartTime=now - _METRIC_AGE,
        EndTime=now,
        Period=60,
        Statistics=["Minimum"],
    )["Datapoints"]
    if not points:
        return HealthState(None, f"CloudWatch in {METRICS_REGION} knows nothing of it yet")
    last = max(points, key=lambda point: point["Timestamp"])
    return HealthState(
        last["Minimum"] >= 1, f"CloudWatch, {last['Timestamp'].isoformat(timespec='minutes')}"
    )
