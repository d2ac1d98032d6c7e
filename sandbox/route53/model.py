"""What the Route 53 API stores, as frozen values: zones, record sets, health checks.

Parsing only. No rule of behaviour lives here, nothing is fetched, and nothing is resolved.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html
Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sandbox.route53.record_names import bare_zone_id, canonical_name, dns_text_value

Policy = Literal["simple", "failover", "weighted", "latency", "multivalue", "unsupported"]

CHECKER_REGIONS = (
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
)
"""Regions that check an endpoint when a health check names none.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
"""

_UNSUPPORTED_ROUTING = ("GeoLocation", "GeoProximityLocation", "CidrRoutingConfig")


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """Where an alias record points.

    Attributes:
        dns_name: Canonical name of an AWS resource, or of a record in the same zone.
        hosted_zone_id: The zone of `dns_name`; equal to the record's own zone id when the
            target is another record of that zone.
        evaluate_target_health: Whether the record inherits the health of its target.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html
    """

    dns_name: str
    hosted_zone_id: str
    evaluate_target_health: bool


@dataclass(frozen=True, slots=True)
class RecordSet:
    """One record set; record sets that share name and type form a group.

    Attributes:
        name: Canonical name; a leading `*` label is a wildcard.
        type: `A`, `AAAA`, `CNAME` and so on.
        policy: How one of the group is chosen; `unsupported` for geolocation, geoproximity
            and CIDR routing.
        ttl_seconds: None for alias records, which have no TTL of their own.
        values: Record data in DNS text form; empty for alias records.
        failover: `PRIMARY`, `SECONDARY` or None.
        weight: 0-255 for weighted records, else None.
        region: AWS Region of a latency record, else None.
        health_check_id: The check that must be healthy for this record to be chosen.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html
    """

    name: str
    type: str
    policy: Policy = "simple"
    ttl_seconds: int | None = None
    values: tuple[str, ...] = ()
    alias: AliasTarget | None = None
    set_identifier: str | None = None
    failover: str | None = None
    weight: int | None = None
    region: str | None = None
    health_check_id: str | None = None

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> RecordSet:
        """Parse one item of `ListResourceRecordSets`."""
        alias = data.get("AliasTarget")
        kind = str(data["Type"])
        return cls(
            name=canonical_name(data["Name"]),
            type=kind,
            policy=_policy(data),
            ttl_seconds=data.get("TTL"),
            values=tuple(
                dns_text_value(kind, r["Value"]) for r in data.get("ResourceRecords") or ()
            ),
            alias=None
            if not alias
            else AliasTarget(
                dns_name=canonical_name(alias["DNSName"]),
                hosted_zone_id=bare_zone_id(alias.get("HostedZoneId", "")),
                evaluate_target_health=alias.get("EvaluateTargetHealth", False),
            ),
            set_identifier=data.get("SetIdentifier"),
            failover=data.get("Failover"),
            weight=data.get("Weight"),
            region=data.get("Region"),
            health_check_id=data.get("HealthCheckId"),
        )


@dataclass(frozen=True)
class Zone:
    """A hosted zone and all its record sets."""

    id: str
    name: str
    records: tuple[RecordSet, ...]

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], tuple[RecordSet, ...]]:
        """Record sets by (name, type), in the order the API listed them."""
        found: dict[tuple[str, str], tuple[RecordSet, ...]] = {}
        for record in self.records:
            key = (record.name, record.type)
            found[key] = (*found.get(key, ()), record)
        return found

    @cached_property
    def owners(self) -> frozenset[str]:
        """The names that own records."""
        return frozenset(record.name for record in self.records)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that exists: owners of records, and the empty names between them.

        Source: https://www.rfc-editor.org/rfc/rfc8020
        """
        found = {self.name}
        for record in self.records:
            name = record.name
            while name not in found and name.endswith("." + self.name):
                found.add(name)
                name = name.partition(".")[2]
        return frozenset(found)

    def group(self, name: str, kind: str) -> tuple[RecordSet, ...]:
        """Give the record sets of one name and type, or an empty tuple."""
        return self.groups.get((name, kind), ())

    def holds(self, name: str) -> bool:
        """Check whether a canonical name is this zone's apex or below it."""
        return name == self.name or name.endswith("." + self.name)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The configuration of one health check.

    Attributes:
        type: `HTTP`, `HTTPS`, `HTTP_STR_MATCH`, `HTTPS_STR_MATCH`, `TCP`, `CALCULATED`,
            `CLOUDWATCH_METRIC` or `RECOVERY_CONTROL`.
        interval_seconds: Pause between a response and the next request, 10 or 30.
        failure_threshold: Consecutive results, 1-10, that change a checker's mind.
        health_threshold: Healthy children a calculated check needs; None means all of them.
        regions: Where checkers are; `CHECKER_REGIONS` when the API gives none.
        alarm: (Region, alarm name) of a `CLOUDWATCH_METRIC` check.
        insufficient_data_status: `Healthy`, `Unhealthy` or `LastKnownStatus`.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
    """

    id: str
    type: str
    ip_address: str | None = None
    port: int | None = None
    domain_name: str | None = None
    path: str = "/"
    search_string: str | None = None
    interval_seconds: int = 30
    failure_threshold: int = 3
    inverted: bool = False
    disabled: bool = False
    enable_sni: bool = False
    health_threshold: int | None = None
    children: tuple[str, ...] = ()
    regions: tuple[str, ...] = CHECKER_REGIONS
    alarm: tuple[str, str] | None = None
    insufficient_data_status: str = "LastKnownStatus"

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> HealthCheck:
        """Parse one item of `ListHealthChecks`."""
        config = data["HealthCheckConfig"]
        kind = str(config["Type"])
        path = config.get("ResourcePath") or "/"
        port = config.get("Port") or {"HTTP": 80, "HTTPS": 443}.get(kind.partition("_STR")[0])
        alarm = config.get("AlarmIdentifier")
        return cls(
            id=data["Id"],
            type=kind,
            ip_address=config.get("IPAddress") or None,
            port=port,
            domain_name=config.get("FullyQualifiedDomainName") or None,
            path=path if path.startswith("/") else "/" + path,
            search_string=config.get("SearchString") or None,
            interval_seconds=config.get("RequestInterval") or 30,
            failure_threshold=config.get("FailureThreshold") or 3,
            inverted=config.get("Inverted", False),
            disabled=config.get("Disabled", False),
            enable_sni=config.get("EnableSNI", False),
            health_threshold=config.get("HealthThreshold"),
            children=tuple(config.get("ChildHealthChecks") or ()),
            regions=tuple(filter(None, config.get("Regions") or ())) or CHECKER_REGIONS,
            alarm=(alarm["Region"], alarm["Name"]) if alarm else None,
            insufficient_data_status=config.get("InsufficientDataHealthStatus")
            or "LastKnownStatus",
        )

    @property
    def watches_endpoint(self) -> bool:
        """Whether checkers send requests for this check."""
        return self.type.startswith("HTTP") or self.type == "TCP"


def _policy(data: Mapping[str, Any]) -> Policy:
    if any(data.get(key) for key in _UNSUPPORTED_ROUTING):
        return "unsupported"
    if data.get("Failover"):
        return "failover"
    if data.get("Weight") is not None:
        return "weighted"
    if data.get("Region"):
        return "latency"
    return "multivalue" if data.get("MultiValueAnswer") else "simple"
