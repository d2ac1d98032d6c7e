"""The Terraform state of an environment: whether there is one where the environment file says.

Elsewhere, Terraform begins with an empty state, without a word, and creates what exists. A plan
cannot refuse that: it would have to read AWS in one Region, and no change could be planned while
that Region is down.
"""

import os
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ops.aws import client_of, session_for
from ops.deployed_keys import InService
from ops.environment_file import EnvironmentFile
from ops.errors import UsageError
from ops.stacks import state_key

RUNBOOK = "docs/how-to/deploy-changes.md#move-the-state"
LAYOUT_RUNBOOK = "docs/how-to/deploy-by-region.md#change-the-layout-of-an-environment-that-serves"


def on_aws(region: str) -> Any:
    """A client of S3 on AWS.

    Args:
        region: The Region.
    """
    return client_of(session_for(None, region), "s3", region, None)


def in_workspace(key: str) -> str:
    """Key in the workspace of Terraform that is chosen by `TF_WORKSPACE`.

    Args:
        key: The key in the default workspace.

    Source: https://developer.hashicorp.com/terraform/language/backend/s3
    """
    workspace = os.environ.get("TF_WORKSPACE") or "default"
    return key if workspace == "default" else f"env:/{workspace}/{key}"


def refuse_without_state(
    file: EnvironmentFile, deployed: InService, s3: Callable[[str], Any]
) -> None:
    """Refuse to continue if keys are deployed, and the bucket has no state.

    Args:
        file: The environment's file.
        deployed: The keys in API Gateway.
        s3: Gives a client of S3 in a Region.

    Raises:
        OpsError: There is no state.
        BotoCoreError, ClientError: The bucket does not say.

    Source: https://developer.hashicorp.com/terraform/language/backend/s3
    """
    backend = file.backend
    if backend.get("type") != "s3" or not deployed.ids:
        return
    key = backend["key"]
    if file.layout == "regional":
        # The Region that has the keys has its own state.
        key = state_key(key, deployed.region)
    key = in_workspace(key)
    try:
        s3(backend["region"]).head_object(Bucket=backend["bucket"], Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NoSuchBucket"):
            raise
        raise UsageError(
            f"{file.environment} is deployed, as API Gateway in {deployed.region} has "
            f"{', '.join(sorted(deployed.ids))}, and s3://{backend['bucket']}/{key} does not "
            "exist: Terraform would create everything again",
            next_step=f"if [backend] has changed, move the state first: {RUNBOOK}; if layout has, "
            f"run this before the change: {LAYOUT_RUNBOOK}; if another workspace was deployed, set "
            "TF_WORKSPACE",
        ) from error
