"""verify: the experiment templates of drills, their roles, and experiments that run."""

from types import SimpleNamespace

import pytest
from fake_drill import EAST, WEST, FakeLocks, sandbox_environment

from ops.lock import LockState
from ops.verify import experiments
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

TRUST = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "fis.amazonaws.com"},
        }
    ]
}


@pytest.fixture
def environment(tmp_path, monkeypatch):
    made = sandbox_environment(tmp_path)
    monkeypatch.setattr(experiments.locks, "read", FakeLocks().read)
    return made


@pytest.fixture
def fis(environment):
    return environment.session.fis


def outcomes(check, environment):
    return [(each.subject, each.outcome.value) for each in check.run(environment)]


def with_trust(environment, monkeypatch, trust):
    role = {"Role": {"AssumeRolePolicyDocument": trust}}
    iam, client = SimpleNamespace(get_role=lambda **_: role), type(environment).client

    def with_iam(self, service, region):
        return iam if service == "iam" else client(self, service, region)

    monkeypatch.setattr(type(environment), "client", with_iam)


def test_templates_that_differ_in_the_region_only_are_equal(environment):
    assert outcomes(experiments.templates, environment) == [(f"{WEST} and {EAST}", "passed")]


def test_a_template_that_somebody_has_changed_is_found(environment, fis):
    fis.client(WEST)
    fis.regions[WEST].templates["EXTwest"]["actions"]["pause-replication"]["parameters"] = {
        "duration": "PT12H"
    }

    (finding,) = experiments.templates.run(environment)
    assert finding.outcome is Outcome.FAILED
    assert "PT12H" in finding.found


def test_a_template_of_another_table_is_found(environment, fis):
    fis.client(WEST)
    target = fis.regions[WEST].templates["EXTwest"]["targets"]["replica"]
    target["resourceArns"] = [f"arn:aws:dynamodb:{WEST}:123456789012:table/other"]

    (finding,) = experiments.templates.run(environment)
    assert finding.outcome is Outcome.FAILED
    assert "table/other" in finding.found


def test_a_template_that_is_gone_is_found(environment, fis):
    fis.client(WEST)
    fis.regions[WEST].templates.clear()

    (finding,) = experiments.templates.run(environment)
    assert finding.outcome is Outcome.FAILED
    assert "EXTwest" in finding.found


def test_a_role_that_the_service_may_assume_passes(environment, monkeypatch):
    with_trust(environment, monkeypatch, TRUST)

    assert outcomes(experiments.role, environment) == [(EAST, "passed"), (WEST, "passed")]


def test_a_role_that_the_service_may_not_assume_is_found(environment, monkeypatch):
    statement = TRUST["Statement"][0] | {"Principal": {"Service": ["ec2.amazonaws.com"]}}
    with_trust(environment, monkeypatch, {"Statement": [statement]})

    assert outcomes(experiments.role, environment) == [(EAST, "failed"), (WEST, "failed")]


def test_without_an_experiment_nothing_is_left(environment):
    assert outcomes(experiments.running, environment) == [(EAST, "passed"), (WEST, "passed")]


def test_an_experiment_that_runs_without_a_drill_is_found_with_the_line_that_stops_it(
    environment, fis
):
    started = fis.client(EAST).start_experiment(clientToken="a", experimentTemplateId="EXTeast")

    found, _ = experiments.running.run(environment)
    assert found.outcome is Outcome.FAILED
    assert found.fix == (
        f"aws fis stop-experiment --region {EAST} --id {started['experiment']['id']}"
    )


def test_an_experiment_of_a_drill_that_runs_is_no_failure(environment, fis, monkeypatch):
    held = LockState(run="drill-1", expires_at="2999-01-01T00:00:00+00:00")
    monkeypatch.setattr(experiments.locks, "read", lambda _: held)
    fis.client(EAST).start_experiment(clientToken="a", experimentTemplateId="EXTeast")

    found, _ = experiments.running.run(environment)
    assert found.outcome is Outcome.UNKNOWN
    assert not found.unreadable
