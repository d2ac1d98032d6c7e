"""One DNS name in front of an API's Regions: zone, certificate validation, health checks, records.

Creates or looks up the hosted zone, declares the certificate validation record once for all
Regions, watches each Region with an HTTPS health check, and answers with the Regions that are
healthy. Certificates and domain names belong to each Region's `RegionalApi`.

How Route 53 chooses: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-types.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.route53_health_check import Route53HealthCheck
from cdktf_cdktf_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordFailoverRoutingPolicy,
    Route53RecordLatencyRoutingPolicy,
    Route53RecordWeightedRoutingPolicy,
)
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct

from constructs_lib.route53.options import AliasTarget, HealthCheck, RegionalEndpoint, RoutingHome
from constructs_lib.route53.routing_records import (
    ALIAS_TTL_SECONDS,
    RoutingPolicy,
    RoutingRecord,
    observers_of,
    roles_of,
    routing_records,
)
from constructs_lib.route53.serving_name import create_serving_records, serving_records

CHECKER_REGIONS = (
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-west-1",
    "us-west-2",
)
"""Where Route 53 checks from: all of its Regions.

They are Route 53's default, but it reads them back, and Terraform would plan to remove what the
configuration does not name, which Route 53 refuses.

Source: https://github.com/hashicorp/terraform-provider-aws/issues/45824
"""


class FailoverDns(Construct):
    """The name that customers call, answered by the Regions that are healthy.

    First the zone; then `validate_certificate` for each Region; then `route`, once.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        zone_name: str,
        record_name: str,
        create_zone: bool = False,
        prevent_destroy: bool = False,
        accelerated_recovery: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create or looks up the zone.

        Args:
            scope: The construct that owns the name.
            id: Unique within `scope`; it is part of every resource address.
            provider: Provider of the resources of Route 53, which is a global service.
            zone_name: Name of the public hosted zone, without a trailing dot.
            record_name: The fully qualified name, within the zone, without a trailing dot.
            create_zone: Create the zone instead of looking it up; certificates are issued only
                after the name is delegated to it.
            prevent_destroy: Refuse every plan that would destroy a zone that was created here.
            accelerated_recovery: Make changes of a zone that was created here possible again soon
                after an outage of us-east-1. It needs version 6.25 or newer of the provider, and
                must be turned off before the zone can be deleted.
            tags: Tags of the zone and the health checks, beside the provider's default tags.

        Raises:
            ValueError: Accelerated recovery is asked for a zone that is looked up.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/accelerated-recovery.html
        """
        super().__init__(scope, id)
        if accelerated_recovery and not create_zone:
            raise ValueError(
                f"accelerated_recovery is true, and the zone {zone_name!r} is looked up: set "
                "create_zone = True, or enable it where the zone is managed"
            )
        self._provider = provider
        self._home = RoutingHome(self, provider)
        self._tags = dict(tags or {})
        self.record_name = record_name
        """The fully qualified name, without a trailing dot."""
        self._zone_name = zone_name
        self.zone: Route53Zone | DataAwsRoute53Zone
        if create_zone:
            self.zone = Route53Zone(
                self,
                "zone",
                provider=provider,
                name=zone_name,
                enable_accelerated_recovery=accelerated_recovery or None,
                tags=self._tags,
                lifecycle=TerraformResourceLifecycle(prevent_destroy=True)
                if prevent_destroy
                else None,
            )
        else:
            self.zone = DataAwsRoute53Zone(
                self, "zone", provider=provider, name=zone_name, private_zone=False
            )
        self.zone.override_logical_id(f"{id}_zone")
        self._validation_records: dict[str, Route53Record] = {}
        self.health_checks: dict[str, Route53HealthCheck] = {}
        """`{region: health check}` of the records, filled by `route`."""
        self.endpoint_health_checks: dict[str, Route53HealthCheck] = {}
        """`{region: health check}` that call the Regions, filled by `route`."""
        self.evacuation_health_checks: dict[str, dict[str, Route53HealthCheck]] = {}
        """`{region: {observer: health check}}` that ask other Regions whether it is evacuated."""
        self.records: list[Route53Record] = []
        """The routing records, filled by `route`."""
        self.serving_records: list[Route53Record] = []
        """The records of `serving_names`, filled by `name_serving_region`."""
        self.failover_names: tuple[str, ...] = ()
        """Names that secondary records are aliases of, in order, filled by `route`."""
        self.weights: dict[str, int] | None = None
        """With weighted routing, `{region: weight}`, set by `route`."""
        self.ttl_seconds: int | None = None
        """Time to live of the CNAME records, set by `route`; None with alias records."""

    @property
    def zone_id(self) -> str:
        """Id of the hosted zone; a token, known at deployment."""
        return self.zone.zone_id

    @property
    def name_servers(self) -> list[str]:
        """Name servers of the hosted zone; a token, known at deployment."""
        return self.zone.name_servers

    @property
    def health_check_ids(self) -> dict[str, str]:
        """`{region: id}` of the records' health checks; tokens, known at deployment."""
        return {region: check.id for region, check in self.health_checks.items()}

    @property
    def endpoint_health_check_ids(self) -> dict[str, str]:
        """`{region: id}` of the health checks that call the Regions; tokens."""
        return {region: check.id for region, check in self.endpoint_health_checks.items()}

    @property
    def evacuation_health_check_ids(self) -> dict[str, dict[str, str]]:
        """`{region: {observer: id}}` of the health checks that ask for evacuations; tokens."""
        return {
            region: {observer: check.id for observer, check in checks.items()}
            for region, checks in self.evacuation_health_checks.items()
        }

    @property
    def serving_names(self) -> tuple[str, ...]:
        """Names that say which Region is answered: the one to ask, then those behind it."""
        records = serving_records(self.record_name, list(self.health_checks))
        return tuple(dict.fromkeys(record.name for record in records))

    def regional_name(self, region: str) -> str:
        """The Region's own name, without a trailing dot.

        Args:
            region: The Region.
        """
        return f"{region}.{self.record_name}"

    def validate_certificate(
        self, name: str, certificate: AcmCertificate, provider: TerraformProvider
    ) -> str:
        """Validate a certificate by DNS.

        The validation CNAME depends on the name and the account, not on the Region: the first call
        declares it and every call refers to it, so that no two resources own the same record. One
        that exists is taken over: a domain that moves between two stacks has the same in both.

        Args:
            name: `record_name`, or a name of one label before it.
            certificate: A certificate for the name, in any Region.
            provider: Provider of the certificate's Region.

        Returns:
            ARN of the certificate, known once it is issued; a token.

        Raises:
            ValueError: The name is another one.

        Source: https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
        """
        label, _, parent = name.partition(".")
        if name != self.record_name and parent != self.record_name:
            raise ValueError(
                f"{name!r} is neither {self.record_name!r} nor a label before it: name one of these"
            )
        if name not in self._validation_records:
            prefix = "" if name == self.record_name else f"{label}_"
            option = certificate.domain_validation_options.get(0)
            record = self._validation_records[name] = Route53Record(
                self,
                f"{prefix}certificate_validation_record",
                provider=self._provider,
                zone_id=self.zone_id,
                name=option.resource_record_name,
                type=option.resource_record_type,
                records=[option.resource_record_value],
                ttl=ALIAS_TTL_SECONDS,
                # Another stack of the account may have created it for the same name.
                allow_overwrite=True,
            )
            record.override_logical_id(f"{self.node.id}_{prefix}certificate_validation")
        validation = AcmCertificateValidation(
            certificate,
            "validation",
            provider=provider,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[self._validation_records[name].fqdn],
        )
        return validation.certificate_arn

    def route(
        self,
        endpoints: Sequence[RegionalEndpoint],
        *,
        health_check: HealthCheck,
        routing_policy: RoutingPolicy = "failover",
        weights: Mapping[str, int] | None = None,
        ttl_seconds: int = ALIAS_TTL_SECONDS,
        home: RoutingHome | None = None,
    ) -> None:
        """Create a health check per Region, and the records that route to them.

        These are A and AAAA alias records, whose answers live for 60 seconds. For a shorter time
        they are CNAME records, which point to the Regions' own host names of the domain.

        With failover and more than two Regions, the records after the first are those of names of
        their own: see `routing_records`. Regions with their own names get records for them, too,
        without conditions.

        Args:
            endpoints: The Regions in order, two or more; with failover, the first is the primary.
            health_check: How Route 53 checks each of them.
            routing_policy: `failover` (the first healthy Region in the order), `latency` (the
                nearest healthy one) or `weighted` (healthy ones in proportion to their weights).
            weights: With weighted routing, `{region: 0 to 255}` of every Region, one of them above
                0; None for equal weights. One with weight 0 serves while all others are unhealthy.
            ttl_seconds: How long a resolver may keep an answer, 1 to 60.
            home: Where all of it is created; None for beside the zone.

        Raises:
            ValueError: Fewer than two Regions, weights or a time to live that do not fit, or
                `route` was called before.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-regional-api-custom-domain-create.html
        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
        """
        if self.records:
            raise ValueError(f"{self.record_name} is already routed: call route once")
        if not 1 <= ttl_seconds <= ALIAS_TTL_SECONDS:
            raise ValueError(f"got {ttl_seconds} s to live: give 1 to {ALIAS_TTL_SECONDS}")
        self.ttl_seconds = None if ttl_seconds == ALIAS_TTL_SECONDS else ttl_seconds
        if self.ttl_seconds and self.record_name == self._zone_name:
            raise ValueError(
                f"{self.record_name} is the apex of its zone, which cannot have a CNAME record: "
                f"give {ALIAS_TTL_SECONDS} s to live, or a name within the zone"
            )
        regions = [endpoint.region for endpoint in endpoints]
        records = routing_records(self.record_name, regions, routing_policy, weights)
        self._home = home or self._home
        own_records = {
            endpoint.region: self._alias_records(
                f"{endpoint.region}_name",
                self.regional_name(endpoint.region),
                endpoint.own_target,
            )
            for endpoint in endpoints
            if endpoint.own_target
        }
        endpoints = [
            replace(endpoint, ready=[*endpoint.ready, *own_records.get(endpoint.region, ())])
            for endpoint in endpoints
        ]
        by_region = dict(zip(regions, endpoints, strict=True))
        roles = roles_of(regions, routing_policy)
        for region, role in roles.items():
            self.endpoint_health_checks[region] = self.health_checks[region] = (
                self._endpoint_health_check(role, by_region[region], health_check)
            )
        if health_check.evacuation_path:
            for region, observers in observers_of(regions).items():
                self.evacuation_health_checks[region] = {
                    observer: self._evacuation_health_check(
                        region, by_region[observer], roles, health_check
                    )
                    for observer in observers
                }
                self.health_checks[region] = self._in_service_health_check(region, roles[region])
        targets = {region: endpoint.target for region, endpoint in by_region.items()}
        self._add_routing_records(records, targets)
        self.failover_names = tuple(record.alias_of for record in records if record.alias_of)
        self.weights = {r.region: r.weight for r in records if r.weight is not None} or None

    def name_serving_region(self) -> None:
        """Create the records of `serving_names`, which say which Region `record_name` answers.

        Raises:
            ValueError: `route` was not called before, or not with failover routing.
        """
        if not any(record.failover_routing_policy_input for record in self.records):
            raise ValueError(f"{self.record_name} is not routed by failover: call route before")
        self.serving_records = create_serving_records(
            self._home,
            self.node.id,
            zone_id=self.zone_id,
            record_name=self.record_name,
            regions=list(self.health_checks),
            health_check_ids=self.health_check_ids,
        )

    def _add_routing_records(
        self, records: Sequence[RoutingRecord], targets: Mapping[str, AliasTarget]
    ) -> None:
        """Create the records: a name before the aliases of it, so that none points to nothing."""
        created: dict[str, list[Route53Record]] = {}
        for record in reversed(records):
            found = self._routing_records(
                record.id,
                record.name,
                targets.get(record.region) or _Name(record.alias_of, self.zone_id),
                set_identifier=record.set_identifier,
                health_check_id=self.health_check_ids.get(record.region),
                depends_on=created.get(record.alias_of),
                **_routing(record),
            )
            created[record.name] = [*found, *created.get(record.name, ())]
            self.records = [*found, *self.records]

    def _routing_records(
        self, id: str, name: str, target: AliasTarget, **arguments: Any
    ) -> list[Route53Record]:
        """Records of a name that routes: alias records, or a CNAME record with a time to live.

        One that routes to a name of further Regions is an alias of type CNAME then. It has the
        health of the CNAME records there, as an alias of type A has that of A records.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html
        """
        if self.ttl_seconds is None:
            return self._alias_records(id, name, target, **arguments)
        points_to: dict[str, Any] = (
            {"alias": _alias_of(target)}
            if isinstance(target, _Name)
            else {"ttl": self.ttl_seconds, "records": [target.host_name]}
        )
        return [self._record(id, name, "CNAME", **points_to, **arguments)]

    def _alias_records(
        self, id: str, name: str, target: AliasTarget, **arguments: Any
    ) -> list[Route53Record]:
        return [
            self._record(id, name, type, alias=_alias_of(target), **arguments)
            for type in ("A", "AAAA")
        ]

    def _record(self, id: str, name: str, type: str, **arguments: Any) -> Route53Record:
        record = Route53Record(
            self._home.scope,
            f"{id}_{type}",
            provider=self._home.provider,
            zone_id=self.zone_id,
            name=name,
            type=type,
            **arguments,
        )
        record.override_logical_id(f"{self.node.id}_{id}_{type}")
        return record

    def _endpoint_health_check(
        self, role: str, endpoint: RegionalEndpoint, health_check: HealthCheck
    ) -> Route53HealthCheck:
        return self._health_check(
            f"{role}_endpoint_health_check",
            f"{self.record_name} {endpoint.region}",
            **_https(endpoint, health_check.path, health_check),
        )

    def _evacuation_health_check(
        self,
        region: str,
        observer: RegionalEndpoint,
        roles: Mapping[str, str],
        health_check: HealthCheck,
    ) -> Route53HealthCheck:
        """Healthy unless an observer reports that a Region is evacuated.

        It is inverted: an observer that does not respond evacuates nobody. Route 53 considers a new
        inverted check unhealthy until its first results. A changed interval would be a new check,
        so this one keeps the interval that it was created with.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
        """
        path = (health_check.evacuation_path or "").format(region=region)
        return self._health_check(
            f"{roles[region]}_evacuation_in_{roles[observer.region]}_health_check",
            f"{self.record_name} {region} evacuated, in {observer.region}",
            **_https(observer, path, health_check, measure_latency=False),
            invert_healthcheck=True,
            ignore_changes=["request_interval"],
        )

    def _in_service_health_check(self, region: str, role: str) -> Route53HealthCheck:
        """Healthy while the Region's endpoint is, and no observer reports its evacuation.

        All Regions evacuated are all unhealthy, and Route 53 then answers as if all were healthy.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
        """
        children = [
            self.endpoint_health_checks[region],
            *self.evacuation_health_checks[region].values(),
        ]
        return self._health_check(
            f"{role}_health_check",
            f"{self.record_name} {region} and not evacuated",
            type="CALCULATED",
            child_healthchecks=[child.id for child in children],
            child_health_threshold=len(children),
        )

    def _health_check(
        self, id: str, name: str, *, ignore_changes: Sequence[str] = (), **arguments: Any
    ) -> Route53HealthCheck:
        check = Route53HealthCheck(
            self._home.scope,
            id,
            provider=self._home.provider,
            tags={"Name": name} | self._tags,
            # A check that a record or a calculated check uses cannot be deleted: its successor is
            # created and put in its place first.
            lifecycle=TerraformResourceLifecycle(
                create_before_destroy=True, ignore_changes=list(ignore_changes) or None
            ),
            **arguments,
        )
        check.override_logical_id(f"{self.node.id}_{id}")
        return check


@dataclass(frozen=True)
class _Name:
    """A name of the zone, as the target of an alias."""

    host_name: str
    zone_id: str


def _alias_of(target: AliasTarget) -> Route53RecordAlias:
    return Route53RecordAlias(
        name=target.host_name,
        zone_id=target.zone_id,
        # Required of failover records; API Gateway reports no health of its own.
        evaluate_target_health=True,
    )


def _routing(record: RoutingRecord) -> dict[str, Any]:
    if record.failover:
        by_failover = Route53RecordFailoverRoutingPolicy(type=record.failover)
        return {"failover_routing_policy": by_failover}
    if record.weight is not None:
        by_weight = Route53RecordWeightedRoutingPolicy(weight=record.weight)
        return {"weighted_routing_policy": by_weight}
    return {"latency_routing_policy": Route53RecordLatencyRoutingPolicy(region=record.region)}


def _https(
    endpoint: RegionalEndpoint,
    path: str,
    health_check: HealthCheck,
    *,
    measure_latency: bool = True,
) -> dict[str, Any]:
    return {
        "type": "HTTPS",
        "fqdn": endpoint.health_check_host,
        "port": 443,
        "resource_path": path,
        "request_interval": health_check.interval_seconds,
        "failure_threshold": health_check.failure_threshold,
        "regions": list(CHECKER_REGIONS),
        "enable_sni": True,
        "measure_latency": measure_latency,
        "depends_on": list(endpoint.ready) or None,
    }
