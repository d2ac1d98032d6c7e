"""Manual failback in the operator's tool: what is verified, restored and left alone."""

from copy import deepcopy

import pytest
from fake_drill import EAST, FakeLocks, FakeSwitch, sandbox_environment
from fake_environment import FAILBACK, OUTPUTS, SERVING, WEST, Canned, environment
from moto import mock_aws
from table import TABLE

from ops import switch
from ops.drill import steps
from ops.drill.journal import Journal, Program
from ops.drill.restore import plan, restore
from ops.drill.sandbox_faults import ErrorFault
from ops.evacuation_item import Evacuation
from ops.http_client import DnsAnswer
from ops.verify import failback
from ops.verify.finding import Outcome
from ops.verify.health_states import HealthState

pytestmark = pytest.mark.unit

ZONE = OUTPUTS["zone_id"]
MANUAL = {"failback": FAILBACK}
BEHIND = f"failover-2.{SERVING}"


def record(name, role, *, address="", alias="", check=""):
    found = {"Name": f"{name}.", "Type": "A", "SetIdentifier": role, "Failover": role.upper()}
    if address:
        found |= {"TTL": 2, "ResourceRecords": [{"Value": address}]}
    if alias:
        found["AliasTarget"] = {
            "HostedZoneId": ZONE, "DNSName": f"{alias}.", "EvaluateTargetHealth": True,
        }  # fmt: skip
    return found | ({"HealthCheckId": check} if check else {})


RECORDS = [
    record(SERVING, "primary", address="192.0.2.1", check="calculated"),
    record(SERVING, "secondary", alias=BEHIND),
    record(BEHIND, "primary", address="192.0.2.2", check="calculated-west"),
    record(BEHIND, "secondary", address="192.0.2.0"),
]


def problems_of(listed):
    def list_from(StartRecordName, **_):  # noqa: N803
        return {"ResourceRecordSets": [r for r in listed if r["Name"] >= f"{StartRecordName}."]}

    route53 = Canned(list_resource_record_sets=list_from)
    found = failback.records.run(environment({("route53", EAST): route53}, outputs=MANUAL))
    return {f.subject: f.found for f in found if f.outcome is not Outcome.PASSED}


def test_the_records_of_the_stack_pass():
    assert problems_of(RECORDS) == {}


def test_without_manual_failback_nothing_is_checked():
    for each in (failback.records, failback.answer, failback.mark):
        assert each.run(environment()) == ()


@pytest.mark.parametrize("index", range(len(RECORDS)))
def test_each_missing_record_is_named(index):
    found = problems_of([r for r in RECORDS if r is not RECORDS[index]])

    missing = RECORDS[index]
    assert list(found) == [f"{missing['Name'][:-1]} {missing['SetIdentifier']}"]
    assert "does not exist" in next(iter(found.values()))


WRONG = {
    "role": lambda r: r.update(Failover="MULTIVALUE"),
    "address": lambda r: r["ResourceRecords"][0].update(Value="192.0.2.9"),
    "two addresses": lambda r: r["ResourceRecords"].append({"Value": "192.0.2.9"}),
    "target": lambda r: r["AliasTarget"].update(DNSName="elsewhere."),
    "health of the target": lambda r: r["AliasTarget"].update(EvaluateTargetHealth=False),
    "health check": lambda r: r.update(HealthCheckId="another"),
}


NEEDS = {
    "address": "ResourceRecords",
    "two addresses": "ResourceRecords",
    "target": "AliasTarget",
    "health of the target": "AliasTarget",
}


@pytest.mark.parametrize(
    ("wrong", "index"),
    [
        (wrong, index)
        for wrong in WRONG
        for index, found in enumerate(RECORDS)
        if NEEDS.get(wrong, "Name") in found
    ],
)
def test_each_wrong_record_is_named(wrong, index):
    listed = deepcopy(RECORDS)
    WRONG[wrong](listed[index])

    (subject,) = problems_of(listed)

    assert subject == f"{listed[index]['Name'][:-1]} {listed[index]['SetIdentifier']}"


def test_a_record_that_is_not_of_the_stack_is_named():
    (found,) = problems_of([*RECORDS, record(SERVING, "by hand", address="192.0.2.1")]).values()

    assert "is not part of the stack" in found


def answered(monkeypatch, address, healthy):
    ids = OUTPUTS["health_check_ids"]
    states = {ids[region]: HealthState(state, "") for region, state in healthy.items()}
    monkeypatch.setattr(failback, "health_states", lambda _: states)
    # Where a server of a sandbox answers, nothing is cached.
    found = environment(outputs=MANUAL)
    answer = DnsAnswer((address,) if address else (), 2, "" if address else "NXDOMAIN")
    monkeypatch.setattr(type(found.network), "resolve", lambda *_: answer)
    (finding,) = failback.answer.run(found)
    return finding.outcome


@pytest.mark.parametrize(
    ("east", "west", "address", "outcome"),
    [
        (True, True, "192.0.2.1", Outcome.PASSED),
        (True, True, "192.0.2.2", Outcome.FAILED),
        (False, True, "192.0.2.2", Outcome.PASSED),
        (False, True, "192.0.2.1", Outcome.FAILED),
        (False, False, "192.0.2.0", Outcome.PASSED),
        (False, False, "192.0.2.1", Outcome.FAILED),
        (True, True, "192.0.2.0", Outcome.FAILED),
        (None, True, "192.0.2.1", Outcome.UNKNOWN),
        (None, True, "192.0.2.9", Outcome.FAILED),
    ],
)
def test_the_answer_is_compared_with_the_health_checks(monkeypatch, east, west, address, outcome):
    assert answered(monkeypatch, address, {EAST: east, WEST: west}) is outcome


@pytest.fixture
def replicas(monkeypatch):
    """An environment with manual failback, and a table for each of its Regions."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("ops.switch.GRACE_SECONDS", 60.0)
    with mock_aws():
        for region in (EAST, WEST):
            environment().client("dynamodb", region).create_table(TableName="weather", **TABLE)
        yield environment(outputs=MANUAL)


def put(region, sort_key, **texts):
    item = {"pk": "control", "sk": sort_key} | texts
    environment().client("dynamodb", region).put_item(
        TableName="weather", Item={name: {"S": text} for name, text in item.items()}
    )


def sort_keys(region):
    items = environment().client("dynamodb", region).scan(TableName="weather")["Items"]
    return {item["sk"]["S"] for item in items}


LATCHED = {
    "evacuated_at": "2026-01-31T00:00:00+00:00", "evacuated_by": f"failover, in {WEST}",
    "reason": "failed over; failback is manual", "kind": "failover", "writer": "failover-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("mark", "latched", "serving", "outcome"),
    [
        ({"since": "1", "long_at": "2"}, False, EAST, Outcome.PASSED),
        ({"since": "1"}, False, EAST, Outcome.FAILED),
        ({}, False, EAST, Outcome.FAILED),
        ({}, False, WEST, Outcome.PASSED),
        ({"since": "1", "long_at": "2"}, False, WEST, Outcome.FAILED),
        ({"since": "1", "long_at": "2"}, True, WEST, Outcome.FAILED),
        ({}, True, WEST, Outcome.PASSED),
        # All are unhealthy or evacuated.
        ({"since": "1", "long_at": "2"}, True, EAST, Outcome.FAILED),
    ],
)
def test_a_missing_and_a_stuck_mark_are_found(
    replicas, monkeypatch, mark, latched, serving, outcome
):
    monkeypatch.setattr(failback, "health_states", lambda _: {})
    monkeypatch.setattr(failback, "regions_to_serve", lambda *_: (serving,))
    if mark:
        put(WEST, f"serving-{EAST}", **mark)
    if latched:
        put(WEST, f"evacuation-{EAST}", **LATCHED)

    (finding,) = failback.mark.run(replicas)

    assert (finding.subject, finding.outcome) == (f"{EAST} in {WEST}", outcome)


def test_restore_deletes_the_mark_before_the_item(replicas):
    put(WEST, f"serving-{EAST}", since="1", long_at="2")
    put(WEST, f"evacuation-{EAST}", **LATCHED)
    dynamodb, deleted = replicas.client("dynamodb", WEST), []

    class Recorder:
        def __getattr__(self, name):
            if name == "delete_item":
                return lambda **arguments: (
                    deleted.append(arguments["Key"]["sk"]["S"]), dynamodb.delete_item(**arguments)
                )[1]  # fmt: skip
            return getattr(dynamodb, name)

    recorded = environment({("dynamodb", WEST): Recorder()}, outputs=MANUAL)
    change = switch.restore(recorded, EAST, writer="failover-1")

    assert (change.changed, change.after.evacuated) == (True, False)
    assert deleted == [f"serving-{EAST}", f"evacuation-{EAST}"]
    assert sort_keys(WEST) == set()


def test_an_environment_with_automatic_failback_restores_what_is_latched(replicas):
    put(WEST, f"evacuation-{EAST}", **LATCHED)

    assert switch.restore(environment(), EAST).changed
    assert sort_keys(WEST) == set()


# Drills

STARTED = "2026-01-31T00:00:00+00:00"


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    return FakeSwitch.instead(monkeypatch), sandbox_environment(tmp_path, manual_failback=True)


def latch(at, kind="failover"):
    return Evacuation(
        EAST, evacuated=True, evacuated_at=at, kind=kind, writer="failover-1", replicas=(WEST,)
    )


@pytest.mark.parametrize(
    ("state", "restored"),
    [
        (latch("2026-01-31T00:05:00+00:00"), True),
        # What was there before the drill, or is an operator's, is nothing of the drill's.
        (latch("2026-01-30T23:00:00+00:00"), False),
        (latch("2026-01-31T00:05:00+00:00", kind="switch"), False),
        (Evacuation(EAST), False),
    ],
)
def test_a_drill_restores_what_failed_over_since_it_began(sandbox, state, restored):
    fake, environment = sandbox
    fake.state = state

    done = steps.failing_back(environment, STARTED)[EAST].do()

    assert bool(done) is restored
    assert fake.state.evacuated is (state.evacuated and not restored)


def test_the_line_that_restores_by_hand_deletes_whatever_is_there(sandbox):
    _, environment = sandbox

    line = steps.failing_back(environment, STARTED)[EAST].by_hand

    assert line.startswith("aws dynamodb delete-item --region us-west-2")
    assert "condition" not in line


def test_a_drill_that_was_killed_is_restored_with_what_failed_over(sandbox, monkeypatch):
    # GIVEN a killed drill whose fault made the primary fail over
    fake, environment = sandbox
    fake.state = latch("2026-01-31T00:05:00+00:00")
    fault = ErrorFault(id="drill-1", region=EAST)
    journal = Journal("local", STARTED, "host", Program(1, 1.0), "drill-00000001", fault)
    monkeypatch.setattr("ops.drill.restore._journals", lambda *_: (journal,))
    monkeypatch.setattr("ops.drill.restore._local_journal", lambda *_: (None, ""))
    monkeypatch.setattr("ops.drill.restore._deletions", lambda *_: iter(()))
    monkeypatch.setattr("ops.drill.restore._set_speed", lambda *_: "")
    # WHEN it is restored
    found = plan(environment)
    assert any(step.what.startswith(f"restore {EAST}") for step in found.steps)
    assert not [other for other in found.others if "evacuated" in other]
    done = restore(environment, FakeLocks().held("drill-2", environment), found)
    # THEN the primary serves again
    assert f"restored {EAST}, which failed over at 2026-01-31T00:05:00+00:00" in done.done
    assert not fake.state.evacuated
