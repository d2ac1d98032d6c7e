"""The stage of a REST API: what is deployed, with throttling, logs and traces."""

import json
from collections.abc import Mapping, Sequence

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.api_gateway_deployment import ApiGatewayDeployment
from cdktf_cdktf_provider_aws.api_gateway_method_settings import (
    ApiGatewayMethodSettings,
    ApiGatewayMethodSettingsSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_stage import (
    ApiGatewayStage,
    ApiGatewayStageAccessLogSettings,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from constructs import Construct

from constructs_lib.api.account_log_role import AccountLogRole
from constructs_lib.api.operation import Operation

ACCESS_LOG_FORMAT = json.dumps(
    {
        "request_id": "$context.requestId",
        "time": "$context.requestTimeEpoch",
        "method": "$context.httpMethod",
        "resource_path": "$context.resourcePath",
        "status": "$context.status",
        "response_length_bytes": "$context.responseLength",
        "response_latency_ms": "$context.responseLatency",
        "integration_latency_ms": "$context.integrationLatency",
        "integration_error": "$context.integrationErrorMessage",
        "error": "$context.error.responseType",
        "domain_name": "$context.domainName",
        "source_ip": "$context.identity.sourceIp",
        "api_key_id": "$context.identity.apiKeyId",
        "caller": "$context.identity.caller",
        "trace_id": "$context.xrayTraceId",
    }
)
"""One JSON line per request: the key's id, never its value.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
"""


class Stage(Construct):
    """One stage, its method settings and its access log."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        region: str,
        api_name: str,
        stage_name: str,
        deployment: ApiGatewayDeployment,
        rate_per_second: float,
        burst: int,
        operations: Sequence[Operation],
        log_retention_days: int,
        log_kms_key_arn: str | None,
        access_logs: bool,
        manage_account_log_role: bool,
        tracing: bool,
        tags: Mapping[str, str],
    ) -> None:
        """Creates the stage.

        Args:
            scope: The API that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            region: The Region.
            api_name: Name of the API; part of the log group's and the log role's name.
            stage_name: Name of the stage: the first segment of every path.
            deployment: What it serves.
            rate_per_second: Steady requests per second of each method before it throttles.
            burst: Requests of each method that may arrive at once.
            operations: What is deployed; some may have limits of their own.
            log_retention_days: Days that the access log and the execution log are kept.
            log_kms_key_arn: Key that encrypts both logs; None for the one of CloudWatch Logs.
            access_logs: Write the access log; the account's log role must be set in the Region.
            manage_account_log_role: Create and set that role.
            tracing: Trace sampled requests with X-Ray.
            tags: Tags of its resources.
        """
        super().__init__(scope, id)
        rest_api_id = deployment.rest_api_id
        account_log_role = (
            AccountLogRole(
                self,
                "account_log_role",
                provider=provider,
                role_name=f"{api_name}-api-logs-{region}",
                tags=tags,
            )
            if manage_account_log_role
            else None
        )
        access_log_group = (
            CloudwatchLogGroup(
                self,
                "access_log_group",
                provider=provider,
                name=f"/aws/apigateway/{api_name}",
                retention_in_days=log_retention_days,
                kms_key_id=log_kms_key_arn,
                tags=dict(tags),
            )
            if access_logs
            else None
        )
        # API Gateway would make this one itself, and keep it for ever.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        execution_log_group = (
            CloudwatchLogGroup(
                self,
                "execution_log_group",
                provider=provider,
                name=f"API-Gateway-Execution-Logs_{rest_api_id}/{stage_name}",
                retention_in_days=log_retention_days,
                kms_key_id=log_kms_key_arn,
                tags=dict(tags),
            )
            if access_logs
            else None
        )
        self.stage = ApiGatewayStage(
            self,
            "stage",
            provider=provider,
            rest_api_id=rest_api_id,
            deployment_id=deployment.id,
            stage_name=stage_name,
            xray_tracing_enabled=tracing,
            access_log_settings=ApiGatewayStageAccessLogSettings(
                destination_arn=access_log_group.arn, format=ACCESS_LOG_FORMAT
            )
            if access_log_group
            else None,
            tags=dict(tags),
            depends_on=[
                needed
                for needed in (
                    account_log_role.account if account_log_role else None,
                    execution_log_group,
                )
                if needed
            ]
            or None,
        )
        deployed_stage = self.stage.stage_name
        # Each method has a bucket of its own: no operation starves another.
        limits = {"*/*": ("method_settings", rate_per_second, burst)} | {
            # A slash of a resource's path is written ~1 here.
            f"{o.path.replace('/', '~1')}/{o.method}": (
                f"{o.name}_settings",
                o.rate_per_second,
                o.burst,
            )
            for o in operations
            if o.rate_per_second is not None
        }
        for method_path, (settings_id, rate_limit, burst_limit) in limits.items():
            ApiGatewayMethodSettings(
                self,
                settings_id,
                provider=provider,
                rest_api_id=rest_api_id,
                stage_name=deployed_stage,
                method_path=method_path,
                settings=ApiGatewayMethodSettingsSettings(
                    metrics_enabled=True,
                    logging_level="ERROR" if access_logs else "OFF",
                    # Payloads are never logged.
                    data_trace_enabled=False,
                    throttling_rate_limit=rate_limit,
                    throttling_burst_limit=burst_limit,
                ),
            )
