"""The API on the local AWS: brought up once by the command that a user types."""

import shutil

import pytest
from local_api import Api, run_ops
from repository_files import REPOSITORY

from ops import local
from ops.stand import Workspace


@pytest.fixture(scope="session")
def ops():
    return run_ops


@pytest.fixture(scope="session")
def api(terraform_ready, tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("local"))
    up = run_ops("local", "up", "--folder", str(workspace.folder), "--free-ports", "--speed", "20")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield Api(workspace, local.status(workspace), up.stdout)
    finally:
        down = run_ops("local", "down", "--folder", str(workspace.folder))
        assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def hardened_environments(tmp_path_factory):
    """A folder with the hardened environment file, to edit."""
    folder = tmp_path_factory.mktemp("environments")
    shutil.copy(REPOSITORY / "tests" / "hardened" / "local.toml", folder)
    return folder


@pytest.fixture(scope="session")
def hardened(terraform_ready, tmp_path_factory, hardened_environments):
    """The API with every door closed, on a local AWS that checks signatures and policies."""
    workspace = Workspace(tmp_path_factory.mktemp("hardened"))
    up = run_ops(
        "local", "up", "--folder", str(workspace.folder), "--free-ports", "--speed", "20",
        "--iam-enforced", FAILOVER_ENVIRONMENTS=str(hardened_environments),
    )  # fmt: skip
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield Api(workspace, local.status(workspace), up.stdout)
    finally:
        down = run_ops("local", "down", "--folder", str(workspace.folder))
        assert down.returncode == 0, down.stdout + down.stderr
