"""The API's name in one Region: certificate, domain name and base path mapping."""

from collections.abc import Mapping

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.api_gateway_base_path_mapping import ApiGatewayBasePathMapping
from cdktf_cdktf_provider_aws.api_gateway_domain_name import (
    ApiGatewayDomainName,
    ApiGatewayDomainNameEndpointConfiguration,
)
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from constructs import Construct

from constructs_lib.api.options import CertificateHome, CustomDomain


class RegionalDomainName(Construct):
    """A REGIONAL custom domain name (IPv4 and IPv6) in front of one stage.

    Its security policy is `TLS_1_2`, but API Gateway negotiates by that of the REST API, whose
    default is TLS 1.0: the provider that this was tried with cannot set that one.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-update.html
    """

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
        """Create certificate, domain name and mapping.

        Args:
            scope: The API that owns the name.
            id: Unique within `scope`.
            domain: The name, and how its certificate is validated.
            provider: Provider of the Region: the certificate must be there too.
            stage: The stage that serves the name.
            base_path: First segment of the path, which is mapped to the stage.
            tags: Tags of its resources.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-regional-api-custom-domain-create.html
        """
        super().__init__(scope, id)
        self.name = domain.name
        """The fully qualified domain name."""
        home = domain.certificate_home or CertificateHome(self, provider)
        self.certificate = AcmCertificate(
            home.scope,
            "certificate",
            provider=home.provider,
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
            regional_certificate_arn=domain.validate(domain.name, self.certificate, home.provider),
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
            # The id is the name, and unknown when it is replaced: its mappings go with it.
            domain_name=self.domain_name.id,
            api_id=stage.rest_api_id,
            stage_name=stage.stage_name,
            base_path=base_path,
        )

    @property
    def host_name(self) -> str:
        """Host name that AWS gives the domain name, for alias records; a token."""
        return self.domain_name.regional_domain_name

    @property
    def zone_id(self) -> str:
        """Hosted zone id of that host name; a token."""
        return self.domain_name.regional_zone_id
