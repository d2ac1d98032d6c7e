"""The whole stack of each shipped environment, and the foreign API, as parsed JSON."""

import json
import re
from collections import Counter

import pytest
from cdktf import App
from repository_files import REPOSITORY, SHIPPED
from synthesis import Synthesized, in_one_stack

import weather_api.operations
import weather_api.stack
from constructs_lib import Authorization, Evacuation, FailoverApiStack, Key, Outputs
from constructs_lib.dynamodb.global_table import READ_ACTIONS, WRITE_ACTIONS
from constructs_lib.fixed import CHECKED_ENVIRONMENT
from constructs_lib.settings import load
from constructs_lib.settings.validation import OWN_TAGS
from examples.shop import main as shop

pytestmark = pytest.mark.unit

GOLDEN = REPOSITORY / "tests" / "constructs_lib" / "addresses"
HARDENED = REPOSITORY / "tests" / "hardened" / "local.toml"
STACKS = [*SHIPPED, "hardened", "orders"]


def failover_stack(path):
    return weather_api.stack.build_stack(App(), in_one_stack(path))


@pytest.fixture(scope="module")
def stacks():
    files = {name: REPOSITORY / "environments" / f"{name}.toml" for name in SHIPPED}
    built = {
        name: Synthesized(failover_stack(path))
        for name, path in (files | {"hardened": HARDENED}).items()
    }
    return built | {"orders": Synthesized(shop.build(App()))}


@pytest.fixture(params=STACKS)
def stack(request, stacks):
    return stacks[request.param]


@pytest.fixture(scope="module")
def local(stacks):
    return stacks["local"]


@pytest.fixture(scope="module")
def hardened(stacks):
    return stacks["hardened"]


def test_only_aliased_providers_are_declared(stack):
    assert all(provider["alias"] for provider in stack.json["provider"]["aws"])


def test_every_resource_names_its_provider_alias(stack):
    aliases = {f"aws.{provider['alias']}" for provider in stack.json["provider"]["aws"]}

    assert {
        arguments.get("provider")
        for address, arguments in stack.everything()
        # Terraform's own, which are in no Region.
        if not address.startswith("terraform_data.")
    } <= aliases


def test_functions_learn_the_table_the_url_and_how_fast_a_clock_may_be(local):
    for function in local.resources("aws_lambda_function").values():
        assert function["environment"]["variables"] == {
            "TABLE_NAME": "weather-observations",
            "API_URL": "https://weather.example.com/v1",
            "CLOCK_TOLERANCE_SECONDS": "300",
        }


def test_functions_of_every_region_learn_which_regions_have_their_own_names(stacks):
    functions = stacks["hardened"].resources("aws_lambda_function").values()

    named = {each["environment"]["variables"]["NAMED_REGIONS"] for each in functions}
    assert named == {"us-east-1 us-west-2"}


def test_the_tags_of_its_own_are_those_that_the_settings_reserve(stacks):
    # GIVEN every tag that the stack sets itself, with the provider's defaults
    defaults = stacks["local"].json["provider"]["aws"][0]["default_tags"][0]["tags"]
    own = {
        key for _, arguments in stacks["hardened"].everything() for key in arguments.get("tags", {})
    }

    # THEN the settings know them all
    assert own | (defaults.keys() - {"application"}) == set(OWN_TAGS)
    # AND Route 53, which takes 10 tags, gets at most two beside the user's eight
    for type in ("aws_route53_health_check", "aws_route53_zone"):
        for arguments in stacks["hardened"].resources(type).values():
            assert arguments.get("tags", {}).keys() <= {"Name"}, type


@pytest.mark.parametrize("name", [*SHIPPED, "hardened"])
def test_every_resource_has_the_provider_of_its_own_region(stacks, name):
    for address, arguments in stacks[name].everything():
        if address.startswith("terraform_data."):
            continue
        logical_id = address.rpartition(".")[2]
        secondary = logical_id.startswith("secondary_") or re.match(
            r"(table|key)_.*us-west-2|records_key", logical_id
        )
        assert arguments["provider"] == ("aws.secondary" if secondary else "aws.primary"), address


@pytest.mark.parametrize("name", [*SHIPPED, "hardened"])
def test_both_regions_have_the_same_resources(stacks, name):
    counted = {
        role: Counter(
            address.partition(".")[0]
            for address, _ in stacks[name].everything()
            # Alarms on health checks exist in us-east-1 only, and only one Region is the secondary.
            if address.rpartition(".")[2].startswith(role)
            and not re.search("_alarms_(health_of|secondary_serves)_", address)
        )
        for role in ("primary_", "secondary_")
    }

    assert counted["primary_"] == counted["secondary_"]


def needed_by(stack, address):
    """Every resource that a plan of one needs, itself among them."""
    arguments, needed, left = dict(stack.everything()), set(), [address]
    while left:
        if (found := left.pop()) not in needed:
            needed.add(found)
            left += re.findall(
                r"(?:data\.)?aws_[a-z0-9_]+\.[A-Za-z0-9_-]+", json.dumps(arguments[found])
            )
    return needed


MAY_EXIST_TWICE = {
    "aws_acm_certificate",
    "aws_api_gateway_deployment",
    "aws_api_gateway_request_validator",
    "aws_api_gateway_rest_api",
    "aws_route53_health_check",
}
"""Types whose names, if they have any, AWS does not compare."""
PART_OF_A_DEFINITION = {
    f"aws_api_gateway_{part}"
    for part in ("gateway_response", "integration", "method", "model", "resource")
}
"""What a deployment must come after; a stage serves a snapshot, whatever becomes of these."""
BEFORE_A_CHECK_MOVES = {
    "aws_acm_certificate_validation",
    "aws_api_gateway_domain_name",
    "aws_route53_record",
    "aws_route53_zone",
}
"""What a health check needs that calls a name of its Region; a second one is refused."""


def created_before_destroyed(stack):
    """Every resource that Terraform replaces so: those that say it, and all that they need."""
    return {
        needed
        for address, arguments in stack.everything()
        if arguments.get("lifecycle", {}).get("create_before_destroy")
        for needed in needed_by(stack, address)
        if not needed.startswith("data.")
    }


def test_what_is_created_before_it_is_destroyed_may_exist_twice(stacks):
    """A name that exists is refused: a function whose creation failed could never be replaced."""
    for name, stack in stacks.items():
        types = {address.partition(".")[0] for address in created_before_destroyed(stack)}

        assert types >= MAY_EXIST_TWICE
        assert types - MAY_EXIST_TWICE - PART_OF_A_DEFINITION == (
            BEFORE_A_CHECK_MOVES if name == "hardened" else set()
        ), name


def test_what_would_be_put_and_then_deleted_is_not_replaced_while_the_table_is_protected(stacks):
    def prevented(stack, *types):
        return {
            arguments.get("lifecycle", {}).get("prevent_destroy", False)
            for type in types
            for arguments in stack.resources(f"aws_{type}").values()
        }

    # A definition's other parts are refused if they exist.
    types = ("api_gateway_gateway_response", "api_gateway_integration", "api_gateway_stage")
    tables = ("dynamodb_table", "dynamodb_table_replica", "route53_zone")
    assert prevented(stacks["example"], *types, *tables) == {True}
    assert prevented(stacks["local"], *types, *tables) == {False}


def test_a_further_region_keeps_every_address_and_its_arguments(local, tmp_path):
    # GIVEN the same environment with a third Region at the end
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    (tmp_path / "local.toml").write_text(
        text.replace('"us-east-1", "us-west-2"', '"us-east-1", "us-west-2", "eu-west-1"')
    )
    more = dict(Synthesized(failover_stack(tmp_path / "local.toml")).everything())

    # THEN what the two have is as it was, but for what knows of all Regions
    changed = {address for address, arguments in local.everything() if more[address] != arguments}
    assert changed == {
        "terraform_data.deployed_settings",
        "terraform_data.settings_are_as_deployed",
        "data.aws_iam_policy_document.publisher_document_E6B3EC46",
        "aws_route53_record.dns_secondary_A",
        "aws_route53_record.dns_secondary_AAAA",
        # The third is asked whether one of the first two is evacuated.
        "aws_route53_health_check.dns_primary_health_check",
        "aws_route53_health_check.dns_secondary_health_check",
    }


def test_alias_and_cname_records_are_not_exchanged_by_a_deployment(tmp_path, local):
    file = tmp_path / "local.toml"
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    file.write_text(text.replace("[domain]", "[domain]\nttl_seconds = 10"))
    shorter = Synthesized(weather_api.stack.build_stack(App(), load(file)))

    alias, cname = (
        each.resources("terraform_data")["deployed_settings"]["input"]["routing_policy"]
        for each in (local, shorter)
    )

    # Those of an environment that is deployed already: no new setting that its state would lack.
    assert alias == "failover"
    assert cname == "failover by CNAME records (ttl_seconds below 60)"


def test_what_is_fixed_once_deployed_is_kept_and_compared(local):
    data = local.resources("terraform_data")

    kept = data["deployed_settings"]
    assert kept["lifecycle"] == {"ignore_changes": ["input"]}
    assert kept["input"]["api.stage"] == "v1"
    compared = data["settings_are_as_deployed"]["lifecycle"]["precondition"]
    assert len(compared) == len(kept["input"])
    for name, value in kept["input"].items():
        (error,) = [e["error_message"] for e in compared if e["error_message"].startswith(name)]
        assert f"and {value} in its file" in error
        assert error.endswith("See docs/reference/changes.md.")


@pytest.mark.parametrize("name", [*SHIPPED, "hardened"])
def test_every_provider_waits_until_what_is_fixed_was_compared(stacks, name):
    """Under the provider of another Region, what is deployed would be errors of its own."""
    for provider in stacks[name].json["provider"]["aws"]:
        (defaults,) = provider["default_tags"]
        # An argument of the configuration: no other attribute is known in a first plan.
        assert defaults["tags"]["environment"] == CHECKED_ENVIRONMENT
    compared = stacks[name].resources("terraform_data")["settings_are_as_deployed"]
    environment = stacks[name].json["output"]["environment"]["value"]
    assert compared["input"] == {"environment": environment}


def limits_of_the_secondary(stack):
    (address,) = [
        f"aws_api_gateway_method_settings.{id}"
        for id in stack.resources("aws_api_gateway_method_settings")
        if id.startswith("secondary_") and "get_" not in id
    ]
    return address


def test_a_plan_of_the_secondarys_limits_needs_nothing_of_the_primary(local):
    """See docs/how-to/regional-outage.md."""
    arguments = dict(local.everything())
    needed = needed_by(local, limits_of_the_secondary(local))

    assert len(needed) > 20
    assert {arguments[address]["provider"] for address in needed} == {"aws.secondary"}


def test_with_a_customer_managed_key_it_needs_the_key_of_the_primary_only(hardened):
    arguments = dict(hardened.everything())
    of_primary = {
        address
        for address in needed_by(hardened, limits_of_the_secondary(hardened))
        if arguments[address]["provider"] == "aws.primary"
    }

    # A policy document is made by Terraform itself.
    types = {address.removeprefix("data.").partition(".")[0] for address in of_primary}
    assert types == {"aws_kms_key", "aws_iam_policy_document"}


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
            if statement.get("sid") not in ("AccountDecidesByIam", "DenyWithoutTls"):
                assert not [action for action in statement["actions"] if "*" in action]
            if "*" in statement.get("resources", []):
                # In the policy of a key, that is the key.
                assert statement["sid"] in (
                    "SendTraces", "AccountDecidesByIam", "LogGroupsOfThisAccount",
                    "AlarmsOfThisAccount", "DeliverLog",
                )  # fmt: skip


@pytest.mark.parametrize("name", [*SHIPPED, "hardened"])
def test_every_function_is_granted_what_its_operation_needs_and_no_more(stacks, name):
    for operation in weather_api.operations.OPERATIONS:
        for role in ("primary", "secondary"):
            granted = [
                action
                for logical_id, document in stacks[name].data("aws_iam_policy_document").items()
                if logical_id.startswith(f"{role}_api_{operation.name}_role_table_")
                for statement in document["statement"]
                for action in statement["actions"]
                if not action.startswith("kms:")
            ]
            assert sorted(granted) == sorted(operation.access), operation.name


def test_a_function_uses_its_own_regions_key_through_dynamodb_only(hardened):
    keys = {"primary": "aws_kms_key.key_key", "secondary": "aws_kms_replica_key.key_us-west-2"}
    regions = {"primary": "us-east-1", "secondary": "us-west-2"}
    seen = 0
    for logical_id, document in hardened.data("aws_iam_policy_document").items():
        for statement in document["statement"]:
            role = logical_id.partition("_")[0]
            if role in keys and any(a.startswith("kms:") for a in statement["actions"]):
                seen += 1
                assert statement["resources"] == [f"${{{keys[role]}.arn}}"]
                (condition,) = statement["condition"]
                assert condition["values"] == [f"dynamodb.{regions[role]}.amazonaws.com"]
    assert seen == 2 * len(
        [
            kind
            for operation in weather_api.operations.OPERATIONS
            for kind in (READ_ACTIONS, WRITE_ACTIONS)
            if set(operation.access) & set(kind)
        ]
    )


def test_table_replica_and_every_log_use_the_customer_managed_key_of_their_region(hardened):
    keys = {"primary": "${aws_kms_key.key_key.arn}",
            "secondary": "${aws_kms_replica_key.key_us-west-2.arn}"}  # fmt: skip
    assert hardened.only("aws_dynamodb_table")["server_side_encryption"] == {
        "enabled": True, "kms_key_arn": keys["primary"],
    }  # fmt: skip
    assert hardened.only("aws_dynamodb_table_replica")["kms_key_arn"] == keys["secondary"]
    for logical_id, log in hardened.resources("aws_cloudwatch_log_group").items():
        # The zone's queries are logged in us-east-1, which is the primary Region.
        role = logical_id.partition("_")[0].replace("query", "primary")
        assert log["kms_key_id"] == keys[role]


def test_health_checks_call_the_regions_own_names_where_the_endpoint_is_closed(hardened):
    apis = hardened.resources("aws_api_gateway_rest_api").values()
    checks = hardened.resources("aws_route53_health_check").values()

    assert [api["disable_execute_api_endpoint"] for api in apis] == [True, True]
    assert {check["fqdn"] for check in checks if check["type"] == "HTTPS"} == {
        "us-east-1.weather.example.com", "us-west-2.weather.example.com",
    }  # fmt: skip
    assert hardened.json["output"]["region_urls"]["value"] == {
        region: f"https://{region}.weather.example.com/v1" for region in ("us-east-1", "us-west-2")
    }


def test_concurrency_is_kept_for_what_health_checks_call_and_for_nothing_else(hardened):
    reserved = {
        function["handler"]: function.get("reserved_concurrent_executions")
        for function in hardened.resources("aws_lambda_function").values()
    }

    assert {handler for handler, kept in reserved.items() if kept == 10} == {
        "get_health.handler", "get_evacuation.handler",
    }  # fmt: skip
    assert set(reserved.values()) == {10, None}


def test_state_is_local_or_in_a_locked_encrypted_bucket(stacks):
    assert stacks["local"].json["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.local.tfstate"}
    }
    assert stacks["example"].json["terraform"]["backend"] == {
        "s3": {
            "bucket": "example-terraform-state",
            "key": "failover-api/example.tfstate",
            "region": "us-east-2",
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
                        "environment": CHECKED_ENVIRONMENT,
                        "team": "platform",
                    }
                }
            ],
        }
        for alias, region in (("primary", "us-east-1"), ("secondary", "us-west-2"))
    ]


def test_every_output_of_the_contract_is_emitted_with_its_description(local):
    descriptions = {name: output["description"] for name, output in local.json["output"].items()}

    # What other routing adds: tests/constructs_lib/route53/test_routing_model.py.
    other = {"weights", "failover_names", "ttl_seconds"}
    # And other settings: test_strong_consistency.py, test_zone_options.py, and manual failback and
    # fenced writes in tests/weather_api/.
    other |= {"consistency", "witness_region", "accelerated_recovery", "query_log_group_arn"}
    other |= {"failback", "fencing", "objectives", "records_key_arn", "state"}
    # tests/constructs_lib/fis/test_replication_pause.py
    other |= {"experiment_template_ids"}
    assert descriptions == {n: d for n, d in Outputs.descriptions().items() if n not in other}


@pytest.mark.parametrize("name", [*SHIPPED, "hardened"])
def test_the_emitted_outputs_are_what_the_operators_tool_reads(stacks, name):
    emitted = {name: output["value"] for name, output in stacks[name].json["output"].items()}
    # What Terraform knows at deployment only, and the tool reads parts of.
    arns = {each: f"arn:aws:dynamodb:{each}:123456789012:table/a" for each in emitted["regions"]}
    emitted |= {"name_servers": ["ns-1.example.org"], "table_arns": arns}

    assert Outputs.from_json(emitted).to_json() == emitted


def test_outputs_hold_the_regions_in_order(local):
    outputs = local.json["output"]

    assert outputs["environment"]["value"] == "local"
    # Terraform sorts the keys of a map: only a list keeps the order of the Regions.
    assert outputs["regions"]["value"] == ["us-east-1", "us-west-2"]
    assert outputs["api_url"]["value"] == "https://weather.example.com/v1"
    for name in ("api_ids", "domain_targets", "health_check_ids", "region_urls", "table_arns"):
        assert list(outputs[name]["value"]) == ["us-east-1", "us-west-2"]
    assert (
        outputs["region_urls"]["value"]["us-west-2"] == outputs["secondary_api_endpoint"]["value"]
    )


def test_a_key_has_the_same_sensitive_value_in_every_region(local):
    assert local.json["variable"]["api_keys"]["sensitive"] is True
    keys = local.resources("aws_api_gateway_api_key")
    for name in ("demo-1", "visitor-1"):
        here = {id: key["value"] for id, key in keys.items() if f"_{name}_key" in id}
        assert {id.partition("_")[0] for id in here} == {"primary", "secondary"}
        assert set(here.values()) == {f'${{var.api_keys["local"]["{name}"]}}'}


def test_a_missing_key_value_is_reported_with_the_command_that_makes_it(local):
    rules = local.json["variable"]["api_keys"]["validation"]

    assert all("python -m ops customers issue --environment local" in r["error_message"]
               for r in rules)  # fmt: skip
    assert "demo-1, visitor-1" in rules[0]["error_message"]


def test_the_publishers_policy_names_the_signed_methods_of_both_regions_and_nothing_else(local):
    document = local.data("aws_iam_policy_document")["publisher_document_E6B3EC46"]

    assert {tuple(s["actions"]) for s in document["statement"]} == {("execute-api:Invoke",)}
    allowed = [
        resource.partition("execution_arn}/")[2]
        for statement in document["statement"]
        for resource in statement["resources"]
    ]
    signed = [
        f"v1/{o.method}{o.path_pattern}"
        for o in weather_api.operations.OPERATIONS
        if o.authorization is Authorization.IAM
    ]
    assert allowed == signed * 2


def test_health_checks_call_the_apis_own_host_name_and_never_the_custom_domains(local):
    checks = [
        check
        for check in local.resources("aws_route53_health_check").values()
        if check["type"] == "HTTPS"
    ]

    assert len(checks) == 4
    for check in checks:
        assert "aws_api_gateway_rest_api" in check["fqdn"]
        assert ".execute-api." in check["fqdn"]
        assert check["resource_path"].startswith("/v1/health")


def test_a_region_is_in_service_while_healthy_and_the_other_does_not_report_it_evacuated(local):
    checks = local.resources("aws_route53_health_check")
    output = local.json["output"]["evacuation"]["value"]

    assert output["path"] == "/v1/health/evacuations/{region}"
    for role, region, other in (
        ("primary", "us-east-1", "secondary"),
        ("secondary", "us-west-2", "primary"),
    ):
        asking = f"dns_{role}_evacuation_in_{other}_health_check"
        assert checks[f"dns_{role}_health_check"]["child_healthchecks"] == [
            f"${{aws_route53_health_check.dns_{role}_endpoint_health_check.id}}",
            f"${{aws_route53_health_check.{asking}.id}}",
        ]
        assert checks[asking]["resource_path"] == f"/v1/health/evacuations/{region}"
        assert f"{other}_api" in checks[asking]["fqdn"]
        assert list(output["health_check_ids"][region].values()) == [
            f"${{aws_route53_health_check.{asking}.id}}"
        ]


@pytest.mark.parametrize("argument", ["health_operation", "evacuation"])
def test_an_operation_that_is_none_is_rejected(argument):
    arguments = {
        "operations": weather_api.operations.OPERATIONS,
        "health_operation": weather_api.operations.HEALTH_OPERATION,
        "functions": weather_api.operations.FUNCTIONS,
        "partition_key": Key("pk"),
    } | {argument: "pulse" if argument == "health_operation" else Evacuation("pulse", {})}
    with pytest.raises(ValueError, match="operation 'pulse' is none of get_health"):
        FailoverApiStack(
            App(), settings=load(REPOSITORY / "environments" / "local.toml"), **arguments
        )
