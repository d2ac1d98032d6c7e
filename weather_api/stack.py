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
FENCE_FAILURES = {
    "FenceUnknown": "It accepted writes without knowing whether this Region is evacuated, as it "
    "cannot read the item that says so: see its log, and DynamoDB's health in this Region. If the "
    "Region is evacuated, others may lack these writes: keep publishers away from it.",
    "WritesRefused": "It refused writes, as this Region is evacuated.",
}
"""The same with fenced writes, of functions that write. To refuse is no failure, and no alarm."""


def failure_metrics(settings: Settings) -> tuple[FailureMetric, ...]:
    """What the functions count, under the names that they publish it with.

    Args:
        settings: The environment.
    """
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
                if (operation.access or name != "TableUnavailable")
                and (operation.is_write or name not in FENCE_FAILURES)
            ),
            has_alarm=name != "WritesRefused",
        )
        for name, meaning in (FAILURES | (FENCE_FAILURES if settings.fence_writes else {})).items()
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
        failure_metrics=failure_metrics(settings),
        hints=Hints(
            runbook="See docs/how-to/failover-and-failback.md.",
            changes="See docs/reference/changes.md.",
            key_values="Make them with: python -m ops customers issue --environment "
            f"{settings.name}; then "
            f'eval "$(python -m ops customers env --environment {settings.name})".',
        ),
    )
