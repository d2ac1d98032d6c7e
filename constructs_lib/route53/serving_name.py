"""The name that says which Region is answered, for manual failback.

Its records have the order and the health checks of the records that route with failover, so Route
53 answers both alike. Each Region is named by an address that nobody has. After the last Region
comes a record without a health check: it is answered while no Region is healthy, when the name that
customers resolve is answered as if all were.

    serving.api.example.com             primary: 192.0.2.1   secondary: failover-2.serving…
    failover-2.serving.api.example.com  primary: 192.0.2.2   secondary: 192.0.2.0, for none

Source: https://www.rfc-editor.org/rfc/rfc5737
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cdktf_cdktf_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordFailoverRoutingPolicy,
)

from constructs_lib.route53.options import RoutingHome
from constructs_lib.route53.routing_records import RoutingRecord, routing_records

TTL_SECONDS = 2
"""Time to live of the answers."""
_NONE = "none"


def serving_name(record_name: str) -> str:
    """The name that says which Region is answered.

    Args:
        record_name: The fully qualified name that customers resolve.
    """
    return f"serving.{record_name}"


def serving_records(record_name: str, regions: Sequence[str]) -> list[RoutingRecord]:
    """List its records; one that neither routes to a Region nor is an alias is that for none.

    Args:
        record_name: The fully qualified name that customers resolve.
        regions: The Regions in order.
    """
    records = routing_records(serving_name(record_name), [*regions, _NONE], "failover")
    return [replace(r, region="" if r.region == _NONE else r.region) for r in records]


def serving_addresses(regions: Sequence[str]) -> dict[str, str]:
    """`{region: the address that names it}`; under an empty name, the one for none.

    Args:
        regions: The Regions in order.
    """
    return {region: f"192.0.2.{place}" for place, region in enumerate(("", *regions))}


def create_serving_records(
    home: RoutingHome,
    id: str,
    *,
    zone_id: str,
    record_name: str,
    regions: Sequence[str],
    health_check_ids: Mapping[str, str],
) -> list[Route53Record]:
    """Create the records.

    Args:
        home: Where they are created.
        id: Prefix of their logical ids.
        zone_id: The hosted zone.
        record_name: The fully qualified name that customers resolve.
        regions: The Regions in order.
        health_check_ids: `{region: id}` of the health checks of the records that route.
    """
    addresses = serving_addresses(regions)
    created: dict[str, list[Route53Record]] = {}
    # A name before the alias of it, so that none points to nothing.
    for record in reversed(serving_records(record_name, regions)):
        answer: dict[str, Any] = {"records": [addresses[record.region]], "ttl": TTL_SECONDS}
        if record.alias_of:
            alias = Route53RecordAlias(
                name=record.alias_of, zone_id=zone_id, evaluate_target_health=True
            )
            answer = {"alias": alias, "depends_on": created[record.alias_of]}
        resource = Route53Record(
            home.scope,
            f"serving_{record.id}",
            provider=home.provider,
            zone_id=zone_id,
            name=record.name,
            type="A",
            set_identifier=record.set_identifier,
            failover_routing_policy=Route53RecordFailoverRoutingPolicy(type=str(record.failover)),
            health_check_id=health_check_ids.get(record.region),
            **answer,
        )
        resource.override_logical_id(f"{id}_serving_{record.id}")
        created.setdefault(record.name, []).append(resource)
    return [record for name in reversed(created) for record in reversed(created[name])]
