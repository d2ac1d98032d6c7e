"""Reads metrics from CloudWatch."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ops.environment import Environment
from ops.errors import OpsError


def metric_data(
    environment: Environment,
    region: str,
    queries: Sequence[Mapping[str, Any]],
    *,
    start: datetime,
    end: datetime,
) -> Iterator[Mapping[str, Any]]:
    """Read metrics.

    Args:
        environment: The environment.
        region: The Region.
        queries: `MetricDataQueries`, at most 500.
        start: From when on.
        end: Until when.

    Yields:
        Parts of `MetricDataResults`: a metric can be in several.

    Raises:
        OpsError: CloudWatch could not read a metric, and has responded all the same.
        BotoCoreError, ClientError: It does not respond.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html
    """
    pages = environment.client("cloudwatch", region).get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=queries, StartTime=start, EndTime=end):
        for result in page["MetricDataResults"]:
            status = result.get("StatusCode", "Complete")
            if status not in ("Complete", "PartialData"):
                raise OpsError(
                    f"CloudWatch in {region} could not read a metric: {status}",
                    next_step="run the command again, and check these credentials if it remains",
                )
            yield result
