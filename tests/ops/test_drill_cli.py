"""`python -m ops drill`: what it refuses, and that a real environment is safe from a slip."""

import argparse
import errno
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import fake_environment
import pytest
from fake_drill import FakeLocks

from ops.cli import drill as cli
from ops.cli import restore as restore_cli
from ops.drill import history as histories
from ops.drill.aws_faults import SwitchFault
from ops.drill.consistency import before_reconciliation, check
from ops.drill.credentials import require_lifetime
from ops.drill.expectation import expect
from ops.drill.history import History, Operation, Seen
from ops.drill.interrupts import ENDING, Interrupts
from ops.drill.load import Load
from ops.drill.restore import Plan, Restored, Step
from ops.drill.spending import KeyLimits
from ops.errors import ExitCode, OpsError
from ops.verify import ABOUT_CAPACITY, Verification
from ops.verify.finding import failed, unreadable

pytestmark = pytest.mark.unit


QUOTA = KeyLimits("us-east-1", 50.0, 100_000, "MONTH", 90_000)


def found_by(check, made=failed):
    finding = replace(made("us-west-2", f"{check} is too small", "raise it"), check=check)
    return Verification("production", "2026-11-28T00:00:00+00:00", 1.0, (finding,))


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    cli.add_to(parser.add_subparsers())
    return lambda *arguments: parser.parse_args(["drill", *arguments])


@pytest.fixture
def on_aws(monkeypatch, tmp_path):
    """An environment on AWS that no test may touch."""
    environment = fake_environment.environment(folder=tmp_path)
    expectation = expect(interval_seconds=30, failure_threshold=3, ttl_seconds=60, probe_seconds=6)
    monkeypatch.setattr(cli, "environment_from", lambda _: environment)
    monkeypatch.setattr(cli, "identified", lambda _: None)
    monkeypatch.setattr(
        cli,
        "choose",
        lambda *_, region, fence: SwitchFault(id="drill-1", region=region, fence=fence),
    )
    monkeypatch.setattr(cli, "expectation_of", lambda *_: expectation)
    monkeypatch.setattr(cli.quota, "limits", lambda _: [QUOTA])
    monkeypatch.setattr(cli.quota, "require_unthrottled", lambda *_: None)
    monkeypatch.setattr(cli, "verify", lambda _: pytest.fail("it was touched"))
    monkeypatch.setattr(cli, "Drill", lambda *_, **__: pytest.fail("it was touched"))
    monkeypatch.setattr(cli, "hold", lambda *_, **__: nullcontext(FakeLocks().held("drill-1")))
    return ["--environment", "production", "--folder", str(tmp_path), "--fault", "switch"]


def test_without_execute_nothing_is_done_and_all_is_printed(parse, on_aws, capsys):
    options = parse(*on_aws)

    assert options.run(options) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "In production, this will evacuate us-east-1" in printed
    assert "Expected cut-over, as no request fails: at most 156 s = 30 s interval x 3" in printed
    assert "requests of the customer operator in each Region; quota: 90000 of 100000" in printed
    assert "Dry run: nothing was done" in printed
    assert "--execute" in printed


@pytest.fixture
def planned(parse, on_aws, monkeypatch, capsys):
    """What a drill would do in an environment of three Regions, or why it is refused."""
    monkeypatch.undo()
    three = ["us-east-1", "us-west-2", "eu-west-1"]
    by_region = dict.fromkeys(three, "x")
    ids = {region: {"observer": "x"} for region in three}
    evacuation = {**fake_environment.OUTPUTS["evacuation"], "health_check_ids": ids}
    expectation = expect(interval_seconds=30, failure_threshold=3, ttl_seconds=60, probe_seconds=6)

    def plan(routing_policy, *arguments, weights=None):
        environment = fake_environment.environment(
            outputs={
                "regions": three, "routing_policy": routing_policy, "weights": weights,
                "endpoint_health_check_ids": by_region, "evacuation": evacuation,
                "health_functions": by_region,
            }
        )  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(cli, "environment_from", lambda _: environment)
            patched.setattr(cli, "identified", lambda _: None)
            patched.setattr(cli, "expectation_of", lambda *_: expectation)
            patched.setattr(cli.quota, "limits", lambda _: [QUOTA])
            options = parse(*on_aws, *arguments)
            assert options.run(options) == ExitCode.PASSED
        return capsys.readouterr().out

    return plan


def lost(*regions):
    return [word for region in regions for word in ("--region", region)]


@pytest.mark.parametrize("count", [1, 2])
def test_what_precedes_the_fault_takes_its_time_in_each_region(parse, on_aws, monkeypatch, count):
    environment = cli.environment_from(None)
    regions = environment.regions[:count]
    expectation = replace(cli.expectation_of(), preceding_seconds=420)
    monkeypatch.setattr(cli, "expectation_of", lambda *_: expectation)
    monkeypatch.setattr(cli, "_regions", lambda *_: regions)
    monkeypatch.setattr(SwitchFault, "fails_requests", True)

    _, found = cli._chosen(environment, parse(*on_aws), "drill-1")

    assert found.preceding_seconds == 420 * count


@pytest.mark.parametrize("routing_policy", ["latency", "weighted"])
def test_where_no_region_is_the_primary_the_one_to_lose_is_named(planned, routing_policy):
    with pytest.raises(
        OpsError, match=f"no primary Region: its routing policy is {routing_policy}"
    ):
        planned(routing_policy)


def test_the_plan_says_who_is_to_move_and_who_is_not_to_notice(planned):
    assert "evacuate us-east-1, which takes it out of service, and evacuate eu-west-1" in planned(
        "failover", *lost("eu-west-1", "us-east-1")
    )
    printed = planned("latency", *lost("us-west-2"))
    assert "Expected cut-over, as no request fails: at most 156 s" in printed
    assert "Not to notice: customers next to us-east-1." in printed
    assert "Not to notice: customers next to eu-west-1." in printed
    assert "next to us-west-2" not in printed


@pytest.mark.parametrize(
    ("routing_policy", "weights", "region"),
    [
        ("failover", None, "us-west-2"),
        ("weighted", {"us-east-1": 1, "us-west-2": 1, "eu-west-1": 0}, "eu-west-1"),
    ],
)
def test_the_plan_says_that_a_region_without_customers_moves_nobody(
    planned, routing_policy, weights, region
):
    printed = planned(routing_policy, *lost(region), weights=weights)

    assert f"{region} should serve no customers now: nobody is to notice" in printed
    assert "RTO" not in printed


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        (["us-east-2"], "us-east-2 is not a Region of production"),
        (["us-east-1", "us-east-1"], "duplicate --region"),
        (["us-east-1", "us-west-2", "eu-west-1"], "takes none out of service"),
    ],
)
def test_regions_that_cannot_be_lost_are_refused(planned, regions, reason):
    with pytest.raises(OpsError, match=reason) as caught:
        planned("failover", *lost(*regions))
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_restore_takes_no_region(parse):
    options = parse("--environment", "production", "--restore", "--region", "us-east-1")

    with pytest.raises(OpsError, match="--restore takes no --region"):
        options.run(options)


def test_what_aws_would_be_asked_for_is_printed_first(parse, on_aws, capsys, monkeypatch):
    monkeypatch.setattr(SwitchFault, "details", lambda *_: ("Experiment template EXT1: 0.10",))
    options = parse(*on_aws)

    assert options.run(options) == ExitCode.PASSED
    assert "Experiment template EXT1: 0.10" in capsys.readouterr().out


def test_without_somebody_to_confirm_nothing_is_done(parse, on_aws):
    options = parse(*on_aws, "--execute")

    with pytest.raises(OpsError, match="not confirmed") as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("typed", "goes_on"), [("production", True), ("staging", False), ("", False), ("yes", False)]
)
def test_the_environments_name_is_to_be_typed(parse, on_aws, monkeypatch, typed, goes_on):
    options = parse(*on_aws, "--execute")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: typed)
    verified = []
    refused = found_by("replica.status")
    monkeypatch.setattr(cli, "verify", lambda _: verified.append(1) or refused)

    if goes_on:
        assert options.run(options) == ExitCode.CHECK_FAILED
    else:
        with pytest.raises(OpsError, match="not confirmed"):
            options.run(options)
    assert bool(verified) == goes_on


def test_a_drill_that_a_customers_quota_would_stop_is_refused(parse, on_aws, monkeypatch):
    monkeypatch.setattr(
        cli.quota, "limits", lambda _: [KeyLimits("us-east-1", 50.0, 100, "DAY", 99)]
    )
    options = parse(*on_aws, "--execute", "--yes")

    with pytest.raises(OpsError, match="the quota is not enough: 99 of 100 a day left"):
        options.run(options)


@pytest.mark.parametrize("arguments", [[], ["--fault", "switch", "--restore"]])
def test_either_a_fault_or_the_restore(parse, arguments):
    options = parse("--environment", "production", *arguments)

    with pytest.raises(OpsError) as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "flood"],
        ["--fault", "gray-failure", "--share", "0"],
        ["--fault", "gray-failure", "--share", "1.1"],
        ["--fault", "gray-failure", "--share", "nan"],
        ["--fault", "slow", "--delay-seconds", "301"],
        ["--fault", "table", "--error", "replication"],
        ["--fault", "error", "--status", "404"],
        ["--fault", "refuse", "--max-rto-seconds", "-1"],
        ["--fault", "refuse", "--max-lost-writes", "-1"],
        ["--fault", "refuse", "--load", "0"],
        ["--fault", "refuse", "--load", "501"],
        ["--fault", "refuse", "--load", "nan"],
        ["--fault", "refuse", "--load", "1", "--profile", "surge"],
        ["--fault", "refuse", "--load", "1", "--max-failed-share", "1.1"],
    ],
)
def test_a_wrong_value_is_wrong_usage(parse, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)

    assert caught.value.code == ExitCode.USAGE
    assert arguments[-2] in capsys.readouterr().err


@pytest.fixture
def restoring(monkeypatch, tmp_path):
    """What `--restore` would do, on AWS or in a sandbox, and whether it was done."""
    steps = (Step("release the switch", lambda: "", "aws dynamodb delete-item"),)
    found = SimpleNamespace(plan=Plan((), steps, ("the switch of bob",)), done=[])

    def restore(*_):
        found.done.append(1)
        return Restored(["released the switch"], [], [])

    def at(**changes):
        environment = fake_environment.environment(folder=tmp_path, **changes)
        monkeypatch.setattr(cli, "environment_from", lambda _: environment)
        return ["--environment", environment.name, "--folder", str(tmp_path), "--restore"]

    monkeypatch.setattr(restore_cli, "identified", lambda _: None)
    monkeypatch.setattr(restore_cli, "plan", lambda *_, **__: found.plan)
    monkeypatch.setattr(restore_cli, "restore", restore)
    monkeypatch.setattr(restore_cli, "hold", lambda *_, **__: nullcontext())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    found.at = at
    return found


def test_on_aws_a_restore_shows_first_what_it_would_do(parse, restoring, capsys):
    options = parse(*restoring.at())

    assert options.run(options) == ExitCode.PASSED
    assert restoring.done == []
    out = capsys.readouterr().out
    assert "- release the switch" in out
    assert "Dry run: nothing was done. To do it, give --execute." in out
    assert "Left as it is, for no such drill has done it: the switch of bob" in out


def test_on_aws_a_restore_asks_for_confirmation(parse, restoring):
    options = parse(*restoring.at(), "--execute")

    with pytest.raises(OpsError, match="not confirmed"):
        options.run(options)
    assert restoring.done == []


@pytest.mark.parametrize(
    ("changes", "arguments"),
    [({}, ["--execute", "--yes"]), ({"sandbox": fake_environment.sandbox_access()}, [])],
)
def test_a_confirmed_restore_and_one_in_a_sandbox_are_done(
    parse, restoring, changes, arguments, capsys
):
    options = parse(*restoring.at(**changes), *arguments)

    assert options.run(options) == ExitCode.PASSED
    assert restoring.done == [1]
    assert "Done: released the switch" in capsys.readouterr().out


def test_what_is_not_restored_fails_and_names_the_way_out(parse, restoring, monkeypatch, capsys):
    failed = Restored([], ["release the switch: denied"], ["aws dynamodb delete-item"])
    monkeypatch.setattr(restore_cli, "restore", lambda *_: failed)
    options = parse(*restoring.at(), "--execute", "--yes")

    result = options.run(options)

    assert result == ExitCode.CHECK_FAILED
    assert result.members["failed"] == ["release the switch: denied"]
    assert result.members["finish"] == ["aws dynamodb delete-item"]
    printed = capsys.readouterr().out
    assert "NOT RESTORED: release the switch: denied" in printed
    assert "Finish with: aws dynamodb delete-item" in printed


def test_without_the_secondary_region_a_restore_names_what_can_be_done_by_hand(
    parse, restoring, monkeypatch, capsys
):
    def down(*_, **__):
        raise OpsError("DynamoDB in us-west-2 failed", next_step="wait")

    monkeypatch.setattr(restore_cli, "hold", down)
    options = parse(*restoring.at(), "--execute", "--yes")

    with pytest.raises(OpsError, match="DynamoDB in us-west-2 failed"):
        options.run(options)
    assert "To release the switch by hand: aws dynamodb delete-item" in capsys.readouterr().out


@pytest.mark.parametrize("location", ["drill-", "berlin", "drill-0000cafe/..", "drill-0000CAFE"])
def test_only_a_location_of_a_drill_can_be_named(parse, location, capsys):
    with pytest.raises(SystemExit):
        parse("--restore", "--location", location)
    assert "drill- and eight digits" in capsys.readouterr().err


def test_a_report_that_could_not_be_written_stops_a_drill_before_it_injects(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", raising(OSError(errno.ENOSPC, "No space left on device")))

    with (
        pytest.raises(OpsError, match="No space left on device: nothing was injected") as caught,
        cli._space_for_a_report(tmp_path / "drills"),
    ):
        pytest.fail("a drill began")
    assert "--report-folder" in caught.value.next_step
    assert [*(tmp_path / "drills").iterdir()] == []


def test_the_space_that_is_kept_for_a_report_is_no_file_that_a_killed_drill_leaves(tmp_path):
    with cli._space_for_a_report(tmp_path):
        assert [*tmp_path.iterdir()] == []


def raising(error):
    def function(*_, **__):
        raise error

    return function


class Session:
    def __init__(self, **expiry):
        self.expiry = expiry

    def get_credentials(self):
        return SimpleNamespace(get_frozen_credentials=lambda: None, **self.expiry)


@pytest.mark.parametrize(("minutes", "is_refused"), [(5, True), (30, False), (None, False)])
def test_credentials_must_last_as_long_as_the_drill_may_take(minutes, is_refused):
    expiry = minutes and datetime.now(UTC) + timedelta(minutes=minutes)
    environment = fake_environment.environment(session=Session(_expiry_time=expiry))

    if not is_refused:
        require_lifetime(environment, 900)
        return
    with pytest.raises(OpsError, match="the drill may take 900 s: nothing was injected") as caught:
        require_lifetime(environment, 900)
    assert "sign in again" in caught.value.next_step


def test_credentials_without_an_expiry_are_accepted():
    require_lifetime(fake_environment.environment(session=Session()), 900)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_interrupts_and_no_other_one_does(number):
    lines = []

    with Interrupts(lines.append), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    with Interrupts(lines.append):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        for again in ENDING:
            signal.raise_signal(again)

    assert len(lines) == len(ENDING)


def test_a_postponed_signal_interrupts_nothing_though_it_cannot_be_printed():
    with Interrupts(raising(OSError(errno.EIO, "EIO"))) as interrupts:
        interrupts.postpone()
        for number in ENDING:
            signal.raise_signal(number)


def test_a_signal_that_the_caller_ignores_is_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_history_is_judged_without_an_environment(parse, tmp_path, capsys):
    path = tmp_path / histories.FILE
    write = Operation("customers", "put", "a", 1.5, 1.0, 1.1, "acknowledged", "us-east-1", 201)
    seen = Seen("us-east-1", 50.0, 50.1, {"a": (1.5,)})
    history = History(
        "local", "2026-11-28T06:00:00+00:00", "refuse", ("us-east-1",), (), (), (), (), 1.0, 30.0,
        operations=(write,), readings=(seen,), marks={},
    )  # fmt: skip
    histories.write(path, history, check(history).to_json())
    options = parse("--check-history", str(path))

    assert options.run(options) == ExitCode.PASSED
    assert "the verdict of the drill" in capsys.readouterr().out

    path.write_text(path.read_text().replace('"values": {"a": [1.5]}', '"values": {}'))

    failed = options.run(options)
    assert failed == ExitCode.CHECK_FAILED
    assert failed.members["lost"] == 1
    printed = capsys.readouterr().out
    assert "Failed: 1 write is lost in us-east-1 (a)" in printed
    assert "Failed: the drill came to another verdict: found, lost, problems" in printed


def test_judging_a_history_injects_and_restores_nothing(parse):
    options = parse("--check-history", "history.jsonl", "--restore")

    with pytest.raises(OpsError, match="--check-history injects and restores nothing"):
        options.run(options)


def test_the_plan_names_the_load_what_it_costs_and_what_ends_it(parse, on_aws, monkeypatch, capsys):
    monkeypatch.setattr(
        cli.quota, "limits", lambda _: [KeyLimits("us-east-1", 50.0, None, "", None)]
    )
    options = parse(*on_aws, "--load", "20", "--profile", "burst", "--max-failed-share", "0.05")

    assert options.run(options) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "Load: 20 requests a second (burst, each tried up to 10 times), for at most" in printed
    assert "at most 5 % may fail after the cut-over" in printed
    assert " dollars (docs/how-to/cost.md)" in printed
    assert "The load stops if most of its requests fail in a Region without a fault" in printed


def test_the_rate_of_a_load_is_confirmed(parse, on_aws):
    options = parse(*on_aws, "--load", "1", "--execute")

    with pytest.raises(OpsError, match=r"under 1 requests a second \(steady\)") as caught:
        options.run(options)
    assert "not confirmed" in str(caught.value)


def test_a_load_beyond_the_plan_is_refused_before_anything_is_done(parse, on_aws):
    options = parse(*on_aws, "--load", "100", "--execute", "--yes")

    with pytest.raises(OpsError, match="its usage plan allows 50 in us-east-1"):
        options.run(options)


@pytest.mark.parametrize("check", sorted(ABOUT_CAPACITY))
def test_a_drill_under_load_measures_a_capacity_that_verify_finds_too_small(check, capsys):
    verification = found_by(check)
    [warning] = warnings = cli._warnings(verification, Load(20))

    assert cli._is_sound(verification, warnings)
    assert warning.check == check
    printed = capsys.readouterr().out
    assert f"Warning: {check}, us-west-2: {check} is too small" in printed
    assert "Fix: raise it" in printed
    assert "Nothing was injected" not in printed


def test_without_a_load_a_drill_says_nothing_of_capacity_and_is_not_run(capsys):
    verification = found_by("capacity.headroom")

    assert not cli._is_sound(verification, cli._warnings(verification, None))
    printed = capsys.readouterr().out
    assert "Failed: capacity.headroom, us-west-2" in printed
    assert "With --load N, failed checks of capacity are warnings" in printed


@pytest.mark.parametrize(
    "verification",
    [found_by("replica.status"), found_by("capacity.headroom", made=unreadable)],
    ids=["another check", "a Region that cannot be read"],
)
def test_under_load_all_else_stops_a_drill_as_it_does_without(verification, capsys):
    assert not cli._is_sound(verification, cli._warnings(verification, Load(20)))
    printed = capsys.readouterr().out
    assert "Nothing was injected" in printed
    assert "Warning" not in printed


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--profile", "burst"], "--profile requires --load"),
        (["--max-failed-share", "0.1"], "--max-failed-share requires --load"),
    ],
)
def test_options_of_a_load_require_one(parse, on_aws, arguments, refused):
    options = parse(*on_aws, *arguments)

    with pytest.raises(OpsError, match=refused) as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_restore_takes_no_load(parse):
    options = parse("--environment", "production", "--restore", "--load", "1")

    with pytest.raises(OpsError, match="--restore takes no --load"):
        options.run(options)


def test_a_generator_that_is_not_installed_is_named_with_what_installs_it(
    parse, on_aws, monkeypatch
):
    monkeypatch.setattr("ops.cli.drill_load.find_spec", lambda _: None)
    options = parse(*on_aws, "--load", "1")

    with pytest.raises(OpsError, match="requires the Python package aiohttp") as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.PREREQUISITE
    assert "make setup" in caught.value.next_step


def test_a_reconciliation_needs_permissions_before_anything_is_done(parse, on_aws, monkeypatch):
    def denied(_environment):
        raise OpsError("the table cannot be read", next_step="attach", exit_code=3)

    monkeypatch.setattr(cli.reconciliation, "require", denied)
    options = parse(*on_aws, "--reconcile", "--execute")

    with pytest.raises(OpsError, match="the table cannot be read"):
        options.run(options)


def test_the_plan_names_what_a_reconciliation_reads(parse, on_aws, monkeypatch, capsys):
    monkeypatch.setattr(cli.reconciliation, "require", lambda _: None)
    options = parse(*on_aws, "--reconcile")

    assert options.run(options) == ExitCode.PASSED
    assert (
        "At the end it reads the streams of the table weather in every" in capsys.readouterr().out
    )


def test_the_plan_names_the_region_that_is_fenced(parse, on_aws, capsys):
    options = parse(*on_aws, "--fence", "now")

    assert options.run(options) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "Once another Region serves, us-east-1 refuses writes, until cleared." in printed


def test_a_restore_fences_nothing(parse):
    options = parse("--environment", "local", "--restore", "--fence", "now")

    with pytest.raises(OpsError, match="--restore fences nothing"):
        options.run(options)


def test_a_restore_replays_nothing(parse):
    options = parse("--environment", "local", "--restore", "--reconcile")

    with pytest.raises(OpsError, match="--restore replays nothing"):
        options.run(options)


def test_a_history_with_a_reconciliation_is_judged_before_and_after_it(parse, tmp_path, capsys):
    written = Operation("customers", "put", "a", 1.5, 5.0, 5.5, "acknowledged", "us-east-1", 200)
    lacking = [Seen(region, 90.0, 91.0, {}) for region in ("us-east-1", "us-west-2")]
    there = [replace(each, at=95.0, ended_at=96.0, values={"a": (1.5,)}) for each in lacking]
    history = History(
        environment="local", started="now", fault="region-loss", regions=("us-east-1", "us-west-2"),
        lost=("us-east-1",), taking_over=(), isolated=(), discarded=("us-east-1",), speed=1.0,
        lost_after_seconds=30.0, max_lost_writes=1, operations=(written,),
        readings=(*lacking, *there), marks={"injecting": 1.0, "reconciled": 94.0},
    )  # fmt: skip
    path = tmp_path / "history.jsonl"
    verdict = check(before_reconciliation(history)).to_json()
    histories.write(path, history, verdict)
    options = parse("--check-history", str(path))

    assert options.run(options) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "At the end: 1 lost" in printed
    assert "after reconciliation: none." in printed
    # AND what was not replayed fails it
    histories.write(path, replace(history, readings=(*lacking, *there[:1])), verdict)
    assert options.run(options) == ExitCode.CHECK_FAILED
    histories.write(
        path, replace(history, readings=(*lacking, there[0], replace(lacking[1], at=95.0))), verdict
    )
    assert options.run(options) == ExitCode.CHECK_FAILED
    assert "after reconciliation, 1 write is lost" in capsys.readouterr().out


def test_a_load_through_a_proxy_is_refused(parse, on_aws, monkeypatch):
    monkeypatch.setattr("ops.cli.drill_load.proxy_for", lambda _: "http://proxy.example.net:3128")
    options = parse(*on_aws, "--load", "1")

    with pytest.raises(OpsError, match=r"go through the proxy proxy\.example\.net") as caught:
        options.run(options)
    assert "NO_PROXY" in caught.value.next_step


def outcome_that(**said):
    return SimpleNamespace(**{"interrupted": False, "left": [], "passed": False} | said)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (outcome_that(verdict="passed", passed=True), ExitCode.PASSED),
        (outcome_that(verdict="failed"), ExitCode.CHECK_FAILED),
        (outcome_that(verdict="not measured"), ExitCode.PREREQUISITE),
    ],
)
def test_a_load_that_was_not_measured_has_its_own_exit_code(outcome, code):
    assert cli._exit_code(outcome, is_written=True) == code
