"""AWS Fault Injection Service in the local AWS: an experiment does what it would on AWS."""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from sandbox.fis.experiments import ACTIVE

pytestmark = pytest.mark.program

EAST, WEST, ACCOUNT = "us-east-1", "us-west-2", "000000000000"
SPEED = 100
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "fis.amazonaws.com"},
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:fis:{EAST}:{ACCOUNT}:experiment/*"},
            },
        }
    ],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy",
                "dynamodb:GetResourcePolicy", "dynamodb:DescribeTable",
            ],
            "Resource": f"arn:aws:dynamodb:{EAST}:{ACCOUNT}:table/*",
        }
    ],
}  # fmt: skip


@dataclass
class Environment:
    """A global table in two Regions, an alarm, a role and a template."""

    aws: Any
    table: str
    alarm: str
    role: str
    template: str = ""

    def client(self, service: str, region: str = EAST) -> Any:
        return self.aws.client(service, region)

    def put(self, region: str, key: str) -> None:
        self.client("dynamodb", region).put_item(TableName=self.table, Item={"pk": {"S": key}})

    def has(self, region: str, key: str) -> bool:
        got = self.client("dynamodb", region).get_item(TableName=self.table, Key={"pk": {"S": key}})
        return "Item" in got

    def create(self, **changed: Any) -> str:
        arn = f"arn:aws:cloudwatch:{EAST}:{ACCOUNT}:alarm:{self.alarm}"
        given = {
            "clientToken": uuid.uuid4().hex,
            "description": "Pause replication",
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/{self.role}",
            "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": arn}],
            "targets": {
                "replica": {
                    "resourceType": "aws:dynamodb:global-table",
                    "resourceArns": [f"arn:aws:dynamodb:{EAST}:{ACCOUNT}:table/{self.table}"],
                    "selectionMode": "ALL",
                }
            },
            "actions": {
                "pause": {
                    "actionId": "aws:dynamodb:global-table-pause-replication",
                    "parameters": {"duration": "PT10M"},
                    "targets": {"Tables": "replica"},
                }
            },
            "tags": {"environment": "test"},
        } | changed
        made = self.client("fis").create_experiment_template(**given)
        return str(made["experimentTemplate"]["id"])

    def start(self, template: str = "") -> str:
        started = self.client("fis").start_experiment(
            clientToken=uuid.uuid4().hex, experimentTemplateId=template or self.template
        )
        return str(started["experiment"]["id"])

    def state(self, id: str) -> dict[str, str]:
        return dict(self.client("fis").get_experiment(id=id)["experiment"]["state"])

    def reached(self, id: str, *statuses: str) -> dict[str, str]:
        """Wait until an experiment is in one of some states, or will never be."""
        while (state := self.state(id))["status"] not in statuses:
            assert state["status"] in ACTIVE, state
            time.sleep(0.05)
        return state

    def is_paused(self) -> bool:
        pending = requests.get(f"{self.aws.url}/_local/replication", timeout=20).json()
        return any(each["paused"] for each in pending["directions"])


@pytest.fixture(scope="module")
def fast(emulator):
    with emulator.running("--speed", str(SPEED)) as aws:
        yield aws


@pytest.fixture
def environment(fast):
    name = f"t-{uuid.uuid4().hex[:8]}"
    made = environment_in(fast, name)
    yield made
    for each in made.client("fis").list_experiments()["experiments"]:
        if each["state"]["status"] == "running":
            made.client("fis").stop_experiment(id=each["id"])
            made.reached(each["id"], "stopped")
    assert not made.is_paused()


def environment_in(aws, name):
    made = Environment(aws, table=name, alarm=name, role=name)
    made.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    made.client("dynamodb").update_table(
        TableName=name, ReplicaUpdates=[{"Create": {"RegionName": WEST}}]
    )
    made.client("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="Test", MetricName=name, Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    made.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    made.client("iam").put_role_policy(
        RoleName=name, PolicyName="pause", PolicyDocument=json.dumps(ALLOWED)
    )
    made.template = made.create()
    return made


def test_a_template_is_described_as_it_was_created_and_deleted(environment):
    fis = environment.client("fis")

    described = fis.get_experiment_template(id=environment.template)["experimentTemplate"]

    assert described["actions"]["pause"]["targets"] == {"Tables": "replica"}
    assert described["experimentOptions"] == {
        "accountTargeting": "single-account",
        "emptyTargetResolutionMode": "fail",
    }
    assert fis.list_tags_for_resource(resourceArn=described["arn"])["tags"] == described["tags"]
    fis.update_experiment_template(id=environment.template, description="Other")
    assert (
        fis.get_experiment_template(id=environment.template)["experimentTemplate"]["description"]
        == "Other"
    )
    fis.delete_experiment_template(id=environment.template)
    with pytest.raises(fis.exceptions.ResourceNotFoundException):
        fis.get_experiment_template(id=environment.template)


def test_what_aws_refuses_is_refused(environment):
    fis = environment.client("fis")

    with pytest.raises(fis.exceptions.ValidationException, match="not an alarm of this Region"):
        environment.create(stopConditions=[{"source": "aws:cloudwatch:alarm", "value": "a" * 20}])
    with pytest.raises(fis.exceptions.ResourceNotFoundException, match="EXTnone"):
        environment.start("EXTnone")


def test_what_does_not_fit_the_service_model_is_refused(environment):
    # As a client without botocore's own checks would send it.
    with pytest.raises(ClientError, match="regular expression"):
        environment.client("fis").start_experiment(
            clientToken="with a space", experimentTemplateId=environment.template
        )


def test_a_running_experiment_holds_back_what_is_written_until_it_is_stopped(environment):
    id = environment.start()
    environment.reached(id, "running")
    environment.put(EAST, "from-east")
    environment.put(WEST, "from-west")

    # THEN nothing passes in either direction
    assert not environment.has(WEST, "from-east")
    assert not environment.has(EAST, "from-west")

    # WHEN it is stopped from outside
    environment.client("fis").stop_experiment(id=id)
    state = environment.reached(id, "stopped")

    # THEN it leaves nothing
    assert state["reason"] == "Experiment stopped"
    assert environment.has(WEST, "from-east")
    assert environment.has(EAST, "from-west")


def test_an_experiment_ends_after_its_duration_at_the_speed_of_the_sandbox(environment):
    id = environment.start(
        environment.create(
            actions={
                "pause": {
                    "actionId": "aws:dynamodb:global-table-pause-replication",
                    "parameters": {"duration": "PT1M"},
                    "targets": {"Tables": "replica"},
                }
            }
        )
    )

    state = environment.reached(id, "completed")

    assert state["reason"] == "Experiment completed"
    assert not environment.is_paused()


def test_an_alarm_stops_an_experiment_and_is_named(environment):
    id = environment.start()
    environment.reached(id, "running")

    environment.client("cloudwatch").set_alarm_state(
        AlarmName=environment.alarm, StateValue="ALARM", StateReason="test"
    )
    state = environment.reached(id, "stopped")

    assert state["reason"].endswith(f":alarm:{environment.alarm}")
    assert not environment.is_paused()


def test_no_experiment_starts_while_its_alarm_fires(environment):
    environment.client("cloudwatch").set_alarm_state(
        AlarmName=environment.alarm, StateValue="ALARM", StateReason="test"
    )

    state = environment.reached(environment.start(), "stopped", "running")

    assert state["status"] == "stopped"


def test_an_experiment_without_a_role_that_trusts_the_service_fails(environment):
    trust = json.loads(json.dumps(TRUST).replace(f"fis:{EAST}", f"fis:{WEST}"))
    environment.client("iam").update_assume_role_policy(
        RoleName=environment.role, PolicyDocument=json.dumps(trust)
    )

    state = environment.reached(environment.start(), "failed", "running")

    assert state["status"] == "failed"
    assert "does not trust fis.amazonaws.com" in state["reason"]


def test_experiments_are_found_by_their_template_and_tags(environment):
    fis = environment.client("fis")
    started = fis.start_experiment(
        clientToken="run", experimentTemplateId=environment.template, tags={"drill": "run"}
    )["experiment"]
    other = environment.start(environment.create())

    listed = fis.list_experiments(experimentTemplateId=environment.template)["experiments"]

    assert [(each["id"], each["tags"]) for each in listed] == [(started["id"], {"drill": "run"})]
    assert other != started["id"]


def test_a_reset_ends_every_experiment(emulator):
    with emulator.running("--speed", "100") as aws:
        made = environment_in(aws, "reset")
        made.reached(made.start(), "running")

        requests.post(f"{aws.url}/_ministack/reset", timeout=20).raise_for_status()

        assert made.client("fis").list_experiments()["experiments"] == []
        assert not made.is_paused()


@pytest.fixture(scope="module")
def enforced(emulator):
    with emulator.running("--iam-enforced", "--speed", str(SPEED)) as aws:
        yield aws


def as_user(aws, policy):
    """A client of a user with a policy."""
    iam, name = aws.client("iam"), f"u-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.client(
        "fis", region_name=EAST, endpoint_url=aws.url,
        aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
    )  # fmt: skip


def test_with_policies_the_role_must_allow_what_the_action_does(enforced):
    made = environment_in(enforced, "allowed")
    made.reached(running := made.start(), "running")
    made.client("fis").stop_experiment(id=running)
    made.reached(running, "stopped")

    made.client("iam").delete_role_policy(RoleName="allowed", PolicyName="pause")
    state = made.reached(made.start(), "failed", "running")

    assert state["status"] == "failed"
    assert "may not call dynamodb:PutResourcePolicy" in state["reason"]


def test_with_policies_an_operator_may_stop_the_experiments_with_a_tag_only(enforced):
    made = environment_in(enforced, "operated")
    own, other = (
        made.client("fis").start_experiment(
            clientToken=tag, experimentTemplateId=made.template, tags={"environment": tag}
        )["experiment"]["id"]
        for tag in ("own", "other")
    )
    operator = as_user(
        enforced,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "fis:StopExperiment",
                    "Resource": f"arn:aws:fis:{EAST}:{ACCOUNT}:experiment/*",
                    "Condition": {"StringEquals": {"aws:ResourceTag/environment": "own"}},
                }
            ],
        },
    )

    operator.stop_experiment(id=own)
    with pytest.raises(ClientError, match="AccessDenied"):
        operator.stop_experiment(id=other)
    with pytest.raises(ClientError, match="AccessDenied"):
        operator.list_experiments()

    made.client("fis").stop_experiment(id=other)
    made.reached(other, "stopped")


def test_with_policies_a_template_passes_its_role(enforced):
    made = environment_in(enforced, "passed")
    operator = as_user(
        enforced,
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "fis:UpdateExperimentTemplate", "Resource": "*"}
            ],
        },
    )

    operator.update_experiment_template(id=made.template, description="Other")
    with pytest.raises(ClientError, match="AccessDenied"):
        operator.update_experiment_template(
            id=made.template, roleArn=f"arn:aws:iam::{ACCOUNT}:role/passed"
        )
