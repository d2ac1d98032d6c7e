"""The API on the local AWS: brought up once by the command that a user types."""

import pytest
from local_api import Api, run_ops

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
