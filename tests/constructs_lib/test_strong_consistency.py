"""Environments with a strongly consistent table, as far as can be shown without one.

No provider that runs here can apply one: 5.100.0 lacks the arguments, and so does the local AWS.
What is synthesized is held against the schema that the bindings describe, and against AWS's service
model; that AWS then does as its documentation says is not shown by any test.
"""

import json
import re
from collections import Counter

import pytest
from botocore.loaders import Loader
from cdktf import App
from provider_schema import arguments, configuration, paths, version, violations
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.outputs import Outputs
from constructs_lib.settings import load

pytestmark = pytest.mark.unit

EXAMPLE = REPOSITORY / "environments" / "example.toml"
ADDRESSES = REPOSITORY / "tests" / "constructs_lib" / "addresses"
CHANGES = {
    "three": {
        'regions = ["us-east-1", "us-west-2"]': 'regions = ["us-east-1", "us-west-2", "us-east-2"]',
        'consistency = "eventual" ': 'consistency = "strong" ',
    },
    "witness": {
        'consistency = "eventual" ': 'consistency = "strong" ',
        '# witness_region = "us-east-2"': 'witness_region = "us-east-2"',
    },
}


def file_of(folder, changes, *, layout="single"):
    text = EXAMPLE.read_text().replace('layout = "regional"', f'layout = "{layout}"')
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = folder / "strong.toml"
    file.write_text(text)
    return file


def synthesized(folder, changes):
    return Synthesized(weather_api.stack.build_stack(App(), load(file_of(folder, changes))))


@pytest.fixture(scope="module", params=CHANGES)
def strong(request, tmp_path_factory):
    return synthesized(tmp_path_factory.mktemp("strong"), CHANGES[request.param])


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return synthesized(tmp_path_factory.mktemp("three"), CHANGES["three"])


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    return synthesized(tmp_path_factory.mktemp("witness"), CHANGES["witness"])


def test_the_newest_providers_schema_takes_every_argument(strong):
    assert list(violations(strong.json)) == []
    assert "aws_dynamodb_table.replica.consistency_mode" in paths(strong.json)


def test_a_planted_mistake_in_a_replica_or_the_witness_is_found(witness):
    planted = json.loads(json.dumps(witness.json))
    (table,) = planted["resource"]["aws_dynamodb_table"].values()
    table["replica"][0]["consistency"] = table["replica"][0].pop("consistency_mode")
    del table["replica"][0]["region_name"]
    table["global_table_witness"]["region"] = "us-east-2"

    assert [text.rpartition(": ")[2] for text in violations(planted)] == [
        "unknown global_table_witness.region",
        "unknown replica.consistency",
        "missing replica.region_name",
    ]


def test_the_separate_replica_still_has_no_consistency():
    """Once it has: replicas can be resources of their own again, as eventual ones are."""
    replica = arguments(configuration("aws_dynamodb_table_replica"))

    assert "consistency_mode" not in replica


def test_the_mode_is_one_that_dynamodb_knows(strong):
    model = Loader().load_service_model("dynamodb", "service-2")
    known = model["shapes"]["MultiRegionConsistency"]["enum"]

    modes = {each["consistency_mode"] for each in strong.only("aws_dynamodb_table")["replica"]}
    assert modes == {"STRONG"}
    assert modes < set(known)


def test_it_takes_no_provider_that_lacks_a_witness(strong):
    required = strong.json["terraform"]["required_providers"]["aws"]["version"]

    assert required == f">= 6.22.0, <= {version()}"


def test_the_range_that_needs_it_is_documented():
    document = (REPOSITORY / "docs" / "reference" / "dependencies.md").read_text()

    assert f"`>= 6.22.0, <= {version()}`" in document
    assert f"`>= 6.25.0, <= {version()}`" in document


def test_every_region_but_a_witness_has_an_api(three, witness):
    def apis(stack):
        return Counter(a["provider"] for a in stack.resources("aws_api_gateway_rest_api").values())

    assert apis(three) == {"aws.primary": 1, "aws.secondary": 1, "aws.us-east-2": 1}
    assert apis(witness) == {"aws.primary": 1, "aws.secondary": 1}
    assert {p["region"] for p in witness.json["provider"]["aws"]} == {"us-east-1", "us-west-2"}


def test_no_alarm_and_no_widget_waits_for_a_metric_that_dynamodb_does_not_publish(strong):
    assert "ReplicationLatency" not in strong.text
    assert (
        "ReplicationLatency"
        in Synthesized(
            weather_api.stack.build_stack(
                App(), load(EXAMPLE).model_copy(update={"layout": "single"})
            )
        ).text
    )


def test_the_outputs_say_how_the_table_is_consistent(witness, three):
    for stack, region in ((witness, "us-east-2"), (three, None)):
        values = {name: output["value"] for name, output in stack.json["output"].items()}
        arns = {each: f"arn:aws:dynamodb:{each}:1:table/a" for each in values["regions"]}
        outputs = Outputs.from_json(values | {"table_arns": arns})

        assert (outputs.consistency, outputs.witness_region) == ("strong", region)


def test_all_other_addresses_are_those_of_an_eventually_consistent_environment(witness):
    eventual = (ADDRESSES / "example.txt").read_text().split()

    assert set(witness.addresses()) < set(eventual)
    gone = {re.sub(r"_[0-9A-F]{8}$", "", each) for each in {*eventual} - {*witness.addresses()}}
    assert gone == {
        "aws_dynamodb_table_replica.table_us-west-2",
        "aws_cloudwatch_metric_alarm.primary_alarms_replication_to_us-west-2",
        "aws_cloudwatch_metric_alarm.secondary_alarms_replication_to_us-east-1",
    }


def test_a_replica_without_its_key_is_lost_later(tmp_path):
    with_key = {"customer_managed_key = false": "customer_managed_key = true"}
    strong = synthesized(tmp_path, CHANGES["witness"] | with_key).text
    eventual = synthesized(tmp_path, with_key).text

    assert "is archived or inaccessible for good after seven days" in strong
    assert "20 hours" not in strong
    assert "becomes a separate table for good after 20 hours" in eventual


def test_nothing_dangles(strong):
    assert strong.references() <= set(strong.addresses())


def test_a_stack_of_its_own_finds_its_replica_by_the_tables_arn(tmp_path):
    app = App(outdir=str(tmp_path / "out"))
    weather_api.stack.build_stack(
        app, load(file_of(tmp_path, CHANGES["witness"], layout="regional"))
    )
    app.synth()

    text = (tmp_path / "out" / "stacks" / "strong-us-west-2" / "cdk.tf.json").read_text()
    tables = {
        resource
        for document in json.loads(text)["data"]["aws_iam_policy_document"].values()
        for statement in document["statement"]
        for resource in statement.get("resources", ())
        if "dynamodb_table" in resource
    }
    (arn,) = tables
    assert arn.startswith("${replace(data.terraform_remote_state.")
    assert arn.endswith(', ":us-east-1:", ":us-west-2:")}')
