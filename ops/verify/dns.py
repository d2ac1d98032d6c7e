"""The records of the API's name: complete, and answered with the Region that should serve now."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from ops.deadline import started
from ops.environment import Environment
from ops.http_client import DnsAnswer
from ops.verify.finding import (
    Finding,
    check,
    failed,
    guarded,
    passed,
    passed_unless,
    unknown,
    unreadable,
)
from ops.verify.health_states import health_states, regions_to_serve
from ops.verify.reach import FIX, can_reach_a_region

RECORD_TYPES = ("A", "AAAA")
MAX_RECORDS = "100"
_FIX_RECORDS = "deploy again: it restores the records"
_FIX_PORT = "allow UDP port 53 to the zone's name servers, or run this on another machine"
_FIX_ANSWERS = "see the findings of dns.records and health_check.state"


@check("dns.records")
def records(environment: Environment) -> Iterator[Finding]:
    """Check that every Region has an A and an AAAA record of its role, target and health check."""
    found = {
        (record["Type"], record.get("SetIdentifier")): record for record in _records(environment)
    }
    name = environment.outputs.record_name
    for region, identifier in _set_identifiers(environment).items():
        for kind in RECORD_TYPES:
            subject = f"{name} {kind} {identifier}"
            record = found.pop((kind, identifier), None)
            yield passed_unless(
                subject,
                _problems(environment, region, identifier, record),
                found=f"routes to {region}, with its health check",
                fix=_FIX_RECORDS,
            )
    for kind, identifier_found in found:
        yield failed(
            f"{name} {kind} {identifier_found or 'without set identifier'}",
            "the record is not part of the stack, and Route 53 may answer with it",
            "remove it from the hosted zone",
        )


@check("dns.answer")
def answers(environment: Environment) -> Iterator[Finding]:
    """Check that the zone's servers resolve the API's name to the Region that should serve now."""
    # Asked at the same time: each may take until its time-out.
    asked = {
        kind: started(partial(environment.network.resolve, environment.outputs.record_name, kind))
        for kind in RECORD_TYPES
    }
    expected = regions_to_serve(environment, health_states(environment))
    for kind, future in asked.items():
        subject = f"{environment.outputs.record_name} {kind}"
        yield from guarded(subject, partial(_answer, environment, subject, kind, future, expected))


def _answer(
    environment: Environment,
    subject: str,
    kind: str,
    asked: Future[DnsAnswer],
    expected: tuple[str, ...],
) -> Iterator[Finding]:
    name, is_ipv6 = environment.outputs.record_name, kind == "AAAA"
    answer = asked.result()
    if answer.addresses:
        address = answer.addresses[0]
        health = environment.call_domain(address, environment.outputs.health_path)
        resolved = f"resolves to {address}, TTL {answer.ttl_seconds} s"
        if answer.source:
            resolved = f"resolves to {address} by {answer.source}"
        if health.region:
            yield _routed(environment, subject, resolved, health.region, expected, answer)
        elif is_ipv6:
            yield unknown(subject, f"{resolved}; from this machine: {health.summary}")
        elif answer.source or not can_reach_a_region(environment, health):
            yield unreadable(subject, f"{resolved}; from this machine: {health.summary}", FIX)
        else:
            yield failed(
                subject,
                f"{resolved}, where the health path returns {health.summary}; "
                f"{' or '.join(expected)} should serve",
                _FIX_ANSWERS,
            )
    elif is_ipv6 and not environment.network.ipv6:
        # Route 53 chooses a record all the same; it has no address.
        chosen = _chosen_in_sandbox(environment, name)
        if chosen:
            resolved = "no IPv6 on this machine; the record"
            yield _routed(environment, subject, resolved, chosen, expected, answer)
        else:
            yield failed(subject, f"no record is in service: {answer.error}", _FIX_ANSWERS)
    elif answer.is_known or environment.network.dns_servers:
        yield failed(subject, f"no answer: {answer.error}", _FIX_ANSWERS)
    else:
        yield unreadable(
            subject,
            f"nobody can be asked from this machine: {answer.error}",
            _FIX_PORT,
        )


def _routed(
    environment: Environment,
    subject: str,
    resolved: str,
    region: str,
    expected: tuple[str, ...],
    answer: DnsAnswer,
) -> Finding:
    if environment.outputs.routing_policy == "failover" and len(expected) > 1:
        return unknown(
            subject,
            f"{resolved}: {region}; whether it should is not known, see health_check.state",
        )
    if region in expected:
        return passed(subject, f"{resolved}: {region}")
    if answer.source:
        return unreadable(
            subject,
            f"{resolved}: {region}; by the health checks {' or '.join(expected)} should serve, "
            "and the cache may be older than they are",
            _FIX_PORT,
        )
    return failed(
        subject,
        f"{resolved}: {region}, and by the health checks {' or '.join(expected)} should serve",
        _FIX_ANSWERS,
    )


def _chosen_in_sandbox(environment: Environment, name: str) -> str | None:
    region_of = {identifier: r for r, identifier in _set_identifiers(environment).items()}
    for group in environment.sandbox_status()["records"]:
        if _same_name(group["name"], name) and group["type"] == "AAAA":
            return next((region_of.get(each) for each in group["in_service"]), None)
    return None


def _records(environment: Environment) -> list[dict[str, Any]]:
    """The address records of the API's name, as Route 53's API lists them.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
    """
    name = environment.outputs.record_name
    listed = environment.client("route53", environment.primary).list_resource_record_sets(
        HostedZoneId=environment.outputs.zone_id,
        StartRecordName=name,
        StartRecordType="A",
        MaxItems=MAX_RECORDS,
    )["ResourceRecordSets"]
    return [
        record
        for record in listed
        if _same_name(record["Name"], name) and record["Type"] in RECORD_TYPES
    ]


def _set_identifiers(environment: Environment) -> dict[str, str]:
    """`{region: set identifier}` of the stack's records."""
    if environment.outputs.routing_policy == "failover":
        return {environment.primary: "primary", environment.secondary: "secondary"}
    return {region: region for region in environment.regions}


def _same_name(one: str, other: str) -> bool:
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def _problems(
    environment: Environment, region: str, identifier: str, record: Mapping[str, Any] | None
) -> Iterator[str]:
    if record is None:
        yield f"the record does not exist: DNS cannot route to {region}"
        return
    failover = environment.outputs.routing_policy == "failover"
    expected_role = identifier.upper() if failover else region
    role = record.get("Failover" if failover else "Region")
    if role != expected_role:
        yield f"its role is {role}, not {expected_role}"
    alias = record.get("AliasTarget")
    target = environment.outputs.domain_targets[region]
    if alias is None:
        yield f"it is not an alias of {target}"
    else:
        if not _same_name(alias["DNSName"], target):
            yield f"it points to {alias['DNSName']}, not to {target}"
        if not alias.get("EvaluateTargetHealth"):
            yield "it does not evaluate the health of its target"
    expected_check = environment.outputs.health_check_ids[region]
    if record.get("HealthCheckId") != expected_check:
        yield f"its health check is {record.get('HealthCheckId') or 'none'}, not {expected_check}"
