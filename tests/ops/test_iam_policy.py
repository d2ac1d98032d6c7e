"""Generated IAM policies: whose names, which actions, how large, and what AWS says of each action.

`tests/e2e/test_iam_policy.py` works with them.
"""

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from fake_environment import EAST, WEST, outputs
from parliament import analyze_policy_string
from repository_files import REPOSITORY

from ops.__main__ import main
from ops.descriptor import Descriptor, write
from ops.errors import ExitCode, OpsError
from ops.iam import names, policy
from ops.iam.operator_actions import OPERATOR, RELEASE
from ops.iam.policy import ANYWHERE, Grant, documents, size
from ops.iam.terraform_actions import (
    NEVER_RELEASED,
    TERRAFORM,
    release_grants,
    terraform_grants,
)

pytestmark = pytest.mark.unit

ADDRESSES = REPOSITORY / "tests" / "constructs_lib" / "addresses"
ACCOUNT = "111122223333"
CERTIFICATES = {r: f"arn:aws:acm:{r}:{ACCOUNT}:certificate/{r}" for r in (EAST, WEST)}
TEMPLATES = {"replication-paused": {EAST: "EXTeast", WEST: "EXTwest"}}
STATE = {"bucket": "state", "key": "a/b", "region": "us-east-2"}
KEY = f"arn:aws:kms:{WEST}:123456789012:key/1234"
DEPLOYED = outputs(
    certificate_arns=CERTIFICATES,
    experiment_template_ids=TEMPLATES,
    state=STATE,
    records_key_arn=KEY,
)
NAMES = {
    "aws_api_gateway_rest_api": ["weather-trial"],
    "aws_kms_alias": ["alias/weather-trial"],
    "aws_lambda_function": ["weather-trial-get_health", "weather-trial-get_weather"],
    "aws_route53_record": ["weather.example.com", "${tolist(a.b).0.resource_record_name}"],
    "aws_acm_certificate": ["weather.example.com"],
    "aws_api_gateway_domain_name": ["weather.example.com"],
    "aws_cloudwatch_log_group": [
        "/aws/lambda/weather-trial-get_health",
        "/aws/lambda/weather-trial-get_weather",
        "/aws/apigateway/weather-trial",
        "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.a.id}/v1",
    ],
    "aws_s3_bucket": ["weather-trial-code-"],
    "aws_dynamodb_table": ["weather-observations"],
}


def stack(types=tuple(TERRAFORM), **more):
    """The synthesized JSON of a stack with a resource of each type."""

    def resources(type):
        attribute = names.NAME_ATTRIBUTES.get(type, "name")
        values = NAMES.get(type, ["weather-trial-it"])
        return {str(number): {attribute: value} for number, value in enumerate(values)}

    providers = [
        {
            "region": region,
            "allowed_account_ids": [ACCOUNT],
        }
        for region in (EAST, WEST)
    ]
    return {
        "resource": {t: resources(t) for t in types if not t.startswith("data.")},
        "data": {t.removeprefix("data."): {} for t in types if t.startswith("data.")},
        "provider": {"aws": providers},
        "terraform": {"backend": {"s3": STATE}},
    } | more


def policies(purpose, of=None):
    if purpose in OPERATOR:
        return documents(OPERATOR[purpose], names.names_of_outputs(DEPLOYED))
    of = of or stack()
    if purpose == "release":
        return documents((*release_grants(of), *RELEASE), names.names_of_release(of, DEPLOYED))
    return documents(
        terraform_grants(of, writes=purpose == "deploy"), names.names_of_stack(of, "trial")
    )


def statements(purpose, of=None):
    return [each for document in policies(purpose, of) for each in document["Statement"]]


def actions(purpose):
    return {action for each in statements(purpose) for action in each["Action"]}


def allows(purpose, action, resource):
    return any(
        action in each["Action"] and any(fnmatchcase(resource, r) for r in each["Resource"])
        for each in statements(purpose)
    )


PURPOSES = ("deploy", "plan", "release", *OPERATOR)


@pytest.mark.parametrize("file", sorted(ADDRESSES.iterdir()), ids=lambda f: f.stem)
def test_every_type_of_resource_that_is_deployed_is_in_the_table(file):
    types = {re.match(r"(data\.)?\w+", line)[0] for line in file.read_text().splitlines()}

    assert types - set(TERRAFORM) == set()


def test_a_type_that_is_not_in_the_table_is_named():
    with pytest.raises(OpsError, match="aws_sqs_queue"):
        terraform_grants({"resource": {"aws_sqs_queue": {}}}, writes=True)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_policy_is_no_larger_than_a_managed_policy_may_be(purpose):
    assert all(size(document) <= 6144 for document in policies(purpose))


ACCEPTED = {
    ("RESOURCE_STAR", "cloudwatch:DescribeAlarms"),
    # Of a health check or a zone; the linter expects both.
    ("RESOURCE_MISMATCH", "route53:ChangeTagsForResource"),
    # The linter ends the ARN of an action at the first colon of its id.
    ("RESOURCE_MISMATCH", "fis:CreateExperimentTemplate"),
}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_action_exists_and_can_be_limited_to_its_resources(purpose):
    """By the Service Authorization Reference, as parliament has it.

    The policies are one to it, as they are to whoever has them: their size divides them.
    """
    whole = {"Version": policy.VERSION, "Statement": statements(purpose)}
    # AWS takes one value as a list of one, too; the linter does not.
    text = json.dumps(whole).replace('["false"]', '"false"')
    found = {
        (finding.issue, action)
        for finding in analyze_policy_string(text).findings
        for action in re.findall(r"\w+:\w+", str(finding.detail)) or [str(finding.detail)]
        if not action.startswith("arn:")
    }

    assert found <= ACCEPTED


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_actions_without_a_resource_are_allowed_on_any(purpose):
    """And they in the environment's Regions only, unless the service is global."""
    anywhere = {
        (action, tuple(each.get("Condition", {}).get("StringEquals", {})))
        for each in statements(purpose)
        if ANYWHERE in each["Resource"]
        for action in each["Action"]
    }

    regional = {action for action, keys in anywhere if keys == ("aws:RequestedRegion",)}
    assert {action for action, _ in anywhere} - regional <= {
        "route53:CreateHealthCheck", "route53:CreateHostedZone", "route53:ListHostedZones",
        "sts:GetCallerIdentity",
    }  # fmt: skip
    assert regional <= {
        "acm:RequestCertificate", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData",
        "cloudwatch:GetMetricStatistics", "dynamodb:DescribeLimits",
        "ec2:DescribeManagedPrefixLists", "fis:ListExperiments", "kms:CreateKey", "kms:ListAliases",
        "lambda:GetAccountSettings", "logs:DeleteResourcePolicy", "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies", "logs:PutResourcePolicy", "sns:GetSubscriptionAttributes",
        "sns:Unsubscribe",
    }  # fmt: skip


def test_a_strongly_consistent_table_is_created_with_its_replicas_and_its_witness():
    """AWS's own policy for it names the witness's Region, where no provider is."""
    table = {
        "name": "weather-observations",
        "replica": [{"region_name": WEST}],
        "global_table_witness": {"region_name": "us-east-2"},
    }
    eventual = stack(["aws_dynamodb_table", "aws_dynamodb_table_replica"])
    strong = stack(["aws_dynamodb_table"])
    strong["resource"]["aws_dynamodb_table"]["0"] = table

    def allowed(of, action):
        return {
            resource
            for each in statements("deploy", of)
            if action in each["Action"]
            for resource in each["Resource"]
        }

    def arns(*regions):
        name = f"{ACCOUNT}:table/weather-observations"
        return {f"arn:aws:dynamodb:{region}:{name}" for region in regions}

    assert allowed(strong, "dynamodb:CreateTableReplica") == arns(EAST, WEST, "us-east-2")
    assert allowed(strong, "dynamodb:CreateGlobalTableWitness") == arns(EAST, WEST, "us-east-2")
    assert allowed(strong, "dynamodb:DescribeTable") == arns(EAST, WEST)
    assert allowed(strong, "iam:CreateServiceLinkedRole")
    assert allowed(eventual, "dynamodb:CreateTableReplica") == arns(EAST, WEST)
    assert allowed(eventual, "dynamodb:CreateGlobalTableWitness") == set()


@pytest.mark.parametrize("recovery", [True, False])
def test_only_who_deploys_accelerated_recovery_may_turn_it_on_and_off(recovery):
    of = stack(["aws_route53_zone"])
    if recovery:
        of["resource"]["aws_route53_zone"]["0"]["enable_accelerated_recovery"] = True

    found = {action for each in statements("deploy", of) for action in each["Action"]}
    assert ("route53:UpdateHostedZoneFeatures" in found) is recovery


def test_a_plan_changes_nothing():
    read = r"\w+:(Get|Describe|List)\w+|apigateway:GET|kms:Decrypt|kms:GenerateDataKey"
    changing = {a for a in actions("plan") if not re.fullmatch(read, a)}

    # The lock of the state.
    assert changing == {"s3:PutObject", "s3:DeleteObject"}
    (lock,) = (each for each in statements("plan") if "s3:PutObject" in each["Action"])
    assert lock["Resource"] == ["arn:aws:s3:::state/a/b.tflock"]


@pytest.mark.parametrize(
    ("action", "own", "foreign"),
    [
        ("iam:CreateRole", f"iam::{ACCOUNT}:role/weather-trial-it", f"iam::{ACCOUNT}:role/admin"),
        (
            "lambda:UpdateFunctionCode",
            f"lambda:{WEST}:{ACCOUNT}:function:weather-trial-get_forecast",
            f"lambda:{WEST}:{ACCOUNT}:function:weather-production-get_weather",
        ),
        (
            "logs:DeleteLogGroup",
            f"logs:{EAST}:{ACCOUNT}:log-group:/aws/apigateway/weather-trial:*",
            f"logs:{EAST}:{ACCOUNT}:log-group:/aws/apigateway/payroll:*",
        ),
        ("s3:DeleteObject", "s3:::weather-trial-code-1/a", "s3:::other/a"),
        ("s3:PutObject", "s3:::state/a/b", "s3:::state/other"),
        (
            "dynamodb:DeleteTable",
            f"dynamodb:{WEST}:{ACCOUNT}:table/weather-observations",
            f"dynamodb:eu-west-1:{ACCOUNT}:table/weather-observations",
        ),
        (
            "logs:CreateLogGroup",
            f"logs:{EAST}:{ACCOUNT}:log-group:API-Gateway-Execution-Logs_abc/v1",
            f"logs:{EAST}:{ACCOUNT}:log-group:API-Gateway-Execution-Logs_abc/v2",
        ),
    ],
)
def test_a_deployment_is_limited_to_the_names_of_its_environment(action, own, foreign):
    assert allows("deploy", action, f"arn:aws:{own}")
    assert not allows("deploy", action, f"arn:aws:{foreign}")


def test_roles_are_passed_to_the_services_that_run_with_them_and_to_no_other():
    passing = [each for each in statements("deploy") if "iam:PassRole" in each["Action"]]

    assert {each["Condition"]["StringEquals"]["iam:PassedToService"][0] for each in passing} == {
        "apigateway.amazonaws.com", "fis.amazonaws.com", "lambda.amazonaws.com",
    }  # fmt: skip
    assert {r for each in passing for r in each["Resource"]} == {
        f"arn:aws:iam::{ACCOUNT}:role/weather-trial-it"
    }


def test_only_keys_with_the_tag_of_the_environment_are_deleted():
    (deleting,) = (e for e in statements("deploy") if "kms:ScheduleKeyDeletion" in e["Action"])

    assert deleting["Action"] == ["kms:ScheduleKeyDeletion"]
    assert deleting["Condition"] == {"StringEquals": {"aws:ResourceTag/environment": ["trial"]}}


def test_only_records_of_the_environment_are_changed():
    (changing,) = (
        e for e in statements("deploy") if e["Action"] == ["route53:ChangeResourceRecordSets"]
    )

    assert changing["Condition"] == {
        "ForAllValues:StringLike": {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [
                "_*.weather.example.com", "weather.example.com",
            ]
        }
    }  # fmt: skip


def test_a_comparison_of_replicas_writes_nothing():
    assert not [a for a in actions("reconcile") if re.search(r":(Put|Update|Delete|Create)", a)]
    assert not allows("reconcile", "dynamodb:Scan", "arn:aws:dynamodb:us-east-1:1:table/other")


def test_operators_write_no_item_of_the_api():
    # A plan that was reviewed is carried out on customers' items.
    for purpose in OPERATOR.keys() - {"reconcile-apply"}:
        for each in statements(purpose):
            if {"dynamodb:PutItem", "dynamodb:GetItem"} & set(each["Action"]):
                (keys,) = each["Condition"]["ForAllValues:StringLike"].values()
                assert keys == ["api-key-*", "control", "operations-lock", "verify*"]


def test_a_release_does_what_a_deployment_does_but_destroys_no_data():
    assert actions("deploy") & NEVER_RELEASED == NEVER_RELEASED
    assert actions("deploy") - actions("release") == NEVER_RELEASED


@pytest.mark.parametrize(
    ("own", "foreign"),
    [
        (("s3:PutObject", "s3:::state/a/b-releases/history.json"), "s3:::state/a/other"),
        (
            (
                "execute-api:Invoke",
                f"execute-api:{WEST}:{DEPLOYED.account_id}:west/v1/PUT/weather/a",
            ),
            f"execute-api:{WEST}:{DEPLOYED.account_id}:other/v1/PUT/weather/a",
        ),
        (
            ("dynamodb:UpdateItem", f"dynamodb:{WEST}:{DEPLOYED.account_id}:table/weather"),
            f"dynamodb:{EAST}:{DEPLOYED.account_id}:table/weather",
        ),
    ],
)
def test_a_release_keeps_itself_beside_the_state_calls_the_api_and_holds_the_lock(own, foreign):
    action, resource = own
    assert allows("release", action, f"arn:aws:{resource}")
    assert not allows("release", action, f"arn:aws:{foreign}")


def test_a_record_of_a_drill_is_written_once_and_deleted_by_nobody():
    place = "arn:aws:s3:::state/a/b-releases/drills"
    new, head = f"{place}/00000012.json", f"{place}/head.json"

    writing = [
        (fnmatchcase(new, resource), each.get("Condition"))
        for each in statements("drill")
        for resource in each["Resource"]
        if "s3:PutObject" in each["Action"]
    ]
    assert sorted(writing, key=str) == [
        (False, None), (True, {"Null": {"s3:if-none-match": ["false"]}}),
    ]  # fmt: skip
    assert allows("drill", "s3:PutObject", head)
    for purpose in ("release", "readiness", "verify", "switch"):
        assert not allows(purpose, "s3:PutObject", new)
        assert not allows(purpose, "s3:PutObject", head)
    for purpose in PURPOSES:
        assert not allows(purpose, "s3:DeleteObject", new)
    assert allows("readiness", "s3:GetObject", new)
    assert not allows("readiness", "s3:GetObject", "arn:aws:s3:::state/a/b")


@pytest.mark.parametrize(
    "key", ["a/trial.tfstate", ["a/trial-data.tfstate", "a/trial-routing.tfstate"]]
)
def test_releases_have_one_place_whatever_the_layout(key):
    backend = {"s3": {"bucket": "state", "key": key, "region": "us-east-2"}}
    found = names.names_of_stack(stack(terraform={"backend": backend}), "trial")

    assert found["releases"] == ["a/trial-releases/"]


def test_several_allowed_accounts_are_any_account():
    of = stack()
    of["provider"]["aws"][0]["allowed_account_ids"] = [ACCOUNT, "444455556666"]

    arns = {r for each in statements("plan", of) for r in each["Resource"]}
    assert f"arn:aws:dynamodb:{EAST}:*:table/weather-observations" in arns


def test_without_a_state_bucket_no_bucket_is_named():
    of = stack(["aws_dynamodb_table"], terraform={"backend": {"local": {}}})

    assert not any(
        action.startswith("s3:") for e in statements("plan", of) for action in e["Action"]
    )


def test_the_switch_reaches_every_replica_of_three_regions_and_no_item_of_the_api():
    regions = (EAST, "us-west-2", "eu-west-1")
    arn = "arn:aws:dynamodb:{}:123456789012:table/weather".format
    three = replace(
        DEPLOYED,
        regions=regions,
        table_name="weather",
        table_arns={region: arn(region) for region in regions},
        endpoint_health_check_ids={region: f"endpoint-{region}" for region in regions},
        evacuation=replace(
            DEPLOYED.evacuation,
            health_check_ids={r: {o: f"{r}-{o}" for o in regions if o != r} for r in regions},
        ),
    )

    found = [
        statement
        for document in documents(OPERATOR["switch"], names.names_of_outputs(three))
        for statement in document["Statement"]
    ]

    [writing] = [s for s in found if "dynamodb:PutItem" in s["Action"]]
    assert {*writing["Resource"]} == {arn(region) for region in regions}
    assert "dynamodb:LeadingKeys" in str(writing["Condition"])
    checks = {r.rpartition("/")[2] for s in found for r in s["Resource"] if "healthcheck" in r}
    assert checks == {
        *three.endpoint_health_check_ids.values(),
        *(f"{r}-{o}" for r in regions for o in regions if o != r),
    }
    # No resource is open but where IAM has none.
    assert {a for s in found if s["Resource"] == ["*"] for a in s["Action"]} == {
        "sts:GetCallerIdentity"
    }


def test_what_does_not_fit_into_one_policy_is_split_and_complete(monkeypatch):
    (whole,) = policies("switch")
    monkeypatch.setattr(policy, "MAX_CHARACTERS", size(whole) - 1)
    split = policies("switch")

    assert len(split) == 2
    assert all(size(each) < size(whole) for each in split)
    assert sorted(map(str, whole["Statement"])) == sorted(
        str(s) for e in split for s in e["Statement"]
    )


def test_a_statement_that_no_policy_can_hold_is_an_error(monkeypatch):
    monkeypatch.setattr(policy, "MAX_CHARACTERS", 100)

    with pytest.raises(OpsError, match="acm:DescribeCertificate is larger than a policy may be"):
        policies("verify")


def test_an_arn_that_another_one_covers_is_left_out():
    (document,) = documents(
        [
            Grant("s3", "GetObject", ("s3:::{a}/*", "s3:::b/*")),
            Grant("s3", "PutObject", ("s3:::nothing/{nothing}",)),
        ],
        {"region": [EAST], "a": ["b", "b*"]},
    )

    assert document["Statement"] == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b*/*"]}
    ]


@pytest.fixture
def synthesized(tmp_path):
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack()))
    return "--environment", "trial", "--stack-folder", str(tmp_path)


def test_one_policy_is_printed_as_it_is_and_several_as_a_list(synthesized, tmp_path, capsys):
    assert main(["iam-policy", "--for", "deploy", *synthesized]) == ExitCode.PASSED
    printed = capsys.readouterr()
    assert json.loads(printed.out) == list(policies("deploy"))
    assert f"These are {len(policies('deploy'))} policies" in printed.err

    file = tmp_path / "a.json"
    write(file, Descriptor.on_aws(DEPLOYED))
    assert main(["iam-policy", "--for", "switch", "--descriptor", str(file)]) == ExitCode.PASSED
    printed = capsys.readouterr()
    assert [json.loads(printed.out)] == list(policies("switch"))
    assert printed.err == ""


def test_each_policy_is_written_to_a_file(synthesized, tmp_path, capsys):
    output = tmp_path / "new"
    assert main(["iam-policy", "--for", "deploy", *synthesized, "--output", str(output)]) == 0

    files = sorted(output.iterdir())
    assert capsys.readouterr().out.splitlines() == [str(file) for file in files]
    assert [json.loads(file.read_text()) for file in files] == list(policies("deploy"))
    assert [file.name for file in files] == [
        f"trial-deploy-{number}.json" for number in range(1, len(files) + 1)
    ]


def test_a_folder_that_cannot_be_written_is_named(synthesized, tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.touch()

    code = main(["iam-policy", "--for", "plan", *synthesized, "--output", str(taken)])

    assert code == ExitCode.USAGE
    assert f"{taken} cannot be written" in capsys.readouterr().err


def test_a_release_is_named_after_the_stack_and_what_is_deployed(
    synthesized, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("ops.cli.options.deployed_outputs", lambda *_: DEPLOYED)

    assert main(["iam-policy", "--for", "release", *synthesized]) == ExitCode.PASSED

    assert json.loads(capsys.readouterr().out) == list(policies("release"))


def test_a_stack_that_is_not_synthesized_is_a_usage_error(tmp_path, capsys):
    code = main(["iam-policy", "--for", "plan", "--environment", "trial",
                 "--stack-folder", str(tmp_path)])  # fmt: skip

    assert code == ExitCode.USAGE
    assert "pipenv run synth" in capsys.readouterr().err


RECORDED = json.loads((REPOSITORY / "tests" / "recorded_actions.json").read_text())
"""`{purpose: actions}` that the sandbox was asked for."""


def recorded(purpose):
    """A release changes less in the recording than Terraform alone, and may do as much."""
    return set(RECORDED[purpose]) | (set(RECORDED["deploy"]) if purpose == "release" else set())


_ON_AWS_ONLY = "AWS authorizes it together with another action; the sandbox does not"
_LATER = "a later version of this project may change it; no setting does"
_PROVIDER = "other versions of the provider call it"
_NEWER = "the provider of the sandbox cannot create what needs it"
NOT_RECORDED = {
    "apigateway:AddCertificate*": _ON_AWS_ONLY,
    "apigateway:RemoveCertificate*": _ON_AWS_ONLY,
    "apigateway:SetWebACL": _ON_AWS_ONLY,
    "cloudwatch:GetMetricData": "the recorded release has no new version of a function",
    "cloudwatch:GetMetricStatistics": "the sandbox's Route 53 has states of its own",
    "dynamodb:*GlobalTableWitness": _NEWER,
    "dynamodb:*Item": _ON_AWS_ONLY,
    "dynamodb:*TableReplica": _ON_AWS_ONLY,
    "dynamodb:Query": _ON_AWS_ONLY,
    "dynamodb:Scan": _ON_AWS_ONLY,
    "fis:TagResource": _ON_AWS_ONLY,
    "fis:UpdateExperimentTemplate": "the recorded change has other tags, which replace a template",
    "iam:*PolicyVersion": _LATER,
    "iam:CreateServiceLinkedRole": "AWS creates the role at an account's first use",
    "iam:Update*": _LATER,
    "kms:CreateGrant": _ON_AWS_ONLY,
    "kms:Decrypt": _ON_AWS_ONLY,
    "kms:DescribeKey": _ON_AWS_ONLY,
    "kms:Encrypt": _ON_AWS_ONLY,
    "kms:GenerateDataKey": _ON_AWS_ONLY,
    "kms:GetPublicKey": "who drills asks for readiness, too; the recorded drill does not",
    "kms:PutKeyPolicy": _ON_AWS_ONLY,
    "kms:Update*": _LATER,
    "lambda:DeleteFunctionConcurrency": "the recorded environment has a reservation throughout",
    "lambda:*ProvisionedConcurrencyConfig": "the recorded environment provisions none",
    "lambda:GetFunction*": _PROVIDER,
    "lambda:UpdateFunctionCode": _LATER,
    "route53:GetChange": "in the sandbox, Terraform does not wait for DNS",
    "route53:GetHealthCheckStatus": "the sandbox's Route 53 has states of its own",
    "route53:ListHostedZones": "the recorded environment creates its zone",
    "route53:UpdateHostedZoneFeatures": _NEWER,
    "s3:*BucketVersion*": "only a bucket with objects that Terraform does not know has any",
    "s3:DeleteObjectVersion": "only a bucket with objects that Terraform does not know has any",
    "s3:DeleteObject": "the state of the recorded environment is a file",
    "s3:GetObject": "the state of the recorded environment is a file",
    "s3:ListBucket": "the state of the recorded environment is a file",
    "s3:PutObject": "the state of the recorded environment is a file",
    "s3:GetBucketAbac": _PROVIDER,
    "s3:*TagsForResource": _PROVIDER,
    "s3:*agResource": _PROVIDER,
    "wafv2:UpdateIPSet": "when AWS changes the addresses of its health checkers",
}
"""`{action: why the sandbox was not asked for it}`."""


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_recorded_action_is_allowed(purpose):
    assert set(RECORDED[purpose]) - actions(purpose) == set()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_action_is_recorded_or_has_a_reason(purpose):
    unexplained = {
        action
        for action in actions(purpose) - recorded(purpose)
        if not any(fnmatchcase(action, each) for each in NOT_RECORDED)
    }

    assert unexplained == set()


def test_no_reason_is_left_for_what_is_recorded_everywhere():
    everything = {(p, action) for p in PURPOSES for action in actions(p) - recorded(p)}

    assert {e for e in NOT_RECORDED if not any(fnmatchcase(a, e) for _, a in everything)} == set()
