"""Faults of services: who meets them, what they look like, and that nothing else changes."""

import time
import uuid

import pytest
import requests
from botocore.exceptions import ClientError

from ops.emulator.control import ServiceFaults
from ops.emulator.faults import FaultError, ServiceFault
from ops.errors import OpsError

pytestmark = pytest.mark.e2e

FUNCTION = "exec-env/AWS_Lambda_python3.13"


@pytest.fixture
def faults(corrected):
    control = ServiceFaults(corrected.url)
    yield control
    control.mend_all()


@pytest.fixture
def table(corrected):
    """A global table in two Regions."""
    name = f"table-{uuid.uuid4().hex[:8]}"
    client = corrected.client("dynamodb")
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


def put(corrected, table, region, pk, user_agent=""):
    client = corrected.client("dynamodb", region, user_agent=user_agent)
    client.put_item(TableName=table, Item={"pk": {"S": pk}})


def found(corrected, table, region, pk):
    client = corrected.client("dynamodb", region)
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
def test_a_function_meets_the_error_as_aws_sends_it(corrected, faults, table, error, status):
    faults.inject("dynamodb", "us-east-1", error)

    with pytest.raises(ClientError) as caught:
        put(corrected, table, "us-east-1", "a", FUNCTION)

    assert caught.value.response["Error"]["Code"] == error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert not found(corrected, table, "us-east-1", "a")


def test_operators_other_regions_and_other_services_meet_nothing(corrected, faults, table):
    faults.inject("dynamodb", "us-east-1", "InternalServerError")

    put(corrected, table, "us-east-1", "operator")
    put(corrected, table, "us-west-2", "function", FUNCTION)
    corrected.client("lambda", "us-east-1", user_agent=FUNCTION).list_functions()

    assert found(corrected, table, "us-east-1", "function")


def test_a_real_function_is_told_by_its_user_agent(corrected):
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
    functions = corrected.client("lambda")
    name = f"agent-{uuid.uuid4().hex[:8]}"
    functions.create_function(
        FunctionName=name, Runtime="python3.13", Handler="agent.handler",
        Role="arn:aws:iam::000000000000:role/agent", Code={"ZipFile": content.getvalue()},
        Timeout=20,
    )  # fmt: skip

    answer = functions.invoke(FunctionName=name)

    assert FUNCTION in json.loads(answer["Payload"].read())


def test_a_timeout_never_answers(corrected, faults, table):
    faults.inject("dynamodb", "us-east-1", "timeout")
    scope = "Credential=test/20260101/us-east-1/dynamodb/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "User-Agent": FUNCTION}

    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(corrected.url, headers=headers, timeout=0.5)


def test_broken_replication_holds_writes_back_until_it_is_mended(corrected, faults, table):
    fault = faults.inject("dynamodb", "us-east-1", "replication")

    put(corrected, table, "us-east-1", "held")
    put(corrected, table, "us-west-2", "other-way")

    assert found(corrected, table, "us-east-1", "held")
    assert not found(corrected, table, "us-west-2", "held")
    assert found(corrected, table, "us-east-1", "other-way")

    faults.mend(fault.id)

    assert found(corrected, table, "us-west-2", "held")


def test_what_is_injected_is_listed_and_mended_once(corrected, faults):
    first = faults.inject("dynamodb", "us-east-1", "timeout")
    second = faults.inject("dynamodb", "us-west-2", "replication")

    assert faults.faults() == (first, second)
    faults.mend(first.id)
    assert faults.mend_all() == (second,)
    assert faults.faults() == ()
    with pytest.raises(OpsError, match="no DELETE"):
        faults.mend(first.id)


def test_a_web_page_cannot_inject(corrected, faults):
    answer = requests.post(
        f"{corrected.url}/_local/faults",
        data='{"service": "dynamodb", "region": "us-east-1", "error": "timeout"}',
        headers={"Content-Type": "text/plain"}, timeout=5,
    )  # fmt: skip

    assert answer.status_code == 415
    assert faults.faults() == ()


def test_no_local_aws_is_said_so():
    began = time.monotonic()
    with pytest.raises(OpsError, match="tells nothing of its faults"):
        ServiceFaults("http://127.0.0.1:1").faults()
    assert time.monotonic() - began < 2


GOOD = {"service": "dynamodb", "region": "us-east-1", "error": "timeout"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"service": "s3"}, "service"),
        ({"region": "moon"}, "region"),
        ({"region": 1}, "region"),
        ({"error": "x"}, "error"),
        ({"more": 1}, "expected an object"),
    ],
)
def test_a_fault_that_cannot_be_injected_names_what_is_wrong(change, named):
    with pytest.raises(FaultError, match=named):
        ServiceFault.from_json({**GOOD, **change})
