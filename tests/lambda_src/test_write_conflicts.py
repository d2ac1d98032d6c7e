"""Writes that a strongly consistent table refuses while another Region writes the same item.

No DynamoDB that runs here has such a table: responses are those that AWS documents. The client and
its retries are the functions' own.
"""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

import put_location
import put_observation
from weather import replica, repository

pytestmark = pytest.mark.unit

CONFLICT = {"__type": "com.amazonaws.dynamodb.v20120810#ReplicatedWriteConflictException"}
RESPONSES = {"GetItem": {"Item": {"pk": {"S": "x"}}}, "Query": {"Items": []}}
PARIS = {"name": "Paris", "latitude_degrees": 48.8566, "longitude_degrees": 2.3522}


class Table:
    """A table that refuses the first writes, and has every item that is read."""

    def __init__(self) -> None:
        self.conflicts = 0
        self.calls: list[str] = []

    def respond(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """In the place of the network."""
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        self.calls.append(operation)
        status, document = 200, RESPONSES.get(operation, {})
        if operation == "PutItem" and self.conflicts:
            self.conflicts -= 1
            status, document = 400, CONFLICT
        return AWSResponse(request.url, status, {}, Raw(json.dumps(document).encode()))


class Raw(BytesIO):
    """The body of a response."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk


@pytest.fixture
def strong(monkeypatch) -> Table:
    table = Table()
    client: Any = replica.connect(connect_timeout_seconds=1, read_timeout_seconds=1, attempts=2)
    client.meta.events.register("before-send.dynamodb", table.respond)
    monkeypatch.setattr(repository, "client", client)
    return table


def put(call: Any, operation: Any) -> Any:
    if operation is put_location:
        return call(put_location, path={"location": "paris"}, body=PARIS)
    path = {"location": "paris", "observed_at": "2026-01-31T06:00:00Z"}
    return call(put_observation, path=path, body={"temperature_celsius": 20.5})


@pytest.mark.parametrize("operation", [put_location, put_observation])
def test_a_conflict_that_is_over_is_not_seen_by_the_caller(strong, call, operation) -> None:
    # GIVEN another Region that writes the item for a moment
    strong.conflicts = 1
    # WHEN it is written here
    answer = put(call, operation)
    # THEN the client has tried again
    assert answer.status == 201
    assert strong.calls.count("PutItem") == 2


@pytest.mark.parametrize("operation", [put_location, put_observation])
def test_a_conflict_that_stays_is_unavailable_and_may_be_repeated(strong, call, operation) -> None:
    # GIVEN another Region that writes the item all the time
    strong.conflicts = 1_000
    # WHEN it is written here
    answer = put(call, operation)
    # THEN nothing was written, and the caller knows when to repeat the request
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"
    assert strong.calls.count("PutItem") == 2
    # AND may do so
    strong.conflicts = 0
    assert put(call, operation).status == 201


def test_every_read_is_strongly_consistent() -> None:
    """With strong consistency between Regions, that is what makes it include their writes."""
    reads: list[dict[str, Any]] = []

    class Reading:
        def get_item(self, **arguments: Any) -> dict[str, Any]:
            reads.append(arguments)
            return {}

    replica.read_nothing(Reading())
    replica.is_evacuated(Reading(), "us-east-1")

    assert [each["ConsistentRead"] for each in reads] == [True, True]
