"""What Terraform's state says of a deployed environment."""

import os
from pathlib import Path
from typing import Any

from constructs_lib.outputs import Outputs, OutputsError
from ops.aws import without_sandbox_endpoints
from ops.errors import OpsError, UsageError
from ops.stacks import ROUTING_SUFFIX
from ops.terraform import Terraform


def deployed_outputs(folder: Path, name: str) -> Outputs:
    """Read the outputs of an environment from Terraform's state.

    Args:
        folder: Folder in which `terraform output` works.
        name: Name of the environment.

    Raises:
        OpsError: Nothing is deployed, something else is, or the state cannot be read.
    """
    try:
        return Outputs.from_json(terraform_outputs(folder, name))
    except OutputsError as error:
        raise OpsError(
            f"the environment {name} is not deployed, or by an older version: {error}",
            next_step="deploy it: pipenv run cdktf deploy "
            + (f"'{name}-*'" if folder.name == f"{name}{ROUTING_SUFFIX}" else name),
        ) from error


def terraform_outputs(folder: Path, name: str) -> dict[str, Any]:
    """Read the outputs that are in Terraform's state.

    Args:
        folder: Folder in which `terraform output` works.
        name: Name of the environment.

    Returns:
        `{name: value}`; empty if nothing is deployed.

    Raises:
        OpsError: The folder does not exist, is another environment's, or the state cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} does not exist",
            next_step=f"synthesize it: FAILOVER_ENVIRONMENT={name} pipenv run synth; then run "
            "terraform init there",
        )
    # The state of an environment on AWS is never in a sandbox.
    values = Terraform(folder, without_sandbox_endpoints(os.environ)).outputs()
    if values.get("environment", name) != name:
        raise UsageError(
            f"{folder} is the stack of the environment {values['environment']}, not {name}",
            next_step="name the folder of its own stack with --stack-folder",
        )
    return values
