import pytest
from cdktf import TerraformVariable
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from synthesis import Synthesized, new_stack, providers

from constructs_lib import Customer, Customers, Plan

pytestmark = pytest.mark.unit

GOLD = Plan(name="gold", rate_per_second=5, burst=10, quota=1000, quota_period="DAY")
FREE = Plan(name="free", rate_per_second=1, burst=1)


def synthesize(*customers, plans=(GOLD, FREE), values=None):
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    stage = ApiGatewayStage(
        stack, "stage", provider=provider, rest_api_id="api1", deployment_id="d", stage_name="live"
    )
    secret = TerraformVariable(stack, "secret", type="string", sensitive=True)
    names = [name for customer in customers for name in customer.keys]
    Customers(
        stack, "customers", provider=provider, name="shop", stage=stage, plans=plans,
        customers=customers,
        key_values=dict.fromkeys(names, secret.string_value) if values is None else values,
    )  # fmt: skip
    return Synthesized(stack)


def test_a_plan_opens_one_stage_within_its_limits():
    plans = synthesize().resources("aws_api_gateway_usage_plan")

    gold, free = (next(p for id, p in plans.items() if f"_{n}_plan" in id)
                  for n in ("gold", "free"))  # fmt: skip
    assert gold["name"] == "shop-gold"
    assert len(gold["api_stages"]) == 1
    assert gold["throttle_settings"] == {"rate_limit": 5, "burst_limit": 10}
    assert gold["quota_settings"] == {"limit": 1000, "period": "DAY"}
    assert "quota_settings" not in free


def test_a_customers_keys_belong_to_the_customers_plan():
    synthesized = synthesize(Customer("acme", "gold", ("acme-1", "acme-2")))

    keys = synthesized.resources("aws_api_gateway_api_key").values()
    assert [(key["name"], key["value"]) for key in keys] == [
        ("shop-acme-1", "${var.secret}"), ("shop-acme-2", "${var.secret}"),
    ]  # fmt: skip
    assert {key["tags"]["customer"] for key in keys} == {"acme"}
    memberships = synthesized.resources("aws_api_gateway_usage_plan_key").values()
    assert len(memberships) == 2
    assert all("customers_gold_plan" in m["usage_plan_id"] for m in memberships)


def test_a_customer_who_changes_plan_keeps_the_key_and_its_address():
    before = synthesize(Customer("acme", "free", ("acme-1",)))
    after = synthesize(Customer("acme", "gold", ("acme-1",)))

    assert before.addresses() == after.addresses()
    assert before.only("aws_api_gateway_api_key") == after.only("aws_api_gateway_api_key")


def test_an_unknown_plan_and_a_key_without_value_are_rejected():
    with pytest.raises(ValueError, match="customer 'acme': the plan 'lead' is none of gold, free"):
        synthesize(Customer("acme", "lead", ("acme-1",)))
    with pytest.raises(ValueError, match="the key 'acme-1' has no value"):
        synthesize(Customer("acme", "gold", ("acme-1",)), values={})
