"""A drill with AWS Fault Injection Service in the sandbox: it passes, and what ends it early."""

import threading

import pytest
from drills import FEW, drill, failed_without_reason, over_time
from local_api import REGIONS, run_ops

from ops import switch
from ops.drill.fis_faults import FisReplicationPausedFault, active_experiments, template_id
from ops.verify import experiments

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.usefixtures("full_speed")]

NAME = FisReplicationPausedFault.name
EAST, WEST = REGIONS
DRILLS = {"fault_injection_service": True, "experiment_minutes": 120}
"""So long that no experiment ends by itself, at any speed."""


@pytest.fixture(scope="module")
def api(own_sandbox):
    """An API in a sandbox, with the templates."""
    return own_sandbox(monitoring={"alarms": True}, drills=DRILLS)


@pytest.fixture
def environment(api):
    return api.local.environment


@pytest.fixture
def leaves_nothing(environment):
    """Asked for by a drill."""
    yield
    assert running(environment) == []
    assert not is_paused(environment)
    assert not switch.status(environment, EAST).evacuated


def running(environment):
    """Ids of the experiments that have not ended."""
    id = template_id(environment, FisReplicationPausedFault.template, EAST)
    return [each["id"] for each in active_experiments(environment, EAST, id)]


def is_paused(environment):
    return any(each.paused for each in environment.fault_injection.replication())


def test_a_second_plan_shows_no_change(api):
    plan = api.terraform("plan", "-input=false", "-detailed-exitcode", "-no-color")

    assert plan.returncode == 0, plan.stdout[-3000:]


@pytest.mark.usefixtures("leaves_nothing")
def test_a_drill_finds_writes_that_have_not_arrived_and_all_of_them_at_its_end(environment):
    outcome = drill(environment, NAME)
    if over_time(outcome) or failed_without_reason(outcome) > FEW:
        outcome = drill(environment.at_speed(outcome.speed / 2), NAME)

    assert outcome.findings == []
    assert outcome.measurements.durations.cut_over is not None
    assert outcome.measurements.durations.failback is not None
    late = outcome.durability.keys("late")
    assert late
    assert outcome.durability.keys("lost") == {}
    assert any("replication-paused" in line for line in outcome.restored)


def ended_by(environment, end):
    """A drill whose experiment somebody ends while it is injected."""
    done = threading.Event()

    def notify(line):
        print(line)
        # Right after the injection.
        if line.startswith("Waiting until") and not done.is_set():
            done.set()
            (id,) = running(environment)
            end(id)

    return drill(environment, NAME, notify=notify)


@pytest.mark.usefixtures("leaves_nothing")
def test_an_alarm_stops_the_experiment_and_the_drill_fails_with_its_name(environment):
    alarms = environment.client("cloudwatch", EAST)
    name = "weather-local-server-errors"

    def trip(_):
        alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")

    try:
        outcome = ended_by(environment, trip)
    finally:
        alarms.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")

    assert not outcome.passed
    (finding,) = [each for each in outcome.findings if "has ended" in each]
    assert "stopped (Experiment halted by stop condition" in finding
    assert name in finding
    assert outcome.left == []


@pytest.mark.usefixtures("leaves_nothing")
def test_an_experiment_that_is_stopped_from_outside_fails_the_drill_and_leaves_nothing(environment):
    client = environment.client("fis", EAST)

    outcome = ended_by(environment, lambda id: client.stop_experiment(id=id))

    assert not outcome.passed
    assert any("stopped (Experiment stopped)" in each for each in outcome.findings)
    assert outcome.left == []


@pytest.mark.usefixtures("leaves_nothing")
def test_a_drill_that_does_not_stop_its_experiment_is_found(environment, monkeypatch):
    """A planted bug: it restores the Region only."""
    monkeypatch.setattr(
        FisReplicationPausedFault, "clear", lambda self, at: super(type(self), self).clear(at)
    )
    monkeypatch.setattr("ops.drill.run.LOST_AFTER_SECONDS", 5.0)

    outcome = drill(environment, NAME)
    (id,) = running(environment)
    found = {each.subject: each for each in experiments.running.run(environment)}
    environment.client("fis", EAST).stop_experiment(id=id)
    while running(environment):
        pass

    # The drill finds writes that never arrive, and verify the experiment.
    assert any("lost in" in each for each in outcome.findings)
    assert id in found[EAST].found
    assert found[EAST].fix == f"aws fis stop-experiment --region {EAST} --id {id}"


def test_verify_finds_templates_that_are_equal_and_can_run(api, environment):
    ran = run_ops("verify", "--folder", str(api.workspace.folder), "--json")

    assert '"experiment.templates"' in ran.stdout
    for check in (experiments.templates, experiments.role, experiments.running):
        assert {each.outcome.value for each in check.run(environment)} == {"passed"}, check.id


def test_everything_is_destroyed(api, environment):
    """The last test of the module."""
    fis = environment.client("fis", EAST)
    assert fis.list_experiment_templates()["experimentTemplates"]

    destroyed = api.terraform("destroy", "-auto-approve", "-input=false", "-no-color")

    assert destroyed.returncode == 0, destroyed.stderr
    assert fis.list_experiment_templates()["experimentTemplates"] == []
