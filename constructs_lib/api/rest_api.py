"""The definition of a REST API: its paths and methods, and its responses to rejected requests.

Every change of it is deployed: the deployment is triggered by a hash of the whole definition as
Terraform gets it, never by the clock.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cdktf import (
    DefaultTokenResolver,
    StringConcat,
    TerraformProvider,
    TerraformResource,
    TerraformResourceLifecycle,
    Tokenization,
)
from cdktf_cdktf_provider_aws.api_gateway_deployment import ApiGatewayDeployment
from cdktf_cdktf_provider_aws.api_gateway_gateway_response import ApiGatewayGatewayResponse
from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from cdktf_cdktf_provider_aws.api_gateway_method import ApiGatewayMethod
from cdktf_cdktf_provider_aws.api_gateway_model import ApiGatewayModel
from cdktf_cdktf_provider_aws.api_gateway_request_validator import ApiGatewayRequestValidator
from cdktf_cdktf_provider_aws.api_gateway_resource import ApiGatewayResource
from cdktf_cdktf_provider_aws.api_gateway_rest_api import (
    ApiGatewayRestApi,
    ApiGatewayRestApiEndpointConfiguration,
)
from constructs import Construct

from constructs_lib.api.gateway_responses import gateway_responses
from constructs_lib.api.operation import Authorization, Operation

_Resource = TypeVar("_Resource", bound=TerraformResource)


class RestApi(Construct):
    """A REGIONAL REST API: paths, methods, request models, error responses, and their deployment.

    Add every operation first, then call `deploy` once.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        region: str,
        name: str,
        execute_api_endpoint: bool,
        dualstack: bool,
        prevent_destroy: bool,
        tags: Mapping[str, str],
    ) -> None:
        """Create the API without operations.

        Args:
            scope: The construct that owns the API.
            id: Unique within `scope`.
            provider: Provider of the Region.
            region: Region that error responses name.
            name: Name of the API.
            execute_api_endpoint: Respond at the host name that AWS gives the API.
            dualstack: Respond over IPv6, too: what its domain names do, the API must do.
            prevent_destroy: Refuse every plan that would destroy an integration or a response.
            tags: Tags of the API.
        """
        super().__init__(scope, id)
        self._provider = provider
        self._region = region
        # An integration or a response is put over what is there. All that a deployment depends on
        # is replaced by creation before destruction: it would be put, and then deleted.
        self._put = (
            {"lifecycle": TerraformResourceLifecycle(prevent_destroy=True)}
            if prevent_destroy
            else {}
        )
        # Closing the endpoint takes effect with the next deployment, and so do its address types.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-ip-address-type.html
        closed = not execute_api_endpoint
        address_type = "dualstack" if dualstack else None
        self._definition: list[Mapping[str, Any]] = [
            {
                "name": name,
                "disable_execute_api_endpoint": closed,
                "ip_address_type": address_type,
            }
        ]
        self._resources: list[TerraformResource] = []
        self.api = ApiGatewayRestApi(
            self,
            "api",
            provider=provider,
            name=name,
            endpoint_configuration=ApiGatewayRestApiEndpointConfiguration(
                types=["REGIONAL"], ip_address_type=address_type
            ),
            # Left out, it would stay as it is: a closed endpoint could not be opened again.
            disable_execute_api_endpoint=closed,
            # Its deployments are made so, and with them all that they depend on.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            tags=dict(tags),
        )
        # Every reading of an attribute asks the kernel.
        self._api_id = self.api.id
        # arn:aws:execute-api:REGION:ACCOUNT:API
        self._account_id = f'${{split(":", {self.api.fqn}.execution_arn)[4]}}'
        self._resource_ids = {"": self.api.root_resource_id}
        self._validator_id = self._define(
            ApiGatewayRequestValidator,
            "request_validator",
            name="body-and-parameters",
            validate_request_body=True,
            validate_request_parameters=True,
        ).id
        for response in gateway_responses(region):
            self._define(
                ApiGatewayGatewayResponse,
                f"response_{response.type.lower()}",
                response_type=response.type,
                status_code=response.status,
                response_parameters=response.parameters,
                response_templates={"application/json": response.template},
                options=self._put,
            )

    def add(self, operation: Operation, *, function_name: str, alias_name: str) -> None:
        """Add one operation: its path, its method and the integration with its function.

        The integration names the alias of the function without a reference. A reference would make
        Terraform replace the function, its role and its log group by creation before destruction,
        as it must a deployment; but their names exist once, so it could never replace one, not even
        one whose creation has failed. API Gateway does not look for the function before a request.
        Which version the alias points to is no part of the definition: a release redeploys nothing.

        Args:
            operation: The operation.
            function_name: Name of its function, in the Region and the account of the API.
            alias_name: Name of the function's alias to call.
        """
        resource_id = self._resource_id(operation.path)
        method = self._define(
            ApiGatewayMethod,
            f"{operation.method}{_path_id(operation.path)}_method",
            resource_id=resource_id,
            http_method=operation.method,
            operation_name=operation.name,
            authorization="AWS_IAM" if operation.authorization is Authorization.IAM else "NONE",
            api_key_required=operation.authorization is Authorization.API_KEY,
            request_validator_id=self._validator_id,
            request_parameters={
                f"method.request.path.{name}": True for name in operation.path_parameters
            }
            | {
                f"method.request.querystring.{name}": required
                for name, required in operation.query_parameters.items()
            }
            or None,
            request_models=self._request_models(operation),
        )
        self._define(
            ApiGatewayIntegration,
            f"{operation.method}{_path_id(operation.path)}_integration",
            resource_id=resource_id,
            http_method=method.http_method,
            type="AWS_PROXY",
            # Lambda is invoked by POST, whatever the caller's method.
            integration_http_method="POST",
            uri=f"arn:aws:apigateway:{self._region}:lambda:path/2015-03-31/functions/"
            f"arn:aws:lambda:{self._region}:{self._account_id}:function:{function_name}:{alias_name}"
            "/invocations",
            options=self._put,
        )

    def deploy(self) -> ApiGatewayDeployment:
        """Deploy all that was added, and again whenever any of it changes.

        Returns:
            The deployment, for a stage to serve.
        """
        return ApiGatewayDeployment(
            self,
            "deployment",
            provider=self._provider,
            rest_api_id=self._api_id,
            triggers={"definition": self._definition_hash()},
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            depends_on=self._resources,
        )

    def _request_models(self, operation: Operation) -> dict[str, str] | None:
        if operation.request_model is None:
            return None
        model = self._define(
            ApiGatewayModel,
            f"{operation.method}{_path_id(operation.path)}_model",
            # Model names take letters and digits only.
            name=operation.name.title().replace("_", ""),
            content_type="application/json",
            schema=json.dumps(operation.request_model, sort_keys=True),
        )
        return {"application/json": model.name}

    def _resource_id(self, path: str) -> str:
        """Id of the API Gateway resource of a path, creating what is missing on the way."""
        if path not in self._resource_ids:
            parent_path, _, part = path.rpartition("/")
            self._resource_ids[path] = self._define(
                ApiGatewayResource,
                f"path{_path_id(path)}",
                parent_id=self._resource_id(parent_path),
                path_part=part,
            ).id
        return self._resource_ids[path]

    def _define(
        self,
        resource_type: Callable[..., _Resource],
        id: str,
        *,
        options: Mapping[str, Any] = {},
        **arguments: Any,
    ) -> _Resource:
        """Create a resource of the API, as part of the definition; `options` are none of it."""
        resource = resource_type(
            self, id, provider=self._provider, rest_api_id=self._api_id, **arguments, **options
        )
        self._resources.append(resource)
        self._definition.append({"id": id, **arguments})
        return resource

    def _definition_hash(self) -> str:
        """SHA-256 of the whole definition as Terraform will get it."""
        resolved = Tokenization.resolve(
            self._definition,
            scope=self,
            preparing=False,
            resolver=DefaultTokenResolver(StringConcat()),
        )
        return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


def _path_id(path: str) -> str:
    """A path as part of a construct's id.

    Ids hold no slash. What cdktf leaves out of a logical id (braces and colons) keeps the ids of
    different paths apart. Because ids follow the route, an operation can be renamed; and because
    they leave out the names of parameters, so can a parameter: API Gateway allows one in one place,
    and Terraform would create the new one before it destroys the old one.
    """
    return re.sub(r"\{\w+\}", "{parameter}", path).replace("/", "_:")
