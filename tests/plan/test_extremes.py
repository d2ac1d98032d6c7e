"""The largest environment that the settings allow, planned by the real provider."""

import pytest
from extremes import Deployment

from constructs_lib.settings.schema import PLANS_MAX
from sandbox.programs import start_aws, stop
from sandbox.workspace import Ports, Workspace

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]


@pytest.fixture
def aws(tmp_path):
    workspace = Workspace(tmp_path / "aws")
    yield start_aws(workspace, Ports.free(), speed=1)
    stop(workspace)


def test_the_largest_environment_with_all_plans_is_planned(tmp_path, aws):
    # GIVEN the longest names, the most tags, three Regions, and every plan that AWS allows
    deployment = Deployment(tmp_path, aws, customers=100, plans=PLANS_MAX)
    assert len(deployment.keys) == 200

    # WHEN the provider plans it
    printed = deployment.terraform("plan")

    # THEN it would create every resource
    assert f"Plan: {len(deployment.addresses)} to add, 0 to change, 0 to destroy" in printed
