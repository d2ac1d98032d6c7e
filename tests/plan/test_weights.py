"""Weighted routing over three Regions, applied by the real Terraform; weights that change."""

import pytest
from deployment import NAME, SHIPPED, Deployment, zone_of

pytestmark = [pytest.mark.plan, pytest.mark.soak]

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
WEIGHTED = f"""regions = [{", ".join(f'"{region}"' for region in REGIONS)}]
routing_policy = "weighted"
"""


def weights_in(deployed):
    """`{(set identifier, type): weight}` of the customers' name."""
    listed = deployed.client("route53").list_resource_record_sets(HostedZoneId=zone_of(deployed))
    return {
        (record["SetIdentifier"], record["Type"]): record["Weight"]
        for record in listed["ResourceRecordSets"]
        if record["Name"] == NAME and "Weight" in record
    }


@pytest.mark.parametrize(
    ("account", "ttl", "types"),
    [
        ("000000000000", 60, ("A", "AAAA")),
        pytest.param("000000000001", 10, ("CNAME",), marks=pytest.mark.soak),
    ],
    ids=["alias", "CNAME"],
)
def test_weights_are_changed_in_place(aws, tmp_path, account, ttl, types):
    # GIVEN an environment with equal weights
    text = SHIPPED.replace('regions = ["us-east-1", "us-west-2"]\n', WEIGHTED)
    assert text != SHIPPED
    text = text.replace("000000000000", account)
    text = text.replace("[domain]", f"[domain]\nttl_seconds = {ttl}")
    deployed = Deployment(tmp_path, aws, text, account=account)
    deployed.synthesize()
    assert deployed.terraform("init", "-input=false").returncode == 0
    deployed.apply()
    assert weights_in(deployed) == {(r, type): 1 for r in REGIONS for type in types}
    assert deployed.changes() is None

    # WHEN they are given
    weights = dict(zip(REGIONS, (90, 10, 0), strict=True))
    table = ", ".join(f"{region} = {weight}" for region, weight in weights.items())
    deployed.synthesize((WEIGHTED, f"{WEIGHTED}weights = {{ {table} }}\n"))
    applied = deployed.apply()

    # THEN nothing but the records changes
    changed = len(REGIONS) * len(types)
    assert f"Apply complete! Resources: 0 added, {changed} changed, 0 destroyed." in applied
    assert weights_in(deployed) == {
        (region, type): weight for region, weight in weights.items() for type in types
    }
    assert deployed.changes() is None
