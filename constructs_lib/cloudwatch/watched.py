"""What alarms and the dashboard show of a Region.

Functions publish their own failures: one that returns 500 or 503 has succeeded for Lambda, whose
metric `Errors` stays 0.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class FailureMetric:
    """A count of failures that functions publish, with the function's name as only dimension.

    Attributes:
        namespace: Namespace of the metric.
        name: Name of the metric.
        dimension: Name of the dimension that holds the function's name.
        meaning: What it counts, and where to look: part of the text of the mail.
        operations: Names of the operations whose functions can publish it.
        has_alarm: Whether there is an alarm on it; if not, the dashboard alone shows it.
    """

    namespace: str
    name: str
    dimension: str
    meaning: str
    operations: frozenset[str]
    has_alarm: bool = True


@dataclass(frozen=True, kw_only=True)
class WatchedRegion:
    """What is shown of one Region.

    Attributes:
        region: The Region.
        title: What its column is called.
        api_name: Name of the REST API.
        stage_name: Name of its stage.
        functions: `{operation: name of the function}`.
        alias: Name of the functions' alias that serves requests.
        table_name: Name of the table.
        failure_metrics: What functions count of their own failures.
        publishes_replication_latency: Whether DynamoDB measures how long writes take to reach other
            Regions; a strongly consistent table has no such metric.
        certificates: `{what its alarm is called: (domain name, ARN of its certificate)}`.
    """

    region: str
    title: str
    api_name: str
    stage_name: str
    functions: Mapping[str, str]
    alias: str
    table_name: str
    failure_metrics: Sequence[FailureMetric] = ()
    publishes_replication_latency: bool = True
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def serving(self, operation: str) -> dict[str, str]:
        """Dimensions of Lambda's metrics of what serves an operation: `{name: value}`.

        They leave out what somebody invokes by hand, such as a version that does not serve.

        Args:
            operation: Name of the operation.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        function = self.functions[operation]
        return {"FunctionName": function, "Resource": f"{function}:{self.alias}"}
