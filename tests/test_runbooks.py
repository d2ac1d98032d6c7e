"""The commands and links in the documents are valid: our own commands, addresses, AWS's calls.

A block in a how-to is checked here, word by word, or says in the line before which test runs it, or
why none does.
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
from cdktf import App
from moto import mock_aws
from repository_files import REPOSITORY
from synthesis import Synthesized, in_one_stack

from constructs_lib import Authorization
from ops.__main__ import parser as ops_parser
from ops.cli.iam_policy import PURPOSES
from sandbox.__main__ import parser as sandbox_parser
from scripts.reference import commands
from weather_api.operations import OPERATIONS
from weather_api.stack import build_stack

pytestmark = pytest.mark.unit

HOW_TO = REPOSITORY / "docs" / "how-to"
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
RUNBOOKS = {
    "deploy-a-release.md",
    "deploy-by-region.md",
    "deploy-changes.md",
    "failover-and-failback.md",
    "first-deployment.md",
    "key-rotation.md",
    "leave-cdktf.md",
    "move-the-domain.md",
    "reconcile-replicas.md",
    "recovery-time.md",
    "regional-outage.md",
    "replace-the-second-region.md",
    "restore-to-a-point-in-time.md",
    "run-a-failover-drill.md",
}
"""Pages that change something, so they say how to verify it and how to roll it back."""
FENCE = re.compile(r"(?P<before>[^\n]*)\n+(?P<indent> *)```bash\n(?P<text>.*?)\n *```", re.DOTALL)
RUN_BY = re.compile(r"Run by (`tests/[^`]+::\w+`(, | and )?)+")
CHECKED_HERE = (
    *(
        "python -m ops",
        "python -m sandbox",
        "make",
        "pipenv run",
        "eval",
        "export",
        "cd",
        ". .venv",
    ),
    "cp environments/example.toml",
)
"""Commands that need no test of their own: the tests below check what they name."""
OTHER_OPTIONS = {"--skip-provider-lock", "--sse-specification-override"}
"""Options of cdktf and the AWS command line that the text names."""
OPTIONS_OF_THE_AWS_CLI = {"region", "query", "output", "profile"}


@dataclass(frozen=True)
class Block:
    """The commands of a document."""

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
        Block(path.name, match["before"].strip(), textwrap.dedent(match["text"]))
        for match in FENCE.finditer(path.read_text())
    ]


def blocks_of(page):
    """Texts of the blocks of a how-to, for the tests that run them."""
    return [block.text for block in blocks_in(HOW_TO / page)]


def terraform_command(page, *beginning):
    """Words of the one Terraform command of a how-to that begins so, without the folder."""
    commands = (
        words[1:] for block in blocks_in(HOW_TO / page) for words in block.words("terraform")
    )
    (command,) = (words for words in commands if tuple(words[: len(beginning)]) == beginning)
    return command


BLOCKS = [block for path in DOCUMENTS for block in blocks_in(path)]
IN_HOW_TO = [block for path in sorted(HOW_TO.iterdir()) for block in blocks_in(path)]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.document}: {b.text[:40]}")
each_how_to_block = pytest.mark.parametrize(
    "block", IN_HOW_TO, ids=lambda b: f"{b.document}: {b.text[:40]}"
)


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_every_runbook_says_how_to_verify_and_how_to_roll_back(name):
    titles = re.findall("^## (.+)$", (HOW_TO / name).read_text(), re.MULTILINE)

    assert {"Verify", "Roll back"} <= {*titles}


def test_readme_has_at_most_900_words_and_links_every_page():
    readme = (REPOSITORY / "README.md").read_text()
    prose = re.sub(r"^```.*?^```$", "", readme, flags=re.DOTALL | re.MULTILINE)
    pages = [*HOW_TO.glob("*.md"), *(REPOSITORY / "docs" / "reference").glob("*.md")]

    assert len(prose.split()) <= 900
    assert {f"({page.relative_to(REPOSITORY)})" for page in pages} <= {
        *re.findall(r"\([^()\s]+\)", prose)
    }


@each_how_to_block
def test_every_block_is_checked_here_or_says_which_test_runs_it_or_why_none_does(block):
    if all(command.startswith(CHECKED_HERE) for command in block.commands):
        return
    assert RUN_BY.match(block.before) or block.before.startswith("Not run by a test: "), block.text
    assert block.before.endswith(":")


@pytest.mark.parametrize(
    "test",
    sorted({test for b in IN_HOW_TO for test in re.findall(r"`(tests/\S+\.py.*?)`", b.before)}),
)
def test_tests_that_how_tos_name_exist(test):
    path, _, name = test.partition("::")

    tree = ast.parse((REPOSITORY / path).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert not name or name in names


@pytest.mark.parametrize(
    ("program", "parser"), [("python -m ops", ops_parser), ("python -m sandbox", sandbox_parser)]
)
@each_block
def test_commands_are_written_as_the_parsers_accept_them(block, program, parser):
    for words in block.words(program):
        try:
            parser().parse_args(words)
        except SystemExit as error:
            pytest.fail(f"{program} {' '.join(words)}: exit code {error.code}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_options_in_the_text_exist(path):
    if path.name == "CHANGELOG.md":
        return
    known = {
        option
        for whole in (ops_parser(), sandbox_parser())
        for *_, command in commands(whole)
        for action in command._actions
        for option in action.option_strings
    }
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", text):
        program = code.startswith(("python -m ops ", "python -m sandbox ", "ops ", "sandbox "))
        for option in re.findall(r"--[a-z-]+", code) if program or code.startswith("--") else ():
            assert option in known | OTHER_OPTIONS, option


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


@each_how_to_block
def test_addresses_are_those_of_the_example(block):
    example = REPOSITORY / "tests" / "constructs_lib" / "addresses" / "example.txt"
    # And those that it has with other settings.
    others = {"aws_route53_zone.dns_zone", "aws_cloudwatch_log_group.query_log_group"}
    known = {*example.read_text().splitlines(), *others}
    found = re.findall(r"\baws_[a-z0-9_]+\.[A-Za-z0-9_-]+", block.text)

    # Or the beginning of some, up to an underscore.
    unknown = [
        name for name in found if not any(f"{each}_".startswith(f"{name}_") for each in known)
    ]
    assert unknown == []


@each_how_to_block
def test_addresses_are_in_the_stack_whose_folder_the_command_names(block):
    golden = REPOSITORY / "tests" / "constructs_lib" / "addresses" / "regional.txt"
    found = golden.read_text().splitlines()

    for folder, *words in block.words("terraform"):
        if stack := re.fullmatch(r"-chdir=cdktf\.out/stacks/trial-([a-z0-9-]+)", folder):
            for address in re.findall(r"\baws_[a-z0-9_]+\.[A-Za-z0-9_-]+", " ".join(words)):
                assert f"{address} local-{stack[1]}" in found


def test_commands_are_for_the_stacks_of_the_example_unless_the_page_compares_layouts():
    one_stack = {
        each.document for each in IN_HOW_TO if re.search(r"stacks/trial\b(?!-)", each.text)
    }

    assert one_stack == {"deploy-by-region.md", "regional-outage.md"}


@each_how_to_block
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


def test_every_fault_is_described():
    (drill,) = (command for names, _, command in commands(ops_parser()) if names == ("drill",))
    (faults,) = (action.choices for action in drill._actions if action.dest == "fault")
    page = (HOW_TO / "run-a-failover-drill.md").read_text()

    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == sorted(faults)


def test_every_policy_is_described():
    page = (REPOSITORY / "docs" / "reference" / "security.md").read_text()
    _, table = page.split("| `--for` |", 1)

    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == set(PURPOSES)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_relative_link_resolves(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


def test_the_sums_of_the_cost_page_add_up():
    """Each row is quantity x unit price = dollars a month; each table ends with its sum."""
    tables, rows = 0, Decimal(0)
    for line in (HOW_TO / "cost.md").read_text().splitlines():
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
    assert tables == 7
    assert rows == 0


def test_alarms_and_resources_are_counted_as_they_are():
    addresses = REPOSITORY / "tests" / "constructs_lib" / "addresses"
    alarms = (addresses / "example.txt").read_text().count("aws_cloudwatch_metric_alarm.")
    resources = re.findall("^aws_", (addresses / "local.txt").read_text(), re.MULTILINE)

    # The secondary's alarm is billed for each of the functions that it watches.
    watched = sum(o.authorization is not Authorization.NONE for o in OPERATIONS)
    billed = f"{alarms} alarms, one of them on {watched} metrics | {alarms - 1 + watched} metrics |"
    assert billed in (HOW_TO / "cost.md").read_text()
    assert f"(some {round(len(resources), -1)} resources)" in (REPOSITORY / "README.md").read_text()


def test_what_a_third_region_adds_is_counted_as_it_is(tmp_path):
    """Health checks, those that call an API, their options, alarms and metrics that are billed."""
    page = (HOW_TO / "cost.md").read_text()
    example = (REPOSITORY / "environments" / "example.toml").read_text()
    counted = []
    for regions in ('["us-east-1", "us-west-2"]', '["us-east-1", "us-west-2", "eu-west-1"]'):
        text = example.replace('["us-east-1", "us-west-2"]', regions)
        (tmp_path / "example.toml").write_text(text)
        stack = Synthesized(build_stack(App(), in_one_stack(tmp_path / "example.toml")))
        checks = stack.resources("aws_route53_health_check").values()
        alarms = stack.resources("aws_cloudwatch_metric_alarm").values()
        metrics = [sum("metric" in q for q in alarm.get("metric_query", ())) for alarm in alarms]
        counted.append(
            {
                "calling": sum(check["type"] == "HTTPS" for check in checks),
                "latency": sum(check.get("measure_latency", False) for check in checks),
                "calculated": sum(check["type"] == "CALCULATED" for check in checks),
                "alarms": len(alarms),
                "metrics": sum(each or 1 for each in metrics),
            }
        )
    two, three = counted
    more = {name: three[name] - two[name] for name in two}

    assert f"| health checks of endpoints | {more['calling']} checks |" in page
    options = more["calling"] + more["latency"]
    assert f"| their options: HTTPS; latency, of one | {options} options |" in page
    assert f"| calculated health check | {more['calculated']} check |" in page
    assert f"{more['alarms']} more, one of them on 6 metrics | {more['metrics']} metrics |" in page
    assert (
        f"| their options: HTTPS; latency, of two | {two['calling'] + two['latency']} opt" in page
    )
    # A check causes 1.3 million requests a month, and 2.6 million more with the short interval.
    assert f"| {more['calling'] * 1.3:g} million | 3.50 |" in page
    assert f"| {three['calling']} checks | 1.00 |" in page
    assert f"| {three['calling'] * 2.6:g} million | 3.50 |" in page


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


def test_deleted_items_are_restored_and_nothing_else_is_changed(monkeypatch, capsys):
    # GIVEN a table of which two items are gone and one is newer than in the restored table
    (block,) = [t for t in blocks_of("restore-to-a-point-in-time.md") if "python - <<" in t]
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
        restored.put_item(Item={"pk": "control", "sk": "evacuation-us-east-1"})
        live.put_item(Item={"pk": "location#quito", "sk": "b", "name": "now"})

        # WHEN the runbook's program runs
        exec(compile(script, "restore-to-a-point-in-time.md", "exec"), {})

        # THEN what was missing is there, what was there is as it was, and no switch is thrown
        found = {(item["pk"], item["sk"]): item["name"] for item in live.scan()["Items"]}
    quito = "location#quito"
    assert found == {(quito, "a"): "then", (quito, "b"): "now", (quito, "c"): "then"}
    assert "2 items were missing" in capsys.readouterr().out


def test_the_policies_in_how_tos_are_json():
    for block in IN_HOW_TO:
        for name, text in re.findall(r"cat > (\S+\.json) <<'END'\n(.*?)\nEND", block.text, re.S):
            assert json.loads(text), name
