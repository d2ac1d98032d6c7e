"""Each patch, seen over HTTP: AWS's behaviour holds with it, and does not without it.

An observation is a function that asserts what AWS does. It must hold on the patched server, and
must fail on the unpatched one: once it no longer fails there, MiniStack has been put right.
"""

import json
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from sandbox.emulator import patches
from sandbox.emulator.patches import (
    addressing,
    api_gateway,
    capacity,
    cloudwatch,
    cross_origin,
    deployments,
    dynamodb,
    functions,
    kms,
    permissions,
    query_logging,
    route53,
    stages,
    versions,
)

pytestmark = pytest.mark.e2e

Observation = Callable[[Any], None]
OBSERVATIONS: dict[Callable[[], None], Observation] = {}

CHECKER_REGIONS = ["eu-west-1", "us-east-1", "us-west-2"]
TERRAFORM = "terraform-provider-aws/5.100.0"


def observes(patch: Callable[[], None]) -> Callable[[Observation], Observation]:
    def register(observation: Observation) -> Observation:
        OBSERVATIONS[patch] = observation
        return observation

    return register


@pytest.mark.parametrize("patch", patches.PATCHES, ids=lambda each: each.__name__)
def test_corrected_server_does_as_aws_does(patched, patch):
    OBSERVATIONS[patch](patched)


@pytest.mark.parametrize("patch", patches.PATCHES, ids=lambda each: each.__name__)
def test_ministack_still_needs_the_patch(unpatched, patch):
    try:
        OBSERVATIONS[patch](unpatched)
    except AssertionError:
        return
    pytest.fail(f"MiniStack is right without it: drop the patch {patch.__name__}")


# --- addressing


@observes(addressing.execute_api_answers_by_host_name)
def see_execute_api_host_names(aws):
    ids = {region: aws.rest_api(region) for region in ("us-east-1", "us-west-2")}

    answers = {
        region: aws.call(f"{api}.execute-api.{region}.amazonaws.com", "/v1/thing")
        for region, api in ids.items()
    }

    assert {region: answer.json().get("region") for region, answer in answers.items()} == {
        region: region for region in ids
    }


@observes(addressing.custom_domain_answers_in_the_region_asked)
def see_region_of_custom_domain(aws):
    domain = domain_in_two_regions(aws)

    answers = [
        aws.call(domain, "/v1/thing", headers={"X-Amz-Local-Region": region}).json()["region"]
        for region in ("us-east-1", "us-west-2")
    ]

    assert answers == ["us-east-1", "us-west-2"]


@observes(addressing.api_host_names_belong_to_api_gateway)
def see_path_without_mapping(aws):
    domain = domain_in_two_regions(aws)

    paths = ("/health", "/other/thing", "/iceberg/v1/config", "/v2/email/identities")
    statuses = [aws.call(domain, path).status_code for path in paths]

    assert statuses == [403] * len(paths)


@observes(addressing.closed_execute_api_endpoint_answers_nobody)
def see_closed_endpoint(aws):
    region = "us-east-1"
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    api = aws.rest_api(region)
    aws.custom_domain(region, domain, api)
    gateway = aws.client("apigateway", region)

    def statuses():
        hosts = (f"{api}.execute-api.{region}.amazonaws.com", domain)
        return [aws.call(host, "/v1/thing").status_code for host in hosts]

    def close(value):
        path = "/disableExecuteApiEndpoint"
        gateway.update_rest_api(
            restApiId=api, patchOperations=[{"op": "replace", "path": path, "value": value}]
        )

    close("true")
    assert statuses() == [403, 200]
    assert gateway.get_rest_api(restApiId=api)["disableExecuteApiEndpoint"] is True
    close("false")
    assert statuses() == [200, 200]


def domain_in_two_regions(aws):
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    for region in ("us-east-1", "us-west-2"):
        aws.custom_domain(region, domain, aws.rest_api(region))
    return domain


def test_custom_domain_without_the_header_answers_where_it_was_made_first(patched):
    domain = domain_in_two_regions(patched)

    assert patched.call(domain, "/v1/thing").json() == {"region": "us-east-1"}


def test_custom_domain_is_refused_in_a_region_without_it(patched):
    domain = domain_in_two_regions(patched)

    answer = patched.call(domain, "/v1/thing", headers={"X-Amz-Local-Region": "eu-west-1"})

    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_function_does_not_see_the_region_header(patched):
    function = patched.echo_function("us-west-2")
    uri = f"arn:aws:apigateway:us-west-2:lambda:path/2015-03-31/functions/{function}/invocations"
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    patched.custom_domain("us-west-2", domain, patched.rest_api("us-west-2", uri=uri))

    seen = patched.call(
        domain, "/v1/thing", headers={"X-Amz-Local-Region": "us-west-2", "X-Mine": "1"}
    ).json()

    assert seen["region"] == "us-west-2"
    assert {name.lower() for name in seen["headers"]} & {"x-amz-local-region", "x-mine"} == {
        "x-mine"
    }


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_api_is_not_served_under_the_host_name_of_another_region(patched, region):
    api = patched.rest_api("us-west-2")

    answer = patched.call(f"{api}.execute-api.{region}.amazonaws.com", "/v1/thing")

    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_regional_host_name_of_a_custom_domain_is_refused(patched):
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    api = patched.rest_api("us-east-1")
    regional = patched.custom_domain("us-east-1", domain, api)["regionalDomainName"]

    assert patched.call(regional, "/v1/thing").status_code == 403


# --- API Gateway


@observes(api_gateway.api_key_is_looked_up_in_its_region)
def see_one_key_in_two_regions(aws):
    value = uuid.uuid4().hex
    apis = [api_with_key(aws, region, value) for region in ("us-east-1", "us-west-2")]

    statuses = [
        aws.call_api(api, "/v1/thing", headers={"X-Api-Key": value}).status_code for api in apis
    ]

    assert statuses == [200, 200]


def api_with_key(aws, region, value):
    gateway = aws.client("apigateway", region)
    api = aws.rest_api(region, apiKeyRequired=True)
    key = gateway.create_api_key(name="acme", value=value, enabled=True)
    plan = gateway.create_usage_plan(name="basic", apiStages=[{"apiId": api, "stage": "v1"}])
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    return api


def test_another_key_is_refused(patched):
    api = api_with_key(patched, "us-east-1", uuid.uuid4().hex)

    refused = patched.call_api(api, "/v1/thing", headers={"X-Api-Key": uuid.uuid4().hex})

    assert refused.status_code == 403


@observes(api_gateway.api_key_value_exists_once)
def see_second_key_of_a_value(aws):
    value = uuid.uuid4().hex
    here, there = (aws.client("apigateway", region) for region in ("us-east-1", "us-west-2"))
    here.create_api_key(name="acme", value=value)
    there.create_api_key(name="acme", value=value)

    try:
        here.create_api_key(name="renamed", value=value)
        answer = "created"
    except here.exceptions.ConflictException as error:
        answer = error.response["Error"]["Message"]

    assert answer == "API Key already exists"


@observes(api_gateway.unset_structures_are_left_out)
def see_unset_structures(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    domain = aws.custom_domain("us-east-1", f"{uuid.uuid4().hex}.example.test", api)
    plan = gateway.create_usage_plan(name="bare")

    answers = [domain, plan, gateway.get_stage(restApiId=api, stageName="v1")]

    unset = {"accessLogSettings", "mutualTlsAuthentication", "quota", "throttle"}
    assert [unset & answer.keys() for answer in answers] == [set(), set(), set()]


def test_set_structures_are_read_back(patched):
    gateway = patched.client("apigateway")
    made = gateway.create_usage_plan(
        name="full", throttle={"rateLimit": 5, "burstLimit": 2}, quota={"limit": 9, "period": "DAY"}
    )

    plan = gateway.get_usage_plan(usagePlanId=made["id"])

    assert plan["throttle"] == {"rateLimit": 5, "burstLimit": 2}
    assert plan["quota"]["limit"] == 9


@observes(api_gateway.method_settings_are_named_with_escaped_slashes)
def see_names_of_method_settings(aws):
    api = aws.rest_api("us-east-1")
    gateway = aws.client("apigateway")
    for path in ("*/*", "~1thing/GET"):
        gateway.update_stage(
            restApiId=api,
            stageName="v1",
            patchOperations=[
                {"op": "replace", "path": f"/{path}/throttling/rateLimit", "value": "9"}
            ],
        )

    stage = gateway.get_stage(restApiId=api, stageName="v1")

    assert set(stage["methodSettings"]) == {"*/*", "~1thing/GET"}


@observes(api_gateway.updated_limits_are_numbers)
def see_updated_limits(aws):
    gateway = aws.client("apigateway")
    made = gateway.create_usage_plan(name="grown", throttle={"rateLimit": 5, "burstLimit": 2})

    gateway.update_usage_plan(
        usagePlanId=made["id"],
        patchOperations=[
            {"op": "replace", "path": "/throttle/rateLimit", "value": "7.5"},
            {"op": "replace", "path": "/throttle/burstLimit", "value": "3"},
        ],
    )

    # boto3 would turn text into numbers; the AWS provider does not.
    bodies = []
    gateway.meta.events.register(
        "before-parse.*.GetUsagePlan",
        lambda response_dict, **_: bodies.append(json.loads(response_dict["body"])),
    )
    gateway.get_usage_plan(usagePlanId=made["id"])
    assert bodies[0]["throttle"] == {"rateLimit": 7.5, "burstLimit": 3}


@observes(api_gateway.disabled_api_key_stays_disabled)
def see_disabled_api_key(aws):
    gateway = aws.client("apigateway")
    made = gateway.create_api_key(name="shut", value=uuid.uuid4().hex, enabled=True)

    gateway.update_api_key(
        apiKey=made["id"],
        patchOperations=[{"op": "replace", "path": "/enabled", "value": "false"}],
    )

    bodies = []
    gateway.meta.events.register(
        "before-parse.*.GetApiKey",
        lambda response_dict, **_: bodies.append(json.loads(response_dict["body"])),
    )
    gateway.get_api_key(apiKey=made["id"])
    assert bodies[0]["enabled"] is False


@observes(api_gateway.iam_method_refuses_what_is_no_signature)
def see_foreign_authorization_header(aws):
    api = aws.rest_api("us-east-1", authorizationType="AWS_IAM")

    answers = [
        aws.call_api(api, "/v1/thing", headers={"Authorization": value})
        for value in ("Bearer x", "AWS4-HMAC-SHA256 x")
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert {answer.headers.get("x-amzn-ErrorType") for answer in answers} == {
        "IncompleteSignatureException"
    }


def test_iam_method_refuses_an_unsigned_request(patched):
    api = patched.rest_api("us-east-1", authorizationType="AWS_IAM")

    answer = patched.call(f"{api}.execute-api.us-east-1.amazonaws.com", "/v1/thing")

    assert answer.status_code == 403
    assert answer.json() == {"message": "Missing Authentication Token"}


def test_iam_method_accepts_a_signed_request(patched):
    api = patched.rest_api("us-east-1", authorizationType="AWS_IAM")
    host = f"{api}.execute-api.us-east-1.amazonaws.com"

    answer = patched.call(host, "/v1/thing", headers=signed_headers(host, "/v1/thing"))

    assert answer.status_code == 200


def signed_headers(host, path):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", f"http://{host}{path}")
    SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
    return dict(request.prepare().headers)


@observes(api_gateway.validation_error_is_described)
def see_validation_error(aws):
    api = api_with_model(aws)

    answer = aws.call_api(api, "/v1/thing", "POST", json={"wind": 1})

    assert answer.json()["faults"] == ('[object has missing required properties (["temperature"])]')


def api_with_model(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    gateway.create_model(
        restApiId=api,
        name="Observation",
        contentType="application/json",
        schema=json.dumps({"type": "object", "required": ["temperature"]}),
    )
    validator = gateway.create_request_validator(restApiId=api, validateRequestBody=True)
    resources = gateway.get_resources(restApiId=api)["items"]
    thing = next(each["id"] for each in resources if each["path"] == "/thing")
    gateway.delete_method(restApiId=api, resourceId=thing, httpMethod="POST")
    aws.method(
        "us-east-1",
        {"restApiId": api, "resourceId": thing, "httpMethod": "POST"},
        requestValidatorId=validator["id"],
        requestModels={"application/json": "Observation"},
    )
    refuse_with_problem_documents(gateway, api)
    aws.deploy("us-east-1", api)
    return api


def refuse_with_problem_documents(gateway, api):
    template = (
        '{"title":"$context.error.responseType","detail":$context.error.messageString,'
        '"requestId":"$context.requestId","faults":"$context.error.validationErrorString"}'
    )
    for response_type in ("DEFAULT_4XX", "BAD_REQUEST_BODY"):
        gateway.put_gateway_response(
            restApiId=api,
            responseType=response_type,
            responseParameters={
                "gatewayresponse.header.Content-Type": "'application/problem+json'",
                "gatewayresponse.header.X-Served-By-Region": "'us-east-1'",
            },
            responseTemplates={"application/json": template},
        )


def test_refusal_without_validation_leaves_the_variable_empty(patched):
    answer = patched.call_api(api_with_model(patched), "/v1/nothing")

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Served-By-Region"] == "us-east-1"
    assert answer.json() == {
        "title": "MISSING_AUTHENTICATION_TOKEN",
        "detail": "Missing Authentication Token",
        "requestId": answer.headers["x-amzn-requestid"],
        "faults": "",
    }


THROTTLED = (429, 500)
"""Of a function behind an API: MiniStack's answer, and AWS's, which is observed by itself."""


@observes(functions.invocations_are_counted)
def see_count_of_invocations(aws):
    function = aws.echo_function("us-west-2", Publish=True)
    name = function.split(":")[-1]
    aws.client("lambda", "us-west-2").create_alias(
        FunctionName=name, Name="live", FunctionVersion="1"
    )
    aws.permit("us-west-2", name, Qualifier="live")
    api = aws.rest_api("us-west-2", uri=proxy("us-west-2", f"{function}:live"))

    for _ in range(3):
        assert aws.call_api(api, "/v1/thing").status_code == 200
    aws.client("lambda", "us-west-2").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )
    assert aws.call_api(api, "/v1/thing").status_code in THROTTLED

    def counted(metric, **dimensions):
        now = datetime.now(UTC)
        points = aws.client("cloudwatch", "us-west-2").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Statistics=["Sum"], Period=3600,
            Dimensions=[{"Name": n, "Value": v} for n, v in dimensions.items()],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
        )["Datapoints"]  # fmt: skip
        # An hour may end between two calls.
        return sum(point["Sum"] for point in points) if points else None

    function_alone = {"FunctionName": name}
    of_alias = {**function_alone, "Resource": f"{name}:live"}
    for dimensions in (function_alone, of_alias, {**of_alias, "ExecutedVersion": "1"}):
        found = {
            metric: counted(metric, **dimensions)
            for metric in ("Invocations", "Errors", "Throttles")
        }
        assert found == {"Invocations": 3, "Errors": 0, "Throttles": 1}, dimensions


def proxy(region, function):
    """The URI of an integration with a function, a version or an alias."""
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations"


# --- versions and aliases

ANSWER = """
def handler(event, context):
    return {{"statusCode": 200, "body": "{0}"}}
"""


def two_versions(aws, region="us-east-1"):
    """A function with versions 1 and 2, which answer so, and the alias `live` of version 1."""
    function = aws.echo_function(region, ANSWER.format(1), Publish=True)
    name, client = function.split(":")[-1], aws.client("lambda", region)
    assert aws.publish(region, name, ANSWER.format(2)) == "2"
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    aws.permit(region, name, Qualifier="live")
    return name, f"{function}:live"


def point(aws, name, version, **weights):
    aws.client("lambda").update_alias(
        FunctionName=name, Name="live", FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": weights},
    )  # fmt: skip


@observes(versions.alias_routes_by_weight)
def see_shares_of_two_versions(aws):
    name, alias = two_versions(aws)
    api = aws.rest_api("us-east-1", uri=proxy("us-east-1", alias))

    def answers(count):
        return [aws.call_api(api, "/v1/thing").text for _ in range(count)]

    def invoked():
        body = aws.client("lambda").invoke(FunctionName=name, Qualifier="live")["Payload"].read()
        return json.loads(body)["body"]

    assert set(answers(3)) == {"1"}
    point(aws, name, "1", **{"2": 1.0})
    assert (set(answers(3)), invoked()) == ({"2"}, "2")
    point(aws, name, "1", **{"2": 0.5})
    # Each fails once in 2 ** 40 times.
    assert set(answers(40)) == {"1", "2"}
    point(aws, name, "2")
    assert (set(answers(3)), invoked()) == ({"2"}, "2")


@observes(versions.alias_points_to_versions_that_exist)
def see_refused_aliases(aws):
    name, _ = two_versions(aws)
    client = aws.client("lambda")

    def refused(version, **weights):
        try:
            point(aws, name, version, **weights)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    assert refused("3") == "ResourceNotFoundException"
    assert refused("1", **{"3": 0.1}) == "ResourceNotFoundException"
    assert refused("1", **{"1": 0.1}) == "InvalidParameterValueException"
    assert refused("$LATEST", **{"1": 0.1}) == "InvalidParameterValueException"
    assert refused("1", **{"1": 0.1, "2": 0.1}) == "InvalidParameterValueException"
    point(aws, name, "1", **{"2": 0.1})
    # An update leaves what it does not name, so that the weight has to be removed with it.
    with suppress(ClientError):
        client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    found = client.get_alias(FunctionName=name, Name="live")
    assert found["FunctionVersion"] == "1"
    assert found["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}
    try:
        client.create_alias(FunctionName=name, Name="next", FunctionVersion="3")
    except client.exceptions.ResourceNotFoundException:
        return
    pytest.fail("an alias of a version that does not exist")


@observes(versions.reserved_concurrency_limits_every_version)
def see_limit_of_an_alias(aws):
    name, alias = two_versions(aws)
    api = aws.rest_api("us-east-1", uri=proxy("us-east-1", alias))
    client = aws.client("lambda")

    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert aws.call_api(api, "/v1/thing").status_code in THROTTLED
    client.delete_function_concurrency(FunctionName=name)
    assert aws.call_api(api, "/v1/thing").status_code == 200


@observes(versions.version_is_named_by_its_number)
def see_version_of_a_created_function(aws):
    function = aws.echo_function("us-east-1", Publish=True)
    client = aws.client("lambda")
    client.get_waiter("function_active_v2").wait(FunctionName=function)

    _, first = client.list_versions_by_function(FunctionName=function)["Versions"]

    assert (first["Version"], first["FunctionArn"]) == ("1", f"{function}:1")
    assert client.publish_version(FunctionName=function)["Version"] == "1"


@observes(permissions.each_qualifier_has_its_policy)
def see_policies_of_qualifiers(aws):
    name, alias = two_versions(aws)
    client = aws.client("lambda")

    def resources(**qualifier):
        try:
            policy = client.get_policy(FunctionName=name, **qualifier)["Policy"]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [statement["Resource"] for statement in json.loads(policy)["Statement"]]

    assert resources(Qualifier="live") == [alias]
    assert resources() == [alias.removesuffix(":live")]
    # The same statement id may be in both.
    aws.permit("us-east-1", name, StatementId="live")
    for id in ("live", "function"):
        client.remove_permission(FunctionName=name, StatementId=id)
    assert (resources(), resources(Qualifier="live")) == ([], [alias])
    client.delete_alias(FunctionName=name, Name="live")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert resources(Qualifier="live") == []


@observes(permissions.api_gateway_needs_permission)
def see_permission_of_api_gateway(aws):
    name, alias = two_versions(aws)
    client = aws.client("lambda")
    api = aws.rest_api("us-east-1", uri=proxy("us-east-1", alias))

    def status():
        return aws.call_api(api, "/v1/thing").status_code

    assert status() == 200
    client.remove_permission(FunctionName=name, StatementId="live", Qualifier="live")
    # What the function's own policy allows is not allowed on the alias.
    assert status() == 500
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{api}/v1"
    aws.permit("us-east-1", name, Qualifier="live", SourceArn=f"{arn}/POST/thing")
    assert status() == 500
    client.remove_permission(FunctionName=name, StatementId="live", Qualifier="live")
    aws.permit("us-east-1", name, Qualifier="live", SourceArn=f"{arn}/GET/*")
    assert status() == 200


# --- DynamoDB, KMS, Route 53


# --- other origins


@observes(cross_origin.services_allow_no_origin)
def see_headers_for_other_origins(aws):
    """What a page of the server's own origin gets: those of others are refused by the guard."""
    bucket = f"b-{uuid.uuid4().hex}"
    aws.client("s3").create_bucket(Bucket=bucket)

    answers = [
        requests.request(method, f"{aws.url}{path}", headers={"Origin": aws.url}, timeout=20)
        for method, path in (("OPTIONS", "/"), ("GET", "/"), ("GET", f"/{bucket}"))
    ]

    names = {name.lower() for answer in answers for name in answer.headers}
    assert not [name for name in names if name.startswith("access-control-")]


# --- CloudWatch


def alarm(aws, dimension):
    """An alarm on a metric of this call's own, and how to describe it by the query protocol."""
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name, AlarmDescription="a & b", Namespace="Shop", MetricName="Sold",
        Dimensions=[{"Name": "Shop", "Value": dimension}], Statistic="Sum", Period=60,
        EvaluationPeriods=2, Threshold=1, ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching", AlarmActions=["arn:aws:sns:us-east-1:000000000000:t"],
    )  # fmt: skip
    return name


@observes(cloudwatch.alarm_is_described_whole)
def see_whole_alarm(aws):
    name = alarm(aws, "corner")

    answer = requests.post(
        aws.url,
        data={"Action": "DescribeAlarms", "Version": "2010-08-01", "AlarmNames.member.1": name},
        headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/"
            "aws4_request, SignedHeaders=host, Signature=0"
        },
        timeout=10,
    ).text

    assert f"<AlarmName>{name}</AlarmName>" in answer
    assert re.search(r"<StateUpdatedTimestamp>\d{4}-\d\d-\d\dT[\d:.]+Z<", answer)
    for part in (
        "<Period>60</Period>", "<Statistic>Sum</Statistic>", "<ActionsEnabled>true<",
        "<TreatMissingData>breaching<", "<AlarmDescription>a &amp; b<",
        "<AlarmActions><member>arn:aws:sns:us-east-1:000000000000:t</member>",
        "<Dimensions><member><Name>Shop</Name><Value>corner</Value></member>",
    ):  # fmt: skip
        assert part in answer


@observes(cloudwatch.alarm_looks_at_its_own_dimensions)
def see_alarm_of_one_dimension(aws):
    client = aws.client("cloudwatch")
    names = {shop: alarm(aws, shop) for shop in (uuid.uuid4().hex, uuid.uuid4().hex)}
    open_shop, shut_shop = names

    for shop, value in ((open_shop, 5), (shut_shop, 0)):
        client.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {
                    "MetricName": "Sold",
                    "Dimensions": [{"Name": "Shop", "Value": shop}],
                    "Value": value,
                }
            ],
        )

    found = client.describe_alarms(AlarmNames=list(names.values()))["MetricAlarms"]
    assert {a["AlarmName"]: a["StateValue"] for a in found} == {
        names[open_shop]: "OK", names[shut_shop]: "ALARM",
    }  # fmt: skip


@observes(cloudwatch.alarm_watches_a_sum)
def see_alarm_on_a_sum(aws):
    client = aws.client("cloudwatch")
    name, shops = f"alarm-{uuid.uuid4().hex[:8]}", [uuid.uuid4().hex for _ in range(2)]
    request = {
        "AlarmName": name, "Threshold": 4, "EvaluationPeriods": 5, "DatapointsToAlarm": 2,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        "Metrics": [
            {"Id": "sum", "Expression": "SUM(FILL(METRICS(), 0))", "ReturnData": True},
            *(
                {
                    "Id": f"m{number}", "ReturnData": False,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "Shop", "MetricName": "Sold",
                            "Dimensions": [{"Name": "Shop", "Value": shop}],
                        },
                        "Period": 60, "Stat": "Sum",
                    },
                }
                for number, shop in enumerate(shops)
            ),
        ],
    }  # fmt: skip
    client.put_metric_alarm(**request)

    def state():
        (found,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert found.get("Metrics") == request["Metrics"]
        assert "Statistic" not in found
        return found["StateValue"]

    def sell(shop, value, minutes_ago):
        client.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {
                    "MetricName": "Sold", "Dimensions": [{"Name": "Shop", "Value": shop}],
                    "Value": value, "Timestamp": time.time() - 60 * minutes_ago - 1,
                }
            ],
        )  # fmt: skip

    # What went long ago does not count, nor does one minute in which two shops sell enough.
    for minutes_ago in (7, 8, 9):
        sell(shops[0], 5, minutes_ago)
    sell(shops[0], 3, 2)
    sell(shops[1], 2, 2)
    assert state() == "OK"
    # A second minute does, in which one shop alone sells.
    sell(shops[1], 5, 1)
    assert state() == "ALARM"
    # It is over when too few of the minutes that are looked at are such.
    request["EvaluationPeriods"] = 2
    client.put_metric_alarm(**request)
    assert state() == "OK"


def test_an_alarm_on_anything_but_a_sum_is_refused(patched):
    client = patched.client("cloudwatch")
    total = {"Id": "sum", "Expression": "SUM(FILL(METRICS(), 0))"}
    one = {
        "Id": "m1",
        "ReturnData": False,
        "MetricStat": {
            "Metric": {"Namespace": "Shop", "MetricName": "Sold"}, "Period": 60, "Stat": "Sum",
        },
    }  # fmt: skip
    above = "GreaterThanThreshold"
    for comparison, *queries in (
        (above, one | {"ReturnData": True}),
        (above, total | {"Expression": "RUNNING_SUM(m1)"}, one),
        (above, total, one | {"MetricStat": one["MetricStat"] | {"Stat": "p99"}}),
        ("LessThanThreshold", total, one),
    ):
        with pytest.raises(client.exceptions.ClientError, match="only knows"):
            client.put_metric_alarm(
                AlarmName="refused", Metrics=queries, ComparisonOperator=comparison,
                EvaluationPeriods=1, Threshold=1,
            )  # fmt: skip
    assert client.describe_alarms(AlarmNames=["refused"])["MetricAlarms"] == []


@observes(dynamodb.recovery_period_is_kept)
def see_recovery_period(aws):
    client = aws.client("dynamodb")
    name = f"table-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    wanted = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}

    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=wanted)

    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert recovery.get("RecoveryPeriodInDays") == 7


@observes(dynamodb.replica_has_a_key_of_its_own)
def see_key_of_replica(aws):
    keys = {
        region: aws.client("kms", region).create_key()["KeyMetadata"]["Arn"]
        for region in ("us-east-1", "us-west-2")
    }
    client = aws.client("dynamodb", "us-east-1")
    name = f"table-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": keys["us-east-1"]},
    )

    replica = {"RegionName": "us-west-2", "KMSMasterKeyId": keys["us-west-2"]}
    client.update_table(TableName=name, ReplicaUpdates=[{"Create": replica}])

    assert {
        region: aws.client("dynamodb", region).describe_table(TableName=name)["Table"][
            "SSEDescription"
        ]["KMSMasterKeyArn"]
        for region in keys
    } == keys


@observes(dynamodb.new_replica_is_not_active_at_once)
def see_a_new_replica(aws):
    client = aws.client("dynamodb", "us-east-1")
    name = table_with_replica(client, "us-west-2")

    def status():
        (replica,) = client.describe_table(TableName=name)["Table"]["Replicas"]
        return replica["ReplicaStatus"]

    assert status() == "CREATING"
    deadline = time.monotonic() + 60
    while status() != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def table_with_replica(client, region):
    """The name of a new table."""
    name = f"table-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    client.update_table(TableName=name, ReplicaUpdates=[{"Create": {"RegionName": region}}])
    return name


@observes(dynamodb.protected_replica_is_not_deleted)
def see_deletion_of_protected_replica(aws):
    client = aws.client("dynamodb", "us-east-1")
    region = {"RegionName": "us-west-2"}
    name = table_with_replica(client, region["RegionName"])
    there = aws.client("dynamodb", "us-west-2")
    there.update_table(TableName=name, DeletionProtectionEnabled=True)

    refused = code_of(client.update_table, TableName=name, ReplicaUpdates=[{"Delete": region}])

    assert refused == "ValidationException"
    assert name in there.list_tables()["TableNames"]
    there.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.update_table(TableName=name, ReplicaUpdates=[{"Delete": region}])
    assert name not in there.list_tables()["TableNames"]


def code_of(call, **arguments):
    """The code of the error that a call ends with; None if it succeeds."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


@observes(kms.aws_managed_keys_are_made_on_first_use)
def see_aws_managed_key(aws):
    client = aws.client("kms", "us-west-2")

    keys = [managed_key(client, "alias/aws/dynamodb") for _ in range(2)]

    assert keys[0] == keys[1]
    assert keys[0]["KeyManager"] == "AWS"
    assert keys[0]["Arn"].startswith("arn:aws:kms:us-west-2:000000000000:key/")


def managed_key(client, alias):
    try:
        return client.describe_key(KeyId=alias)["KeyMetadata"]
    except client.exceptions.NotFoundException as missing:
        raise AssertionError(missing) from None


def test_alias_nobody_made_is_still_unknown(patched):
    client = patched.client("kms")

    with pytest.raises(client.exceptions.NotFoundException):
        client.describe_key(KeyId="alias/mine")


@observes(route53.health_check_lists_are_read)
def see_health_check_lists(aws):
    check = health_check(aws, Regions=CHECKER_REGIONS)
    parent = health_check(aws, Type="CALCULATED", ChildHealthChecks=[check["Id"]])

    assert sorted(check["HealthCheckConfig"]["Regions"]) == CHECKER_REGIONS
    assert parent["HealthCheckConfig"]["ChildHealthChecks"] == [check["Id"]]


@observes(route53.health_check_switches_are_xml_booleans)
def see_health_check_switches(aws):
    config = health_check(aws, EnableSNI=True, MeasureLatency=True, Inverted=False)[
        "HealthCheckConfig"
    ]

    assert config["EnableSNI"] is True
    assert config["MeasureLatency"] is True
    assert config["Inverted"] is False


@observes(route53.health_check_names_its_checker_regions)
def see_default_checker_regions(aws):
    client = aws.client("route53")
    check = health_check(aws)
    parent = health_check(aws, Type="CALCULATED", ChildHealthChecks=[check["Id"]])

    assert len(check["HealthCheckConfig"].get("Regions", [])) == 8
    assert "Regions" not in parent["HealthCheckConfig"]
    # boto3 would refuse the empty list itself; the AWS provider sends it.
    namespace = "https://route53.amazonaws.com/doc/2013-04-01/"
    refused = requests.post(
        f"{aws.url}/2013-04-01/healthcheck/{check['Id']}",
        data=f'<UpdateHealthCheckRequest xmlns="{namespace}"><Regions/></UpdateHealthCheckRequest>',
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/route53/x"},
        timeout=20,
    )
    assert (refused.status_code, "InvalidInput" in refused.text) == (400, True)
    client.update_health_check(HealthCheckId=check["Id"], FailureThreshold=2)
    client.update_health_check(HealthCheckId=check["Id"], Regions=CHECKER_REGIONS)
    kept = client.get_health_check(HealthCheckId=check["Id"])["HealthCheck"]["HealthCheckConfig"]
    assert sorted(kept["Regions"]) == CHECKER_REGIONS


@observes(route53.alias_in_the_zone_has_a_target)
def see_aliases_of_nothing(aws):
    client, name = aws.client("route53"), f"{uuid.uuid4().hex}.test"
    zone = client.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]

    def error_of(label, zone_id, target, *, type="A"):
        alias = {"HostedZoneId": zone_id, "DNSName": target, "EvaluateTargetHealth": True}
        record = {"Name": f"{label}.{name}", "Type": type, "AliasTarget": alias}
        change = {"Action": "UPSERT", "ResourceRecordSet": record}
        try:
            client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
        except ClientError as error:
            return str(error)
        return ""

    own = zone.rpartition("/")[2]
    missing = error_of("www", own, f"behind.{name}")
    assert "InvalidChangeBatch" in missing
    assert "that target was not found" in missing
    # What is in another zone, such as that of API Gateway, is not looked up.
    assert error_of("behind", "Z2OJLYMUO9EFXC", "d-1.execute-api.us-west-2.amazonaws.com") == ""
    assert error_of("www", own, f"Behind.{name}") == ""
    assert "that target was not found" in error_of("www", own, f"behind.{name}", type="AAAA")


@observes(route53.cname_record_is_alone)
def see_cname_records_beside_others(aws):
    client, zone_name = aws.client("route53"), f"{uuid.uuid4().hex}.test"
    zone = client.create_hosted_zone(Name=zone_name, CallerReference=zone_name)["HostedZone"]["Id"]

    def record(name, kind, value):
        return {
            "Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]
        }  # fmt: skip

    def error_of(*changes):
        batch = [{"Action": action, "ResourceRecordSet": each} for action, each in changes]
        try:
            client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})
        except ClientError as error:
            return str(error)
        return ""

    name = f"www.{zone_name}"
    address, cname = record(name, "A", "192.0.2.1"), record(name, "CNAME", "other.test")
    assert error_of(("CREATE", address)) == ""
    assert "InvalidChangeBatch" in error_of(("CREATE", cname))
    assert "conflicts with other records" in error_of(("UPSERT", cname))
    # Nothing of a batch that is refused is done.
    other = record(f"a.{zone_name}", "A", "192.0.2.1")
    assert error_of(("CREATE", other), ("CREATE", cname)) != ""
    assert error_of(("DELETE", address), ("CREATE", cname), ("CREATE", other)) == ""
    assert "conflicts" in error_of(("CREATE", address))
    assert "not permitted at apex" in error_of(("CREATE", record(zone_name, "CNAME", "x.test")))
    # Below it, other names are free.
    assert error_of(("CREATE", record(f"_x.{name}", "CNAME", "y.test"))) == ""


def health_check(aws, **config):
    client = aws.client("route53")
    if config.get("Type") == "CALCULATED":
        config["HealthThreshold"] = 1
    else:
        config |= {"Type": "HTTPS", "FullyQualifiedDomainName": "api.example.test"}
    made = client.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig=config)
    return client.get_health_check(HealthCheckId=made["HealthCheck"]["Id"])["HealthCheck"]


# --- stages


@observes(stages.settings_of_all_methods_overwrite_those_of_one)
def see_order_of_method_settings(aws):
    api = aws.rest_api("us-east-1")

    set_limit(aws, api, "~1thing/GET", "5")
    set_limit(aws, api, "*/*", "9")
    assert limits(aws, api) == {"*/*": 9}
    set_limit(aws, api, "~1thing/GET", "5")
    assert sorted(limits(aws, api).values()) == [5, 9]


def set_limit(aws, api, path, value):
    patch = {"op": "replace", "path": f"/{path}/throttling/rateLimit", "value": value}
    aws.client("apigateway").update_stage(restApiId=api, stageName="v1", patchOperations=[patch])


def limits(aws, api):
    stage = aws.client("apigateway").get_stage(restApiId=api, stageName="v1")
    return {path: each["throttlingRateLimit"] for path, each in stage["methodSettings"].items()}


@observes(stages.stage_in_use_is_not_deleted)
def see_deletion_of_a_used_stage(aws):
    gateway = aws.client("apigateway")
    api, domain = aws.rest_api("us-east-1"), f"{uuid.uuid4().hex}.example.test"
    stage = {"restApiId": api, "stageName": "v1"}

    aws.custom_domain("us-east-1", domain, api)
    assert code_of(gateway.delete_stage, **stage) == "BadRequestException"
    gateway.delete_base_path_mapping(domainName=domain, basePath="v1")
    plan = gateway.create_usage_plan(name="basic", apiStages=[{"apiId": api, "stage": "v1"}])
    assert code_of(gateway.delete_stage, **stage) == "BadRequestException"
    gateway.delete_usage_plan(usagePlanId=plan["id"])
    gateway.delete_stage(**stage)


@observes(deployments.stage_serves_what_was_deployed)
def see_what_a_stage_serves(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    resources = gateway.get_resources(restApiId=api)["items"]
    (thing,) = (each["id"] for each in resources if each["path"] == "/thing")
    rename = {"op": "replace", "path": "/pathPart", "value": "other"}

    def status(path):
        return aws.call_api(api, path).status_code

    gateway.update_resource(restApiId=api, resourceId=thing, patchOperations=[rename])
    assert (status("/v1/thing"), status("/v1/other")) == (200, 403)
    aws.deploy("us-east-1", api)
    assert (status("/v1/thing"), status("/v1/other")) == (403, 200)
    gateway.delete_resource(restApiId=api, resourceId=thing)
    assert status("/v1/other") == 200
    aws.deploy("us-east-1", api)
    assert status("/v1/other") == 403


@observes(deployments.deployment_of_a_stage_is_not_deleted)
def see_deletion_of_a_served_deployment(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    first = gateway.get_stage(restApiId=api, stageName="v1")["deploymentId"]

    delete = {"restApiId": api, "deploymentId": first}
    assert code_of(gateway.delete_deployment, **delete) == "BadRequestException"
    aws.deploy("us-east-1", api)
    gateway.delete_deployment(**delete)


@observes(stages.names_in_use_are_refused)
def see_names_that_exist(aws):
    gateway = aws.client("apigateway")
    api, domain = aws.rest_api("us-east-1"), f"{uuid.uuid4().hex}.example.test"
    aws.custom_domain("us-east-1", domain, api)
    stage = gateway.get_stage(restApiId=api, stageName="v1")
    mapping = {"domainName": domain, "basePath": "v1", "restApiId": api, "stage": "v1"}
    resources = gateway.get_resources(restApiId=api)["items"]
    (resource,) = (each for each in resources if each["path"] == "/thing")

    codes = [
        code_of(
            gateway.create_stage,
            restApiId=api, stageName="v1", deploymentId=stage["deploymentId"],
        ),
        code_of(gateway.create_domain_name, domainName=domain),
        code_of(
            gateway.put_method,
            restApiId=api, resourceId=resource["id"], httpMethod="GET", authorizationType="NONE",
        ),
        code_of(gateway.create_base_path_mapping, **mapping),
    ]  # fmt: skip

    assert codes == ["ConflictException"] * 4


@observes(api_gateway.updated_method_has_booleans)
def see_what_an_updated_method_requires(aws):
    gateway = aws.client("apigateway")
    api = gateway.create_rest_api(name="orders")
    at_root = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at_root, authorizationType="NONE")

    values = {"/apiKeyRequired": "true", "/requestParameters/method.request.querystring.a": "false"}
    gateway.update_method(
        **at_root,
        patchOperations=[
            {"op": "replace", "path": path, "value": value} for path, value in values.items()
        ],
    )

    # boto3 reads the text as a boolean, where the Go SDK gives up.
    path = f"/restapis/{api['id']}/resources/{api['rootResourceId']}/methods/GET"
    method = requests.get(f"{aws.url}{path}", timeout=20).json()
    assert method["apiKeyRequired"] is True
    assert method["requestParameters"] == {"method.request.querystring.a": False}


@observes(stages.one_variable_is_in_one_place)
def see_a_second_parameter_in_one_place(aws):
    gateway = aws.client("apigateway")
    api = gateway.create_rest_api(name="orders")
    at_root = {"restApiId": api["id"], "parentId": api["rootResourceId"]}
    order = gateway.create_resource(**at_root, pathPart="{order}")["id"]
    rename = {"op": "replace", "path": "/pathPart", "value": "{number}"}

    assert code_of(gateway.create_resource, **at_root, pathPart="{id}") == "BadRequestException"
    # The one that is there may be renamed, and another may be below it.
    gateway.update_resource(restApiId=api["id"], resourceId=order, patchOperations=[rename])
    gateway.create_resource(restApiId=api["id"], parentId=order, pathPart="{item}")
    paths = {each["path"] for each in gateway.get_resources(restApiId=api["id"])["items"]}
    assert paths == {"/", "/{number}", "/{number}/{item}"}


@observes(stages.base_path_mapping_is_updated)
def see_update_of_base_path_mapping(aws):
    gateway = aws.client("apigateway")
    api, domain = aws.rest_api("us-east-1"), f"{uuid.uuid4().hex}.example.test"
    aws.custom_domain("us-east-1", domain, api)

    def update(base_path, path, value):
        patch = {"op": "replace", "path": path, "value": value}
        return code_of(
            gateway.update_base_path_mapping,
            domainName=domain, basePath=base_path, patchOperations=[patch],
        )  # fmt: skip

    assert update("v1", "/stage", "v2") is None
    assert update("v1", "/basePath", "v2") is None
    assert update("v1", "/stage", "v3") == "NotFoundException"
    mapping = gateway.get_base_path_mapping(domainName=domain, basePath="v2")
    assert (mapping["restApiId"], mapping["stage"]) == (api, "v2")


@observes(stages.usage_plan_stages_are_updated)
def see_update_of_usage_plan_stages(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    plan = gateway.create_usage_plan(name="moved", apiStages=[{"apiId": api, "stage": "v1"}])

    for op, stage in (("add", "v2"), ("remove", "v1")):
        patch = {"op": op, "path": "/apiStages", "value": f"{api}:{stage}"}
        # boto3 cannot read what MiniStack makes of it.
        with suppress(AttributeError):
            gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=[patch])

    bodies = []
    gateway.meta.events.register(
        "before-parse.*.GetUsagePlan",
        lambda response_dict, **_: bodies.append(json.loads(response_dict["body"])),
    )
    with suppress(AttributeError):
        gateway.get_usage_plan(usagePlanId=plan["id"])
    assert bodies[0].get("apiStages") == [{"apiId": api, "stage": "v2"}]


# --- speed


SLOW_TO_START = """
import os, time
time.sleep(0.5)
def handler(event, context):
    return os.getpid()
"""


@observes(functions.environments_of_a_function_start_one_at_a_time)
def see_environments_of_a_function_that_starts(aws):
    function = aws.echo_function("us-east-1", SLOW_TO_START)
    client = aws.client("lambda")

    def environment(_):
        return client.invoke(FunctionName=function)["Payload"].read()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(environment, range(8)))) < 4


@observes(capacity.reserved_concurrency_leaves_a_minimum)
def see_concurrency_that_reserves_all(aws):
    # In a Region of its own: what others reserve counts, too.
    client = aws.client("lambda", "eu-north-1")
    ones = {"FunctionName": aws.echo_function("eu-north-1").rpartition(":")[2]}
    others = {"FunctionName": aws.echo_function("eu-north-1").rpartition(":")[2]}
    reserve = client.put_function_concurrency

    try:
        reserve(**ones, ReservedConcurrentExecutions=450)
        refused = code_of(reserve, **others, ReservedConcurrentExecutions=451)

        assert refused == "InvalidParameterValueException"
        assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(**others)
        reserve(**others, ReservedConcurrentExecutions=450)
        reserve(**ones, ReservedConcurrentExecutions=450)
    finally:
        for function in (ones, others):
            client.delete_function_concurrency(**function)


@observes(capacity.invocations_use_the_capacity_of_their_region)
def see_concurrency_of_a_region(aws):
    function = aws.echo_function("eu-west-3", Publish=True).rpartition(":")[2]
    aws.client("lambda", "eu-west-3").invoke(FunctionName=function, Payload=b'{"headers": {}}')

    found = aws.client("cloudwatch", "eu-west-3").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="ConcurrentExecutions", Statistics=["Maximum"],
        StartTime=time.time() - 7200, EndTime=time.time() + 60, Period=3600,
    )["Datapoints"]  # fmt: skip

    assert {point["Maximum"] for point in found} == {1}


@observes(capacity.account_settings_are_those_of_the_region)
def see_quota_of_lambda(aws):
    client = aws.client("lambda", "eu-west-2")
    function = aws.echo_function("eu-west-2").rpartition(":")[2]
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=25)

    found = client.get_account_settings()["AccountLimit"]

    assert (found["ConcurrentExecutions"], found["UnreservedConcurrentExecutions"]) == (1000, 975)


@observes(capacity.throttled_function_is_an_error_of_the_api)
def see_response_for_a_throttled_function(aws):
    function = aws.echo_function("us-west-2")
    api = aws.rest_api("us-west-2", uri=proxy("us-west-2", function))
    aws.client("lambda", "us-west-2").put_function_concurrency(
        FunctionName=function.rpartition(":")[2], ReservedConcurrentExecutions=0
    )

    answer = aws.call_api(api, "/v1/thing")

    assert (answer.status_code, answer.json()["message"].strip()) == (500, "Internal server error")


@observes(capacity.api_throttles_have_an_account_behind_them)
def see_throttle_of_an_account(aws):
    found = [
        aws.client("apigateway", region).get_account()["throttleSettings"]
        for region in ("us-east-1", "eu-south-1")
    ]

    assert found == [
        {"rateLimit": 10_000.0, "burstLimit": 5_000},
        {"rateLimit": 2_500.0, "burstLimit": 1_250},
    ]


@observes(capacity.requests_of_an_api_are_counted)
def see_count_of_requests(aws):
    api = aws.rest_api("eu-central-1")
    name = f"counted-{uuid.uuid4().hex[:8]}"
    aws.client("apigateway", "eu-central-1").update_rest_api(
        restApiId=api, patchOperations=[{"op": "replace", "path": "/name", "value": name}]
    )
    for path in ("/v1/thing", "/v1/thing", "/v1/nothing"):
        aws.call_api(api, path)
    # One that fails: its function is throttled.
    function = aws.echo_function("eu-central-1")
    failing = aws.rest_api("eu-central-1", uri=proxy("eu-central-1", function))
    aws.client("lambda", "eu-central-1").put_function_concurrency(
        FunctionName=function.rpartition(":")[2], ReservedConcurrentExecutions=0
    )
    aws.client("apigateway", "eu-central-1").update_rest_api(
        restApiId=failing, patchOperations=[{"op": "replace", "path": "/name", "value": name}]
    )
    aws.call_api(failing, "/v1/thing")

    def counted(metric):
        points = aws.client("cloudwatch", "eu-central-1").get_metric_statistics(
            Namespace="AWS/ApiGateway", MetricName=metric, Statistics=["Sum"], Period=3600,
            Dimensions=[{"Name": "ApiName", "Value": name}, {"Name": "Stage", "Value": "v1"}],
            StartTime=time.time() - 7200, EndTime=time.time() + 60,
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points)

    assert (counted("Count"), counted("4XXError"), counted("5XXError")) == (4, 1, 1)


@observes(capacity.provisioned_concurrency_is_allocated_in_time)
def see_provisioned_concurrency(aws):
    # In a Region of its own: what others reserve counts, too.
    client = aws.client("lambda", "ap-south-1")
    name = aws.echo_function("ap-south-1", Publish=True).rpartition(":")[2]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    def provision(number, qualifier="live"):
        return client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=number
        )

    def point(version, **weights):
        client.update_alias(
            FunctionName=name, Name="live", FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )  # fmt: skip

    # An alias with a weight can have none, and one that has some can get no weight.
    aws.publish("ap-south-1", name, ANSWER.format("two"))
    point("1", **{"2": 0.1})
    assert code_of(provision, number=1) == "InvalidParameterValueException"
    point("1")
    assert provision(2)["Status"] == "IN_PROGRESS"
    assert code_of(point, version="1", **{"2": 0.1}) == "InvalidParameterValueException"
    # It is taken from the account, of which 100 stay, or from what is reserved.
    assert code_of(provision, number=901) == "InvalidParameterValueException"
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=3)
    assert code_of(provision, number=4) == "InvalidParameterValueException"
    reserve = {"FunctionName": name, "ReservedConcurrentExecutions": 1}
    assert code_of(client.put_function_concurrency, **reserve) == "InvalidParameterValueException"


@observes(functions.function_without_output_is_not_waited_for)
def see_time_of_a_silent_function(aws):
    function = aws.echo_function("us-east-1")
    event = json.dumps({"headers": {}})
    client = aws.client("lambda")
    client.invoke(FunctionName=function, Payload=event)

    def seconds():
        began = time.perf_counter()
        client.invoke(FunctionName=function, Payload=event)
        return time.perf_counter() - began

    # Without the patch every invocation waits for 50 ms; a busy machine delays some with it, too.
    assert any(seconds() < 0.05 for _ in range(20))


@observes(query_logging.queries_of_a_zone_are_logged_in_one_place)
def see_query_logging(aws):
    client, name = aws.client("route53"), f"{uuid.uuid4().hex}.test"
    zone = client.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
    zone = zone.rpartition("/")[2]

    def created(region="us-east-1"):
        """Id of a configuration, or the code of the error."""
        group = f"arn:aws:logs:{region}:000000000000:log-group:/aws/route53/{name}"
        try:
            answer = client.create_query_logging_config(
                HostedZoneId=zone, CloudWatchLogsLogGroupArn=group
            )
        except ClientError as error:
            return error.response["Error"]["Code"]
        return answer["QueryLoggingConfig"]["Id"]

    def make_group(region):
        aws.client("logs", region).create_log_group(logGroupName=f"/aws/route53/{name}")

    assert created() == "NoSuchCloudWatchLogsLogGroup"
    make_group("us-west-2")
    assert created("us-west-2") == "NoSuchCloudWatchLogsLogGroup"
    make_group("us-east-1")
    assert created() == "InsufficientCloudWatchLogsResourcePolicy"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "route53.amazonaws.com"},
        "Action": "logs:PutLogEvents",
        "Resource": f"arn:aws:logs:us-east-1:000000000000:log-group:/aws/route53/{name}:*",
    }
    aws.client("logs", "us-east-1").put_resource_policy(
        policyName=name, policyDocument=json.dumps({"Statement": [statement]})
    )
    id = created()
    assert created() == "QueryLoggingConfigAlreadyExists"
    kept = client.get_query_logging_config(Id=id)["QueryLoggingConfig"]
    assert kept["HostedZoneId"] == zone
    assert client.list_query_logging_configs(HostedZoneId=zone)["QueryLoggingConfigs"] == [kept]
    other = client.list_query_logging_configs(HostedZoneId="ZOTHER")["QueryLoggingConfigs"]
    assert other == []
    client.delete_query_logging_config(Id=id)
    assert client.list_query_logging_configs(HostedZoneId=zone)["QueryLoggingConfigs"] == []


@observes(route53.terraform_does_not_wait_for_dns_changes)
def see_dns_change_for_terraform(aws):
    terraform = aws.client("route53", user_agent=TERRAFORM)
    zone = terraform.create_hosted_zone(Name="example.test", CallerReference=uuid.uuid4().hex)

    assert "ChangeInfo" not in zone
    assert "ChangeInfo" not in change_record(terraform, zone["HostedZone"]["Id"])


def test_others_than_terraform_can_wait_for_dns_changes(patched):
    client = patched.client("route53")
    zone = client.create_hosted_zone(Name="example.test", CallerReference=uuid.uuid4().hex)

    change = change_record(client, zone["HostedZone"]["Id"])["ChangeInfo"]

    assert change["Status"] == "PENDING"
    assert client.get_change(Id=change["Id"])["ChangeInfo"]["Id"] == change["Id"]


def change_record(client, zone_id):
    record = {
        "Name": "www.example.test",
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }
    return client.change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )
