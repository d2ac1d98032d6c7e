"""The Lambda function of one operation, with its alias, its log group and its role.

Every change of code or configuration publishes a version; callers call the alias, which points to
one. The log group is made before the function, which would otherwise make one that never expires.
The role can write to that log group and send traces; access to tables is granted elsewhere.
"""

from collections.abc import Mapping

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
)
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.lambda_alias import LambdaAlias
from cdktf_cdktf_provider_aws.lambda_function import (
    LambdaFunction,
    LambdaFunctionEnvironment,
    LambdaFunctionLoggingConfig,
    LambdaFunctionTracingConfig,
)
from cdktf_cdktf_provider_aws.lambda_provisioned_concurrency_config import (
    LambdaProvisionedConcurrencyConfig,
)
from constructs import Construct

from constructs_lib.api.code_bucket import CodeBucket
from constructs_lib.api.operation import Operation
from constructs_lib.api.options import ALIAS_NAME, Logging, ReleasedBy

MAX_NAME_LENGTH = 64
"""Characters of a function's or a role's name.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


class OperationFunction(Construct):
    """Function, alias, role and log group of one operation in one Region."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        operation: Operation,
        provider: TerraformProvider,
        region: str,
        api_name: str,
        code: CodeBucket,
        assume_role_policy: str,
        environment: Mapping[str, str],
        logging: Logging,
        kms_key_arn: str | None,
        quiet: bool,
        provisioned_concurrency: int,
        released_by: ReleasedBy,
        tags: Mapping[str, str],
    ) -> None:
        """Create the function.

        Args:
            scope: The API that owns it.
            id: Unique within `scope`.
            operation: The operation it serves.
            provider: Provider of the Region.
            region: The Region; part of the role's name, because roles are global.
            api_name: Prefix of the names.
            code: The bucket with the zip, which holds a module named like the operation.
            assume_role_policy: JSON of the policy that lets Lambda take the role.
            environment: Environment variables, beside those of the operation.
            logging: How long its log is kept, and whether it sends traces.
            kms_key_arn: Key that encrypts its log; None for the one of CloudWatch Logs.
            quiet: Whether Lambda logs only warnings of its own, instead of two lines a request.
            provisioned_concurrency: Environments that are kept ready for the alias; 0 for none.
            released_by: Who points the alias to a new version.
            tags: Tags of its resources.

        Raises:
            ValueError: A name gets too long, or the package lacks the module.
        """
        super().__init__(scope, id)
        self.name = function_name = f"{api_name}-{operation.name}"
        """Name of the function; plain text."""
        role_name = f"{function_name}-{region}"
        if len(role_name) > MAX_NAME_LENGTH:
            raise ValueError(
                f"the role name {role_name!r} has {len(role_name)} characters; IAM allows "
                f"{MAX_NAME_LENGTH}: shorten the API's name or the operation's name"
            )
        if operation.name not in code.package.modules:
            raise ValueError(
                f"operation {operation.name!r}: the package holds no module {operation.name}.py; "
                f"it holds {', '.join(sorted(code.package.modules)) or 'none'}: add it or rename "
                "the operation"
            )

        variables = {**environment, **operation.environment}
        self.log_group = CloudwatchLogGroup(
            self,
            "log_group",
            provider=provider,
            name=f"/aws/lambda/{function_name}",
            retention_in_days=logging.retention_days,
            kms_key_id=kms_key_arn,
            tags=dict(tags),
        )
        self.role = IamRole(
            self,
            "role",
            provider=provider,
            name=role_name,
            description=f"Function {function_name} in {region}",
            assume_role_policy=assume_role_policy,
            tags=dict(tags),
        )
        statements = [
            DataAwsIamPolicyDocumentStatement(
                sid="WriteOwnLog",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[f"{self.log_group.arn}:*"],
            )
        ]
        if logging.tracing:
            # X-Ray has no finer grain: both actions take no resource.
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
            statements.append(
                DataAwsIamPolicyDocumentStatement(
                    sid="SendTraces",
                    actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
                    resources=["*"],
                )
            )
        document = DataAwsIamPolicyDocument(
            self, "telemetry", provider=provider, statement=statements
        )
        telemetry_policy = IamRolePolicy(
            self,
            "telemetry_policy",
            provider=provider,
            name="telemetry",
            # As in grants: the id is the name, and unknown when the role is replaced. A role takes
            # its policies with it.
            role=self.role.id,
            policy=document.json,
        )
        self.function = LambdaFunction(
            self,
            "function",
            provider=provider,
            function_name=function_name,
            description=f"{operation.method} {operation.path}",
            role=self.role.arn,
            runtime="python3.13",
            architectures=["arm64"],
            handler=operation.handler,
            s3_bucket=code.object.bucket,
            s3_key=code.object.key,
            source_code_hash=code.package.source_code_hash,
            timeout=operation.timeout_seconds,
            memory_size=operation.memory_megabytes,
            reserved_concurrent_executions=operation.reserved_concurrency,
            environment=LambdaFunctionEnvironment(variables=variables) if variables else None,
            logging_config=LambdaFunctionLoggingConfig(
                log_format="JSON",
                log_group=self.log_group.name,
                system_log_level="WARN" if quiet else None,
            ),
            tracing_config=LambdaFunctionTracingConfig(
                mode="Active" if logging.tracing else "PassThrough"
            ),
            publish=True,
            tags=dict(tags),
            depends_on=[telemetry_policy],
        )
        self.alias = LambdaAlias(
            self,
            "alias",
            provider=provider,
            name=ALIAS_NAME,
            description="The version that serves requests",
            # As for the role: a function takes its aliases with it.
            function_name=self.function.id,
            function_version=self.function.version,
            lifecycle=TerraformResourceLifecycle(
                ignore_changes=["function_version", "routing_config"]
            )
            if released_by is ReleasedBy.OPERATOR
            else None,
        )
        self.provisioned_concurrency = (
            LambdaProvisionedConcurrencyConfig(
                self,
                "provisioned_concurrency",
                provider=provider,
                function_name=self.function.id,
                qualifier=self.alias.name,
                provisioned_concurrent_executions=provisioned_concurrency,
            )
            if provisioned_concurrency
            else None
        )
