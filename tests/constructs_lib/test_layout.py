"""The layout `regional`: the same resources as in one stack, each in the stack of its part."""

import json
import re
from itertools import pairwise

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.fixed import CHECKED_ENVIRONMENT
from constructs_lib.settings import load
from constructs_lib.settings.stack_names import state_key
from ops.stacks import stacks_of

pytestmark = pytest.mark.unit

GOLDEN = REPOSITORY / "tests" / "constructs_lib" / "addresses" / "regional.txt"
HARDENED = REPOSITORY / "tests" / "hardened" / "local.toml"
DATA, SECONDARY, PRIMARY, ROUTING = STACKS = (
    "local-data",
    "local-us-west-2",
    "local-us-east-1",
    "local-routing",
)
ALIASES = {PRIMARY: ("us-east-1", "primary"), SECONDARY: ("us-west-2", "secondary")}
IN_EVERY_STACK = {"terraform_data.deployed_settings", "terraform_data.settings_are_as_deployed"}
REMOTE = re.compile(
    r"data\.terraform_remote_state\.cross-stack-reference-input-([\w-]+)\.outputs\.([\w-]+)"
)


def synthesized(folder, text, *changes):
    """`{stack: what is synthesized}` in the order of deployment, from the text of a file."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    file = folder / "local.toml"
    file.write_text(text)
    app = App(outdir=str(folder / "out"))
    built = weather_api.stack.build_stack(app, load(file))
    app.synth()
    return {
        stack.node.id: Synthesized(
            (folder / "out" / "stacks" / stack.node.id / "cdk.tf.json").read_text()
        )
        for stack in built.layout.stacks
    }


def regional(text):
    return f'layout = "regional"\n{text}'


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Of the environment with every option on."""
    return synthesized(tmp_path_factory.mktemp("regional"), regional(HARDENED.read_text()))


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    (stack,) = synthesized(tmp_path_factory.mktemp("single"), HARDENED.read_text()).values()
    return stack


def test_addresses_are_the_agreed_ones(stacks):
    """To agree on new ones: write the printed list to the file, and say so in the changelog."""
    lines = [f"{address} {name}" for name, stack in stacks.items() for address in stack.addresses()]
    addresses = "\n".join(lines) + "\n"

    assert addresses == GOLDEN.read_text(), addresses


def test_each_resource_is_in_one_stack_with_the_address_and_the_arguments_of_the_single_one(
    stacks, single
):
    # GIVEN what every stack hands to the others
    handed = {
        (name, output): value["value"].removeprefix("${").removesuffix("}")
        for name, stack in stacks.items()
        for output, value in stack.json["output"].items()
        if output.startswith("cross-stack-output")
    }

    def resolved(arguments):
        text = REMOTE.sub(lambda found: handed[found[1], found[2]], json.dumps(arguments))
        return {key: value for key, value in json.loads(text).items() if key != "//"}

    # WHEN references to other stacks are replaced by what they refer to
    found = {}
    for stack in stacks.values():
        for address, arguments in stack.everything():
            if address.startswith("data.terraform_remote_state"):
                continue
            assert address not in found or address in IN_EVERY_STACK, address
            found[address] = resolved(arguments)

    # THEN each resource is as it is in a single stack
    expected = {address: resolved(arguments) for address, arguments in single.everything()}
    assert found.keys() == expected.keys()
    for address, arguments in expected.items():
        if address.startswith("aws_route53_health_check."):
            # What it waits for is in a stack that is deployed before.
            waits = {*arguments.pop("depends_on", [])} - {*found[address].pop("depends_on", [])}
            assert waits <= {
                f"aws_api_gateway_domain_name.{role}_api_regional_domain_name"
                for role in ("primary", "secondary")
            }
        assert found[address] == arguments, address


def test_the_outputs_are_those_of_the_single_stack_and_in_the_last_one(stacks, single):
    assert stacks[ROUTING].json["output"].keys() == single.json["output"].keys()
    for name in (DATA, PRIMARY, SECONDARY):
        assert {output.partition("_")[0] for output in stacks[name].json["output"]} == {
            "cross-stack-output-aws"
        }


def without_named_regions(arguments):
    """Arguments without comments, and without what a function tells clients of all Regions."""
    arguments = {name: value for name, value in arguments.items() if name != "//"}
    if variables := arguments.get("environment", {}).get("variables"):
        assert {*variables["NAMED_REGIONS"].split()} == {r for r, _ in ALIASES.values()}
        arguments["environment"] = {"variables": variables | {"NAMED_REGIONS": ""}}
    return arguments


@pytest.mark.parametrize("name", [PRIMARY, SECONDARY])
def test_a_regions_stack_reaches_into_no_other_region(stacks, name):
    region, alias = ALIASES[name]
    (other,) = {r for r, _ in ALIASES.values()} - {region}
    stack = stacks[name].json

    # One provider, and of other states only that of the data
    assert [(p["region"], p["alias"]) for p in stack["provider"]["aws"]] == [(region, alias)]
    (remote,) = stack["data"]["terraform_remote_state"].values()
    assert remote["config"]["path"].endswith(f"terraform.{DATA}.tfstate")
    # The other Region is named where one allows or watches something there, as one with a
    # name for clients, and nowhere else
    naming = {
        address
        for address, arguments in stacks[name].everything()
        if other in json.dumps(without_named_regions(arguments)) and address not in IN_EVERY_STACK
    }
    assert {re.sub(r"_alarms_replication_to_.*", "", address) for address in naming} == {
        f"aws_cloudwatch_metric_alarm.{alias}"
    }


def test_only_aliased_providers_are_declared_and_every_resource_names_one(stacks):
    for name, stack in stacks.items():
        aliases = {f"aws.{provider['alias']}" for provider in stack.json["provider"]["aws"]}
        assert None not in aliases
        for address, arguments in stack.everything():
            if address.removeprefix("data.").startswith("aws_"):
                assert arguments["provider"] in aliases, (name, address)


def test_every_provider_waits_until_what_is_fixed_was_compared(stacks):
    for stack in stacks.values():
        for provider in stack.json["provider"]["aws"]:
            assert provider["default_tags"][0]["tags"]["environment"] == CHECKED_ENVIRONMENT
        compared = stack.resources("terraform_data")["settings_are_as_deployed"]
        assert compared["input"] == {"environment": "local"}


def test_no_reference_dangles(stacks):
    for name, stack in stacks.items():
        assert stack.references() <= {*stack.addresses()}, name


def test_data_is_deployed_first_and_the_primary_after_the_secondary(stacks):
    assert tuple(stacks) == STACKS


@pytest.mark.parametrize("routing_policy", ["failover", "latency", "weighted"])
def test_no_two_regions_are_deployed_at_once(tmp_path, routing_policy):
    """As cdktf reads it: a stack waits for those that it depends on; the primary is the last."""
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    three = (
        f'regions = ["us-east-1", "us-west-2", "eu-west-1"]\nrouting_policy = "{routing_policy}"'
    )
    file = regional(text).replace('regions = ["us-east-1", "us-west-2"]', three)
    stacks = list(synthesized(tmp_path, file))

    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())["stacks"]
    assert stacks == [
        "local-data", "local-eu-west-1", "local-us-west-2", "local-us-east-1", "local-routing",
    ]  # fmt: skip
    for earlier, later in pairwise(stacks):
        assert earlier in manifest[later]["dependencies"]
    # AND as the operator's tool does
    assert [folder.name for folder in stacks_of("local", tmp_path / "out")] == stacks


@pytest.mark.parametrize("regions", [("us-west-2", "us-east-1"), ("us-west-2", "eu-west-1")])
def test_alarms_on_health_checks_are_in_us_east_1_wherever_the_regions_are(tmp_path, regions):
    text = regional(HARDENED.read_text()).replace(
        '"us-east-1", "us-west-2"', ", ".join(f'"{region}"' for region in regions)
    )
    stacks = synthesized(tmp_path, text)
    routing = stacks[ROUTING]

    regions_of = {f"aws.{p['alias']}": p["region"] for p in routing.json["provider"]["aws"]}
    alarms = routing.resources("aws_cloudwatch_metric_alarm").values()
    assert {regions_of[alarm["provider"]] for alarm in alarms} == {"us-east-1"}
    # A topic of the Region's own stack is used
    assert len(routing.resources("aws_sns_topic")) == ("us-east-1" not in regions)


def test_each_stack_has_a_state_of_its_own(tmp_path):
    stacks = synthesized(
        tmp_path,
        (REPOSITORY / "environments" / "example.toml").read_text(),
        ('key = "failover-api/example.tfstate"', 'key = "apis/production.tfstate"'),
    )

    backends = {name: stack.json["terraform"]["backend"]["s3"] for name, stack in stacks.items()}
    assert {name: backend["key"] for name, backend in backends.items()} == {
        name: f"apis/production-{name.removeprefix('local-')}.tfstate" for name in STACKS
    }
    assert all(backend["use_lockfile"] for backend in backends.values())
    (remote,) = stacks[PRIMARY].json["data"]["terraform_remote_state"].values()
    assert remote["config"] == {
        key: backends[DATA][key] for key in ("bucket", "encrypt", "key", "region")
    }


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.b/prod.tfstate", "a.b/prod-data.tfstate"),
        ("prod", "prod-data"),
        ("a/.tfstate", "a/.tfstate-data"),
    ],
)
def test_a_state_key_gets_the_part_before_its_suffix(key, expected):
    assert state_key(key, "data") == expected
    assert state_key(key, "") == key
