import importlib
import json

import pytest
from repository_files import REPOSITORY

import weather_api.stack
from constructs_lib import Authorization
from constructs_lib.settings import load
from constructs_lib.settings.regions import SMALLER_QUOTA
from weather_api.operations import EVACUATION_ITEM, FUNCTIONS, OPERATIONS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_infrastructure_and_function_agree_on_the_actions_of_an_operation(operation, monkeypatch):
    monkeypatch.setenv("TABLE_NAME", "t")
    monkeypatch.setenv("API_URL", "https://weather.example.com/v1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert sorted(importlib.import_module(operation.name).ACTIONS) == sorted(operation.access)


def test_reads_need_a_key_writes_are_signed_health_and_the_openapi_document_are_open():
    for operation in OPERATIONS:
        if operation.path.startswith(("/health", "/openapi.json")):
            assert operation.authorization is Authorization.NONE
        elif operation.method == "GET":
            assert operation.authorization is Authorization.API_KEY
        else:
            assert operation.authorization is Authorization.IAM


def test_failures_that_have_alarms_are_counts_that_the_functions_publish():
    published = json.loads((FUNCTIONS / "weather" / "metrics.json").read_text())

    for name in weather_api.stack.FAILURES | weather_api.stack.FENCE_FAILURES:
        assert published["metrics"][name] == "Count"


def test_an_operation_without_the_table_has_no_alarm_on_it():
    settings = load(REPOSITORY / "environments" / "local.toml")
    (unavailable,) = [
        m for m in weather_api.stack.failure_metrics(settings) if m.name == "TableUnavailable"
    ]

    assert "get_openapi" not in unavailable.operations
    assert "get_weather" in unavailable.operations


def test_open_operations_have_their_own_limits():
    limits = {
        operation.name: (operation.rate_per_second, operation.burst)
        for operation in OPERATIONS
        if operation.authorization is Authorization.NONE
    }

    assert limits == {
        "get_health": (300, 300),
        "get_evacuation": (300, 300),
        "get_openapi": (10, 20),
    }
    # What strangers can use up is no more than half of the smallest quota of an account.
    for index, quota in enumerate(SMALLER_QUOTA.values()):
        assert sum(limit[index] for limit in limits.values()) <= quota / 2


def test_every_module_at_the_root_of_the_zip_is_an_operation():
    modules = {path.stem for path in FUNCTIONS.glob("*.py")}

    assert modules == {operation.name for operation in OPERATIONS}


def test_request_models_have_the_members_of_the_functions_schemas():
    for operation in OPERATIONS:
        if operation.method != "PUT":
            assert operation.request_model is None
            continue
        name = operation.name.removeprefix("put_")
        schema = json.loads((FUNCTIONS / f"weather/{name}.schema.json").read_text())
        model = operation.request_model
        assert model["properties"].keys() == schema["properties"].keys()
        assert model["required"] == schema["required"]
        assert model["additionalProperties"] is False


def test_function_and_operators_tool_agree_on_the_item_of_an_evacuation():
    from weather.model import evacuation_key

    expected = {name: text.format(region="us-east-1") for name, text in EVACUATION_ITEM.items()}
    assert evacuation_key("us-east-1")._asdict() == expected
    # The lock has the same keys but the last.
    assert "{region}" in list(EVACUATION_ITEM.values())[-1]
