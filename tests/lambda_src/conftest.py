"""Surroundings of the tests of the Lambda code: a Region, a table that moto keeps, no network.

Whatever an operation answers in any test is held against the OpenAPI document.
"""

import importlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple

import boto3
import pytest
from moto import mock_aws
from openapi_schema_validator import OAS30Validator
from repository_files import REPOSITORY
from table import TABLE

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "TABLE_NAME": "weather",
    "API_URL": "https://weather.example.com/v1",
}


@contextmanager
def like_lambda() -> Iterator[None]:
    """Set the environment variables that a function finds, and no others of AWS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


with like_lambda():
    # Some read the variables when they are imported, and tests import them at their top. Not
    # before moto, which hooks into clients made after its own import.
    for operation in sorted((REPOSITORY / "lambda_src").glob("*.py")):
        importlib.import_module(operation.stem)

# In ECMA-262, of which patterns are, `$` is the very end; in Python a line break may follow.
OPENAPI = json.loads(
    re.sub(
        r'("pattern": ".*)\$"',
        r'\1\\\\Z"',
        (REPOSITORY / "lambda_src/weather/openapi.json").read_text("utf-8"),
    )
)
OPERATIONS = {
    operation["operationId"]: operation
    for path in OPENAPI["paths"].values()
    for operation in path.values()
}
REQUEST_ID = "3f1c2f6e-0b6f-4c2a-9d0e-0123456789ab"


class Answer(NamedTuple):
    """What a customer sees."""

    status: int
    headers: dict[str, str]
    document: Any


Call = Callable[..., Answer]


def call_operation(
    operation: ModuleType,
    *,
    path: dict[str, str] | None = None,
    query: dict[str, str | list[str]] | None = None,
    body: object = None,
    headers: dict[str, str] | None = None,
    event: dict[str, Any] | None = None,
) -> Answer:
    """Call an operation's handler with the event that API Gateway would send.

    A body that is not text is written as JSON; `event` overrides keys of the event.
    """
    values = {k: [v] if isinstance(v, str) else v for k, v in (query or {}).items()}
    text = body if isinstance(body, str | None) else json.dumps(body)
    result = operation.handler(
        {
            "resource": "/",
            "headers": {"content-type": "application/json", **(headers or {})},
            "pathParameters": path,
            "queryStringParameters": {k: v[-1] for k, v in values.items() if v} or None,
            "multiValueQueryStringParameters": values or None,
            "requestContext": {"requestId": REQUEST_ID},
            "body": text,
            "isBase64Encoded": False,
            **(event or {}),
        },
        None,
    )
    assert set(result) == {"statusCode", "headers", "body", "isBase64Encoded"}
    document = json.loads(result["body"], parse_float=Decimal) if result["body"] else None
    answer = Answer(result["statusCode"], result["headers"], document)
    assert_documented(operation.__name__, answer)
    return answer


def assert_documented(operation: str, answer: Answer) -> None:
    """Hold an answer against the OpenAPI document: its status, its headers and its body."""
    responses = OPERATIONS[operation]["responses"]
    assert str(answer.status) in responses, f"{operation}: {answer.status} is not documented"
    response = referred(responses[str(answer.status)])
    assert answer.headers.keys() - {"Content-Type", "Cache-Control"} <= response["headers"].keys()
    assert {
        name for name, header in response["headers"].items() if referred(header).get("required")
    } <= answer.headers.keys()
    content = response.get("content", {})
    if answer.document is None:
        assert not content
    else:
        schema = content[answer.headers["Content-Type"]]["schema"]
        assert not list(misfits_of(answer.document, schema)), (operation, answer)


def misfits_of(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Whatever of a value does not fit a schema of the document."""
    validator = OAS30Validator({"allOf": [schema], "components": OPENAPI["components"]})
    return (error.message for error in validator.iter_errors(value))


def referred(part: dict[str, Any]) -> dict[str, Any]:
    """The component that a part of the document refers to, or the part itself."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    return OPENAPI["components"][kind][name]


@pytest.fixture(scope="session")
def call() -> Call:
    """Calls an operation; see `call_operation`."""
    return call_operation


@pytest.fixture(scope="session")
def fits_parameter() -> Callable[[object, str], bool]:
    """Whether a value fits what the OpenAPI document says of a parameter."""
    parameters = OPENAPI["components"]["parameters"]
    return lambda value, name: not list(misfits_of(value, parameters[name]["schema"]))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to reach the network fail the test."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"the tests must not reach the network: {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module", autouse=True)
def function_environment() -> Iterator[None]:
    """The environment variables of a function, for the tests of this folder alone."""
    with like_lambda():
        yield


@pytest.fixture(scope="module")
def dynamodb_table(function_environment: None) -> Iterator[Any]:
    """The table, made once, as moto keeps it."""
    with mock_aws():
        dynamodb = boto3.resource("dynamodb", region_name="eu-central-1")
        yield dynamodb.create_table(TableName="weather", **TABLE)


@pytest.fixture
def table(dynamodb_table: Any) -> Any:
    """The table, empty."""
    for item in dynamodb_table.scan()["Items"]:
        dynamodb_table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    return dynamodb_table
