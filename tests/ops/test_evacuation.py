"""Evacuations in the replicas of several Regions, and which Regions take over."""

import json
import shlex
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import EAST, OUTPUTS, WEST, Canned, environment
from moto import mock_aws
from table import TABLE

from ops import switch
from ops.__main__ import main
from ops.cli import switch as switch_cli
from ops.errors import ExitCode
from ops.evacuation_item import evacuate_by_hand, restore_by_hand
from ops.lock import Lease, Lock, hold
from ops.takeover import takeover

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
THIRD = "eu-west-1"
REGIONS = (EAST, WEST, THIRD)


def reports(*unhealthy):
    """Route 53, whose checkers find all but some Regions healthy."""

    def status(HealthCheckId):  # noqa: N803
        bad = any(region in HealthCheckId for region in unhealthy)
        report = "Failure: HTTP Status Code 503" if bad else "Success: HTTP Status Code 200"
        return {"HealthCheckObservations": [{"StatusReport": {"Status": report}}] * 16}

    return Canned(
        get_health_check_status=status, get_health_check={"HealthCheck": {"HealthCheckConfig": {}}}
    )


@pytest.fixture
def three(monkeypatch):
    """Three Regions, whose replicas know nothing of each other."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("switch", "takeover"):
        # A busy machine takes its time for a response.
        monkeypatch.setattr(f"ops.{name}.GRACE_SECONDS", 60.0)
    ids = {region: f"endpoint-{region}" for region in REGIONS}

    def made(clients=None, policy="failover"):
        return environment(
            {("route53", region): reports() for region in (EAST, WEST)} | (clients or {}),
            outputs={
                "regions": list(REGIONS),
                "routing_policy": policy,
                "endpoint_health_check_ids": ids,
                "table_arns": {
                    r: f"arn:aws:dynamodb:{r}:123456789012:table/weather" for r in REGIONS
                },
                "evacuation": OUTPUTS["evacuation"]
                | {"health_check_ids": {r: {o: f"{r}-{o}" for o in ids if o != r} for r in ids}},
            },
        )

    with mock_aws():
        for region in REGIONS:
            environment().client("dynamodb", region).create_table(TableName="weather", **TABLE)
        yield made


def items(region):
    return environment().client("dynamodb", region).scan(TableName="weather")["Items"]


@pytest.mark.parametrize("region", [EAST, WEST, THIRD])
def test_every_other_replica_takes_the_item_and_loses_it(three, region):
    others = tuple(r for r in (EAST, WEST, THIRD) if r != region)

    change = switch.evacuate(three(), region, reason="fire", writer="switch-1")

    assert (change.changed, change.after.replicas, change.after.unread) == (True, others, {})
    for other in others:
        (item,) = items(other)
        assert (item["sk"]["S"], item["writer"]["S"]) == (f"evacuation-{region}", "switch-1")
    assert not items(region)
    assert not switch.restore(three(), region, writer="switch-2").changed
    assert switch.restore(three(), region, writer="switch-1").changed
    assert not any(items(each) for each in (EAST, WEST, THIRD))


@pytest.mark.parametrize("lost", [EAST, WEST])
def test_one_replica_is_enough_and_the_lost_one_is_named(three, lost):
    dead = Canned(put_item=DEAD, delete_item=DEAD, get_item=DEAD)
    found = three({("dynamodb", lost): dead})
    left = WEST if lost == EAST else EAST

    change = switch.evacuate(found, THIRD, reason="fire")

    assert change.changed
    assert change.after.replicas == (left,)
    assert "dead.example" in change.after.unread[lost]
    assert not items(lost)
    assert switch.status(found, THIRD).evacuated
    assert switch.restore(found, THIRD).changed


def test_a_replica_that_hangs_does_not_hold_up_one_that_responds(three, monkeypatch):
    monkeypatch.setattr(switch, "GRACE_SECONDS", 0.05)
    ended = threading.Event()
    hangs = Canned(put_item=lambda **_: ended.wait(60), get_item=lambda **_: ended.wait(60))
    try:
        change = switch.evacuate(three({("dynamodb", WEST): hangs}), EAST)
    finally:
        ended.set()

    assert change.after.replicas == (THIRD,)
    assert "no response within 0.05 s" in change.after.unread[WEST]


def test_an_item_that_has_come_from_another_replica_counts_as_written(three):
    """Global tables copy it while it is written everywhere."""
    found = three()
    switch.evacuate(found, EAST, writer="switch-1", reason="fire")

    assert switch.evacuate(found, EAST, writer="switch-1", reason="fire").changed


def test_an_evacuation_that_is_on_its_way_is_shown_by_the_replicas_that_have_it(three):
    found = three()
    switch.evacuate(found, EAST, writer="switch-1")
    key = {"pk": {"S": "control"}, "sk": {"S": f"evacuation-{EAST}"}}
    found.client("dynamodb", WEST).delete_item(TableName="weather", Key=key)

    state = switch.status(found, EAST)

    assert (state.evacuated, state.replicas, state.writer) == (True, (THIRD,), "switch-1")


@pytest.fixture
def typed(monkeypatch, capsys):
    """Exit code of a command and what it printed, on one line."""

    def run(environment, *words):
        monkeypatch.setattr(switch_cli, "environment_from", lambda _: environment)
        code = main(["switch", *words, "--environment", "production"])
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    return run


def test_the_healthy_regions_take_over_that_are_not_evacuated(three):
    found = takeover(three({("route53", EAST): reports(WEST)}), EAST)

    assert (found.fit, found.unknown, found.is_possible) == ((THIRD,), {}, True)
    assert found.unfit == {
        WEST: "unhealthy: 0 of 16 checkers healthy; Failure: HTTP Status Code 503"
    }
    switch.evacuate(three(), THIRD, reason="a trial")
    found = takeover(three(), EAST)
    assert (found.fit, list(found.unfit)) == ((WEST,), [THIRD])
    assert "reason: a trial" in found.unfit[THIRD]


@pytest.mark.parametrize("policy", ["failover", "latency", "weighted"])
def test_the_last_region_is_not_evacuated_unless_it_is_named(three, typed, policy):
    found = three({("route53", EAST): reports(THIRD)}, policy)
    assert typed(found, "evacuate", WEST, "--yes")[0] == ExitCode.PASSED

    code, printed = typed(found, "evacuate", EAST, "--yes")

    assert code == ExitCode.CHECK_FAILED
    assert f"{EAST} was not evacuated: no other Region is fit to take over ({WEST} is evacu" in (
        printed
    )
    assert f"{THIRD} is unhealthy: 0 of 16 checkers healthy" in printed
    assert f"--force {EAST}" in printed
    assert not switch.status(found, EAST).evacuated
    assert typed(found, "evacuate", EAST, "--yes", "--force", WEST)[0] == ExitCode.USAGE
    assert not switch.status(found, EAST).evacuated

    assert typed(found, "evacuate", EAST, "--yes", "--force", EAST)[0] == ExitCode.PASSED
    assert switch.status(found, EAST).evacuated


def test_what_is_not_known_is_named_and_does_not_stop_an_evacuation(three, typed):
    """The Region to evacuate and every control plane are lost."""
    dead = {
        (service, region): DEAD
        for service in ("route53", "sts", "apigateway", "lambda")
        for region in REGIONS
    }
    found = three(dead | {("dynamodb", EAST): DEAD})

    code, printed = typed(found, "evacuate", EAST, "--yes", "--reason", "lost")

    assert code == ExitCode.PASSED
    for other in (WEST, THIRD):
        assert f"Not known of {other}: whether it is healthy (" in printed
        assert len(items(other)) == 1
    assert f"(in {WEST}, {THIRD})" in printed


def test_the_lost_second_region_is_evacuated_and_restored_without_its_lock(three, typed):
    """The lock is there, and nobody can hold it."""
    found = three({("dynamodb", WEST): DEAD})

    code, printed = typed(found, "evacuate", WEST, "--yes")
    assert code == ExitCode.PASSED
    assert f"{WEST} of production is evacuated since" in printed
    assert len(items(EAST)) == len(items(THIRD)) == 1

    code, printed = typed(found, "restore", WEST, "--yes")
    assert code == ExitCode.PASSED, printed
    assert f"Restoring without the lock of production, which is in {WEST}: " in printed
    assert not items(EAST) + items(THIRD)


def test_a_lock_that_somebody_holds_is_respected_for_any_region(three, typed, monkeypatch):
    found = three()
    switch.evacuate(found, WEST, writer="switch-1")
    drill = Lock(found, "drill", "drill-1")
    drill.acquire()
    monkeypatch.setattr(
        switch_cli, "hold", partial(hold, lease=Lease(sleep=lambda _: drill.renew()))
    )

    code, printed = typed(found, "restore", WEST, "--yes")

    assert code == ExitCode.PREREQUISITE
    assert "the environment production is being changed: drill by" in printed
    assert switch.status(found, WEST).evacuated


def test_status_names_every_region_and_replica(three, typed):
    found = three()
    switch.evacuate(found, THIRD, reason="a trial")

    code, printed = typed(found, "status")

    assert code == ExitCode.PASSED
    assert f"{EAST} of production is not evacuated." in printed
    assert f"{THIRD} of production is evacuated since" in printed
    assert f"reason: a trial (in {EAST}, {WEST})." in printed
    assert f"Restore it with: python -m ops switch restore {THIRD} --environment" in printed


@pytest.mark.parametrize("command", ["engage", "release"])
def test_the_short_forms_need_a_primary(three, typed, command):
    code, printed = typed(three(policy="latency"), command, "--yes")

    assert code == ExitCode.USAGE
    assert "has no primary Region: its routing policy is latency" in printed
    assert f"with one of {EAST}, {WEST}, {THIRD}" in printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("30m", 1800), ("4h", 14400), ("2d", 172800)],
)
def test_an_evacuation_ends_after_the_time_that_is_given(three, typed, text, expected):
    found = three()

    code, printed = typed(found, "evacuate", EAST, "--yes", "--expires-in", text)

    assert code == ExitCode.PASSED
    end = datetime.fromisoformat(switch.status(found, EAST).expires_at)
    assert (
        timedelta(0) <= datetime.now(UTC) + timedelta(seconds=expected) - end < timedelta(minutes=1)
    )
    assert f"until it is restored, at the latest at {end.isoformat()}" in printed


@pytest.mark.parametrize("text", ["0m", "30", "m", "-1h", "1w", "1.5h", ""])
def test_what_is_no_duration_is_refused(three, typed, text):
    code, printed = typed(three(), "evacuate", EAST, "--yes", f"--expires-in={text}")

    assert code == ExitCode.USAGE
    assert "is not a duration: give a number and s, m, h or d" in printed
    assert not items(WEST)


def test_the_lines_for_a_machine_without_the_tool_do_what_it_does(three):
    """Each is read as the AWS CLI reads it, and called."""
    found = three()

    def call(line):
        aws, service, operation, *words = shlex.split(line)
        assert (aws, service) == ("aws", "dynamodb")
        options = dict(zip(words[::2], words[1::2], strict=True))
        client = found.client("dynamodb", options.pop("--region"))
        arguments = {
            "".join(part.title() for part in name.strip("-").split("-")): json.loads(value)
            if value.startswith("{")
            else value
            for name, value in options.items()
        }
        getattr(client, operation.replace("-", "_"))(**arguments)

    for region, other in ((EAST, WEST), (WEST, EAST), (THIRD, EAST)):
        call(evacuate_by_hand(found.outputs, region, other))
        state = switch.status(found, region)
        assert (state.evacuated, state.replicas, state.reason) == (True, (other,), "by hand")
        # Whoever has evacuated it before is not overwritten.
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            call(evacuate_by_hand(found.outputs, region, other))
        call(restore_by_hand(found.outputs, region, other))
        assert not switch.status(found, region).evacuated
        switch.evacuate(found, region, writer="drill-1")
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            call(restore_by_hand(found.outputs, region, other, "drill-2"))
        call(restore_by_hand(found.outputs, region, other, "drill-1"))
        assert not items(other)
