"""A sandbox with the layout `regional`: several stacks, one API, one descriptor."""

import json
import re

import pytest
from local_api import IDLE_SPEED, REGIONS, Api, run_ops
from repository_files import REPOSITORY

from sandbox.workspace import Workspace

pytestmark = pytest.mark.e2e

STACKS = ("local-data", "local-us-west-2", "local-us-east-1", "local-routing")


@pytest.fixture(scope="module")
def regional(tmp_path_factory):
    environments = tmp_path_factory.mktemp("environments")
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    (environments / "local.toml").write_text(f'layout = "regional"\n{text}')
    variables = {"FAILOVER_ENVIRONMENTS": str(environments)}
    api = Api(Workspace(tmp_path_factory.mktemp("sandbox")), variables=variables)
    try:
        api.up()
        # Nothing here waits for health checks.
        api.set_speed(IDLE_SPEED)
        yield api
    finally:
        api.down()


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


def test_export_writes_one_descriptor_from_the_outputs_of_all_stacks(regional, tmp_path):
    stacks = regional.workspace.synthesized / "cdktf.out" / "stacks"
    file = tmp_path / "descriptor.json"
    done = run_ops("export", "--stack-folder", str(stacks / STACKS[-1]), "--output", str(file))

    assert done.returncode == 0, done.stderr
    exported = json.loads(file.read_text())
    assert (
        exported["outputs"] == json.loads(regional.workspace.descriptor_file.read_text())["outputs"]
    )
