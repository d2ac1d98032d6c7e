"""Manual failback of the weather API as a stack: what it adds, and that nothing else changes."""

import importlib

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib import Evacuation, FailoverApiStack, Key
from constructs_lib.outputs import Outputs
from constructs_lib.route53.serving_name import TTL_SECONDS, serving_addresses
from constructs_lib.settings import load
from weather_api.operations import (
    EVACUATION_ITEM,
    EVACUATION_OPERATION,
    FAILBACK_ACTIONS,
    FUNCTIONS,
    HEALTH_OPERATION,
    OPERATIONS,
    SERVING_ITEM,
)

pytestmark = pytest.mark.unit

LOCAL = (REPOSITORY / "environments" / "local.toml").read_text()


def settings_with(folder, top):
    path = folder / "local.toml"
    path.write_text(f"{top}\n{LOCAL}")
    return load(path)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """`{failback: stack}`."""

    def built(failback):
        settings = settings_with(tmp_path_factory.mktemp(failback), f'failback = "{failback}"')
        return Synthesized(weather_api.stack.build_stack(App(), settings))

    return {failback: built(failback) for failback in ("automatic", "manual")}


def addresses(stack):
    return {f"{kind}.{id}" for kind, found in stack.json["resource"].items() for id in found}


def test_manual_failback_adds_records_and_permissions_and_replaces_nothing(stacks):
    added = addresses(stacks["manual"]) - addresses(stacks["automatic"])

    assert not addresses(stacks["automatic"]) - addresses(stacks["manual"])
    records = {address for address in added if address.startswith("aws_route53_record.")}
    assert records == {
        f"aws_route53_record.dns_serving_{id}"
        for id in ("primary", "secondary", "failover_2_primary", "failover_2_secondary")
    }
    assert len(added - records) == 2
    assert all("get_evacuation_role_table_write" in address for address in added - records)


def test_only_the_function_that_reports_evacuations_learns_the_order_and_the_name(stacks):
    def variables_of(failback):
        return {
            id: function["environment"]["variables"]
            for id, function in stacks[failback].resources("aws_lambda_function").items()
        }

    automatic, manual = variables_of("automatic"), variables_of("manual")
    for id, variables in manual.items():
        more = {
            "REGION_ORDER": "us-east-1 us-west-2",
            "SERVING_NAME": "serving.weather.example.com",
        }
        assert variables == automatic[id] | (more if EVACUATION_OPERATION in id else {})


def test_it_may_write_the_partition_of_its_items_only(stacks):
    documents = stacks["manual"].data("aws_iam_policy_document")
    found = [d for id, d in documents.items() if "get_evacuation_role_table_write" in id]

    assert len(found) == 2
    for document in found:
        (statement,) = document["statement"]
        assert statement["actions"] == sorted(FAILBACK_ACTIONS)
        assert statement["condition"] == [
            {
                "test": "ForAllValues:StringEquals",
                "variable": "dynamodb:LeadingKeys",
                "values": ["control"],
            }
        ]


def test_the_output_is_what_the_operators_tool_reads(stacks):
    emitted = {name: each["value"] for name, each in stacks["manual"].json["output"].items()}
    # What is known at deployment only.
    arns = {r: f"arn:aws:dynamodb:{r}:123456789012:table/t" for r in emitted["regions"]}
    emitted |= {"table_arns": arns}
    failback = Outputs.from_json(emitted).failback

    assert failback.names == (
        "serving.weather.example.com",
        "failover-2.serving.weather.example.com",
    )
    assert failback.addresses == {"us-east-1": "192.0.2.1", "us-west-2": "192.0.2.2"}
    assert failback.none_healthy == "192.0.2.0"
    assert failback.mark_of("us-east-1") == {"pk": "control", "sk": "serving-us-east-1"}
    assert Outputs.from_json(Outputs.from_json(emitted).to_json()).failback == failback
    assert "failback" not in stacks["automatic"].json["output"]


def test_infrastructure_and_function_agree(monkeypatch):
    monkeypatch.setenv("TABLE_NAME", "t")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    function = importlib.import_module(EVACUATION_OPERATION)
    latch = importlib.import_module("weather.failback")
    model = importlib.import_module("weather.model")

    assert function.FAILBACK_ACTIONS == FAILBACK_ACTIONS
    expected = {name: text.format(region="us-east-1") for name, text in SERVING_ITEM.items()}
    assert model.serving_key("us-east-1")._asdict() == expected
    assert set(SERVING_ITEM) == set(EVACUATION_ITEM)
    regions = ("us-east-1", "us-west-2", "eu-west-1")
    for address in serving_addresses(regions).values():
        assert address.startswith(latch.NAMED_BY)
    monkeypatch.setattr(latch, "LOOKUP_SECONDS", 60)
    for region, address in serving_addresses(regions).items():
        assert latch.Serving("name", regions, lambda _, a=address: a)() == (region or None)
    # An answer from before a change is forgotten long before a Region counts as having served.
    assert latch.LONG.total_seconds() > 5 * TTL_SECONDS


@pytest.mark.parametrize(
    "evacuation", [None, Evacuation(EVACUATION_OPERATION, EVACUATION_ITEM)], ids=["none", "latch"]
)
def test_a_program_that_latches_nothing_is_rejected_with_the_fix(tmp_path, evacuation):
    with pytest.raises(ValueError, match="give evacuation a latch, or set failback"):
        FailoverApiStack(
            App(),
            settings=settings_with(tmp_path, 'failback = "manual"'),
            operations=OPERATIONS,
            health_operation=HEALTH_OPERATION,
            evacuation=evacuation,
            functions=FUNCTIONS,
            partition_key=Key("pk"),
            sort_key=Key("sk"),
        )
