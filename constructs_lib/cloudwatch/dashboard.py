"""One dashboard of a stack: all Regions side by side, so that a failover can be watched.

Dashboards are global; each metric names the Region it is from.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from constructs_lib.cloudwatch.alarms import HEALTH_METRICS_REGION
from constructs_lib.cloudwatch.watched import WatchedRegion

_WIDTH = 24
_HEIGHT = 6
_PERIOD_SECONDS = 60


class Dashboard(Construct):
    """A column for each Region, and the health checks above all."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        regions: Sequence[WatchedRegion],
        health_checks: Mapping[str, str],
    ) -> None:
        """Create the dashboard.

        Args:
            scope: The construct that owns it.
            id: Unique within `scope`.
            provider: Provider of the dashboard, which is a global resource.
            name: Name of the dashboard, unique in the account.
            regions: The Regions, in order.
            health_checks: `{what it is called: id}` of the health checks.
        """
        super().__init__(scope, id)
        widgets = [
            _widget(
                "Health checks: 1 is healthy",
                HEALTH_METRICS_REGION,
                [
                    (["AWS/Route53", "HealthCheckStatus", "HealthCheckId", check], "Minimum", label)
                    for label, check in health_checks.items()
                ],
                x=0,
                y=0,
                width=_WIDTH,
            )
        ]
        width = _WIDTH // len(regions)
        for column, watched in enumerate(regions):
            widgets += [
                _widget(
                    f"{watched.title}: {title}",
                    watched.region,
                    metrics,
                    x=column * width,
                    y=(row + 1) * _HEIGHT,
                    width=width,
                )
                for row, (title, metrics) in enumerate(
                    _rows(watched, [r.region for r in regions if r is not watched])
                )
            ]
        self.dashboard = CloudwatchDashboard(
            self,
            "dashboard",
            provider=provider,
            dashboard_name=name,
            dashboard_body=json.dumps({"widgets": widgets}),
        )


Metric = tuple[list[str], str, str]
"""Namespace, name and dimensions; statistic; label."""


def _rows(watched: WatchedRegion, others: Sequence[str]) -> list[tuple[str, list[Metric]]]:
    """What is shown of a Region, from what customers notice down to its causes."""
    api = ["ApiName", watched.api_name, "Stage", watched.stage_name]
    table = ["TableName", watched.table_name]

    def of_functions(metric: str) -> list[Metric]:
        return [
            (
                ["AWS/Lambda", metric, *chain.from_iterable(watched.serving(operation).items())],
                "Sum",
                f"{operation} {metric}",
            )
            for operation in watched.functions
        ]

    return [
        (
            "requests and errors",
            [
                (["AWS/ApiGateway", "Count", *api], "Sum", "requests"),
                (["AWS/ApiGateway", "5XXError", *api], "Sum", "5xx responses"),
                (["AWS/ApiGateway", "4XXError", *api], "Sum", "4xx responses"),
            ],
        ),
        (
            "latency, ms",
            [
                (["AWS/ApiGateway", "Latency", *api], statistic, statistic)
                for statistic in ("p50", "p99")
            ],
        ),
        ("functions: errors", of_functions("Errors")),
        ("functions: throttles", of_functions("Throttles")),
        *(
            (
                f"functions: {failure.name}",
                [
                    (
                        [failure.namespace, failure.name, failure.dimension, function_name],
                        "Sum",
                        operation,
                    )
                    for operation, function_name in watched.functions.items()
                    if operation in failure.operations
                ],
            )
            for failure in watched.failure_metrics
        ),
        (
            "table",
            [
                (["AWS/DynamoDB", f"{kind}ThrottleEvents", *table], "Sum", f"{kind} throttles")
                for kind in ("Read", "Write")
            ]
            + [
                (
                    ["AWS/DynamoDB", "ReplicationLatency", *table, "ReceivingRegion", other],
                    "Average",
                    f"replication to {other}, ms",
                )
                for other in (others if watched.publishes_replication_latency else ())
            ],
        ),
    ]


def _widget(
    title: str, region: str, metrics: Sequence[Metric], *, x: int, y: int, width: int
) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": width,
        "height": _HEIGHT,
        "properties": {
            "title": title,
            "region": region,
            "view": "timeSeries",
            "period": _PERIOD_SECONDS,
            "metrics": [
                [*metric, {"stat": statistic, "label": label}]
                for metric, statistic, label in metrics
            ],
            "yAxis": {"left": {"min": 0}},
        },
    }
