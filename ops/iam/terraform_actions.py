"""What Terraform and its AWS provider call for each type of resource, and for the state.

Reads are what a plan needs, writes what an apply and a destroy need beside them, changes of what
exists included. To support another type: add it to one of the two tables; a test names each type
that is missing.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html for the
resources that an action can be limited to; for what is called, a recording of the sandbox and the
permissions that the services' guides name.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ops.errors import OpsError
from ops.iam.grants import equals, read, write
from ops.iam.policy import ANYWHERE, Grant
from ops.iam.terraform_serving import SERVING
from ops.iam.terraform_storing import STORING

TERRAFORM: Mapping[str, tuple[Grant, ...]] = {**SERVING, **STORING}
"""`{type of resource, or `data.` and type of data source: what is called}`.

`type.argument` has what only resources with that argument need.
"""

PROVIDER = (read("sts", "GetCallerIdentity", ANYWHERE),)
"""What the provider calls for itself."""

STATE = (
    read("s3", "ListBucket", "s3:::{state_bucket}"),
    read("s3", "GetObject", "s3:::{state_bucket}/{state_key}"),
    write("s3", "PutObject", "s3:::{state_bucket}/{state_key}"),
    # A plan takes the lock, too.
    read("s3", "GetObject PutObject DeleteObject", "s3:::{state_bucket}/{state_key}.tflock"),
    # The bucket's own key, which this environment does not know.
    Grant(
        "kms",
        "Decrypt GenerateDataKey",
        ("kms:{state_region}:{account}:key/*",),
        equals("kms:ViaService", "s3.{state_region}.amazonaws.com"),
    ),
)
"""State and lock file in a bucket.

Source: https://developer.hashicorp.com/terraform/language/backend/s3#permissions-required
"""

NEVER_RELEASED = frozenset(
    {
        "dynamodb:DeleteGlobalTableWitness",
        "dynamodb:DeleteTable",
        "dynamodb:DeleteTableReplica",
        "kms:ScheduleKeyDeletion",
        "route53:DeleteHostedZone",
    }
)
"""Actions that destroy data, as `ops deploy` refuses to."""


def release_grants(stack: Mapping[str, Any]) -> list[Grant]:
    """List what Terraform calls for a stack in a release, which destroys no data.

    Args:
        stack: The parsed JSON of the synthesized stack.

    Raises:
        OpsError: The table lacks a type of resource.
    """
    return [
        replace(grant, actions=" ".join(_released(grant)))
        for grant in terraform_grants(stack, writes=True)
        if _released(grant)
    ]


def _released(grant: Grant) -> list[str]:
    return [a for a in grant.actions.split() if f"{grant.service}:{a}" not in NEVER_RELEASED]


def terraform_grants(stack: Mapping[str, Any], *, writes: bool) -> list[Grant]:
    """List what Terraform calls for a stack.

    Args:
        stack: The parsed JSON of the synthesized stack.
        writes: Whether it applies and destroys, and does not only plan.

    Raises:
        OpsError: The table lacks a type of resource.
    """
    types = [*stack["resource"], *(f"data.{type}" for type in stack.get("data", {}))]
    if unknown := [type for type in types if type not in TERRAFORM]:
        raise OpsError(
            f"which permissions {', '.join(unknown)} needs is not known",
            next_step="add it to a table in ops/iam/",
        )
    with_arguments = {
        f"{type}.{argument}": True
        for type, resources in stack["resource"].items()
        for given in resources.values()
        for argument in given
    }
    types += [each for each in with_arguments if each in TERRAFORM]
    found = [*PROVIDER, *STATE, *(grant for type in types for grant in TERRAFORM[type])]
    return [grant for grant in found if writes or not grant.writes]
