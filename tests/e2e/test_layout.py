"""A sandbox with the layout `regional`: several stacks, one API, one descriptor."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from local_api import REGIONS, Api, run_ops
from repository_files import REPOSITORY

from sandbox.workspace import Workspace

pytestmark = pytest.mark.e2e

STACKS = ("local-data", "local-us-west-2", "local-us-east-1", "local-routing")


def test_the_stacks_are_deployed_one_after_the_other(regional):
    applied = re.findall(r"Applying the stack (\S+)", regional.up_output)

    assert tuple(applied) == STACKS


@pytest.mark.parametrize("region", REGIONS)
def test_both_regions_serve(regional, region):
    answer = regional.get(region, "/weather/amsterdam")

    assert answer.status == 200, answer.text


def test_verify_finds_everything_in_place(regional):
    at = ("--folder", str(regional.workspace.folder))
    # A new sandbox's functions are cold, and the machine may be busy.
    for _ in range(3):
        verified = run_ops("verify", *at)
        if verified.returncode == 0:
            break

    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_queries_for_the_zone_are_logged(regional):
    outputs = regional.outputs
    found = regional.client("route53", "us-east-1").list_query_logging_configs(
        HostedZoneId=outputs.zone_id
    )["QueryLoggingConfigs"]

    assert [each["CloudWatchLogsLogGroupArn"] for each in found] == [outputs.query_log_group_arn]


def test_export_writes_one_descriptor_from_the_outputs_of_all_stacks(regional, tmp_path):
    stacks = regional.workspace.synthesized / "cdktf.out" / "stacks"
    file = tmp_path / "descriptor.json"
    done = run_ops("export", "--stack-folder", str(stacks / STACKS[-1]), "--output", str(file))

    assert done.returncode == 0, done.stderr
    exported = json.loads(file.read_text())
    assert (
        exported["outputs"] == json.loads(regional.workspace.descriptor_file.read_text())["outputs"]
    )


@pytest.fixture
def cdktf(tmp_path, regional_variables):
    """Runs cdktf's command line on a sandbox without a deployment, as docs tell users to."""
    api = Api(Workspace(tmp_path / "sandbox"))
    shutil.copy(REPOSITORY / "cdktf.json", tmp_path)
    program = REPOSITORY / "node_modules" / ".bin" / "cdktf"
    folder = f"{sys.executable} -m sandbox env --folder {api.workspace.folder}"
    # A machine with a mirror of providers has no registry to lock them with.
    options = f"--app '{sys.executable} {REPOSITORY / 'main.py'}' --skip-provider-lock"

    def run(command):
        done = subprocess.run(
            ["bash", "-ec", f'eval "$({folder})"; {program} {command} --auto-approve {options}'],
            cwd=tmp_path, env=os.environ | regional_variables | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    try:
        api.up_without_deploying()
        yield run
    finally:
        api.down()


def changed(folder):
    """Names of stacks in the order in which their states were last written."""
    return tuple(sorted(STACKS, key=lambda stack: state_of(folder, stack).stat().st_mtime_ns))


def state_of(folder, stack):
    return folder / f"terraform.{stack}.tfstate"


@pytest.mark.exhaustive
def test_cdktf_deploys_and_destroys_the_stacks_one_after_the_other(cdktf, tmp_path):
    deployed = cdktf("deploy 'local-*'")
    assert changed(tmp_path) == STACKS
    assert len(re.findall(r"Apply complete!", deployed)) == len(STACKS)

    again = cdktf("deploy 'local-*'")
    assert len(re.findall(r"No changes\.", again)) == len(STACKS)

    cdktf("destroy 'local-*'")
    assert changed(tmp_path) == STACKS[::-1]
    states = [json.loads(state_of(tmp_path, stack).read_text()) for stack in STACKS]
    assert [state["resources"] for state in states] == [[]] * len(STACKS)
