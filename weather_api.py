"""The weather API as a stack: its operations, as the infrastructure needs to know them.

Each operation is a module of `lambda_src/` with the same name. Request models come from the schemas
that the functions validate with. `weather_openapi.py` makes the OpenAPI document of all of this.
"""

import json
from pathlib import Path
from typing import Any

from constructs import Construct

from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.cloudwatch import FailureMetric
from constructs_lib.dynamodb import Key
from constructs_lib.settings import Settings
from constructs_lib.stack import FailoverApiStack, Switch

FUNCTIONS = Path(__file__).parent / "lambda_src"
HEALTH_OPERATION = "get_health"
SWITCH_OPERATION = "get_switch"
SWITCH_ITEM = {"pk": "control", "sk": "switch"}
"""Primary key of the item that engages the failover switch while it stands."""


def _request_model(name: str) -> dict[str, Any]:
    """The shape of a body: which members it has, and that it has no others.

    API Gateway names a member that is missing or unknown, but not one whose value is wrong. Values
    are therefore left to the function, whose answer names every field.
    """
    path = FUNCTIONS / "weather" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema | {"properties": {member: {} for member in schema["properties"]}}


# Open to everybody, so with limits far above what checkers need: whoever exhausts the limit makes
# the checkers get 429, and the Region count as lost. More memory is more CPU for a first call.
_FOR_HEALTH_CHECKERS: dict[str, Any] = {
    "rate_per_second": 2000.0,
    "burst": 2000,
    "timeout_seconds": 3,
    "memory_megabytes": 512,
}
_PAGE = {"limit": False, "cursor": False}

OPERATIONS = (
    Operation(
        name=HEALTH_OPERATION,
        method="GET",
        path="/health",
        authorization=Authorization.NONE,
        access=("dynamodb:GetItem",),
        **_FOR_HEALTH_CHECKERS,
    ),
    Operation(
        name=SWITCH_OPERATION,
        method="GET",
        path="/health/switch",
        authorization=Authorization.NONE,
        access=("dynamodb:GetItem",),
        **_FOR_HEALTH_CHECKERS,
    ),
    Operation(
        name="get_openapi",
        method="GET",
        path="/openapi.json",
        # It holds no secret, and generators of clients fetch it without a key. Low limits of its
        # own, so that strangers cannot wear it out.
        authorization=Authorization.NONE,
        rate_per_second=10.0,
        burst=20,
    ),
    Operation(
        name="list_locations",
        method="GET",
        path="/locations",
        authorization=Authorization.API_KEY,
        access=("dynamodb:Query",),
        query_parameters=_PAGE,
    ),
    Operation(
        name="put_location",
        method="PUT",
        path="/locations/{location}",
        authorization=Authorization.IAM,
        access=("dynamodb:PutItem",),
        request_model=_request_model("location"),
    ),
    Operation(
        name="get_weather",
        method="GET",
        path="/weather/{location}",
        authorization=Authorization.API_KEY,
        access=("dynamodb:GetItem", "dynamodb:Query"),
    ),
    Operation(
        name="list_observations",
        method="GET",
        path="/weather/{location}/observations",
        authorization=Authorization.API_KEY,
        access=("dynamodb:GetItem", "dynamodb:Query"),
        query_parameters={"from": False, "to": False} | _PAGE,
    ),
    Operation(
        name="put_observation",
        method="PUT",
        path="/weather/{location}/observations/{observed_at}",
        authorization=Authorization.IAM,
        access=("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"),
        request_model=_request_model("observation"),
    ),
    Operation(
        name="delete_observation",
        method="DELETE",
        path="/weather/{location}/observations/{observed_at}",
        authorization=Authorization.IAM,
        access=("dynamodb:GetItem", "dynamodb:Query", "dynamodb:DeleteItem"),
    ),
)


FAILURES = {
    "Faults": "It answered 500: a defect, or a permission that it lacks. Its log says which.",
    "TableUnavailable": "It answered 503, as the table did not answer: see DynamoDB's health in "
    "this Region. If the other Region is well, engage the switch.",
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
        switch=Switch(SWITCH_OPERATION, SWITCH_ITEM),
        functions=FUNCTIONS,
        partition_key=Key("pk"),
        sort_key=Key("sk"),
        failure_metrics=failure_metrics(),
    )
