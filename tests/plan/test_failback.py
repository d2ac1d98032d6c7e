"""Failback made manual and automatic again, and a Region added, by the real Terraform."""

import re

import pytest
from deployment import NAME, SHIPPED, Deployment, zone_of

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]

TWO = 'regions = ["us-east-1", "us-west-2"]\n'
THREE = 'regions = ["us-east-1", "us-west-2", "eu-west-1"]\n'
MANUAL = 'failback = "manual"\n'


def serving(deployed):
    """`{(name, set identifier): what the serving records answer}`."""
    listed = deployed.client("route53").list_resource_record_sets(HostedZoneId=zone_of(deployed))
    return {
        (record["Name"].removesuffix(f"serving.{NAME}"), record["SetIdentifier"]): (
            record["AliasTarget"]["DNSName"]
            if "AliasTarget" in record
            else record["ResourceRecords"][0]["Value"]
        )
        for record in listed["ResourceRecordSets"]
        if record["Name"].endswith(f"serving.{NAME}")
    }


def done_by(applied):
    """How many resources were added, changed and destroyed."""
    found = re.search(r"(\d+) added, (\d+) changed, (\d+) destroyed", applied)
    return tuple(map(int, found.groups()))


def test_failback_changes_and_a_region_is_added(aws, tmp_path):
    # GIVEN an environment with automatic failback
    assert TWO in SHIPPED
    deployed = Deployment(tmp_path, aws, SHIPPED)
    deployed.synthesize()
    assert deployed.terraform("init", "-input=false").returncode == 0
    deployed.apply()
    assert serving(deployed) == {}

    # WHEN it becomes manual, THEN records and a policy in each Region are added
    deployed.synthesize((TWO, TWO + MANUAL))
    added, changed, destroyed = done_by(deployed.apply())
    # The function that reports evacuations, with its alias, in each Region.
    assert (added, changed, destroyed) == (4 + 2, 4, 0)
    assert serving(deployed) == {
        ("", "primary"): "192.0.2.1",
        ("", "secondary"): f"failover-2.serving.{NAME}",
        ("failover-2.", "primary"): "192.0.2.2",
        ("failover-2.", "secondary"): "192.0.2.0",
    }
    assert deployed.changes() is None

    # WHEN a Region is added, THEN the last record becomes an alias, in place
    deployed.synthesize((TWO, THREE + MANUAL))
    applied = deployed.apply("-replace=terraform_data.deployed_settings")
    assert done_by(applied)[2] == 1
    assert serving(deployed) == {
        ("", "primary"): "192.0.2.1",
        ("", "secondary"): f"failover-2.serving.{NAME}",
        ("failover-2.", "primary"): "192.0.2.2",
        ("failover-2.", "secondary"): f"failover-3.serving.{NAME}",
        ("failover-3.", "primary"): "192.0.2.3",
        ("failover-3.", "secondary"): "192.0.2.0",
    }
    assert deployed.changes() is None

    # WHEN failback is automatic again, THEN nothing else goes
    deployed.synthesize((TWO, THREE))
    assert done_by(deployed.apply()) == (0, 6, 6 + 3)
    assert serving(deployed) == {}
    assert deployed.changes() is None
