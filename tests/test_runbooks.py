"""What the documents tell people to type exists: verbs, targets, addresses, AWS's own calls.

A block in a runbook is checked here, word by word, or says in the line before which test runs it,
or why none does.
"""

import ast
import json
import re
import shlex
import textwrap
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import boto3
import pytest
from botocore import xform_name
from botocore.session import Session
from moto import mock_aws
from repository_files import REPOSITORY

import weather_api
from constructs_lib.api import Authorization
from ops.__main__ import parser

pytestmark = pytest.mark.unit

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
DOCUMENTS = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
NAMES = {
    "deploy-from-nothing.md",
    "failover-and-failback.md",
    "region-is-gone.md",
    "key-rotation.md",
    "restore-point-in-time.md",
    "cost.md",
    "leave-cdktf.md",
}
FENCE = re.compile(r"(?P<before>[^\n]*)\n+(?P<indent> *)```bash\n(?P<text>.*?)\n *```", re.DOTALL)
RUN_BY = re.compile(r"Run by (`tests/[^`]+::\w+`(, | and )?)+")
CHECKED_HERE = (
    *("python -m ops", "make", "pipenv run", "eval", "export", "cd", ". .venv"),
    "cp environments/example.toml",
)
"""Commands that need no test of their own: what they name is held to the code below."""
OPTIONS_OF_THE_AWS_CLI = {"region", "query", "output", "profile"}


@dataclass(frozen=True)
class Block:
    """What a document tells people to type."""

    document: str
    before: str
    text: str

    @property
    def commands(self):
        """Its commands, each in one line, without the contents of here-documents and of quotes."""
        text = re.sub(r"<<'(\w+)'(.*?)\n(.*?)\n\1$", r"\2", self.text, flags=re.DOTALL | re.M)
        lines = text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def words(self, head):
        """The words after a head, such as `aws`, of every command that begins with it."""
        inner = [m for c in self.commands for m in re.findall(r"\$\(([^()]*)\)", c)]
        for command in (*self.commands, *inner):
            command = command.partition(" | ")[0]
            if command.split(" ")[0] == head.split(" ")[0] and command.startswith(f"{head} "):
                yield shlex.split(command.removeprefix(head), comments=True)


def blocks_in(path):
    return [
        Block(path.name, match["before"].strip(), textwrap.dedent(match["indent"] + match["text"]))
        for match in FENCE.finditer(path.read_text())
    ]


def blocks_of(runbook):
    """Texts of the blocks of a runbook, for the tests that run them."""
    return [block.text for block in blocks_in(RUNBOOKS / runbook)]


BLOCKS = [block for path in DOCUMENTS if path.exists() for block in blocks_in(path)]
IN_RUNBOOKS = [block for block in BLOCKS if block.document in NAMES]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.document}: {b.text[:40]}")
each_runbook_block = pytest.mark.parametrize(
    "block", IN_RUNBOOKS, ids=lambda b: f"{b.document}: {b.text[:40]}"
)


def test_every_runbook_is_here_and_has_what_it_takes_at_night():
    assert {path.name for path in RUNBOOKS.iterdir()} == NAMES
    for name in NAMES - {"cost.md"}:
        text = (RUNBOOKS / name).read_text()
        assert "## How to see that it worked" in text, name
        assert re.search("^## Undo|^## How to undo", text, re.MULTILINE), name


@each_runbook_block
def test_every_block_is_checked_here_or_says_which_test_runs_it_or_why_none_does(block):
    if all(command.startswith(CHECKED_HERE) for command in block.commands):
        return
    assert RUN_BY.match(block.before) or block.before.startswith("Not run by a test: "), block.text
    assert block.before.endswith(":")


@pytest.mark.parametrize(
    "test",
    sorted({test for b in IN_RUNBOOKS for test in re.findall(r"`(tests/\S+\.py.*?)`", b.before)}),
)
def test_tests_that_runbooks_name_exist(test):
    path, _, name = test.partition("::")

    tree = ast.parse((REPOSITORY / path).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert not name or name in names


@each_block
def test_verbs_of_the_operators_tool_are_typed_as_it_takes_them(block):
    for words in block.words("python -m ops"):
        try:
            parser().parse_args(words)
        except SystemExit as error:
            pytest.fail(f"python -m ops {' '.join(words)}: exit code {error.code}")


@cache
def targets():
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@cache
def scripts():
    return tomllib.loads((REPOSITORY / "Pipfile").read_text())["scripts"].keys()


@each_block
def test_targets_of_make_and_scripts_of_pipenv_exist(block):
    for words in block.words("make"):
        assert {word for word in words if re.fullmatch("[a-z-]+", word)} <= targets()
    for script, *_ in block.words("pipenv run"):
        assert script in scripts()


@each_runbook_block
def test_addresses_are_those_of_the_example(block):
    example = REPOSITORY / "tests" / "constructs_lib" / "addresses" / "example.txt"
    known = {*example.read_text().splitlines(), "aws_route53_zone.dns_zone"}
    found = re.findall(r"\baws_[a-z0-9_]+\.[A-Za-z0-9_-]+", block.text)

    assert set(found) <= known


@each_runbook_block
def test_calls_of_the_aws_command_line_exist_with_these_parameters(block):
    for service, operation, *words in block.words("aws"):
        if operation == "wait":
            waiter, *words = words
            waiters = Session().get_waiter_model(service)
            operation = xform_name(waiters.get_waiter(_camel(waiter)).operation, "-")
        model = _operation(service, operation)
        members = {xform_name(name, "-") for name in model.input_shape.members}
        given = {word[2:] for word in words if word.startswith("--")} - OPTIONS_OF_THE_AWS_CLI
        required = {xform_name(name, "-") for name in model.input_shape.required_members}
        # A truth is given as --name or --no-name.
        assert {re.sub("^no-", "", name) for name in given} <= members, operation
        assert required <= given, operation


def _camel(name):
    return "".join(part.capitalize() for part in name.split("-"))


@cache
def _operation(service, name):
    model = Session().get_service_model("s3" if service == "s3api" else service)
    names = {xform_name(operation, "-"): operation for operation in model.operation_names}
    return model.operation_model(names[name])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_link_of_the_documents_leads_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        leads_to = (path.parent / target).resolve() if target else path
        assert leads_to.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", leads_to.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


def test_the_sums_of_the_cost_runbook_add_up():
    """Each row is quantity x unit price = dollars a month; each table ends with its sum."""
    tables, rows = 0, Decimal(0)
    for line in (RUNBOOKS / "cost.md").read_text().splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if len(cells) != 4 or not re.fullmatch(r"[\d,.]+", cells[3]):
            continue
        amount = Decimal(cells[3].replace(",", ""))
        if cells[1]:
            quantity, price = (
                Decimal(re.match(r"[\d,.]+", cell)[0].replace(",", "")) for cell in cells[1:3]
            )
            assert abs(quantity * price - amount) <= Decimal("0.005"), line
            rows += amount
        else:
            assert rows == amount, line
            tables, rows = tables + 1, Decimal(0)
    assert tables == 3
    assert rows == 0


def test_alarms_and_resources_are_counted_as_they_are():
    addresses = REPOSITORY / "tests" / "constructs_lib" / "addresses"
    alarms = (addresses / "example.txt").read_text().count("aws_cloudwatch_metric_alarm.")
    resources = re.findall("^aws_", (addresses / "local.txt").read_text(), re.MULTILINE)

    # The standby's alarm is paid for each of the functions that it watches.
    watched = sum(o.authorization is not Authorization.NONE for o in weather_api.OPERATIONS)
    paid = f"{alarms} alarms, one of them on {watched} metrics | {alarms - 1 + watched} metrics |"
    assert paid in (RUNBOOKS / "cost.md").read_text()
    assert f"(some {round(len(resources), -1)} resources)" in (REPOSITORY / "README.md").read_text()


TABLE = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def test_what_was_deleted_is_brought_back_and_nothing_else_is_touched(monkeypatch, capsys):
    # GIVEN a table of which two items are gone and one is newer than in the restored table
    (block,) = [t for t in blocks_of("restore-point-in-time.md") if "python - <<" in t]
    script = re.search(r"<<'END'\n(.*)\nEND", block, re.DOTALL)[1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        tables = boto3.resource("dynamodb", region_name="us-east-1")
        live, restored = (
            tables.create_table(TableName=name, **TABLE)
            for name in ("weather-observations", "weather-observations-restored")
        )
        for sk in ("a", "b", "c"):
            restored.put_item(Item={"pk": "location#quito", "sk": sk, "name": "then"})
        restored.put_item(Item={"pk": "control", "sk": "switch"})
        live.put_item(Item={"pk": "location#quito", "sk": "b", "name": "now"})

        # WHEN the runbook's program runs
        exec(compile(script, "restore-point-in-time.md", "exec"), {})

        # THEN what was missing is there, what was there is as it was, and no switch is thrown
        found = {(item["pk"], item["sk"]): item["name"] for item in live.scan()["Items"]}
    quito = "location#quito"
    assert found == {(quito, "a"): "then", (quito, "b"): "now", (quito, "c"): "then"}
    assert "2 items were missing" in capsys.readouterr().out


def test_the_policies_in_runbooks_are_json():
    for block in IN_RUNBOOKS:
        for name, text in re.findall(r"cat > (\S+\.json) <<'END'\n(.*?)\nEND", block.text, re.S):
            assert json.loads(text), name
