"""What Terraform itself is told by an environment: versions, the backend, a provider per Region."""

from cdktf import LocalBackend, S3Backend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags

from constructs_lib.settings import LocalBackend as LocalBackendSettings
from constructs_lib.settings import Settings

PROVIDER_VERSIONS = ">= 5.100.0, < 7.0.0"
"""From what the tests run on to below the next major version: nothing here needs version 6."""

ROLES = ("primary", "secondary")
"""Aliases of the first two Regions' providers; further ones are named like their Region."""


def configure(stack: TerraformStack, settings: Settings) -> None:
    """Sets the versions and the backend of a stack.

    Args:
        stack: The stack.
        settings: The environment.
    """
    stack.add_override(
        "terraform.required_providers.aws",
        {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS},
    )
    # S3 lock files are no experiment from this version on.
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
    """The aliased provider of one Region.

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
        default_tags=[AwsProviderDefaultTags(tags=settings.tags | {"environment": settings.name})],
    )


def providers_by_region(stack: TerraformStack, settings: Settings) -> dict[str, AwsProvider]:
    """One aliased provider per Region and no other: a forgotten alias cannot go unnoticed.

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
