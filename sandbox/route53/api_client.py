"""Reads hosted zones, health checks and alarm states from an AWS API.

Control plane only: when this fails, the data plane keeps what was read last.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.route53.model import HealthCheck, RecordSet, Zone
from sandbox.route53.record_names import bare_zone_id, canonical_name

ALARMS_IN_A_REQUEST = 100
"""Most alarm names in one request.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
"""


class Client(Protocol):
    """The part of a boto3 client that is used here."""

    def get_paginator(self, operation_name: str, /) -> Any:
        """Give a paginator of one operation."""


@dataclass(frozen=True)
class Configuration:
    """Everything read in one round.

    Attributes:
        zones: The hosted zones that were found, in the order of the names asked for.
        checks: Every health check of the account, by id.
        alarms: The state of each alarm that a health check watches, by (Region, name).
        missing: Zone names that the API does not hold.
    """

    zones: tuple[Zone, ...] = ()
    checks: Mapping[str, HealthCheck] = field(default_factory=dict)
    alarms: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def read_configuration(
    route53: Client,
    zone_names: Sequence[str],
    cloudwatch: Callable[[str], Client] | None = None,
) -> Configuration:
    """Read zones, records and health checks, page by page.

    Args:
        route53: A Route 53 client.
        zone_names: The public hosted zones to serve; where several have one name, the first
            the API lists.
        cloudwatch: Gives a CloudWatch client of a Region; asked only when a health check
            watches an alarm. None leaves such alarms without data.

    Returns:
        What the API holds now. Anything the API raises passes through.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHealthChecks.html
    """
    wanted = [canonical_name(name) for name in zone_names]
    ids: dict[str, str] = {}
    for page in route53.get_paginator("list_hosted_zones").paginate():
        for zone in page["HostedZones"]:
            if not zone.get("Config", {}).get("PrivateZone"):
                ids.setdefault(canonical_name(zone["Name"]), bare_zone_id(zone["Id"]))
    checks = {
        item["Id"]: HealthCheck.from_api(item)
        for page in route53.get_paginator("list_health_checks").paginate()
        for item in page["HealthChecks"]
    }
    return Configuration(
        zones=tuple(_zone(route53, name, ids[name]) for name in wanted if name in ids),
        checks=checks,
        alarms=_alarms(checks, cloudwatch) if cloudwatch else {},
        missing=tuple(name for name in wanted if name not in ids),
    )


def _zone(route53: Client, name: str, zone_id: str) -> Zone:
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    records = (record for page in pages for record in page["ResourceRecordSets"])
    return Zone(zone_id, name, tuple(RecordSet.from_api(record) for record in records))


def _alarms(
    checks: Mapping[str, HealthCheck], cloudwatch: Callable[[str], Client]
) -> dict[tuple[str, str], str]:
    """Read the alarms that health checks watch, as many at a time as the API takes."""
    names: dict[str, set[str]] = {}
    for check in checks.values():
        if check.alarm:
            names.setdefault(check.alarm[0], set()).add(check.alarm[1])
    found = {}
    for region, wanted in names.items():
        paginator = cloudwatch(region).get_paginator("describe_alarms")
        ordered = sorted(wanted)
        for start in range(0, len(ordered), ALARMS_IN_A_REQUEST):
            part = ordered[start : start + ALARMS_IN_A_REQUEST]
            for page in paginator.paginate(
                AlarmNames=part, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            ):
                for alarm in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())):
                    found[region, alarm["AlarmName"]] = alarm["StateValue"]
    return found
