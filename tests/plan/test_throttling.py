"""An apply and a destroy while API Gateway takes no more calls than its quotas allow."""

import re

import pytest
from deployment import SHIPPED, Deployment, left_over

from sandbox.programs import start_aws, stop
from sandbox.workspace import Ports, Workspace

pytestmark = [pytest.mark.plan, pytest.mark.soak]


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "aws")
    yield workspace
    stop(workspace)


def test_what_is_over_a_quota_is_tried_again_until_all_is_deployed(workspace, tmp_path):
    aws = start_aws(workspace, Ports.free(), speed=1, emulator_options=("--throttled",))
    deployment = Deployment(tmp_path / "stack", aws, SHIPPED)
    deployment.synthesize()
    assert deployment.terraform("init", "-input=false").returncode == 0

    # WHEN it is applied, planned again, and destroyed
    deployment.apply()
    changed = deployment.changes()
    destroyed = deployment.terraform("destroy", "-auto-approve", "-input=false")

    # THEN calls were refused, and nothing failed
    log = (workspace.folder / "aws.log").read_text()
    assert re.findall(r"apigateway\.(\w+) throttled", log)
    assert changed is None
    assert destroyed.returncode == 0, destroyed.stderr
    assert {kind: found for kind, found in left_over(deployment) if found} == {}
