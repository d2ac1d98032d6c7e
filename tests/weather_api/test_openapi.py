"""Rules of the OpenAPI document: complete, well-formed, and the same as what it is made of.

That the functions answer as it says, the tests of the functions hold; see their conftest.
"""

import json
import re
from dataclasses import replace

import openapi_spec_validator
import pytest

import weather_api.openapi
from constructs_lib import Authorization
from constructs_lib.api.gateway_responses import SERVED_BY_HEADER, gateway_responses
from scripts import openapi
from weather_api.operations import FUNCTIONS, OPERATIONS

pytestmark = pytest.mark.unit

DOCUMENT = weather_api.openapi.document(OPERATIONS)
DESCRIBED = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
COMPONENTS = DOCUMENT["components"]


def objects_in(part):
    """Every object of the document, at any depth."""
    if isinstance(part, dict):
        yield part
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from objects_in(inner)


def referred(part):
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    return COMPONENTS[kind][name]


def responses_of(operation):
    return {int(s): referred(r) for s, r in DESCRIBED[operation.name]["responses"].items()}


every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)


def test_it_is_an_openapi_3_0_document():
    openapi_spec_validator.validate(DOCUMENT, cls=openapi_spec_validator.OpenAPIV30SpecValidator)


def test_the_document_that_functions_serve_is_up_to_date():
    assert openapi.main(["--check"]) == 0, "run `pipenv run openapi`"


def test_a_stale_document_is_reported_with_the_fix(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(openapi, "DOCUMENT", tmp_path / "openapi.json")

    assert openapi.main(["--check"]) == 1
    assert "pipenv run openapi" in capsys.readouterr().err
    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0
    assert openapi.DOCUMENT.read_text().endswith("}\n")


def test_every_operation_is_in_it_once_in_order():
    paths = list(dict.fromkeys(operation.path for operation in OPERATIONS))
    methods = [m for described in DOCUMENT["paths"].values() for m in described.values()]

    assert list(DOCUMENT["paths"]) == paths
    assert len(methods) == len(DESCRIBED) == len(OPERATIONS)
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert described["operationId"] == operation.name


@every_operation
def test_parameters_are_those_of_the_operation(operation):
    parameters = [referred(each) for each in DESCRIBED[operation.name].get("parameters", [])]

    assert [(each["name"], each["in"], each["required"]) for each in parameters] == [
        *((name, "path", True) for name in operation.path_parameters),
        *((name, "query", required) for name, required in operation.query_parameters.items()),
    ]
    assert all(each["description"] and each["schema"]["type"] for each in parameters)


@every_operation
def test_who_may_call_is_what_the_operation_says(operation):
    expected = {
        Authorization.NONE: [],
        Authorization.API_KEY: [{"api_key": []}],
        Authorization.IAM: [{"aws_signature": []}],
    }

    assert DESCRIBED[operation.name]["security"] == expected[operation.authorization]


@every_operation
def test_bodies_are_what_the_function_validates_with(operation):
    described = DESCRIBED[operation.name]
    if operation.request_model is None:
        assert "requestBody" not in described
        return
    schema = referred(described["requestBody"]["content"]["application/json"]["schema"])
    name = operation.request_model["title"].lower()
    source = json.loads((FUNCTIONS / "weather" / f"{name}.schema.json").read_text())

    assert described["requestBody"]["required"] is True
    assert {k: v for k, v in source.items() if k not in ("$schema", "title")} == schema


def test_the_limits_of_bodies_are_the_functions():
    from weather.documents import BODY_BYTES_MAX, DECIMAL_PLACES_MAX

    text = DESCRIBED["put_location"]["requestBody"]["description"]
    assert f"{BODY_BYTES_MAX} bytes" in text
    assert f"{DECIMAL_PLACES_MAX} decimal places" in text


@every_operation
def test_responses_are_the_functions_and_api_gateways(operation):
    source = (FUNCTIONS / f"{operation.name}.py").read_text()
    (statuses,) = re.findall(r"^Statuses: (.+)\.$", source, re.MULTILINE)
    gateways = {403, 429, 500, 502, 503, 504}
    if operation.request_model:
        gateways |= {400, 413}

    assert set(responses_of(operation)) == {int(s) for s in statuses.split(", ")} | gateways


@every_operation
def test_every_response_names_the_region_and_every_error_is_a_problem(operation):
    for status, response in responses_of(operation).items():
        assert response["description"]
        assert referred(response["headers"][SERVED_BY_HEADER])["required"] is True
        if status >= 400:
            problem = referred(response["content"]["application/problem+json"]["schema"])
            assert (
                problem
                == COMPONENTS["schemas"]["InvalidRequestProblem" if status == 400 else "Problem"]
            )


def test_refusals_of_api_gateway_are_problems_as_described():
    problem = COMPONENTS["schemas"]["Problem"]
    for response in gateway_responses("us-east-1"):
        sent = set(re.findall(r'"(\w+)":', response.template))
        assert set(problem["required"]) <= sent <= set(problem["properties"]), response.type
        retry_after = "gatewayresponse.header.Retry-After" in response.parameters
        assert retry_after == (response.status == "429")


def test_a_response_over_a_limit_or_without_data_says_when_to_retry():
    promising = {n for n, r in COMPONENTS["responses"].items() if "Retry-After" in r["headers"]}

    assert promising == {"TooManyRequests", "Unavailable", "WriteUnavailable"}


def test_every_reference_resolves_and_every_component_is_used():
    references = {part["$ref"] for part in objects_in(DOCUMENT) if "$ref" in part}
    used = {name for each in DESCRIBED.values() for one in each["security"] for name in one}
    references |= {f"#/components/securitySchemes/{name}" for name in used}

    assert references == {
        f"#/components/{kind}/{name}" for kind, parts in COMPONENTS.items() for name in parts
    }


def test_tags_are_declared_and_used():
    assert [tag["name"] for tag in DOCUMENT["tags"]] == list(
        dict.fromkeys(tag for operation in DESCRIBED.values() for tag in operation["tags"])
    )


def test_schemas_use_what_openapi_3_0_knows():
    known = {
        *("type", "description", "format", "example", "default", "nullable", "enum", "allOf"),
        *("required", "properties", "additionalProperties", "items", "maxItems"),
        *("minimum", "maximum", "minLength", "maxLength", "pattern", "$ref"),
    }

    def check(schema):
        assert schema.keys() <= known
        assert "$ref" in schema or "allOf" in schema or schema["type"]
        if "properties" in schema:
            assert set(schema.get("required", ())) <= schema["properties"].keys()
        inner = [*schema.get("properties", {}).values(), *schema.get("allOf", ())]
        for part in [*inner, *([schema["items"]] if "items" in schema else [])]:
            check(part)

    for schema in COMPONENTS["schemas"].values():
        check(schema)
    for parameter in COMPONENTS["parameters"].values():
        check(parameter["schema"])


def test_responses_hold_what_was_put_and_nothing_unnamed():
    ids = {"Location": ["location"], "Observation": ["location", "observed_at", "observation_id"]}
    for name, own in ids.items():
        fields, shown, written = (
            COMPONENTS["schemas"][each] for each in (f"{name}Fields", name, f"Written{name}")
        )
        assert [*shown["properties"]] == [*own, *fields["properties"]]
        assert [*written["properties"]] == [*shown["properties"], "created"]
        assert shown["required"] == own + fields["required"]
        assert written["required"] == [*shown["required"], "created"]
        assert not any(s["additionalProperties"] for s in (fields, shown, written))


@every_operation
def test_texts_are_for_customers_and_what_is_for_developers_stays_out(operation):
    described = DESCRIBED[operation.name]

    assert re.fullmatch(r"[A-Z0-9][^\n]+[^.]", described["summary"])
    assert re.fullmatch(r"[A-Z0-9].+\.", described["description"], re.DOTALL)
    assert not re.search("Statuses:|Source:|sort key|invert", described["description"])


def test_a_docstring_that_contradicts_its_operation_is_rejected():
    moved = replace(OPERATIONS[0], path="/elsewhere")

    with pytest.raises(ValueError, match="begin it with '`GET /elsewhere`: what it does"):
        weather_api.openapi.document([moved])


@every_operation
def test_the_time_limit_is_described_with_its_status(operation):
    """Functions end before API Gateway stops to wait for them, which would be a 504."""
    assert operation.timeout_seconds < 29
    assert (
        f"The time limit is {operation.timeout_seconds} s; after that, the response is a 502."
        in DESCRIBED[operation.name]["description"]
    )


def test_a_status_without_a_description_is_rejected(monkeypatch):
    monkeypatch.setitem(weather_api.openapi._RESPONSES, "get_weather", {})

    with pytest.raises(ValueError, match="'get_weather': status 200 has no description"):
        weather_api.openapi.document(OPERATIONS)
