"""One environment as a Terraform stack: a provider per Region and the three constructs, wired.

What the constructs do is in their own modules; here stands only which one gets what.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cdktf import TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from constructs_lib.api import (
    Authorization,
    CustomDomain,
    Customers,
    FunctionPackage,
    InvokePolicy,
    Operation,
    RegionalApi,
    WebAcl,
)
from constructs_lib.api.custom_domain import RegionalDomainName
from constructs_lib.cloudwatch import FailureMetric
from constructs_lib.customer_access import customers_of, key_values, plans_of
from constructs_lib.dynamodb import READ_ACTIONS, WRITE_ACTIONS, GlobalTable, Key
from constructs_lib.kms import MultiRegionKey
from constructs_lib.monitoring import add_alarms, add_dashboard
from constructs_lib.route53 import AliasTarget, FailoverDns, HealthCheck, RegionalEndpoint
from constructs_lib.settings import Settings
from constructs_lib.terraform_configuration import ROLES, configure, providers_by_region


@dataclass(frozen=True)
class Switch:
    """The failover switch: an item in the table that the standby Region tells Route 53 of.

    Attributes:
        operation: Name of the operation that answers 200 while the item stands.
        item: Primary key of the item, `{attribute: text}`, for the operator's tool.
    """

    operation: str
    item: Mapping[str, str]


class FailoverApiStack(TerraformStack):
    """An API in two or more Regions behind one domain name.

    Outputs: `regions` (in order), `api_url`, `record_name`, `health_path`, `routing_policy`,
    `primary_api_endpoint`, `secondary_api_endpoint`, `region_urls`, `api_ids`, `domain_targets`,
    `certificate_arns`, `health_functions`, `customers` (in order), `api_key_ids` (by name, then
    Region), `table_name`, `table_arns`, `zone_name`, `zone_id`, `name_servers`,
    `health_check_ids`, `endpoint_health_check_ids`; with signed operations,
    `publisher_policy_arn`; with a switch, `switch` (its Region, URL path, item and health check).
    Maps are keyed by Region.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        operations: Sequence[Operation],
        health_operation: str,
        switch: Switch | None = None,
        functions: Path,
        partition_key: Key,
        sort_key: Key | None = None,
        failure_metrics: Sequence[FailureMetric] = (),
    ) -> None:
        """Creates everything that the environment consists of.

        Args:
            scope: The app.
            settings: The environment; its name is the stack's.
            operations: What the API serves.
            health_operation: Name of the operation that health checks call.
            switch: With failover routing, lets an operator take the primary out of service without
                any control plane; None for no switch.
            functions: Folder with a module per operation: the root of the zip.
            partition_key: Partition key of the table.
            sort_key: Sort key of the table.
            failure_metrics: What functions count of their own failures, for alarms and the
                dashboard.

        Raises:
            ValueError: `health_operation` or the switch's is none of the operations, or a
                construct refuses a value.
        """
        super().__init__(scope, settings.name)
        base = f"/{settings.api.stage}"
        self.health_path = base + _path_of(health_operation, operations)
        if settings.routing_policy != "failover":
            # Without a primary there is nothing to take over from.
            switch = None
        switch_path = base + _path_of(switch.operation, operations) if switch else None
        called_by_checkers = {health_operation, switch.operation if switch else health_operation}
        operations = [
            replace(operation, reserved_concurrency=settings.health_check.reserved_concurrency)
            if operation.name in called_by_checkers
            else operation
            for operation in operations
        ]
        name = f"{settings.api.name}-{settings.name}"
        api_url = f"https://{settings.domain.record_name}{base}"
        configure(self, settings)
        providers = providers_by_region(self, settings)
        primary = providers[settings.primary_region]

        self.key = (
            MultiRegionKey(
                self,
                "key",
                name=name,
                providers=providers,
                account_id=settings.allowed_account_ids[0]
                if len(settings.allowed_account_ids) == 1
                else None,
            )
            if settings.encryption.customer_managed_key
            else None
        )
        key_arns = self.key.arns if self.key else {}
        self.table = GlobalTable(
            self,
            "table",
            name=settings.table.name,
            providers=providers,
            partition_key=partition_key,
            sort_key=sort_key,
            point_in_time_recovery=settings.table.point_in_time_recovery,
            deletion_protection=settings.table.deletion_protection,
            kms_key_arns=key_arns,
        )
        self.dns = FailoverDns(
            self,
            "dns",
            provider=primary,
            zone_name=settings.domain.zone_name,
            record_name=settings.domain.record_name,
            create_zone=settings.domain.create_zone,
        )
        package = FunctionPackage(self, "functions", source=functions)
        customers = customers_of(settings)
        values = key_values(self, customers, environment=settings.name)

        self.apis: dict[str, RegionalApi] = {}
        """`{region: API}`."""
        self.customers: dict[str, Customers] = {}
        """`{region: plans and keys}`."""
        endpoints = []
        for region, provider in providers.items():
            api = self.apis[region] = RegionalApi(
                self,
                f"{provider.alias}_api",
                provider=provider,
                region=region,
                name=name,
                stage_name=settings.api.stage,
                operations=operations,
                package=package,
                environment={"TABLE_NAME": settings.table.name, "API_URL": api_url},
                rate_per_second=settings.api.rate_per_second,
                burst=settings.api.burst,
                log_retention_days=settings.api.log_retention_days,
                log_kms_key_arn=key_arns.get(region),
                access_logs=settings.api.access_logs,
                manage_account_log_role=settings.api.manage_account_log_role,
                tracing=settings.api.tracing,
                domain=CustomDomain(self.dns.record_name, self.dns.validate_certificate),
                regional_domain=CustomDomain(
                    self.dns.regional_name(region), self.dns.validate_certificate
                )
                if settings.domain.regional_names
                else None,
                execute_api_endpoint=settings.api.execute_api_endpoint,
            )
            for operation in operations:
                self._grant_table_access(operation, api, region)
            self.customers[region] = Customers(
                self,
                f"{provider.alias}_customers",
                provider=provider,
                name=name,
                stage=api.stage.stage,
                plans=plans_of(settings),
                customers=customers,
                key_values=values,
            )
            if settings.web_acl:
                self._protect(api, provider, region, name, settings)
            assert api.domain is not None
            endpoints.append(
                RegionalEndpoint(
                    region=region,
                    target=_target(api.domain),
                    health_check_host=api.host_name,
                    own_target=_target(api.regional_domain) if api.regional_domain else None,
                    ready=[api.regional_domain.mapping if api.regional_domain else api.stage.stage],
                )
            )
        self.publisher_policy = (
            InvokePolicy(
                self,
                "publisher",
                provider=primary,
                name=f"{name}-publisher",
                apis=self.apis,
                operations=operations,
            )
            if any(o.authorization is Authorization.IAM for o in operations)
            else None
        )
        self.dns.route(
            endpoints,
            routing_policy=settings.routing_policy,
            health_check=HealthCheck(
                path=self.health_path,
                switch_path=switch_path,
                interval_seconds=settings.health_check.interval_seconds,
                failure_threshold=settings.health_check.failure_threshold,
            ),
        )
        if settings.monitoring.alarms:
            add_alarms(
                self,
                settings=settings,
                name=name,
                providers=providers,
                apis=self.apis,
                operations=operations,
                table=self.table,
                dns=self.dns,
                key_arns=key_arns,
                failure_metrics=failure_metrics,
            )
        if settings.monitoring.dashboard:
            add_dashboard(
                self,
                settings=settings,
                name=name,
                provider=primary,
                apis=self.apis,
                operations=operations,
                table=self.table,
                dns=self.dns,
                failure_metrics=failure_metrics,
            )
        self._outputs(settings, endpoints, health_operation)
        if switch:
            self._output(
                "switch",
                "The failover switch: an item in the standby Region's replica",
                {
                    "region": settings.regions[1],
                    "path": switch_path,
                    "item": dict(switch.item),
                    "health_check_id": self.dns.switch_health_check_id,
                },
            )

    def _protect(
        self, api: RegionalApi, provider: AwsProvider, region: str, name: str, settings: Settings
    ) -> None:
        assert settings.web_acl is not None
        WebAcl(
            self,
            f"{provider.alias}_web_acl",
            provider=provider,
            region=region,
            name=name,
            stage=api.stage.stage,
            requests_per_five_minutes=settings.web_acl.requests_per_five_minutes,
            action=settings.web_acl.action,
        )

    def _grant_table_access(self, operation: Operation, api: RegionalApi, region: str) -> None:
        role = api.functions[operation.name].role
        unknown = set(operation.access) - {*READ_ACTIONS, *WRITE_ACTIONS}
        if unknown:
            raise ValueError(
                f"operation {operation.name!r}: access {sorted(unknown)} is no action on a table; "
                f"allowed: {', '.join((*READ_ACTIONS, *WRITE_ACTIONS))}"
            )
        if reads := [action for action in operation.access if action in READ_ACTIONS]:
            self.table.grant_read(role, region=region, actions=reads)
        if writes := [action for action in operation.access if action in WRITE_ACTIONS]:
            self.table.grant_write(role, region=region, actions=writes)

    def _outputs(
        self, settings: Settings, endpoints: Sequence[RegionalEndpoint], health_operation: str
    ) -> None:
        self._output("regions", "Regions in order, the primary first", list(settings.regions))
        self._output(
            "api_url",
            "URL that customers call",
            f"https://{settings.domain.record_name}/{settings.api.stage}",
        )
        self._output("record_name", "Name that customers resolve", settings.domain.record_name)
        self._output("routing_policy", "How DNS chooses a Region", settings.routing_policy)
        self._output("health_path", "Path that health checks call", self.health_path)
        for role, region in zip(ROLES, settings.regions, strict=False):
            self._output(f"{role}_api_endpoint", f"URL in {region} alone", self.apis[region].url)
        self._output("region_urls", "URL by Region", {r: api.url for r, api in self.apis.items()})
        self._output(
            "api_ids",
            "API Gateway id by Region",
            {region: api.rest_api.api.id for region, api in self.apis.items()},
        )
        self._output(
            "domain_targets",
            "Host name behind the domain by Region",
            {endpoint.region: endpoint.target.host_name for endpoint in endpoints},
        )
        self._output(
            "certificate_arns",
            "Certificate of the domain by Region",
            {r: api.domain.certificate.arn for r, api in self.apis.items() if api.domain},
        )
        self._output(
            "health_functions",
            "Function that answers health checks, by Region",
            {
                region: api.functions[health_operation].function.function_name
                for region, api in self.apis.items()
            },
        )
        self._output(
            "customers",
            "Customers in order, with plan and names of their keys",
            [
                {"name": customer.name, "plan": customer.plan, "keys": list(customer.keys)}
                for customer in customers_of(settings)
            ],
        )
        self._output(
            "api_key_ids",
            "API keys by name, then Region",
            {
                name: {region: there.keys[name].id for region, there in self.customers.items()}
                for name in next(iter(self.customers.values())).keys
            },
        )
        if self.publisher_policy:
            self._output(
                "publisher_policy_arn",
                "Policy for the role of whoever publishes: it allows the signed operations",
                self.publisher_policy.arn,
            )
        self._output("table_name", "Table in every Region", self.table.table_name)
        self._output("table_arns", "ARN of the table by Region", self.table.arns)
        self._output("zone_name", "Name of the hosted zone", settings.domain.zone_name)
        self._output("zone_id", "Hosted zone", self.dns.zone_id)
        self._output("name_servers", "Delegate the zone to these servers", self.dns.name_servers)
        self._output(
            "health_check_ids", "Health check of the records, by Region", self.dns.health_check_ids
        )
        self._output(
            "endpoint_health_check_ids",
            "Health check that calls the Region, by Region",
            self.dns.endpoint_health_check_ids,
        )

    def _output(self, name: str, description: str, value: Any) -> None:
        TerraformOutput(self, name, description=description, value=value)


def _target(domain: RegionalDomainName) -> AliasTarget:
    return AliasTarget(domain.domain_name.regional_domain_name, domain.domain_name.regional_zone_id)


def _path_of(name: str, operations: Sequence[Operation]) -> str:
    for operation in operations:
        if operation.name == name:
            return operation.path
    raise ValueError(f"operation {name!r} is none of {', '.join(o.name for o in operations)}")
