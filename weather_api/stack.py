"""The weather API as a stack."""

import json

from constructs import Construct

from constructs_lib import (
    Evacuation,
    FailoverApiStack,
    FailureMetric,
    Hints,
    Key,
    Latch,
    Settings,
)
from weather_api.operations import (
    EVACUATION_ITEM,
    EVACUATION_OPERATION,
    FAILBACK_ACTIONS,
    FUNCTIONS,
    HEALTH_OPERATION,
    OPERATIONS,
    SERVING_ITEM,
)

FAILURES = {
    "Faults": "It returned 500: a defect, or a missing permission. Its log says which.",
    "TableUnavailable": "It returned 503, as the table did not respond: check DynamoDB's health in "
    "this Region. If another Region is healthy, evacuate this one.",
}
"""What the functions count of their own failures, and what each means to whoever is on call."""


def failure_metrics() -> tuple[FailureMetric, ...]:
    """The metrics of `FAILURES`, under the names that the functions publish them with."""
    published = json.loads((FUNCTIONS / "weather" / "metrics.json").read_text(encoding="utf-8"))
    return tuple(
        FailureMetric(
            namespace=published["namespace"],
            name=name,
            dimension=published["dimension"],
            meaning=meaning,
            operations=frozenset(
                operation.name
                for operation in OPERATIONS
                # Without the table, none is unavailable.
                if operation.access or name != "TableUnavailable"
            ),
        )
        for name, meaning in FAILURES.items()
    )


def build_stack(scope: Construct, settings: Settings) -> FailoverApiStack:
    """The weather API in one environment.

    Args:
        scope: The app.
        settings: The environment.

    Returns:
        The stack.
    """
    return FailoverApiStack(
        scope,
        settings=settings,
        operations=OPERATIONS,
        health_operation=HEALTH_OPERATION,
        evacuation=Evacuation(
            EVACUATION_OPERATION,
            EVACUATION_ITEM,
            Latch(FAILBACK_ACTIONS, SERVING_ITEM),
            fences=True,
        ),
        functions=FUNCTIONS,
        partition_key=Key("pk"),
        sort_key=Key("sk"),
        failure_metrics=failure_metrics(),
        hints=Hints(
            runbook="See docs/how-to/failover-and-failback.md.",
            changes="See docs/reference/changes.md.",
            key_values="Make them with: python -m ops customers issue --environment "
            f"{settings.name}; then "
            f'eval "$(python -m ops customers env --environment {settings.name})".',
        ),
    )
