"""State of the health checks, and the Region that DNS should route to therefore."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from ops.deadline import started
from ops.environment import Environment
from ops.errors import explain
from ops.verify.finding import Finding, check, failed, of_exception, passed, unreadable

HEALTHY_SHARE = 0.18
"""An endpoint is healthy when more than this share of its checkers report it as healthy.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""
METRICS_REGION = "us-east-1"
"""The only Region with metrics of health checks.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-cloudwatch.html
"""
_METRIC_AGE = timedelta(minutes=5)


@dataclass(frozen=True)
class HealthState:
    """State of a health check.

    Attributes:
        healthy: Whether it is healthy; None if that is not known.
        found: Why, for people.
        error: Why it could not be read; None if it was.
    """

    healthy: bool | None
    found: str
    error: Exception | None = None


def health_states(environment: Environment) -> dict[str, HealthState]:
    """Read the state of every health check of the environment: `{id: state}`.

    Args:
        environment: The environment.

    Raises:
        OpsError: The Route 53 of a sandbox does not respond.
    """
    if environment.descriptor.sandbox:
        return {
            check["id"]: HealthState(check["healthy"], check["reason"] or check["status"])
            for check in environment.sandbox_status()["health_checks"]
        }
    outputs = environment.outputs
    calculated = set(outputs.health_check_ids.values())
    inverted = outputs.evacuation.all_health_check_ids.values() if outputs.evacuation else ()
    others = calculated.union(inverted) - set(outputs.endpoint_health_check_ids.values())
    reading = {id: started(partial(_read, _from_metric, environment, id)) for id in sorted(others)}
    return endpoint_states(environment) | {id: found.result() for id, found in reading.items()}


def endpoint_states(environment: Environment) -> dict[str, HealthState]:
    """Read the state of the health checks that call a Region: `{id: state}`.

    Args:
        environment: The environment.

    Raises:
        OpsError: The Route 53 of a sandbox does not respond.
    """
    ids = sorted(environment.outputs.endpoint_health_check_ids.values())
    if environment.descriptor.sandbox:
        states = health_states(environment)
        return {id: states[id] for id in ids if id in states}
    reading = {id: started(partial(_read, _from_checkers, environment, id)) for id in ids}
    return {id: found.result() for id, found in reading.items()}


def regions_to_serve(
    environment: Environment, states: Mapping[str, HealthState]
) -> tuple[str, ...]:
    """Determine the Regions that DNS may route to now; several if that is uncertain.

    Args:
        environment: The environment.
        states: State of the health checks.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-simple-configs.html
    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
    """
    ids = environment.outputs.health_check_ids
    healthy = {
        region: states.get(ids[region], HealthState(None, "")).healthy
        for region in environment.regions
    }
    match environment.outputs.routing_policy:
        case "failover":
            return _first(healthy)
        case "latency":
            return _any(healthy) or environment.regions
        case "weighted":
            weights = environment.outputs.weights or {}
            carrying = {r: healthy[r] for r in healthy if weights.get(r, 1)}
            if any(carrying.values()):
                return _any(carrying)
            # Those of weight 0 serve while no other is healthy.
            return _any(healthy) or tuple(carrying)


def _first(healthy: Mapping[str, bool | None]) -> tuple[str, ...]:
    """The first healthy Region, after those of unknown health; the primary if none may be."""
    possible: list[str] = []
    for region, is_healthy in healthy.items():
        if is_healthy is not False:
            possible.append(region)
        if is_healthy:
            return tuple(possible)
    return tuple(dict.fromkeys([*possible, next(iter(healthy))]))


def _any(healthy: Mapping[str, bool | None]) -> tuple[str, ...]:
    """The Regions that are not known to be unhealthy."""
    return tuple(region for region, is_healthy in healthy.items() if is_healthy is not False)


@check("health_check.state")
def state(environment: Environment) -> Iterator[Finding]:
    """Check that every health check is healthy."""
    states = health_states(environment)
    for subject, id in _subjects(environment).items():
        state = states.get(id, HealthState(None, "it has no state yet"))
        if state.error:
            yield of_exception(subject, state.error)
        elif state.healthy is None:
            yield unreadable(subject, state.found, "wait a minute: it has just been deployed")
        elif state.healthy:
            yield passed(subject, f"healthy: {state.found}")
        else:
            yield failed(
                subject,
                f"unhealthy: {state.found}",
                "fix the other findings; if there are none, see the log of the health function",
            )


def _subjects(environment: Environment) -> dict[str, str]:
    """`{subject: health check id}`, each health check once."""
    outputs = environment.outputs
    subjects = dict(outputs.endpoint_health_check_ids)
    if outputs.evacuation:
        for (region, observer), id in outputs.evacuation.all_health_check_ids.items():
            subjects[f"evacuation of {region} in {observer}"] = id
        subjects |= {f"{region}'s record": id for region, id in outputs.health_check_ids.items()}
    return subjects


def _read(
    read: Callable[[Environment, str], HealthState], environment: Environment, id: str
) -> HealthState:
    try:
        return read(environment, id)
    except Exception as error:
        return HealthState(None, explain(error), error)


def _from_checkers(environment: Environment, id: str) -> HealthState:
    """Read what the checkers of an endpoint report.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckStatus.html
    """
    observations = environment.client("route53", environment.primary).get_health_check_status(
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


def _from_metric(environment: Environment, id: str) -> HealthState:
    """Read the metric of a calculated or an inverted check, which no checkers report.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html
    """
    now = datetime.now(UTC)
    points = environment.client("cloudwatch", METRICS_REGION).get_metric_statistics(
        Namespace="AWS/Route53",
        MetricName="HealthCheckStatus",
        Dimensions=[{"Name": "HealthCheckId", "Value": id}],
        StartTime=now - _METRIC_AGE,
        EndTime=now,
        Period=60,
        Statistics=["Minimum"],
    )["Datapoints"]
    if not points:
        return HealthState(None, f"CloudWatch in {METRICS_REGION} has no data of it yet")
    last = max(points, key=lambda point: point["Timestamp"])
    return HealthState(
        last["Minimum"] >= 1, f"CloudWatch, {last['Timestamp'].isoformat(timespec='minutes')}"
    )
