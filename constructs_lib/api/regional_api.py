"""One REST API in one Region: API Gateway, a Lambda function per operation, and its domain name.

Creates everything that a request passes in the Region, from `Operation` values. Access to tables is
granted to `functions[name].role`, by `GlobalTable`; DNS is `FailoverDns`'s job.

Limits: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from constructs_lib.api.code_bucket import CodeBucket
from constructs_lib.api.custom_domain import RegionalDomainName
from constructs_lib.api.function_package import FunctionPackage
from constructs_lib.api.operation import Operation
from constructs_lib.api.operation_function import OperationFunction
from constructs_lib.api.options import (
    ALIAS_NAME,
    CustomDomain,
    HostNames,
    Logging,
    ReleasedBy,
    Throttling,
)
from constructs_lib.api.rest_api import RestApi
from constructs_lib.api.service_trust import service_trust
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
        throttling: Throttling = Throttling(),
        logging: Logging = Logging(),
        host_names: HostNames = HostNames(),
        kms_key_arn: str | None = None,
        prevent_destroy: bool = False,
        quiet_operations: Collection[str] = (),
        provisioned_concurrency: Mapping[str, int] | None = None,
        released_by: ReleasedBy = ReleasedBy.TERRAFORM,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the API, its functions, its stage and its domain name.

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
            throttling: Limits of the methods that have no limits of their own.
            logging: What is logged and traced.
            host_names: Where the API responds.
            kms_key_arn: Key in the Region that encrypts all logs and the code; None for the keys
                that CloudWatch Logs and S3 own.
            prevent_destroy: Refuse every plan that would destroy the stage, or replace an
                integration or an error response.
            quiet_operations: Names of operations that health checkers call all the time: of these,
                Lambda logs no start and no end.
            provisioned_concurrency: `{operation name: environments}` that are kept ready for the
                functions' alias; none for the others.
            released_by: Who points the functions' alias to a new version.
            tags: Tags of every resource that takes tags, beside the provider's default tags.

        Raises:
            ValueError: No operation, or two with one name or with one method and path, a value
                that an operation's function refuses.
        """
        super().__init__(scope, id)
        _check_operations(operations)
        self._region, self._stage_name, self._host_names = region, stage_name, host_names
        common: dict[str, Any] = {"provider": provider, "tags": dict(tags or {})}
        logged: dict[str, Any] = {"logging": logging, "kms_key_arn": kms_key_arn, **common}

        assume_role_policy = service_trust(
            self, "assume_role", provider=provider, service="lambda.amazonaws.com"
        )
        self.rest_api = RestApi(
            self,
            "rest_api",
            region=region,
            name=name,
            execute_api_endpoint=host_names.execute_api,
            dualstack=bool(host_names.shared or host_names.regional),
            prevent_destroy=prevent_destroy,
            **common,
        )
        self.stage_arn = f"{self.rest_api.api.execution_arn}/{stage_name}"
        """ARN of the stage as permissions to call it name it, before `/METHOD/path`; a token."""
        code = CodeBucket(
            self, "code", name=name, package=package, kms_key_arn=kms_key_arn, **common
        )
        self._permissions: list[LambdaPermission] = []
        self.functions = {
            operation.name: self._create_function(
                operation,
                region=region,
                api_name=name,
                code=code,
                assume_role_policy=assume_role_policy,
                environment=environment or {},
                quiet=operation.name in quiet_operations,
                provisioned_concurrency=(provisioned_concurrency or {}).get(operation.name, 0),
                released_by=released_by,
                **logged,
            )
            for operation in operations
        }
        """`{operation name: function}`."""
        self.stage = Stage(
            self,
            "stage",
            region=region,
            api_name=name,
            stage_name=stage_name,
            deployment=self.rest_api.deploy(),
            ready=self._permissions,
            prevent_destroy=prevent_destroy,
            operations=operations,
            throttling=throttling,
            **logged,
        )
        self.domain = self._create_domain_name("domain", host_names.shared, **common)
        self.regional_domain = self._create_domain_name(
            "regional_domain", host_names.regional, **common
        )

    @property
    def host_name(self) -> str:
        """Host name that reaches the API in this Region alone; a token, known at deployment."""
        if self._host_names.regional:
            return self._host_names.regional.name
        return f"{self.rest_api.api.id}.execute-api.{self._region}.amazonaws.com"

    @property
    def url(self) -> str:
        """Invoke URL of the stage in this Region, without a trailing slash; a token."""
        return f"https://{self.host_name}/{self._stage_name}"

    # Phases

    def _create_function(self, operation: Operation, **options: Any) -> OperationFunction:
        """The function of an operation, its method, and API Gateway's permission to call it."""
        function = OperationFunction(self, operation.name, operation=operation, **options)
        self.rest_api.add(operation, function_name=function.name, alias_name=ALIAS_NAME)
        permission = LambdaPermission(
            function,
            "permission",
            provider=options["provider"],
            statement_id="api-gateway",
            action="lambda:InvokeFunction",
            # Its id is its name, and unlike the name unknown when the function is replaced: a
            # function takes its permissions with it.
            function_name=function.function.id,
            qualifier=function.alias.name,
            # So does an alias, whose name is known all the time.
            lifecycle=TerraformResourceLifecycle(
                replace_triggered_by=[f"aws_lambda_alias.{function.alias.friendly_unique_id}.arn"]
            ),
            principal="apigateway.amazonaws.com",
            source_arn=f"{self.stage_arn}/{operation.method}{operation.path_pattern}",
        )
        self._permissions.append(permission)
        return function

    def _create_domain_name(
        self, id: str, domain: CustomDomain | None, **options: Any
    ) -> RegionalDomainName | None:
        if domain is None:
            return None
        return RegionalDomainName(
            self,
            id,
            domain=domain,
            stage=self.stage.stage,
            base_path=self._stage_name,
            **options,
        )


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
