"""The records of the API's name: complete, and answered with the Region that should serve now."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
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
    read_all,
    unknown,
    unreadable,
)
from ops.verify.health_states import health_states, regions_to_serve
from ops.verify.reach import FIX, can_reach_a_region

ADDRESS_TYPES = ("A", "AAAA")
RECORD_TYPES = (*ADDRESS_TYPES, "CNAME")
MAX_RECORDS = "100"
_ROLES = {"Failover": "role", "Region": "role", "Weight": "weight"}
_FIX_RECORDS = "deploy again: it restores the records"
_FIX_EXCHANGED = (
    "do not remove it: finish the exchange of the records, docs/how-to/recovery-time.md, then "
    "export the environment again"
)
_FIX_PORT = "allow UDP port 53 to the zone's name servers, or run this on another machine"
_FIX_ANSWERS = "see the findings of dns.records and health_check.state"


@dataclass(frozen=True)
class _Routing:
    """A record that routes, as the stack has it.

    Attributes:
        name: The name that it answers.
        identifier: Its set identifier.
        field: The field of Route 53's API that its routing policy is in.
        role: What it has there.
        region: The Region that it routes to; empty for an alias of another name.
        alias_of: The name that it is an alias of; empty for one that routes to a Region.
    """

    name: str
    identifier: str
    field: str
    role: str | int
    region: str = ""
    alias_of: str = ""


@check("dns.records")
def records(environment: Environment) -> Iterator[Finding]:
    """Check that every record that routes exists, with its role, target and health check."""
    expected: dict[str, list[_Routing]] = {}
    for routing in _routing_of(environment):
        expected.setdefault(routing.name, []).append(routing)
    found_in = yield from read_all(expected, partial(listed_records, environment))
    for name, records in found_in.items():
        found = {(record["Type"], record.get("SetIdentifier")): record for record in records}
        for routing in expected[name]:
            for kind in environment.outputs.record_types:
                record = found.pop((kind, routing.identifier), None)
                yield passed_unless(
                    f"{name} {kind} {routing.identifier}",
                    _problems(environment, routing, record),
                    found=f"routes to {routing.region}, with its health check"
                    if routing.region
                    else f"routes as {routing.alias_of} does, while a record of it is healthy",
                    fix=_FIX_RECORDS,
                )
        own = {routing.identifier for routing in expected[name]}
        for kind, identifier_found in found:
            yield failed(
                f"{name} {kind} {identifier_found or 'without set identifier'}",
                "the record is not part of the stack, and Route 53 may answer with it",
                _FIX_EXCHANGED if identifier_found in own else "remove it from the hosted zone",
            )


@check("dns.answer")
def answers(environment: Environment) -> Iterator[Finding]:
    """Check that the zone's servers resolve the API's name to the Region that should serve now."""
    # Asked at the same time: each may take until its time-out.
    asked = {
        kind: started(partial(environment.network.resolve, environment.outputs.record_name, kind))
        for kind in ADDRESS_TYPES
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
    """The Region whose record is in service, or the first one of several."""
    in_service = {
        _canonical(group["name"]): group["in_service"]
        for group in environment.sandbox_status()["records"]
        if group["type"] == environment.outputs.record_types[-1]
    }
    routing = {(each.name, each.identifier): each for each in _routing_of(environment)}
    while name:
        chosen = next(iter(in_service.get(_canonical(name), ())), None)
        found = routing.get((name, chosen or ""))
        if found is None or found.region:
            return found.region if found else None
        name = found.alias_of
    return None


def listed_records(environment: Environment, name: str) -> list[dict[str, Any]]:
    """The records of a name that may answer for its addresses, as Route 53's API lists them.

    Args:
        environment: The environment.
        name: The name.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
    """
    listed = environment.client("route53", environment.primary).list_resource_record_sets(
        HostedZoneId=environment.outputs.zone_id,
        StartRecordName=name,
        StartRecordType="A",
        MaxItems=MAX_RECORDS,
    )["ResourceRecordSets"]
    return [
        record
        for record in listed
        if same_name(record["Name"], name) and record["Type"] in RECORD_TYPES
    ]


def _routing_of(environment: Environment) -> list[_Routing]:
    """The records that route, those of the API's name first."""
    outputs, name = environment.outputs, environment.outputs.record_name
    match outputs.routing_policy:
        case "failover":
            return list(_failover(outputs.routed_names, environment.regions))
        case "latency":
            return [_Routing(name, r, "Region", r, r) for r in environment.regions]
        case "weighted":
            weights = outputs.weights or {}
            return [_Routing(name, r, "Weight", weights.get(r, 1), r) for r in environment.regions]


def _failover(names: Sequence[str], regions: Sequence[str]) -> Iterator[_Routing]:
    """A primary for each Region but the last, and a secondary for all that come after it."""
    for name, behind, region in zip(names, (*names[1:], ""), regions, strict=False):
        yield _Routing(name, "primary", "Failover", "PRIMARY", region)
        last = "" if behind else regions[-1]
        yield _Routing(name, "secondary", "Failover", "SECONDARY", last, behind)


def same_name(one: str, other: str) -> bool:
    """Whether two names are one for DNS.

    Args:
        one: A name.
        other: A name.
    """
    return _canonical(one) == _canonical(other)


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _problems(
    environment: Environment, routing: _Routing, record: Mapping[str, Any] | None
) -> Iterator[str]:
    to = routing.region or routing.alias_of
    if record is None:
        yield f"the record does not exist: DNS cannot route to {to}"
        return
    if (role := record.get(routing.field)) != routing.role:
        yield f"its {_ROLES[routing.field]} is {role}, not {routing.role}"
    alias = record.get("AliasTarget")
    target = environment.outputs.domain_targets[routing.region] if routing.region else to
    ttl = environment.outputs.ttl_seconds
    if routing.region and ttl is not None:
        values = [each["Value"] for each in record.get("ResourceRecords", ())]
        if not (len(values) == 1 and same_name(values[0], target)):
            points_to = alias["DNSName"] if alias else ", ".join(values) or "nothing"
            yield f"it points to {points_to}, not to {target}"
        if record.get("TTL") != ttl:
            yield f"its time to live is {record.get('TTL', 'none')} s, not {ttl} s"
    elif alias is None:
        yield f"it is not an alias of {target}"
    else:
        if not same_name(alias["DNSName"], target):
            yield f"it points to {alias['DNSName']}, not to {target}"
        if routing.alias_of and (zone := alias["HostedZoneId"]) != environment.outputs.zone_id:
            yield f"it points to the zone {zone}, not to its own"
        if not alias.get("EvaluateTargetHealth"):
            yield "it does not evaluate the health of its target"
    # An alias of a name has the health of the records there.
    wanted = environment.outputs.health_check_ids[routing.region] if routing.region else None
    if (found := record.get("HealthCheckId")) != wanted:
        yield f"its health check is {found or 'none'}, not {wanted or 'none'}"
