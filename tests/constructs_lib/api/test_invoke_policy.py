import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib import FunctionPackage, InvokePolicy, RegionalApi
from examples.shop import main as shop

pytestmark = pytest.mark.unit


def policy_in(stack, operations):
    (provider,) = providers(stack, "eu-west-1").values()
    api = RegionalApi(
        stack, "api", provider=provider, region="eu-west-1", name="orders", stage_name="live",
        operations=shop.OPERATIONS,
        package=FunctionPackage(stack, "package", source=shop.FUNCTIONS),
    )  # fmt: skip
    return InvokePolicy(
        stack, "callers", provider=provider, name="callers", apis={"eu-west-1": api},
        operations=operations,
    )  # fmt: skip


def test_each_signed_operation_is_allowed_by_method_and_path():
    stack = new_stack()
    policy_in(stack, shop.OPERATIONS)
    synthesized = Synthesized(stack)

    (document,) = [
        d for id, d in synthesized.data("aws_iam_policy_document").items() if "callers" in id
    ]
    (statement,) = document["statement"]
    assert statement["sid"] == "CallEuWest1"
    assert statement["actions"] == ["execute-api:Invoke"]
    (resource,) = statement["resources"]
    assert resource.endswith(".execution_arn}/live/POST/shops/*/orders")
    assert synthesized.only("aws_iam_policy")["name"] == "callers"


def test_without_a_signed_operation_there_is_nothing_to_allow():
    with pytest.raises(ValueError, match="none of ping has IAM authorization"):
        policy_in(new_stack(), shop.OPERATIONS[:1])
