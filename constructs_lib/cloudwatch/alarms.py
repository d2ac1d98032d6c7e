"""The alarms of a stack: on each Region, on Route 53's health checks, and on a failover.

Each is added to the topic of its Region.
"""

import re
from collections.abc import Mapping, Sequence

from constructs_lib.cloudwatch.alarm_topic import MAX_SUMMED_METRICS, AlarmTopic
from constructs_lib.cloudwatch.watched import WatchedRegion

HEALTH_METRICS_REGION = "us-east-1"
"""The one Region with the metrics of Route 53's health checks."""

ERROR_SHARE = 0.05
"""Share of requests with a 5xx response."""

LATENCY_MILLISECONDS = 3000
"""What one request of a hundred may take."""

REPLICATION_MILLISECONDS = 30_000
"""Average age of writes when they reach another Region: what a failover would lose."""

CERTIFICATE_DAYS = 30
"""Days that a certificate is still valid; AWS renews it 45 days before its end, or tries to.

Source: https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
"""

KEY_ALARM_HOURS = 8
"""Hours that a Region is unhealthy, while 20 hours without its key make a replica a separate table.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html
"""

SECONDARY_EVALUATED_PERIODS = 10
"""More minutes than for other alarms: with few customers, the alarm must not flap."""


def add_regional_alarms(
    topic: AlarmTopic, watched: WatchedRegion, *, other_regions: Sequence[str], runbook: str = ""
) -> None:
    """Add the alarms on what customers of a Region notice, and on what would cause it.

    Args:
        topic: A topic in the Region.
        watched: The Region.
        other_regions: Regions that the table's writes are replicated to.
        runbook: What to do about 5xx responses: the end of that alarm's text.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    Source: https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
    """
    region = watched.region
    for id, (name, arn) in watched.certificates.items():
        topic.alarm(
            id,
            description=f"The certificate of {name} in {region} ends in less than "
            f"{CERTIFICATE_DAYS} days, and AWS has not renewed it: its validation record may be "
            "missing. No health check notices an expired certificate.",
            namespace="AWS/CertificateManager",
            metric="DaysToExpiry",
            dimensions={"CertificateArn": arn},
            statistic="Minimum",
            threshold=CERTIFICATE_DAYS,
            comparison="LessThanThreshold",
            # AWS publishes it twice a day.
            period_seconds=86_400,
            evaluated_periods=1,
            breaching_periods=1,
        )
    api = {"ApiName": watched.api_name, "Stage": watched.stage_name}
    topic.alarm(
        "server_errors",
        description=_text(
            f"More than {ERROR_SHARE:.0%} of the requests in {region} get a 5xx response. See the "
            "dashboard; if the other Region is healthy, fail over to it.",
            runbook,
        ),
        namespace="AWS/ApiGateway",
        metric="5XXError",
        dimensions=api,
        # Each request counts 0 or 1: the average is the share.
        statistic="Average",
        threshold=ERROR_SHARE,
    )
    topic.alarm(
        "latency",
        description=f"One request of a hundred in {region} takes more than "
        f"{LATENCY_MILLISECONDS} ms.",
        namespace="AWS/ApiGateway",
        metric="Latency",
        dimensions=api,
        statistic="p99",
        threshold=LATENCY_MILLISECONDS,
    )
    for operation, function_name in watched.functions.items():
        lambda_metrics = {
            "Errors": "It ended with an exception, or timed out.",
            "Throttles": "The account's concurrency is used up, or what is reserved for it.",
        }
        counts = [
            ("AWS/Lambda", metric, watched.serving(operation), meaning)
            for metric, meaning in lambda_metrics.items()
        ] + [
            (failure.namespace, failure.name, {failure.dimension: function_name}, failure.meaning)
            for failure in watched.failure_metrics
            if failure.has_alarm and operation in failure.operations
        ]
        for namespace, metric, dimensions, meaning in counts:
            topic.alarm(
                f"{operation}_{_snake_case(metric)}",
                description=f"{metric} of the function {operation} in {region}. {meaning}",
                namespace=namespace,
                metric=metric,
                dimensions=dimensions,
                statistic="Sum",
                threshold=0,
            )
    table = {"TableName": watched.table_name}
    for kind in ("Read", "Write"):
        topic.alarm(
            f"table_{kind.lower()}_throttles",
            description=f"DynamoDB throttles {kind.lower()}s of the table in {region}.",
            namespace="AWS/DynamoDB",
            metric=f"{kind}ThrottleEvents",
            dimensions=table,
            statistic="Sum",
            threshold=0,
        )
    for other in other_regions if watched.publishes_replication_latency else ():
        topic.alarm(
            f"replication_to_{other}",
            description=f"Writes in {region} take more than {REPLICATION_MILLISECONDS / 1000:g} s "
            f"to reach {other}: a failover would lose the writes of that time.",
            namespace="AWS/DynamoDB",
            metric="ReplicationLatency",
            dimensions=table | {"ReceivingRegion": other},
            statistic="Average",
            threshold=REPLICATION_MILLISECONDS,
        )


def add_health_alarms(topic: AlarmTopic, health_checks: Mapping[str, tuple[str, str]]) -> None:
    """Add an alarm for each health check.

    Args:
        topic: A topic in `HEALTH_METRICS_REGION`.
        health_checks: `{name: (id of the health check, what it means when unhealthy)}`.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html
    """
    for name, (health_check_id, meaning) in health_checks.items():
        topic.alarm(
            f"health_{name}",
            description=meaning,
            namespace="AWS/Route53",
            metric="HealthCheckStatus",
            dimensions={"HealthCheckId": health_check_id},
            statistic="Minimum",
            threshold=1,
            comparison="LessThanThreshold",
            # Route 53 has decided already: no need to wait longer. Missing data is bad news.
            missing="breaching",
            evaluated_periods=1,
            breaching_periods=1,
        )


def add_key_alarms(
    topic: AlarmTopic,
    health_checks: Mapping[str, str],
    *,
    strongly_consistent: bool = False,
) -> None:
    """Add an alarm for each Region that is unhealthy for so long that its replica is at stake.

    A replica that cannot use its KMS key leaves the global table for good after 20 hours, or after
    seven days if it is strongly consistent. AWS has no metric of that; but a health check reads the
    table, and so fails all the time.

    Args:
        topic: A topic in `HEALTH_METRICS_REGION`.
        health_checks: `{Region: id of its health check}`.
        strongly_consistent: Whether the table is, between the Regions.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html
    """
    loss = (
        "is archived or inaccessible for good after seven days"
        if strongly_consistent
        else "becomes a separate table for good after 20 hours"
    )
    for region, health_check_id in health_checks.items():
        topic.alarm(
            f"health_of_{region}_for_hours",
            description=f"{region} has been unhealthy for {KEY_ALARM_HOURS} hours. If its replica "
            f"cannot use its KMS key, it {loss}: check "
            "that the key is enabled, is not scheduled for deletion, and has its policy.",
            namespace="AWS/Route53",
            metric="HealthCheckStatus",
            dimensions={"HealthCheckId": health_check_id},
            statistic="Maximum",
            threshold=1,
            comparison="LessThanThreshold",
            period_seconds=3600,
            evaluated_periods=KEY_ALARM_HOURS,
            breaching_periods=KEY_ALARM_HOURS,
        )


def add_serving_alarm(
    topic: AlarmTopic,
    *,
    region: str,
    role: str,
    functions: Mapping[str, Mapping[str, str]],
    runbook: str = "",
) -> None:
    """Add the alarm on a failover: another Region than the primary served in three of ten minutes.

    It needs nothing but that Region: the alarms on health checks are silent when us-east-1 is lost.
    API Gateway's own count would include Route 53's checkers, and requests that it rejects before a
    function runs.

    Args:
        topic: A topic in the Region.
        region: The Region, for the text.
        role: Its role, such as `secondary`: in the text, and in the alarm's name.
        functions: `{operation: dimensions of its metrics}` of what only customers can call. An
            alarm takes `MAX_SUMMED_METRICS` of them: for more there are more alarms.
        runbook: What to do: the end of the text.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    watched = list(functions.items())
    for number, first in enumerate(range(0, len(watched), MAX_SUMMED_METRICS), start=1):
        topic.alarm_on_sum(
            f"{role}_serves" if number == 1 else f"{role}_serves_{number}",
            description=_text(
                f"{region}, the {role} Region, serves customers: Route 53 has failed over, the "
                "others are evacuated, or somebody calls the Region directly.",
                runbook,
            ),
            namespace="AWS/Lambda",
            metric="Invocations",
            dimensions=dict(watched[first : first + MAX_SUMMED_METRICS]),
            threshold=0,
            evaluated_periods=SECONDARY_EVALUATED_PERIODS,
        )


def _text(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
