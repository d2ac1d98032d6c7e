"""Surroundings of the tests of the Lambda code: a Region, a table that moto keeps, no network."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple

import pytest

os.environ.pop("AWS_ENDPOINT_URL", None)
os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
os.environ.pop("AWS_PROFILE", None)
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_SESSION_TOKEN="testing",
    AWS_DEFAULT_REGION="eu-central-1",
    AWS_REGION="eu-central-1",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    TABLE_NAME="weather",
)

# moto hooks into clients made after its import, and the repository makes one when it is imported.
import boto3
from moto import mock_aws

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
    return Answer(result["statusCode"], result["headers"], document)


@pytest.fixture(scope="session")
def call() -> Call:
    """Calls an operation; see `call_operation`."""
    return call_operation


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to reach the network fail the test."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"the tests must not reach the network: {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def dynamodb_table() -> Iterator[Any]:
    """The table, made once, as moto keeps it."""
    with mock_aws():
        dynamodb = boto3.resource("dynamodb", region_name="eu-central-1")
        yield dynamodb.create_table(
            TableName="weather",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )


@pytest.fixture
def table(dynamodb_table: Any) -> Any:
    """The table, empty."""
    for item in dynamodb_table.scan()["Items"]:
        dynamodb_table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    return dynamodb_table
