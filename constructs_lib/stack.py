"""One environment as a Terraform stack: a provider per Region and the three constructs, wired.

What the constructs do is in their own modules; here stands only which one gets what.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdktf import (
    LocalBackend,
    S3Backend,
    TerraformOutput,
    TerraformStack,
    TerraformVariable,
    TerraformVariableValidationConfig,
)
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from constructs import Construct

from constructs_lib.api import CustomDomain, FunctionPackage, Operation, RegionalApi, UsagePlan
from constructs_lib.dynamodb import READ_ACTIONS, WRITE_ACTIONS, GlobalTable, Key
from constructs_lib.route53 import FailoverDns, HealthCheck, RegionalEndpoint
from constructs_lib.settings import LocalBackend as LocalBackendSettings
from constructs_lib.settings import Settings

PROVIDER_VERSIONS = ">= 5.100.0, < 7.0.0"
"""From what the tests run on to below the next major version: nothing here needs version 6."""

_ROLES = ("primary", "secondary")


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
    `certificate_arns`, `health_functions`, `table_name`, `table_arns`, `zone_name`, `zone_id`,
    `name_servers`, `health_check_ids`, `endpoint_health_check_ids` and, with a switch, `switch`
    (its Region, URL path, item and health check). Maps are keyed by Region.
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
        name = f"{settings.api.name}-{settings.name}"
        self._configure_terraform(settings)
        providers = self._providers_by_region(settings)
        primary = providers[settings.primary_region]

        self.table = GlobalTable(
            self,
            "table",
            name=settings.table.name,
            providers=providers,
            partition_key=partition_key,
            sort_key=sort_key,
            point_in_time_recovery=settings.table.point_in_time_recovery,
            deletion_protection=settings.table.deletion_protection,
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
        api_key = self._api_key_variable()

        self.apis: dict[str, RegionalApi] = {}
        """`{region: API}`."""
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
                environment={"TABLE_NAME": self.table.table_name},
                rate_per_second=settings.api.rate_per_second,
                burst=settings.api.burst,
                log_retention_days=settings.api.log_retention_days,
                access_logs=settings.api.access_logs,
                manage_account_log_role=settings.api.manage_account_log_role,
                tracing=settings.api.tracing,
                domain=CustomDomain(self.dns.record_name, self.dns.validate_certificate),
            )
            for operation in operations:
                self._grant_table_access(operation, api, region)
            UsagePlan(
                self,
                f"{provider.alias}_usage_plan",
                provider=provider,
                name=name,
                stage=api.stage.stage,
                key_values={"default": api_key.string_value},
                rate_per_second=settings.api.rate_per_second,
                burst=settings.api.burst,
            )
            assert api.domain is not None
            endpoints.append(
                RegionalEndpoint(
                    region=region,
                    alias_name=api.domain.domain_name.regional_domain_name,
                    alias_zone_id=api.domain.domain_name.regional_zone_id,
                    health_check_host=api.host_name,
                )
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

    def _configure_terraform(self, settings: Settings) -> None:
        self.add_override(
            "terraform.required_providers.aws",
            {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS},
        )
        # S3 lock files are no experiment from this version on.
        self.add_override("terraform.required_version", ">= 1.11.0")
        backend = settings.backend
        if isinstance(backend, LocalBackendSettings):
            # From cdktf.out/stacks/<name>, where Terraform runs, to beside cdktf.out.
            LocalBackend(self, path=f"../../../terraform.{settings.name}.tfstate")
        else:
            S3Backend(
                self, bucket=backend.bucket, key=backend.key, region=backend.region, encrypt=True
            )
            self.add_override("terraform.backend.s3.use_lockfile", True)

    def _providers_by_region(self, settings: Settings) -> dict[str, AwsProvider]:
        """One aliased provider per Region and no other: a forgotten alias cannot go unnoticed."""
        return {
            region: AwsProvider(
                self,
                f"aws_{alias}",
                alias=alias,
                region=region,
                allowed_account_ids=list(settings.allowed_account_ids) or None,
                default_tags=[
                    AwsProviderDefaultTags(tags=settings.tags | {"environment": settings.name})
                ],
            )
            for region, alias in zip(
                settings.regions, (*_ROLES, *settings.regions[len(_ROLES) :]), strict=True
            )
        }

    def _api_key_variable(self) -> TerraformVariable:
        return TerraformVariable(
            self,
            "api_key_value",
            type="string",
            sensitive=True,
            description="Value of the customers' API key, the same in every Region: 20 to 128 "
            "letters and digits. Set it as TF_VAR_api_key_value; it stands in the state.",
            validation=[
                TerraformVariableValidationConfig(
                    condition='${can(regex("^[A-Za-z0-9]{20,128}$", var.api_key_value))}',
                    error_message="An API key has 20 to 128 letters and digits: set "
                    "TF_VAR_api_key_value to such a value.",
                )
            ],
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
        api_url = f"https://{settings.domain.record_name}/{settings.api.stage}"
        self._output("regions", "Regions in order, the primary first", list(settings.regions))
        self._output("api_url", "URL that customers call", api_url)
        self._output("record_name", "Name that customers resolve", settings.domain.record_name)
        self._output("routing_policy", "How DNS chooses a Region", settings.routing_policy)
        self._output("health_path", "Path that health checks call", self.health_path)
        for role, region in zip(_ROLES, settings.regions, strict=False):
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
            {endpoint.region: endpoint.alias_name for endpoint in endpoints},
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


def _path_of(name: str, operations: Sequence[Operation]) -> str:
    for operation in operations:
        if operation.name == name:
            return operation.path
    raise ValueError(f"operation {name!r} is none of {', '.join(o.name for o in operations)}")
