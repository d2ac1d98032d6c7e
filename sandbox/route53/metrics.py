"""The metric that Route 53 publishes of each health check, once a minute, in us-east-1 only.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

REGION = "us-east-1"
NAMESPACE = "AWS/Route53"
PERIOD_SECONDS = 60.0

log = logging.getLogger("sandbox.route53")


def metric_data(healthy: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Give the metric data of the present states.

    Args:
        healthy: `{id of the health check: whether it is healthy}`.

    Returns:
        `HealthCheckStatus` of each check, 1 for healthy and 0 for unhealthy.
    """
    return [
        {
            "MetricName": "HealthCheckStatus",
            "Dimensions": [{"Name": "HealthCheckId", "Value": check}],
            "Value": float(is_healthy),
        }
        for check, is_healthy in healthy.items()
    ]


async def publish_forever(
    put: Callable[[list[dict[str, Any]]], None],
    healthy: Callable[[], Mapping[str, bool]],
    *,
    period_seconds: Callable[[], float],
) -> None:
    """Publish until cancelled; log each reason for a failure once.

    Args:
        put: Sends metric data to CloudWatch; run in a thread.
        healthy: Gives `{id of the health check: whether it is healthy}`.
        period_seconds: Gives the real time between two publications.
    """
    reported = ""
    while True:
        data = metric_data(healthy())
        if data:
            try:
                await asyncio.to_thread(put, data)
                reported = ""
            except Exception as error:
                # Health checks and DNS continue: they depend on no metric.
                text = f"{type(error).__name__}: {error}"
                if text != reported:
                    log.warning("metrics are not published: %s", text)
                reported = text
        await asyncio.sleep(period_seconds())
