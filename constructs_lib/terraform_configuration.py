"""Terraform's own configuration of an environment: versions, the backend, a provider per Region."""

from cdktf import LocalBackend, S3Backend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags

from constructs_lib.fixed import CHECKED_ENVIRONMENT
from constructs_lib.settings.schema import LocalBackend as LocalBackendSettings
from constructs_lib.settings.schema import Settings

PROVIDER_VERSIONS = ">= 5.100.0, <= 6.25.0"
"""From what the tests apply to what the bindings describe. Nothing here needs version 6."""

ROLES = ("primary", "secondary")
"""Aliases of the first two Regions' providers; further ones are named like their Region."""


def configure(stack: TerraformStack, settings: Settings) -> None:
    """Set the versions and the backend of a stack.

    Args:
        stack: The stack.
        settings: The environment.
    """
    stack.add_override(
        "terraform.required_providers.aws",
        {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS},
    )
    # From this version on, S3 lock files are not experimental.
    stack.add_override("terraform.required_version", ">= 1.11.0")
    backend = settings.backend
    if isinstance(backend, LocalBackendSettings):
        # From cdktf.out/stacks/<name>, where Terraform runs, to beside cdktf.out.
        LocalBackend(stack, path=f"../../../terraform.{settings.name}.tfstate")
    else:
        S3Backend(
            stack, bucket=backend.bucket, key=backend.key, region=backend.region, encrypt=True
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


def providers_by_region(stack: TerraformStack, settings: Settings) -> dict[str, AwsProvider]:
    """One aliased provider per Region and no other: a forgotten alias is an error.

    Args:
        stack: The stack.
        settings: The environment.

    Returns:
        `{region: provider}`, the primary first.
    """
    return {
        region: provider_of(stack, settings, region, alias)
        for region, alias in zip(
            settings.regions, (*ROLES, *settings.regions[len(ROLES) :]), strict=True
        )
    }
