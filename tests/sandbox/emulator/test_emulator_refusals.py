"""What MiniStack refuses without a patch, as AWS does; tests of deployments rely on it."""

import uuid

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.e2e

ZIP = b"PK\x05\x06" + bytes(18)


@pytest.fixture
def name():
    return f"a-{uuid.uuid4().hex[:8]}"


def refusal(call, **arguments):
    """The code of the error, and its text."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_function_that_exists_is_not_created_again(patched, name):
    client = patched.client("lambda")
    function = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "a.handler",
        "Role": "arn:aws:iam::000000000000:role/a",
        "Code": {"ZipFile": ZIP},
    }
    client.create_function(**function, Description="first")

    code, message = refusal(client.create_function, **function, Description="second")

    assert (code, "Function already exist" in message) == ("ResourceConflictException", True)
    (described,) = (
        each["Description"]
        for each in client.list_functions()["Functions"]
        if each["FunctionName"] == name
    )
    assert described == "first"


def test_a_log_group_that_exists_is_not_created_again(patched, name):
    client = patched.client("logs")
    client.create_log_group(logGroupName=name)

    code, _ = refusal(client.create_log_group, logGroupName=name)

    assert code == "ResourceAlreadyExistsException"


def test_a_record_that_exists_is_not_created_again_nor_anything_else_of_the_batch(patched, name):
    client = patched.client("route53")
    zone = client.create_hosted_zone(Name=f"{name}.test", CallerReference=name)["HostedZone"]["Id"]

    def change(action, *labels):
        return {
            "HostedZoneId": zone,
            "ChangeBatch": {
                "Changes": [
                    {
                        "Action": action,
                        "ResourceRecordSet": {
                            "Name": f"{label}.{name}.test",
                            "Type": "TXT",
                            "TTL": 60,
                            "ResourceRecords": [{"Value": '"a"'}],
                        },
                    }
                    for label in labels
                ]
            },
        }

    client.change_resource_record_sets(**change("CREATE", "first"))

    code, message = refusal(
        client.change_resource_record_sets, **change("CREATE", "second", "first")
    )

    assert (code, "already exists" in message) == ("InvalidChangeBatch", True)
    records = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [each["Name"] for each in records if each["Type"] == "TXT"] == [f"first.{name}.test."]


def test_tag_keys_of_iam_that_differ_in_case_are_duplicates(patched, name):
    client = patched.client("iam")
    tags = [{"Key": key, "Value": "a"} for key in ("environment", "Environment")]

    code, message = refusal(
        client.create_role, RoleName=name, AssumeRolePolicyDocument="{}", Tags=tags
    )

    assert (code, "Duplicate tag keys" in message) == ("InvalidInput", True)
    assert name not in {each["RoleName"] for each in client.list_roles()["Roles"]}


def test_a_protected_table_is_not_deleted(patched, name):
    client = patched.client("dynamodb")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )

    code, message = refusal(client.delete_table, TableName=name)

    assert (code, "protected" in message) == ("ValidationException", True)
    assert client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE"
