"""The customers of an environment file as API Gateway knows them, and where key values come from.

Values never stand in a file of this repository: they are one sensitive Terraform variable.
"""

import json
from collections.abc import Mapping, Sequence

from cdktf import TerraformVariable, TerraformVariableValidationConfig
from constructs import Construct

from constructs_lib.api import Customer, Plan
from constructs_lib.settings import Settings

KEYS_VARIABLE = "api_keys"


def plans_of(settings: Settings) -> list[Plan]:
    """The plans of an environment.

    Args:
        settings: The environment.
    """
    return [
        Plan(
            name=name,
            rate_per_second=plan.rate_per_second,
            burst=plan.burst,
            quota=plan.monthly_quota or plan.daily_quota,
            quota_period="DAY" if plan.daily_quota else "MONTH",
        )
        for name, plan in settings.plans.items()
    ]


def customers_of(settings: Settings) -> list[Customer]:
    """The customers of an environment; a key is named `<customer>-<number>`.

    Args:
        settings: The environment.
    """
    return [
        Customer(
            customer.name,
            customer.plan,
            tuple(f"{customer.name}-{number}" for number in customer.keys),
        )
        for customer in settings.customers
    ]


def key_values(
    scope: Construct, customers: Sequence[Customer], *, environment: str
) -> Mapping[str, str]:
    """Declares the variable that brings the values of all keys.

    Args:
        scope: The stack.
        customers: Who has keys.
        environment: Name of the environment: the variable may bring those of others, too.

    Returns:
        `{key name: value}`; tokens. Without any key there is no variable.
    """
    names = [name for customer in customers for name in customer.keys]
    if not names:
        return {}
    values = f"var.{KEYS_VARIABLE}[{json.dumps(environment)}]"
    listed = f"[for name in {json.dumps(names)} : {values}[name]]"
    make = f"Make them with: python -m ops customers issue --environment {environment}; then "
    make += f'eval "$(python -m ops customers env --environment {environment})".'
    TerraformVariable(
        scope,
        KEYS_VARIABLE,
        type="map(map(string))",
        sensitive=True,
        description=f"Values of the customers' API keys, in {json.dumps(environment)} by name, the "
        f"same in every Region: {', '.join(names)}. Set it as TF_VAR_{KEYS_VARIABLE}; it stands in "
        "the state.",
        validation=[
            TerraformVariableValidationConfig(
                condition="${alltrue([for name in "
                + json.dumps(names)
                + f' : can(regex("^[A-Za-z0-9]{{20,128}}$", {values}[name]))])}}',
                error_message=f"Each of {', '.join(names)} needs a value of 20 to 128 letters and "
                f"digits, in the environment {environment}. {make}",
            ),
            TerraformVariableValidationConfig(
                condition=f"${{try(length(distinct({listed})) == {len(names)}, true)}}",
                error_message="Two keys have the same value: API Gateway takes each value once. "
                f"{make}",
            ),
        ],
    )
    return {name: f"${{{values}[{json.dumps(name)}]}}" for name in names}
