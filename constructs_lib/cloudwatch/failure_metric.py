"""What functions count of their own failures: Lambda counts only those that end a function.

A function that answers 500 or 503 has ended well for Lambda, whose metric `Errors` stays 0.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FailureMetric:
    """A count that functions publish, each with its own name as the only dimension.

    Attributes:
        namespace: Namespace of the metric.
        name: Name of the metric.
        dimension: Name of the dimension that holds the function's name.
        meaning: What it counts, and where to look: part of the text of the mail.
        operations: Names of the operations whose functions can publish it.
    """

    namespace: str
    name: str
    dimension: str
    meaning: str
    operations: frozenset[str]
