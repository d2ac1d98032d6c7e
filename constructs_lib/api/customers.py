"""Who may call operations that ask for an API key: usage plans, and the customers' keys.

Keys are separate from plans: a customer who changes plan keeps the key. The caller provides the
values of keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.api_gateway_api_key import ApiGatewayApiKey
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from cdktf_cdktf_provider_aws.api_gateway_usage_plan import (
    ApiGatewayUsagePlan,
    ApiGatewayUsagePlanApiStages,
    ApiGatewayUsagePlanQuotaSettings,
    ApiGatewayUsagePlanThrottleSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_usage_plan_key import ApiGatewayUsagePlanKey
from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A usage plan; every limit applies to each key separately, in each Region.

    Attributes:
        name: Name of the plan.
        rate_per_second: Steady requests per second before a key gets 429.
        burst: Requests of a key that may arrive at once.
        quota: Requests of a key in a period; None for no quota.
        quota_period: `DAY` or `MONTH`.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
    """

    name: str
    rate_per_second: float
    burst: int
    quota: int | None = None
    quota_period: Literal["DAY", "MONTH"] = "MONTH"


@dataclass(frozen=True)
class Customer:
    """Somebody with API keys.

    Attributes:
        name: Name of the customer.
        plan: Name of the plan that the keys belong to.
        keys: Names of the valid keys: one, or two while a key is rotated.
    """

    name: str
    plan: str
    keys: tuple[str, ...]


class Customers(Construct):
    """The plans of one stage in one Region, with the keys of the customers.

    Give the same values in every Region, or a failover locks customers out. Limits are counted in
    each Region separately.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        stage: ApiGatewayStage,
        plans: Sequence[Plan],
        customers: Sequence[Customer],
        key_values: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the plans and the keys.

        Args:
            scope: The construct that owns them.
            id: Unique within `scope`; it is part of every resource address.
            provider: Provider of the Region.
            name: Prefix of the plans' and the keys' names.
            stage: The stage that the keys are valid for.
            plans: What is sold.
            customers: Who has keys.
            key_values: `{key name: value}`; values of 20 to 128 characters, given as tokens of
                sensitive Terraform variables: a value written here would be in the plan.
            tags: Tags of the plans and the keys.

        Raises:
            ValueError: A customer's plan is none of `plans`, or a key has no value.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
        """
        super().__init__(scope, id)
        tags = dict(tags or {})
        self.plans: dict[str, ApiGatewayUsagePlan] = {
            plan.name: ApiGatewayUsagePlan(
                self,
                f"{plan.name}_plan",
                provider=provider,
                name=f"{name}-{plan.name}",
                api_stages=[
                    ApiGatewayUsagePlanApiStages(api_id=stage.rest_api_id, stage=stage.stage_name)
                ],
                throttle_settings=ApiGatewayUsagePlanThrottleSettings(
                    rate_limit=plan.rate_per_second, burst_limit=plan.burst
                ),
                quota_settings=ApiGatewayUsagePlanQuotaSettings(
                    limit=plan.quota, period=plan.quota_period
                )
                if plan.quota is not None
                else None,
                tags=tags,
            )
            for plan in plans
        }
        """`{plan name: usage plan}`."""
        self.keys: dict[str, ApiGatewayApiKey] = {}
        """`{key name: key}`."""
        for customer in customers:
            if customer.plan not in self.plans:
                raise ValueError(
                    f"customer {customer.name!r}: the plan {customer.plan!r} is none of "
                    f"{', '.join(self.plans) or 'no plans'}: add it or name another"
                )
            for key_name in customer.keys:
                if key_name not in key_values:
                    raise ValueError(
                        f"customer {customer.name!r}: the key {key_name!r} has no value: add it to "
                        "key_values"
                    )
                key = self.keys[key_name] = ApiGatewayApiKey(
                    self,
                    f"{key_name}_key",
                    provider=provider,
                    name=f"{name}-{key_name}",
                    description=f"Customer {customer.name}",
                    value=key_values[key_name],
                    tags=tags | {"customer": customer.name},
                )
                ApiGatewayUsagePlanKey(
                    self,
                    f"{key_name}_membership",
                    provider=provider,
                    key_id=key.id,
                    key_type="API_KEY",
                    usage_plan_id=self.plans[customer.plan].id,
                )
