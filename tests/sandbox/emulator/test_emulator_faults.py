"""Faults of services: who meets them, what they look like, and that nothing else changes."""

import uuid

import pytest
import requests
from botocore.exceptions import ClientError

from ops.fault_injection import Fault, InjectedFault
from sandbox.emulator import FAULTS_PATH

pytestmark = pytest.mark.e2e

FUNCTION = "exec-env/AWS_Lambda_python3.13"


class Faults:
    """What the Region endpoints send to the local AWS."""

    def __init__(self, url):
        self.url = url + FAULTS_PATH

    def inject(self, region, error):
        return self.begin(Fault(region, "table", error=error))

    def begin(self, fault):
        injected = InjectedFault(uuid.uuid4().hex[:8], "now", fault)
        assert requests.post(self.url, json=injected.to_json(), timeout=5).status_code == 201
        return injected

    def clear(self, id=""):
        return requests.delete(f"{self.url}/{id}", timeout=5).status_code


@pytest.fixture
def faults(patched):
    control = Faults(patched.url)
    yield control
    control.clear()


@pytest.fixture
def table(patched):
    """A global table in two Regions."""
    name = f"table-{uuid.uuid4().hex[:8]}"
    client = patched.client("dynamodb")
    client.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    client.update_table(
        TableName=name, ReplicaUpdates=[{"Create": {"RegionName": "us-west-2"}}]
    )  # fmt: skip
    return name


def put(patched, table, region, pk, user_agent=""):
    client = patched.client("dynamodb", region, user_agent=user_agent)
    client.put_item(TableName=table, Item={"pk": {"S": pk}})


def found(patched, table, region, pk):
    client = patched.client("dynamodb", region)
    return "Item" in client.get_item(TableName=table, Key={"pk": {"S": pk}})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("InternalServerError", 500),
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("AccessDeniedException", 400),
    ],
)
def test_a_function_meets_the_error_as_aws_sends_it(patched, faults, table, error, status):
    faults.inject("us-east-1", error)

    with pytest.raises(ClientError) as caught:
        put(patched, table, "us-east-1", "a", FUNCTION)

    assert caught.value.response["Error"]["Code"] == error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert not found(patched, table, "us-east-1", "a")


def test_operators_other_regions_and_other_services_meet_nothing(patched, faults, table):
    faults.inject("us-east-1", "InternalServerError")

    put(patched, table, "us-east-1", "operator")
    put(patched, table, "us-west-2", "function", FUNCTION)
    patched.client("lambda", "us-east-1", user_agent=FUNCTION).list_functions()

    assert found(patched, table, "us-east-1", "function")


def test_a_real_function_is_recognized_by_its_user_agent(patched):
    """The name that AWS gives every function is in what its SDK sends."""
    import io
    import json
    import zipfile

    content = io.BytesIO()
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    client = boto3.client('dynamodb')\n"
        "    seen = []\n"
        "    client.meta.events.register('before-send', lambda request, **_: "
        "seen.append(request.headers['User-Agent']))\n"
        "    client.list_tables()\n"
        "    agent = seen[0]\n"
        "    return agent.decode() if isinstance(agent, bytes) else agent\n"
    )
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("agent.py", code)
    functions = patched.client("lambda")
    name = f"agent-{uuid.uuid4().hex[:8]}"
    functions.create_function(
        FunctionName=name, Runtime="python3.13", Handler="agent.handler",
        Role="arn:aws:iam::000000000000:role/agent", Code={"ZipFile": content.getvalue()},
        Timeout=20,
    )  # fmt: skip

    answer = functions.invoke(FunctionName=name)

    assert FUNCTION in json.loads(answer["Payload"].read())


def test_a_timeout_never_answers(patched, faults, table):
    faults.inject("us-east-1", "timeout")
    scope = "Credential=test/20260101/us-east-1/dynamodb/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "User-Agent": FUNCTION}

    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(patched.url, headers=headers, timeout=0.5)


def test_writes_are_replicated_after_the_fault_is_cleared(patched, faults, table):
    fault = faults.inject("us-east-1", "replication")

    put(patched, table, "us-east-1", "held")
    put(patched, table, "us-west-2", "other-way")

    assert found(patched, table, "us-east-1", "held")
    assert not found(patched, table, "us-west-2", "held")
    assert found(patched, table, "us-east-1", "other-way")

    faults.clear(fault.id)

    assert found(patched, table, "us-west-2", "held")


def test_a_fault_is_cleared_once(faults):
    fault = faults.inject("us-east-1", "replication")

    assert [faults.clear(fault.id), faults.clear(fault.id)] == [200, 404]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [("text/plain", "{}", 415), ("application/json", "{", 400), ("application/json", "{}", 400)],
)
def test_an_invalid_fault_or_content_type_is_refused(faults, content_type, body, status):
    headers = {"Content-Type": content_type}

    assert requests.post(faults.url, body, headers=headers, timeout=5).status_code == status


def call(patched, region, service, operation, user_agent="", **arguments):
    client = patched.client(service, region, user_agent=user_agent)
    return getattr(client, operation)(**arguments)


OPERATORS = [
    ("sts", "get_caller_identity"), ("iam", "list_roles"), ("route53", "list_hosted_zones"),
    ("lambda", "list_functions"), ("apigateway", "get_rest_apis"), ("cloudwatch", "list_metrics"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation"), OPERATORS)
def test_control_planes_of_the_region_and_of_us_east_1_do_not_work(
    patched, faults, table, service, operation
):
    fault = faults.begin(Fault("us-west-2", "control_plane"))

    for region in ("us-west-2", "us-east-1"):
        with pytest.raises(ClientError) as caught:
            call(patched, region, service, operation)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

    # Those of others, and data planes, do.
    if service not in ("iam", "route53"):
        call(patched, "eu-west-1", service, operation)
    put(patched, table, "us-west-2", "operator")
    put(patched, table, "us-west-2", "function", FUNCTION)
    faults.clear(fault.id)
    call(patched, "us-west-2", service, operation)


def test_without_sts_all_else_works(patched, faults):
    faults.begin(Fault("us-west-2", "sts"))

    with pytest.raises(ClientError):
        call(patched, "us-east-1", "sts", "get_caller_identity")
    call(patched, "eu-west-1", "sts", "get_caller_identity")
    for service, operation in OPERATORS[1:]:
        call(patched, "us-west-2", service, operation)
