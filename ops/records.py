"""Exchanges the records that route: alias records for CNAME records, or the reverse.

Route 53 refuses a CNAME record beside the address records of its name, and Terraform changes one
record at a time. One batch of changes deletes the ones and creates the others: customers get the
former or the new answer, never none. Terraform then imports what is there.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.environment import Environment
from ops.errors import OpsError, UsageError
from ops.folders import replace_file
from ops.stacks import STACK_FILE

IMPORT_FILE = "import.tf.json"
"""In the folder of the stack: Terraform reads it beside what is synthesized."""
_ADDRESS_TYPES = ("A", "AAAA")
_ROUTING = ("Name", "SetIdentifier", "Failover", "Region", "Weight", "HealthCheckId")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Exchange:
    """What one batch of changes does.

    Attributes:
        ttl_seconds: Time to live of the CNAME records that are created; None for alias records.
        deleted: The records that exist, as Route 53's API lists them.
        created: The records in their place.
        addresses: `{(name, type, set identifier): address in Terraform}` of those.
    """

    ttl_seconds: int | None
    deleted: Sequence[Record]
    created: Sequence[Record]
    addresses: Mapping[tuple[str, str, str], str]


def plan(environment: Environment, folder: Path) -> Exchange:
    """Find out what to exchange: the records that exist for the form that is synthesized.

    Args:
        environment: The environment.
        folder: Folder of the synthesized stack with the records.

    Raises:
        OpsError: The stack is not synthesized, or the records already have this form.
    """
    try:
        stack = json.loads((folder / STACK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{folder} is not synthesized", next_step="run synth in the repository, then this again"
        ) from None
    wanted = {
        logical_id: record
        for logical_id, record in stack["resource"]["aws_route53_record"].items()
        # Others with one say which Region is answered.
        if "set_identifier" in record and record["name"] in environment.outputs.routed_names
    }
    ttl = next((record["ttl"] for record in wanted.values() if "ttl" in record), None)
    existing = list(_existing(environment))
    if ttl is None:
        deleted = [each for each in existing if each["Type"] == "CNAME"]
        created = [_alias(environment, each, kind) for each in deleted for kind in _ADDRESS_TYPES]
    else:
        deleted = [each for each in existing if each["Type"] in _ADDRESS_TYPES]
        created = [_cname(environment, each, ttl) for each in deleted if each["Type"] == "A"]
    if not deleted:
        raise UsageError(
            f"nothing to exchange: {environment.outputs.record_name} has "
            f"{'alias' if ttl is None else 'CNAME'} records, which the environment file asks for",
            next_step="change domain.ttl_seconds in the environment file and run synth first; to "
            "change it between 1 and 59, deploy",
        )
    return Exchange(
        ttl,
        deleted,
        created,
        {
            (record["name"], record["type"], record["set_identifier"]): f"aws_route53_record.{id}"
            for id, record in wanted.items()
        },
    )


def carry_out(environment: Environment, exchange: Exchange, folder: Path) -> Path:
    """Exchange the records, all at once, and let Terraform import the new ones.

    Args:
        environment: The environment.
        exchange: What to do.
        folder: Folder of the synthesized stack with the records.

    Returns:
        The file that lets Terraform import them.

    Raises:
        OpsError: A record is not in the synthesized stack; nothing was changed.
    """
    zone_id = environment.outputs.zone_id
    imports = []
    for record in exchange.created:
        key = (record["Name"].rstrip("."), record["Type"], record["SetIdentifier"])
        if key not in exchange.addresses:
            raise OpsError(
                f"the synthesized stack has no record {' '.join(key)}; nothing was changed",
                next_step="deploy the environment as it was, then change only domain.ttl_seconds",
            )
        imports.append({"to": exchange.addresses[key], "id": "_".join((zone_id, *key))})
    file = folder / IMPORT_FILE
    replace_file(file, json.dumps({"import": imports}, indent=1) + "\n", mode=0o644)
    changes = [
        *({"Action": "DELETE", "ResourceRecordSet": record} for record in exchange.deleted),
        # A name before the aliases of it, which are listed first.
        *({"Action": "CREATE", "ResourceRecordSet": r} for r in reversed(exchange.created)),
    ]
    try:
        environment.client("route53", environment.primary).change_resource_record_sets(
            HostedZoneId=zone_id,
            ChangeBatch={"Comment": "ops records", "Changes": changes},
        )
    except BaseException:
        # Terraform would look for records that do not exist.
        file.unlink()
        raise
    return file


def _existing(environment: Environment) -> Iterator[Record]:
    """The records of the names that route, those that customers resolve first."""
    route53 = environment.client("route53", environment.primary)
    for name in environment.outputs.routed_names:
        listed = route53.list_resource_record_sets(
            HostedZoneId=environment.outputs.zone_id, StartRecordName=name, StartRecordType="A"
        )["ResourceRecordSets"]
        for record in listed:
            is_routing = "SetIdentifier" in record and record["Name"].rstrip(".") == name
            if is_routing and record["Type"] in (*_ADDRESS_TYPES, "CNAME"):
                yield record


def _cname(environment: Environment, record: Record, ttl_seconds: int) -> Record:
    made = {name: record[name] for name in _ROUTING if name in record} | {"Type": "CNAME"}
    alias = record["AliasTarget"]
    if alias["HostedZoneId"] == environment.outputs.zone_id:
        return made | {"AliasTarget": alias}
    target = alias["DNSName"].rstrip(".")
    return made | {"TTL": ttl_seconds, "ResourceRecords": [{"Value": target}]}


def _alias(environment: Environment, record: Record, kind: str) -> Record:
    made = {name: record[name] for name in _ROUTING if name in record} | {"Type": kind}
    if alias := record.get("AliasTarget"):
        return made | {"AliasTarget": alias}
    outputs = environment.outputs
    target = record["ResourceRecords"][0]["Value"].rstrip(".")
    region = next((r for r, host in outputs.domain_targets.items() if host == target), None)
    if region is None:
        raise OpsError(
            f"{record['Name']} points to {target}, which is no Region of the environment; nothing "
            "was changed",
            next_step="deploy the environment as it was: that restores its records",
        )
    domain = environment.client("apigateway", region).get_domain_name(
        domainName=outputs.record_name
    )
    return made | {
        "AliasTarget": {
            "HostedZoneId": domain["regionalHostedZoneId"],
            "DNSName": target,
            "EvaluateTargetHealth": True,
        }
    }
