"""One DNS name in front of an API's Regions: zone, certificate validation, health checks, records.

Creates or looks up the hosted zone, declares the certificate validation record once for all
Regions, watches each Region with an HTTPS health check, and answers with the Regions that are
healthy. Certificates and domain names belong to each Region's `RegionalApi`.

How Route 53 chooses: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-types.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from cdktf import ITerraformDependable, TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.route53_health_check import Route53HealthCheck
from cdktf_cdktf_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordFailoverRoutingPolicy,
    Route53RecordLatencyRoutingPolicy,
)
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct

RoutingPolicy = Literal["failover", "latency"]

ALIAS_TTL_SECONDS = 60
"""Time to live of an answer that comes from an alias record to a Region's endpoint.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html
"""


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


@dataclass(frozen=True)
class HealthCheck:
    """How Route 53 checks a Region.

    Attributes:
        path: Path that returns 2xx or 3xx within 2 seconds while the Region is healthy.
        switch_path: With failover, path that returns 2xx or 3xx in the secondary Region while an
            operator wants it to take over; None for no switch.
        interval_seconds: 30, or 10 at a higher price. The switch's check keeps what it was created
            with.
        failure_threshold: Consecutive results that change the state, 1 to 10.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
    """

    path: str
    switch_path: str | None = None
    interval_seconds: int = 30
    failure_threshold: int = 3


class AliasTarget(Protocol):
    """What an alias record points to: `RegionalApi.domain`, for one."""

    @property
    def host_name(self) -> str:
        """Host name of the target: the regional one of a custom domain name."""

    @property
    def zone_id(self) -> str:
        """Hosted zone id of that host name."""


@dataclass(frozen=True)
class RegionalEndpoint:
    """One Region behind the name.

    Attributes:
        region: The Region.
        target: Target of the name's alias records.
        health_check_host: Host name that the health check calls. The domain
            name's regional host name returns 403 unless the custom domain is asked for, so give
            the API's own host name, or the Region's own name.
        own_target: Target of the Region's own name; None for no such name.
        ready: What must exist before the Region responds at `health_check_host`, if that is a name
            that a deployed stack can get later: a check that is moved there sooner would find a
            healthy Region unhealthy. All of it is created before it is destroyed, as the check is.
    """

    region: str
    target: AliasTarget
    health_check_host: str
    own_target: AliasTarget | None = None
    ready: Sequence[ITerraformDependable] = ()


@dataclass(frozen=True)
class RoutingHome:
    """Where health checks and records are created, if not beside the zone.

    Attributes:
        scope: The construct that owns them, in another stack.
        provider: Provider of Route 53 in that stack.
    """

    scope: Construct
    provider: TerraformProvider


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
            tags: Tags of the zone and the health checks, beside the provider's default tags.
        """
        super().__init__(scope, id)
        self._provider = provider
        self._home = RoutingHome(self, provider)
        self._tags = dict(tags or {})
        self.record_name = record_name
        """The fully qualified name, without a trailing dot."""
        self.zone: Route53Zone | DataAwsRoute53Zone
        if create_zone:
            self.zone = Route53Zone(
                self,
                "zone",
                provider=provider,
                name=zone_name,
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
        self.switch_health_check: Route53HealthCheck | None = None
        """The one that calls the switch in the secondary Region, if `route` was given a switch."""
        self.records: list[Route53Record] = []
        """The routing records, filled by `route`."""

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
    def switch_health_check_id(self) -> str | None:
        """Id of the switch's health check; a token, or None without a switch."""
        return self.switch_health_check.id if self.switch_health_check else None

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
        home: RoutingHome | None = None,
    ) -> None:
        """Create a health check and an A and an AAAA alias record per Region.

        Regions with their own names get the same records for them, without conditions.

        Args:
            endpoints: The Regions in order; with failover, the first is the primary.
            health_check: How Route 53 checks each of them.
            routing_policy: `failover` (the primary while it is healthy, then the secondary) or
                `latency` (the nearest healthy Region).
            home: Where all of it is created; None for beside the zone.

        Raises:
            ValueError: `failover` without exactly two Regions, a switch without `failover`, or
                `route` was called before.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
        """
        if self.records:
            raise ValueError(f"{self.record_name} is already routed: call route once")
        if routing_policy == "failover" and len(endpoints) != 2:
            raise ValueError(
                f"failover routes between 2 Regions, got {len(endpoints)}: give a primary and a "
                "secondary, or use latency"
            )
        if health_check.switch_path and routing_policy != "failover":
            raise ValueError(
                f"{routing_policy} routing has no primary to switch off: leave out "
                "switch_path, or use failover"
            )
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
        roles = _FAILOVER_ROLES if routing_policy == "failover" else [e.region for e in endpoints]
        by_role = dict(zip(roles, endpoints, strict=True))
        for role, endpoint in by_role.items():
            self.endpoint_health_checks[endpoint.region] = self.health_checks[endpoint.region] = (
                self._endpoint_health_check(role, endpoint, health_check)
            )
        if health_check.switch_path:
            primary, secondary = endpoints
            self.health_checks[primary.region] = self._switchable_health_check(
                primary, secondary, health_check
            )
        for role, endpoint in by_role.items():
            self.records += self._alias_records(
                role,
                self.record_name,
                endpoint.target,
                set_identifier=role,
                health_check_id=self.health_checks[endpoint.region].id,
                **_routing(routing_policy, role, endpoint.region),
            )

    def _alias_records(
        self, id: str, name: str, target: AliasTarget, **arguments: Any
    ) -> list[Route53Record]:
        records = []
        for record_type in ("A", "AAAA"):
            record = Route53Record(
                self._home.scope,
                f"{id}_{record_type}",
                provider=self._home.provider,
                zone_id=self.zone_id,
                name=name,
                type=record_type,
                alias=Route53RecordAlias(
                    name=target.host_name,
                    zone_id=target.zone_id,
                    # Required of failover records; API Gateway reports no health of its own.
                    evaluate_target_health=True,
                ),
                **arguments,
            )
            record.override_logical_id(f"{self.node.id}_{id}_{record_type}")
            records.append(record)
        return records

    def _endpoint_health_check(
        self, role: str, endpoint: RegionalEndpoint, health_check: HealthCheck
    ) -> Route53HealthCheck:
        return self._health_check(
            f"{role}_endpoint_health_check",
            f"{self.record_name} {endpoint.region}",
            **_https(endpoint, health_check.path, health_check),
        )

    def _switchable_health_check(
        self, primary: RegionalEndpoint, secondary: RegionalEndpoint, health_check: HealthCheck
    ) -> Route53HealthCheck:
        """Healthy while the primary's endpoint is, and the secondary does not ask to take over.

        The switch's check is inverted: a secondary that does not respond leaves the primary in
        service. Route 53 considers a new inverted check unhealthy until its first results, so the
        secondary serves for the first minute after its creation. A changed interval would be a new
        check, so this one keeps the interval that it was created with.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
        """
        assert health_check.switch_path is not None
        self.switch_health_check = self._health_check(
            "switch_health_check",
            f"{self.record_name} switch",
            **_https(secondary, health_check.switch_path, health_check),
            invert_healthcheck=True,
            ignore_changes=["request_interval"],
        )
        return self._health_check(
            "primary_health_check",
            f"{self.record_name} {primary.region} and not switched",
            type="CALCULATED",
            child_healthchecks=[
                self.endpoint_health_checks[primary.region].id,
                self.switch_health_check.id,
            ],
            child_health_threshold=2,
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


_FAILOVER_ROLES = ("primary", "secondary")


def _routing(routing_policy: RoutingPolicy, role: str, region: str) -> dict[str, Any]:
    if routing_policy == "latency":
        return {"latency_routing_policy": Route53RecordLatencyRoutingPolicy(region=region)}
    return {"failover_routing_policy": Route53RecordFailoverRoutingPolicy(type=role.upper())}


def _https(endpoint: RegionalEndpoint, path: str, health_check: HealthCheck) -> dict[str, Any]:
    return {
        "type": "HTTPS",
        "fqdn": endpoint.health_check_host,
        "port": 443,
        "resource_path": path,
        "request_interval": health_check.interval_seconds,
        "failure_threshold": health_check.failure_threshold,
        "regions": list(CHECKER_REGIONS),
        "enable_sni": True,
        "measure_latency": True,
        "depends_on": list(endpoint.ready) or None,
    }
