import pytest
from cdktf import TerraformVariable
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from synthesis import Synthesized, new_stack, providers

from constructs_lib.api import UsagePlan

pytestmark = pytest.mark.unit


def test_a_plan_opens_one_stage_with_its_keys():
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    stage = ApiGatewayStage(
        stack, "stage", provider=provider, rest_api_id="api1", deployment_id="d", stage_name="live"
    )
    secret = TerraformVariable(stack, "secret", type="string", sensitive=True)
    UsagePlan(
        stack, "plan", provider=provider, name="gold", stage=stage,
        key_values={"shop": secret.string_value}, rate_per_second=5, burst=10,
    )  # fmt: skip
    synthesized = Synthesized(stack)

    plan = synthesized.only("aws_api_gateway_usage_plan")
    assert len(plan["api_stages"]) == 1
    assert plan["throttle_settings"] == {"rate_limit": 5, "burst_limit": 10}
    key = synthesized.only("aws_api_gateway_api_key")
    assert (key["name"], key["value"]) == ("gold-shop", "${var.secret}")
    membership = synthesized.only("aws_api_gateway_usage_plan_key")
    assert "aws_api_gateway_api_key." in membership["key_id"]
