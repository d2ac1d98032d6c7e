"""The Region's replica of the table: how it is reached, and what its failures mean.

The only module that knows AWS. What health checkers ask of the replica is here, apart from the
records: their functions start sooner with one client instead of two.

Reads the environment variables `TABLE_NAME` and `AWS_REGION` when it is imported.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from weather.errors import Unavailable
from weather.model import REGION, Key, evacuation_key

TABLE_NAME: Final = os.environ["TABLE_NAME"]

UNAVAILABLE_CODES: Final = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "LimitExceededException",
        "MissingAuthenticationTokenException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceNotFoundException",
        "ThrottlingException",
        "UnrecognizedClientException",
    }
)
"""Refusals that speak of the state of the Region, not of the request.

`ResourceNotFoundException` is among them: the Region has no replica (yet, or any more). So is
`ReplicatedWriteConflictException`, of a strongly consistent table: another Region is writing the
same item, and nothing was written here.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

_UNAVAILABLE_ERRORS: Final = (
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)


class DynamoDbClient(Protocol):
    """The part of the SDK's low-level DynamoDB client that the service uses."""

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """Read one item by its key."""

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Read items of one partition in the order of their sort keys."""

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """Write one item whole."""

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """Remove one item by its key."""


def connect(
    *, connect_timeout_seconds: float, read_timeout_seconds: float, attempts: int
) -> DynamoDbClient:
    """Make a client of the local replica; nothing is sent yet.

    Args:
        connect_timeout_seconds: Longest wait for a connection, each attempt.
        read_timeout_seconds: Longest wait for an answer, each attempt.
        attempts: How often a call is tried in all; 1 for no repetition.

    Returns:
        A client of DynamoDB in the Region of the function, or at `AWS_ENDPOINT_URL` if that is set.
    """
    client: DynamoDbClient = boto3.client(
        "dynamodb",
        region_name=os.environ["AWS_REGION"],
        config=Config(
            connect_timeout=connect_timeout_seconds,
            read_timeout=read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
    return client


@contextmanager
def unavailable_if_aws_is() -> Iterator[None]:
    """Turn what AWS and the network do to us into `Unavailable`; leave our own bugs as they are."""
    try:
        yield
    except _UNAVAILABLE_ERRORS as error:
        raise Unavailable(type(error).__name__) from error
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in UNAVAILABLE_CODES or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise Unavailable(code) from error
        error.add_note(f"AWS error code {code}")
        raise


def read_nothing(health_client: DynamoDbClient) -> None:
    """Read an item that does not exist, to learn whether the local replica answers.

    Args:
        health_client: A client that gives up sooner than the one of the other operations.

    Raises:
        Unavailable: If it does not.
    """
    with unavailable_if_aws_is():
        health_client.get_item(
            TableName=TABLE_NAME,
            Key={"pk": {"S": "health"}, "sk": {"S": "health"}},
            ConsistentRead=True,
        )


def is_evacuated(health_client: DynamoDbClient, region: str) -> bool:
    """Whether the local replica holds an operator's item that evacuates a Region.

    Args:
        health_client: A client that gives up sooner than the one of the other operations.
        region: The Region; a name that none can have is that of no evacuated Region.

    Returns:
        True while the item exists and has not expired, whatever else is in it.

    Raises:
        Unavailable: If the replica does not answer.
    """
    if not REGION.fullmatch(region):
        return False
    item = read(health_client, evacuation_key(region))
    return item is not None and not is_past(item.get("expires_at", ""))


def read(client: DynamoDbClient, key: Key) -> dict[str, str] | None:
    """Read the texts of an item of the local replica, as it is now.

    Args:
        client: A client of the replica.
        key: Primary key of the item.

    Returns:
        `{attribute: text}`; None if there is no such item.

    Raises:
        Unavailable: If the replica does not answer.
    """
    with unavailable_if_aws_is():
        answer = client.get_item(TableName=TABLE_NAME, Key=_attributes(key), ConsistentRead=True)
    if "Item" not in answer:
        return None
    return {name: value.get("S", "") for name, value in answer["Item"].items()}


def write(
    client: DynamoDbClient,
    key: Key,
    texts: dict[str, str],
    *,
    over: tuple[str, str] | None = None,
) -> bool:
    """Write an item that does not exist, or over one that does.

    Args:
        client: A client of the replica.
        key: Primary key of the item.
        texts: Its other attributes.
        over: `(attribute, text)` of the one that it replaces; None if there must be none.

    Returns:
        Whether it was written.

    Raises:
        Unavailable: If the replica does not answer.
    """
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if over is not None:
        name, text = over
        condition = {
            "ConditionExpression": "#name = :text",
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {":text": {"S": text}},
        }
    item = _attributes(key) | {name: {"S": text} for name, text in texts.items()}
    try:
        with unavailable_if_aws_is():
            client.put_item(TableName=TABLE_NAME, Item=item, **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def delete(client: DynamoDbClient, key: Key) -> None:
    """Delete an item, if it exists.

    Args:
        client: A client of the replica.
        key: Primary key of the item.

    Raises:
        Unavailable: If the replica does not answer.
    """
    with unavailable_if_aws_is():
        client.delete_item(TableName=TABLE_NAME, Key=_attributes(key))


def is_past(time: str) -> bool:
    """Whether a time is over; one that is missing or cannot be read never is."""
    try:
        return datetime.fromisoformat(time) <= datetime.now(UTC)
    except (ValueError, TypeError):
        return False


def _attributes(key: Key) -> dict[str, dict[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
