"""Configuration of the health checks: each calls what it is to watch."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from constructs_lib.outputs import EvacuationOutput
from ops.environment import Environment
from ops.http_client import HTTPS_PORT
from ops.verify.finding import (
    Finding,
    check,
    guarded,
    passed_unless,
    read_all,
    region_check,
)

MIN_CHECKER_REGIONS = 3
"""Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html"""
_FIX = "deploy again: it restores the health check"


@region_check("health_check.target")
def target(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that a Region's health check calls the health path at the Region's own host name.

    The domain's Regional host name would return 403 to it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
    """
    config = _config(environment, environment.outputs.endpoint_health_check_ids[region])
    host, path = environment.region_host(region), environment.outputs.health_path
    problems = _target_problems(environment, config, host, path)
    if config.get("Inverted"):
        problems.append("it is inverted: a healthy Region counts as unhealthy")
    yield passed_unless(region, problems, found=f"calls https://{host}{path}", fix=_FIX)


@check("health_check.evacuation")
def evacuation(environment: Environment) -> Iterator[Finding]:
    """Check that other Regions are asked whether a Region is evacuated, each at its own host."""
    evacuation = environment.outputs.evacuation
    if evacuation is None:
        return
    for (region, observer), id in evacuation.all_health_check_ids.items():
        found = partial(_evacuation, environment, evacuation, region, observer, id)
        yield from guarded(f"evacuation of {region} in {observer}", found)


@region_check("health_check.record")
def record(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that a Region's record is in service while it is healthy and nobody evacuates it."""
    if environment.outputs.evacuation is not None:
        yield from _calculated(environment, environment.outputs.evacuation, region)


@check("health_check.checkers")
def checkers(environment: Environment) -> Iterator[Finding]:
    """Check that every health check is called from the same Regions, three or more."""
    ids = dict(environment.outputs.endpoint_health_check_ids)
    if evacuation := environment.outputs.evacuation:
        ids |= {
            f"evacuation of {r} in {o}": id
            for (r, o), id in evacuation.all_health_check_ids.items()
        }
    checkers_of = yield from read_all(
        ids, lambda subject: tuple(sorted(_config(environment, ids[subject]).get("Regions", ())))
    )
    for subject, regions in checkers_of.items():
        few = f"only {len(regions)} Regions check it, and Route 53 requires {MIN_CHECKER_REGIONS}"
        problems = [few] if len(regions) < MIN_CHECKER_REGIONS else []
        problems += [
            f"{region} checks {other} and not this"
            for other, others in checkers_of.items()
            for region in others
            if region not in regions
        ]
        found = f"called from {len(regions)} Regions: {', '.join(regions)}"
        yield passed_unless(subject, problems, found=found, fix=_FIX)


def _evacuation(
    environment: Environment, evacuation: EvacuationOutput, region: str, observer: str, id: str
) -> Iterator[Finding]:
    config = _config(environment, id)
    host, path = environment.region_host(observer), evacuation.path_of(region)
    problems = _target_problems(environment, config, host, path)
    if not config.get("Inverted"):
        problems.append(f"it is not inverted: it takes {region} out while {observer} is lost")
    yield passed_unless(
        f"evacuation of {region} in {observer}",
        problems,
        found=f"calls https://{host}{path}, inverted",
        fix=_FIX,
    )


def _calculated(
    environment: Environment, evacuation: EvacuationOutput, region: str
) -> Iterator[Finding]:
    config = _config(environment, environment.outputs.health_check_ids[region])
    asked = evacuation.health_check_ids[region]
    expected = {environment.outputs.endpoint_health_check_ids[region], *asked.values()}
    children, threshold = set(config.get("ChildHealthChecks", ())), config.get("HealthThreshold")
    problems = []
    if config["Type"] != "CALCULATED":
        problems.append(f"the record's health check is of type {config['Type']}, not CALCULATED")
    elif children != expected:
        problems += [f"it does not watch {missing}" for missing in sorted(expected - children)]
        problems += [f"it also watches {more}" for more in sorted(children - expected)]
    elif threshold != len(expected):
        problems.append(f"{threshold} of {len(expected)} healthy children are enough for it")
    if config.get("Inverted"):
        problems.append("it is inverted: a healthy Region counts as unhealthy")
    if config.get("Disabled"):
        problems.append("it is disabled, and so always counts as healthy")
    yield passed_unless(
        region,
        problems,
        found=f"healthy while the Region is, and neither {' nor '.join(asked)} reports it evacuated"
        if len(asked) > 1
        else f"healthy while the Region is, and {next(iter(asked))} does not report it evacuated",
        fix=_FIX,
    )


def _config(environment: Environment, id: str) -> dict[str, Any]:
    check = environment.client("route53", environment.primary).get_health_check(HealthCheckId=id)
    config: dict[str, Any] = check["HealthCheck"]["HealthCheckConfig"]
    return config


def _target_problems(
    environment: Environment, config: Mapping[str, Any], host: str, path: str
) -> list[str]:
    """What is wrong with a health check that is to call `https://{host}{path}`."""
    called, called_path = config.get("FullyQualifiedDomainName"), config.get("ResourcePath")
    targets = environment.outputs.domain_targets.values()
    because = ", which returns 403 to every health check" if called in targets else ""
    kind, port = config.get("Type"), config.get("Port", HTTPS_PORT)
    problems = {
        f"it calls the host {called}{because}, not {host}": called != host,
        f"it is fixed to the address {config.get('IPAddress')}": config.get("IPAddress"),
        f"it calls the path {called_path}, not {path}": called_path != path,
        f"it is {kind} on port {port}, not HTTPS": (kind, port) != ("HTTPS", HTTPS_PORT),
        "it does not send the host name in TLS (SNI)": not config.get("EnableSNI"),
        "it is disabled, and so always counts as healthy": config.get("Disabled"),
    }
    return [problem for problem, holds in problems.items() if holds]
