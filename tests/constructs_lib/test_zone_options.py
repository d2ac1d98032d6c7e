"""Accelerated recovery of the zone's control plane, and the log of its queries.

No provider that runs here has accelerated recovery: what is synthesized is held against the schema
that the bindings describe. Query logging is applied in the sandbox: `tests/e2e/test_hardened.py`.
"""

import pytest
from cdktf import App
from provider_schema import version, violations
from repository_files import REPOSITORY
from synthesis import Synthesized, new_stack, providers

import weather_api.stack
from constructs_lib import FailoverDns
from constructs_lib.settings import load

pytestmark = pytest.mark.unit

LOCAL = REPOSITORY / "environments" / "local.toml"
RECOVERY, LOG = "accelerated_recovery = true", "query_logging = true"


def build(folder, *domain, regions='["us-east-1", "us-west-2"]', more=""):
    text = LOCAL.read_text().replace('["us-east-1", "us-west-2"]', regions)
    lines = "\n".join(["create_zone = true", *domain])
    file = folder / "local.toml"
    file.write_text(text.replace("create_zone = true", lines) + more)
    return Synthesized(weather_api.stack.build_stack(App(), load(file)))


def test_recovery_is_an_argument_that_the_newest_provider_has(tmp_path):
    stack = build(tmp_path, RECOVERY)

    assert stack.only("aws_route53_zone")["enable_accelerated_recovery"] is True
    assert list(violations(stack.json)) == []
    required = stack.json["terraform"]["required_providers"]["aws"]["version"]
    # Its first version is the newest that was checked.
    assert required == f">= 6.25.0, <= {version()}"


def test_without_recovery_older_providers_are_taken(tmp_path):
    stack = build(tmp_path)

    assert "enable_accelerated_recovery" not in stack.only("aws_route53_zone")
    required = stack.json["terraform"]["required_providers"]["aws"]["version"]
    assert required.startswith(">= 5.100.0")


def test_a_zone_that_is_looked_up_cannot_get_recovery_here():
    stack = new_stack()
    with pytest.raises(ValueError, match=r"the zone 'example\.com' is looked up"):
        FailoverDns(
            stack,
            "dns",
            provider=providers(stack, "us-east-1")["us-east-1"],
            zone_name="example.com",
            record_name="api.example.com",
            accelerated_recovery=True,
        )


def test_queries_are_logged_in_us_east_1_by_route_53_alone_and_for_this_zone(tmp_path):
    stack = build(tmp_path, LOG, more="\n[encryption]\ncustomer_managed_key = true\n")

    group = stack.resources("aws_cloudwatch_log_group")["query_log_group"]
    assert group["name"] == "/aws/route53/example.com"
    assert (group["provider"], group["retention_in_days"]) == ("aws.primary", 30)
    assert group["kms_key_id"] == "${aws_kms_key.key_key.arn}"
    document = next(
        d for id, d in stack.data("aws_iam_policy_document").items() if id.startswith("query_log")
    )
    (statement,) = document["statement"]
    assert statement["principals"] == [
        {"type": "Service", "identifiers": ["route53.amazonaws.com"]}
    ]
    assert statement["resources"] == ["${aws_cloudwatch_log_group.query_log_group.arn}:*"]
    zone, account = statement["condition"]
    assert zone["values"] == ["arn:aws:route53:::hostedzone/${aws_route53_zone.dns_zone.zone_id}"]
    assert account["variable"] == "aws:SourceAccount"
    # Route 53 refuses a group that it may not write to yet.
    log = stack.only("aws_route53_query_log")
    assert log["depends_on"] == ["aws_cloudwatch_log_resource_policy.query_log_policy"]
    assert list(violations(stack.json)) == []
    assert stack.references() <= set(stack.addresses())


def test_far_from_us_east_1_the_log_has_a_provider_and_a_key_of_its_own(tmp_path):
    stack = build(
        tmp_path,
        LOG,
        regions='["eu-central-1", "eu-west-1"]',
        more="\n[encryption]\ncustomer_managed_key = true\n",
    )

    group = stack.resources("aws_cloudwatch_log_group")["query_log_group"]
    aliases = {p["alias"]: p["region"] for p in stack.json["provider"]["aws"]}
    assert aliases[group["provider"].removeprefix("aws.")] == "us-east-1"
    assert group["kms_key_id"] == "${aws_kms_replica_key.key_us-east-1.arn}"
    key = stack.resources("aws_kms_replica_key")["key_us-east-1"]
    assert key["provider"] == group["provider"]
    # Nothing else of the environment is there.
    tables = stack.resources("aws_dynamodb_table_replica").values()
    assert [table["provider"] for table in tables] == ["aws.secondary"]


@pytest.mark.parametrize("layout", ["single", "regional"])
def test_the_log_is_beside_the_zone_and_its_group_is_an_output(tmp_path, layout):
    text = LOCAL.read_text().replace("create_zone = true", f"create_zone = true\n{LOG}")
    (tmp_path / "local.toml").write_text(f'layout = "{layout}"\n{text}')
    app = App(outdir=str(tmp_path / "out"))
    weather_api.stack.build_stack(app, load(tmp_path / "local.toml"))
    app.synth()

    stacks = {
        path.parent.name: Synthesized(path.read_text())
        for path in (tmp_path / "out" / "stacks").glob("*/cdk.tf.json")
    }
    holding = [n for n, s in stacks.items() if s.resources("aws_route53_query_log")]
    assert holding == [n for n, s in stacks.items() if s.resources("aws_route53_zone")]
    last = stacks["local" if layout == "single" else "local-routing"]
    assert "query_log_group" in last.json["output"]["query_log_group_arn"]["value"]
