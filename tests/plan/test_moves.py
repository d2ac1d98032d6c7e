"""What a plan refuses, done step by step: the runbooks' own commands, with the real Terraform."""

import json
import re
import subprocess
import sys

import pytest
from deployment import NAME, REGIONS, SHIPPED, Checkout, aliases, zone_of
from repository_files import REPOSITORY
from table import TABLE
from test_runbooks import blocks_of

from constructs_lib import Outputs
from ops.descriptor import Descriptor, SandboxAccess, descriptor_file, write
from ops.http_client import Network

pytestmark = [pytest.mark.plan, pytest.mark.soak]

NEW = "eu-west-1"
SIGNED = "\n[objectives]\nsign_records = true\n"
"""The key is in the second Region, and in the stack of the data."""
WITHOUT_QUESTIONS = {
    f"TF_CLI_ARGS_{command}": "-auto-approve -input=false" for command in ("apply", "destroy")
}


@pytest.fixture
def trial(aws, tmp_path, request):
    """An environment with a stack for each Region, in an account of its own, applied."""
    names = [each for each in dir(sys.modules[__name__]) if each.startswith("test_")]
    account = f"{names.index(request.function.__name__) + 1:012}"
    text = 'layout = "regional"\n' + SHIPPED.replace("000000000000", account) + SIGNED
    deployment = Checkout(tmp_path, aws, text, name="trial", account=account)
    deployment.synthesize()
    deployment.deploys()
    return deployment


class Operator:
    """Somebody who types the commands of a page, one block after the other."""

    def __init__(self, page, marker):
        self._blocks = [text for text in blocks_of(page) if marker in text]

    def runs_the_next_block(self, deployment, *replaced):
        text = self._blocks.pop(0)
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],
            cwd=deployment.folder, env=deployment.environment | WITHOUT_QUESTIONS,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def destroyed_by(applied):
    """How many resources each apply in the output destroyed."""
    return [int(number) for number in re.findall(r" (\d+) destroyed\.", applied)]


def states_of_keys(deployment, region):
    """States of the KMS keys in a Region that are not AWS's own."""
    kms = deployment.client("kms", region)
    keys = [kms.describe_key(KeyId=key["KeyId"]) for key in kms.list_keys()["Keys"]]
    found = [key["KeyMetadata"] for key in keys]
    return [key["KeyState"] for key in found if key["KeyManager"] == "CUSTOMER"]


def test_the_second_region_is_replaced(trial):
    zone = zone_of(trial)
    before = aliases(trial, zone)
    operator = Operator("replace-the-second-region.md", "old-region.txt")
    operator.runs_the_next_block(trial)
    trial.synthesize(('"us-east-1", "us-west-2"', f'"us-east-1", "{NEW}"'))
    folder = trial.stacks["trial-data"]
    assert "regions is us-east-1, us-west-2 where" in trial.refusal(folder=folder)

    # WHEN the new Region takes the place of the old one
    applied = operator.runs_the_next_block(trial)

    # THEN the primary is as it was, and nothing is destroyed but what noted the Regions
    assert destroyed_by(applied) == [1, 0, 1, 1]
    after = aliases(trial, zone)
    assert {key for key in before if before[key] == after[key]} == {
        ("primary", "A"),
        ("primary", "AAAA"),
    }
    assert all(f".{NEW}." in after["secondary", type] for type in ("A", "AAAA"))

    # WHEN the old Region is destroyed
    operator.runs_the_next_block(trial)

    # THEN nothing is left there, and the environment is whole
    old = REGIONS[1]
    assert trial.client("apigateway", old).get_rest_apis()["items"] == []
    assert trial.client("lambda", old).list_functions()["Functions"] == []
    assert states_of_keys(trial, old) == ["PendingDeletion"]
    assert states_of_keys(trial, NEW) == ["Enabled"]
    table = trial.client("dynamodb").describe_table(TableName="weather-observations")["Table"]
    assert [each["RegionName"] for each in table["Replicas"]] == [NEW]
    assert trial.changes_by_stack() == {}


def configurations(route53):
    """`{id: configuration}` of the health checks."""
    checks = route53.list_health_checks()["HealthChecks"]
    return {check["Id"]: check["HealthCheckConfig"] for check in checks}


def test_a_third_region_is_added(trial):
    zone, route53 = zone_of(trial), trial.client("route53")
    before = aliases(trial, zone)
    checks = configurations(route53)
    trial.synthesize(('"us-east-1", "us-west-2"', f'"us-east-1", "us-west-2", "{NEW}"'))
    for name in ("trial-data", "trial-us-west-2", "trial-routing"):
        refusal = trial.refusal(folder=trial.stacks[name])
        assert "regions is us-east-1, us-west-2 where" in refusal, name
    operator = Operator("deploy-changes.md", f"trial-{NEW} apply")

    # WHEN it is added
    applied = operator.runs_the_next_block(trial)

    # THEN nothing is destroyed but what noted the Regions, and no health check is another one
    assert destroyed_by(applied) == [1, 0, 1, 1, 1]
    now = configurations(route53)
    for id, check in checks.items():
        # The new Region is asked, too, whether one of the first two is evacuated.
        asked = {"HealthThreshold": 3, "ChildHealthChecks": now[id].get("ChildHealthChecks", [])}
        assert now[id] == check | (asked if check["Type"] == "CALCULATED" else {})
        assert {*check.get("ChildHealthChecks", [])} <= {*now[id].get("ChildHealthChecks", [])}
    # AND the second Region, then the third, is behind the secondary record
    behind = f"failover-2.{NAME}"
    for type in ("A", "AAAA"):
        assert aliases(trial, zone)["primary", type] == before["primary", type]
        assert aliases(trial, zone)["secondary", type] == behind
        assert aliases(trial, zone, behind)["primary", type] == before["secondary", type]
        assert f".{NEW}." in aliases(trial, zone, behind)["secondary", type]
    assert trial.changes_by_stack() == {}


def write_descriptor(deployment):
    """What the operator's tool needs to work on the emulator instead of AWS."""
    printed = deployment.runs("trial-routing", "output", "-json")
    outputs = Outputs.from_json({n: each["value"] for n, each in json.loads(printed).items()})
    synthesized = deployment.folder / "cdktf.out"
    descriptor = Descriptor(
        outputs,
        Network((), outputs.zone_name),
        deployment.aws.endpoint_url,
        SandboxAccess("http://none", "http://none", 1.0, deployment.folder / "keys", synthesized),
    )
    write(descriptor_file(deployment.folder, deployment.name), descriptor)


def routed(deployment, zone):
    """`{(name, type, set identifier): (time to live, what it points to)}` of what routes."""
    found = deployment.client("route53").list_resource_record_sets(HostedZoneId=zone)
    return {
        (r["Name"], r["Type"], r["SetIdentifier"]): (
            r.get("TTL"),
            r["AliasTarget"]["DNSName"] if "AliasTarget" in r else r["ResourceRecords"][0]["Value"],
        )
        for r in found["ResourceRecordSets"]
        if "SetIdentifier" in r
    }


def test_alias_records_become_cname_records_and_alias_records_again(aws, tmp_path):
    # GIVEN three Regions: records of two names
    text = 'layout = "regional"\n' + SHIPPED.replace(
        '"us-east-1", "us-west-2"', f'"us-east-1", "us-west-2", "{NEW}"'
    ).replace("[domain]", "[domain]\nttl_seconds = 60")
    # Of the account that the operator's tool has in a sandbox.
    trial = Checkout(tmp_path, aws, text, name="trial")
    trial.environment["PYTHONPATH"] = str(REPOSITORY)
    trial.synthesize()
    trial.deploys()
    write_descriptor(trial)
    zone = zone_of(trial)
    before = routed(trial, zone)
    hosts = {to for _, to in before.values() if "execute-api" in to}
    assert len(hosts) == 3
    records = (
        "python -m ops records",
        f"{sys.executable} -m ops records --yes --folder {tmp_path}",
    )
    parts = ("data us-west-2", f"data {NEW} us-west-2")

    def exchange():
        operator = Operator("recovery-time.md", "ops records --environment trial")
        return operator.runs_the_next_block(trial, records, parts)

    # WHEN the time to live becomes a shorter one
    trial.synthesize(("ttl_seconds = 60", "ttl_seconds = 10"))
    for folder in trial.stacks.values():
        assert "routing_policy is failover where" in trial.refusal(folder=folder)
    applied = exchange()

    # THEN nothing but what noted it is destroyed, and each record is a CNAME or an alias of one
    assert destroyed_by(applied) == [1] * len(trial.stacks)
    assert "4 to import" in applied
    now = routed(trial, zone)
    assert {type for _, type, _ in now} == {"CNAME"}
    assert len(now) == 4
    assert {to for ttl, to in now.values() if ttl == 10} == {host.rstrip(".") for host in hosts}
    assert trial.changes_by_stack() == {}

    # WHEN it becomes another short one, THEN a deployment is enough
    trial.synthesize(("ttl_seconds = 60", "ttl_seconds = 20"))
    trial.runs("trial-routing", "apply", "-auto-approve", "-input=false")
    assert {ttl for ttl, to in routed(trial, zone).values() if "execute-api" in to} == {20}

    # WHEN it becomes that of alias records again, THEN all is as it was
    trial.synthesize()
    for folder in trial.stacks.values():
        assert "routing_policy is failover by CNAME records" in trial.refusal(folder=folder)
    assert destroyed_by(exchange()) == [1] * len(trial.stacks)
    assert routed(trial, zone) == before
    assert trial.changes_by_stack() == {}


def test_a_restored_table_is_put_into_service(trial):
    restored = "weather-observations-restored"
    trial.client("dynamodb").create_table(TableName=restored, **TABLE)
    trial.synthesize(('name = "weather-observations"', f'name = "{restored}"'))
    for name in ("trial-data", "trial-us-east-1"):
        refusal = trial.refusal(folder=trial.stacks[name])
        assert "table.name is weather-observations where" in refusal, name
    operator = Operator("restore-to-a-point-in-time.md", "import aws_dynamodb_table.table")

    applied = operator.runs_the_next_block(trial)

    assert destroyed_by(applied) == [1, 1, 1, 1]
    for region in REGIONS:
        functions = trial.client("lambda", region).list_functions()["Functions"]
        assert {f["Environment"]["Variables"]["TABLE_NAME"] for f in functions} == {restored}
    assert trial.changes_by_stack() == {}


def test_a_domain_moves_to_another_environment(trial, aws, tmp_path):
    zone = zone_of(trial)
    before = aliases(trial, zone)
    text = trial.text.replace('"us-east-1", "us-west-2"', f'"{NEW}", "eu-central-1"')
    following = Checkout(
        tmp_path,
        aws,
        text.replace("create_zone = true", "create_zone = false"),
        name="next",
        account=trial.account,
    )
    following.synthesize()
    operator = Operator("move-the-domain.md", "terraform")

    # WHEN the other environment is deployed without the records
    operator.runs_the_next_block(following)

    # THEN customers are where they were, and it says where its Regions are
    assert aliases(trial, zone) == before
    urls = json.loads(following.runs("next-routing", "output", "-json", "region_urls"))
    assert urls.keys() == {NEW, "eu-central-1"}

    # WHEN it imports the records
    applied = operator.runs_the_next_block(following, ("Z123", zone))

    # THEN customers are there
    assert "4 imported" in applied
    assert destroyed_by(applied) == [0]
    after = aliases(trial, zone)
    assert after.keys() == before.keys()
    assert all(f".{NEW}." in after["primary", type] for type in ("A", "AAAA"))

    # WHEN the first environment is destroyed
    operator.runs_the_next_block(trial)
    for name in reversed(trial.stacks):
        trial.runs(name, "destroy", "-auto-approve", "-input=false")

    # THEN it has taken nothing with it
    assert aliases(following, zone) == after
    (following.stacks["next-routing"] / "import.tf.json").unlink()
    assert following.changes_by_stack() == {}
