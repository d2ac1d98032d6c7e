"""A Region is gone: the commands of docs/how-to/regional-outage.md, on a sandbox that has lost one.

Terraform works on a copy of the sandbox's state, and everything is restored at the end.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from local_api import REGIONS, run_sandbox
from lost_region import without
from repository_files import REPOSITORY
from test_runbooks import blocks_of

pytestmark = pytest.mark.e2e

PRIMARY, SECONDARY = REGIONS
BURST, HARDENED_BURST, OTHER_BURST = 200, 20, 400


class Operator:
    """Whoever has the runbook in hand, in the folder of a checkout whose stack is deployed."""

    def __init__(self, api, environment_file, folder):
        self.output = folder / "terraform" / "cdktf.out"
        shutil.copytree(api.workspace.synthesized, folder / "terraform", symlinks=True)
        self.environments = folder / "environments"
        self.environments.mkdir()
        shutil.copy(environment_file, self.environments / "local.toml")
        env = run_sandbox("env", "--folder", str(api.workspace.folder)).stdout
        exports = (shlex.split(line)[1].split("=", 1) for line in env.splitlines())
        mine = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
        self.variables = {**mine, **dict(exports), "TF_CLI_ARGS": "-no-color"}

    def type(self, block, endpoint_url):
        """A block of the runbook, at a prompt where every question is answered with yes."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace("trial", "local")],
            cwd=self.output.parent,
            env={**self.variables, "AWS_ENDPOINT_URL": endpoint_url},
            input="yes\n", capture_output=True, text=True,
        )  # fmt: skip

    def runs(self, block, endpoint_url):
        done = self.type(block, endpoint_url)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def changes_the_burst(self, burst):
        """Step 1: edits the environment file and synthesizes."""
        file = self.environments / "local.toml"
        before, head, rest = file.read_text().partition("[api]\n")
        api, section, after = rest.partition("\n[table]")
        api = re.sub(r"(?m)^burst = \d+\n?", "", api)
        file.write_text(f"{before}{head}burst = {burst}\n{api}{section}{after}")
        done = subprocess.run(
            [sys.executable, "main.py"], cwd=REPOSITORY, capture_output=True, text=True,
            env={**os.environ, "FAILOVER_ENVIRONMENT": "local", "CDKTF_OUTDIR": str(self.output),
                 "FAILOVER_ENVIRONMENTS": str(self.environments)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture
def operator(api, tmp_path):
    yield Operator(api, REPOSITORY / "environments" / "local.toml", tmp_path)
    restore(api, BURST)


@pytest.fixture
def operator_with_a_key(hardened, hardened_environments, tmp_path):
    """The same on the sandbox whose logs are encrypted with a key of its own."""
    yield Operator(hardened, hardened_environments / "local.toml", tmp_path)
    restore(hardened, HARDENED_BURST)


def restore(api, burst):
    """The sandbox's own state does not know the change: its plan finds out, and changes it back."""
    if set(bursts(api).values()) != {burst}:
        restored = api.terraform("apply", "-auto-approve", "-input=false", "-no-color")
        assert restored.returncode == 0, restored.stderr


def bursts(api):
    """`{region: burst of all methods}` as API Gateway has it."""
    return {
        region: api.client("apigateway", region).get_stage(
            restApiId=api.outputs.api_ids[region], stageName="v1"
        )["methodSettings"]["*/*"]["throttlingBurstLimit"]
        for region in REGIONS
    }  # fmt: skip


def block_with(containing):
    """The one block of the runbook that holds a text."""
    (block,) = [text for text in blocks_of("regional-outage.md") if containing in text]
    return block


OVERRIDE, CHANGE, RETURN = (
    block_with("region_gone_override.tf.json <<"),
    block_with("aws_api_gateway_method_settings.secondary"),
    block_with("rm -f cdktf.out/stacks/trial/region_gone_override"),
)
PLAN = CHANGE.partition("terraform -chdir=cdktf.out/stacks/trial apply")[0]
IMPATIENT = json.dumps(
    {"provider": {"aws": [{"alias": a, "max_retries": 1} for a in ("primary", "secondary")]}}
)
"""Makes a plan fail at once, where it would go on trying for an hour."""


def is_refused_for_the_lost_region(plan):
    return (
        plan.returncode == 1
        and "GetCallerIdentity, exceeded maximum number of attempts" in plan.stderr
    )


def test_a_plan_of_everything_fails_while_the_primary_is_gone(api, operator):
    (operator.output / "stacks" / "local" / "impatient_override.tf.json").write_text(IMPATIENT)
    with without(PRIMARY, api.local.sandbox.endpoint_url) as (url, refused):
        plan = operator.type("terraform -chdir=cdktf.out/stacks/trial plan -input=false", url)

    assert is_refused_for_the_lost_region(plan), plan.stdout[-3000:] + plan.stderr[-3000:]
    assert "sts" in refused


def changes_the_secondary_alone(api, operator, url, refused, burst):
    changed = operator.runs(CHANGE, url)

    assert "1 to change" in changed
    # The limits of single methods end with those of all, and are created again.
    assert re.search(r"([1-9]) added, 1 changed, \1 destroyed", changed), changed[-3000:]
    assert bursts(api) == {PRIMARY: burst, SECONDARY: OTHER_BURST}
    assert refused == []


def brings_what_the_primary_has_missed(api, operator):
    returned = operator.runs(RETURN, api.local.sandbox.endpoint_url)

    assert re.search(r"Plan: ([1-9]) to add, 1 to change, \1 to destroy", returned), returned[
        -3000:
    ]
    assert bursts(api) == {PRIMARY: OTHER_BURST, SECONDARY: OTHER_BURST}
    assert not [*(operator.output / "stacks" / "local").glob("region_gone*")]


def test_the_secondary_is_changed_while_the_primary_is_gone(api, operator):
    assert bursts(api) == {PRIMARY: BURST, SECONDARY: BURST}

    # WHEN the primary is gone, and the operator does as the runbook says
    with without(PRIMARY, api.local.sandbox.endpoint_url) as (url, refused):
        operator.changes_the_burst(OTHER_BURST)
        # THEN the secondary alone is changed, and the lost Region is not even asked
        changes_the_secondary_alone(api, operator, url, refused, BURST)

    # WHEN it is back, THEN one apply of everything brings what it has missed
    brings_what_the_primary_has_missed(api, operator)


@pytest.mark.soak
def test_with_a_key_of_your_own_the_secondary_is_changed_by_the_override(
    hardened, operator_with_a_key
):
    operator = operator_with_a_key
    impatient = operator.output / "stacks" / "local" / "impatient_override.tf.json"
    with without(PRIMARY, hardened.local.sandbox.endpoint_url) as (url, refused):
        operator.changes_the_burst(OTHER_BURST)
        impatient.write_text(IMPATIENT)
        plan = operator.type(PLAN, url)
        assert is_refused_for_the_lost_region(plan), plan.stdout[-3000:] + plan.stderr[-3000:]
        impatient.unlink()
        refused.clear()

        operator.runs(OVERRIDE, url)
        changes_the_secondary_alone(hardened, operator, url, refused, HARDENED_BURST)

    brings_what_the_primary_has_missed(hardened, operator)


def test_the_primary_is_changed_while_the_secondary_is_gone(api, operator):
    with without(SECONDARY, api.local.sandbox.endpoint_url) as (url, refused):
        operator.changes_the_burst(OTHER_BURST)
        operator.runs(block_with("aws_api_gateway_method_settings.primary"), url)

    assert bursts(api) == {PRIMARY: OTHER_BURST, SECONDARY: BURST}
    assert refused == []
