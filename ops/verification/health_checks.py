"""The health checks: aimed at what they are to watch."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.environment import Environment
from ops.verification.finding import Finding, check, guarded, judged, region_check
from ops.verification.reaching import client, region_host

HTTPS_PORT = 443
FEWEST_CHECKER_REGIONS = 3
"""Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html"""
_FIX = "deploy the stack again: it makes the health check as it should be"


@region_check("health_check.aim")
def aim(environment: Environment, region: str) -> Iterator[Finding]:
    """A Region's health check calls the health path at the Region's own host name.

    The domain's regional host name would answer it with 403 for ever.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
    """
    config = _config(environment, environment.outputs["endpoint_health_check_ids"][region])
    host, path = region_host(environment, region), environment.outputs["health_path"]
    problems = _aim_problems(environment, config, host, path)
    if config.get("Inverted"):
        problems.append("it is inverted: a healthy Region counts as unhealthy")
    yield judged(region, problems, otherwise=f"calls https://{host}{path}", fix=_FIX)


@check("health_check.switch")
def switch(environment: Environment) -> Iterator[Finding]:
    """The primary serves while it is healthy and the standby does not ask to take over."""
    switch = environment.outputs.get("switch")
    if switch is None:
        return
    yield from guarded("switch", lambda: _switch(environment, switch))
    yield from guarded(environment.primary, lambda: _calculated(environment, switch))


def _switch(environment: Environment, switch: Mapping[str, Any]) -> Iterator[Finding]:
    config = _config(environment, switch["health_check_id"])
    host = region_host(environment, switch["region"])
    problems = _aim_problems(environment, config, host, switch["path"])
    if not config.get("Inverted"):
        problems.append("it is not inverted: a standby that does not answer would take over")
    yield judged(
        "switch", problems, otherwise=f"calls https://{host}{switch['path']}, inverted", fix=_FIX
    )


def _calculated(environment: Environment, switch: Mapping[str, Any]) -> Iterator[Finding]:
    primary = environment.primary
    config = _config(environment, environment.outputs["health_check_ids"][primary])
    expected = {
        environment.outputs["endpoint_health_check_ids"][primary],
        switch["health_check_id"],
    }
    children, threshold = set(config.get("ChildHealthChecks", ())), config.get("HealthThreshold")
    problems = []
    if config["Type"] != "CALCULATED":
        problems.append(f"the record's health check is of type {config['Type']}, not CALCULATED")
    elif children != expected:
        problems += [f"it does not watch {missing}" for missing in sorted(expected - children)]
        problems += [f"it also watches {more}" for more in sorted(children - expected)]
    elif threshold != len(expected):
        problems.append(f"{threshold} of {len(expected)} healthy children are enough for it")
    yield judged(
        primary,
        problems,
        otherwise="healthy while the Region is, and the switch is not engaged",
        fix=_FIX,
    )


def _config(environment: Environment, id: str) -> dict[str, Any]:
    check = client(environment, "route53", environment.primary).get_health_check(HealthCheckId=id)
    config: dict[str, Any] = check["HealthCheck"]["HealthCheckConfig"]
    return config


def _aim_problems(
    environment: Environment, config: Mapping[str, Any], host: str, path: str
) -> list[str]:
    """What is wrong with a health check that is to call `https://{host}{path}`."""
    problems = []
    aimed_at = config.get("FullyQualifiedDomainName")
    if aimed_at != host:
        targets = environment.outputs["domain_targets"].values()
        because = ", which answers 403 to every health check" if aimed_at in targets else ""
        problems.append(f"it calls the host {aimed_at}{because}, not {host}")
    if config.get("IPAddress"):
        problems.append(f"it is tied to the address {config['IPAddress']}")
    if config.get("ResourcePath") != path:
        problems.append(f"it calls the path {config.get('ResourcePath')}, not {path}")
    if config.get("Type") != "HTTPS" or config.get("Port", HTTPS_PORT) != HTTPS_PORT:
        problems.append(f"it is {config.get('Type')} on port {config.get('Port')}, not HTTPS")
    if not config.get("EnableSNI"):
        problems.append("it does not send the host name in TLS (SNI)")
    if config.get("Disabled"):
        problems.append("it is disabled, and so counts as healthy for ever")
    checkers = config.get("Regions")
    if checkers and len(checkers) < FEWEST_CHECKER_REGIONS:
        problems.append(f"only {len(checkers)} Regions check it")
    return problems
