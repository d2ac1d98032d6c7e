"""A deployed table stays as consistent as it is: the plan refuses a change, in both directions.

Terraform evaluates the synthesized preconditions; the resources of AWS are left out, as no provider
that runs here has strong consistency.
"""

import json
import subprocess

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.settings import load

pytestmark = pytest.mark.plan

LOCAL = (REPOSITORY / "environments" / "local.toml").read_text()
TABLE = 'name = "weather-observations"'
STRONG = LOCAL.replace(TABLE, f'{TABLE}\nconsistency = "strong"\nwitness_region = "us-east-2"')
OTHER_WITNESS = STRONG.replace('regions = ["us-east-1", "us-west-2"]',
                               'regions = ["us-east-1", "us-east-2"]').replace(
    'witness_region = "us-east-2"', 'witness_region = "us-west-2"'
)  # fmt: skip
PLACE = "weather-observations (strongly consistent, witness in us-east-2)"


class Deployment:
    """What Terraform itself keeps and compares of an environment."""

    def __init__(self, folder):
        self.folder = folder

    def terraform(self, text, *arguments):
        (self.folder / "local.toml").write_text(text)
        stack = Synthesized(
            weather_api.stack.build_stack(App(), load(self.folder / "local.toml"))
        ).json
        kept = {"resource": {"terraform_data": stack["resource"]["terraform_data"]}}
        (self.folder / "cdk.tf.json").write_text(json.dumps(kept))
        return subprocess.run(
            ["terraform", *arguments, "-no-color", "-input=false"],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def deployment(tmp_path):
    deployment = Deployment(tmp_path)
    assert deployment.terraform(LOCAL, "init").returncode == 0
    return deployment


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (
            LOCAL,
            STRONG,
            f"table.name is weather-observations where this environment is deployed, and {PLACE} "
            "in its file",
        ),
        (
            STRONG,
            LOCAL,
            f"table.name is {PLACE} where this environment is deployed, and weather-observations "
            "in its file",
        ),
        (STRONG, OTHER_WITNESS, f"table.name is {PLACE} where this environment is deployed, and"),
    ],
    ids=["to strong", "to eventual", "another witness"],
)
def test_another_consistency_is_refused(deployment, first, then, message):
    applied = deployment.terraform(first, "apply", "-auto-approve")
    assert applied.returncode == 0, applied.stderr
    again = deployment.terraform(first, "plan", "-detailed-exitcode")
    assert again.returncode == 0, again.stdout

    refused = deployment.terraform(then, "plan")

    printed = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.returncode == 1
    assert message in printed
    assert "It is fixed once deployed, and nothing was changed" in printed


def test_a_change_to_strong_is_never_advised_to_restore_a_backup(deployment):
    """A restored table has items, and only one without any becomes strongly consistent."""
    deployment.terraform(LOCAL, "apply", "-auto-approve")

    refused = deployment.terraform(STRONG, "plan")

    printed = " ".join(refused.stderr.replace("│", " ").split())
    assert "deploy another environment beside this one, and move the customers" in printed
    assert "restore a backup" not in printed
