"""A key that two machines create before either is deployed has the value of the first."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from faulty_aws import FaultyAws, Schedule
from moto import mock_aws

from ops import customers
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_claims import LIFETIME, claim
from ops.key_values import KeyFile

pytestmark = pytest.mark.unit

TEXT = """[[customers]]
name = "acme"
plan = "standard"

[[customers]]
name = "globex"
plan = "standard"
keys = [3]
"""


class Machine:
    """One machine of several, each with a copy of the environment file and values of its own."""

    def __init__(self, folder, environment):
        folder.mkdir()
        path = folder / "trial.toml"
        path.write_text(TEXT)
        self.file, self.keys = EnvironmentFile(path), KeyFile(folder / "keys.json", "trial")
        self.environment = environment

    def run(self, command, *names, **options):
        given = {"claim": partial(claim, self.environment), **options}
        return command(self.file, self.keys, {}, *names, **given)


@pytest.fixture
def aws():
    with mock_aws():
        yield FaultyAws(Schedule())


@pytest.fixture
def machines(aws, tmp_path, monkeypatch):
    # The settings are validated by another process.
    monkeypatch.setattr(EnvironmentFile, "_checked", lambda _, document: document.as_string())
    return [Machine(tmp_path / name, aws.environment()) for name in ("one", "two")]


@pytest.mark.parametrize(
    ("command", "names"), [(customers.issue, ()), (customers.rotate, ("acme",))]
)
def test_the_second_machine_is_refused_and_changes_nothing(machines, command, names):
    one, two = machines
    made = one.run(command, *names)
    assert made

    with pytest.raises(OpsError) as caught:
        two.run(command, *names)

    name = next(iter(made))
    assert caught.value.exit_code is ExitCode.USAGE
    assert f"{name} was created by " in caught.value.args[0]
    assert "customers pull --environment production" in caught.value.next_step
    assert "delete-item" in caught.value.next_step
    assert two.keys.values() == {}
    assert two.file.path.read_text() == TEXT


def test_what_was_created_beside_a_refused_key_can_be_created_again(machines):
    one, two = machines
    one.run(customers.issue, customer="globex")

    with pytest.raises(OpsError, match="globex-3 was created by"):
        two.run(customers.issue)

    assert two.run(customers.issue, customer="acme").keys() == {"acme-1"}
    assert one.keys.values().keys() == {"globex-3"}


def test_the_table_never_has_a_value(machines, aws):
    made = machines[0].run(customers.issue)

    text = json.dumps(aws.table.items)
    assert not [value for value in made.values() if value in text or value[:12] in text]
    assert "acme-1" in text


def test_a_command_that_is_repeated_finds_its_own_claims(machines):
    machine = machines[0]
    machine.run(customers.issue)

    assert machine.run(customers.issue) == {}


def test_a_value_that_was_not_claimed_when_it_was_made_is_claimed_by_the_next_command(machines):
    one, two = machines
    one.run(customers.issue, claim=lambda _: None)
    one.run(customers.issue)

    with pytest.raises(OpsError, match="was created by"):
        two.run(customers.issue)


def test_an_older_claim_than_a_month_counts_no_more(machines, aws):
    one, two = machines
    long_ago = datetime.now(UTC) - LIFETIME - timedelta(days=1)
    one.run(customers.issue, claim=partial(claim, one.environment, now=long_ago))

    assert two.run(customers.issue).keys() == {"acme-1", "globex-3"}


def test_a_lost_response_is_no_claim_of_somebody_else(machines, aws):
    aws.schedule.share, aws.schedule.kinds = 1.0, ("lost",)
    with pytest.raises(Exception, match="timeout"):
        machines[0].run(customers.issue)
    assert machines[0].keys.values().keys() == {"acme-1", "globex-3"}

    aws.schedule.is_over = True
    assert machines[0].run(customers.issue) == {}
