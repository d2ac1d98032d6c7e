"""Where a deployment works: the synthesized stacks, and Terraform in the folder of each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.aws import SANDBOX_CREDENTIALS, without_sandbox_endpoints
from ops.deploy.stack_terraform import StackTerraform
from ops.descriptor import Descriptor
from ops.folders import OUTPUT_FOLDER
from ops.key_values import KeyFile, as_variable, default_file, given
from ops.stacks import stacks_of

_VARIABLES = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


@dataclass(frozen=True)
class Workplace:
    """Where the stacks of an environment are synthesized, planned and applied.

    Attributes:
        environment: Name of the environment.
        output: Folder that is synthesized to; local states are beside it.
        variables: All environment variables of Terraform.
    """

    environment: str
    output: Path
    variables: Mapping[str, str]

    @classmethod
    def of(cls, environment: str, descriptor: Descriptor | None) -> "Workplace":
        """Find the place of an environment.

        Args:
            environment: Name of the environment.
            descriptor: Its descriptor; None if it is not deployed.

        Raises:
            OpsError: The values of its API keys cannot be read.
        """
        sandbox = descriptor.sandbox if descriptor else None
        if descriptor is None or descriptor.endpoint_url is None:
            variables = without_sandbox_endpoints(os.environ)
        else:
            key, secret = SANDBOX_CREDENTIALS
            variables = {n: v for n, v in os.environ.items() if not n.startswith("AWS_")} | {
                "AWS_ENDPOINT_URL": descriptor.endpoint_url,
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        if sandbox:
            values = KeyFile(sandbox.api_keys_file, environment).values()
        else:
            values = KeyFile(default_file(environment), environment).values()
            values |= given(os.environ, environment)
        output = sandbox.synthesized if sandbox else None
        return cls(
            environment,
            output or OUTPUT_FOLDER,
            variables | _VARIABLES | (as_variable(environment, values) if values else {}),
        )

    def terraform(self, stack: str) -> StackTerraform:
        """Terraform in the folder of a stack, which need not be synthesized.

        Args:
            stack: Its name.
        """
        return StackTerraform(self.output / "stacks" / stack, self.variables)

    def terraforms(self) -> tuple[StackTerraform, ...]:
        """Terraform in the folder of each synthesized stack, in the order of deployment."""
        folders = stacks_of(self.environment, self.output)
        return tuple(StackTerraform(folder, self.variables) for folder in folders)
