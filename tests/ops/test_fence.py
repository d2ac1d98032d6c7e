"""The fence in the operator's tool: when it goes up, where it is written, and who takes it down."""

import argparse
import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_drill import FakeFaultInjection
from fake_environment import EAST, WEST, Canned, environment, sandbox_access
from moto import mock_aws
from table import TABLE

from ops import fence, switch
from ops.cli import switch as switch_cli
from ops.cli import switch_report
from ops.drill import fencing
from ops.drill.aws_faults import SwitchFault
from ops.drill.faults import choose, from_json
from ops.drill.history import History as DrillHistory
from ops.drill.history import Operation
from ops.errors import ExitCode, OpsError, UsageError
from ops.fence import When
from ops.verify import fence as verified
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
FENCED = {"fencing": {"after_seconds": 180}}
KEY = {"pk": {"S": "control"}, "sk": {"S": f"evacuation-{EAST}"}}
LOST = {("dynamodb", EAST): DEAD}
ONLY_EAST = {("dynamodb", WEST): DEAD}


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """The table in both Regions, kept by moto, which does not replicate."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        for region in (EAST, WEST):
            environment().client("dynamodb", region).create_table(TableName="weather", **TABLE)
        yield


def fenced(clients=None, **options):
    return environment(clients, outputs=FENCED, **options)


def held(region):
    """The texts of the item that a replica holds; None if there is none."""
    found = environment().client("dynamodb", region).get_item(TableName="weather", Key=KEY)
    return {name: v["S"] for name, v in found["Item"].items()} if "Item" in found else None


def hold(region, **texts):
    item = KEY | {name: {"S": text} for name, text in texts.items()}
    environment().client("dynamodb", region).put_item(TableName="weather", Item=item)


def seconds_until(text):
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def test_it_goes_up_once_dns_has_moved_and_is_written_where_it_counts():
    change = switch.evacuate(fenced(), EAST, reason="fire", fence_from=When.AFTER_DNS)

    assert held(EAST) == held(WEST)
    assert 170 < seconds_until(held(EAST)["fence_after"]) <= 180
    assert change.fence.is_up is False
    assert str(change.fence).startswith("writes will be refused in us-east-1 from 20")
    # AND it is the evacuation of the others that counts
    assert change.after.replicas == (WEST,)


def test_it_follows_the_speed_of_a_sandbox():
    found = fenced(sandbox=sandbox_access(speed=20))
    switch.evacuate(found, EAST, fence_from=When.AFTER_DNS)

    assert seconds_until(held(EAST)["fence_after"]) <= 9


def test_at_once_it_is_up_now():
    change = switch.evacuate(fenced(), EAST, fence_from=When.NOW)

    assert seconds_until(held(EAST)["fence_after"]) <= 0
    assert change.fence.is_up
    assert str(change.fence).startswith("writes are refused in us-east-1 since ")


def test_never_writes_nothing_into_the_regions_own_replica():
    change = switch.evacuate(fenced(), EAST, fence_from=When.NEVER)

    assert held(EAST) is None
    assert "fence_after" not in held(WEST)
    assert change.fence is None


def test_without_the_setting_nothing_is_fenced():
    change = switch.evacuate(environment(), EAST, fence_from=When.AFTER_DNS)

    assert held(EAST) is None
    assert "fence_after" not in held(WEST)
    assert change.fence is None
    with pytest.raises(UsageError, match="does not fence writes"):
        switch.evacuate(environment(), WEST, fence_from=When.NOW)


def test_a_lost_region_is_evacuated_all_the_same_and_the_fence_is_not_known():
    change = switch.evacuate(fenced(LOST), EAST, reason="fire", fence_from=When.NOW)

    assert change.changed
    assert change.after.evacuated
    assert change.fence.is_up is None
    assert "could not reach us-east-1: whether writes are refused there is not known" in str(
        change.fence
    )
    # AND replication takes it there, if there is any
    assert held(WEST)["fence_after"]


def test_the_evacuation_of_somebody_else_is_left_alone_in_every_replica():
    first = switch.evacuate(fenced(), EAST, reason="fire", fence_from=When.AFTER_DNS).after
    again = switch.evacuate(fenced(), EAST, reason="flood", fence_from=When.NOW)

    assert not again.changed
    assert held(EAST)["reason"] == held(WEST)["reason"] == "fire"
    assert held(EAST)["fence_after"] == first.fence_after


def test_restoring_takes_it_down():
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)

    change = switch.restore(fenced(), EAST)

    assert held(EAST) is held(WEST) is None
    assert change.fence.is_up is False
    assert str(change.fence) == "writes are not refused in us-east-1"


def test_restoring_while_the_region_is_out_of_reach_says_so():
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)

    change = switch.restore(fenced(LOST), EAST)

    assert change.changed
    assert change.fence.is_up is None
    assert held(EAST)


def test_restoring_leaves_the_fence_of_another_evacuation():
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)
    hold(EAST, writer="switch-2", fence_after="2026-01-01T00:00:00+00:00")

    assert switch.restore(fenced(), EAST).fence.is_up
    assert held(EAST)["writer"] == "switch-2"


def test_the_fence_ends_with_an_evacuation_that_expires():
    hold(EAST, fence_after="2026-01-01T00:00:00+00:00", expires_at="2026-01-02T00:00:00+00:00")

    assert fence.read(fenced(), EAST).is_up is False
    assert fence.read(environment(), EAST) is None


@pytest.mark.parametrize("when", [When.NOW, When.AFTER_DNS])
def test_a_fence_is_put_up_later_and_who_evacuated_the_region_stays(when):
    before = switch.evacuate(fenced(), EAST, reason="fire", expires_in=timedelta(hours=1)).after
    assert held(EAST) is None

    state = fence.change(fenced(), EAST, when)

    assert state.is_up is (when is When.NOW)
    after = switch.status(fenced(), EAST)
    assert after.fence_after == state.starts_at
    for name in ("evacuated_at", "evacuated_by", "reason", "writer", "expires_at"):
        assert getattr(after, name) == getattr(before, name)
    assert held(EAST) == held(WEST)


def test_a_fence_is_taken_down_while_the_region_stays_evacuated():
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)

    assert fence.change(fenced(), EAST, When.NEVER).is_up is False
    assert switch.status(fenced(), EAST).evacuated
    assert "fence_after" not in held(EAST)
    assert "fence_after" not in held(WEST)


def test_it_is_taken_down_while_every_other_region_is_lost():
    """The one Region that is left accepts writes again, though nobody can restore it."""
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)
    with pytest.raises(OpsError):
        switch.restore(fenced(ONLY_EAST), EAST)

    assert fence.change(fenced(ONLY_EAST), EAST, When.NEVER).is_up is False
    assert "fence_after" not in held(EAST)


def test_a_region_that_is_not_evacuated_cannot_be_fenced():
    with pytest.raises(OpsError, match="us-east-1 is not evacuated") as error:
        fence.change(fenced(), EAST, When.NOW)
    assert error.value.exit_code == ExitCode.CHECK_FAILED
    assert "switch evacuate us-east-1" in error.value.next_step
    assert held(EAST) is held(WEST) is None


def test_of_two_evacuations_that_replication_has_not_joined_both_are_fenced_as_they_are():
    hold(EAST, writer="switch-1", reason="fire")
    hold(WEST, writer="switch-2", reason="flood")

    assert fence.change(fenced(), EAST, When.NOW).is_up
    assert [held(region)["reason"] for region in (EAST, WEST)] == ["fire", "flood"]
    assert all(held(region)["fence_after"] for region in (EAST, WEST))


def test_a_fence_is_not_changed_of_an_evacuation_that_followed():
    """It was read, then another took its place."""
    switch.evacuate(fenced(), EAST)
    dynamodb = environment().client("dynamodb", WEST)

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        hold(WEST, writer="switch-2")
        return found

    racing = {("dynamodb", WEST): Canned(get_item=get_item, put_item=dynamodb.put_item)}
    fence.change(fenced(racing), EAST, When.NOW)

    assert held(WEST) == {"pk": "control", "sk": f"evacuation-{EAST}", "writer": "switch-2"}


@pytest.mark.parametrize(
    ("put_item", "why"), [(DEAD, "us-west-2: .*dead"), (None, "somebody else has changed")]
)
def test_a_change_that_no_replica_takes_is_an_error(put_item, why):
    switch.evacuate(fenced(), EAST)
    dynamodb = environment().client("dynamodb", WEST)

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        hold(WEST, writer="switch-2")
        return found

    west = Canned(get_item=get_item, put_item=put_item or dynamodb.put_item)
    with pytest.raises(OpsError, match=why) as error:
        fence.change(fenced(LOST | {("dynamodb", WEST): west}), EAST, When.NOW)
    assert error.value.exit_code == ExitCode.CHECK_FAILED


def test_without_a_replica_that_responds_the_error_names_both():
    with pytest.raises(OpsError, match=r"could not be read in any Region: us-east-1: .*us-west-2:"):
        fence.change(fenced(LOST | ONLY_EAST), EAST, When.NOW)


def test_a_leftover_in_the_regions_own_replica_is_removed_and_nothing_else_is():
    assert fence.take_down_leftover(fenced(), EAST) is None
    hold(EAST, writer="switch-1", fence_after="2026-01-01T00:00:00+00:00")
    assert fence.read(fenced(), EAST).is_up
    assert fence.take_down_leftover(fenced(), EAST).is_up is False
    assert held(EAST) is None

    switch.evacuate(fenced(), EAST, fence_from=When.NOW)
    assert fence.take_down_leftover(fenced(), EAST) is None
    assert held(EAST)


def test_no_leftover_is_removed_if_no_other_region_says_that_it_is_one():
    """Replication would take the deletion of an evacuation that counts to them."""
    switch.evacuate(fenced(), EAST, fence_from=When.NOW)

    assert fence.take_down_leftover(fenced(ONLY_EAST), EAST) is None
    assert held(EAST)


def test_that_a_region_is_not_evacuated_is_not_said_of_regions_that_were_not_read():
    with pytest.raises(OpsError, match="is not evacuated as far as is known, without us-west-2,"):
        fence.change(fenced(ONLY_EAST), EAST, When.NOW)


def test_a_drill_of_the_switch_fences_after_dns_as_an_operator_does():
    SwitchFault(id="drill-1", region=EAST).inject(fenced())

    assert 170 < seconds_until(held(EAST)["fence_after"]) <= 180
    assert SwitchFault(id="drill-1", region=EAST).clear(fenced())
    assert held(EAST) is None


# verify


def verdict(found):
    (finding,) = verified.state.run(found)[:1]
    return finding.outcome, finding.unreadable, finding.found, finding.fix


def test_verify_says_nothing_without_the_setting():
    assert verified.state.run(environment()) == ()


def test_verify_passes_a_fence_that_is_as_its_evacuation_says():
    assert verdict(fenced())[0] is Outcome.PASSED
    for when in When:
        switch.evacuate(fenced(), EAST, fence_from=when)
        assert verdict(fenced())[0] is Outcome.PASSED, when
        switch.restore(fenced(), EAST)


def test_verify_finds_a_region_in_service_that_refuses_writes():
    hold(EAST, writer="switch-1", fence_after="2026-01-01T00:00:00+00:00")

    outcome, _, found, fix = verdict(fenced())
    assert outcome is Outcome.FAILED
    assert "no other Region does: writes are refused in us-east-1 since 2026-01-01" in found
    assert "switch restore us-east-1" in fix


def test_verify_finds_an_evacuated_region_that_accepts_writes():
    hold(WEST, writer="switch-1", fence_after="2026-01-01T00:00:00+00:00")

    outcome, _, found, fix = verdict(fenced())
    assert outcome is Outcome.FAILED
    assert "writes are not refused in us-east-1" in found
    assert "switch fence us-east-1 now" in fix


def test_verify_does_not_know_of_a_region_out_of_reach():
    outcome, unreadable, found, _ = verdict(fenced(LOST))
    assert (outcome, unreadable) == (Outcome.UNKNOWN, True)
    assert "could not reach us-east-1" in found


# The command


@pytest.fixture
def run(monkeypatch, capsys):
    """The command as it is typed, on an environment."""

    def run(found, *arguments):
        monkeypatch.setattr(switch_cli, "environment_from", lambda _: found)
        monkeypatch.setattr(switch_cli, "identified", lambda *_, **__: Identity())
        monkeypatch.setattr(switch_cli, "_require_takeover", lambda *_, **__: None)
        monkeypatch.setattr(switch_cli, "_interrupt_drill", lambda *_: None)
        monkeypatch.setattr(switch_cli, "print_timing", lambda *_: None)
        parser = argparse.ArgumentParser()
        switch_cli.add_to(parser.add_subparsers())
        options = parser.parse_args(["switch", *arguments, "--environment", found.name])
        result = options.run(options)
        return result, " ".join(capsys.readouterr().out.split())

    return run


class Identity:
    """In the place of STS's answer."""

    def to_json(self):
        return {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "Writes will be refused in us-east-1 from"),
        (["--fence", "after-dns"], "Writes will be refused in us-east-1 from"),
        (["--fence", "now"], "Writes are refused in us-east-1 since"),
        (["--force", EAST, "--fence", "now"], "Writes are refused in us-east-1 since"),
    ],
)
def test_evacuate_prints_when_writes_are_refused(run, options, expected):
    result, printed = run(fenced(), "evacuate", EAST, "--yes", *options)

    assert expected in printed
    assert result.members["fence"]["fence_after"] == held(EAST)["fence_after"]


@pytest.mark.parametrize("options", [["--fence", "never"], ["--force", EAST]])
def test_a_forced_evacuation_leaves_the_region_writable_as_it_may_be_the_last(run, options):
    _, printed = run(fenced(), "evacuate", EAST, "--yes", *options)

    assert "efused" not in printed
    assert held(EAST) is None


def test_a_region_that_is_evacuated_already_keeps_its_fence_and_the_way_to_change_it_is_named(run):
    run(fenced(), "evacuate", EAST, "--yes", "--fence", "never")

    result, printed = run(fenced(), "evacuate", EAST, "--yes", "--fence", "now")

    assert "nothing was changed. Writes are not refused in us-east-1." in printed
    assert "python -m ops switch fence us-east-1 now --environment production" in printed
    assert result.members["changed"] is False
    assert held(EAST) is None


def test_fence_without_the_setting_is_refused_before_anything_is_evacuated(run):
    for arguments in (["evacuate", EAST, "--yes", "--fence", "now"], ["fence", EAST, "now"]):
        with pytest.raises(UsageError, match="does not fence writes"):
            run(environment(), *arguments)
    assert held(WEST) is None


def test_fence_changes_it_and_status_shows_it(run):
    run(fenced(), "evacuate", EAST, "--yes", "--fence", "never")
    _, printed = run(fenced(), "status")
    assert "Writes are not refused in us-east-1." in printed
    assert "us-west-2." not in printed.partition("Writes")[2]

    result, printed = run(fenced(), "fence", EAST, "now", "--yes")
    assert "Writes are refused in us-east-1 since" in printed
    assert result.members["fence"]["is_up"] is True

    result, printed = run(fenced(), "status")
    assert "Writes are refused in us-east-1 since" in printed
    assert result.members["fences"][EAST]["is_up"] is True
    assert result.members["fences"][WEST] == {"is_up": False, "fence_after": "", "error": ""}


def test_status_shows_a_region_out_of_reach_and_one_in_service_that_refuses_writes(run):
    _, printed = run(fenced(LOST), "status")
    assert "Could not reach us-east-1: whether writes are refused there is not known" in printed

    hold(EAST, writer="switch-1", fence_after="2026-01-01T00:00:00+00:00")
    _, printed = run(fenced(), "status")
    assert "us-east-1 of production is not evacuated" in printed
    assert "Writes are refused in us-east-1 since 2026-01-01" in printed


def test_restore_removes_what_the_regions_own_replica_alone_still_has(run):
    hold(EAST, writer="switch-1", fence_after="2026-01-01T00:00:00+00:00")

    result, printed = run(fenced(), "restore", EAST, "--yes")

    assert "its own replica had an evacuation, which was deleted there" in printed
    assert result.members["changed"] is True
    assert held(EAST) is None


def test_status_of_an_environment_without_a_fence_prints_nothing_of_it(run):
    run(environment(), "evacuate", EAST, "--yes")
    result, printed = run(environment(), "status")

    assert "efused" not in printed
    assert result.members["fences"] == {}
    assert switch_report.print_fence(None) is None


# --- In drills


@pytest.fixture
def sandbox(tmp_path):
    return fenced(
        sandbox=sandbox_access(speed=20), fault_injection=FakeFaultInjection(), folder=tmp_path
    )


FENCING_FAULTS = ["switch", "partition", "replication-paused"]


@pytest.mark.parametrize("name", FENCING_FAULTS)
def test_a_drill_fences_its_region_and_takes_the_fence_down_with_the_fault(sandbox, name):
    fault = choose(sandbox, name, "drill-1", {}, fence=True)
    fault.inject(sandbox)
    assert not fence.read(sandbox, EAST).is_up

    said = fault.put_up_fence(sandbox)

    assert said.startswith("writes are refused in us-east-1 since ")
    assert fence.read(sandbox, EAST).is_up
    assert held(EAST)["writer"] == held(WEST)["writer"] == "drill-1"
    assert fault.is_injected(sandbox)
    # AND whoever restores it after the drill was killed has the journal alone
    assert from_json(json.loads(json.dumps(fault.to_json()))).clear(sandbox)
    assert held(EAST) is held(WEST) is None
    assert not fault.is_injected(sandbox)
    assert not sandbox.fault_injection.faults()


def test_a_fence_that_was_never_put_up_is_cleared_with_a_partition(sandbox):
    fault = choose(sandbox, "partition", "drill-1", {}, fence=True)
    fault.inject(sandbox)

    assert fault.clear(sandbox)
    assert not fault.clear(sandbox)
    assert "aws dynamodb delete-item" in fault.by_hand(sandbox)


def test_a_region_that_has_failed_over_is_fenced_by_its_own_item(sandbox):
    fault = choose(sandbox, "partition", "drill-1", {}, fence=True)
    switch.evacuate(sandbox, EAST, writer="observer", kind="failover")

    assert fault.put_up_fence(sandbox).startswith("writes are refused in us-east-1 since ")
    assert held(EAST)["writer"] == held(WEST)["writer"] == "observer"
    # AND it is not the drill's to restore
    assert not fault.clear(sandbox)
    assert held(WEST)["kind"] == "failover"


def test_a_drill_without_a_fence_leaves_the_partition_to_its_region(sandbox):
    fault = choose(sandbox, "partition", "drill-1", {})
    switch.evacuate(sandbox, EAST, writer="drill-1")

    assert not fault.is_injected(sandbox)
    assert not fault.clear(sandbox)
    assert "delete-item" not in fault.by_hand(sandbox)


@pytest.mark.parametrize("name", ["refuse", "region-loss", "health-concurrency", "sts"])
def test_a_region_that_nobody_writes_to_is_not_fenced(sandbox, name):
    with pytest.raises(OpsError, match=f"--fault {name} has no --fence") as refused:
        choose(sandbox, name, "drill-1", {}, fence=True)

    assert "switch, fis-replication-paused, partition, replication-paused" in (
        refused.value.next_step
    )


@pytest.mark.parametrize("name", FENCING_FAULTS)
def test_a_drill_with_a_fence_needs_an_environment_that_has_one(tmp_path, name):
    without = environment(
        sandbox=sandbox_access(), fault_injection=FakeFaultInjection(), folder=tmp_path
    )

    with pytest.raises(OpsError, match="does not fence writes") as refused:
        choose(without, name, "drill-1", {}, fence=True)
    assert "fence_writes = true" in refused.value.next_step


def operation(at, status=201, region=EAST):
    result = "acknowledged" if status < 300 else "unknown"
    return Operation("inside", "put", "a", 1.0, at, at + 0.1, result, region, status)


def history_of(*operations):
    return DrillHistory(
        environment="local", started="now", fault="partition", regions=(EAST, WEST), lost=(EAST,),
        taking_over=(WEST,), isolated=(EAST,), discarded=(), speed=1.0, lost_after_seconds=30.0,
        operations=operations,
        marks={"injecting": 1.0, "cut-over": 10.0, "fenced": 11.0, "restoring": 30.0},
    )  # fmt: skip


def test_a_drill_counts_what_was_acknowledged_and_refused_after_the_cut_over():
    found = fencing.fenced(
        history_of(
            operation(5.0), operation(9.0, 503), operation(10.5), operation(11.5),
            operation(14.0, 503), operation(15.0, 503), operation(15.5, 503, WEST),
            operation(31.0, 503),
        ),
        [EAST],
        ["writes are refused in us-east-1 since now"],
    )  # fmt: skip

    assert (found.after_cut_over, found.acknowledged, found.refused) == (2, 0, 2)
    assert found.problems == []
    assert found.in_words() == [
        "Fence: writes are refused in us-east-1 since now.",
        "After the cut-over, us-east-1 acknowledged 2 writes and refused 2.",
    ]


def test_a_fence_that_lets_writes_through_fails_a_drill():
    leaky = fencing.fenced(history_of(operation(14.0), operation(15.0, 503)), [EAST], [])
    silent = fencing.fenced(history_of(operation(5.0)), [EAST], [])

    assert leaky.problems == [
        "1 writes were acknowledged in us-east-1 more than 2 s after it was fenced"
    ]
    assert silent.problems == ["no write was refused in us-east-1, which was fenced"]
