"""The experiment templates of drills: what they do, what stops them, and what their role may do."""

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.experiments import REPLICATION_PAUSED, STOPPING_ALARMS
from constructs_lib.fis.replication_pause import ACTION, LOG_ACTIONS, TABLE_ACTIONS
from constructs_lib.settings import SettingsError, load

pytestmark = pytest.mark.unit

HARDENED = REPOSITORY / "tests" / "hardened" / "local.toml"
REGIONS = {"primary": "us-east-1", "secondary": "us-west-2"}
REPLICAS = {
    "primary": "${aws_dynamodb_table.table.arn}",
    "secondary": "${aws_dynamodb_table_replica.table_us-west-2.arn}",
}


def synthesized(path):
    return Synthesized(weather_api.stack.build_stack(App(), load(path)))


@pytest.fixture(scope="module")
def stack():
    return synthesized(HARDENED)


def changed(folder, *changes):
    text = HARDENED.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "local.toml"
    path.write_text(text)
    return path


def of(stack, type, role):
    """The resource of a type that belongs to the experiments of a Region."""
    (found,) = (
        each
        for id, each in stack.resources(type).items()
        if id.startswith(f"{role}_replication_pause_")
    )
    return found


@pytest.mark.parametrize("role", REGIONS)
def test_the_experiment_of_a_region_pauses_the_replication_of_its_replica(stack, role):
    template = of(stack, "aws_fis_experiment_template", role)

    (action,), (target,) = template["action"], template["target"]
    assert action["action_id"] == ACTION
    assert action["parameter"] == [{"key": "duration", "value": "PT30M"}]
    assert action["target"] == {"key": "Tables", "value": target["name"]}
    assert target["resource_arns"] == [REPLICAS[role]]
    assert template["experiment_options"]["empty_target_resolution_mode"] == "fail"
    assert template["provider"] == f"aws.{role}"


@pytest.mark.parametrize("role", REGIONS)
def test_alarms_of_the_same_region_on_what_customers_notice_stop_an_experiment(stack, role):
    template = of(stack, "aws_fis_experiment_template", role)
    alarms = stack.resources("aws_cloudwatch_metric_alarm")

    stopping = [each["value"].split(".")[1] for each in template["stop_condition"]]
    names = {f"weather-local-{id.replace('_', '-')}" for id in STOPPING_ALARMS}
    assert {alarms[id]["alarm_name"] for id in stopping} == names
    assert {alarms[id]["provider"] for id in stopping} == {f"aws.{role}"}
    # The drill is to raise those on replication.
    assert not any("replication" in id for id in stopping)


@pytest.mark.parametrize("role", REGIONS)
def test_the_role_may_do_what_the_action_does_to_one_replica_and_deliver_a_log(stack, role):
    documents = stack.data("aws_iam_policy_document")
    (document,) = (
        each
        for id, each in documents.items()
        if id.startswith(f"{role}_replication_pause_document")
    )

    pausing, delivering = document["statement"]
    assert (tuple(pausing["actions"]), pausing["resources"]) == (TABLE_ACTIONS, [REPLICAS[role]])
    assert tuple(delivering["actions"]) == LOG_ACTIONS


@pytest.mark.parametrize("role", REGIONS)
def test_the_service_may_assume_the_role_for_experiments_of_this_account_and_region_only(
    stack, role
):
    documents = stack.data("aws_iam_policy_document")
    (trust,) = (
        each for id, each in documents.items() if id.startswith(f"{role}_replication_pause_trust")
    )

    (statement,) = trust["statement"]
    assert statement["principals"] == [{"type": "Service", "identifiers": ["fis.amazonaws.com"]}]
    keys = {each["variable"]: each["values"][0] for each in statement["condition"]}
    assert keys["aws:SourceArn"].startswith(f"arn:aws:fis:{REGIONS[role]}:")
    assert keys.keys() == {"aws:SourceArn", "aws:SourceAccount"}


def test_the_log_of_experiments_is_encrypted_and_expires(stack):
    for role in REGIONS:
        log = of(stack, "aws_cloudwatch_log_group", role)
        assert log["kms_key_id"]
        assert log["retention_in_days"] == 30


def test_the_template_of_each_region_is_an_output(stack):
    ids = stack.json["output"]["experiment_template_ids"]["value"]

    assert set(ids[REPLICATION_PAUSED]) == set(REGIONS.values())


def test_without_the_setting_there_is_nothing_of_it(tmp_path):
    stack = synthesized(changed(tmp_path, ("fault_injection_service = true", "")))

    assert not stack.resources("aws_fis_experiment_template")
    assert "experiment_template_ids" not in stack.json["output"]


def test_the_duration_is_the_one_of_the_file(tmp_path):
    stack = synthesized(
        changed(tmp_path, ("[drills]", "[drills]\nexperiment_minutes = 12")),
    )

    template = of(stack, "aws_fis_experiment_template", "primary")
    assert template["action"][0]["parameter"][0]["value"] == "PT12M"


@pytest.mark.parametrize(
    ("change", "named", "fix"),
    [
        (("[drills]", "[drills]\nexperiment_minutes = 9"), "experiment_minutes: got 9", "from 10"),
        (("[drills]", "[drills]\nexperiment_minutes = 121"), "got 121", "to 120"),
        (
            ('alarms = true\nemails = ["on-call@example.com"]', "alarms = false"),
            "drills.fault_injection_service: is true, and there is no alarm",
            "set alarms = true",
        ),
        (
            ("[table]", '[table]\nconsistency = "strong"\nwitness_region = "us-east-2"'),
            "drills.fault_injection_service: is true, and the table is strongly consistent",
            "--fault switch",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_fix(tmp_path, change, named, fix):
    with pytest.raises(SettingsError) as refused:
        load(changed(tmp_path, change))

    assert named in str(refused.value)
    assert fix in str(refused.value)
