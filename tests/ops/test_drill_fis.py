"""Drills with AWS Fault Injection Service: a run starts, watches and stops its own experiment."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from fake_drill import EAST, WEST, FakeSwitch, aws_environment, sandbox_environment
from fake_fis import TEMPLATE_IDS, FakeFisClient

from ops.drill import fis_faults
from ops.drill.durations import longest_seconds
from ops.drill.expectation import Expectation
from ops.drill.faults import choose
from ops.drill.fis_faults import EFFECT_SECONDS, PATIENCE_SECONDS
from ops.errors import ExitCode, OpsError
from ops.lock import LockedError

pytestmark = pytest.mark.unit

NAME, TEMPLATE = "fis-replication-paused", "replication-paused"


@pytest.fixture
def the_switch(monkeypatch):
    return FakeSwitch.instead(monkeypatch)


@pytest.fixture
def environment(the_switch, tmp_path):
    return sandbox_environment(tmp_path)


@pytest.fixture
def fis(environment):
    return environment.session.fis


def chosen(environment, id="drill-1", region=None):
    return choose(environment, NAME, id, {}, region=region)


def injected(fault, environment):
    """A fault, as a drill injects it."""
    fault.precede(environment, lambda: None)
    fault.inject(environment)
    return fault


def statuses(fis, region=EAST):
    return [each.status for each in fis.regions[region].experiments.values()]


def test_an_experiment_has_the_tags_of_its_run_and_its_environment(environment, fis):
    injected(chosen(environment), environment)

    (experiment,) = fis.regions[EAST].experiments.values()
    assert experiment.shown["tags"] == {"drill": "drill-1", "environment": "local"}
    assert experiment.shown["experimentTemplateId"] == TEMPLATE_IDS[TEMPLATE][EAST]


def test_a_run_that_injects_again_starts_no_second_experiment(environment, fis, the_switch):
    fault = injected(chosen(environment), environment)
    the_switch.restore(environment, EAST)
    injected(fault, environment)

    assert statuses(fis) == ["running"]


def test_the_region_is_evacuated_once_replication_is_paused_and_restored_after(
    environment, fis, the_switch
):
    fault = chosen(environment)
    fault.precede(environment, lambda: None)
    assert (the_switch.state.evacuated, statuses(fis)) == (False, ["running"])
    fault.inject(environment)
    assert (the_switch.state.evacuated, statuses(fis)) == (True, ["running"])

    assert fault.clear(environment)

    assert (the_switch.state.evacuated, statuses(fis)) == (False, ["stopped"])


def test_no_experiment_of_another_run_is_stopped(environment, fis):
    injected(chosen(environment, "drill-2"), environment)

    assert not chosen(environment).clear(environment)
    assert statuses(fis) == ["running"]


def test_an_experiment_whose_run_was_killed_before_it_knew_its_id_is_found(environment, fis):
    fis.client(EAST).start_experiment(
        clientToken="drill-1", experimentTemplateId="EXTeast", tags={"drill": "drill-1"}
    )

    assert chosen(environment).is_injected(environment)
    assert chosen(environment).clear(environment)
    assert statuses(fis) == ["stopped"]


def test_an_experiment_that_cannot_run_evacuates_nothing(environment, fis, the_switch):
    fis.starts, fis.reason = "failed", "Unable to assume role"

    with pytest.raises(OpsError, match=r"did not run: failed \(Unable to assume role\)"):
        chosen(environment).precede(environment, lambda: None)

    assert not the_switch.state.evacuated


def test_nothing_is_injected_while_another_experiment_of_the_template_runs(environment):
    injected(chosen(environment, "drill-2"), environment)

    with pytest.raises(OpsError, match="runs in us-east-1 already") as caught:
        chosen(environment).prepared(environment)
    assert "aws fis stop-experiment --region us-east-1 --id EXP" in caught.value.next_step


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("stopped", "Experiment halted by stop condition: arn:aws:cloudwatch:…:alarm:errors"),
        ("stopped", "Experiment stopped"),
        ("completed", "Experiment completed"),
    ],
)
def test_an_experiment_that_somebody_else_has_ended_is_reported_with_its_reason(
    environment, fis, status, reason
):
    fault = injected(chosen(environment), environment)
    assert fault.ended(environment) == ""

    fis.end(EAST, status, reason)

    assert f"has ended: {status} ({reason})" in fault.ended(environment)


def test_before_it_is_injected_nothing_has_ended(environment):
    assert chosen(environment).ended(environment) == ""


def test_an_experiment_that_does_not_stop_is_an_error_with_the_line_that_stops_it(
    environment, fis, the_switch, monkeypatch
):
    monkeypatch.setattr(fis_faults, "PATIENCE_SECONDS", 0)
    fault = injected(chosen(environment), environment)
    fis.stops = False

    with pytest.raises(OpsError, match="still stopping") as caught:
        fault.clear(environment)

    assert "aws fis stop-experiment --region us-east-1 --id EXP" in caught.value.next_step
    # Its Region has not every write: customers stay where they are.
    assert the_switch.state.evacuated


def test_an_experiment_that_has_just_ended_is_cleared(environment, fis, monkeypatch):
    """Between the list and the call."""
    fault = injected(chosen(environment), environment)
    listed = fis_faults.experiments(environment, EAST, "EXTeast")
    monkeypatch.setattr(fis_faults, "experiments", lambda *_: [
        {**each, "state": {"status": "running"}} for each in listed
    ])  # fmt: skip
    fis.end(EAST, "completed", "Experiment completed")

    assert fault.clear(environment), "the Region was restored"


def test_each_region_has_its_own_template(environment):
    assert chosen(environment, region=WEST).template_id == TEMPLATE_IDS[TEMPLATE][WEST]


def test_an_environment_without_templates_is_told_how_to_get_them(environment):
    without = replace(
        environment,
        descriptor=replace(
            environment.descriptor,
            outputs=replace(environment.outputs, experiment_template_ids=None),
        ),
    )

    with pytest.raises(OpsError, match="no experiment template") as caught:
        chosen(without)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "fault_injection_service = true" in caught.value.next_step


def test_the_dry_run_says_what_the_template_on_aws_does(environment):
    text = " ".join(chosen(environment).details(environment))

    for said in (
        "EXTeast in us-east-1", "aws:dynamodb:global-table-pause-replication",
        "arn:aws:dynamodb:us-east-1:123456789012:table/weather", "PT30M at most",
        "weather-server-errors", "0.10 dollars",
    ):  # fmt: skip
        assert said in text
    assert environment.session.fis.calls == ["GetExperimentTemplate"]


def test_the_line_that_clears_it_by_hand_stops_the_experiment_of_the_run(environment):
    line = chosen(environment).by_hand(environment)

    assert "aws fis list-experiments --region us-east-1 --experiment-template-id EXTeast" in line
    assert "experiments[?tags.drill==" in line
    assert "aws fis stop-experiment --region us-east-1 --id" in line
    assert "aws dynamodb delete-item" in line


class Clock:
    """A clock that sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(fis_faults, "time", clock)
    return clock


def test_an_experiment_that_is_stopping_already_is_waited_for(
    environment, fis, the_switch, clock, monkeypatch
):
    """Such as one that an alarm stops just when the drill restores."""
    fault = injected(chosen(environment), environment)
    (experiment,) = fis.regions[EAST].experiments.values()
    experiment.become("stopping", "Experiment is stopping", 1.0)

    def refused(*_, **__):
        raise ClientError({"Error": {"Code": "ConflictException"}}, "StopExperiment")

    monkeypatch.setattr(FakeFisClient, "stop_experiment", refused)
    monkeypatch.setattr(clock, "sleep", lambda _: fis.end(EAST, "stopped", "an alarm"))

    assert fault.clear(environment)
    assert (statuses(fis), the_switch.state.evacuated) == (["stopped"], False)


def test_on_aws_it_is_waited_until_replication_has_stopped(the_switch, tmp_path, clock):
    environment = aws_environment(tmp_path)
    fault = chosen(environment)

    fault.precede(environment, lambda: None)

    assert EFFECT_SECONDS <= clock.now <= fault.preceding_seconds(environment)
    assert not the_switch.state.evacuated


def test_on_aws_an_experiment_that_ends_while_it_is_waited_for_is_reported(
    the_switch, tmp_path, clock, monkeypatch
):
    environment = aws_environment(tmp_path)
    slept = clock.sleep

    def sleep(seconds):
        slept(seconds)
        environment.session.fis.end(EAST, "stopped", "an alarm")

    monkeypatch.setattr(clock, "sleep", sleep)

    with pytest.raises(OpsError, match=r"did not run: stopped \(an alarm\)"):
        chosen(environment).precede(environment, lambda: None)
    assert clock.now < EFFECT_SECONDS


def test_a_drill_that_has_lost_its_lock_waits_for_no_experiment(the_switch, tmp_path, clock):
    """Whoever evacuates a Region must not find one whose replication a drill keeps paused."""
    environment = aws_environment(tmp_path)
    fault = chosen(environment)

    def require():
        if clock.now > 10:
            raise LockedError("interrupted by switch evacuate", next_step="ask")

    with pytest.raises(LockedError):
        fault.precede(environment, require)
    assert clock.now < 20
    assert fault.clear(environment)
    assert statuses(environment.session.fis) == ["stopped"]


def test_what_precedes_the_fault_counts_for_credentials_and_quotas(
    the_switch, environment, tmp_path
):
    def longest(at):
        seconds = chosen(at).preceding_seconds(at)
        expectation = Expectation(10, 3, 60, 6, preceding_seconds=seconds)
        return longest_seconds(at, expectation)

    def without(at):
        return longest_seconds(at, Expectation(10, 3, 60, 6))

    assert longest(environment) == without(environment)
    on_aws = aws_environment(tmp_path)
    # An experiment may take long to run, and again to stop.
    assert longest(on_aws) >= without(on_aws) + EFFECT_SECONDS + 2 * PATIENCE_SECONDS
