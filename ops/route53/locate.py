"""Where a health check's requests go: always to loopback, or nowhere."""

from __future__ import annotations

from ops.route53.answers import Answerer
from ops.route53.endpoints import Endpoint, loopback_or_reason
from ops.route53.model import HealthCheck
from ops.route53.probe import Target


def locate(check: HealthCheck, answerer: Answerer, client_region: str) -> Target:
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
        endpoint = _loopback(name) if check.ip_address else _resolved(name, answerer, client_region)
    if endpoint is None:
        return Target(failure=f"DNS resolution failed: no endpoint stands for {name}")
    if not endpoint.addresses:
        return Target(failure=f"DNS resolution failed: {name} has no IPv4 address")
    port = endpoint.port or check.port
    if not port:
        return Target(failure="the health check has no port")
    return Target(endpoint.addresses[0], port)


def _loopback(address: str) -> Endpoint | None:
    return None if loopback_or_reason(address) else Endpoint((address,))


def _resolved(name: str, answerer: Answerer, client_region: str) -> Endpoint | None:
    """Resolve a name of a zone served here, as a health checker would."""
    answer = answerer.answer(name, "A", client_region)
    if answer.endpoint:
        return answerer.endpoint(answer.endpoint)
    found = answer.records[-1] if answer.records else None
    if found is None or found.type != "A" or any(map(loopback_or_reason, found.values)):
        return None
    return Endpoint(found.values)
