"""Provisioned concurrency is created, changed and removed without touching anything else."""

import pytest
from deployment import SHIPPED, Deployment

from sandbox.programs import start_aws, stop
from sandbox.workspace import Ports, Workspace

pytestmark = [pytest.mark.plan, pytest.mark.soak]

SECONDARY = "us-west-2"
FUNCTION = "weather-local-get_weather"
CODE = ("[table]", "clock_tolerance_seconds = 7\n\n[table]")
"""The functions get another variable, and so a new version."""


@pytest.fixture
def fast_aws(tmp_path):
    """At AWS's speed, an allocation takes a minute."""
    workspace = Workspace(tmp_path / "aws")
    try:
        yield start_aws(workspace, Ports.free(), speed=20)
    finally:
        stop(workspace)


def provision(number):
    return (
        "[table]",
        f"[capacity.{SECONDARY}]\noperations = {{ get_weather = {number} }}\n\n[table]",
    )


def test_it_is_changed_in_place_and_every_second_plan_is_empty(fast_aws, tmp_path):
    # GIVEN an environment without it
    deployment = Deployment(tmp_path / "environment", fast_aws, SHIPPED)
    deployment.synthesize()
    assert deployment.terraform("init", "-input=false").returncode == 0
    deployment.apply()
    client = deployment.client("lambda", SECONDARY)

    def ready():
        config = client.get_provisioned_concurrency_config(FunctionName=FUNCTION, Qualifier="live")
        return config["Status"], config["AvailableProvisionedConcurrentExecutions"]

    # WHEN it is added, THEN nothing else changes
    deployment.synthesize(provision(2))
    assert "Resources: 1 added, 0 changed, 0 destroyed." in deployment.apply()
    assert ready() == ("READY", 2)
    assert deployment.changes() is None

    # WHEN it is raised
    deployment.synthesize(provision(3))
    assert "Resources: 0 added, 1 changed, 0 destroyed." in deployment.apply()
    assert ready() == ("READY", 3)
    assert deployment.changes() is None

    # WHEN functions change, THEN the alias moves, and it with it
    deployment.synthesize(CODE, provision(3))
    deployment.apply()
    assert client.get_alias(FunctionName=FUNCTION, Name="live")["FunctionVersion"] == "2"

    # WHEN it is removed, THEN nothing else changes
    deployment.synthesize(CODE)
    assert "Resources: 0 added, 0 changed, 1 destroyed." in deployment.apply()
    assert deployment.changes() is None
    with pytest.raises(client.exceptions.ProvisionedConcurrencyConfigNotFoundException):
        ready()
