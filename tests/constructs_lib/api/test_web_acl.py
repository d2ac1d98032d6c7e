import pytest
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from synthesis import Synthesized, new_stack, providers

from constructs_lib import WebAcl

pytestmark = pytest.mark.unit


def synthesize(**arguments):
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    stage = ApiGatewayStage(
        stack, "stage", provider=provider, rest_api_id="api1", deployment_id="d", stage_name="live"
    )
    WebAcl(
        stack, "acl", provider=provider, region="eu-west-1", name="shop", stage=stage, **arguments
    )
    return Synthesized(stack)


@pytest.fixture(scope="module")
def synthesized():
    return synthesize(requests_per_five_minutes=500)


def test_health_checkers_of_the_region_pass_before_every_other_rule(synthesized):
    first, *others = sorted(
        synthesized.only("aws_wafv2_web_acl")["rule"], key=lambda rule: rule["priority"]
    )
    addresses = synthesized.only("aws_wafv2_ip_set")
    (checkers,) = synthesized.data("aws_ec2_managed_prefix_list").values()

    assert first["action"] == {"allow": {}}
    assert "aws_wafv2_ip_set" in str(first["statement"]["ip_set_reference_statement"])
    assert checkers["name"] == "com.amazonaws.eu-west-1.route53-healthchecks"
    assert "aws_ec2_managed_prefix_list" in addresses["addresses"]
    assert not [rule for rule in others if rule.get("action") == {"allow": {}}]


def test_common_rules_and_the_rate_of_an_address_block(synthesized):
    _, *managed, rate = synthesized.only("aws_wafv2_web_acl")["rule"]

    assert [rule["statement"]["managed_rule_group_statement"]["name"] for rule in managed] == [
        "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet",
    ]  # fmt: skip
    assert [rule["override_action"] for rule in managed] == [{"none": {}}] * 2
    assert rate["statement"]["rate_based_statement"]["limit"] == 500
    assert rate["action"] == {"block": {}}


def test_no_sample_of_a_request_is_kept_because_it_would_show_keys(synthesized):
    acl = synthesized.only("aws_wafv2_web_acl")

    for part in (acl, *acl["rule"]):
        assert part["visibility_config"]["sampled_requests_enabled"] is False


def test_it_protects_the_stage(synthesized):
    association = synthesized.only("aws_wafv2_web_acl_association")

    assert association["resource_arn"] == "${aws_api_gateway_stage.stage.arn}"


def test_it_may_count_only():
    first, *managed, rate = synthesize(action="count").only("aws_wafv2_web_acl")["rule"]

    assert first["action"] == {"allow": {}}
    assert [rule["override_action"] for rule in managed] == [{"count": {}}] * 2
    assert rate["action"] == {"count": {}}
