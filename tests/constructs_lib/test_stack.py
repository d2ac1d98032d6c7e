"""The whole stack of each shipped environment, and the foreign API, as parsed JSON."""

from collections import Counter

import foreign_api
import pytest
from cdktf import App
from repository_files import REPOSITORY, SHIPPED
from synthesis import Synthesized

import weather_api
from constructs_lib.dynamodb import Key
from constructs_lib.settings import load
from constructs_lib.stack import FailoverApiStack, Switch

pytestmark = pytest.mark.unit

GOLDEN = REPOSITORY / "tests" / "constructs_lib" / "addresses"
STACKS = [*SHIPPED, "orders"]


def failover_stack(name):
    return weather_api.build_stack(App(), load(REPOSITORY / "environments" / f"{name}.toml"))


@pytest.fixture(scope="module")
def stacks():
    built = {name: Synthesized(failover_stack(name)) for name in SHIPPED}
    return built | {"orders": Synthesized(foreign_api.build(App()))}


@pytest.fixture(params=STACKS)
def stack(request, stacks):
    return stacks[request.param]


@pytest.fixture(scope="module")
def local(stacks):
    return stacks["local"]


def test_only_aliased_providers_are_declared(stack):
    assert all(provider["alias"] for provider in stack.json["provider"]["aws"])


def test_every_resource_names_its_provider_alias(stack):
    aliases = {f"aws.{provider['alias']}" for provider in stack.json["provider"]["aws"]}

    assert {arguments.get("provider") for _, arguments in stack.everything()} <= aliases


@pytest.mark.parametrize("name", SHIPPED)
def test_every_resource_stands_under_the_provider_of_its_own_region(stacks, name):
    for address, arguments in stacks[name].everything():
        logical_id = address.rpartition(".")[2]
        secondary = logical_id.startswith("secondary_") or logical_id == "table_us-west-2"
        assert arguments["provider"] == ("aws.secondary" if secondary else "aws.primary"), address


@pytest.mark.parametrize("name", SHIPPED)
def test_both_regions_have_the_same_resources(stacks, name):
    counted = {
        role: Counter(
            address.partition(".")[0]
            for address, _ in stacks[name].everything()
            if address.rpartition(".")[2].startswith(role)
        )
        for role in ("primary_", "secondary_")
    }

    assert counted["primary_"] == counted["secondary_"]


def test_no_two_records_claim_one_name_type_and_set_identifier(stack):
    claims = Counter(
        (record["name"], record["type"], record.get("set_identifier"))
        for record in stack.resources("aws_route53_record").values()
    )

    assert claims
    assert set(claims.values()) == {1}


def test_no_reference_dangles(stack):
    references = stack.references()

    assert len(references) > 20
    assert references <= set(stack.addresses())


def test_names_of_global_resources_are_unique(stack):
    names = [role["name"] for role in stack.resources("aws_iam_role").values()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", STACKS)
def test_addresses_are_the_agreed_ones(stacks, name):
    """To agree on new ones: write the printed list to the file, and say so in the changelog."""
    addresses = "\n".join(stacks[name].addresses()) + "\n"

    assert addresses == (GOLDEN / f"{name}.txt").read_text(), addresses


def test_no_action_and_no_resource_is_a_wildcard_but_where_aws_has_no_finer_grain(stack):
    for document in stack.data("aws_iam_policy_document").values():
        for statement in document["statement"]:
            assert not [action for action in statement["actions"] if "*" in action]
            if "*" in statement.get("resources", []):
                assert statement["sid"] == "SendTraces"


def test_every_function_may_do_on_the_table_what_its_module_says_and_no_more(local):
    for operation in weather_api.OPERATIONS:
        for role in ("primary", "secondary"):
            granted = [
                action
                for logical_id, document in local.data("aws_iam_policy_document").items()
                if logical_id.startswith(f"{role}_api_{operation.name}_role_table_")
                for statement in document["statement"]
                for action in statement["actions"]
            ]
            assert sorted(granted) == sorted(operation.access), operation.name


def test_the_provider_range_covers_what_is_emitted_and_tested(local):
    assert local.json["terraform"]["required_providers"]["aws"] == {
        "source": "hashicorp/aws",
        "version": ">= 5.100.0, < 7.0.0",
    }


def test_state_is_local_or_in_a_locked_encrypted_bucket(stacks):
    assert stacks["local"].json["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.local.tfstate"}
    }
    assert stacks["example"].json["terraform"]["backend"] == {
        "s3": {
            "bucket": "example-terraform-state",
            "key": "failover-api/example.tfstate",
            "region": "us-west-2",
            "encrypt": True,
            "use_lockfile": True,
        }
    }


def test_providers_carry_region_accounts_and_tags(stacks):
    assert stacks["example"].json["provider"]["aws"] == [
        {
            "alias": alias,
            "region": region,
            "allowed_account_ids": ["111122223333"],
            "default_tags": [
                {
                    "tags": {
                        "application": "weather-api",
                        "environment": "example",
                        "team": "platform",
                    }
                }
            ],
        }
        for alias, region in (("primary", "us-east-1"), ("secondary", "us-west-2"))
    ]


def test_outputs_cover_what_operators_and_the_original_readme_use(local):
    outputs = local.json["output"]

    assert set(outputs) == {
        "api_ids", "api_url", "certificate_arns", "domain_targets", "endpoint_health_check_ids",
        "health_check_ids", "health_functions", "health_path", "name_servers",
        "primary_api_endpoint", "record_name", "region_urls", "regions", "routing_policy",
        "secondary_api_endpoint", "switch", "table_arns", "table_name", "zone_id", "zone_name",
    }  # fmt: skip
    # Terraform sorts the keys of a map: only a list keeps the order of the Regions.
    assert outputs["regions"]["value"] == ["us-east-1", "us-west-2"]
    assert outputs["api_url"]["value"] == "https://weather.example.com/v1"
    for name in ("api_ids", "domain_targets", "health_check_ids", "region_urls", "table_arns"):
        assert list(outputs[name]["value"]) == ["us-east-1", "us-west-2"]
    assert (
        outputs["region_urls"]["value"]["us-west-2"] == outputs["secondary_api_endpoint"]["value"]
    )


def test_the_api_key_is_one_sensitive_value_for_every_region(local):
    assert local.json["variable"]["api_key_value"]["sensitive"] is True
    keys = local.resources("aws_api_gateway_api_key").values()
    assert [key["value"] for key in keys] == ["${var.api_key_value}"] * 2


def test_health_checks_call_the_apis_own_host_name_and_never_the_custom_domains(local):
    checks = [
        check
        for check in local.resources("aws_route53_health_check").values()
        if check["type"] == "HTTPS"
    ]

    assert len(checks) == 3
    for check in checks:
        assert "aws_api_gateway_rest_api" in check["fqdn"]
        assert ".execute-api." in check["fqdn"]
        assert check["resource_path"].startswith("/v1/health")


def test_the_primary_is_in_service_while_healthy_and_not_switched(local):
    checks = local.resources("aws_route53_health_check")

    assert checks["dns_primary_health_check"]["child_healthchecks"] == [
        "${aws_route53_health_check.dns_primary_endpoint_health_check.id}",
        "${aws_route53_health_check.dns_switch_health_check.id}",
    ]
    switch = checks["dns_switch_health_check"]
    assert switch["resource_path"] == "/v1/health/switch"
    assert "secondary_api" in switch["fqdn"]
    output = local.json["output"]["switch"]["value"]
    assert (output["region"], output["path"]) == ("us-west-2", "/v1/health/switch")


@pytest.mark.parametrize("argument", ["health_operation", "switch"])
def test_an_operation_that_is_none_is_refused(argument):
    arguments = {
        "operations": weather_api.OPERATIONS,
        "health_operation": weather_api.HEALTH_OPERATION,
        "functions": weather_api.FUNCTIONS,
        "partition_key": Key("pk"),
    } | {argument: "pulse" if argument == "health_operation" else Switch("pulse", {})}
    with pytest.raises(ValueError, match="operation 'pulse' is none of get_health"):
        FailoverApiStack(
            App(), settings=load(REPOSITORY / "environments" / "local.toml"), **arguments
        )
