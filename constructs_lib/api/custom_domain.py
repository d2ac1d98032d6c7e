"""The API's name in one Region: certificate, domain name and base path mapping."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.api_gateway_base_path_mapping import ApiGatewayBasePathMapping
from cdktf_cdktf_provider_aws.api_gateway_domain_name import (
    ApiGatewayDomainName,
    ApiGatewayDomainNameEndpointConfiguration,
)
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from constructs import Construct


@dataclass(frozen=True)
class CustomDomain:
    """A domain name that an API shall answer to.

    Attributes:
        name: The fully qualified domain name.
        validate: Gets the name, the certificate's resource and the Region's provider, and returns
            the ARN of the certificate once it is issued: `FailoverDns.validate_certificate`.
    """

    name: str
    validate: Callable[[str, AcmCertificate, TerraformProvider], str]


class RegionalDomainName(Construct):
    """A REGIONAL custom domain name (TLS 1.2 or newer, IPv4 and IPv6) in front of one stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        domain: CustomDomain,
        provider: TerraformProvider,
        stage: ApiGatewayStage,
        base_path: str,
        tags: Mapping[str, str],
    ) -> None:
        """Creates certificate, domain name and mapping.

        Args:
            scope: The API that owns the name.
            id: Unique within `scope`.
            domain: The name, and how its certificate is validated.
            provider: Provider of the Region: the certificate must stand there too.
            stage: The stage that answers.
            base_path: First segment of the path that leads to the stage.
            tags: Tags of its resources.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-regional-api-custom-domain-create.html
        """
        super().__init__(scope, id)
        self.certificate = AcmCertificate(
            self,
            "certificate",
            provider=provider,
            domain_name=domain.name,
            validation_method="DNS",
            tags=dict(tags),
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        self.domain_name = ApiGatewayDomainName(
            self,
            "domain_name",
            provider=provider,
            domain_name=domain.name,
            regional_certificate_arn=domain.validate(domain.name, self.certificate, provider),
            security_policy="TLS_1_2",
            endpoint_configuration=ApiGatewayDomainNameEndpointConfiguration(
                types=["REGIONAL"], ip_address_type="dualstack"
            ),
            tags=dict(tags),
        )
        self.domain_name.override_logical_id(f"{scope.node.id}_{id}_name")
        self.mapping = ApiGatewayBasePathMapping(
            self,
            "mapping",
            provider=provider,
            domain_name=self.domain_name.domain_name,
            api_id=stage.rest_api_id,
            stage_name=stage.stage_name,
            base_path=base_path,
        )
