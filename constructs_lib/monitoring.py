"""Alarms and the dashboard of an environment, from what its stack consists of."""

from collections.abc import Mapping, Sequence

from cdktf import TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from constructs_lib.api import Authorization, Operation, RegionalApi
from constructs_lib.cloudwatch import (
    HEALTH_METRICS_REGION,
    AlarmTopic,
    Dashboard,
    FailureMetric,
    WatchedRegion,
    add_health_alarms,
    add_regional_alarms,
    add_standby_alarm,
)
from constructs_lib.dynamodb import GlobalTable
from constructs_lib.route53 import FailoverDns
from constructs_lib.settings import Settings
from constructs_lib.terraform_configuration import provider_of

HEALTH_METRICS_ALIAS = "health_metrics"
"""Alias of the provider for health-check alarms, if no Region of the stack is theirs."""


def add_alarms(
    stack: TerraformStack,
    *,
    settings: Settings,
    name: str,
    providers: Mapping[str, AwsProvider],
    apis: Mapping[str, RegionalApi],
    operations: Sequence[Operation],
    table: GlobalTable,
    dns: FailoverDns,
    key_arns: Mapping[str, str],
    failure_metrics: Sequence[FailureMetric],
) -> None:
    """Creates a topic and the alarms of each Region, and those of the health checks.

    With failover routing, the standby gets an alarm on the operations that are not open to all.

    Args:
        stack: The stack.
        settings: The environment.
        name: Prefix of the names.
        providers: `{region: provider}`.
        apis: `{region: API}`.
        operations: What the APIs serve.
        table: The table.
        dns: The DNS, routed already.
        key_arns: `{region: ARN}` of the key that encrypts messages; empty for none.
        failure_metrics: What functions count of their own failures.
    """
    topics = {
        region: AlarmTopic(
            stack,
            f"{provider.alias}_alarms",
            provider=provider,
            name=name,
            emails=settings.monitoring.emails,
            kms_key_arn=key_arns.get(region),
        )
        for region, provider in providers.items()
    }
    watched_regions = _watched(settings, apis, operations, table, failure_metrics)
    for region, watched in watched_regions.items():
        add_regional_alarms(
            topics[region],
            region=region,
            api_name=watched.api_name,
            stage_name=watched.stage_name,
            functions=watched.functions,
            table_name=watched.table_name,
            other_regions=[other for other in providers if other != region],
            failure_metrics=watched.failure_metrics,
        )
    if settings.routing_policy == "failover":
        _, standby = settings.regions
        add_standby_alarm(
            topics[standby],
            region=standby,
            functions={
                operation.name: watched_regions[standby].functions[operation.name]
                for operation in operations
                # Open ones are called in the standby at any time, by health checkers among others.
                if operation.authorization is not Authorization.NONE
            },
        )
    if HEALTH_METRICS_REGION not in topics:
        topics[HEALTH_METRICS_REGION] = AlarmTopic(
            stack,
            f"{HEALTH_METRICS_ALIAS}_alarms",
            provider=provider_of(stack, settings, HEALTH_METRICS_REGION, HEALTH_METRICS_ALIAS),
            name=name,
            emails=settings.monitoring.emails,
        )
    add_health_alarms(
        topics[HEALTH_METRICS_REGION],
        {
            f"of_{region}": (
                check_id,
                f"Route 53 finds {region} unhealthy: {settings.domain.record_name} leads elsewhere "
                "if another Region is well.",
            )
            for region, check_id in dns.endpoint_health_check_ids.items()
        }
        | (
            {
                "of_switch": (
                    dns.switch_health_check_id,
                    f"The failover switch is engaged: {settings.regions[1]} serves until it is "
                    "released. See python -m ops switch status.",
                )
            }
            if dns.switch_health_check_id
            else {}
        ),
    )


def add_dashboard(
    stack: TerraformStack,
    *,
    settings: Settings,
    name: str,
    provider: AwsProvider,
    apis: Mapping[str, RegionalApi],
    operations: Sequence[Operation],
    table: GlobalTable,
    dns: FailoverDns,
    failure_metrics: Sequence[FailureMetric],
) -> None:
    """Creates the dashboard.

    Args:
        stack: The stack.
        settings: The environment.
        name: Its name.
        provider: Provider under which it stands.
        apis: `{region: API}`.
        operations: What the APIs serve.
        table: The table.
        dns: The DNS, routed already.
        failure_metrics: What functions count of their own failures.
    """
    switch = dns.switch_health_check_id
    Dashboard(
        stack,
        "dashboard",
        provider=provider,
        name=name,
        regions=list(_watched(settings, apis, operations, table, failure_metrics).values()),
        health_checks=dns.endpoint_health_check_ids
        | ({"switch (0 is engaged)": switch} if switch else {}),
    )


def _watched(
    settings: Settings,
    apis: Mapping[str, RegionalApi],
    operations: Sequence[Operation],
    table: GlobalTable,
    failure_metrics: Sequence[FailureMetric],
) -> dict[str, WatchedRegion]:
    roles = ("primary", "secondary") if settings.routing_policy == "failover" else ()
    titles = dict(zip(settings.regions, roles, strict=False))
    return {
        region: WatchedRegion(
            region=region,
            title=f"{region} ({titles[region]})" if region in titles else region,
            api_name=api.rest_api.api.name,
            stage_name=settings.api.stage,
            functions={
                operation.name: api.functions[operation.name].function.function_name
                for operation in operations
            },
            table_name=table.table_name,
            failure_metrics=failure_metrics,
        )
        for region, api in apis.items()
    }
