"""Which experiment templates are refused, as AWS refuses them."""

import pytest

from sandbox.fis.experiments import MOST_ACTIVE, RegionalExperiments
from sandbox.fis.templates import PAUSE_REPLICATION, RefusedError, check, duration_seconds

pytestmark = pytest.mark.unit

REGION, ACCOUNT = "us-east-1", "000000000000"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:errors"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/table"


def template(**changed):
    return {
        "clientToken": "token",
        "description": "Pause",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/drills",
        "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": ALARM}],
        "targets": {"t": target()},
        "actions": {"a": action()},
    } | changed


def target(**changed):
    return {
        "resourceType": "aws:dynamodb:global-table",
        "resourceArns": [TABLE],
        "selectionMode": "ALL",
    } | changed


def action(**changed):
    return {
        "actionId": PAUSE_REPLICATION,
        "parameters": {"duration": "PT10M"},
        "targets": {"Tables": "t"},
    } | changed


def refuse(given):
    with pytest.raises(RefusedError) as refused:
        check(given, region=REGION, account=ACCOUNT, has_alarm=lambda arn: arn == ALARM)
    return str(refused.value)


def test_a_whole_template_is_accepted():
    check(template(), region=REGION, account=ACCOUNT, has_alarm=lambda arn: arn == ALARM)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"actions": {}}, "actions: 0 are given"),
        ({"actions": {"a": action(actionId="aws:ec2:stop-instances")}}, "aws:ec2:stop-instances"),
        ({"actions": {"a": action(parameters={})}}, "duration"),
        ({"actions": {"a": action(parameters={"duration": "10 minutes"})}}, "'10 minutes'"),
        ({"actions": {"a": action(parameters={"duration": "PT10M", "percentage": "1"})}},
         "unknown: percentage"),
        ({"actions": {"a": action(targets={"Functions": "t"})}}, "expected Tables, got Functions"),
        ({"actions": {"a": action(targets={"Tables": "other"})}}, "other is not a target"),
        ({"actions": {"a": action(startAfter=["b"])}}, "startAfter"),
        ({"targets": {"t": target(resourceType="aws:ec2:instance")}}, "no aws:ec2:instance"),
        ({"targets": {"t": target(selectionMode="SOME")}}, "selectionMode"),
        ({"targets": {"t": target(resourceArns=[])}}, "by resourceArns only"),
        ({"targets": {"t": target(resourceArns=[TABLE.replace("east", "west")])}}, "us-west-1"),
        ({"targets": {"t": target(), "u": target()}}, "targets.u: no action uses it"),
        ({"stopConditions": []}, "stopConditions: 0"),
        ({"stopConditions": [{"source": "aws:cloudwatch:alarm", "value": f"{ALARM}2"}]},
         "errors2 is not an alarm"),
        ({"stopConditions": [{"source": "mine"}]}, "not mine"),
        ({"roleArn": "arn:aws:iam::111111111111:role/drills"}, "111111111111"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(changed, named):
    assert named in refuse(template(**changed))


def test_everything_that_is_wrong_is_named_at_once():
    found = refuse(template(roleArn="role", stopConditions=[{"source": "mine"}]))

    assert "'role'" in found
    assert "not mine" in found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1M", 60), ("PT90S", 90), ("PT1H30M", 5400), ("PT12H", 43200)],
)
def test_a_duration_is_read(text, seconds):
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "PT59S", "PT12H1S", "P1D", "PT1.5M", "10"])
def test_a_duration_that_is_none_or_out_of_bounds_is_refused(text):
    with pytest.raises(RefusedError, match="duration"):
        duration_seconds(text)


@pytest.fixture
def here():
    return RegionalExperiments(REGION, ACCOUNT, clock=lambda: 1.0)


def test_the_same_token_creates_nothing_again(here):
    first = here.create_template(template())
    again = here.create_template(template())
    started, is_new = here.start({"clientToken": "run", "experimentTemplateId": first["id"]})
    same, is_new_again = here.start({"clientToken": "run", "experimentTemplateId": first["id"]})

    assert first is again
    assert same is started
    assert (is_new, is_new_again) == (True, False)


def test_a_token_of_something_else_is_a_conflict(here):
    here.create_template(template())

    with pytest.raises(RefusedError) as refused:
        here.create_template(template(description="Other"))

    assert refused.value.code == "ConflictException"


def test_an_experiment_keeps_what_its_template_was(here):
    id = here.create_template(template())["id"]
    experiment, _ = here.start({"clientToken": "run", "experimentTemplateId": id})

    here.delete_template(id)

    assert experiment.alarms == (ALARM,)
    assert experiment.seconds == 600
    with pytest.raises(RefusedError, match="not found"):
        here.template(id)


def test_so_many_experiments_run_at_once(here):
    id = here.create_template(template())["id"]
    for number in range(MOST_ACTIVE):
        here.start({"clientToken": str(number), "experimentTemplateId": id})

    with pytest.raises(RefusedError) as refused:
        here.start({"clientToken": "one more", "experimentTemplateId": id})

    assert refused.value.code == "ServiceQuotaExceededException"


def test_what_has_ended_cannot_be_stopped(here):
    id = here.create_template(template())["id"]
    experiment, _ = here.start({"clientToken": "run", "experimentTemplateId": id})
    experiment.become("completed", "Experiment completed", 2.0)

    with pytest.raises(RefusedError, match="is completed"):
        here.stop(experiment.id)
