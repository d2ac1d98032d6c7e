"""A release goes stack by stack; what fails gets the release before; nothing stays half."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_release import (
    FAULTS,
    NAMES,
    NO_PROCESS,
    REGIONS,
    UNDER_LOAD,
    KilledError,
    World,
    contents,
    one_stack,
)

from ops.deploy import record as records
from ops.deploy.changes import Action, StackPlan
from ops.deploy.parts import GateResult
from ops.deploy.record import History, Moment, Outcome, Step
from ops.deploy.run import refuse_unfinished
from ops.errors import ExitCode, OpsError, UsageError
from ops.processes import Program

pytestmark = pytest.mark.unit


@pytest.fixture
def world(tmp_path):
    """An environment with the release "one"."""
    world = World(tmp_path)
    world.synthesizes("one")
    assert world.deploys().outcome is Outcome.DEPLOYED
    world.calls.clear()
    world.approved.clear()
    return world


def test_a_good_release_goes_through_every_stack_in_order(world):
    world.synthesizes("two")

    record = world.deploys()

    assert record.outcome is Outcome.DEPLOYED
    assert world.deployed == contents("two")
    assert world.did("apply") == ["x-west", "x-east", "x-routing"]
    assert world.serving == contents("two")
    seen = ("applied", "gate", "share", "release")
    assert [c for c in world.calls if c[0] in seen] == [
        call
        for name in ("x-west", "x-east", "x-routing")
        for call in (
            ("applied", name),
            ("share", name, 0.1),
            ("gate", name, 7),
            ("release", name),
            ("gate", name, 7),
        )
    ]


def test_without_a_share_new_versions_get_all_requests_at_once(world):
    world.synthesizes("two")

    assert world.deploys(share=0).outcome is Outcome.DEPLOYED

    assert world.serving == contents("two")
    assert not world.did("share")
    assert world.did("gate") == world.did("release") == ["x-west", "x-east", "x-routing"]


def test_what_fails_with_a_share_never_gets_all_requests(world):
    world.synthesizes("faulty")

    record = world.deploys()

    assert record.outcome is Outcome.ROLLED_BACK
    assert record.reason.startswith("while 10% of the requests go to new versions of 1 functions: ")
    calls = [c[0] for c in world.calls if c[0] in ("share", "restore", "applied", "release")]
    assert calls == ["applied", "share", "restore", "applied", "release"]
    assert (world.serving, world.shared) == (contents("one"), {})


def test_what_only_all_requests_show_is_rolled_back_too(world):
    world.synthesizes("slow")

    record = world.deploys()

    assert (record.outcome, record.reason) == (Outcome.ROLLED_BACK, "slow")
    assert (world.serving, world.deployed) == (contents("one"), contents("one"))


def test_the_secondary_serves_all_customers_for_a_while_before_the_primary_changes(world):
    world.synthesizes("two")

    assert world.deploys(with_customers=True).outcome is Outcome.DEPLOYED

    assert world.switched_by is None
    seen = ("release", "gate", "move", "back", "apply")
    calls = [c[:2] for c in world.calls if c[0] in seen]
    moved = calls.index(("move", world.deployer().history.last.run))
    assert [c[0] for c in calls[moved - 2 : moved + 4]] == [
        "release", "gate", "move", "gate", "back", "apply",
    ]  # fmt: skip
    assert calls[moved + 3] == ("apply", "x-east")
    assert len(world.did("move")) == 1


def test_what_only_customers_show_is_rolled_back_when_they_are_away(world):
    world.synthesizes(UNDER_LOAD)

    record = world.deploys(with_customers=True)

    assert record.outcome is Outcome.ROLLED_BACK
    assert record.reason == f"while it served all customers: {UNDER_LOAD}"
    assert (world.switched_by, world.deployed) == (None, contents("one"))
    calls = [c[0] for c in world.calls]
    assert calls.index("back") < calls.index("restore")


def test_a_primary_that_somebody_else_has_evacuated_stays_so(world):
    world.synthesizes("two")
    world.switched_by = "somebody"

    record = world.deploys(with_customers=True)

    assert record.outcome is Outcome.ROLLED_BACK
    assert "could not serve all customers: the primary is evacuated" in record.reason
    assert world.switched_by == "somebody"


def test_customers_bake_nothing_without_a_stack_of_the_secondary(world):
    world.synthesizes("two")

    with pytest.raises(UsageError, match=r"no stack .* x-data, x-east"):
        world.deployer().deploy(
            ("x-data", "x-east"), revision="", bake_seconds=0, with_customers=True
        )


REFUSAL = {"Error": {"Code": "InvalidParameterValueException", "Message": "two roles"}}


@pytest.mark.parametrize(
    "error",
    [
        OpsError("InvalidParameterValueException", next_step=""),
        ClientError(REFUSAL, "UpdateAlias"),
        EndpointConnectionError(endpoint_url="InvalidParameterValueException"),
    ],
)
@pytest.mark.parametrize("method", ["share", "release"])
def test_an_alias_that_cannot_be_changed_rolls_the_stack_back(world, method, error):
    world.synthesizes("two")
    deployer = world.deployer()
    original = getattr(deployer.aliases, method)

    def refuses_once(*arguments):
        setattr(deployer.aliases, method, original)
        raise error

    setattr(deployer.aliases, method, refuses_once)
    record = deployer.deploy(NAMES, revision="", bake_seconds=0, share=0.1)

    assert record.outcome is Outcome.ROLLED_BACK
    assert "InvalidParameterValueException" in record.reason
    assert (world.serving, world.shared) == (contents("one"), {})


def test_a_gate_that_aws_refuses_to_answer_does_not_pass(world):
    world.synthesizes("two")
    deployer = world.deployer()
    check, refusals = world.check, [ClientError(REFUSAL, "DescribeAlarms")]

    def refused_once(*arguments):
        if refusals:
            raise refusals.pop()
        return check(*arguments)

    world.check = refused_once
    record = deployer.deploy(["x-west"], revision="", bake_seconds=0)

    assert record.outcome is Outcome.ROLLED_BACK
    assert "DescribeAlarms" in record.reason
    assert world.serving == contents("one")


def test_a_stack_without_changes_is_neither_applied_nor_measured(world):
    record = world.deploys()

    assert record.outcome is Outcome.DEPLOYED
    assert not world.did("apply") + world.did("gate") + world.did("prepare")


def test_the_lock_is_checked_before_each_change(world):
    world.synthesizes("two")
    world.deploys()
    calls = [c[0] for c in world.calls if c[0] in ("check", "apply")]

    assert calls[calls.index("apply") - 1] == "check"
    assert calls.count("check") > calls.count("apply")


@pytest.mark.parametrize("text", ["faulty", "refused"])
@pytest.mark.parametrize("region", REGIONS)
def test_a_stack_that_fails_gets_the_release_before_and_later_ones_are_untouched(
    world, text, region
):
    world.synthesizes("two")
    (world.output / "stacks" / region / "cdk.tf.json").write_text(text)

    record = world.deploys()

    earlier = NAMES[: NAMES.index(region)]
    assert record.outcome is Outcome.ROLLED_BACK
    assert record.steps[region] is Step.ROLLED_BACK
    assert world.deployed == contents("one") | {n: contents("two")[n] for n in earlier}
    assert set(world.did("apply")) == {*earlier, region} - {"x-data"}
    assert "faulty" in record.reason or "BadRequestException" in record.reason
    last = record.gates[-1]
    assert {name: last[name] for name in last if name not in ("begun", "ended")} == {
        "stack": region, "passed": True, "found": "well", "figures": {"seconds": 1.0},
    }  # fmt: skip


def test_without_a_release_before_it_says_so_and_stops(tmp_path):
    world = World(tmp_path)
    world.synthesizes("faulty")
    world.serving["x-west"] = "what another tool deployed"

    record = world.deploys()

    assert record.outcome is Outcome.FAILED
    assert "no release before is kept" in record.reason
    assert world.serving["x-west"] == "what another tool deployed"
    assert world.did("apply") == ["x-data", "x-west"]


def test_what_was_applied_and_never_served_serves_when_it_is_deployed_again(tmp_path):
    # GIVEN a first deployment that fails, so that only the versions before serve again
    world = World(tmp_path)
    world.synthesizes("two")
    world.serving["x-west"] = "what another tool deployed"
    check = world.check
    world.check = lambda stack, *more: (
        GateResult(False, "slow", {}) if stack == "x-west" else check(stack, *more)
    )
    assert world.deploys().outcome is Outcome.FAILED
    assert world.serving["x-west"] == "what another tool deployed"
    world.check = check

    # WHEN the same is deployed again, whose plan has no changes
    world.calls.clear()
    world.approved.clear()
    assert world.deploys().outcome is Outcome.DEPLOYED

    # THEN it is approved, checked and serves
    assert [plan.stack for plan in world.approved[0] if plan.has_unserved] == ["x-west"]
    assert ("share", "x-west", 0.1) in world.calls
    assert world.serving["x-west"] == "x-west two"


def test_what_reads_new_outputs_is_planned_again_and_asked_only_if_it_differs(world):
    world.synthesizes("two")
    world.deploys()
    assert world.did("plan") == list(NAMES)

    world.synthesizes("new outputs")
    world.calls.clear()
    world.approved.clear()
    world.deploys()
    assert world.did("plan") == [*NAMES, "x-east", "x-routing"]
    assert len(world.approved) == 1

    world.synthesizes("newer outputs")
    other = StackPlan("x-east", ())
    asked = []
    deployer = world.deployer()
    deployer.approve = asked.append
    stack = deployer.stack

    def lies_at_first(name):
        found = stack(name)
        plan = found.plan
        if name == "x-east":
            found.plan = lambda *file: plan(*file) if asked else {"resource_changes": []}
        return found

    deployer.stack = lies_at_first
    deployer.deploy(NAMES, revision="", bake_seconds=0)
    assert asked[0][2] == other
    assert [plan.stack for plan in asked[1]] == ["x-east"]


def test_a_refused_approval_changes_nothing(world):
    world.synthesizes("two")
    deployer = world.deployer()

    def refuse(_):
        raise UsageError("not approved", next_step="")

    deployer.approve = refuse
    with pytest.raises(UsageError):
        deployer.deploy(NAMES, revision="", bake_seconds=0)

    assert world.deployed == contents("one")
    assert History.read(world.history).unfinished is None


def test_a_rollback_that_would_destroy_data_is_not_applied(world):
    world.synthesizes("replaced")
    world.deploys()
    world.type = "aws_dynamodb_table"
    world.synthesizes("faulty", data="table")

    record = world.deploys()

    assert record.outcome is Outcome.FAILED
    assert "not rolled back: this release would destroy data" in record.reason
    assert record.steps["x-west"] is Step.FAILED


def test_a_release_that_stops_half_way_is_the_same_release_when_the_rest_is_deployed(world):
    world.synthesizes("two")
    first = world.deployer().deploy(NAMES[:2], revision="", bake_seconds=0, rest=NAMES[2:])

    assert first.outcome is Outcome.DEPLOYED
    assert first.rest == ["x-east", "x-routing"]
    assert world.deployed == contents("one") | {"x-west": "x-west two"}
    world.calls.clear()

    second = world.deploys()

    assert second.release == first.release
    assert world.did("apply") == ["x-east", "x-routing"]
    assert world.deployed == contents("two")


def test_a_second_deployment_is_refused_while_one_is_unfinished(world):
    world.synthesizes("two")
    world.killed_at = 12
    with pytest.raises(KilledError):
        world.deploys()
    world.killed_at = None

    with pytest.raises(OpsError, match=r"begun .* by ") as refused:
        refuse_unfinished("x", History.read(world.history), NAMES)
    with pytest.raises(OpsError):
        world.deploys()

    assert refused.value.exit_code is ExitCode.CHECK_FAILED


def dead(world):
    """The interrupted deployment of another process."""
    history = History.read(world.history)
    history.last.program = Program(NO_PROCESS, 0.0)
    history.write()
    return history.last


class Measuring:
    def __init__(self, world, prepare):
        self.prepare, self.check, self.clean = prepare, world.check, world.clean


def kill_in_the_east(world, **options):
    """A deployment is killed before the second Region changes."""

    def prepare(name):
        if name == "x-east":
            raise KilledError

    deployer = world.deployer()
    deployer.gate = Measuring(world, prepare)
    with pytest.raises(KilledError):
        deployer.deploy(NAMES, revision="", bake_seconds=0, **options)


def test_what_was_interrupted_in_one_region_keeps_nobody_from_deploying_another(world):
    world.synthesizes("two")
    kill_in_the_east(world, with_customers=True)
    world.synthesizes("three")
    world.switched_by = dead(world).run

    # It may be finished as long as that Region is there.
    for names in NAMES, ("x-west", "x-east"):
        with pytest.raises(OpsError, match="was interrupted") as refused:
            world.deployer().deploy(names, revision="", bake_seconds=0)
    assert "deploy only another one with --only" in refused.value.next_step

    record = world.deployer().deploy(["x-west"], revision="", bake_seconds=0)

    assert record.outcome is Outcome.DEPLOYED
    assert world.serving["x-west"] == "x-west three"
    left, last = History.read(world.history).records[-2:]
    assert (left.outcome, left.reason) == (Outcome.FAILED, f"left unfinished by {last.run}")
    assert world.switched_by == left.run
    # When it is back, a release of everything brings what it has missed.
    world.deploys()
    assert world.deployed == contents("three")


def test_what_was_interrupted_in_the_stack_itself_is_finished_or_undone_first(world):
    world.synthesizes("two")
    world.killed_at = 16
    with pytest.raises(KilledError):
        world.deploys()
    world.killed_at = None
    assert dead(world).step("x-west") is Step.APPLIED

    with pytest.raises(OpsError, match="was interrupted"):
        world.deployer().deploy(["x-west"], revision="", bake_seconds=0)


def test_what_was_interrupted_is_not_left_while_it_runs(world):
    world.synthesizes("two")
    world.killed_at = 16
    with pytest.raises(KilledError):
        world.deploys()
    world.killed_at = None

    with pytest.raises(OpsError, match="runs"):
        world.deployer().deploy(["x-east"], revision="", bake_seconds=0)


def test_an_api_that_loses_a_method_is_deployed_once_more(world):
    world.synthesizes("removes put")
    steps = []
    deployer = world.deployer()
    deployer.on_step = steps.append

    assert deployer.deploy(NAMES, revision="", bake_seconds=0).outcome is Outcome.DEPLOYED

    assert all(world.snapshots[name] == world.deployed[name] for name in NAMES[1:])
    assert "Deploying the API of x-west again, without what was removed" in steps
    assert world.did("apply") == [n for n in NAMES[1:] for _ in range(2)]


def test_a_second_plan_that_would_destroy_data_is_not_applied(world):
    world.synthesizes("removes put")
    deployer = world.deployer()
    stack = deployer.stack
    table = {
        "address": "aws_dynamodb_table.data",
        "mode": "managed",
        "type": "aws_dynamodb_table",
        "change": {"actions": ["delete", "create"]},
    }

    replaced = []

    def destroys_data_the_second_time(name):
        found = stack(name)
        plan = found.plan

        def planned(file, replace=()):
            document = plan(file, replace)
            replaced.extend(replace)
            return {"resource_changes": [table]} if replace and len(replaced) == 1 else document

        found.plan = planned
        return found

    deployer.stack = destroys_data_the_second_time
    record = deployer.deploy(NAMES, revision="", bake_seconds=0)

    assert record.outcome is Outcome.ROLLED_BACK
    assert "x-west could not be applied: this release would destroy data" in record.reason
    applied = [c[0] for c in world.calls if c[0] in ("plan", "applied")][len(NAMES) :]
    # Not the second plan of the release, but both of the rollback.
    assert applied == ["applied", "plan", "plan", "applied", "plan", "applied"]


def test_one_stack_gives_new_versions_their_requests_region_by_region(tmp_path):
    world = one_stack(tmp_path, "two")

    assert world.deploys().outcome is Outcome.DEPLOYED

    assert world.serving == dict.fromkeys(REGIONS, "x two")
    seen = ("applied", "gate", "share", "release")
    assert [c for c in world.calls if c[0] in seen] == [
        ("applied", "x"),
        # What has no versions has changed everywhere.
        ("gate", "x", 0),
        *(
            call
            for region in REGIONS
            for call in (
                ("share", region, 0.1),
                ("gate", region, 7),
                ("release", region),
                ("gate", region, 7),
            )
        ),
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_function_in_one_stack_never_serves_in_the_primary(tmp_path, fault):
    world = one_stack(tmp_path, fault)

    assert world.deploys().outcome is Outcome.ROLLED_BACK

    assert not {"x-east"} & {*world.did("share")}
    calls = [c for c in world.calls if c[0] in ("gate", "restore")]
    assert calls.index(("restore", "x-east")) < calls.index(("gate", "x", 0), 1)
    assert (world.serving, world.deployed) == (dict.fromkeys(REGIONS, "x one"), {"x": "x one"})
    assert not world.shared


def test_resume_leaves_what_has_passed_alone(world):
    world.synthesizes("two")
    kill_in_the_east(world)
    world.calls.clear()

    world.deployer().resume()

    assert world.did("plan") == ["x-east", "x-routing"]
    assert world.deployed == contents("two")


@pytest.mark.parametrize("undo", [True, False])
def test_what_gates_of_a_killed_deployment_have_left_is_removed_before_it_continues(world, undo):
    world.synthesizes("two")
    world.killed_at = 20
    with pytest.raises(KilledError):
        world.deploys()
    world.killed_at = None
    world.calls.clear()

    deployer = world.deployer()
    deployer.rollback(bake_seconds=0) if undo else deployer.resume()

    assert len(world.did("clean")) == 1
    names = [call[0] for call in world.calls]
    assert names.index("clean") < names.index("gate")
    world.deployer().rollback(bake_seconds=0)
    assert len(world.did("clean")) == 1


def test_a_deployment_that_was_killed_before_it_changed_anything_is_undone(world):
    world.synthesizes("two")
    deployer = world.deployer()

    def killed(_):
        raise KilledError

    deployer.gate = Measuring(world, killed)
    with pytest.raises(KilledError):
        deployer.deploy(("x-west",), revision="", bake_seconds=0)
    world.approved.clear()

    record = world.deployer().rollback(bake_seconds=0)

    assert (record.outcome, record.targets, world.approved) == (Outcome.DEPLOYED, {}, [])
    history = History.read(world.history)
    assert history.unfinished is None
    assert history.records[-2].outcome is Outcome.ROLLED_BACK
    assert world.deployed == contents("one")
    assert world.deploys().outcome is Outcome.DEPLOYED


def test_another_machine_resumes_and_rolls_back_where_nothing_is_synthesized(tmp_path):
    one, other = World(tmp_path / "one"), World(tmp_path / "other")
    other.history, other.deployed = one.history, one.deployed
    one.synthesizes("one")
    one.deploys()
    one.synthesizes("two")
    one.calls.clear()
    one.killed_at = 14
    with pytest.raises(KilledError):
        one.deploys()

    assert other.deployer().resume().outcome is Outcome.DEPLOYED
    assert one.deployed == contents("two")

    assert other.deployer().rollback(bake_seconds=0).outcome is Outcome.DEPLOYED
    assert one.deployed == contents("one")


def test_releases_that_cannot_be_removed_fail_no_deployment(world):
    deployer, lines = world.deployer(), []

    def refuse(_):
        raise OpsError("the bucket refuses", next_step="")

    deployer.store.prune, deployer.on_step = refuse, lines.append
    world.synthesizes("two")

    record = deployer.deploy(NAMES, revision="abc", bake_seconds=0)

    assert record.outcome is Outcome.DEPLOYED
    assert lines[-1] == "Former releases were not removed: the bucket refuses"


def test_a_release_is_rolled_back_and_forth(world):
    world.synthesizes("two")
    two = world.deploys()

    back = world.deployer().rollback(bake_seconds=0)
    assert (back.outcome, world.deployed) == (Outcome.DEPLOYED, contents("one"))
    assert set(back.targets) == set(NAMES)

    world.deployer().rollback(bake_seconds=0)
    assert world.deployed == contents("two")
    assert world.deployer().history.deployed["x-west"] == two.release


def test_a_rollback_whose_gate_fails_is_not_rolled_back_to_what_was_bad(world):
    world.synthesizes("two")
    world.deploys()
    deployer = world.deployer()
    deployer.gate = Refusing(world)

    record = deployer.rollback(bake_seconds=0)

    assert record.outcome is Outcome.FAILED
    assert world.deployed["x-west"] == "x-west one"


class Refusing:
    def __init__(self, world):
        self.prepare, self.clean = world.prepare, world.clean

    def check(self, stack, bake_seconds, region=""):
        return GateResult(False, "still bad", {})


def test_nothing_to_roll_back_is_an_error_with_the_next_step(tmp_path, world):
    with pytest.raises(UsageError, match="nothing was deployed to x"):
        World(tmp_path / "empty").deployer().rollback(bake_seconds=0)

    world.deploys()
    with pytest.raises(UsageError, match="has changed nothing"):
        world.deployer().rollback(bake_seconds=0)


def test_the_first_release_has_none_before(tmp_path):
    world = World(tmp_path)
    world.synthesizes("one")
    world.deploys()

    with pytest.raises(UsageError, match="no release before is kept of x-data, x-west"):
        world.deployer().rollback(bake_seconds=0)


def test_nothing_to_resume_is_an_error(world):
    with pytest.raises(UsageError, match="no deployment of x is unfinished"):
        world.deployer().resume()


def test_history_says_who_when_and_what(world):
    (record,) = History.read(world.history).records

    assert record.kind == "deploy"
    assert record.revision == "abc"
    assert record.begun <= record.ended
    assert record.counts["x-west"]["global"][Action.CHANGE] == 1
    assert all((record.user, record.host))
    assert set(record.targets.values()) == {record.release}


class TimeOfDay(datetime):
    """One second later whenever it is read."""

    seconds = count()

    @classmethod
    def now(cls, zone=None):
        return datetime(2026, 1, 1, tzinfo=zone) + timedelta(seconds=next(cls.seconds))


def times(record, stack):
    """What a stack came to, in order of time."""
    return [what for what, _ in sorted(record.times[stack].items(), key=lambda each: each[1])]


def test_history_says_when_a_stack_came_to_each_step(world, monkeypatch):
    monkeypatch.setattr(records, "datetime", TimeOfDay)
    world.synthesizes("two")
    world.deploys(with_customers=True)

    (*_, record) = History.read(world.history).records

    assert times(record, "x-east") == [Step.APPLYING, Step.APPLIED, Step.PASSED]
    assert times(record, "x-west") == [
        Step.APPLYING, Step.APPLIED, Moment.CUSTOMERS_MOVED, Moment.CUSTOMERS_BACK, Step.PASSED,
    ]  # fmt: skip
    assert (record.found_after_seconds, record.rolled_back_after_seconds) == (None, None)
    for gate in record.gates:
        assert gate["begun"] < gate["ended"]


def test_history_says_how_long_it_took_to_find_a_fault_and_to_roll_it_back(world, monkeypatch):
    monkeypatch.setattr(records, "datetime", TimeOfDay)
    world.synthesizes(UNDER_LOAD)
    world.deploys(with_customers=True)

    (*_, record) = History.read(world.history).records

    assert times(record, "x-west")[2:] == [
        Moment.CUSTOMERS_MOVED,
        Moment.FOUND,
        Moment.CUSTOMERS_BACK,
        Step.ROLLING_BACK,
        Moment.FORMER_VERSIONS,
        Step.ROLLED_BACK,
    ]
    at = {what: datetime.fromisoformat(when) for what, when in record.times["x-west"].items()}
    assert record.found_after_seconds == (at["found"] - at["applied"]).total_seconds() > 0
    rolled_back = (at["rolled back"] - at["found"]).total_seconds()
    assert record.rolled_back_after_seconds == rolled_back > 0


def test_what_an_apply_finds_has_got_no_requests(world):
    world.synthesizes("refused")

    record = world.deploys()

    assert record.outcome is Outcome.ROLLED_BACK
    assert record.found_after_seconds is None
    assert record.rolled_back_after_seconds is not None


def test_a_history_without_times_is_read(world):
    (record,) = History.read(world.history).records
    record.times.clear()
    for gate in record.gates:
        del gate["begun"], gate["ended"]

    assert (record.found_after_seconds, record.rolled_back_after_seconds) == (None, None)


def test_a_history_that_was_read_before_the_lock_is_read_again(world):
    early = History.read(world.history)
    world.synthesizes("two")
    record = world.deploys()

    early.refresh()

    assert early.records[-1] == record
    assert early.deployed == world.deployer().history.deployed
