"""However AWS hangs, `switch` ends in 15 s, and names each thing that is not known."""

import json
from functools import partial
from itertools import combinations

import pytest
from fake_environment import FakeEnvironment
from faulty_aws import FaultyAws, Schedule
from faulty_operator import ENGAGED
from moto import mock_aws

from ops.__main__ import main
from ops.cli import switch as switch_cli
from ops.deadline import Limit
from ops.errors import ExitCode
from ops.identity import Identity

pytestmark = pytest.mark.unit

HANGING = {
    "credentials": (),
    "identity": (),
    "reading": ("get_item",),
    "writing": ("put_item", "delete_item"),
    "lock": ("update_item",),
    "health check": ("get_health_check",),
    "health": ("get_health_check_status",),
}
CASES = [each for count in range(3) for each in combinations(HANGING, count)]


class Abandoned(BaseException):
    """Nobody waits for this any more."""


class FakeTime:
    """A clock that passes while something hangs, and ends the wait for it."""

    def __init__(self):
        self.now, self.until = 0.0, float("inf")

    def pass_(self, seconds):
        if self.now + seconds > self.until:
            self.now = self.until
            raise Abandoned
        self.now += seconds

    def wait(self, seconds, function):
        outer, self.until = self.until, min(self.until, self.now + seconds)
        try:
            return function()
        except Abandoned:
            raise TimeoutError(f"no result within {seconds:g} s") from None
        finally:
            self.until = outer


@pytest.fixture
def typed(monkeypatch, capsys):
    """Types a command while some things hang: seconds, exit code, document and notes."""

    def run(command, hanging, *items):
        time = FakeTime()
        with mock_aws():
            aws = FaultyAws(Schedule())
            for item in items:
                aws.table.put(item)
            operations = {name for what in hanging for name in HANGING[what]}

            class Hanging(Schedule):
                def fault(self, service, region, operation):
                    time.pass_(float("inf") if operation in operations else 0.01)

            aws.schedule = Hanging()
            environment = aws.environment()

            def identified(self):
                # The credentials have a limit of their own.
                time.pass_(9.0 if "credentials" in hanging else 0.0)
                time.pass_(float("inf") if "identity" in hanging else 0.0)
                return Identity(self.name, "123456789012", "arn:ada", self.regions)

            monkeypatch.setattr(FakeEnvironment, "identify", identified)
            monkeypatch.setattr(switch_cli, "environment_from", lambda _: environment)
            limit = partial(Limit, clock=lambda: time.now, wait=time.wait)
            monkeypatch.setattr(switch_cli, "Limit", limit)
            yes = [] if command == "status" else ["--yes"]
            words = ["switch", command, *yes, "--environment", "production", "--json"]
            code = main(words)
        printed = capsys.readouterr()
        return round(time.now, 6), code, json.loads(printed.out), printed.err

    return run


@pytest.mark.parametrize("hanging", CASES, ids=lambda each: " and ".join(each) or "nothing")
@pytest.mark.parametrize("command", ["engage", "release", "status"])
def test_a_command_ends_in_time_and_names_what_is_not_known(typed, command, hanging):
    seconds, code, document, notes = typed(command, hanging, *[ENGAGED] * (command == "release"))

    assert seconds <= 15
    decisive = {"engage": {"reading", "writing"}, "status": {"reading"}}.get(
        command, {"reading", "writing", "lock", "identity"}
    )
    if decisive.isdisjoint(hanging):
        assert code == ExitCode.PASSED
        if command == "status":
            assert not any(each["evacuated"] for each in document["evacuations"].values())
        else:
            assert document["evacuation"]["evacuated"] == (command == "engage")
    else:
        assert code == ExitCode.PREREQUISITE
        error = document["error"]["message"]
        assert "known" in error or "cannot be determined" in error
        assert "within" in error
    if "identity" in hanging:
        assert "account unknown" in notes
        assert "no result within" in notes + str(document["error"])
    if code == ExitCode.PASSED and command == "engage":
        assert ("Whether a drill runs is not known" in notes) == ("lock" in hanging)
    if code == ExitCode.PASSED and command == "engage":
        unknown = "Whether another Region can take over is not known"
        assert (unknown in notes) == (not {"reading", "health"}.isdisjoint(hanging))
    if code == ExitCode.PASSED and command != "status" and "health check" in hanging:
        assert "These times are Route 53's defaults" in notes


def test_time_at_the_keyboard_does_not_count():
    time = FakeTime()
    limit = Limit(15.0, clock=lambda: time.now, wait=time.wait)

    limit.within(partial(time.pass_, 2.0))
    time.pass_(600.0)

    assert limit.left == 13.0
    assert limit.within(lambda: "here") == "here"


def test_a_step_leaves_time_for_the_next_ones():
    time = FakeTime()
    limit = Limit(15.0, clock=lambda: time.now, wait=time.wait)

    with pytest.raises(TimeoutError, match="within 11 s"):
        limit.within(partial(time.pass_, 60.0), keep=4.0)
    with pytest.raises(TimeoutError, match="within 3 s"):
        limit.within(partial(time.pass_, 60.0), at_most=3.0)
    assert limit.left == 1.0


def test_the_lock_of_somebody_else_is_watched_for_a_lease_besides(typed):
    """A lease is announced, and ends by itself: nobody has to wait without a word."""
    held = {"pk": {"S": "control"}, "sk": {"S": "operations-lock"}, "run": {"S": "drill-1"}}

    seconds, code, document, _ = typed("release", ("lock",), ENGAGED, held)

    assert code == ExitCode.PREREQUISITE
    assert 15 < seconds <= 45
    assert "whether us-east-1 was restored is not known" in document["error"]["message"]
