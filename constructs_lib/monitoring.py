"""Alarms and the dashboard of an environment, from what its stack consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf import TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.regional_api import RegionalApi
from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.cloudwatch.alarms import (
    HEALTH_METRICS_REGION,
    add_health_alarms,
    add_key_alarms,
    add_regional_alarms,
    add_secondary_alarm,
)
from constructs_lib.cloudwatch.dashboard import Dashboard
from constructs_lib.cloudwatch.watched import FailureMetric, WatchedRegion
from constructs_lib.dynamodb.global_table import GlobalTable
from constructs_lib.route53.failover_dns import FailoverDns
from constructs_lib.settings import Settings
from constructs_lib.terraform_configuration import ROLES, provider_of

HEALTH_METRICS_ALIAS = "health_metrics"
"""Alias of the provider for health-check alarms, if they need a Region outside of the stack."""


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What a stack consists of.

    Attributes:
        settings: The environment.
        name: Prefix of the names of alarms, and name of the dashboard.
        providers: `{region: provider}`.
        apis: `{region: API}`.
        operations: What the APIs serve.
        table: The table.
        dns: The DNS, routed already.
        key_arns: `{region: ARN}` of the key that encrypts messages; empty for none.
        failure_metrics: What functions count of their own failures.
        runbook: What to do after a failover: part of the alarms' texts.
    """

    settings: Settings
    name: str
    providers: Mapping[str, AwsProvider]
    apis: Mapping[str, RegionalApi]
    operations: Sequence[Operation]
    table: GlobalTable
    dns: FailoverDns
    key_arns: Mapping[str, str]
    failure_metrics: Sequence[FailureMetric]
    runbook: str


def add_monitoring(stack: TerraformStack, monitored: Monitored) -> None:
    """Create what the environment asks for: alarms, the dashboard, both or neither.

    Args:
        stack: The stack.
        monitored: What it consists of.
    """
    watched = _watched(monitored)
    if monitored.settings.monitoring.alarms:
        _add_alarms(stack, monitored, watched)
    if monitored.settings.monitoring.dashboard:
        switch = monitored.dns.switch_health_check_id
        Dashboard(
            stack,
            "dashboard",
            provider=monitored.providers[monitored.settings.primary_region],
            name=monitored.name,
            regions=list(watched.values()),
            health_checks=monitored.dns.endpoint_health_check_ids
            | ({"switch (0 is engaged)": switch} if switch else {}),
        )


def _add_alarms(
    stack: TerraformStack, monitored: Monitored, watched: Mapping[str, WatchedRegion]
) -> None:
    """A topic and the alarms of each Region, and those of the health checks.

    With failover routing, the secondary Region gets an alarm on what is not open to everybody.
    """
    settings, runbook = monitored.settings, monitored.runbook
    providers = dict(monitored.providers)
    if HEALTH_METRICS_REGION not in providers:
        providers[HEALTH_METRICS_REGION] = provider_of(
            stack, settings, HEALTH_METRICS_REGION, HEALTH_METRICS_ALIAS
        )
    topics = {
        region: AlarmTopic(
            stack,
            f"{provider.alias}_alarms",
            provider=provider,
            name=monitored.name,
            emails=settings.monitoring.emails,
            kms_key_arn=monitored.key_arns.get(region),
        )
        for region, provider in providers.items()
    }
    for region, regional in watched.items():
        others = [other for other in watched if other != region]
        add_regional_alarms(topics[region], regional, other_regions=others, runbook=runbook)
    if settings.routing_policy == "failover":
        _, secondary = settings.regions
        add_secondary_alarm(
            topics[secondary],
            region=secondary,
            functions={
                operation.name: watched[secondary].functions[operation.name]
                for operation in monitored.operations
                # Open ones are called there at any time, by health checkers among others.
                if operation.authorization is not Authorization.NONE
            },
            runbook=runbook,
        )
    health_checks = {
        f"of_{region}": (
            check_id,
            f"Route 53 considers {region} unhealthy: {settings.domain.record_name} resolves to "
            "another Region if one is healthy.",
        )
        for region, check_id in monitored.dns.endpoint_health_check_ids.items()
    }
    if switch := monitored.dns.switch_health_check_id:
        meaning = f"The failover switch is engaged: {settings.regions[1]} serves until its release."
        health_checks["of_switch"] = (switch, f"{meaning} {runbook}".rstrip())
    add_health_alarms(topics[HEALTH_METRICS_REGION], health_checks)
    if monitored.key_arns:
        add_key_alarms(topics[HEALTH_METRICS_REGION], monitored.dns.endpoint_health_check_ids)


def _watched(monitored: Monitored) -> dict[str, WatchedRegion]:
    settings = monitored.settings
    roles = ROLES if settings.routing_policy == "failover" else ()
    titles = {
        region: f"{region} ({role})" for region, role in zip(settings.regions, roles, strict=False)
    }
    return {
        region: WatchedRegion(
            region=region,
            title=titles.get(region, region),
            api_name=api.rest_api.api.name,
            stage_name=settings.api.stage,
            functions={
                name: function.function.function_name for name, function in api.functions.items()
            },
            table_name=monitored.table.table_name,
            failure_metrics=monitored.failure_metrics,
            certificates={
                id: (domain.name, domain.certificate.arn)
                for id, domain in (
                    ("certificate", api.domain),
                    ("certificate_of_region", api.regional_domain),
                )
                if domain
            },
        )
        for region, api in monitored.apis.items()
    }
