"""The cdktf command line as its users know it, on the local AWS, from a folder like a clone."""

import json
import os
import shutil
import subprocess

import pytest
from repository_files import ENVIRONMENTS, REPOSITORY

from ops.key_values import VARIABLE
from ops.stand import Ports, Workspace, start_aws, stop

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("terraform_ready")]

CLONED = (
    "main.py", "weather_api.py", "constructs_lib", "lambda_src", "environments", "cdktf.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def aws(terraform_ready, tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("aws"))
    yield start_aws(workspace, Ports.free(), speed=1)
    stop(workspace)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    for name in CLONED:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copyfile
        copy(REPOSITORY / name, folder / name)
    (folder / "node_modules").symlink_to(REPOSITORY / "node_modules")
    return folder


@pytest.fixture(scope="module")
def run(aws, clone):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **aws.variables,
        VARIABLE: json.dumps({"local": {"demo-1": "d" * 20, "visitor-1": "v" * 20}}),
        "CHECKPOINT_DISABLE": "1",
    }

    def run(*command, folder=clone):
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def cdktf(*arguments):
    return ("node_modules/.bin/cdktf", *arguments)


def test_synth_writes_every_environment_and_terraform_plans_it_there(run, clone):
    run(*cdktf("synth"))

    stacks = clone / "cdktf.out" / "stacks"
    assert sorted(p.name for p in stacks.iterdir()) == [p.stem for p in ENVIRONMENTS]
    run("terraform", "init", "-input=false", folder=stacks / "local")
    plan = run("terraform", "plan", "-input=false", "-no-color", folder=stacks / "local")
    assert "to add, 0 to change, 0 to destroy" in plan


def test_list_names_every_environment(run):
    listed = run(*cdktf("list"))

    for path in ENVIRONMENTS:
        assert f"cdktf.out/stacks/{path.stem}" in listed


def test_diff_and_deploy_bring_the_api_up_and_leave_nothing_to_change(run, clone, aws):
    # A machine with a mirror of providers has no registry to lock them with.
    diff = run(*cdktf("diff", "local", "--skip-provider-lock"))
    assert "to add, 0 to change, 0 to destroy" in diff

    deployed = run(*cdktf("deploy", "local", "--skip-provider-lock", "--auto-approve"))
    assert "https://weather.example.com/v1" in deployed

    # The state stands beside cdktf.out, where the next synth does not touch it.
    state = json.loads((clone / "terraform.local.tfstate").read_text())
    assert len(state["resources"]) > 100
    run("terraform", "plan", "-input=false", "-detailed-exitcode",
        folder=clone / "cdktf.out" / "stacks" / "local")  # fmt: skip
