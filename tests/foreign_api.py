"""An API that has nothing to do with weather, built from the same three constructs.

Other names, other operations, other Regions, three of them, and latency routing.
"""

from pathlib import Path

from cdktf import App, LocalBackend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from constructs_lib.api import Authorization, CustomDomain, FunctionPackage, Operation, RegionalApi
from constructs_lib.dynamodb import GlobalSecondaryIndex, GlobalTable, Key
from constructs_lib.route53 import AliasTarget, FailoverDns, HealthCheck, RegionalEndpoint

REGIONS = ("eu-central-1", "eu-west-1", "ap-southeast-2")
FUNCTIONS = Path(__file__).parent / "foreign_functions"
OPERATIONS = (
    Operation(name="ping", method="GET", path="/ping", authorization=Authorization.NONE),
    Operation(
        name="place_order",
        method="POST",
        path="/shops/{shop}/orders",
        authorization=Authorization.IAM,
        access=("dynamodb:PutItem",),
        request_model={"type": "object", "required": ["sku"]},
    ),
)


def build(app: App) -> TerraformStack:
    stack = TerraformStack(app, "orders")
    LocalBackend(stack, path="orders.tfstate")
    stack.add_override(
        "terraform.required_providers.aws", {"source": "hashicorp/aws", "version": ">= 5.100.0"}
    )
    providers = {
        region: AwsProvider(stack, f"aws_{region}", alias=region, region=region)
        for region in REGIONS
    }
    home = providers[REGIONS[0]]
    table = GlobalTable(
        stack,
        "orders",
        name="orders",
        providers=providers,
        partition_key=Key("order_number", "N"),
        ttl_attribute="expires_at",
        indexes=[GlobalSecondaryIndex("by-shop", Key("shop"), Key("placed_at"))],
    )
    dns = FailoverDns(
        stack,
        "name",
        provider=home,
        zone_name="shop.example",
        record_name="shop.example",
        create_zone=True,
    )
    package = FunctionPackage(stack, "package", source=FUNCTIONS)
    endpoints = []
    for region, provider in providers.items():
        api = RegionalApi(
            stack,
            f"api_{region}",
            provider=provider,
            region=region,
            name="orders",
            stage_name="live",
            operations=OPERATIONS,
            package=package,
            access_logs=False,
            tracing=False,
            domain=CustomDomain("shop.example", dns.validate_certificate),
        )
        table.grant_write(
            api.functions["place_order"].role, region=region, actions=["dynamodb:PutItem"]
        )
        endpoints.append(
            RegionalEndpoint(
                region,
                AliasTarget(
                    api.domain.domain_name.regional_domain_name,
                    api.domain.domain_name.regional_zone_id,
                ),
                api.host_name,
            )
        )
    dns.route(endpoints, routing_policy="latency", health_check=HealthCheck("/live/ping"))
    return stack
