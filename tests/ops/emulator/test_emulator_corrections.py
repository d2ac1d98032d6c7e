"""Each correction, seen over HTTP: AWS's behaviour holds with it, and does not without it.

An observation is a function that asserts what AWS does. It must hold on the corrected server, and
must fail on the uncorrected one: once it no longer fails there, MiniStack has been put right.
"""

import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from ops.emulator import corrections
from ops.emulator.corrections import (
    addressing,
    api_gateway,
    cloudwatch,
    dynamodb,
    functions,
    kms,
    route53,
    speed,
)

pytestmark = pytest.mark.e2e

Observation = Callable[[Any], None]
OBSERVATIONS: dict[Callable[[], None], Observation] = {}

CHECKER_REGIONS = ["eu-west-1", "us-east-1", "us-west-2"]
TERRAFORM = "terraform-provider-aws/5.100.0"


def observes(correction: Callable[[], None]) -> Callable[[Observation], Observation]:
    def register(observation: Observation) -> Observation:
        OBSERVATIONS[correction] = observation
        return observation

    return register


@pytest.mark.parametrize("correction", corrections.CORRECTIONS, ids=lambda each: each.__name__)
def test_corrected_server_does_as_aws_does(corrected, correction):
    OBSERVATIONS[correction](corrected)


@pytest.mark.parametrize("correction", corrections.CORRECTIONS, ids=lambda each: each.__name__)
def test_ministack_still_needs_the_correction(uncorrected, correction):
    try:
        OBSERVATIONS[correction](uncorrected)
    except AssertionError:
        return
    pytest.fail(f"MiniStack is right without it: drop the correction {correction.__name__}")


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

    statuses = [aws.call(domain, path).status_code for path in ("/health", "/other/thing")]

    assert statuses == [403, 403]


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


def test_custom_domain_without_the_header_answers_where_it_was_made_first(corrected):
    domain = domain_in_two_regions(corrected)

    assert corrected.call(domain, "/v1/thing").json() == {"region": "us-east-1"}


def test_custom_domain_is_refused_in_a_region_without_it(corrected):
    domain = domain_in_two_regions(corrected)

    answer = corrected.call(domain, "/v1/thing", headers={"X-Amz-Local-Region": "eu-west-1"})

    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_function_does_not_see_the_region_header(corrected):
    function = corrected.echo_function("us-west-2")
    uri = f"arn:aws:apigateway:us-west-2:lambda:path/2015-03-31/functions/{function}/invocations"
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    corrected.custom_domain("us-west-2", domain, corrected.rest_api("us-west-2", uri=uri))

    seen = corrected.call(
        domain, "/v1/thing", headers={"X-Amz-Local-Region": "us-west-2", "X-Mine": "1"}
    ).json()

    assert seen["region"] == "us-west-2"
    assert {name.lower() for name in seen["headers"]} & {"x-amz-local-region", "x-mine"} == {
        "x-mine"
    }


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_api_is_not_served_under_the_host_name_of_another_region(corrected, region):
    api = corrected.rest_api("us-west-2")

    answer = corrected.call(f"{api}.execute-api.{region}.amazonaws.com", "/v1/thing")

    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_regional_host_name_of_a_custom_domain_is_refused(corrected):
    domain = f"api-{uuid.uuid4().hex[:8]}.example.test"
    api = corrected.rest_api("us-east-1")
    regional = corrected.custom_domain("us-east-1", domain, api)["regionalDomainName"]

    assert corrected.call(regional, "/v1/thing").status_code == 403


# --- API Gateway


@observes(api_gateway.api_key_is_looked_up_in_its_region)
def see_one_key_in_two_regions(aws):
    value = uuid.uuid4().hex
    hosts = [api_with_key(aws, region, value) for region in ("us-east-1", "us-west-2")]

    statuses = [
        aws.call(host, "/v1/thing", headers={"X-Api-Key": value}).status_code for host in hosts
    ]

    assert statuses == [200, 200]


def api_with_key(aws, region, value):
    gateway = aws.client("apigateway", region)
    api = aws.rest_api(region, apiKeyRequired=True)
    key = gateway.create_api_key(name="acme", value=value, enabled=True)
    plan = gateway.create_usage_plan(name="basic", apiStages=[{"apiId": api, "stage": "v1"}])
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    return f"{api}.execute-api.localhost"


def test_another_key_is_refused(corrected):
    host = api_with_key(corrected, "us-east-1", uuid.uuid4().hex)

    refused = corrected.call(host, "/v1/thing", headers={"X-Api-Key": uuid.uuid4().hex})

    assert refused.status_code == 403


@observes(api_gateway.unset_structures_are_left_out)
def see_unset_structures(aws):
    gateway = aws.client("apigateway")
    api = aws.rest_api("us-east-1")
    domain = aws.custom_domain("us-east-1", f"{uuid.uuid4().hex}.example.test", api)
    plan = gateway.create_usage_plan(name="bare")

    answers = [domain, plan, gateway.get_stage(restApiId=api, stageName="v1")]

    unset = {"accessLogSettings", "mutualTlsAuthentication", "quota", "throttle"}
    assert [unset & answer.keys() for answer in answers] == [set(), set(), set()]


def test_set_structures_are_read_back(corrected):
    gateway = corrected.client("apigateway")
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
        aws.call(f"{api}.execute-api.localhost", "/v1/thing", headers={"Authorization": value})
        for value in ("Bearer x", "AWS4-HMAC-SHA256 x")
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert {answer.headers.get("x-amzn-ErrorType") for answer in answers} == {
        "IncompleteSignatureException"
    }


def test_iam_method_refuses_an_unsigned_request(corrected):
    api = corrected.rest_api("us-east-1", authorizationType="AWS_IAM")

    answer = corrected.call(f"{api}.execute-api.us-east-1.amazonaws.com", "/v1/thing")

    assert answer.status_code == 403
    assert answer.json() == {"message": "Missing Authentication Token"}


def test_iam_method_accepts_a_signed_request(corrected):
    api = corrected.rest_api("us-east-1", authorizationType="AWS_IAM")
    host = f"{api}.execute-api.us-east-1.amazonaws.com"

    answer = corrected.call(host, "/v1/thing", headers=signed_headers(host, "/v1/thing"))

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
    host = api_with_model(aws)

    answer = aws.call(host, "/v1/thing", "POST", json={"wind": 1})

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
    aws.method(
        "us-east-1",
        {"restApiId": api, "resourceId": thing, "httpMethod": "POST"},
        requestValidatorId=validator["id"],
        requestModels={"application/json": "Observation"},
    )
    refuse_with_problem_documents(gateway, api)
    aws.deploy("us-east-1", api)
    return f"{api}.execute-api.localhost"


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


def test_refusal_without_validation_leaves_the_variable_empty(corrected):
    answer = corrected.call(api_with_model(corrected), "/v1/nothing")

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Served-By-Region"] == "us-east-1"
    assert answer.json() == {
        "title": "MISSING_AUTHENTICATION_TOKEN",
        "detail": "Missing Authentication Token",
        "requestId": answer.headers["x-amzn-requestid"],
        "faults": "",
    }


@observes(functions.invocations_are_counted)
def see_count_of_invocations(aws):
    function = aws.echo_function("us-west-2")
    uri = f"arn:aws:apigateway:us-west-2:lambda:path/2015-03-31/functions/{function}/invocations"
    api = aws.rest_api("us-west-2", uri=uri)

    host, name = f"{api}.execute-api.localhost", function.split(":")[-1]

    for _ in range(3):
        assert aws.call(host, "/v1/thing").status_code == 200
    aws.client("lambda", "us-west-2").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )
    assert aws.call(host, "/v1/thing").status_code == 429

    def counted(metric):
        now = datetime.now(UTC)
        points = aws.client("cloudwatch", "us-west-2").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Statistics=["Sum"], Period=3600,
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
        )["Datapoints"]  # fmt: skip
        # An hour may end between two calls.
        return sum(point["Sum"] for point in points) if points else None

    found = {metric: counted(metric) for metric in ("Invocations", "Errors", "Throttles")}
    assert found == {"Invocations": 3, "Errors": 0, "Throttles": 1}


# --- DynamoDB, KMS, Route 53


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


def test_an_alarm_on_anything_but_a_sum_is_refused(corrected):
    client = corrected.client("cloudwatch")
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


def test_alias_nobody_made_is_still_unknown(corrected):
    client = corrected.client("kms")

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


def health_check(aws, **config):
    client = aws.client("route53")
    if config.get("Type") == "CALCULATED":
        config["HealthThreshold"] = 1
    else:
        config |= {"Type": "HTTPS", "FullyQualifiedDomainName": "api.example.test"}
    made = client.create_health_check(CallerReference=uuid.uuid4().hex, HealthCheckConfig=config)
    return client.get_health_check(HealthCheckId=made["HealthCheck"]["Id"])["HealthCheck"]


# --- speed


@observes(speed.function_without_output_is_not_waited_for)
def see_time_of_a_silent_function(aws):
    function = aws.echo_function("us-east-1")
    event = json.dumps({"headers": {}})
    client = aws.client("lambda")
    client.invoke(FunctionName=function, Payload=event)

    times = []
    for _ in range(8):
        began = time.perf_counter()
        client.invoke(FunctionName=function, Payload=event)
        times.append(time.perf_counter() - began)

    assert min(times) < 0.05


@observes(speed.terraform_does_not_wait_for_dns_changes)
def see_dns_change_for_terraform(aws):
    terraform = aws.client("route53", user_agent=TERRAFORM)
    zone = terraform.create_hosted_zone(Name="example.test", CallerReference=uuid.uuid4().hex)

    assert "ChangeInfo" not in zone
    assert "ChangeInfo" not in change_record(terraform, zone["HostedZone"]["Id"])


def test_others_than_terraform_can_wait_for_dns_changes(corrected):
    client = corrected.client("route53")
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
