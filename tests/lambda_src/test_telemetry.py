"""Rules of what a function tells of itself: one line, valid metrics, nothing of a customer."""

import contextlib
import importlib
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator
from repository_files import REPOSITORY

import get_evacuation
import get_health
from weather import errors, http, repository
from weather.deadline import BoundedCheck
from weather.errors import Fault
from weather.telemetry import Telemetry

pytestmark = pytest.mark.unit

OPERATIONS = {
    path.stem: importlib.import_module(path.stem)
    for path in sorted((REPOSITORY / "lambda_src").glob("*.py"))
}
QUIET = {"get_health", "get_evacuation"}
METRICS = json.loads((REPOSITORY / "lambda_src/weather/metrics.json").read_text("utf-8"))
TRACE_ID = "1-5759e988-bd862e3fe1be46a994272793"

# The rules of the specification, and of CloudWatch for names, units and dimensions.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
UNITS = ["Milliseconds", "Count"]
METRIC = {
    "type": "object",
    "required": ["Name", "Unit"],
    "properties": {"Name": NAME, "Unit": {"enum": UNITS}},
    "additionalProperties": False,
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": NAME,
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "minItems": 1, "maxItems": 30, "items": NAME},
        },
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": METRIC},
    },
    "additionalProperties": False,
}
METADATA = {
    "type": "object",
    "required": ["Timestamp", "CloudWatchMetrics"],
    "properties": {
        "Timestamp": {"type": "integer"},
        "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
    },
    "additionalProperties": False,
}


def metrics_of(line: dict[str, Any]) -> dict[str, float]:
    """The metrics that CloudWatch makes of a line, which must fit the specification."""
    assert not list(OAS30Validator(METADATA).iter_errors(line["_aws"]))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    for name in (name for names in directive["Dimensions"] for name in names):
        assert isinstance(line[name], str)
        assert re.fullmatch("[!-~]{1,1024}", line[name])
    metrics = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
    assert len(metrics) == len(directive["Metrics"])
    assert all(type(value) in (int, float) for value in metrics.values())
    return metrics


def lines_of(output: str) -> list[dict[str, Any]]:
    """The lines of an output, each of which must be JSON and end."""
    assert output == "" or output.endswith("\n")
    return [json.loads(line) for line in output.splitlines()]


def raising(error: Exception):
    """An operation that fails."""

    def operation(request: http.Request) -> http.Response:
        raise error

    return operation


def strings_of(value: Any) -> Iterator[str]:
    """Every string within a value, names among them."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from strings_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings_of(member)
    else:
        yield str(value)


@pytest.fixture
def function(monkeypatch):
    """Surroundings as Lambda makes them for a function."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "weather-get_weather")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={TRACE_ID};Parent=53995c3f42cd8ad8;Sampled=1")


@pytest.fixture
def logged(capsys):
    """Calls a handler and gives the lines that it wrote."""

    def call(handler, **event: Any) -> list[dict[str, Any]]:
        capsys.readouterr()
        context = SimpleNamespace(aws_request_id="8f507cfc-0000-4697-b07a-ac58fc914c95")
        handler({"requestContext": {"requestId": "r-1"}, **event}, context)
        return lines_of(capsys.readouterr().out)

    return call


def test_a_request_is_one_line_that_names_operation_region_and_ids(function, logged) -> None:
    # GIVEN a function, and an operation that succeeds
    handler = http.lambda_handler(lambda request: http.Response(200))
    # WHEN it is called
    (line,) = logged(handler)
    # THEN the line has what leads to the request, and what became of it
    assert metrics_of(line)
    timestamp = datetime.fromisoformat(line.pop("timestamp"))
    assert timestamp.tzinfo == UTC
    assert abs(datetime.now(UTC) - timestamp) < timedelta(minutes=1)
    assert abs(line.pop("_aws")["Timestamp"] / 1000 - timestamp.timestamp()) < 0.002
    assert 0 <= line.pop("duration_ms") == line.pop("Latency") < 1000
    assert line == {
        "level": "INFO",
        "message": f"{__name__} returned 200",
        "operation": __name__,
        "region": "eu-central-1",
        "status": 200,
        "cold_start": True,
        "request_id": "r-1",
        "function_request_id": "8f507cfc-0000-4697-b07a-ac58fc914c95",
        "xray_trace_id": TRACE_ID,
        "FunctionName": "weather-get_weather",
        "ColdStart": 1,
    }


@pytest.mark.parametrize(
    ("error", "level", "metrics"),
    [
        (None, "INFO", {"Latency"}),
        (errors.InvalidRequest(Fault("limit", "is wrong")), "INFO", {"Latency"}),
        (errors.NotFound("gone"), "INFO", {"Latency"}),
        (errors.Unavailable("ThrottlingException"), "WARN", {"Latency", "TableUnavailable"}),
        (KeyError("x"), "ERROR", {"Latency", "Faults"}),
    ],
)
def test_levels_and_counts_distinguish_a_bug_from_a_lost_table(
    logged, error, level, metrics
) -> None:
    # GIVEN an operation that has served a request
    operation = raising(error) if error else lambda request: http.Response(200)
    handler = http.lambda_handler(operation)
    logged(handler)
    # WHEN it serves another one
    (line,) = logged(handler)
    # THEN the level is one of Lambda's, and only what happened is counted
    assert line["level"] == level
    assert line.get("error") == (type(error).__name__ if error else None)
    assert metrics_of(line).keys() == metrics
    assert all(metrics_of(line)[name] == 1 for name in metrics - {"Latency"})


def test_a_failure_names_its_cause_and_where_it_arose(logged) -> None:
    # GIVEN two failures, one of the table and one of ours with a note
    bug = ValueError("secret")
    bug.add_note("AWS error code ValidationException")
    # WHEN they strike
    (lost,) = logged(http.lambda_handler(raising(errors.Unavailable("ThrottlingException"))))
    (broken,) = logged(http.lambda_handler(raising(bug)))
    # THEN the lines tell why and where
    assert lost["notes"] == ["ThrottlingException"]
    assert broken["notes"] == ["AWS error code ValidationException"]
    assert all(line["stack"][-1].startswith("test_telemetry.py:") for line in (lost, broken))


def test_what_the_customer_did_wrong_needs_no_stack(logged) -> None:
    # GIVEN a request for something that is not there
    # WHEN it is answered
    (line,) = logged(http.lambda_handler(raising(errors.NotFound("Location paris"))))
    # THEN its kind is logged, and nothing else
    assert line["error"] == "NotFound"
    assert not {"notes", "stack"} & line.keys()


def test_only_the_first_request_is_a_cold_start(logged) -> None:
    # GIVEN a function that has just started
    handler = http.lambda_handler(lambda request: http.Response(200))
    # WHEN it serves three requests
    lines = [line for _ in range(3) for line in logged(handler)]
    # THEN the first one differs
    assert [line["cold_start"] for line in lines] == [True, False, False]
    assert ["ColdStart" in metrics_of(line) for line in lines] == [True, False, False]


@pytest.mark.parametrize(
    "header", ["", "Root=1-5759e988", "Root=x;Sampled=1", f"Self={TRACE_ID}", "Root=1-'; drop"]
)
def test_an_invalid_trace_id_is_not_logged(logged, monkeypatch, header: str) -> None:
    # GIVEN a trace header that is not as X-Ray writes it
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    # WHEN a request is served
    (line,) = logged(http.lambda_handler(lambda request: http.Response(200)))
    # THEN nothing of it is in the line
    assert line["xray_trace_id"] is None


def test_a_function_outside_of_lambda_logs_the_same(logged, monkeypatch) -> None:
    # GIVEN none of the variables that Lambda sets but the Region
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    # WHEN a request is served
    (line,) = logged(http.lambda_handler(lambda request: http.Response(200)))
    # THEN the line is valid, and the operation replaces the function's name
    assert metrics_of(line)
    assert line["FunctionName"] == line["operation"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_logged_by_the_name_of_its_module(logged, name: str) -> None:
    # GIVEN an operation that fails for want of a table
    # WHEN it has served its first request
    lines = logged(OPERATIONS[name].handler, pathParameters={})
    # THEN the line, if there is one, names it
    assert {line["operation"] for line in lines} <= {name}
    assert lines or name in QUIET


def test_just_what_health_checkers_call_is_quiet() -> None:
    # GIVEN the sources of the operations
    # WHEN they are searched for the quiet ones
    quiet = {
        name
        for name in OPERATIONS
        if "quiet=True" in (REPOSITORY / "lambda_src" / f"{name}.py").read_text("utf-8")
    }
    # THEN these are what Route 53 asks
    assert quiet == QUIET


@pytest.mark.parametrize("status", [200, 404])
def test_quiet_operations_log_the_first_request_only(logged, status: int) -> None:
    # GIVEN a quiet operation that has just started
    handler = http.lambda_handler(lambda request: http.Response(status), quiet=True)
    # WHEN it succeeds again and again
    lines = [logged(handler) for _ in range(3)]
    # THEN it tells of its start, without a latency
    assert [len(each) for each in lines] == [1, 0, 0]
    assert metrics_of(lines[0][0]) == {"ColdStart": 1}


def test_health_that_fails_logs_why(logged, monkeypatch) -> None:
    # GIVEN a replica out of reach
    def fail() -> None:
        raise errors.Unavailable("ConnectTimeoutError")

    monkeypatch.setattr(get_health, "replica_check", BoundedCheck(fail))
    logged(get_health.handler)
    # WHEN health is asked for
    (line,) = logged(get_health.handler)
    # THEN there is a line with the cause, and a count
    assert (line["level"], line["status"], line["error"]) == ("WARN", 503, "Unavailable")
    assert line["notes"] == ["ConnectTimeoutError"]
    assert metrics_of(line) == {"TableUnavailable": 1}


def test_health_and_evacuations_are_quiet_while_all_is_well(table, logged) -> None:
    # GIVEN functions that have served their first request
    where = {"region": "us-east-1"}
    for operation in (get_health, get_evacuation):
        logged(operation.handler, pathParameters=where)
    # WHEN checkers ask on, whether a Region is evacuated or not
    # THEN nothing is written
    for item in ({}, {"pk": "control", "sk": "evacuation-us-east-1"}):
        if item:
            table.put_item(Item=item)
        for operation in (get_health, get_evacuation):
            assert logged(operation.handler, pathParameters=where) == []


class Broken(io.StringIO):
    """An output that cannot be written to."""

    def write(self, text: str) -> int:
        raise OSError("no space left")


@pytest.mark.parametrize("error", [None, errors.Unavailable("x"), ZeroDivisionError()])
@pytest.mark.parametrize("output", [Broken(), None, "closed"])
def test_a_log_that_fails_never_fails_a_request(monkeypatch, output, error) -> None:
    # GIVEN an output that fails, is not there, or is closed
    if output == "closed":
        output = io.StringIO()
        output.close()
    monkeypatch.setattr(sys, "stdout", output)
    handler = http.lambda_handler(
        raising(error) if error else lambda request: http.Response(200), quiet=False
    )
    # WHEN a request is served
    result = handler({}, None)
    # THEN it is answered as ever
    assert result["statusCode"] == {type(None): 200, errors.Unavailable: 503}.get(type(error), 500)


def test_the_line_is_written_at_once_and_whole(monkeypatch) -> None:
    # GIVEN an output that notes each write
    writes: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

        def flush(self) -> None:
            writes.append("flush")

    monkeypatch.setattr(sys, "stdout", Output())
    # WHEN a request is served
    http.lambda_handler(lambda request: http.Response(200))({}, None)
    # THEN it is one write, so that no other line gets in between, before Lambda freezes the process
    assert len(writes) == 2
    assert writes[0].count("\n") == 1
    assert writes[1] == "flush"


def test_metrics_have_names_that_cloudwatch_takes() -> None:
    # GIVEN the file that dashboards read, too
    # WHEN it is read
    # THEN its names are valid, and not in AWS's own namespaces
    assert METRICS.keys() == {"namespace", "dimension", "metrics"}
    assert re.fullmatch(r"(?!AWS/)[\w./#:-]{1,255}", METRICS["namespace"])
    assert re.fullmatch(r"[!-9;-~][!-~]{0,254}", METRICS["dimension"])
    assert set(METRICS["metrics"].values()) <= set(UNITS)


@given(
    status=st.sampled_from([200, 201, 204, 400, 404, 409, 415, 500, 503]),
    seconds=st.floats(0, 30),
    quiet=st.booleans(),
)
def test_every_line_has_valid_metrics_of_the_file_and_no_other(status, seconds, quiet) -> None:
    # GIVEN any answer
    telemetry, output = Telemetry("get_weather", quiet=quiet), io.StringIO()
    # WHEN it is logged twice
    with contextlib.redirect_stdout(output):
        for _ in range(2):
            telemetry.log(
                status=status, seconds=seconds, request_id="r", function_request_id=None, error=None
            )
    # THEN each line is valid
    lines = lines_of(output.getvalue())
    assert len(lines) == (1 if quiet and status < 500 else 2)
    for line in lines:
        assert metrics_of(line).keys() <= METRICS["metrics"].keys()
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == METRICS["namespace"]
        assert directive["Dimensions"] == [[METRICS["dimension"]]]
        for metric in directive["Metrics"]:
            assert metric["Unit"] == METRICS["metrics"][metric["Name"]]


SECRETS = st.from_regex(r"[a-z0-9]{16,40}", fullmatch=True)
"""Valid as an id, a name, a key and a value, so that they get as far as any customer's could."""


def event_full_of(secret: str) -> dict[str, Any]:
    """An event that holds a secret wherever a customer can put one."""
    return {
        "path": f"/weather/{secret}",
        "headers": {"x-api-key": secret, secret: secret, "content-type": "application/json"},
        "multiValueHeaders": {"x-api-key": [secret]},
        "pathParameters": {
            "location": secret,
            "region": secret,
            "observed_at": "2026-01-31T06:00:00Z",
        },
        "requestContext": {
            "requestId": "r-1",
            "identity": {"apiKey": secret, "sourceIp": secret, "userAgent": secret},
        },
        "body": json.dumps({"name": secret, "latitude_degrees": 1, "longitude_degrees": 1}),
    }


def assert_not_logged(secret: str, output: str) -> None:
    """Make sure that a secret is not in an output, as text nor as part of its JSON."""
    assert secret not in output
    assert not [text for line in lines_of(output) for text in strings_of(line) if secret in text]


@given(secret=SECRETS, given_query=st.booleans())
def test_no_operation_tells_anything_of_a_customer(dynamodb_table, secret, given_query) -> None:
    # GIVEN a customer who puts a secret everywhere, with a location of that name
    event = event_full_of(secret)
    query = {"multiValueQueryStringParameters": {secret: [secret], "cursor": [secret]}}
    observation = {"body": json.dumps({"temperature_celsius": 20, secret: secret})}
    output = io.StringIO()
    # WHEN every operation is called, so that it succeeds or is refused, and where it fails
    with contextlib.redirect_stdout(output), pytest.MonkeyPatch.context() as patch:
        for client in (repository.client, SimpleNamespace(), Failing(secret)):
            patch.setattr(repository, "client", client)
            patch.setattr(get_evacuation, "_client", client)
            for operation in (OPERATIONS["put_location"], *OPERATIONS.values()):
                operation.handler({**event, **(query if given_query else {})}, None)
                operation.handler({**event, **observation}, None)
    # THEN nothing of it is written
    assert output.getvalue()
    assert_not_logged(secret, output.getvalue())


class Failing:
    """A client of which every call fails with a message that quotes what it was given."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __getattr__(self, name: str) -> Any:
        raise ValueError(self.secret)


@given(
    # A mark, as Hypothesis also tries words of the code itself.
    secret=st.text().map("not for the log {}".format),
    quiet=st.booleans(),
    kind=st.sampled_from(
        [
            lambda text: errors.InvalidRequest(Fault(text, text)),
            errors.NotFound,
            errors.Conflict,
            errors.UnsupportedMediaType,
            ValueError,
            KeyError,
            OSError,
            lambda text: UnicodeDecodeError("utf-8", text.encode("utf-8", "replace"), 0, 1, text),
        ]
    ),
)
def test_no_message_of_an_error_is_logged(secret: str, quiet: bool, kind) -> None:
    # GIVEN an operation whose error quotes the request, under another error that does, too
    def operation(request: http.Request) -> http.Response:
        try:
            raise LookupError(secret)
        except LookupError as error:
            raise kind(secret) from error

    output = io.StringIO()
    # WHEN it is called
    with contextlib.redirect_stdout(output):
        http.lambda_handler(operation, quiet=quiet)(event_full_of("x" * 40), None)
    # THEN the error is logged, and its message is not
    (line,) = lines_of(output.getvalue())
    assert line["error"]
    assert_not_logged(secret, output.getvalue())
