"""What is deployed already, applied with an empty state: docs/how-to/deploy-changes.md."""

import re

import pytest
from deployment import SHIPPED, Deployment, aliases, zone_of
from test_runbooks import terraform_command

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]


@pytest.fixture
def deployed(aws, tmp_path):
    """An environment in an existing zone, applied."""
    text = SHIPPED.replace("create_zone = true", "create_zone = false")
    deployment = Deployment(tmp_path, aws, text)
    deployment.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")
    deployment.synthesize()
    assert deployment.terraform("init", "-input=false").returncode == 0
    deployment.apply()
    return deployment


def test_it_fails_half_way_and_what_it_created_is_destroyed(deployed):
    zone = zone_of(deployed)
    records = aliases(deployed, zone)
    state = deployed.stack / "terraform.tfstate"
    moved = state.rename(deployed.folder / "before.tfstate")

    # WHEN it is applied as if nothing existed
    applied = deployed.terraform("apply", "-auto-approve", "-input=false")

    # THEN that fails, and customers are where they were
    assert applied.returncode == 1
    assert "ResourceInUseException" in applied.stderr
    assert aliases(deployed, zone) == records

    # WHEN what was created is destroyed, and the state is back
    destroy = terraform_command("deploy-changes.md", "destroy")
    destroyed = deployed.terraform(*destroy, "-auto-approve", "-input=false")
    assert destroyed.returncode == 0, destroyed.stderr
    state.unlink()
    moved.rename(state)

    # THEN only what it had taken over is missing, and the next apply creates it again
    assert aliases(deployed, zone) == records
    missing = re.findall(r"# (\S+) will be created", deployed.changes() or "")
    assert missing == [deployed.address("aws_route53_record", "validation")]
    deployed.apply()
    assert deployed.changes() is None
