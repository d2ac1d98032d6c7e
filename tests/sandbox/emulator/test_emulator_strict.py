"""Requests that do not fit AWS's service models are refused, before anything changes."""

import asyncio
import dataclasses
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from sandbox.emulator import strict
from sandbox.emulator.strict import constraints
from sandbox.emulator.strict.requests import SERVICES, read, service_of

ARN = "arn:aws:iam::000000000000:role/a"
WELL_FORMED: list[tuple[str, str, dict[str, Any]]] = [
    ("acm", "request_certificate", {"DomainName": "a.example.com", "ValidationMethod": "DNS"}),
    (
        "acm",
        "describe_certificate",
        {"CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/a"},
    ),
    (
        "apigateway",
        "create_rest_api",
        {"name": "a", "endpointConfiguration": {"types": ["REGIONAL"]}, "tags": {"a": "b"}},
    ),
    (
        "apigateway",
        "update_stage",
        {
            "restApiId": "a",
            "stageName": "v1",
            "patchOperations": [{"op": "replace", "path": "/a", "value": "b"}],
        },
    ),
    ("apigateway", "get_api_key", {"apiKey": "a", "includeValue": True}),
    ("apigateway", "import_api_keys", {"body": b"a", "format": "csv"}),
    (
        "cloudwatch",
        "put_metric_alarm",
        {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1.5,
            "ActionsEnabled": False,
            "Dimensions": [{"Name": "a", "Value": "b"}],
        },
    ),
    (
        "dynamodb",
        "put_item",
        {
            "TableName": "abc",
            "Item": {"a": {"B": b"\x00"}, "b": {"L": [{"N": "1"}, {"BOOL": True}]}},
        },
    ),
    (
        "dynamodb",
        "update_table",
        {"TableName": "abc", "ReplicaUpdates": [{"Create": {"RegionName": "us-west-2"}}]},
    ),
    ("dynamodbstreams", "get_records", {"ShardIterator": "a", "Limit": 10}),
    ("ec2", "describe_regions", {"RegionNames": ["us-east-1"], "AllRegions": True}),
    (
        "fis",
        "start_experiment",
        {"clientToken": "run", "experimentTemplateId": "EXT1", "tags": {"drill": "run"}},
    ),
    ("fis", "list_experiments", {"experimentTemplateId": "EXT1", "maxResults": 10}),
    (
        "iam",
        "create_role",
        {
            "RoleName": "a",
            "AssumeRolePolicyDocument": "{}",
            "Tags": [{"Key": "a", "Value": "b"}],
            "MaxSessionDuration": 3600,
        },
    ),
    ("kms", "create_key", {"MultiRegion": True, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    (
        "lambda",
        "create_function",
        {
            "FunctionName": "a",
            "Role": ARN,
            "Code": {"ZipFile": b"a"},
            "Environment": {"Variables": {"AB": "b"}},
            "Timeout": 3,
        },
    ),
    ("lambda", "get_function", {"FunctionName": "a", "Qualifier": "live"}),
    ("logs", "put_retention_policy", {"logGroupName": "/a", "retentionInDays": 7}),
    (
        "route53",
        "change_resource_record_sets",
        {
            "HostedZoneId": "Z1",
            "ChangeBatch": {
                "Changes": [
                    {
                        "Action": "CREATE",
                        "ResourceRecordSet": {
                            "Name": "a",
                            "Type": "A",
                            "AliasTarget": {
                                "HostedZoneId": "Z1",
                                "DNSName": "b",
                                "EvaluateTargetHealth": True,
                            },
                        },
                    }
                ]
            },
        },
    ),
    (
        "route53",
        "create_health_check",
        {
            "CallerReference": "a",
            "HealthCheckConfig": {
                "Type": "CALCULATED",
                "ChildHealthChecks": ["a", "b"],
                "HealthThreshold": 1,
            },
        },
    ),
    ("route53", "list_resource_record_sets", {"HostedZoneId": "Z1", "StartRecordName": "a"}),
    ("s3", "put_object", {"Bucket": "abc", "Key": "a/b", "Metadata": {"A": "b"}}),
    (
        "s3",
        "put_bucket_versioning",
        {"Bucket": "abc", "VersioningConfiguration": {"Status": "Enabled"}},
    ),
    (
        "sns",
        "create_topic",
        {"Name": "a", "Attributes": {"KmsMasterKeyId": "a"}, "Tags": [{"Key": "a", "Value": "b"}]},
    ),
    ("sts", "assume_role", {"RoleArn": ARN, "RoleSessionName": "ab", "DurationSeconds": 900}),
    (
        "wafv2",
        "associate_web_acl",
        {
            "WebACLArn": "arn:aws:wafv2:us-east-1:000000000000:regional/webacl/a/b",
            "ResourceArn": "arn:aws:apigateway:us-east-1::/restapis/a/stages/v1",
        },
    ),
]
"""Calls of every protocol."""

MISTAKES: list[tuple[str, str, dict[str, Any], str]] = [
    # Missing members
    ("apigateway", "create_rest_api", {}, "name is required"),
    ("apigateway", "create_usage_plan", {"apiStages": []}, "name is required"),
    ("cloudwatch", "put_metric_alarm", {"EvaluationPeriods": 1}, "AlarmName is required"),
    ("dynamodb", "put_item", {"TableName": "abc"}, "Item is required"),
    ("dynamodbstreams", "get_records", {"Limit": 0}, "ShardIterator is required"),
    ("fis", "start_experiment", {"clientToken": "run"}, "experimentTemplateId is required"),
    ("iam", "create_role", {"RoleName": "a"}, "AssumeRolePolicyDocument is required"),
    ("kms", "create_key", {"Tags": [{"TagKey": "a"}]}, "Tags[0].TagValue is required"),
    ("lambda", "create_function", {"FunctionName": "a", "Role": ARN}, "Code is required"),
    ("logs", "create_log_group", {}, "logGroupName is required"),
    ("route53", "create_hosted_zone", {"Name": "example.com"}, "CallerReference is required"),
    ("sns", "create_topic", {}, "Name is required"),
    ("sns", "subscribe", {"TopicArn": "a"}, "Protocol is required"),
    (
        "wafv2",
        "create_ip_set",
        {"Name": "a", "Scope": "REGIONAL", "IPAddressVersion": "IPV4"},
        "Addresses is required",
    ),
    # Enumerations
    (
        "acm",
        "request_certificate",
        {"DomainName": "a.com", "ValidationMethod": "FAX"},
        "ValidationMethod must be one of",
    ),
    (
        "apigateway",
        "create_rest_api",
        {"name": "a", "apiKeySource": "BODY"},
        "apiKeySource must be one of",
    ),
    (
        "apigateway",
        "create_domain_name",
        {"domainName": "a.com", "securityPolicy": "TLS_2"},
        "securityPolicy must be one of",
    ),
    (
        "cloudwatch",
        "put_metric_alarm",
        {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "MoreThan"},
        "ComparisonOperator must be one of",
    ),
    (
        "dynamodb",
        "create_table",
        {
            "TableName": "abc",
            "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "T"}],
        },
        "AttributeType must be one of",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a", "Role": ARN, "Code": {}, "Runtime": "python2.6"},
        "Runtime must be one of",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a", "Role": ARN, "Code": {}, "Architectures": ["arm32"]},
        "Architectures[0] must be one of",
    ),
    (
        "route53",
        "create_health_check",
        {"CallerReference": "a", "HealthCheckConfig": {"Type": "UDP"}},
        "Type must be one of",
    ),
    (
        "route53",
        "change_resource_record_sets",
        {
            "HostedZoneId": "Z1",
            "ChangeBatch": {
                "Changes": [{"Action": "APPEND", "ResourceRecordSet": {"Name": "a", "Type": "A"}}]
            },
        },
        "Action must be one of",
    ),
    (
        "s3",
        "put_bucket_versioning",
        {"Bucket": "abc", "VersioningConfiguration": {"Status": "On"}},
        "Status must be one of",
    ),
    ("wafv2", "list_web_acls", {"Scope": "GLOBAL"}, "Scope must be one of"),
    # Patterns
    ("acm", "request_certificate", {"DomainName": "a b.example.com"}, "DomainName must satisfy"),
    (
        "iam",
        "create_role",
        {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"},
        "RoleName must satisfy",
    ),
    (
        "iam",
        "tag_role",
        {"RoleName": "a", "Tags": [{"Key": "a#b", "Value": ""}]},
        "Tags[0].Key must satisfy",
    ),
    (
        "iam",
        "tag_role",
        {"RoleName": "a", "Tags": [{"Key": "a\u203fb", "Value": ""}]},
        "Tags[0].Key must satisfy",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a b", "Role": ARN, "Code": {}},
        "FunctionName must satisfy",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a", "Role": "admin", "Code": {}},
        "Role must satisfy",
    ),
    (
        "lambda",
        "create_alias",
        {"FunctionName": "a", "Name": "1", "FunctionVersion": "1"},
        "Name must satisfy",
    ),
    ("logs", "create_log_group", {"logGroupName": "a b"}, "logGroupName must satisfy"),
    (
        "sts",
        "assume_role",
        {"RoleArn": ARN, "RoleSessionName": "a b"},
        "RoleSessionName must satisfy",
    ),
    (
        "wafv2",
        "create_ip_set",
        {"Name": "a b", "Scope": "REGIONAL", "IPAddressVersion": "IPV4", "Addresses": []},
        "Name must satisfy",
    ),
    # Lengths
    (
        "cloudwatch",
        "put_dashboard",
        {"DashboardName": "a", "DashboardBody": "", "Tags": [{"Key": "", "Value": "a"}]},
        "Key must be at least 1",
    ),
    (
        "cloudwatch",
        "put_metric_alarm",
        {
            "AlarmName": "a" * 256,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        },
        "AlarmName must be at most 255",
    ),
    (
        "dynamodb",
        "create_table",
        {"TableName": "abc", "KeySchema": [], "AttributeDefinitions": []},
        "KeySchema must be at least 1",
    ),
    (
        "iam",
        "create_role",
        {"RoleName": "a" * 65, "AssumeRolePolicyDocument": "{}"},
        "RoleName must be at most 64",
    ),
    (
        "kms",
        "create_alias",
        {"AliasName": "alias/" + "a" * 256, "TargetKeyId": "a"},
        "AliasName must be at most 256",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a", "Role": ARN, "Code": {}, "Description": "a" * 257},
        "Description must be at most 256",
    ),
    ("logs", "create_log_group", {"logGroupName": "a" * 513}, "logGroupName must be at most 512"),
    (
        "route53",
        "change_tags_for_resource",
        {
            "ResourceType": "healthcheck",
            "ResourceId": "a",
            "AddTags": [{"Key": f"a{n}", "Value": "b"} for n in range(11)],
        },
        "AddTags must be at most 10",
    ),
    (
        "route53",
        "create_hosted_zone",
        {"Name": "example.com", "CallerReference": ""},
        "CallerReference must be at least 1",
    ),
    # Ranges
    (
        "cloudwatch",
        "put_metric_alarm",
        {"AlarmName": "a", "EvaluationPeriods": 0, "ComparisonOperator": "GreaterThanThreshold"},
        "EvaluationPeriods must be at least 1",
    ),
    (
        "iam",
        "create_role",
        {"RoleName": "a", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 60},
        "MaxSessionDuration must be at least 3600",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "a", "Role": ARN, "Code": {}, "MemorySize": 64},
        "MemorySize must be at least 128",
    ),
    (
        "lambda",
        "put_function_concurrency",
        {"FunctionName": "a", "ReservedConcurrentExecutions": -1},
        "ReservedConcurrentExecutions must be at least 0",
    ),
    (
        "route53",
        "create_health_check",
        {"CallerReference": "a", "HealthCheckConfig": {"Type": "HTTPS", "FailureThreshold": 11}},
        "FailureThreshold must be at most 10",
    ),
    (
        "sts",
        "assume_role",
        {"RoleArn": ARN, "RoleSessionName": "ab", "DurationSeconds": 60},
        "DurationSeconds must be at least 900",
    ),
]
"""`(service, operation, parameters, part of the message)`."""

FOREIGN: list[tuple[str, str, str, dict[str, str], bytes, str]] = [
    (
        "dynamodb",
        "POST",
        "/",
        {"X-Amz-Target": "DynamoDB_20120810.ListTables"},
        b'{"Limitt": 1}',
        "Limitt is not a member",
    ),
    (
        "dynamodb",
        "POST",
        "/",
        {"X-Amz-Target": "DynamoDB_20120810.ListTables"},
        b'{"Limit": "1"}',
        "is not a valid integer",
    ),
    (
        "dynamodb",
        "POST",
        "/",
        {"X-Amz-Target": "DynamoDB_20120810.DescribeTable"},
        b'{"TableName": 7}',
        "is not a valid string",
    ),
    (
        "dynamodb",
        "POST",
        "/",
        {"X-Amz-Target": "DynamoDB_20120810.BatchGetItem"},
        b'{"RequestItems": []}',
        "is not a valid map",
    ),
    (
        "iam",
        "POST",
        "/?Action=ListRoles&Version=2010-05-08&Roles.1=a",
        {},
        b"",
        "Roles.1 is not a parameter",
    ),
    (
        "iam",
        "POST",
        "/?Action=ListRoles&Version=2010-05-08&MaxItems=many",
        {},
        b"",
        "is not a valid integer",
    ),
    (
        "lambda",
        "PUT",
        "/2017-10-31/functions/a/concurrency",
        {},
        b'{"reserved": 1}',
        "reserved is not a member",
    ),
    (
        "route53",
        "POST",
        "/2013-04-01/healthcheck",
        {},
        b"<CreateHealthCheckRequest><CallerReference>a</CallerReference><HealthCheckConfig>"
        b"<Type>HTTPS</Type><Prot>a</Prot></HealthCheckConfig></CreateHealthCheckRequest>",
        "Prot is not a member",
    ),
]
"""`(service, method, target, headers, body, part of the message)` of what boto3 could not send."""
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request"


@dataclasses.dataclass(frozen=True)
class Sent:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def unchecked_client(service: str, url: str) -> Any:
    """A client that checks no parameters by itself."""
    return boto3.client(
        service, "us-east-1", endpoint_url=url,
        aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )  # fmt: skip


def sent(service: str, operation: str, parameters: dict[str, Any]) -> Sent:
    """What boto3 would send."""
    client = unchecked_client(service, "http://localhost:1")
    seen: list[Sent] = []

    def catch(request: Any, **_: Any) -> Any:
        target = request.url.removeprefix("http://localhost:1")
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        seen.append(
            Sent(
                request.method,
                target,
                headers,
                body.encode() if isinstance(body, str) else bytes(body),
            )
        )
        raise InterruptedError

    client.meta.events.register("before-send", catch)
    with pytest.raises(InterruptedError):
        getattr(client, operation)(**parameters)
    return seen[0]


def call(service: str, operation: str, parameters: dict[str, Any]) -> Any:
    each = sent(service, operation, parameters)
    assert service_of(each.headers, b"") == service
    return read(service, each.method, each.target, each.headers, each.body)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    WELL_FORMED,
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_boto3_sends_is_read_as_it_was_given(service, operation, parameters):
    # WHEN a call is read
    found = call(service, operation, parameters)

    # THEN it is the same, and nothing is wrong with it
    assert found.operation.name.lower() == operation.replace("_", "")
    assert {name: found.parameters[name] for name in parameters} == parameters
    assert strict.check(found) is None


@pytest.mark.unit
def test_every_service_is_among_the_well_formed():
    assert {service for service, *_ in WELL_FORMED} == set(SERVICES.values())


@pytest.mark.unit
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "message"),
    MISTAKES,
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_mistake_is_found(service, operation, parameters, message):
    error = strict.check(call(service, operation, parameters))

    assert error is not None
    assert message in error.message


@pytest.mark.unit
@pytest.mark.parametrize(("service", "method", "target", "headers", "body", "message"), FOREIGN)
def test_what_no_sdk_sends_is_found(service, method, target, headers, body, message):
    # GIVEN a request of another client
    lower = {name.lower(): value for name, value in headers.items()}

    # WHEN it is read
    found = read(service, method, target, lower, body)

    # THEN what does not fit the model is named
    assert found is not None
    error = strict.check(found)
    assert error is not None
    assert message in error.message


@pytest.mark.unit
@pytest.mark.parametrize("authorization", ["", "Bearer x", SIGNED.format("execute-api")])
def test_what_is_not_for_a_checked_service_is_left_alone(authorization):
    assert service_of({"authorization": authorization}, b"") == ""


@pytest.mark.unit
@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc\n", False),
        ("[a-z]+", "abc1", False),
        ("a|ab", "ab", True),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 1", True),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "a\u203fb", False),
        (r"[\p{L}]*", "abc\n", False),
    ],
)
def test_a_pattern_holds_for_the_whole_text(pattern, text, matches):
    compiled = constraints.matcher(pattern)

    assert compiled is not None
    assert compiled(text) is matches


@pytest.mark.unit
def test_patterns_that_cannot_be_checked_are_known():
    unreadable = {
        (service, name)
        for service in SERVICES.values()
        for name in get_service_model(service).shape_names
        if (pattern := get_service_model(service).shape_for(name).metadata.get("pattern"))
        and constraints.matcher(pattern) is None
    }

    assert unreadable == {
        ("dynamodb", "AutoScalingPolicyName"),
        ("dynamodb", "AutoScalingRoleArn"),
        ("logs", "ResourceType"),
    }


class Application:
    """Takes every request, and remembers its body."""

    def __init__(self):
        self.bodies: list[bytes] = []

    async def __call__(self, scope, receive, send):
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def served(application, each):
    """The status with which `StrictServices` before an application responds."""
    path, _, query = each.target.partition("?")
    scope = {
        "type": "http",
        "method": each.method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in each.headers.items()],
    }
    parts = [each.body[:5], each.body[5:]]
    responses: list[Any] = []

    async def receive():
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        responses.append(message)

    asyncio.run(strict.StrictServices(application)(scope, receive, send))
    return responses[0]["status"]


@pytest.mark.unit
def test_the_emulator_gets_what_fits_whole_and_nothing_else():
    # GIVEN a call that fits and one that does not
    fits = sent("iam", "create_role", {"RoleName": "a", "AssumeRolePolicyDocument": "{}"})
    does_not = sent("iam", "create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"})

    # WHEN both are served
    application = Application()
    statuses = [served(application, each) for each in (fits, does_not)]

    # THEN the emulator has seen the first one only, as it was sent
    assert statuses == [200, 400]
    assert application.bodies == [fits.body]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "message"), {each[0]: each for each in MISTAKES}.values()
)
def test_boto3_understands_the_error(patched, service, operation, parameters, message):
    with pytest.raises(ClientError) as raised:
        getattr(unchecked_client(service, patched.url), operation)(**parameters)

    error = raised.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Code"] == strict.ERROR_CODES.get(service, "ValidationException")
    assert message in error["Error"]["Message"]


@pytest.mark.e2e
def test_a_lenient_server_takes_what_does_not_fit(emulator):
    with emulator.running("--lenient") as aws:
        role = unchecked_client("iam", aws.url).create_role(
            RoleName="a b", AssumeRolePolicyDocument="{}"
        )

    assert role["Role"]["RoleName"] == "a b"
