"""The stage of a REST API, with throttling, logs and traces."""

import json
from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable, TerraformProvider, TerraformResourceLifecycle
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
from constructs_lib.api.options import Logging, Throttling

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
        "tls_version": "$context.tlsVersion",
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
        ready: Sequence[ITerraformDependable],
        operations: Sequence[Operation],
        throttling: Throttling,
        logging: Logging,
        kms_key_arn: str | None,
        prevent_destroy: bool,
        tags: Mapping[str, str],
    ) -> None:
        """Create the stage.

        Args:
            scope: The API that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            region: The Region.
            api_name: Name of the API; part of the log group's and the log role's name.
            stage_name: Name of the stage: the first segment of every path.
            deployment: What it serves.
            ready: What must exist before it serves that: functions, and permissions to invoke them.
            operations: What is deployed; some may have their own limits.
            throttling: Limits of every other method.
            logging: What is logged and traced.
            kms_key_arn: Key that encrypts both logs; None for the one of CloudWatch Logs.
            prevent_destroy: Refuse every plan that would destroy the stage: what points to it makes
                API Gateway refuse that in the middle of an apply.
            tags: Tags of its resources.

        Source: https://github.com/hashicorp/terraform-provider-aws/issues/28774
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
            if logging.manage_account_log_role
            else None
        )
        # API Gateway would create the execution log itself, and never delete it.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        access_log, execution_log = (
            CloudwatchLogGroup(
                self,
                f"{kind}_log_group",
                provider=provider,
                name=log_name,
                retention_in_days=logging.retention_days,
                kms_key_id=kms_key_arn,
                tags=dict(tags),
            )
            if logging.access_logs
            else None
            for kind, log_name in (
                ("access", f"/aws/apigateway/{api_name}"),
                ("execution", f"API-Gateway-Execution-Logs_{rest_api_id}/{stage_name}"),
            )
        )
        account = account_log_role.account if account_log_role else None
        self.stage = ApiGatewayStage(
            self,
            "stage",
            provider=provider,
            rest_api_id=rest_api_id,
            deployment_id=deployment.id,
            stage_name=stage_name,
            xray_tracing_enabled=logging.tracing,
            access_log_settings=ApiGatewayStageAccessLogSettings(
                destination_arn=access_log.arn, format=ACCESS_LOG_FORMAT
            )
            if access_log
            else None,
            tags=dict(tags),
            depends_on=[needed for needed in (account, execution_log, *ready) if needed] or None,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if prevent_destroy else None,
        )
        deployed_stage = self.stage.stage_name
        # Each method has its own bucket: no operation starves another.
        limits = {"*/*": ("method_settings", throttling.rate_per_second, throttling.burst)} | {
            # A slash of a resource's path is written ~1 here.
            f"{o.path.replace('/', '~1')}/{o.method}": (
                f"{o.name}_settings",
                o.rate_per_second,
                o.burst,
            )
            for o in operations
            if o.rate_per_second is not None
        }
        previous: ApiGatewayMethodSettings | None = None
        every_method: ApiGatewayMethodSettings | None = None
        for method_path, (settings_id, rate_limit, burst_limit) in limits.items():
            previous = ApiGatewayMethodSettings(
                self,
                settings_id,
                provider=provider,
                rest_api_id=rest_api_id,
                stage_name=deployed_stage,
                method_path=method_path,
                settings=ApiGatewayMethodSettingsSettings(
                    # Charged for every method; alarms and the dashboard use those of the stage.
                    metrics_enabled=False,
                    logging_level="ERROR" if logging.access_logs else "OFF",
                    # Payloads are never logged.
                    data_trace_enabled=False,
                    throttling_rate_limit=rate_limit,
                    throttling_burst_limit=burst_limit,
                ),
                # Settings of all methods end those of single ones that were set before them, and
                # two changes of a stage at once conflict.
                # https://github.com/hashicorp/terraform-provider-aws/issues/41104
                depends_on=[previous] if previous else None,
                lifecycle=TerraformResourceLifecycle(
                    replace_triggered_by=[
                        f"aws_api_gateway_method_settings.{every_method.friendly_unique_id}.settings"
                    ]
                )
                if every_method
                else None,
            )
            every_method = every_method or previous
