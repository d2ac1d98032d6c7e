"""`ops deploy` and `ops rollback` as commands: refusals before anything changes, and reports."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import WEST, environment
from rich.console import Console

from ops import __main__ as program
from ops.cli.deploy_session import DeploySession, check_lock, chosen_stacks
from ops.cli.deploy_summary import print_deployment, print_history, print_summary
from ops.deploy.changes import Action, Change, StackPlan
from ops.deploy.record import History, Outcome, Record, Step
from ops.deploy.serving import serving
from ops.deploy.shelf import FolderShelf
from ops.deploy.workplace import Workplace
from ops.errors import OpsError, UsageError
from ops.http_client import Response
from ops.lock import Lock, LockedError
from ops.processes import Program

pytestmark = pytest.mark.unit

DEAD = Program(2**31 - 1, 0.0)
RECORD = Record(
    run="deploy-1",
    kind="deploy",
    release="abc",
    targets={"x-west": "abc", "x-east": "abc"},
    before={"x-west": "old", "x-east": "old"},
    begun="2026-01-01T00:00:00+00:00",
    user="somebody",
    host="somewhere",
    revision="1234",
    bake_seconds=60.0,
    program=DEAD,
    steps={"x-west": Step.ROLLED_BACK},
    gates=[{"stack": "x-west", "passed": False, "found": "3 of 3 failed", "figures": {}}],
    outcome=Outcome.ROLLED_BACK,
    reason="3 of 3 failed",
    ended="2026-01-01T00:01:00+00:00",
)


@pytest.fixture
def ops(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def ops(*words):
        code = program.main([*words, "--environment", "x", "--folder", str(tmp_path)])
        return code, *capsys.readouterr()

    return ops


def wrote(tmp_path, record):
    History(FolderShelf.of(tmp_path, "x"), {"x-east": "old"}, [record]).write()


@pytest.mark.parametrize("command", [("deploy",), ("deploy", "resume"), ("rollback",)])
def test_without_a_terminal_and_without_approval_nothing_begins(ops, command):
    code, _, errors = ops(*command)

    assert code == 2
    assert "nobody can approve the changes" in errors
    assert "--plan-only, then give --auto-approve" in errors


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_an_environment_that_is_not_known_is_deployed_another_way_first(ops, command):
    code, _, errors = ops(command, "--auto-approve")

    assert code == 2
    assert "the environment x is not known here" in errors
    assert "python -m ops export --environment x" in errors


def test_a_second_deployment_is_refused_before_anything_is_synthesized(ops, tmp_path):
    wrote(tmp_path, replace(RECORD, outcome=Outcome.UNFINISHED))

    code, _, errors = ops("deploy", "--auto-approve")

    assert code == 1
    assert "was interrupted" in errors
    assert "python -m ops deploy resume --environment x" in errors
    assert "python -m ops rollback --environment x" in errors


@pytest.mark.parametrize("seconds", ["-1", "86401", "nan", "soon"])
def test_a_bake_time_is_a_number_of_seconds(ops, seconds):
    code, _, errors = ops("deploy", f"--bake-seconds={seconds}")

    assert code == 2
    assert seconds in errors


def test_history_and_status_of_nothing(ops):
    assert ops("deploy", "history")[0] == 0
    assert "Nothing was deployed to x" in ops("deploy", "status")[1]


@pytest.mark.parametrize("action", ["history", "status"])
def test_history_and_status_are_json_too(ops, tmp_path, action):
    wrote(tmp_path, RECORD)

    code, output, _ = ops("deploy", action, "--json")

    document = json.loads(output)
    assert (code, document["environment"], document["error"]) == (0, "x", None)
    assert document["deployed"] == {"x-east": "old"}
    (found,) = document["deployments"]
    assert (found["outcome"], found["steps"]) == ("rolled back", {"x-west": "rolled back"})


def printed(function, *arguments):
    console = Console(file=io.StringIO(), width=200)
    function(console, *arguments)
    return console.file.getvalue()


def test_a_deployment_is_shown_stack_by_stack_with_the_reason():
    text = printed(print_deployment, "x", RECORD)

    assert "x-west │ rolled back │ abc     │ old" in text
    assert "x-east │ pending" in text
    assert "deploy of x, begun 2026-01-01T00:00:00+00:00: rolled back: 3 of 3 failed" in text


def test_history_and_status_say_how_long_a_fault_took(tmp_path):
    times = {"applied": "00:00:10.500", "found": "00:00:17.600", "rolled back": "00:00:48.000"}
    at = {what: f"2026-01-01T{time}+00:00" for what, time in times.items()}
    record = replace(RECORD, times={"x-west": at})
    history = History(FolderShelf.of(tmp_path, "x"), {}, [record])

    took = "rolled back: 3 of 3 failed (found after 7 s, rolled back in 30 s)"
    assert took in printed(print_deployment, "x", record)
    assert took in printed(print_history, history)
    del at["applied"]
    assert "3 of 3 failed (rolled back in 30 s)" in printed(print_deployment, "x", record)


@pytest.mark.parametrize(("outcome", "prints"), [("deployed", True), ("rolled back", False)])
def test_a_deployment_ends_with_the_lines_that_need_no_tool(tmp_path, outcome, prints):
    written = io.StringIO()
    history = History(FolderShelf.of(tmp_path, "x"), {}, [])
    session = DeploySession(
        options=None, console=Console(file=written, width=100), environment=environment(),
        place=None, deployer=SimpleNamespace(history=history), run="deploy-1",
    )  # fmt: skip

    result = session.ended(replace(RECORD, outcome=Outcome(outcome)))

    text = written.getvalue()
    for region in environment().regions if prints else ():
        lines = result.members["by_hand"][region]
        # Unbroken: a line is copied as it is.
        assert all(line in text.splitlines() for line in lines.values())
        assert f"evacuation-{region}" in lines["evacuate"]
        assert f"--region {region} " not in lines["evacuate"] + lines["restore"]
    assert ("put-item" in text) == prints
    assert bool(result.members["by_hand"]) == prints


def test_the_summary_has_every_stack_and_names_what_is_replaced_or_destroyed():
    lost = Change("aws_lambda_function.old", Action.DESTROY, "us-west-2")
    kept = Change("aws_lambda_function.kept", Action.CHANGE, "us-west-2")
    plans = (
        StackPlan("x-data"),
        StackPlan("x-west", (lost, kept)),
        StackPlan("x-east", waits_for=("x-west",)),
        StackPlan("x-routing", changes_outputs=True),
        StackPlan("x-south", has_unserved=True),
    )

    text = printed(print_summary, "x", plans, "us-east-1 (primary) serves customers now")

    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    assert ["x-data", "no changes", "", "", "", ""] in rows
    assert ["x-west", "us-west-2", "0", "1", "0", "1"] in rows
    assert "can be planned after x-west" in text
    assert "outputs only" in text
    assert "new versions of functions, which do not serve yet" in text
    assert "destroy aws_lambda_function.old" in text
    assert "kept" not in text
    assert "us-east-1 (primary) serves customers now" in text


def test_with_one_stack_the_summary_says_what_changes_in_every_region_at_once():
    warning = "all else changes in every Region at once"

    assert warning in printed(print_summary, "x", (StackPlan("x"),)).replace("\n", " ")
    assert warning not in printed(print_summary, "x", (StackPlan("x-us-west-2"),))


def test_one_region_is_deployed_alone_only_if_it_has_a_stack(tmp_path):
    stacks = {
        "x-data": [],
        "x-us-west-2": ["x-data"],
        "x-routing": ["x-data", "x-us-west-2"],
    }
    manifest = {"stacks": {name: {"dependencies": each} for name, each in stacks.items()}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    place = Workplace("x", tmp_path, {})

    assert [stack.name for stack in chosen_stacks(place, None)] == list(stacks)
    assert [stack.name for stack in chosen_stacks(place, "us-west-2")] == ["x-us-west-2"]
    assert [stack.name for stack in chosen_stacks(place, None, "us-west-2")] == list(stacks)[:2]
    with pytest.raises(UsageError, match="--only eu-west-1: x has no stack of this Region"):
        chosen_stacks(place, "eu-west-1")
    with pytest.raises(UsageError, match="--until eu-west-1: x has no stack of this Region"):
        chosen_stacks(place, None, "eu-west-1")


class DeadRegion:
    """DynamoDB of a Region that is lost."""

    def update_item(self, **_):
        raise EndpointConnectionError(endpoint_url="https://dynamodb.us-west-2.amazonaws.com")


def test_a_deployment_that_loses_the_region_of_its_lock_says_how_to_finish_it():
    lost = environment({("dynamodb", WEST): DeadRegion()})

    with pytest.raises(OpsError, match="lock of production could not be renewed") as stopped:
        check_lock(Lock(lost, "deploy", "deploy-1"))

    assert "deploy resume --environment production" in stopped.value.next_step
    assert f"if {WEST} is lost" in stopped.value.next_step
    assert "--without-lock" in stopped.value.next_step


def test_a_lock_that_somebody_has_taken_is_no_reason_to_go_on_without_it():
    class Taken:
        def check(self):
            raise LockedError("somebody else has taken the lock", next_step="ask them")

    with pytest.raises(LockedError) as stopped:
        check_lock(Taken())

    assert "--without-lock" not in stopped.value.next_step


def test_who_serves_is_unknown_if_the_name_does_not_respond():
    class Network:
        def request(self, method, url):
            assert (method, url) == ("GET", "https://weather.example.com/v1/health")
            return Response(None, error="no address")

    found = serving(environment(network=Network()))

    assert found.region is None
    assert found.found.endswith("no response (no address)")
