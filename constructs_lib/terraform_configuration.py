"""Terraform's own configuration of an environment: versions, the backend, a provider per Region."""

from cdktf import LocalBackend, S3Backend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags

from constructs_lib.fixed import CHECKED_ENVIRONMENT
from constructs_lib.settings.schema import LocalBackend as LocalBackendSettings
from constructs_lib.settings.schema import Settings
from constructs_lib.settings.stack_names import stack_name, state_key

OLDEST_PROVIDER = "5.100.0"
"""What the tests apply. Of what is synthesized by default, nothing needs version 6."""

NEWEST_PROVIDER = "6.25.0"
"""What the bindings describe."""

STRONG_CONSISTENCY_SINCE = "6.22.0"
"""The provider's first version with `global_table_witness`; `consistency_mode` is older.

Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/CHANGELOG.md
"""

ACCELERATED_RECOVERY_SINCE = "6.25.0"
"""The provider's first version with `enable_accelerated_recovery`; same source."""

ROLES = ("primary", "secondary")
"""Aliases of the first two Regions' providers; further ones are named like their Region."""


def provider_versions(settings: Settings) -> str:
    """The versions of the AWS provider that have what an environment needs, and were checked.

    Args:
        settings: The environment.
    """
    oldest = OLDEST_PROVIDER
    if settings.table.consistency == "strong":
        oldest = STRONG_CONSISTENCY_SINCE
    if settings.domain.accelerated_recovery:
        oldest = ACCELERATED_RECOVERY_SINCE
    return f">= {oldest}, <= {NEWEST_PROVIDER}"


def configure(stack: TerraformStack, settings: Settings, part: str) -> None:
    """Set the versions and the backend of a stack.

    Args:
        stack: The stack.
        settings: The environment.
        part: What the stack is of the environment; empty for all of it.
    """
    stack.add_override(
        "terraform.required_providers.aws",
        {"source": "hashicorp/aws", "version": provider_versions(settings)},
    )
    # From this version on, S3 lock files are not experimental.
    stack.add_override("terraform.required_version", ">= 1.11.0")
    backend = settings.backend
    if isinstance(backend, LocalBackendSettings):
        # From cdktf.out/stacks/<name>, where Terraform runs, to beside cdktf.out.
        LocalBackend(stack, path=f"../../../terraform.{stack_name(settings, part)}.tfstate")
    else:
        S3Backend(
            stack,
            bucket=backend.bucket,
            key=state_key(backend.key, part),
            region=backend.region,
            encrypt=True,
        )
        stack.add_override("terraform.backend.s3.use_lockfile", True)


def provider_of(stack: TerraformStack, settings: Settings, region: str, alias: str) -> AwsProvider:
    """The aliased provider of one Region; the stack needs `FixedSettings`.

    Args:
        stack: The stack.
        settings: The environment.
        region: The Region.
        alias: Its alias.
    """
    return AwsProvider(
        stack,
        f"aws_{alias}",
        alias=alias,
        region=region,
        allowed_account_ids=list(settings.allowed_account_ids) or None,
        default_tags=[
            AwsProviderDefaultTags(tags=settings.tags | {"environment": CHECKED_ENVIRONMENT})
        ],
    )


def provider_aliases(settings: Settings) -> dict[str, str]:
    """The alias of each Region's provider; no provider is without one, so none is forgotten.

    Args:
        settings: The environment.

    Returns:
        `{region: alias}`, the primary first.
    """
    aliases = (*ROLES, *settings.regions[len(ROLES) :])
    return dict(zip(settings.regions, aliases, strict=True))
