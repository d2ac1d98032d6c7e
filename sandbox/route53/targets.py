"""Targets of health checks: always on loopback, or none."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.route53.answers import Answerer
from sandbox.route53.endpoints import Endpoint, is_loopback
from sandbox.route53.model import HealthCheck


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, or why that is impossible."""

    address: str = ""
    port: int = 0
    failure: str | None = None


def find_target(check: HealthCheck, answerer: Answerer, client_region: str) -> Target:
    """Find the loopback address a health check is aimed at.

    A domain name is looked up among the endpoints, then in the zones served here; IPv4 only,
    as on AWS. What is found in neither fails: nothing goes to the real network. The endpoint's
    own port, where it has one, takes the place of the check's.

    Args:
        check: A check that watches an endpoint.
        answerer: Knows the zones and the endpoints.
        client_region: The AWS Region whose latency records apply.

    Returns:
        An address and port, or the reason why there is none.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
    """
    name = check.ip_address or check.domain_name
    if not name:
        return Target(failure="the health check has neither a domain name nor an IP address")
    endpoint = answerer.endpoint(name)
    if endpoint is None:
        if not check.ip_address:
            endpoint = _resolved(name, answerer, client_region)
        elif is_loopback(name):
            endpoint = Endpoint((name,))
    if endpoint is None:
        return Target(failure=f"DNS resolution failed: no endpoint is known for {name}")
    if not endpoint.addresses:
        return Target(failure=f"DNS resolution failed: {name} has no IPv4 address")
    port = endpoint.port or check.port
    if not port:
        return Target(failure="the health check has no port")
    return Target(endpoint.addresses[0], port)


def _resolved(name: str, answerer: Answerer, client_region: str) -> Endpoint | None:
    """Resolve a name of a zone served here, as a health checker would."""
    answer = answerer.answer(name, "A", client_region)
    if answer.endpoint:
        return answerer.endpoint(answer.endpoint)
    found = answer.records[-1] if answer.records else None
    if found is None or found.type != "A" or not all(map(is_loopback, found.values)):
        return None
    return Endpoint(found.values)
