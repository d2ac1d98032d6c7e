"""The reference is made of the code, and is current."""

import re
from argparse import _SubParsersAction

import pytest
from repository_files import REPOSITORY

import weather_api
from constructs_lib.settings import Settings
from ops.__main__ import parser
from ops.errors import ExitCode
from scripts import reference

pytestmark = pytest.mark.unit

HINT = f"run `{reference.COMMAND}`"


@pytest.fixture(scope="module")
def text():
    return reference.reference()


def test_docs_and_readme_are_current():
    assert reference.main(["--check"]) == 0, HINT


def test_what_is_stale_is_told_with_the_way_to_mend_it(tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- generated: operations -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(reference, "REFERENCE", tmp_path / "reference.md")
    monkeypatch.setattr(reference, "README", readme)
    monkeypatch.setattr(reference, "reference", lambda: "the tables\n")

    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err.count(HINT) == 2
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    assert readme.read_text().startswith("before\n<!-- generated: operations -->\n| operation |")
    assert readme.read_text().endswith("|\n<!-- end -->\nafter\n")


def test_readme_has_the_operations_between_its_markers():
    assert "\n".join(reference.operations()) in (REPOSITORY / "README.md").read_text()


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def keys_of(model, *path):
    """Every key of the environment file, as `(tables above it, key)`."""
    for name, field in model.model_fields.items():
        if field.json_schema_extra:
            yield path, name, field
        for below in reference._models(field.annotation):
            yield from keys_of(below, *path, name)


def test_every_setting_stands_there_with_what_is_allowed_and_what_it_means(text):
    found = section(text, "Settings")
    keys = [each for each in keys_of(Settings) if not reference._models(each[2].annotation)]

    assert len(keys) > 30
    for path, name, field in keys:
        if name == "tags":
            assert "### `[tags]`" in found
            continue
        head = rf"### `\[+{path[0]}[\].]" if path else "### Before"
        (table,) = [part for part in re.split(r"\n(?=### )", found) if re.match(head, part)]
        (row,) = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
        assert reference._cell(field.description) in row
        assert reference._cell(field.json_schema_extra["allowed"]) in row


def test_every_operation_stands_there(text):
    for operation in weather_api.OPERATIONS:
        assert f"| `{operation.name}` |" in section(text, "Operations")


def verbs_of(parser, *names):
    inner = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not inner:
        yield " ".join(names)
    for action in inner:
        for name, verb in action.choices.items():
            yield from verbs_of(verb, *names, name)


def test_every_verb_stands_there_with_a_help(text):
    verbs = [*verbs_of(parser())]

    assert "local up" in verbs
    for verb in verbs:
        assert re.search(rf"^\| `{verb}` \| \w[^|]+ \|", section(text, "The operator's tool"), re.M)


def test_every_exit_code_stands_there(text):
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| \w[^|]+ \|$", section(text, "Exit codes"), re.M)


@pytest.mark.parametrize("name", reference.VARIABLES)
def test_every_environment_variable_is_one_that_the_code_knows(name):
    sources = [
        path
        for folder in ("constructs_lib", "ops", "benchmarks", "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.name != "test_reference.py"
    ]
    sources += [REPOSITORY / "main.py", REPOSITORY / "Makefile"]

    # As TF_VAR_api_keys, a name may be put together of a prefix and a variable.
    pattern = re.compile(rf"\b{name}\b|TF_VAR_" if name.startswith("TF_VAR_") else rf"\b{name}\b")
    assert any(pattern.search(path.read_text()) for path in sources)


def test_variables_of_this_project_that_the_code_reads_stand_there():
    read = {
        name
        for folder in ("constructs_lib", "ops")
        for path in (REPOSITORY / folder).rglob("*.py")
        for name in re.findall(r'"(FAILOVER_[A-Z_]+)"', path.read_text())
    } | {*re.findall(r'"(FAILOVER_[A-Z_]+)"', (REPOSITORY / "main.py").read_text())}

    assert read
    assert read <= reference.VARIABLES.keys()
