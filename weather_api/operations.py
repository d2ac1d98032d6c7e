"""The operations of the weather API, as the infrastructure needs to know them.

Each operation is a module of `lambda_src/` with the same name. Request models come from the schemas
that the functions validate with. `weather_api/openapi.py` makes the OpenAPI document of it all.
"""

import json
from pathlib import Path
from typing import Any

from constructs_lib import Authorization, Operation

FUNCTIONS = Path(__file__).parent.parent / "lambda_src"
HEALTH_OPERATION = "get_health"
EVACUATION_OPERATION = "get_evacuation"
EVACUATION_ITEM = {"pk": "control", "sk": "evacuation-{region}"}
"""Primary key of the item that evacuates a Region while it exists and has not expired."""

SERVING_ITEM = {"pk": "control", "sk": "serving-{region}"}
"""Primary key of the mark that a Region serves, with manual failback."""
FAILBACK_ACTIONS = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""IAM actions that the function behind `EVACUATION_OPERATION` needs for manual failback."""


def _request_model(name: str) -> dict[str, Any]:
    """The shape of a body: which members it has, and that it has no others.

    API Gateway names a member that is missing or unknown, but not one whose value is wrong. Values
    are therefore left to the function, whose answer names every field.
    """
    path = FUNCTIONS / "weather" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema | {"properties": {member: {} for member in schema["properties"]}}


# Open to everybody, so with limits far above the 50 requests a second that checkers need: whoever
# exhausts the limit makes the checkers get 429, and the Region count as lost. And far below the
# account's quota, which all its APIs share: in some Regions, 2500 a second and bursts of 1250.
# More memory is more CPU for a first call.
_FOR_HEALTH_CHECKERS: dict[str, Any] = {
    "rate_per_second": 300.0,
    "burst": 300,
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
        name=EVACUATION_OPERATION,
        method="GET",
        path="/health/evacuations/{region}",
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
