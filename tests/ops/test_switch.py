"""Evacuating a Region needs the table of one other Region, and nothing else."""

import argparse
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment, sandbox_access
from moto import mock_aws
from table import TABLE

from ops import lock as locks
from ops import switch
from ops.__main__ import main
from ops.cli import switch as switch_cli
from ops.errors import ExitCode, OpsError
from ops.switch_timing import Timing, timing_of

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
SERVICES = ("apigateway", "dynamodb", "lambda", "route53", "sts")


@pytest.fixture
def tables(monkeypatch):
    """The table in both Regions, kept by moto, which does not replicate."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        for region in (EAST, WEST):
            environment().client("dynamodb", region).create_table(TableName="weather", **TABLE)
        yield


@pytest.fixture
def production(tables):
    """Everything but the secondary's table is dead."""
    return environment(
        {(service, EAST): DEAD for service in SERVICES}
        | {(service, WEST): DEAD for service in SERVICES if service != "dynamodb"}
    )


def items(region):
    return environment().client("dynamodb", region).scan(TableName="weather")["Items"]


def test_evacuating_writes_one_item_in_the_other_region_alone(production):
    change = switch.evacuate(production, EAST, reason="us-east-1 burns")

    assert change.changed
    (item,) = items(WEST)
    assert item["pk"] == {"S": "control"}
    assert item["sk"] == {"S": "evacuation-us-east-1"}
    assert item["reason"] == {"S": "us-east-1 burns"}
    assert " on " in item["evacuated_by"]["S"]
    assert "expires_at" not in item
    age = datetime.now(UTC) - datetime.fromisoformat(item["evacuated_at"]["S"])
    assert timedelta() <= age < timedelta(minutes=1)
    assert not items(EAST)


def test_evacuating_again_keeps_the_first_time_and_reason(production):
    first = switch.evacuate(production, EAST, reason="fire").after
    again = switch.evacuate(production, EAST, reason="I do not know of the fire")

    assert not again.changed
    assert again.before == again.after == first


def test_an_operator_takes_over_the_evacuation_of_a_drill_which_does_not_end_it(production):
    switch.evacuate(production, EAST, reason="failover drill", writer="drill-1", kind="drill")

    change = switch.evacuate(production, EAST, reason="us-east-1 burns")

    assert change.changed
    assert change.before.writer == "drill-1"
    assert change.after.reason == "us-east-1 burns"
    assert not switch.restore(production, EAST, writer="drill-1").changed
    assert switch.status(production, EAST).evacuated


def test_a_drill_takes_over_nothing(production):
    drill = switch.evacuate(production, EAST, writer="drill-1", kind="drill").after

    assert not switch.evacuate(production, EAST, writer="drill-2", kind="drill").changed
    assert switch.status(production, EAST) == drill


def test_a_region_that_is_restored_just_when_it_is_taken_over_is_evacuated(production):
    dynamodb = production.client("dynamodb", WEST)
    switch.evacuate(production, EAST, writer="drill-1", kind="drill")

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        if (found.get("Item") or {}).get("writer") == {"S": "drill-1"}:
            switch.restore(production, EAST, writer="drill-1")
        return found

    racing = Canned(put_item=dynamodb.put_item, get_item=get_item)
    change = switch.evacuate(environment({("dynamodb", WEST): racing}), EAST, reason="fire")

    assert change.changed
    assert change.after.reason == "fire"


def test_a_region_that_was_evacuated_and_is_restored_just_after_is_no_error(production):
    """It is as if the release had come a moment later: nothing was written, or read back."""
    dynamodb = production.client("dynamodb", WEST)
    first = switch.evacuate(production, EAST, reason="fire").after

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        switch.restore(production, EAST)
        return found

    racing = Canned(put_item=dynamodb.put_item, get_item=get_item)
    change = switch.evacuate(environment({("dynamodb", WEST): racing}), EAST, reason="flood")

    assert (change.changed, change.before) == (False, first)


def test_a_write_that_boto3_repeated_counts_as_one(production):
    dynamodb = production.client("dynamodb", WEST)

    def put_twice(**arguments):
        dynamodb.put_item(**arguments)
        return dynamodb.put_item(**arguments)

    repeating = Canned(put_item=put_twice, get_item=dynamodb.get_item)

    found = environment({("dynamodb", WEST): repeating})

    assert switch.evacuate(found, EAST, reason="fire").changed


def test_status_tells_since_when_and_why(production):
    assert str(switch.status(production, EAST)) == "not evacuated"

    found = switch.evacuate(production, EAST, reason="fire").after

    assert str(switch.status(production, EAST)) == (
        f"evacuated since {found.evacuated_at} by {found.evacuated_by}, reason: fire"
    )


def test_an_item_without_attributes_evacuates_as_well(production):
    production.client("dynamodb", WEST).put_item(
        TableName="weather", Item={"pk": {"S": "control"}, "sk": {"S": "evacuation-us-east-1"}}
    )

    assert str(switch.status(production, EAST)) == "evacuated, reason: none given"


def test_restoring_removes_the_item_and_tells_what_it_was(production):
    found = switch.evacuate(production, EAST, reason="fire").after

    change = switch.restore(production, EAST)

    assert change.changed
    assert change.before == found
    assert not items(WEST)


def test_a_region_that_is_evacuated_again_just_after_its_restore_was_restored(production):
    dynamodb = production.client("dynamodb", WEST)
    switch.evacuate(production, EAST, reason="fire")

    def delete_item(**arguments):
        found = dynamodb.delete_item(**arguments)
        switch.evacuate(production, EAST, reason="flood")
        return found

    racing = Canned(delete_item=delete_item, get_item=dynamodb.get_item)
    change = switch.restore(environment({("dynamodb", WEST): racing}), EAST)

    assert (change.changed, change.before.reason, change.after.reason) == (True, "fire", "flood")


def test_restoring_what_is_not_evacuated_changes_nothing(production):
    assert not switch.restore(production, EAST).changed


COMMANDS = pytest.mark.parametrize("command", [switch.evacuate, switch.restore, switch.status])


@COMMANDS
def test_without_a_switch_the_error_says_so(command):
    with pytest.raises(OpsError, match="has no failover switch") as error:
        command(environment(outputs={"evacuation": None}), EAST)
    assert error.value.exit_code == ExitCode.USAGE


@COMMANDS
def test_a_region_of_another_environment_is_refused(command):
    with pytest.raises(OpsError, match="eu-west-1 is not a Region of production") as error:
        command(environment(), "eu-west-1")
    assert error.value.exit_code == ExitCode.USAGE
    assert f"{EAST}, {WEST}" in error.value.next_step


@COMMANDS
@pytest.mark.parametrize(("region", "other"), [(EAST, WEST), (WEST, EAST)])
def test_a_dead_replica_is_named(command, region, other):
    dead = Canned(put_item=DEAD, delete_item=DEAD, get_item=DEAD)

    with pytest.raises(OpsError, match=rf"DynamoDB in {other} \(table weather\) failed") as error:
        command(environment({("dynamodb", other): dead}), region)
    assert error.value.exit_code == ExitCode.PREREQUISITE


@pytest.mark.parametrize("policy", ["failover", "latency", "weighted"])
def test_any_region_is_evacuated_with_any_policy(tables, policy):
    found = environment(outputs={"routing_policy": policy})

    for region, other in ((EAST, WEST), (WEST, EAST)):
        assert switch.evacuate(found, region, reason="fire").after.replicas == (other,)
        (item,) = items(other)
        assert item["sk"] == {"S": f"evacuation-{region}"}
        assert not items(region)
        assert not switch.status(found, other).evacuated
        assert switch.restore(found, region).changed
        assert not items(other)


def test_a_switch_that_reads_back_otherwise_is_an_error():
    forgetful = Canned(put_item={}, get_item={})

    with pytest.raises(OpsError, match="was written, and read back as: not evacuated"):
        switch.evacuate(environment({("dynamodb", WEST): forgetful}), EAST)


def test_timing_comes_from_the_switchs_health_check():
    route53 = Canned(
        get_health_check={
            "HealthCheck": {"HealthCheckConfig": {"RequestInterval": 10, "FailureThreshold": 3}}
        }
    )
    found = environment({("route53", WEST): route53}, sandbox=sandbox_access(speed=20))
    timing = timing_of(found, EAST)

    assert (timing.route53_seconds, timing.customers_seconds) == (30, 90)
    assert timing.here_seconds == (1.5, 4.5)
    assert not timing.assumed
    assert route53.calls == [("get_health_check", {"HealthCheckId": "evacuation-east"})]


def test_without_route_53s_api_the_documented_defaults_are_assumed():
    timing = timing_of(environment({("route53", WEST): Canned(get_health_check=DEAD)}), EAST)

    assert (timing.route53_seconds, timing.customers_seconds) == (90, 150)
    assert "Route 53's API, which the switch does not need, did not respond" in timing.assumed


def expiring(production, end):
    """The primary, evacuated until then."""
    key = {"pk": {"S": "control"}, "sk": {"S": f"evacuation-{EAST}"}}
    texts = {"expires_at": end, "writer": "switch-0", "reason": "a test"}
    production.client("dynamodb", WEST).put_item(
        TableName="weather", Item=key | {name: {"S": text} for name, text in texts.items()}
    )


def test_an_evacuation_that_has_expired_evacuates_nobody_and_is_replaced(production):
    expiring(production, "2026-01-01T00:00:00+00:00")

    state = switch.status(production, EAST)
    assert (state.evacuated, state.expired) == (False, True)
    assert str(state) == "not evacuated (its evacuation ended at 2026-01-01T00:00:00+00:00)"

    change = switch.evacuate(production, EAST, reason="fire", expires_in=timedelta(hours=4))
    assert (change.changed, change.after.reason) == (True, "fire")
    left = datetime.fromisoformat(change.after.expires_at) - datetime.now(UTC)
    assert timedelta(hours=3, minutes=59) < left <= timedelta(hours=4)
    assert f" until {change.after.expires_at}, reason: fire" in str(change.after)


@pytest.mark.parametrize("end", ["2999-01-01T00:00:00+00:00", "tomorrow", "2020-01-01T00:00:00"])
def test_one_with_an_end_that_is_ahead_or_cannot_be_read_evacuates(production, end):
    """As the function that health checkers call sees it."""
    expiring(production, end)

    assert switch.status(production, EAST).evacuated


@pytest.fixture
def run(monkeypatch, capsys):
    """The command as it is typed, on an environment."""

    def run(environment, *arguments):
        monkeypatch.setattr(switch_cli, "environment_from", lambda _: environment)
        parser = argparse.ArgumentParser()
        switch_cli.add_to(parser.add_subparsers())
        options = parser.parse_args(["switch", *arguments, "--environment", environment.name])
        code = options.run(options)
        return code, " ".join(capsys.readouterr().out.split())

    return run


@pytest.mark.parametrize("command", ["engage", "release"])
def test_a_real_environment_is_not_touched_without_confirmation(
    production, run, command, monkeypatch
):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    if command == "release":
        switch.evacuate(production, EAST)
    before = items(WEST)

    with pytest.raises(OpsError, match="not confirmed, nothing was changed") as error:
        run(production, command)
    assert error.value.exit_code == ExitCode.USAGE
    assert "--yes" in error.value.next_step
    assert items(WEST) == before


@pytest.mark.parametrize(("typed", "goes_on"), [("production", True), ("yes", False), ("", False)])
def test_a_typed_confirmation_is_the_environments_name(
    production, run, monkeypatch, typed, goes_on
):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: typed)

    if goes_on:
        assert run(production, "engage")[0] == 0
    else:
        with pytest.raises(OpsError, match="not confirmed"):
            run(production, "engage")
    assert bool(items(WEST)) is goes_on


def test_engage_says_what_dns_will_do_and_by_when(production, run):
    code, out = run(production, "engage", "--yes", "--reason", "fire")

    assert code == 0
    assert "reason: fire (in us-west-2)" in out
    assert "answers weather.example.com with us-west-2 instead of us-east-1 within 90 s" in out
    assert "within 150 s (TTL: 60 s more)" in out
    assert "These times are Route 53's defaults" in out
    assert "Restore it with: python -m ops switch restore us-east-1 --environment production" in out


def test_the_time_to_live_of_the_records_in_use_is_named():
    timing = Timing(10, 1, environment(outputs={"ttl_seconds": 10}).outputs.answer_ttl_seconds)

    assert (timing.route53_seconds, timing.customers_seconds) == (10, 20)
    assert environment().outputs.answer_ttl_seconds == 60


def test_engage_again_says_that_it_was_evacuated(production, run):
    run(production, "engage", "--yes", "--reason", "fire")
    code, out = run(production, "engage", "--yes", "--reason", "again")

    assert code == 0
    assert "reason: fire; nothing was changed." in out


def test_release_says_what_dns_will_do(production, run):
    assert "nothing was changed" in run(production, "release", "--yes")[1]
    run(production, "engage", "--yes")

    code, out = run(production, "release", "--yes")

    assert code == 0
    assert "us-east-1 of production is restored; it was evacuated since" in out
    assert "with us-east-1 again, where its routing policy prefers it, if its health" in out
    assert "check finds it healthy within 90 s" in out


def test_status_needs_no_confirmation(production, run):
    code, out = run(production, "status")

    assert code == 0
    assert "us-east-1 of production is not evacuated." in out
    # Nobody can be asked whether the other one is.
    assert "Whether us-west-2 is evacuated is not known: the evacuation of us-west-2 could" in out
    assert "does not respond evacuates no other." in out


def test_without_a_switch_nobody_is_asked_to_confirm(run):
    with pytest.raises(OpsError, match="no failover switch"):
        run(environment(outputs={"evacuation": None}), "engage")


def test_release_releases_what_was_shown_and_nothing_that_came_meanwhile(
    production, run, monkeypatch
):
    switch.evacuate(production, EAST, reason="a trial")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def meanwhile(_):
        switch.restore(production, EAST)
        switch.evacuate(production, EAST, reason="us-east-1 burns")
        return "production"

    monkeypatch.setattr("builtins.input", meanwhile)

    with pytest.raises(OpsError, match="was not restored: meanwhile it was evacuated") as error:
        run(production, "release")
    assert error.value.exit_code == ExitCode.CHECK_FAILED
    assert switch.status(production, EAST).reason == "us-east-1 burns"


def test_release_holds_the_lock_and_gives_it_back(production, run, monkeypatch):
    switch.evacuate(production, EAST)
    restore, seen = switch.restore, []

    def noted(*arguments, **options):
        seen.append(locks.read(production).kind)
        return restore(*arguments, **options)

    monkeypatch.setattr(switch, "restore", noted)

    assert run(production, "release", "--yes")[0] == 0
    assert seen == ["switch"]
    assert items(WEST) == []


def test_release_is_refused_while_a_drill_runs_and_engage_is_not(production, run, monkeypatch):
    drill = locks.Lock(production, "drill", "drill-1")
    drill.acquire()
    monkeypatch.setattr(
        switch_cli, "hold", partial(locks.hold, lease=locks.Lease(sleep=lambda _: drill.renew()))
    )

    code, out = run(production, "engage", "--yes", "--reason", "fire")

    assert code == 0
    assert "Interrupted, and restoring what it changed: drill by" in out
    with pytest.raises(OpsError, match="interrupted by switch evacuate"):
        drill.check()
    with pytest.raises(OpsError, match="is being changed: drill by"):
        run(production, "release", "--yes")
    assert switch.status(production, EAST).evacuated


def test_engage_waits_for_no_lock_that_cannot_be_read(production, run, monkeypatch):
    def unreadable(*_, **__):
        raise OpsError("the lock could not be changed", next_step="wait")

    monkeypatch.setattr(switch_cli, "interrupt_drill", unreadable)

    code, out = run(production, "engage", "--yes")

    assert code == 0
    assert "Whether a drill runs is not known: the lock could not be changed" in out
    assert switch.status(production, EAST).evacuated


def test_engage_names_who_else_works_on_the_environment(production, run):
    locks.Lock(production, "customers", "customers-1").acquire()

    assert (
        "Somebody else is changing production: customers by"
        in run(production, "engage", "--yes")[1]
    )


class Untouched:
    """What an incident may have taken away: nothing may ask it anything."""

    def __getattr__(self, name):
        pytest.fail(f"{name} was asked")


def test_the_switch_needs_neither_keys_nor_dns_nor_terraform(production, monkeypatch, capsys):
    found = environment(production.clients, network=Untouched(), key_values=Untouched())
    monkeypatch.setattr(switch_cli, "environment_from", lambda _: found)
    monkeypatch.setenv("TF_VAR_api_keys", "not JSON")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("DNS was asked"))

    for command in (["engage", "--yes"], ["status"], ["release", "--yes"]):
        assert main(["switch", *command, "--environment", "production"]) == ExitCode.PASSED

    assert "is restored" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "engage"])
def test_a_region_that_hangs_is_not_waited_for(production, monkeypatch, capsys, command):
    def hanging(**_):
        threading.Event().wait(60)

    monkeypatch.setattr(switch_cli, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("ops.identity.TIMEOUT_SECONDS", 0.05)
    silent = Canned(get_item=hanging, put_item=hanging, describe_table=hanging)
    clients = {**production.clients, ("dynamodb", WEST): silent}
    monkeypatch.setattr(switch_cli, "environment_from", lambda _: environment(clients))
    words = ["switch", command, "--environment", "production"]

    code = main([*words, "--yes"] if command == "engage" else words)

    error = capsys.readouterr().err
    assert code == ExitCode.PREREQUISITE
    assert f"is not known: DynamoDB in {WEST} has not responded: no result within" in error
    assert "switch status" in error


def test_what_is_not_known_of_route_53_hides_nothing_that_was_done(production, monkeypatch, capsys):
    monkeypatch.setattr("ops.switch_timing.TIMING_TIMEOUT_SECONDS", 0.05)
    for broken in (lambda **_: threading.Event().wait(60), {}, KeyError("x")):
        clients = {**production.clients, ("route53", WEST): Canned(get_health_check=broken)}
        monkeypatch.setattr(switch_cli, "environment_from", lambda _, c=clients: environment(c))

        code = main(["switch", "engage", "--yes", "--environment", "production"])

        assert code == ExitCode.PASSED
        assert "These times are Route 53's defaults" in capsys.readouterr().out
