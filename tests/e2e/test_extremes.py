"""The largest environment that the settings allow, applied: AWS's models take every call."""

import pytest
from extremes import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.soak]


def test_the_largest_environment_is_applied_and_then_up_to_date(tmp_path, aws):
    # GIVEN the longest names, the most tags, three Regions, and few customers: they are all alike
    deployment = Deployment(tmp_path, aws, customers=3, plans=3)

    # WHEN it is applied / THEN nothing is refused
    applied = deployment.terraform("apply", "-auto-approve")
    assert f"{len(deployment.addresses)} added, 0 changed, 0 destroyed" in applied
    # AND a second plan shows no change
    assert "No changes." in deployment.terraform("plan")
