"""Each function, made to try what it must not, is refused; publishers may call what is theirs.

A function keeps its role, its Region and its environment, and runs other code for a while: it
calls AWS as its event says. The local AWS enforces IAM; what it does not enforce (KMS on behalf of
DynamoDB, a function's own log, resource policies) is not proven here.
"""

import io
import json
import textwrap
import zipfile
from contextlib import contextmanager

import pytest
from botocore.credentials import Credentials
from local_api import REGIONS, TRUST
from table import TABLE

import weather_api.operations
from constructs_lib import Authorization
from constructs_lib.dynamodb.global_table import READ_ACTIONS, WRITE_ACTIONS

pytestmark = pytest.mark.e2e

PROBE = textwrap.dedent("""
    import functools
    import os
    import boto3
    from botocore.exceptions import ClientError

    @functools.cache
    def client(service, region):
        return boto3.client(service, region_name=region)

    def attempt(service, region, operation, arguments):
        try:
            getattr(client(service, region or os.environ["AWS_REGION"]), operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "done"

    def handler(event, context):
        return [attempt(*each) for each in event["attempts"]]
""")
REFUSED = {"AccessDeniedException", "AccessDenied"}
KEY = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}


def on_table(table):
    """`{action: (operation, arguments)}` of every action on a table that can be granted."""
    named = {"TableName": table}
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "dynamodb:GetItem": ("get_item", named | {"Key": KEY}),
        "dynamodb:Query": (
            "query",
            named
            | {
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": "probe"}},
            },
        ),
        "dynamodb:Scan": ("scan", named | {"Limit": 1}),
        "dynamodb:BatchGetItem": ("batch_get_item", {"RequestItems": {table: {"Keys": [KEY]}}}),
        "dynamodb:ConditionCheckItem": (
            "transact_write_items",
            {"TransactItems": [{"ConditionCheck": named | {"Key": KEY} | condition}]},
        ),
        "dynamodb:PutItem": ("put_item", named | {"Item": KEY}),
        "dynamodb:UpdateItem": ("update_item", named | {"Key": KEY}),
        "dynamodb:DeleteItem": ("delete_item", named | {"Key": KEY}),
        "dynamodb:BatchWriteItem": (
            "batch_write_item",
            {"RequestItems": {table: [{"DeleteRequest": {"Key": KEY}}]}},
        ),
    }


@contextmanager
def probing(api, region, operation):
    """`probe(attempts)` in the place of an operation's function."""
    client = api.client("lambda", region)
    name = f"weather-local-{operation.name}"
    (original,) = api.workspace.synthesized.glob("cdktf.out/stacks/local/assets/*/*/*.zip")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("probe.py", PROBE)
    client.update_function_code(FunctionName=name, ZipFile=archive.getvalue())
    client.update_function_configuration(FunctionName=name, Handler="probe.handler", Timeout=60)

    def probe(attempts):
        payload = json.dumps({"attempts": attempts})
        # A checker that calls while the code changes may take the new worker down with the old.
        for _ in range(5):
            answer = client.invoke(FunctionName=name, Payload=payload)
            results = json.loads(answer["Payload"].read())
            if isinstance(results, list):
                return results
        raise AssertionError(results)

    try:
        yield probe
    finally:
        client.update_function_configuration(
            FunctionName=name, Handler=operation.handler, Timeout=operation.timeout_seconds
        )
        client.update_function_code(FunctionName=name, ZipFile=original.read_bytes())


@pytest.fixture(scope="module")
def other_table(hardened):
    """A table in both Regions that is none of the API's business."""
    for region in REGIONS:
        hardened.client("dynamodb", region).create_table(TableName="payroll", **TABLE)
    yield "payroll"
    for region in REGIONS:
        hardened.client("dynamodb", region).delete_table(TableName="payroll")


@pytest.mark.parametrize(
    ("region", "operation"),
    # Each operation in one Region, in turn; make soak takes the other ones.
    [
        pytest.param(
            region, operation, id=f"{region}-{operation.name}",
            marks=pytest.mark.soak if (first + second) % 2 else (),
        )
        for first, region in enumerate(REGIONS)
        for second, operation in enumerate(weather_api.operations.OPERATIONS)
    ],
)  # fmt: skip
def test_a_function_does_what_its_operation_needs_and_is_refused_everything_else(
    hardened, region, operation, other_table
):
    table = hardened.outputs.table_name
    other_region = next(each for each in REGIONS if each != region)
    own = on_table(table)
    assert set(own) == {*READ_ACTIONS, *WRITE_ACTIONS}
    elsewhere = [
        *(["dynamodb", other_region, *call] for call in own.values()),
        *(["dynamodb", region, *call] for call in on_table(other_table).values()),
        ["dynamodb", region, "describe_table", {"TableName": table}],
        ["dynamodb", region, "delete_backup", {"BackupArn": "a" * 40}],
        ["dynamodb", region, "list_tables", {}],
        ["logs", region, "create_log_stream",
         {"logGroupName": "/aws/apigateway/weather-local", "logStreamName": "probe"}],
        ["logs", region, "get_log_events",
         {"logGroupName": f"/aws/lambda/weather-local-{operation.name}", "logStreamName": "probe"}],
        ["lambda", region, "invoke", {"FunctionName": "weather-local-put_location"}],
        ["lambda", region, "list_functions", {}],
        ["apigateway", region, "get_api_keys", {"includeValues": True}],
        ["kms", region, "encrypt", {"KeyId": "alias/weather-local", "Plaintext": "probe"}],
        ["iam", region, "list_roles", {}],
        ["s3", region, "list_buckets", {}],
        ["secretsmanager", region, "list_secrets", {}],
    ]  # fmt: skip

    with probing(hardened, region, operation) as probe:
        allowed = dict(
            zip(own, probe([["dynamodb", None, *call] for call in own.values()]), strict=True)
        )
        refused = probe(elsewhere)

    assert {action for action, result in allowed.items() if result == "done"} == set(
        operation.access
    )
    assert {r for a, r in allowed.items() if a not in operation.access} <= REFUSED
    assert set(refused) <= REFUSED, [
        (attempt, result)
        for attempt, result in zip(elsewhere, refused, strict=True)
        if result not in REFUSED
    ]


@pytest.fixture(scope="module")
def principals(hardened):
    """Credentials of a role with the publisher's policy, and of one without."""
    iam, sts = (hardened.client(service, REGIONS[0]) for service in ("iam", "sts"))
    found = {}
    for name in ("publisher", "passer-by"):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
            "Arn"
        ]
        if name == "publisher":
            policy = hardened.outputs.publisher_policy_arn
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        found[name] = Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )
    yield found
    iam.detach_role_policy(RoleName="publisher", PolicyArn=policy)
    for name in found:
        iam.delete_role(RoleName=name)


CALLS = {
    "put_location": (
        "/locations/oslo", {"name": "Oslo", "latitude_degrees": 59.9, "longitude_degrees": 10.8},
    ),
    "put_observation": (
        "/weather/amsterdam/observations/2026-06-01T10:00:00Z", {"temperature_celsius": 3},
    ),
    "delete_observation": ("/weather/amsterdam/observations/2026-06-01T10:00:00Z", None),
}  # fmt: skip
SIGNED = [o for o in weather_api.operations.OPERATIONS if o.authorization is Authorization.IAM]


@pytest.mark.parametrize("operation", SIGNED, ids=lambda o: o.name)
@pytest.mark.parametrize("region", REGIONS)
def test_a_role_with_the_publishers_policy_writes_and_one_without_does_not(
    hardened, region, operation, principals
):
    path, body = CALLS[operation.name]

    def call(credentials, *, secret=None):
        if secret:
            credentials = Credentials(credentials.access_key, secret, credentials.token)
        return hardened.by_name(
            operation.method, region, path, body=body, credentials=credentials
        ).status

    assert call(principals["publisher"]) in (200, 201, 204)
    assert call(principals["passer-by"]) == 403
    assert call(principals["publisher"], secret="wrong" * 8) == 403


def test_the_publishers_policy_allows_nothing_but_calling_the_api(hardened, principals):
    import boto3
    from botocore.exceptions import ClientError

    given = principals["publisher"]
    for service, operation, arguments in (
        ("dynamodb", "put_item", {"TableName": hardened.outputs.table_name, "Item": KEY}),
        ("apigateway", "get_api_keys", {}),
        ("iam", "list_roles", {}),
    ):
        client = boto3.client(
            service, endpoint_url=hardened.local.sandbox.endpoint_url, region_name=REGIONS[0],
            aws_access_key_id=given.access_key, aws_secret_access_key=given.secret_key,
            aws_session_token=given.token,
        )  # fmt: skip
        with pytest.raises(ClientError) as raised:
            getattr(client, operation)(**arguments)
        assert raised.value.response["Error"]["Code"] in REFUSED
