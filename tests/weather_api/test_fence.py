"""Fenced writes of the weather API as a stack: what they add, and that nothing else changes."""

import importlib
import json

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib import Authorization, Evacuation, FailoverApiStack, Key, Operation
from constructs_lib.outputs import FencingOutput, Outputs
from constructs_lib.settings import load
from weather_api.operations import (
    EVACUATION_ITEM,
    EVACUATION_OPERATION,
    FUNCTIONS,
    HEALTH_OPERATION,
    OPERATIONS,
)

pytestmark = pytest.mark.unit

LOCAL = (REPOSITORY / "environments" / "local.toml").read_text()
WRITES = {"put_location", "put_observation", "delete_observation"}
ITEM_READ = "put_location"
"""The one of them that reads nothing otherwise."""


def settings_with(folder, top):
    path = folder / "local.toml"
    path.write_text(f"{top}\n{LOCAL}")
    return load(path)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """`{fence_writes: stack}`; None where the file does not have it."""

    def built(top):
        settings = settings_with(tmp_path_factory.mktemp("fence"), top)
        return Synthesized(weather_api.stack.build_stack(App(), settings))

    return {
        None: built(""),
        False: built("fence_writes = false"),
        True: built("fence_writes = true"),
    }


def addresses(stack):
    return {f"{kind}.{id}" for kind, found in stack.json["resource"].items() for id in found}


def functions(stack):
    """`{(Region's alias, operation): variables}`."""
    return {
        id: function["environment"]["variables"]
        for id, function in stack.resources("aws_lambda_function").items()
    }


def test_it_is_off_by_default_and_then_nothing_changes(stacks):
    assert json.dumps(stacks[None].json) == json.dumps(stacks[False].json)
    assert "fencing" not in stacks[None].json["output"]


def test_it_replaces_nothing_and_adds_one_policy_in_each_region(stacks):
    added = addresses(stacks[True]) - addresses(stacks[False])

    assert not addresses(stacks[False]) - addresses(stacks[True])
    assert len(added) == 2
    for address in added:
        assert address.startswith("aws_iam_role_policy.")
        assert f"{ITEM_READ}_role_table_fence" in address


def test_only_functions_that_write_learn_of_it(stacks):
    plain, fenced = functions(stacks[False]), functions(stacks[True])

    changed = {id for id in fenced if fenced[id] != plain[id]}
    assert len(changed) == 2 * len(WRITES)
    for id in fenced:
        more = {"FENCE_RETRY_AFTER_SECONDS": "60"} if id in changed else {}
        assert fenced[id] == plain[id] | more
        assert (id in changed) == any(name in id for name in WRITES)


def test_who_reads_nothing_else_may_read_that_item_alone(stacks):
    documents = stacks[True].data("aws_iam_policy_document")
    found = [document for id, document in documents.items() if "_role_table_fence" in id]

    assert len(found) == 2
    for document in found:
        (statement,) = document["statement"]
        assert statement["actions"] == ["dynamodb:GetItem"]
        assert statement["condition"] == [
            {
                "test": "ForAllValues:StringEquals",
                "variable": "dynamodb:LeadingKeys",
                "values": ["control"],
            }
        ]
        (resource,) = statement["resource"] if "resource" in statement else statement["resources"]
        assert ".arn" in resource


MONITORING = "\n[monitoring]\nalarms = true\ndashboard = true\n"


@pytest.mark.parametrize("fence_writes", [False, True])
def test_who_is_on_call_sees_what_is_refused_and_hears_of_a_fence_that_is_unknown(
    tmp_path, fence_writes
):
    path = tmp_path / "local.toml"
    path.write_text(f"fence_writes = {str(fence_writes).lower()}\n{LOCAL}{MONITORING}")
    stack = Synthesized(weather_api.stack.build_stack(App(), load(path)))
    of_fence = {"FenceUnknown", "WritesRefused"}

    alarms = {
        (alarm["provider"], alarm["metric_name"], alarm["dimensions"]["FunctionName"])
        for alarm in stack.resources("aws_cloudwatch_metric_alarm").values()
        if alarm.get("metric_name") in of_fence
    }
    body = json.loads(stack.only("aws_cloudwatch_dashboard")["dashboard_body"])
    shown = {
        (widget["properties"]["region"], metric[1], metric[3])
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[1] in of_fence
    }

    if not fence_writes:
        assert alarms == shown == set()
        return
    functions = {
        function["function_name"] for function in stack.resources("aws_lambda_function").values()
    }
    writing = {name for name in functions if any(operation in name for operation in WRITES)}
    assert alarms == {
        (f"aws.{alias}", "FenceUnknown", name)
        for alias in ("primary", "secondary")
        for name in writing
    }
    assert shown == {
        (region, metric, name)
        for region in ("us-east-1", "us-west-2")
        for metric in of_fence
        for name in writing
    }


def test_with_a_stack_for_each_region_each_has_its_own_part_of_it(tmp_path):
    settings = settings_with(tmp_path, 'fence_writes = true\nlayout = "regional"')
    app = App(outdir=str(tmp_path / "out"))
    stacks = weather_api.stack.build_stack(app, settings).layout.stacks
    app.synth()
    fenced = {}
    for stack in stacks:
        text = (tmp_path / "out" / "stacks" / stack.node.id / "cdk.tf.json").read_text()
        found = Synthesized(text)
        policies = [id for id in found.resources("aws_iam_role_policy") if "table_fence" in id]
        fenced[stack.node.id] = len(policies), "fencing" in found.json.get("output", {})

    assert fenced == {
        "local-data": (0, False),
        "local-us-west-2": (1, False),
        "local-us-east-1": (1, False),
        "local-routing": (0, True),
    }


@pytest.mark.parametrize(
    ("below", "after_seconds"),
    [("", 90 + 60 + 30), ("\n[health_check]\nfailure_threshold = 1\n", 30 + 60 + 30)],
)
def test_the_output_says_how_long_dns_takes_at_most(tmp_path, below, after_seconds):
    path = tmp_path / "local.toml"
    text = "\n".join(
        line for line in LOCAL.splitlines() if not line.startswith("failure_threshold")
    ).replace("[health_check]", below.strip() or "[health_check]")
    path.write_text(f"fence_writes = true\n{text}")
    emitted = {
        name: each["value"]
        for name, each in Synthesized(weather_api.stack.build_stack(App(), load(path)))
        .json["output"]
        .items()
    }
    emitted |= {
        "table_arns": {r: f"arn:aws:dynamodb:{r}:123456789012:table/t" for r in emitted["regions"]}
    }

    outputs = Outputs.from_json(emitted)
    assert outputs.fencing == FencingOutput(after_seconds=after_seconds)
    assert Outputs.from_json(outputs.to_json()).fencing == outputs.fencing


def test_infrastructure_and_functions_agree(monkeypatch):
    monkeypatch.setenv("TABLE_NAME", "t")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    key = importlib.import_module("weather.model").evacuation_key("us-east-1")
    expected = {name: text.format(region="us-east-1") for name, text in EVACUATION_ITEM.items()}

    assert key._asdict() == expected
    assert {operation.name for operation in OPERATIONS if operation.is_write} == WRITES
    for operation in OPERATIONS:
        source = (FUNCTIONS / f"{operation.name}.py").read_text()
        assert ("@refusing_writes" in source) == operation.is_write, operation.name


@pytest.mark.parametrize(
    ("method", "writes", "expected"),
    [
        *((method, None, False) for method in ("GET", "HEAD", "OPTIONS")),
        *((method, None, True) for method in ("PUT", "POST", "PATCH", "DELETE")),
        ("POST", False, False),
        ("GET", True, True),
    ],
)
def test_an_operation_writes_by_its_method_unless_it_is_declared(method, writes, expected):
    operation = Operation(
        name="a", method=method, path="/a", authorization=Authorization.NONE, writes=writes
    )

    assert operation.is_write is expected


@pytest.mark.parametrize(
    "evacuation", [None, Evacuation(EVACUATION_OPERATION, EVACUATION_ITEM)], ids=["none", "fence"]
)
def test_a_program_whose_functions_refuse_nothing_is_rejected_with_the_fix(tmp_path, evacuation):
    with pytest.raises(ValueError, match="give evacuation fences=True"):
        FailoverApiStack(
            App(),
            settings=settings_with(tmp_path, "fence_writes = true"),
            operations=OPERATIONS,
            health_operation=HEALTH_OPERATION,
            evacuation=evacuation,
            functions=FUNCTIONS,
            partition_key=Key("pk"),
            sort_key=Key("sk"),
        )
