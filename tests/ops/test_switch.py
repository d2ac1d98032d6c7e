"""The switch needs the secondary Region's table, and nothing else."""

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
from ops.switch_timing import timing_of

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


def test_engaging_writes_one_item_in_the_secondary_alone(production):
    change = switch.engage(production, reason="us-east-1 burns")

    assert change.changed
    (item,) = items(WEST)
    assert item["pk"] == {"S": "control"}
    assert item["sk"] == {"S": "switch"}
    assert item["reason"] == {"S": "us-east-1 burns"}
    age = datetime.now(UTC) - datetime.fromisoformat(item["engaged_at"]["S"])
    assert timedelta() <= age < timedelta(minutes=1)
    assert not items(EAST)


def test_engaging_again_keeps_the_first_time_and_reason(production):
    first = switch.engage(production, reason="fire").after
    again = switch.engage(production, reason="I do not know of the fire")

    assert not again.changed
    assert again.before == again.after == first


def test_an_operator_takes_over_the_switch_of_a_drill_and_the_drill_does_not_release_it(production):
    switch.engage(production, reason="failover drill", writer="drill-1", kind="drill")

    change = switch.engage(production, reason="us-east-1 burns")

    assert change.changed
    assert change.before.writer == "drill-1"
    assert change.after.reason == "us-east-1 burns"
    assert not switch.release(production, writer="drill-1").changed
    assert switch.status(production).engaged


def test_a_drill_takes_over_nothing(production):
    drill = switch.engage(production, writer="drill-1", kind="drill").after

    assert not switch.engage(production, writer="drill-2", kind="drill").changed
    assert switch.status(production) == drill


def test_a_switch_that_is_released_just_when_it_is_taken_over_is_engaged(production):
    dynamodb = production.client("dynamodb", WEST)
    switch.engage(production, writer="drill-1", kind="drill")

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        if (found.get("Item") or {}).get("writer") == {"S": "drill-1"}:
            switch.release(production, writer="drill-1")
        return found

    racing = Canned(put_item=dynamodb.put_item, get_item=get_item)
    change = switch.engage(environment({("dynamodb", WEST): racing}), reason="fire")

    assert change.changed
    assert change.after.reason == "fire"


def test_a_switch_that_was_engaged_and_is_released_just_after_is_no_error(production):
    """It is as if the release had come a moment later: nothing was written, or read back."""
    dynamodb = production.client("dynamodb", WEST)
    first = switch.engage(production, reason="fire").after

    def get_item(**arguments):
        found = dynamodb.get_item(**arguments)
        switch.release(production)
        return found

    racing = Canned(put_item=dynamodb.put_item, get_item=get_item)
    change = switch.engage(environment({("dynamodb", WEST): racing}), reason="flood")

    assert (change.changed, change.before) == (False, first)


def test_a_write_that_boto3_repeated_counts_as_one(production):
    dynamodb = production.client("dynamodb", WEST)

    def put_twice(**arguments):
        dynamodb.put_item(**arguments)
        return dynamodb.put_item(**arguments)

    repeating = Canned(put_item=put_twice, get_item=dynamodb.get_item)

    assert switch.engage(environment({("dynamodb", WEST): repeating}), reason="fire").changed


def test_status_tells_since_when_and_why(production):
    assert str(switch.status(production)) == "not engaged"

    engaged = switch.engage(production, reason="fire").after

    assert str(switch.status(production)) == f"engaged since {engaged.engaged_at}, reason: fire"


def test_an_item_without_attributes_engages_as_well(production):
    production.client("dynamodb", WEST).put_item(
        TableName="weather", Item={"pk": {"S": "control"}, "sk": {"S": "switch"}}
    )

    assert str(switch.status(production)) == "engaged, reason: none given"


def test_releasing_removes_the_item_and_tells_what_it_was(production):
    engaged = switch.engage(production, reason="fire").after

    change = switch.release(production)

    assert change.changed
    assert change.before == engaged
    assert not items(WEST)


def test_releasing_what_is_not_engaged_changes_nothing(production):
    assert not switch.release(production).changed


@pytest.mark.parametrize("command", [switch.engage, switch.release, switch.status])
def test_without_a_switch_the_error_names_the_routing_policy(command):
    by_latency = environment(outputs={"switch": None, "routing_policy": "latency"})

    with pytest.raises(OpsError, match=r"no failover switch.*latency") as error:
        command(by_latency)
    assert error.value.exit_code == ExitCode.USAGE
    assert 'routing_policy = "failover"' in error.value.next_step


@pytest.mark.parametrize("command", [switch.engage, switch.release, switch.status])
def test_a_dead_secondary_is_named(command):
    with pytest.raises(OpsError, match=r"DynamoDB in us-west-2 \(table weather\) failed") as error:
        command(
            environment(
                {("dynamodb", WEST): Canned(put_item=DEAD, delete_item=DEAD, get_item=DEAD)}
            )
        )
    assert error.value.exit_code == ExitCode.PREREQUISITE


def test_a_switch_that_reads_back_otherwise_is_an_error():
    forgetful = Canned(put_item={}, get_item={})

    with pytest.raises(OpsError, match="was written, and read back as: not engaged"):
        switch.engage(environment({("dynamodb", WEST): forgetful}))


def test_timing_comes_from_the_switchs_health_check():
    route53 = Canned(
        get_health_check={
            "HealthCheck": {"HealthCheckConfig": {"RequestInterval": 10, "FailureThreshold": 3}}
        }
    )
    timing = timing_of(environment({("route53", WEST): route53}, sandbox=sandbox_access(speed=20)))

    assert (timing.route53_seconds, timing.customers_seconds) == (30, 90)
    assert timing.here_seconds == (1.5, 4.5)
    assert not timing.assumed
    assert route53.calls == [("get_health_check", {"HealthCheckId": "switch"})]


def test_without_route_53s_api_the_documented_defaults_are_assumed():
    timing = timing_of(environment({("route53", WEST): Canned(get_health_check=DEAD)}))

    assert (timing.route53_seconds, timing.customers_seconds) == (90, 150)
    assert "Route 53's API, which the switch does not need, did not respond" in timing.assumed


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
        switch.engage(production)
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
    assert "Release it with: python -m ops switch release --environment production" in out


def test_engage_again_says_that_it_was_engaged(production, run):
    run(production, "engage", "--yes", "--reason", "fire")
    code, out = run(production, "engage", "--yes", "--reason", "again")

    assert code == 0
    assert "reason: fire; nothing was changed." in out


def test_release_says_what_dns_will_do(production, run):
    assert "nothing was changed" in run(production, "release", "--yes")[1]
    run(production, "engage", "--yes")

    code, out = run(production, "release", "--yes")

    assert code == 0
    assert "The switch of production is released; it was engaged since" in out
    assert "with us-east-1 again if its health check finds it healthy within 90 s" in out


def test_status_needs_no_confirmation(production, run):
    code, out = run(production, "status")

    assert code == 0
    assert out.endswith("The switch of production is not engaged (in us-west-2).")


def test_without_a_switch_nobody_is_asked_to_confirm(run):
    with pytest.raises(OpsError, match="no failover switch"):
        run(environment(outputs={"switch": None}), "engage")


def test_release_releases_what_was_shown_and_nothing_that_came_meanwhile(
    production, run, monkeypatch
):
    switch.engage(production, reason="a trial")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def meanwhile(_):
        switch.release(production)
        switch.engage(production, reason="us-east-1 burns")
        return "production"

    monkeypatch.setattr("builtins.input", meanwhile)

    with pytest.raises(OpsError, match="was not released: meanwhile it was engaged") as error:
        run(production, "release")
    assert error.value.exit_code == ExitCode.CHECK_FAILED
    assert switch.status(production).reason == "us-east-1 burns"


def test_release_holds_the_lock_and_gives_it_back(production, run, monkeypatch):
    switch.engage(production)
    release, seen = switch.release, []

    def noted(*arguments, **options):
        seen.append(locks.read(production).kind)
        return release(*arguments, **options)

    monkeypatch.setattr(switch, "release", noted)

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
    with pytest.raises(OpsError, match="interrupted by switch engage"):
        drill.check()
    with pytest.raises(OpsError, match="is being changed: drill by"):
        run(production, "release", "--yes")
    assert switch.status(production).engaged


def test_engage_waits_for_no_lock_that_cannot_be_read(production, run, monkeypatch):
    def unreadable(*_, **__):
        raise OpsError("the lock could not be changed", next_step="wait")

    monkeypatch.setattr(switch_cli, "interrupt_drill", unreadable)

    code, out = run(production, "engage", "--yes")

    assert code == 0
    assert "Whether a drill runs is not known: the lock could not be changed" in out
    assert switch.status(production).engaged


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

    assert "is released" in capsys.readouterr().out


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
    assert "is not known: DynamoDB in us-west-2 has not responded: no result within" in error
    assert "switch status" in error


def test_what_is_not_known_of_route_53_hides_nothing_that_was_done(production, monkeypatch, capsys):
    monkeypatch.setattr("ops.switch_timing.TIMING_TIMEOUT_SECONDS", 0.05)
    for broken in (lambda **_: threading.Event().wait(60), {}, KeyError("x")):
        clients = {**production.clients, ("route53", WEST): Canned(get_health_check=broken)}
        monkeypatch.setattr(switch_cli, "environment_from", lambda _, c=clients: environment(c))

        code = main(["switch", "engage", "--yes", "--environment", "production"])

        assert code == ExitCode.PASSED
        assert "These times are Route 53's defaults" in capsys.readouterr().out
