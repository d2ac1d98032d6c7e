"""One REST API in one Region: API Gateway, a Lambda function per operation, and its domain name.

Creates everything that a request meets in the Region, from `Operation` values. What functions may
do on tables, others grant on `functions[name].role`; DNS is `FailoverDns`'s job.

Limits: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

import re
from collections.abc import Mapping, Sequence

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from constructs_lib.api.custom_domain import CustomDomain, RegionalDomainName
from constructs_lib.api.function_package import FunctionPackage
from constructs_lib.api.operation import Operation
from constructs_lib.api.operation_function import OperationFunction
from constructs_lib.api.rest_api import RestApi
from constructs_lib.api.stage import Stage


class RegionalApi(Construct):
    """A REGIONAL REST API with one deployed stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        region: str,
        name: str,
        stage_name: str,
        operations: Sequence[Operation],
        package: FunctionPackage,
        environment: Mapping[str, str] | None = None,
        rate_per_second: float = 100.0,
        burst: int = 200,
        log_retention_days: int = 30,
        log_kms_key_arn: str | None = None,
        access_logs: bool = True,
        manage_account_log_role: bool = False,
        tracing: bool = True,
        domain: CustomDomain | None = None,
        regional_domain: CustomDomain | None = None,
        execute_api_endpoint: bool = True,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Creates the API, its functions, its stage and its domain name.

        Args:
            scope: The construct that owns the API.
            id: Unique within `scope`; it is part of every resource address.
            provider: Provider of the Region.
            region: The Region, such as `us-east-1`.
            name: Name of the API and prefix of the functions', roles' and log groups' names.
            stage_name: Name of the stage, and base path on the domain.
            operations: What the API serves; at least one.
            package: The zip with a module per operation.
            environment: Environment variables of every function.
            rate_per_second: Steady requests per second of each method before it throttles (429).
            burst: Requests of each method that may arrive at once.
            log_retention_days: Days that logs are kept.
            log_kms_key_arn: Key in the Region that encrypts all logs; None for the one that
                CloudWatch Logs owns.
            access_logs: One JSON line per request. It needs the account's log role in the Region.
            manage_account_log_role: Create and set that role; it belongs to the whole account.
            tracing: Trace sampled requests with X-Ray.
            domain: Domain name in front of the stage, the same in every Region.
            regional_domain: Domain name of this Region alone, for health checks and direct access.
            execute_api_endpoint: Answer at the host name that AWS gives the API, too.
            tags: Tags of every resource that takes tags, beside the provider's default tags.

        Raises:
            ValueError: No operation, or two with one name or with one method and path, a value
                that an operation's function refuses, or no name at which the API would answer.
        """
        super().__init__(scope, id)
        _check_operations(operations)
        if not (execute_api_endpoint or domain or regional_domain):
            raise ValueError(
                f"API {name!r}: execute_api_endpoint is False and no domain is given: nobody could "
                "call it; give a domain or leave the endpoint open"
            )
        self._region, self._stage_name = region, stage_name
        tags = dict(tags or {})

        assume_role_policy = DataAwsIamPolicyDocument(
            self,
            "assume_role",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    actions=["sts:AssumeRole"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="Service", identifiers=["lambda.amazonaws.com"]
                        )
                    ],
                )
            ],
        ).json
        self.rest_api = RestApi(
            self,
            "rest_api",
            provider=provider,
            region=region,
            name=name,
            execute_api_endpoint=execute_api_endpoint,
            tags=tags,
        )
        self.stage_arn = f"{self.rest_api.api.execution_arn}/{stage_name}"
        """ARN of the stage as permissions to call it name it, before `/METHOD/path`; a token."""
        self.functions: dict[str, OperationFunction] = {}
        """`{operation name: function}`."""
        for operation in operations:
            function = self.functions[operation.name] = OperationFunction(
                self,
                operation.name,
                operation=operation,
                provider=provider,
                region=region,
                api_name=name,
                package=package,
                assume_role_policy=assume_role_policy,
                environment=environment or {},
                log_retention_days=log_retention_days,
                log_kms_key_arn=log_kms_key_arn,
                tracing=tracing,
                tags=tags,
            )
            self.rest_api.add(operation, invoke_arn=function.function.invoke_arn)
            LambdaPermission(
                function,
                "permission",
                provider=provider,
                statement_id="api-gateway",
                action="lambda:InvokeFunction",
                function_name=function.function.function_name,
                principal="apigateway.amazonaws.com",
                source_arn=f"{self.stage_arn}/{operation.method}{operation.path_pattern}",
            )
        self.stage = Stage(
            self,
            "stage",
            provider=provider,
            region=region,
            api_name=name,
            stage_name=stage_name,
            deployment=self.rest_api.deploy(),
            rate_per_second=rate_per_second,
            burst=burst,
            operations=operations,
            log_retention_days=log_retention_days,
            log_kms_key_arn=log_kms_key_arn,
            access_logs=access_logs,
            manage_account_log_role=manage_account_log_role,
            tracing=tracing,
            tags=tags,
        )
        self.domain, self.regional_domain = (
            RegionalDomainName(
                self,
                id,
                domain=custom,
                provider=provider,
                stage=self.stage.stage,
                base_path=stage_name,
                tags=tags,
            )
            if custom
            else None
            for id, custom in (("domain", domain), ("regional_domain", regional_domain))
        )
        self._regional_name = regional_domain.name if regional_domain else None

    @property
    def host_name(self) -> str:
        """Host name that reaches the API in this Region alone; a token, known at deployment."""
        return (
            self._regional_name
            or f"{self.rest_api.api.id}.execute-api.{self._region}.amazonaws.com"
        )

    @property
    def url(self) -> str:
        """Invoke URL of the stage in this Region, without a trailing slash; a token."""
        return f"https://{self.host_name}/{self._stage_name}"


def _check_operations(operations: Sequence[Operation]) -> None:
    if not operations:
        raise ValueError("operations is empty: an API Gateway deployment needs at least one method")
    taken: dict[tuple[str, str], str] = {}
    parameters: dict[str, str] = {}
    for operation in operations:
        for key in (("the name", operation.name), (operation.method, operation.path_pattern)):
            if key in taken:
                raise ValueError(
                    f"operation {operation.name!r}: {' '.join(key)} is already taken by "
                    f"{taken[key]!r}: rename it or change its method or path"
                )
            taken[key] = operation.name
        for match in re.finditer(r"\{(\w+)\}", operation.path):
            before = operation.path[: match.start()]
            if parameters.setdefault(before, match[1]) != match[1]:
                raise ValueError(
                    f"operation {operation.name!r}: {before}{{{match[1]}}} is already "
                    f"{before}{{{parameters[before]}}}: API Gateway takes one parameter in one "
                    "place, so give both the same name"
                )
