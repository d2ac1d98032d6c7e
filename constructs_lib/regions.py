"""The API of each Region, with its customers and its web ACL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.api.customers import Customers
from constructs_lib.api.function_package import FunctionPackage
from constructs_lib.api.invoke_policy import InvokePolicy
from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.options import CertificateHome, CustomDomain, HostNames, Logging, Throttling
from constructs_lib.api.regional_api import RegionalApi
from constructs_lib.api.web_acl import WebAcl
from constructs_lib.capacity import provisioned_concurrency
from constructs_lib.customer_access import customers_of, key_values, plans_of
from constructs_lib.dynamodb.global_table import GlobalTable
from constructs_lib.layout import Layout
from constructs_lib.route53.failover_dns import FailoverDns
from constructs_lib.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Regional:
    """What the API of every Region is created from.

    Attributes:
        settings: The environment.
        name: Prefix of the names of what is created.
        layout: Where its parts are.
        operations: What the API serves.
        quiet_operations: Names of the operations that only health checkers call.
        api_url: URL of the API at the shared name.
        table: What the functions read and write.
        dns: What validates certificates.
        key_arns: `{region: ARN}` of the key that encrypts logs; empty for none.
        fence_partition: Partition key of the items that fence the operations that write; None
            without a fence.
    """

    settings: Settings
    name: str
    layout: Layout
    operations: Sequence[Operation]
    quiet_operations: Collection[str]
    api_url: str
    table: GlobalTable
    dns: FailoverDns
    key_arns: Mapping[str, str]
    fence_partition: str | None = None


def add_regions(
    regional: Regional, *, functions: Path, hint: str = ""
) -> tuple[dict[str, RegionalApi], dict[str, Customers]]:
    """Create in each Region the API, its customers and its web ACL.

    Args:
        regional: What they are created from.
        functions: Folder with a module per operation: the root of the zip.
        hint: How values of keys are made: in Terraform's error when they are missing.

    Returns:
        `{region: API}`, and `{region: plans and keys}`.
    """
    settings = regional.settings
    customers = customers_of(settings)
    shared: dict[str, tuple[FunctionPackage, Mapping[str, str]]] = {}
    for place in regional.layout.regions.values():
        # Once in a stack: Regions of the same one share the zip and the values of keys.
        if (stack := place.stack).node.id not in shared:
            shared[stack.node.id] = (
                FunctionPackage(stack, "functions", source=functions),
                key_values(stack, customers, environment=settings.name, hint=hint),
            )
    apis: dict[str, RegionalApi] = {}
    keys: dict[str, Customers] = {}
    for region, place in regional.layout.regions.items():
        provider = place.providers[region]
        package, values = shared[place.stack.node.id]
        api = apis[region] = _create_api(regional, region, package)
        keys[region] = Customers(
            place.stack,
            f"{provider.alias}_customers",
            provider=provider,
            name=regional.name,
            stage=api.stage.stage,
            plans=plans_of(settings),
            customers=customers,
            key_values=values,
        )
        if settings.web_acl:
            WebAcl(
                place.stack,
                f"{provider.alias}_web_acl",
                provider=provider,
                region=region,
                name=regional.name,
                stage=api.stage.stage,
                requests_per_five_minutes=settings.web_acl.requests_per_five_minutes,
                action=settings.web_acl.action,
            )
    return apis, keys


def _create_api(regional: Regional, region: str, package: FunctionPackage) -> RegionalApi:
    settings, dns, place = regional.settings, regional.dns, regional.layout.regions[region]
    named = settings.domain.regional_names
    id = f"{place.providers[region].alias}_api"
    api = RegionalApi(
        place.stack,
        id,
        provider=place.providers[region],
        region=region,
        name=regional.name,
        stage_name=settings.api.stage,
        operations=regional.operations,
        package=package,
        environment={
            "TABLE_NAME": settings.table.name,
            "API_URL": regional.api_url,
            "CLOCK_TOLERANCE_SECONDS": str(settings.api.clock_tolerance_seconds),
            # Not their URLs: all variables of a function together may take 4 KB.
            **({"NAMED_REGIONS": " ".join(settings.regions)} if named else {}),
        },
        throttling=Throttling(
            rate_per_second=settings.api.rate_per_second, burst=settings.api.burst
        ),
        logging=Logging(
            retention_days=settings.api.log_retention_days,
            access_logs=settings.api.access_logs,
            manage_account_log_role=settings.api.manage_account_log_role,
            tracing=settings.api.tracing,
        ),
        host_names=HostNames(
            shared=_domain(regional, dns.record_name, region, id, "domain"),
            regional=_domain(regional, dns.regional_name(region), region, id, "regional_domain")
            if named
            else None,
            execute_api=settings.api.execute_api_endpoint,
        ),
        kms_key_arn=regional.key_arns.get(region),
        prevent_destroy=settings.table.deletion_protection,
        quiet_operations=regional.quiet_operations,
        provisioned_concurrency=provisioned_concurrency(
            settings, region, regional.operations, called_by_checkers=regional.quiet_operations
        ),
    )
    for operation in regional.operations:
        regional.table.grant(
            api.functions[operation.name].role,
            region=region,
            actions=operation.access,
            write_partitions=operation.write_partitions,
        )
        partition = regional.fence_partition if operation.is_write else None
        if partition and "dynamodb:GetItem" not in operation.access:
            regional.table.grant_get_item(
                api.functions[operation.name].role,
                region=region,
                partitions=[partition],
                id="fence",
            )
    return api


def _domain(regional: Regional, name: str, region: str, *path: str) -> CustomDomain:
    """A name, and its certificate where the validation record is."""
    data = regional.layout.data
    home = (
        CertificateHome(data.scope(*path), data.providers[region])
        if regional.layout.is_regional
        else None
    )
    return CustomDomain(name, regional.dns.validate_certificate, home)


def add_publisher_policy(
    regional: Regional, apis: Mapping[str, RegionalApi]
) -> InvokePolicy | None:
    """Create the policy for publishers, if there are operations that IAM authorizes.

    Args:
        regional: What the APIs were created from.
        apis: `{region: API}`.
    """
    if not any(o.authorization is Authorization.IAM for o in regional.operations):
        return None
    routing = regional.layout.routing
    return InvokePolicy(
        routing.stack,
        "publisher",
        provider=routing.providers[regional.settings.primary_region],
        name=f"{regional.name}-publisher",
        apis=apis,
        operations=regional.operations,
    )
