"""The generated reference is complete and current."""

import re
from argparse import _SubParsersAction

import pytest
from repository_files import REPOSITORY

import weather_api.operations
from constructs_lib.outputs import Outputs
from constructs_lib.settings import Settings
from ops.__main__ import parser as ops_parser
from ops.errors import ExitCode
from sandbox.__main__ import parser as sandbox_parser
from scripts import reference

pytestmark = pytest.mark.unit

SOURCES = ("cdktf_bindings", "constructs_lib", "ops", "sandbox", "weather_api", "benchmarks")
HINT = f"run `{reference.COMMAND}`"


@pytest.fixture(scope="module")
def text():
    return reference.reference()


def test_the_reference_is_current():
    assert reference.main(["--check"]) == 0, HINT


def test_a_stale_reference_is_reported_with_the_command_that_updates_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(reference, "REFERENCE", tmp_path / "reference.md")
    monkeypatch.setattr(reference, "reference", lambda: "the tables\n")

    assert reference.main(["--check"]) == 1
    assert HINT in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def keys_of(model, *path):
    """Every key of the environment file, as `(tables above it, key)`."""
    for name, field in model.model_fields.items():
        if field.json_schema_extra:
            yield path, name, field
        for below in reference._models(field.annotation):
            yield from keys_of(below, *path, name)


def test_every_setting_has_its_allowed_values_and_its_meaning(text):
    found = section(text, "Settings")
    keys = [each for each in keys_of(Settings) if not reference._models(each[2].annotation)]

    assert len(keys) > 30
    for path, name, field in keys:
        if name == "tags":
            assert "### `[tags]`" in found
            continue
        head = rf"### `\[+{path[0]}[\].]" if path else "### Top-level keys"
        (table,) = [part for part in re.split(r"\n(?=### )", found) if re.match(head, part)]
        (row,) = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
        assert reference._cell(field.description) in row
        assert reference._cell(field.json_schema_extra["allowed"]) in row


def test_every_output_is_described(text):
    for name, meaning in Outputs.descriptions().items():
        assert f"| `{name}` | {meaning} |" in section(text, "Outputs")


def test_every_operation_is_listed(text):
    for operation in weather_api.operations.OPERATIONS:
        assert f"| `{operation.name}` |" in section(text, "Operations")


def commands_of(parser, *names):
    inner = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not inner:
        yield " ".join(names)
    for action in inner:
        for name, command in action.choices.items():
            yield from commands_of(command, *names, name)


@pytest.mark.parametrize(
    ("title", "parser", "known"),
    [("Operator commands", ops_parser, "drill"), ("Sandbox commands", sandbox_parser, "up")],
)
def test_every_command_is_described(text, title, parser, known):
    commands = [*commands_of(parser())]

    assert known in commands
    for command in commands:
        assert re.search(rf"^\| `{command}` \| \w[^|]+ \|", section(text, title), re.M)


def test_every_exit_code_is_listed(text):
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| \w[^|]+ \|$", section(text, "Exit codes"), re.M)


@pytest.mark.parametrize("name", reference.VARIABLES)
def test_every_environment_variable_exists_in_the_code(name):
    sources = [
        path
        for folder in (*SOURCES, "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.name != "test_reference.py"
    ]
    sources += [REPOSITORY / "main.py", REPOSITORY / "Makefile"]

    # As TF_VAR_api_keys, a name may be put together of a prefix and a variable.
    pattern = re.compile(rf"\b{name}\b|TF_VAR_" if name.startswith("TF_VAR_") else rf"\b{name}\b")
    assert any(pattern.search(path.read_text()) for path in sources)


def test_every_variable_of_this_project_is_listed():
    read = {
        name
        for folder in SOURCES
        for path in (REPOSITORY / folder).rglob("*.py")
        for name in re.findall(r'"(FAILOVER_[A-Z_]+)"', path.read_text())
    } | {*re.findall(r'"(FAILOVER_[A-Z_]+)"', (REPOSITORY / "main.py").read_text())}

    assert read
    assert read <= reference.VARIABLES.keys()
