"""The log of a zone's queries is in us-east-1, wherever the Regions are: applied and removed."""

import pytest
from deployment import SHIPPED, Deployment, zone_of
from test_runbooks import terraform_command

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]

FAR = SHIPPED.replace('"us-east-1", "us-west-2"', '"eu-central-1", "eu-west-1"')
LOGGED = ("create_zone = true", "create_zone = true\nquery_logging = true")
GROUP = "/aws/route53/example.com"


def groups_in(deployed, region):
    found = deployed.client("logs", region).describe_log_groups(logGroupNamePrefix="/aws/route53")
    return {group["logGroupName"]: group for group in found["logGroups"]}


def test_queries_are_logged_far_from_us_east_1(aws, tmp_path):
    # GIVEN an environment in Europe, with a key of the account
    text = f"{FAR}\n[encryption]\ncustomer_managed_key = true\n"
    deployed = Deployment(tmp_path, aws, text)
    deployed.synthesize(LOGGED)
    assert deployed.terraform("init", "-input=false").returncode == 0
    deployed.apply()

    # THEN its queries are logged in us-east-1, with the key's replica there
    zone = zone_of(deployed).rpartition("/")[2]
    (configuration,) = deployed.client("route53").list_query_logging_configs(HostedZoneId=zone)[
        "QueryLoggingConfigs"
    ]
    assert configuration["CloudWatchLogsLogGroupArn"] == (
        f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    )
    group = groups_in(deployed, "us-east-1")[GROUP]
    assert group["retentionInDays"] == 30
    assert ":us-east-1:" in group["kmsKeyId"]
    assert groups_in(deployed, "eu-central-1") == {}
    assert deployed.changes() is None

    # WHEN they shall not be logged any more
    deployed.synthesize()
    # THEN the plan refuses, as the provider of us-east-1 is gone
    assert "Provider configuration not present" in deployed.refusal()
    # AND the documented command comes first
    deployed.synthesize(LOGGED)
    destroy = terraform_command("monitoring-and-alarms.md", "apply", "-destroy")
    key = "-target=aws_kms_replica_key.key_us-east-1"
    destroyed = deployed.terraform(*destroy, key, "-auto-approve", "-input=false")
    assert destroyed.returncode == 0, destroyed.stderr
    deployed.synthesize()
    deployed.apply()

    # THEN nothing is left of it
    route53 = deployed.client("route53")
    assert route53.list_query_logging_configs(HostedZoneId=zone)["QueryLoggingConfigs"] == []
    assert groups_in(deployed, "us-east-1") == {}
    policies = deployed.client("logs", "us-east-1").describe_resource_policies()
    assert policies["resourcePolicies"] == []
    assert deployed.changes() is None
