"""Who may call operations that ask for an API key: keys, and the usage plan they belong to."""

from collections.abc import Mapping

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.api_gateway_api_key import ApiGatewayApiKey
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from cdktf_cdktf_provider_aws.api_gateway_usage_plan import (
    ApiGatewayUsagePlan,
    ApiGatewayUsagePlanApiStages,
    ApiGatewayUsagePlanThrottleSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_usage_plan_key import ApiGatewayUsagePlanKey
from constructs import Construct


class UsagePlan(Construct):
    """A usage plan of one stage in one Region, with its API keys.

    Give the same values in every Region, or a failover locks customers out. Limits are counted in
    each Region by itself.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        stage: ApiGatewayStage,
        key_values: Mapping[str, str],
        rate_per_second: float,
        burst: int,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Creates the plan and its keys.

        Args:
            scope: The construct that owns the plan.
            id: Unique within `scope`.
            provider: Provider of the Region.
            name: Name of the plan.
            stage: The stage that the keys open.
            key_values: `{key name: value}`; values of 20 to 128 characters, given as tokens of
                sensitive Terraform variables: a value written here would stand in the plan.
            rate_per_second: Steady requests per second of each key before it gets 429.
            burst: Requests of each key that may arrive at once.
            tags: Tags of the plan and the keys.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
        """
        super().__init__(scope, id)
        self.plan = ApiGatewayUsagePlan(
            self,
            "plan",
            provider=provider,
            name=name,
            api_stages=[
                ApiGatewayUsagePlanApiStages(api_id=stage.rest_api_id, stage=stage.stage_name)
            ],
            throttle_settings=ApiGatewayUsagePlanThrottleSettings(
                rate_limit=rate_per_second, burst_limit=burst
            ),
            tags=dict(tags or {}),
        )
        for key_name, value in key_values.items():
            key = ApiGatewayApiKey(
                self,
                f"{key_name}_key",
                provider=provider,
                name=f"{name}-{key_name}",
                value=value,
                tags=dict(tags or {}),
            )
            ApiGatewayUsagePlanKey(
                self,
                f"{key_name}_membership",
                provider=provider,
                key_id=key.id,
                key_type="API_KEY",
                usage_plan_id=self.plan.id,
            )
