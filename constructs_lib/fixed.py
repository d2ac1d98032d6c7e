"""What must stay as it was first deployed, refused by Terraform's plan if it changes.

Terraform would plan such a change and fail half-way, or take an API out of service. One
`terraform_data` keeps the values of the first deployment in the state, another compares them with
those of the configuration: the plan fails before anything is touched. A destroy is not refused.

Every provider waits for the comparison, by `CHECKED_ENVIRONMENT`. A plan that is refused therefore
reads nothing under a provider whose Region is another one now, and reports nothing but the refusal.

To accept a change on purpose, as some runbooks do: `-replace=terraform_data.deployed_settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cdktf import Precondition, TerraformResource, TerraformResourceLifecycle
from constructs import Construct

CHECKED_ENVIRONMENT = "${terraform_data.settings_are_as_deployed.input.environment}"
"""Name of the environment, once nothing that is fixed is found to differ.

For an argument of each provider: one that is given in the configuration is known in every plan.

Source: https://developer.hashicorp.com/terraform/language/providers/configuration
"""


@dataclass(frozen=True)
class Fixed:
    """A value that is fixed by the first deployment.

    Attributes:
        value: The value, as text without quotes, dollar signs and braces.
        remedy: What to do instead of changing it: the end of the error.
    """

    value: str
    remedy: str


class FixedSettings(Construct):
    """Makes the plan refuse a change of what is fixed."""

    def __init__(
        self, scope: Construct, id: str, *, environment: str, settings: Mapping[str, Fixed]
    ) -> None:
        """Keep the values, and compare them.

        Args:
            scope: The stack.
            id: Unique within `scope`.
            environment: Name of the environment, for `CHECKED_ENVIRONMENT`.
            settings: `{setting: its value}`.

        Source: https://developer.hashicorp.com/terraform/language/resources/terraform-data
        """
        super().__init__(scope, id)
        self._terraform_data(
            "deployed_settings",
            {name: fixed.value for name, fixed in settings.items()},
            TerraformResourceLifecycle(ignore_changes=["input"]),
        )
        self._terraform_data(
            "settings_are_as_deployed",
            {"environment": environment},
            TerraformResourceLifecycle(
                precondition=[
                    Precondition(
                        # A setting that was not fixed yet when it was deployed is not known.
                        condition=f'${{try({_first(name)}, "{fixed.value}") == "{fixed.value}"}}',
                        error_message=f"{name} is ${{try({_first(name)}, null)}} where this "
                        f"environment is deployed, and {fixed.value} in its file. It is fixed "
                        f"once deployed, and nothing was changed: set it back, or {fixed.remedy}",
                    )
                    for name, fixed in settings.items()
                ]
            ),
        )

    def _terraform_data(
        self, id: str, input: Mapping[str, str], lifecycle: TerraformResourceLifecycle
    ) -> None:
        # cdktf.DataResource runs `terraform version` for each one when it is synthesized.
        resource = TerraformResource(
            self, id, terraform_resource_type="terraform_data", lifecycle=lifecycle
        )
        resource.override_logical_id(id)
        resource.add_override("input", input)


def _first(name: str) -> str:
    return f'terraform_data.deployed_settings.output["{name}"]'
