"""The weather API: its operations, as the infrastructure needs to know them.

Each operation is a module of `lambda_src/` with the same name. Request models are read from the
schemas that the functions validate with, so that both refuse the same bodies.
"""

import json
from pathlib import Path
from typing import Any

from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.dynamodb import Key

FUNCTIONS = Path(__file__).parent / "lambda_src"
PARTITION_KEY = Key("pk")
SORT_KEY = Key("sk")
HEALTH_OPERATION = "get_health"


def _schema(name: str) -> Any:
    return json.loads((FUNCTIONS / "weather" / f"{name}.schema.json").read_text(encoding="utf-8"))


_PAGE = {"limit": False, "cursor": False}

OPERATIONS = (
    Operation(
        name=HEALTH_OPERATION,
        method="GET",
        path="/health",
        authorization=Authorization.NONE,
        access=("dynamodb:GetItem",),
        timeout_seconds=3,
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
        request_model=_schema("location"),
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
        request_model=_schema("observation"),
    ),
    Operation(
        name="delete_observation",
        method="DELETE",
        path="/weather/{location}/observations/{observed_at}",
        authorization=Authorization.IAM,
        access=("dynamodb:GetItem", "dynamodb:Query", "dynamodb:DeleteItem"),
    ),
)
