"""The directions in which imports may run. See docs/architecture.md."""

import ast
import sys
from pathlib import Path

import pytest
from repository_files import REPOSITORY

pytestmark = pytest.mark.unit

BINDINGS = {"cdktf", "cdktf_cdktf_provider_aws", "constructs", "jsii"}


def modules(*folders):
    return [p for folder in folders for p in sorted((REPOSITORY / folder).rglob("*.py"))]


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


FUNCTIONS = REPOSITORY / "lambda_src"
OPERATIONS = {path.stem for path in FUNCTIONS.glob("*.py")}


CONSTRUCTS = {"api", "cloudwatch", "dynamodb", "kms", "route53"}


def test_constructs_import_neither_the_functions_nor_the_tools():
    for path in modules("constructs_lib"):
        assert not roots_of(path) & (
            {"ops", "main", "weather_api", "weather_openapi", "weather", "boto3"} | OPERATIONS
        ), path


@pytest.mark.parametrize("construct", sorted(CONSTRUCTS))
def test_no_construct_imports_another_one_or_the_stack(construct):
    others = CONSTRUCTS - {construct}
    for path in modules(f"constructs_lib/{construct}"):
        imported = imports_of(path)
        assert not [
            name
            for name in imported
            if name.startswith(
                tuple(
                    f"constructs_lib.{module.stem}"
                    for module in (REPOSITORY / "constructs_lib").glob("*.py")
                )
            )
            or any(name.startswith(f"constructs_lib.{other}") for other in others)
        ], path


def test_the_bindings_can_be_lifted_out():
    for path in modules("constructs_lib/bindings"):
        roots = roots_of(path) - {*sys.stdlib_module_names} - {"jsii", "attr"}
        assert roots <= {"constructs_lib"}, path
        assert not [
            name
            for name in imports_of(path)
            if name.startswith("constructs_lib.") and "bindings" not in name
        ], path


def test_settings_and_operations_need_no_bindings():
    for name in (
        "settings.py",
        "faults.py",
        "rules.py",
        "api/operation.py",
        "api/gateway_responses.py",
    ):
        assert not roots_of(REPOSITORY / "constructs_lib" / name) & BINDINGS, name


def test_the_tools_run_programs_and_import_neither_constructs_nor_bindings():
    for path in modules("ops"):
        infrastructure = {"constructs_lib", "main", "weather_api", "weather_openapi"}
        forbidden = BINDINGS | infrastructure | {"weather"} | OPERATIONS
        assert not roots_of(path) & forbidden, path


def test_the_functions_import_nothing_of_the_infrastructure():
    infrastructure = {"constructs_lib", "ops", "main", "weather_api", "weather_openapi"}
    for path in modules("lambda_src"):
        assert not roots_of(path) & (BINDINGS | infrastructure), path


def test_the_openapi_document_is_made_without_importing_the_functions():
    for name in ("weather_openapi.py", "scripts/openapi.py"):
        roots = roots_of(REPOSITORY / name)
        assert not roots & ({"weather", "ops", "boto3"} | OPERATIONS), name


def test_the_operation_that_needs_no_table_does_not_connect_to_it():
    imported = imports_of(FUNCTIONS / "get_openapi.py")
    assert not any(module in name for name in imported for module in ("replica", "repository"))


def test_what_health_checkers_call_starts_with_one_client():
    for name in ("get_health", "get_switch"):
        assert not any("repository" in each for each in imports_of(FUNCTIONS / f"{name}.py")), name


def test_only_the_replica_knows_aws():
    for path in modules("lambda_src"):
        if path.name != "replica.py":
            assert not roots_of(path) & {"boto3", "botocore"}, path


LAYERS = [
    *("errors", "documents", "model", "inputs", "replica", "repository"),
    *("telemetry", "http", "deadline"),
]
ALLOWED = {
    "errors": set(),
    "documents": {"errors"},
    "model": {"documents", "errors"},
    "inputs": {"model", "documents", "errors"},
    "replica": {"model", "errors"},
    "repository": {"replica", "model", "documents", "errors"},
    "telemetry": {"errors"},
    "http": {"documents", "errors", "telemetry"},
    "deadline": {"errors"},
}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_weather_package_imports_downwards_only(layer):
    path = REPOSITORY / "lambda_src" / "weather" / f"{layer}.py"
    imported = {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("weather.") and name.split(".")[1] in ALLOWED
    }

    assert imported <= ALLOWED[layer]


def test_every_module_of_the_weather_package_has_its_place_in_the_layers():
    names = {path.stem for path in (REPOSITORY / "lambda_src" / "weather").glob("*.py")}

    assert names - {"__init__"} == set(LAYERS)


def test_operations_import_the_weather_package_only():
    for name in OPERATIONS:
        roots = roots_of(REPOSITORY / "lambda_src" / f"{name}.py")
        assert not roots & OPERATIONS
        assert not roots & {"boto3", "botocore"}
        assert "weather" in roots
