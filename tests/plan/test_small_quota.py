"""An account whose quota is too small for what is reserved: docs/how-to/first-deployment.md."""

import pytest
from deployment import REGIONS, SHIPPED, Deployment

pytestmark = [pytest.mark.plan, pytest.mark.soak]

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
RESERVED = ("interval_seconds = 10", "interval_seconds = 10\nreserved_concurrency = 10")


def reserve_all(deployment, region):
    """Leave nothing to reserve: another function of the account has it."""
    client = deployment.client("lambda", region)
    client.create_function(
        FunctionName="other", Runtime="python3.13", Handler="other.handler",
        Role=f"arn:aws:iam::{deployment.account}:role/other", Code={"ZipFile": EMPTY_ZIP},
    )  # fmt: skip
    client.put_function_concurrency(FunctionName="other", ReservedConcurrentExecutions=900)


def test_without_the_reservation_the_next_apply_replaces_what_was_created_meanwhile(aws, tmp_path):
    # GIVEN an apply that was refused half-way: the functions exist
    deployment = Deployment(tmp_path, aws, SHIPPED)
    for region in REGIONS:
        reserve_all(deployment, region)
    deployment.synthesize(RESERVED)
    assert deployment.terraform("init", "-input=false").returncode == 0
    refused = deployment.terraform("apply", "-auto-approve", "-input=false")
    assert refused.returncode == 1
    assert "UnreservedConcurrentExecution below its minimum" in refused.stderr

    # WHEN the setting is removed
    deployment.synthesize()
    applied = deployment.apply()

    # THEN they are replaced, and all is deployed
    assert " 4 destroyed." in applied
    assert deployment.changes() is None
