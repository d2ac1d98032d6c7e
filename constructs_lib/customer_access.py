"""The customers of an environment file as API Gateway knows them, and where key values come from.

Values are in no file: they are one sensitive Terraform variable.
"""

import json
from collections.abc import Mapping, Sequence

from cdktf import TerraformVariable, TerraformVariableValidationConfig
from constructs import Construct

from constructs_lib.api.customers import Customer, Plan
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
    scope: Construct, customers: Sequence[Customer], *, environment: str, hint: str = ""
) -> Mapping[str, str]:
    """Declare the variable that brings the values of all keys.

    Args:
        scope: The stack.
        customers: Who has keys.
        environment: Name of the environment: the variable may bring those of others, too.
        hint: How values are made: the end of Terraform's error message when they are missing.

    Returns:
        `{key name: value}`; tokens. Without any key there is no variable.
    """
    names = [name for customer in customers for name in customer.keys]
    if not names:
        return {}
    values = f"var.{KEYS_VARIABLE}[{json.dumps(environment)}]"
    listed = f"[for name in {json.dumps(names)} : {values}[name]]"
    # Keys that the variable brings beside these, of other environments, too: they may be of one
    # account. By sets, since there may be thousands.
    here = json.dumps(environment)
    gone = f"[for name in setsubtract(keys({values}), {json.dumps(names)}) : {values}[name]]"
    others = f"[for name, keys in var.{KEYS_VARIABLE} : values(keys) if name != {here}]"
    TerraformVariable(
        scope,
        KEYS_VARIABLE,
        type="map(map(string))",
        sensitive=True,
        description=f"Values of the customers' API keys, in {json.dumps(environment)} by name, the "
        f"same in every Region: {', '.join(names)}. Set it as TF_VAR_{KEYS_VARIABLE}; the state "
        "holds it.",
        validation=[
            TerraformVariableValidationConfig(
                condition="${alltrue([for name in "
                + json.dumps(names)
                + f' : can(regex("^[A-Za-z0-9]{{20,128}}$", {values}[name]))])}}',
                error_message=f"Each of {', '.join(names)} needs a value of 20 to 128 letters and "
                f"digits, in the environment {environment}. {hint}".rstrip(),
            ),
            TerraformVariableValidationConfig(
                condition=f"${{try(length(toset({listed})) == {len(names)} && length("
                f"setintersection({listed}, concat({gone}, flatten({others})))) == 0, true)}}",
                error_message="Two keys have the same value: API Gateway takes each value once in "
                f"an account and Region. {hint}".rstrip(),
            ),
        ],
    )
    return {name: f"${{{values}[{json.dumps(name)}]}}" for name in names}
