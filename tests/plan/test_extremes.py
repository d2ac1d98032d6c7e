"""The largest environment that the settings allow, planned by the real provider."""

import pytest
from extremes import Deployment

from constructs_lib.settings.schema import PLANS_MAX

pytestmark = [pytest.mark.plan, pytest.mark.soak]


def test_the_largest_environment_with_all_plans_is_planned(tmp_path, aws):
    # GIVEN the longest names, the most tags, three Regions, and every plan that AWS allows
    deployment = Deployment(tmp_path, aws, customers=100, plans=PLANS_MAX)
    assert len(deployment.keys) == 200

    # WHEN the provider plans it
    printed = deployment.terraform("plan")

    # THEN it would create every resource
    assert f"Plan: {len(deployment.addresses)} to add, 0 to change, 0 to destroy" in printed
