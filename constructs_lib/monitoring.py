"""Alarms and the dashboard of an environment, from what its stack consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.options import ALIAS_NAME
from constructs_lib.api.regional_api import RegionalApi
from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.cloudwatch.alarms import (
    HEALTH_METRICS_REGION,
    add_health_alarms,
    add_key_alarms,
    add_regional_alarms,
    add_serving_alarm,
)
from constructs_lib.cloudwatch.dashboard import Dashboard
from constructs_lib.cloudwatch.watched import FailureMetric, WatchedRegion
from constructs_lib.layout import Layout
from constructs_lib.outputs import failover_role
from constructs_lib.route53.failover_dns import FailoverDns
from constructs_lib.settings import Settings
from constructs_lib.terraform_configuration import provider_aliases, provider_of

HEALTH_METRICS_ALIAS = "health_metrics"
"""Alias of the provider for health-check alarms, if they need a Region outside of the stack."""


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What an environment consists of.

    Attributes:
        settings: The environment.
        name: Prefix of the names of alarms, and name of the dashboard.
        layout: Where its parts are.
        apis: `{region: API}`.
        operations: What the APIs serve.
        dns: The DNS, routed already.
        key_arns: `{region: ARN}` of the key that encrypts messages; empty for none.
        failure_metrics: What functions count of their own failures.
        runbook: What to do after a failover: part of the alarms' texts.
    """

    settings: Settings
    name: str
    layout: Layout
    apis: Mapping[str, RegionalApi]
    operations: Sequence[Operation]
    dns: FailoverDns
    key_arns: Mapping[str, str]
    failure_metrics: Sequence[FailureMetric]
    runbook: str


def add_monitoring(monitored: Monitored) -> dict[str, AlarmTopic]:
    """Create what the environment asks for: alarms, the dashboard, both or neither.

    Args:
        monitored: What the environment consists of.

    Returns:
        `{region: topic}` with the alarms of the Region; empty without alarms.
    """
    topics: dict[str, AlarmTopic] = {}
    watched = _watched(monitored)
    if monitored.settings.monitoring.alarms:
        topics = _add_regional_alarms(monitored, watched)
        _add_health_alarms(monitored, topics)
    if monitored.settings.monitoring.dashboard:
        routing = monitored.layout.routing
        Dashboard(
            routing.stack,
            "dashboard",
            provider=routing.providers[monitored.settings.primary_region],
            name=monitored.name,
            regions=list(watched.values()),
            health_checks=monitored.dns.endpoint_health_check_ids
            | {
                f"{region} in service (0 is evacuated), asked of {observer}": id
                for region, ids in monitored.dns.evacuation_health_check_ids.items()
                for observer, id in ids.items()
            },
        )
    return topics


def _add_regional_alarms(
    monitored: Monitored, watched: Mapping[str, WatchedRegion]
) -> dict[str, AlarmTopic]:
    """A topic and the alarms of each Region, where the Region's API is.

    With failover routing, each Region but the primary gets an alarm on what is not open to
    everybody.
    """
    settings, runbook = monitored.settings, monitored.runbook
    topics = {
        region: AlarmTopic(
            place.stack,
            f"{place.providers[region].alias}_alarms",
            provider=place.providers[region],
            name=monitored.name,
            emails=settings.monitoring.emails,
            kms_key_arn=monitored.key_arns.get(region),
        )
        for region, place in monitored.layout.regions.items()
    }
    for region, regional in watched.items():
        others = [other for other in watched if other != region]
        add_regional_alarms(topics[region], regional, other_regions=others, runbook=runbook)
    for region, role in list(_roles(settings).items())[1:]:
        add_serving_alarm(
            topics[region],
            region=region,
            role=role,
            functions={
                operation.name: watched[region].serving(operation.name)
                for operation in monitored.operations
                # Open ones are called there at any time, by health checkers among others.
                if operation.authorization is not Authorization.NONE
            },
            runbook=runbook,
        )
    return topics


def _health_topic(monitored: Monitored, topics: Mapping[str, AlarmTopic]) -> AlarmTopic:
    """The topic of the one Region with metrics of health checks, for alarms beside these."""
    settings, routing = monitored.settings, monitored.layout.routing
    existing = topics.get(HEALTH_METRICS_REGION)
    if existing and not monitored.layout.is_regional:
        return existing
    alias = provider_aliases(settings).get(HEALTH_METRICS_REGION, HEALTH_METRICS_ALIAS)
    return AlarmTopic(
        routing.stack,
        f"{alias}_alarms",
        provider=routing.providers.get(HEALTH_METRICS_REGION)
        or provider_of(routing.stack, settings, HEALTH_METRICS_REGION, alias),
        name=monitored.name,
        emails=settings.monitoring.emails,
        topic_arn=existing.arn if existing else None,
    )


def _add_health_alarms(monitored: Monitored, topics: Mapping[str, AlarmTopic]) -> None:
    """The alarms on health checks, where these are."""
    settings, runbook = monitored.settings, monitored.runbook
    topic = _health_topic(monitored, topics)
    health_checks = {
        f"of_{region}": (
            check_id,
            f"Route 53 considers {region} unhealthy: {settings.domain.record_name} resolves to "
            "another Region if one is healthy.",
        )
        for region, check_id in monitored.dns.endpoint_health_check_ids.items()
    }
    for region, ids in monitored.dns.evacuation_health_check_ids.items():
        for observer, check_id in ids.items():
            meaning = (
                f"{observer} reports that {region} is evacuated: Route 53 leaves it out until it "
                "is restored, unless every Region is evacuated or unhealthy."
            )
            health_checks[f"of_{region}_evacuation_in_{observer}"] = (
                check_id,
                f"{meaning} {runbook}".rstrip(),
            )
    add_health_alarms(topic, health_checks)
    if monitored.key_arns:
        add_key_alarms(
            topic,
            monitored.dns.endpoint_health_check_ids,
            strongly_consistent=settings.table.consistency == "strong",
        )


def _watched(monitored: Monitored) -> dict[str, WatchedRegion]:
    settings = monitored.settings
    titles = {region: f"{region} ({role})" for region, role in _roles(settings).items()}
    return {
        region: WatchedRegion(
            region=region,
            title=titles.get(region, region),
            api_name=monitored.name,
            stage_name=settings.api.stage,
            functions={name: function.name for name, function in api.functions.items()},
            alias=ALIAS_NAME,
            table_name=settings.table.name,
            publishes_replication_latency=settings.table.consistency != "strong",
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


def _roles(settings: Settings) -> dict[str, str]:
    """`{region: role}`, the primary first; empty where Route 53 does not order Regions."""
    if settings.routing_policy != "failover":
        return {}
    return {region: failover_role(place) for place, region in enumerate(settings.regions)}
