"""The switch needs the standby Region's table, and nothing else."""

import argparse
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment
from moto import mock_aws

from ops import switch, switch_timing
from ops.cli import switch as switch_cli
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
SERVICES = ("apigateway", "dynamodb", "lambda", "route53", "sts")


@pytest.fixture
def tables(monkeypatch):
    """The table in both Regions, kept by moto, which does not replicate."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        for region in (EAST, WEST):
            environment().client("dynamodb", region).create_table(
                TableName="weather",
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
                ],
                BillingMode="PAY_PER_REQUEST",
            )
        yield


@pytest.fixture
def production(tables):
    """Everything but the standby's table is dead."""
    return environment(
        {(service, EAST): DEAD for service in SERVICES}
        | {(service, WEST): DEAD for service in SERVICES if service != "dynamodb"}
    )


def items(region):
    return environment().client("dynamodb", region).scan(TableName="weather")["Items"]


def test_engaging_writes_one_item_in_the_standby_alone(production):
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


@pytest.mark.parametrize("verb", [switch.engage, switch.release, switch.status])
def test_without_a_switch_the_error_names_the_routing_policy(verb):
    by_latency = environment(outputs={"switch": None, "routing_policy": "latency"})

    with pytest.raises(OpsError, match=r"no failover switch.*latency") as error:
        verb(by_latency)
    assert error.value.exit_code == ExitCode.USAGE
    assert 'routing_policy = "failover"' in error.value.next_step


@pytest.mark.parametrize("verb", [switch.engage, switch.release, switch.status])
def test_a_dead_standby_is_named(verb):
    with pytest.raises(OpsError, match="the table weather in us-west-2 does not answer") as error:
        verb(
            environment(
                {("dynamodb", WEST): Canned(put_item=DEAD, delete_item=DEAD, get_item=DEAD)}
            )
        )
    assert error.value.exit_code == ExitCode.SURROUNDINGS


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
    timing = switch_timing.timing(environment({("route53", WEST): route53}, speed=20))

    assert (timing.route53_seconds, timing.customers_seconds) == (30, 90)
    assert timing.here_seconds == (1.5, 4.5)
    assert not timing.assumed
    assert route53.calls == [("get_health_check", {"HealthCheckId": "switch"})]


def test_without_route_53s_api_the_documented_defaults_stand_in():
    timing = switch_timing.timing(environment({("route53", WEST): Canned(get_health_check=DEAD)}))

    assert (timing.route53_seconds, timing.customers_seconds) == (90, 150)
    assert "Route 53's API, which the switch does not need, did not answer" in timing.assumed


@pytest.fixture
def run(monkeypatch, capsys):
    """The verb as it is typed, on an environment."""

    def run(environment, *arguments):
        monkeypatch.setattr(switch_cli, "environment_from", lambda _: environment)
        parser = argparse.ArgumentParser()
        switch_cli.add_to(parser.add_subparsers())
        options = parser.parse_args(["switch", *arguments, "--environment", environment.name])
        code = options.run(options)
        return code, " ".join(capsys.readouterr().out.split())

    return run


@pytest.mark.parametrize("verb", ["engage", "release"])
def test_a_real_environment_is_not_touched_without_confirmation(production, run, verb, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    with pytest.raises(OpsError, match="not confirmed, nothing was changed") as error:
        run(production, verb)
    assert error.value.exit_code == ExitCode.USAGE
    assert "--yes" in error.value.next_step
    assert not items(WEST)


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
    assert "reason: fire; that stays as it is." in out


def test_release_says_what_dns_will_do(production, run):
    assert "nothing was changed" in run(production, "release", "--yes")[1]
    run(production, "engage", "--yes")

    code, out = run(production, "release", "--yes")

    assert code == 0
    assert "The switch is released; it was engaged since" in out
    assert "with us-east-1 again if its health check finds it healthy within 90 s" in out


def test_status_needs_no_confirmation(production, run):
    assert run(production, "status") == (
        0,
        "The switch of production is not engaged (in us-west-2).",
    )


def test_without_a_switch_nobody_is_asked_to_confirm(run):
    with pytest.raises(OpsError, match="no failover switch"):
        run(environment(outputs={"switch": None}), "engage")
