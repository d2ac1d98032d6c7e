"""Rules of the way from an event to an answer."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from weather import errors, http
from weather.errors import Fault

pytestmark = pytest.mark.unit

SECRET = "customer-secret"


def answer(operation, event: dict[str, Any] | None = None) -> dict[str, Any]:
    """Turn a function into a handler and call it."""
    handler = http.lambda_handler(operation)
    return handler({"requestContext": {"requestId": "r-1"}, **(event or {})}, None)


def raising(error: Exception):
    """An operation that fails."""

    def operation(request: http.Request) -> http.Response:
        raise error

    return operation


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest(Fault("limit", "is wrong")), 400),
        (errors.NotFound("gone"), 404),
        (errors.Conflict("taken"), 409),
        (errors.UnsupportedMediaType("not JSON"), 415),
        (errors.Unavailable("ThrottlingException"), 503),
        (KeyError(SECRET), 500),
    ],
)
def test_every_error_is_a_problem_document_that_names_its_region(error, status: int) -> None:
    # GIVEN an operation that fails
    # WHEN it is called
    result = answer(raising(error))
    # THEN the answer is an RFC 9457 document with the headers every answer has
    document = json.loads(result["body"])
    assert result["statusCode"] == document["status"] == status
    assert result["headers"]["Content-Type"] == "application/problem+json"
    assert result["headers"]["X-Served-By-Region"] == "eu-central-1"
    assert document["type"].startswith("urn:weather:problem:")
    assert document["instance"] == "urn:request:r-1"
    assert document["title"]
    assert document["detail"]


def test_every_error_of_the_family_has_a_status() -> None:
    # GIVEN the family
    # WHEN it is compared with the table of statuses
    # THEN none is missing
    assert set(errors.WeatherError.__subclasses__()) == set(http._PROBLEMS)


def test_all_faults_reach_the_customer() -> None:
    # GIVEN a request with two faults
    error = errors.InvalidRequest(Fault("from", "is wrong"), Fault("to", "is missing"))
    # WHEN it is refused
    document = json.loads(answer(raising(error))["body"])
    # THEN both are in the document
    assert document["errors"] == [
        {"field": "from", "detail": "is wrong"},
        {"field": "to", "detail": "is missing"},
    ]


def test_unavailable_says_when_to_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN a replica out of reach
    # WHEN an operation says so
    result = answer(raising(errors.Unavailable("ThrottlingException", retry_after_seconds=7)))
    # THEN the customer learns when to repeat, the log why
    assert result["headers"]["Retry-After"] == "7"
    assert "Throttling" not in result["body"]
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["notes"] == ["ThrottlingException"]


def test_a_bug_leaks_nothing_and_leaves_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN a bug whose message quotes the payload
    event = {"headers": {"x-api-key": SECRET}, "body": SECRET}
    # WHEN it strikes
    result = answer(raising(ValueError(f"{SECRET}\n{SECRET}")), event)
    # THEN the answer gives the id to quote, and the log has what is needed under that id
    assert result["statusCode"] == 500
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["request_id"], logged["error"]) == ("r-1", "ValueError")
    assert logged["stack"][-1].startswith("test_http.py:")
    for text in (result["body"], line):
        assert SECRET not in text
    assert "ValueError" not in result["body"]


def test_an_answer_that_cannot_be_written_is_a_bug_like_any_other() -> None:
    # GIVEN an operation whose document has no JSON
    # WHEN it is called
    result = answer(lambda request: http.Response(200, {"x": object()}))
    # THEN the customer is answered all the same
    assert result["statusCode"] == 500


def test_headers_are_found_in_any_case() -> None:
    # GIVEN a header as one client writes it
    request = http.Request.from_event({"headers": {"cONTENT-tYPE": "text/plain"}})
    # WHEN it is looked up as another would
    # THEN it is found
    assert request.header("Content-Type") == "text/plain"
    assert request.header("Accept") is None


@pytest.mark.parametrize("value", ["application/json", "Application/JSON; charset=utf-8", None, ""])
def test_json_is_taken(value: str | None) -> None:
    # GIVEN a body announced as JSON, or not announced
    headers = {} if value is None else {"Content-Type": value}
    request = http.Request.from_event({"headers": headers, "body": "{}"})
    # WHEN it is taken
    # THEN it is the body
    assert request.json_body() == b"{}"


@pytest.mark.parametrize("value", ["text/plain", "application/x-www-form-urlencoded", "json"])
def test_other_media_types_are_rejected(value: str) -> None:
    # GIVEN a body announced as something else, which API Gateway does not check
    request = http.Request.from_event({"headers": {"content-type": value}, "body": "{}"})
    # WHEN it is taken
    # THEN it is refused
    with pytest.raises(errors.UnsupportedMediaType):
        request.json_body()


def test_base64_bodies_are_decoded() -> None:
    # GIVEN a body as API Gateway hands binary media types over
    body = base64.b64encode("é".encode()).decode()
    # WHEN it is read
    # THEN it is the bytes that were sent
    assert http.Request.from_event({"body": body, "isBase64Encoded": True}).body == "é".encode()


def test_broken_base64_is_the_callers_fault() -> None:
    # GIVEN a body that is marked as base64 and is not
    # WHEN it is read
    result = answer(lambda request: http.Response(200), {"body": "{}", "isBase64Encoded": True})
    # THEN the body is named
    assert json.loads(result["body"])["errors"][0]["field"] == "body"


def test_path_parameters_are_decoded_once() -> None:
    # GIVEN a parameter encoded once, and one encoded twice
    path = {"observed_at": "2026-01-31T06%3A00%3A00Z", "location": "a%252Db"}
    # WHEN they are read
    request = http.Request.from_event({"pathParameters": path})
    # THEN one layer is gone
    assert request.path_parameters == {"observed_at": "2026-01-31T06:00:00Z", "location": "a%2Db"}


def test_events_without_anything_are_empty_requests() -> None:
    # GIVEN the nulls that API Gateway sends for what is not there
    names = ("headers", "pathParameters", "queryStringParameters", "body")
    # WHEN they are read
    # THEN nothing fails
    event = dict.fromkeys((*names, "multiValueQueryStringParameters"))
    assert http.Request.from_event(event) == http.Request()


def test_single_query_parameters_are_enough() -> None:
    # GIVEN an event without the map of many values
    event = {"queryStringParameters": {"limit": "5"}}
    # WHEN it is read
    # THEN the values are there
    assert http.Request.from_event(event).query_parameters == {"limit": ["5"]}


def test_no_document_is_no_body() -> None:
    # GIVEN an answer without document
    # WHEN it is written
    # THEN its body is empty
    result = answer(lambda request: http.Response(204), {"context": SimpleNamespace()})
    assert (result["statusCode"], result["body"]) == (204, "")
