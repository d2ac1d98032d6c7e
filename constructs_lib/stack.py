"""One environment as a Terraform stack: a provider per Region and the constructs, connected.

What each construct does is in its own module; here it gets what it needs of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cdktf import TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from constructs_lib.api.operation import Operation
from constructs_lib.capacity import check_capacity
from constructs_lib.cloudwatch.watched import FailureMetric
from constructs_lib.customer_access import customers_of
from constructs_lib.dynamodb.global_table import GlobalTable, Key
from constructs_lib.experiments import add_experiments
from constructs_lib.kms.multi_region_key import MultiRegionKey
from constructs_lib.kms.signing_key import SigningKey
from constructs_lib.layout import create_layout
from constructs_lib.monitoring import Monitored, add_monitoring
from constructs_lib.outputs import (
    CustomerOutput,
    EvacuationOutput,
    FailbackOutput,
    FencingOutput,
    ObjectivesOutput,
    Outputs,
    StateOutput,
)
from constructs_lib.regions import Regional, add_publisher_policy, add_regions
from constructs_lib.route53.failover_dns import FailoverDns
from constructs_lib.route53.options import HealthCheck, RegionalEndpoint, RoutingHome
from constructs_lib.route53.query_log import QUERY_LOG_REGION, QueryLog
from constructs_lib.route53.serving_name import TTL_SECONDS, serving_addresses, serving_name
from constructs_lib.settings import Settings
from constructs_lib.settings.schema import S3Backend
from constructs_lib.settings.stack_names import ROUTING, stack_name
from constructs_lib.terraform_configuration import provider_of

QUERY_LOG_ALIAS = "query_log"
"""Alias of the provider for the query log, if it needs a Region outside of the stack."""

LONGEST_INTERVAL_SECONDS = 30
"""Of a health check. Those of evacuations keep the interval that they were created with."""
FENCE_MARGIN_SECONDS = 30
"""For Route 53's servers to learn of a change, and for clocks that differ."""


@dataclass(frozen=True)
class Latch:
    """How a Region that failed over is kept out of service: the evacuating item, from a function.

    The operation that reports evacuations writes it. It finds the Regions in order in
    `REGION_ORDER`, and in `SERVING_NAME` the name whose A record is `192.0.2.` and the place of
    the Region that Route 53 answers, from 1, or `192.0.2.0` while none is healthy.

    Attributes:
        access: IAM actions on the table that it needs for this, on items with the partition keys
            of the item and the mark only.
        mark: Primary key of the item in which it notes that a Region serves, `{attribute: text}`,
            with `{region}` in one of the texts, for the operator's tool.
    """

    access: tuple[str, ...]
    mark: Mapping[str, str]


@dataclass(frozen=True)
class Evacuation:
    """How a Region is taken out of service: an item in the table, which other Regions report.

    Attributes:
        operation: Name of the operation that returns 200 while the item of a Region exists; its
            path has the parameter `{region}`.
        item: Primary key of the item, `{attribute: text}`, with `{region}` in one of the texts, for
            the operator's tool.
        latch: How the operation keeps a Region out of service that failed over, with the setting
            `failback = "manual"`; None if it cannot.
        fences: Whether the functions of operations that write refuse to while the item is in their
            Region's replica and its text `fence_after` is a time that has passed. With the setting
            `fence_writes`, they find in `FENCE_RETRY_AFTER_SECONDS` after how long a client that
            they refuse is to try again, and may read the item.
    """

    operation: str
    item: Mapping[str, str]
    latch: Latch | None = None
    fences: bool = False


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Sentences of the application that end the library's texts.

    Attributes:
        runbook: What to do after a failover: in the texts of alarms.
        key_values: How values of API keys are made: in Terraform's error when they are missing.
        changes: Where to read how to change what is fixed: in the plan's error that refuses it.
    """

    runbook: str = ""
    key_values: str = ""
    changes: str = ""


class FailoverApiStack(TerraformStack):
    """An API in two or more Regions behind one domain name.

    Its outputs are `constructs_lib.Outputs`.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        operations: Sequence[Operation],
        health_operation: str,
        evacuation: Evacuation | None = None,
        functions: Path,
        partition_key: Key,
        sort_key: Key | None = None,
        failure_metrics: Sequence[FailureMetric] = (),
        hints: Hints = Hints(),
    ) -> None:
        """Create everything that the environment consists of.

        Args:
            scope: The app.
            settings: The environment; its name is the stack's.
            operations: What the API serves.
            health_operation: Name of the operation that health checks call.
            evacuation: Lets an operator take any Region out of service without any control plane;
                None if none can be.
            functions: Folder with a module per operation: the root of the zip. Functions find the
                table's name in `TABLE_NAME`, the API's URL in `API_URL`, how far in the future a
                time that clients send may be in `CLOCK_TOLERANCE_SECONDS`, and the Regions that
                have their own names, `<region>.<record_name>`, in `NAMED_REGIONS`, if they have.
            partition_key: Partition key of the table.
            sort_key: Sort key of the table.
            failure_metrics: What functions count of their own failures, for alarms and the
                dashboard.
            hints: Sentences that end the texts of alarms and errors.

        Raises:
            ValueError: `health_operation` or the one of evacuations is not one of the operations,
                or a construct rejects a value.
            SettingsError: `[capacity]` does not fit the operations.
        """
        super().__init__(
            scope, settings.name if settings.layout == "single" else stack_name(settings, ROUTING)
        )
        self._settings = settings
        self._name = f"{settings.api.name}-{settings.name}"
        self._base_path = f"/{settings.api.stage}"
        self._api_url = f"https://{settings.domain.record_name}{self._base_path}"
        self._health_operation = health_operation
        self._evacuation = evacuation
        self.health_path = self._path_of(health_operation, operations)
        self._evacuation_path = (
            self._path_of(evacuation.operation, operations) if evacuation else None
        )
        self._called_by_checkers = {
            health_operation,
            *([evacuation.operation] if evacuation else ()),
        }
        self._latch = self._latch_of(evacuation)
        self._require_fences(evacuation)
        self._operations = [
            self._latching(
                replace(operation, reserved_concurrency=settings.health_check.reserved_concurrency)
            )
            if operation.name in self._called_by_checkers
            else self._fencing(operation)
            for operation in operations
        ]
        check_capacity(settings, self._operations, called_by_checkers=self._called_by_checkers)
        self.layout = create_layout(self, settings, hint=hints.changes)
        """The stacks, this one among them, and which part is where."""
        self._create_data(partition_key, sort_key)
        self.records_key = self._create_records_key()
        self._create_regions(functions, hints.key_values)
        self._route()
        self._monitor(failure_metrics, hints.runbook)
        self.outputs = self._outputs()
        """What the stack outputs; tokens where Terraform knows them at deployment only."""
        descriptions = Outputs.descriptions()
        for name, value in self.outputs.to_json().items():
            TerraformOutput(self, name, description=descriptions[name], value=value)

    def _monitor(self, failure_metrics: Sequence[FailureMetric], runbook: str) -> None:
        topics = add_monitoring(
            Monitored(
                settings=self._settings,
                name=self._name,
                layout=self.layout,
                apis=self.apis,
                operations=self._operations,
                dns=self.dns,
                key_arns=self._key_arns,
                failure_metrics=failure_metrics,
                runbook=runbook,
            ),
        )
        self.experiments = add_experiments(
            self._settings,
            name=self._name,
            layout=self.layout,
            table_arns=self.table.arns,
            topics=topics,
            key_arns=self._key_arns,
        )
        """`{fault of a drill: {region: what injects it}}`."""

    def _path_of(self, name: str, operations: Sequence[Operation]) -> str:
        for operation in operations:
            if operation.name == name:
                return self._base_path + operation.path
        raise ValueError(f"operation {name!r} is none of {', '.join(o.name for o in operations)}")

    def _latch_of(self, evacuation: Evacuation | None) -> Latch | None:
        if self._settings.failback == "automatic":
            return None
        if evacuation is None or evacuation.latch is None:
            raise ValueError(
                'failback = "manual" needs an operation that keeps a Region out of service: give '
                'evacuation a latch, or set failback = "automatic"'
            )
        return evacuation.latch

    def _require_fences(self, evacuation: Evacuation | None) -> None:
        if self._settings.fence_writes and not (evacuation and evacuation.fences):
            raise ValueError(
                "fence_writes = true needs functions that refuse writes: give evacuation "
                "fences=True once they do, or set fence_writes = false"
            )

    def _fencing(self, operation: Operation) -> Operation:
        if not (self._settings.fence_writes and operation.is_write):
            return operation
        # Whoever asks DNS again after that long gets another Region.
        retry_after_seconds = str(self._settings.domain.ttl_seconds)
        return replace(
            operation,
            environment={
                **operation.environment,
                "FENCE_RETRY_AFTER_SECONDS": retry_after_seconds,
            },
        )

    def _latching(self, operation: Operation) -> Operation:
        if not (self._latch and self._evacuation and operation.name == self._evacuation.operation):
            return operation
        partition = next(iter(self._evacuation.item))
        return replace(
            operation,
            access=(*operation.access, *self._latch.access),
            write_partitions=tuple(
                {key[partition]: None for key in (self._evacuation.item, self._latch.mark)}
            ),
            environment={
                **operation.environment,
                "REGION_ORDER": " ".join(self._settings.regions),
                "SERVING_NAME": serving_name(self._settings.domain.record_name),
            },
        )

    def _create_data(self, partition_key: Key, sort_key: Key | None) -> None:
        """The key, if the environment has one, the table, the zone and its query log."""
        settings, stack = self._settings, self.layout.data.stack
        providers = self.layout.data.providers
        logged = self._query_log_providers()
        accounts = settings.allowed_account_ids
        self.key = (
            MultiRegionKey(
                stack,
                "key",
                name=self._name,
                providers={**providers, **logged},
                account_id=accounts[0] if len(accounts) == 1 else None,
            )
            if settings.encryption.customer_managed_key
            else None
        )
        self._key_arns = self.key.arns if self.key else {}
        self.table = GlobalTable(
            stack,
            "table",
            name=settings.table.name,
            providers=providers,
            partition_key=partition_key,
            sort_key=sort_key,
            point_in_time_recovery=settings.table.point_in_time_recovery,
            deletion_protection=settings.table.deletion_protection,
            kms_key_arns=self._key_arns,
            consistency=settings.table.consistency,
            witness_region=settings.table.witness_region,
        )
        self.dns = FailoverDns(
            stack,
            "dns",
            provider=providers[settings.primary_region],
            zone_name=settings.domain.zone_name,
            record_name=settings.domain.record_name,
            create_zone=settings.domain.create_zone,
            prevent_destroy=settings.table.deletion_protection,
            accelerated_recovery=settings.domain.accelerated_recovery,
        )
        self.query_log = (
            QueryLog(
                stack,
                "query_log",
                provider=logged[QUERY_LOG_REGION],
                name=f"{self._name}-query-log",
                zone_name=settings.domain.zone_name,
                zone_id=self.dns.zone_id,
                retention_days=settings.api.log_retention_days,
                kms_key_arn=self._key_arns.get(QUERY_LOG_REGION),
            )
            if logged
            else None
        )

    def _create_records_key(self) -> SigningKey | None:
        """The key that signs the records of drills, where the lock is: in the secondary."""
        objectives, data = self._settings.objectives, self.layout.data
        if not (objectives and objectives.sign_records):
            return None
        return SigningKey(
            data.stack,
            "records_key",
            description=f"Records of drills of {self._name}",
            provider=data.providers[self._settings.regions[1]],
        )

    def _query_log_providers(self) -> dict[str, AwsProvider]:
        """`{Region of the query log: its provider}`; empty without a query log."""
        if not self._settings.domain.query_logging:
            return {}
        data = self.layout.data
        provider = data.providers.get(QUERY_LOG_REGION) or provider_of(
            data.stack, self._settings, QUERY_LOG_REGION, QUERY_LOG_ALIAS
        )
        return {QUERY_LOG_REGION: provider}

    def _create_regions(self, functions: Path, hint: str) -> None:
        """In each Region the API, its customers and its web ACL; who may call what needs IAM."""
        regional = Regional(
            settings=self._settings,
            name=self._name,
            layout=self.layout,
            operations=self._operations,
            quiet_operations=self._called_by_checkers,
            api_url=self._api_url,
            table=self.table,
            dns=self.dns,
            key_arns=self._key_arns,
            fence_partition=next(iter(self._evacuation.item.values()))
            if self._evacuation and self._settings.fence_writes
            else None,
        )
        self.apis, self.customers = add_regions(regional, functions=functions, hint=hint)
        """`{region: API}`, and `{region: plans and keys}`."""
        self.publisher_policy = add_publisher_policy(regional, self.apis)

    def _route(self) -> None:
        """The health checks and the records."""
        routing = self.layout.routing
        self._endpoints = [
            RegionalEndpoint(
                region=region,
                target=api.domain,
                health_check_host=api.host_name,
                own_target=api.regional_domain,
                # Another stack is deployed before.
                ready=[api.regional_domain.domain_name]
                if api.regional_domain and not self.layout.is_regional
                else [],
            )
            for region, api in self.apis.items()
            if api.domain
        ]
        self.dns.route(
            self._endpoints,
            routing_policy=self._settings.routing_policy,
            weights=self._settings.weights or None,
            ttl_seconds=self._settings.domain.ttl_seconds,
            health_check=HealthCheck(
                path=self.health_path,
                evacuation_path=self._evacuation_path,
                interval_seconds=self._settings.health_check.interval_seconds,
                failure_threshold=self._settings.health_check.failure_threshold,
            ),
            home=RoutingHome(routing.scope("dns"), routing.providers[self._settings.primary_region])
            if self.layout.is_regional
            else None,
        )
        if self._latch:
            self.dns.name_serving_region()

    def _outputs(self) -> Outputs:
        settings = self._settings
        first, second, *_ = settings.regions
        customers = self.customers[first]
        return Outputs(
            environment=settings.name,
            regions=settings.regions,
            api_url=self._api_url,
            record_name=settings.domain.record_name,
            routing_policy=settings.routing_policy,
            weights=self.dns.weights,
            failover_names=self.dns.failover_names or None,
            ttl_seconds=self.dns.ttl_seconds,
            health_path=self.health_path,
            primary_api_endpoint=self.apis[first].url,
            secondary_api_endpoint=self.apis[second].url,
            region_urls={region: api.url for region, api in self.apis.items()},
            api_ids={region: api.rest_api.api.id for region, api in self.apis.items()},
            domain_targets={each.region: each.target.host_name for each in self._endpoints},
            certificate_arns={
                region: api.domain.certificate.arn
                for region, api in self.apis.items()
                if api.domain
            },
            health_functions={
                region: api.functions[self._health_operation].function.function_name
                for region, api in self.apis.items()
            },
            customers=tuple(
                CustomerOutput(customer.name, customer.plan, customer.keys)
                for customer in customers_of(settings)
            ),
            api_key_ids={
                name: {region: there.keys[name].id for region, there in self.customers.items()}
                for name in customers.keys
            },
            publisher_policy_arn=self.publisher_policy.arn if self.publisher_policy else None,
            table_name=self.table.table_name,
            table_arns=self.table.arns,
            consistency="strong" if settings.table.consistency == "strong" else None,
            witness_region=settings.table.witness_region,
            zone_name=settings.domain.zone_name,
            zone_id=self.dns.zone_id,
            name_servers=tuple(self.dns.name_servers),
            accelerated_recovery=settings.domain.accelerated_recovery or None,
            query_log_group_arn=self.query_log.log_group.arn if self.query_log else None,
            health_check_ids=self.dns.health_check_ids,
            endpoint_health_check_ids=self.dns.endpoint_health_check_ids,
            evacuation=self._evacuation_output(),
            failback=self._failback_output(),
            fencing=self._fencing_output(),
            experiment_template_ids={
                fault: {region: each.template.id for region, each in experiments.items()}
                for fault, experiments in self.experiments.items()
            }
            or None,
            objectives=_objectives_output(settings),
            records_key_arn=self.records_key.arn if self.records_key else None,
            state=_state_output(settings),
        )

    def _evacuation_output(self) -> EvacuationOutput | None:
        if not (self._evacuation and self._evacuation_path):
            return None
        return EvacuationOutput(
            path=self._evacuation_path,
            item=self._evacuation.item,
            health_check_ids=self.dns.evacuation_health_check_ids,
        )

    def _fencing_output(self) -> FencingOutput | None:
        if not self._settings.fence_writes:
            return None
        seconds = LONGEST_INTERVAL_SECONDS * self._settings.health_check.failure_threshold
        return FencingOutput(
            after_seconds=seconds + self._settings.domain.ttl_seconds + FENCE_MARGIN_SECONDS
        )

    def _failback_output(self) -> FailbackOutput | None:
        if not self._latch:
            return None
        addresses = serving_addresses(self._settings.regions)
        return FailbackOutput(
            names=self.dns.serving_names,
            none_healthy=addresses.pop(""),
            addresses=addresses,
            ttl_seconds=TTL_SECONDS,
            mark=self._latch.mark,
        )


def _objectives_output(settings: Settings) -> ObjectivesOutput | None:
    found = settings.objectives
    return ObjectivesOutput(**found.model_dump(exclude={"sign_records"})) if found else None


def _state_output(settings: Settings) -> StateOutput | None:
    backend = settings.backend
    if not isinstance(backend, S3Backend):
        return None
    return StateOutput(backend.bucket, backend.key, backend.region)
