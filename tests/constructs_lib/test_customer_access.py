"""The variable that brings the values of API keys, and what of the file becomes of plans."""

from typing import ClassVar

import pytest
from synthesis import Synthesized, new_stack

from constructs_lib import Customer
from constructs_lib.customer_access import customers_of, key_values, plans_of
from constructs_lib.settings.schema import CustomerSettings, PlanSettings

pytestmark = pytest.mark.unit


class Given:
    """As much of the settings as is read here."""

    plans: ClassVar = {
        "daily": PlanSettings(rate_per_second=1.0, burst=2, daily_quota=10),
        "monthly": PlanSettings(rate_per_second=1.0, burst=2, monthly_quota=300),
        "free": PlanSettings(rate_per_second=1.0, burst=2),
    }
    customers = (CustomerSettings(name="acme", plan="daily", keys=(1, 2)),)


def test_a_quota_keeps_its_period():
    quotas = {plan.name: (plan.quota, plan.quota_period) for plan in plans_of(Given)}

    assert quotas["daily"] == (10, "DAY")
    assert quotas["monthly"] == (300, "MONTH")
    assert quotas["free"][0] is None


def test_a_key_is_named_like_its_customer_and_number():
    assert customers_of(Given) == [Customer("acme", "daily", ("acme-1", "acme-2"))]


def test_values_are_checked_by_terraform_in_form_and_for_being_different():
    stack = new_stack()
    values = key_values(stack, customers_of(Given), environment="trial")
    variable = Synthesized(stack).json["variable"]["api_keys"]

    assert values["acme-2"] == '${var.api_keys["trial"]["acme-2"]}'
    assert (variable["type"], variable["sensitive"]) == ("map(map(string))", True)
    form, different = (rule["condition"] for rule in variable["validation"])
    assert "^[A-Za-z0-9]{20,128}$" in form
    assert "in var.api_keys" in different


def test_without_keys_there_is_no_variable():
    stack = new_stack()

    assert key_values(stack, [Customer("acme", "daily", ())], environment="trial") == {}
    assert "variable" not in Synthesized(stack).json
