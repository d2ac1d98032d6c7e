"""The directions in which imports may run. See docs/explanation/architecture.md."""

import ast
import sys
from pathlib import Path

import pytest
from repository_files import REPOSITORY

from constructs_lib import outputs

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


MAY_IMPORT = {
    "cdktf_bindings": set(),
    "constructs_lib": set(),
    "lambda_src": {"weather"},
    "ops": {"constructs_lib"},
    "sandbox": {"ops", "constructs_lib"},
    "weather_api": {"constructs_lib"},
    "examples": {"cdktf_bindings", "constructs_lib"},
}
"""What of ours each package may import beside itself; its own tests say more of some."""

LONGEST_PHASE = 60
"""Lines of a method of a composition, without its signature and docstring."""


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    ours = {*MAY_IMPORT, "main", "scans", "scripts", "benchmarks", "tests", "weather"} | OPERATIONS
    for path in modules(package):
        assert roots_of(path) & ours <= MAY_IMPORT[package] | {package}, path


def test_constructs_call_no_aws():
    for path in modules("constructs_lib"):
        assert not roots_of(path) & {"boto3", "botocore"}, path


@pytest.mark.parametrize("path", ["stack.py", "regions.py", "api/regional_api.py"])
def test_a_composition_consists_of_phases(path):
    tree = ast.parse((REPOSITORY / "constructs_lib" / path).read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            body = function.body[ast.get_docstring(function) is not None :]
            assert body[-1].end_lineno - body[0].lineno < LONGEST_PHASE, function.name


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
                    for module in (REPOSITORY / "constructs_lib").iterdir()
                    if module.stem not in CONSTRUCTS
                )
            )
            or any(name.startswith(f"constructs_lib.{other}") for other in others)
        ], path


def test_the_bindings_depend_on_nothing_of_ours():
    for path in modules("cdktf_bindings"):
        roots = roots_of(path) - {*sys.stdlib_module_names} - {"jsii", "attr"}
        assert roots <= {"cdktf_bindings"}, path


def test_settings_and_operations_need_no_bindings():
    for name in (
        "__init__.py",
        "outputs.py",
        "settings/__init__.py",
        "settings/schema.py",
        "settings/validation.py",
        "settings/errors.py",
        "api/operation.py",
        "api/gateway_responses.py",
    ):
        assert not roots_of(REPOSITORY / "constructs_lib" / name) & BINDINGS, name


TOOL_PACKAGES = {
    *("boto3", "botocore", "dns", "rich", "psutil", "tomlkit", "urllib3"),
    *("matplotlib", "diagrams", "aiohttp", "yarl"),
}


def test_the_tool_imports_its_packages_and_the_outputs_alone():
    for path in modules("ops"):
        allowed = TOOL_PACKAGES | {*sys.stdlib_module_names} | {"ops", "constructs_lib"}
        assert roots_of(path) <= allowed, path
        ours = {name for name in imports_of(path) if name.startswith("constructs_lib")}
        assert ours <= {"constructs_lib.outputs"} | {
            f"constructs_lib.outputs.{name}" for name in vars(outputs)
        }, path


def test_the_functions_import_nothing_of_the_infrastructure():
    infrastructure = {"constructs_lib", "ops", "main", "weather_api", "weather_api.openapi"}
    for path in modules("lambda_src"):
        assert not roots_of(path) & (BINDINGS | infrastructure), path


def test_the_openapi_document_is_made_without_importing_the_functions():
    for name in ("weather_api/openapi.py", "scripts/openapi.py"):
        roots = roots_of(REPOSITORY / name)
        assert not roots & ({"weather", "ops", "boto3"} | OPERATIONS), name


def test_the_operation_that_needs_no_table_does_not_connect_to_it():
    imported = imports_of(FUNCTIONS / "get_openapi.py")
    assert not any(module in name for name in imported for module in ("replica", "repository"))


def test_what_health_checkers_call_starts_with_one_client():
    for name in ("get_health", "get_evacuation"):
        assert not any("repository" in each for each in imports_of(FUNCTIONS / f"{name}.py")), name


def test_only_the_replica_knows_aws():
    for path in modules("lambda_src"):
        if path.name != "replica.py":
            assert not roots_of(path) & {"boto3", "botocore"}, path


LAYERS = [
    *("errors", "documents", "model", "inputs", "replica", "repository"),
    *("telemetry", "http", "deadline", "failback", "fence"),
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
    "failback": {"replica", "model", "errors"},
    "fence": {"http", "telemetry", "replica", "model", "errors"},
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
