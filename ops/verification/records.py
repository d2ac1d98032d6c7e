"""The records that lead customers: complete, and each with its own health check."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.environment import Environment
from ops.verification.finding import Finding, check, failed, judged
from ops.verification.reaching import client

RECORD_TYPES = ("A", "AAAA")
MOST_RECORDS = "100"
_FIX = "deploy the stack again: it makes the records as they should be"


def records_of(environment: Environment) -> list[dict[str, Any]]:
    """The address records of the API's name, as Route 53's API lists them.

    Args:
        environment: The environment.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
    """
    name = environment.outputs["record_name"]
    listed = client(environment, "route53", environment.primary).list_resource_record_sets(
        HostedZoneId=environment.outputs["zone_id"],
        StartRecordName=name,
        StartRecordType="A",
        MaxItems=MOST_RECORDS,
    )["ResourceRecordSets"]
    return [
        record
        for record in listed
        if same_name(record["Name"], name) and record["Type"] in RECORD_TYPES
    ]


def set_identifiers(environment: Environment) -> dict[str, str]:
    """`{region: set identifier}` as the stack makes its records.

    Args:
        environment: The environment.
    """
    if environment.outputs["routing_policy"] == "failover":
        return {environment.primary: "primary", environment.standby: "secondary"}
    return {region: region for region in environment.regions}


def same_name(one: str, other: str) -> bool:
    """Whether two spellings mean one name.

    Args:
        one: A fully qualified name, with or without the last dot.
        other: Another one.
    """
    return one.rstrip(".").lower() == other.rstrip(".").lower()


@check("dns.records")
def records(environment: Environment) -> Iterator[Finding]:
    """Every Region has an A and an AAAA record of its role, target and health check."""
    found = {
        (record["Type"], record.get("SetIdentifier")): record for record in records_of(environment)
    }
    name = environment.outputs["record_name"]
    for region, identifier in set_identifiers(environment).items():
        for kind in RECORD_TYPES:
            subject = f"{name} {kind} {identifier}"
            record = found.pop((kind, identifier), None)
            if record is None:
                yield failed(subject, f"there is no such record: DNS cannot lead to {region}", _FIX)
                continue
            yield judged(
                subject,
                _problems(environment, region, identifier, record),
                otherwise=f"leads to {region}, watched by its health check",
                fix=_FIX,
            )
    for kind, stranger in found:
        yield failed(
            f"{name} {kind} {stranger or 'without set identifier'}",
            "the stack does not know this record, and it takes part in the answers",
            "remove it from the hosted zone",
        )


def _problems(
    environment: Environment, region: str, identifier: str, record: Mapping[str, Any]
) -> Iterator[str]:
    failover = environment.outputs["routing_policy"] == "failover"
    expected_role = identifier.upper() if failover else region
    role = record.get("Failover" if failover else "Region")
    if role != expected_role:
        yield f"its role is {role}, not {expected_role}"
    alias = record.get("AliasTarget")
    target = environment.outputs["domain_targets"][region]
    if alias is None:
        yield f"it is no alias to {target}"
    else:
        if not same_name(alias["DNSName"], target):
            yield f"it leads to {alias['DNSName']}, not to {target}"
        if not alias.get("EvaluateTargetHealth"):
            yield "it does not evaluate the health of its target"
    expected_check = environment.outputs["health_check_ids"][region]
    if record.get("HealthCheckId") != expected_check:
        yield (f"its health check is {record.get('HealthCheckId') or 'none'}, not {expected_check}")
