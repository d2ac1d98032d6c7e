"""Alarms of one Region: its API, its functions, its table, and replication to the other Regions."""

import re
from collections.abc import Mapping, Sequence

from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.cloudwatch.failure_metric import FailureMetric

ERROR_SHARE = 0.05
"""Share of requests that API Gateway answers 5xx."""

LATENCY_MILLISECONDS = 3000
"""What one request of a hundred may take."""

REPLICATION_MILLISECONDS = 30_000
"""Average age of writes when they reach another Region: what a failover would lose."""


def add_regional_alarms(
    topic: AlarmTopic,
    *,
    region: str,
    api_name: str,
    stage_name: str,
    functions: Mapping[str, str],
    table_name: str,
    other_regions: Sequence[str],
    failure_metrics: Sequence[FailureMetric] = (),
) -> None:
    """Adds the alarms on what customers of a Region notice, and on what would cause it.

    Args:
        topic: A topic in the Region.
        region: The Region, for the texts.
        api_name: Name of the REST API.
        stage_name: Name of its stage.
        functions: `{operation: name of the function}`.
        table_name: Name of the table.
        other_regions: Regions that the table's writes are replicated to.
        failure_metrics: What functions count of their own failures.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    """
    api = {"ApiName": api_name, "Stage": stage_name}
    topic.alarm(
        "server_errors",
        description=f"More than {ERROR_SHARE:.0%} of the requests in {region} are answered "
        "5xx. See the dashboard; if the other Region is well, engage the switch.",
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
    for operation, function_name in functions.items():
        for metric in ("Errors", "Throttles"):
            topic.alarm(
                f"{operation}_{metric.lower()}",
                description=f"{metric} of the function {operation} in {region}. "
                + (
                    "It ended with an exception, or ran out of time."
                    if metric == "Errors"
                    else "The account's concurrency is used up, or what is reserved for it."
                ),
                namespace="AWS/Lambda",
                metric=metric,
                dimensions={"FunctionName": function_name},
                statistic="Sum",
                threshold=0,
            )
        for failure in failure_metrics:
            if operation not in failure.operations:
                continue
            topic.alarm(
                f"{operation}_{_snake_case(failure.name)}",
                description=f"{failure.name} of the function {operation} in {region}. "
                f"{failure.meaning}",
                namespace=failure.namespace,
                metric=failure.name,
                dimensions={failure.dimension: function_name},
                statistic="Sum",
                threshold=0,
            )
    for kind in ("Read", "Write"):
        topic.alarm(
            f"table_{kind.lower()}_throttles",
            description=f"DynamoDB throttles {kind.lower()}s of the table in {region}.",
            namespace="AWS/DynamoDB",
            metric=f"{kind}ThrottleEvents",
            dimensions={"TableName": table_name},
            statistic="Sum",
            threshold=0,
        )
    for other in other_regions:
        topic.alarm(
            f"replication_to_{other}",
            description=f"Writes of {region} take more than {REPLICATION_MILLISECONDS / 1000:g}"
            f" s to reach {other}: a failover would lose them for so long.",
            namespace="AWS/DynamoDB",
            metric="ReplicationLatency",
            dimensions={"TableName": table_name, "ReceivingRegion": other},
            statistic="Average",
            threshold=REPLICATION_MILLISECONDS,
        )


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
