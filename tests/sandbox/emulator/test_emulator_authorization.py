"""With `--iam-enforced`, policies are evaluated for the resource that a request names."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from sandbox.emulator import module
from sandbox.emulator.authorization import (
    RECORD_VARIABLE,
    action_of,
    conditions_of,
    recorded,
    resource_of,
    role_of,
)
from sandbox.emulator.strict.requests import Call

REGION, ACCOUNT = "us-west-2", "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/a"


def call(service: str, operation: str, **parameters: Any) -> Call:
    model = get_service_model(service).operation_model(operation)
    return Call(service, "json", model, parameters)


STREAM = "dynamodb:R:A:table/a/stream/b"


def iterator(stream: str) -> str:
    """What MiniStack gives for a place in a stream."""
    made = module("services.dynamodb_streams")._encode_iterator
    return str(made("a", "shard", 0, account_id="A", region="R", stream_arn=stream))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("made", "resource"),
    [
        (call("cloudwatch", "PutMetricAlarm", AlarmName="a"), "cloudwatch:R:A:alarm:a"),
        (call("cloudwatch", "DeleteAlarms", AlarmNames=["a"]), "cloudwatch:R:A:alarm:a"),
        (call("cloudwatch", "PutDashboard", DashboardName="a"), "cloudwatch::A:dashboard/a"),
        (call("dynamodb", "TagResource", ResourceArn="arn:aws:dynamodb:a"), "dynamodb:a"),
        (
            call("dynamodbstreams", "DescribeStream", StreamArn=f"arn:aws:{STREAM}"),
            STREAM,
        ),
        (
            call("dynamodbstreams", "GetRecords", ShardIterator=iterator(f"arn:aws:{STREAM}")),
            STREAM,
        ),
        (call("iam", "CreatePolicy", PolicyName="a"), "iam::A:policy/a"),
        (call("kms", "DescribeKey", KeyId="alias/a"), "kms:R:A:key/alias/a"),
        (call("lambda", "CreateFunction", FunctionName="a"), "lambda:R:A:function:a"),
        (
            call("lambda", "AddPermission", FunctionName="a", Qualifier="b"),
            "lambda:R:A:function:a:b",
        ),
        (
            call(
                "lambda",
                "GetFunctionConfiguration",
                FunctionName="arn:aws:lambda:R:A:function:a:2",
                Qualifier="2",
            ),
            "lambda:R:A:function:a:2",
        ),
        (call("ec2", "GetManagedPrefixListEntries", PrefixListId="a"), "ec2:R:aws:prefix-list/a"),
        (call("kms", "CreateAlias", AliasName="alias/a"), "kms:R:A:alias/a"),
        (call("route53", "GetHealthCheck", HealthCheckId="a"), "route53:::healthcheck/a"),
        (call("route53", "GetQueryLoggingConfig", Id="a"), "route53:::queryloggingconfig/a"),
        (
            call("route53", "CreateQueryLoggingConfig", HostedZoneId="a"),
            "route53:::hostedzone/a",
        ),
        (call("route53", "GetChange", Id="/change/a"), "route53:::change/a"),
        (
            call("route53", "ListTagsForResource", ResourceType="hostedzone", ResourceId="a"),
            "route53:::hostedzone/a",
        ),
        (call("sns", "TagResource", ResourceArn="arn:aws:sns:a"), "sns:a"),
        (call("wafv2", "CreateIPSet", Name="a"), "wafv2:R:A:regional/ipset/a/*"),
        (call("wafv2", "GetIPSet", Name="a", Id="b"), "wafv2:R:A:regional/ipset/a/b"),
    ],
)
def test_the_resource_is_the_one_that_the_call_names(made, resource):
    assert resource_of(made, "R", "A") == f"arn:aws:{resource}"


@pytest.mark.unit
@pytest.mark.parametrize("verb", ["Get", "Put", "Delete"])
def test_the_action_on_a_concurrency_is_the_one_that_is_called(verb):
    made = call("lambda", f"{verb}FunctionConcurrency", FunctionName="a")

    assert action_of(made) == f"lambda:{verb}FunctionConcurrency"
    provisioned = f"{verb}ProvisionedConcurrencyConfig"
    made = call("lambda", provisioned, FunctionName="a", Qualifier="live")
    assert action_of(made) == f"lambda:{provisioned}"
    assert resource_of(made, "R", "A") == "arn:aws:lambda:R:A:function:a:live"
    assert action_of(call("lambda", "GetAccountSettings")) == "lambda:GetAccountSettings"
    asked = call("route53", "ListQueryLoggingConfigs", HostedZoneId="a")
    assert action_of(asked) == "route53:ListQueryLoggingConfigs"
    assert action_of(call("lambda", "GetFunction", FunctionName="a")) == ""


@pytest.mark.unit
@pytest.mark.parametrize("verb", ["Get", "Create", "Update", "Delete"])
def test_the_action_on_an_alias_is_the_one_that_is_called(verb):
    made = call("lambda", f"{verb}Alias", FunctionName="a", Name="b")

    assert action_of(made) == f"lambda:{verb}Alias"
    assert action_of(call("kms", "CreateAlias", AliasName="alias/a")) == ""


@pytest.mark.unit
def test_a_call_that_names_none_is_left_to_ministack():
    assert resource_of(call("iam", "GetRole", RoleName="a"), "R", "A") == ""


@pytest.mark.unit
def test_the_items_and_records_of_a_call_are_conditions():
    item = {"pk": {"S": "control"}, "sk": {"S": "evacuation-us-east-1"}}
    change = {"Action": "UPSERT", "ResourceRecordSet": {"Name": "A.example.com."}}
    records = call("route53", "ChangeResourceRecordSets", ChangeBatch={"Changes": [change]})

    assert conditions_of(call("dynamodb", "PutItem", Item=item)) == {
        "dynamodb:LeadingKeys": ["control"]
    }
    assert conditions_of(records) == {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["a.example.com"]
    }
    assert conditions_of(call("dynamodb", "DescribeTable", TableName="a")) == {}


@pytest.mark.unit
def test_functions_and_the_account_of_api_gateway_are_given_roles():
    operations = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE}]

    assert role_of(call("lambda", "CreateFunction", Role=ROLE)) == ROLE
    assert role_of(call("apigateway", "UpdateAccount", patchOperations=operations)) == ROLE
    assert role_of(call("lambda", "GetFunction", FunctionName="a")) == ""


STATEMENTS = [
    ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:*:*:alarm:own", {}),
    ("apigateway:PATCH", "*", {}),
    (
        "iam:PassRole",
        "arn:aws:iam::*:role/own",
        {"StringEquals": {"iam:PassedToService": "apigateway.amazonaws.com"}},
    ),
    (
        "dynamodb:PutItem",
        "*",
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["control"]}},
    ),
]


@pytest.mark.e2e
def test_only_what_the_policy_names_is_allowed_and_each_decision_is_recorded(
    emulator, tmp_path, monkeypatch
):
    file = tmp_path / "calls.jsonl"
    monkeypatch.setenv(RECORD_VARIABLE, str(file))
    process = emulator.start("--iam-enforced")
    try:
        aws = emulator.serving(process)
        aws.client("iam").create_user(UserName="operator")
        aws.client("iam").put_user_policy(
            UserName="operator",
            PolicyName="own",
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": a, "Resource": r, "Condition": c}
                        for a, r, c in STATEMENTS
                    ],
                }
            ),
        )
        key = aws.client("iam").create_access_key(UserName="operator")["AccessKey"]
        operator = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)

        def attempt(service: str, operation: str, **arguments: Any) -> str:
            client = operator.client(service, endpoint_url=aws.url)
            try:
                getattr(client, operation)(**arguments)
            except ClientError as error:
                return error.response["Error"]["Code"]
            return "done"

        def alarm(name: str) -> str:
            return attempt(
                "cloudwatch", "put_metric_alarm", AlarmName=name, MetricName="a", Namespace="a",
                EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1,
                Period=60, Statistic="Sum",
            )  # fmt: skip

        def log_role(name: str) -> str:
            role = f"arn:aws:iam::{ACCOUNT}:role/{name}"
            change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
            return attempt("apigateway", "update_account", patchOperations=[change])

        def item(pk: str) -> str:
            return attempt("dynamodb", "put_item", TableName="abc", Item={"pk": {"S": pk}})

        assert (alarm("own"), alarm("other")) == ("done", "AccessDeniedException")
        assert (log_role("own"), log_role("other")) == ("done", "AccessDeniedException")
        # The allowed one gets as far as the table, which does not exist.
        assert (item("control"), item("location")) == (
            "ResourceNotFoundException",
            "AccessDeniedException",
        )
    finally:
        emulator.end(process)

    decisions = [
        (d.action, d.resource.rpartition("/")[2].rpartition(":")[2], d.allowed)
        for d in recorded(file)
        if d.principal.endswith(":user/operator")
    ]
    assert decisions == [
        ("cloudwatch:PutMetricAlarm", "own", True),
        ("cloudwatch:PutMetricAlarm", "other", False),
        ("apigateway:PATCH", "account", True),
        ("iam:PassRole", "own", True),
        ("apigateway:PATCH", "account", True),
        ("iam:PassRole", "other", False),
        ("dynamodb:PutItem", "abc", True),
        ("dynamodb:PutItem", "abc", False),
    ]
