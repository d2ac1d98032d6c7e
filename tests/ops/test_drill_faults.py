"""Faults of a drill: each is injected, cleared by its id, and described."""

import json

import pytest
from fake_drill import EAST, WEST, FakeSwitch, aws_environment, sandbox_environment

from ops import switch
from ops.drill.faults import FAULTS, choose, from_json
from ops.errors import ExitCode, OpsError
from ops.fault_injection import CONTROL_KINDS, KINDS, REPLICATION_KINDS, Fault

pytestmark = pytest.mark.unit

ON_AWS = ("switch", "health-concurrency", "fis-replication-paused")


@pytest.fixture
def the_switch(monkeypatch):
    return FakeSwitch.instead(monkeypatch)


@pytest.fixture
def environment(the_switch, tmp_path):
    return sandbox_environment(tmp_path)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_injected_and_cleared_by_its_id(environment, the_switch, name):
    fault = choose(environment, name, "drill-1", {}).prepared(environment)
    before = (the_switch.state, environment.session.reserved.copy(), ())
    assert not fault.is_injected(environment)
    assert not fault.clear(environment)

    fault.inject(environment)
    injected = (
        the_switch.state,
        environment.session.reserved,
        environment.fault_injection.faults(),
    )
    assert injected != before
    assert fault.is_injected(environment)
    assert fault.clear(environment)
    assert not fault.clear(environment)

    after = (the_switch.state, environment.session.reserved, environment.fault_injection.faults())
    assert after == before


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_of_the_primary_and_is_read_from_a_journal_as_it_was_written(
    environment, name
):
    fault = choose(environment, name, "drill-1", {})

    assert (fault.id, fault.region) == ("drill-1", EAST)
    assert EAST in fault.describe()
    assert from_json(json.loads(json.dumps(fault.to_json()))) == fault


def test_every_kind_of_the_fault_injection_api_has_a_fault(environment):
    for name in set(FAULTS) - set(ON_AWS):
        choose(environment, name, name, {}).prepared(environment).inject(environment)

    injected = [each.fault for each in environment.fault_injection.faults()]
    kinds = {*KINDS, *REPLICATION_KINDS, *CONTROL_KINDS}
    assert {fault.kind for fault in injected} == kinds
    for fault in injected:
        assert Fault.from_json(fault.to_json(), regions=[EAST]) == fault


@pytest.mark.parametrize("name", FAULTS)
def test_on_aws_only_what_needs_no_sandbox_can_be_injected(tmp_path, name):
    on_aws = aws_environment(tmp_path)
    if name in ON_AWS:
        assert choose(on_aws, name, "drill-1", {}).region == EAST
        return
    with pytest.raises(OpsError, match="into a sandbox only") as caught:
        choose(on_aws, name, "drill-1", {})
    assert ", ".join(ON_AWS) in caught.value.next_step
    assert caught.value.exit_code is ExitCode.USAGE


def test_an_option_of_another_fault_is_refused(environment):
    with pytest.raises(OpsError, match="--fault refuse has no --delay-seconds"):
        choose(environment, "refuse", "drill-1", {"delay_seconds": 3, "share": None})


def test_options_shape_a_fault(environment):
    def chosen(name, **options):
        return choose(environment, name, "drill-1", options)

    assert chosen("slow", delay_seconds=100).delay_seconds == 5
    assert chosen("slow").delay_seconds == 2
    assert chosen("gray-failure", share=0.95).share == 0.95
    assert chosen("gray-failure").share == 0.9
    assert chosen("error", status=500).status == 500
    assert chosen("table", error="timeout").error == "timeout"


def lifecycle(environment, name, **options):
    """What is called when a fault is injected and cleared, in order."""
    fault = choose(environment, name, "drill-1", options).prepared(environment)
    fault.inject(environment)
    fault.clear(environment)
    return environment.fault_injection.calls


def test_no_write_leaves_a_lost_region_and_writes_arrive_before_its_customers_come_back(
    environment,
):
    assert lifecycle(environment, "region-loss") == [
        "inject partition", "inject refuse", "clear partition", "clear refuse"
    ]  # fmt: skip
    environment.fault_injection.calls.clear()
    assert lifecycle(environment, "partition") == [
        "inject partition", "inject isolated", "clear partition", "clear isolated"
    ]  # fmt: skip


def test_what_is_lost_for_good_is_discarded_before_it_could_arrive_and_once(environment):
    calls = lifecycle(environment, "region-loss", discard=True)

    assert calls[2:] == [f"discard {EAST}", "clear partition", "clear refuse"]
    fault = choose(environment, "region-loss", "drill-1", {"discard": True})
    assert not fault.clear(environment)
    assert calls.count(f"discard {EAST}") == 1
    assert f"curl -X DELETE http://127.0.0.1:1/replication/{EAST} && " in fault.by_hand(environment)


def test_a_part_that_cannot_be_cleared_is_cleared_by_trying_again(environment):
    fault = choose(environment, "region-loss", "drill-1", {})
    fault.inject(environment)
    environment.fault_injection.failures.append(OpsError("503", next_step="wait"))

    with pytest.raises(OpsError):
        fault.clear(environment)
    assert fault.is_injected(environment)
    assert fault.clear(environment)
    assert not environment.fault_injection.faults()


def test_writes_are_held_back_before_the_region_is_evacuated_and_arrive_before_it_serves(
    environment, the_switch, monkeypatch
):
    calls = environment.fault_injection.calls
    for name in ("evacuate", "restore"):
        function = getattr(switch, name)
        monkeypatch.setattr(
            switch, name,
            lambda *given, name=name, function=function, **options: (
                calls.append(name) or function(*given, **options)
            ),
        )  # fmt: skip

    assert lifecycle(environment, "replication-paused", target=WEST) == [
        "inject replication_paused", "evacuate", "clear replication_paused", "restore"
    ]  # fmt: skip
    assert not the_switch.state.evacuated


def test_a_region_that_an_operator_has_evacuated_is_not_restored_with_replication(
    environment, the_switch
):
    the_switch.evacuate(environment, EAST, reason="it burns")
    fault = choose(environment, "replication-paused", "drill-1", {})

    with pytest.raises(OpsError, match="nothing was injected"):
        fault.inject(environment)

    assert fault.clear(environment)
    assert the_switch.state.evacuated
    assert not environment.fault_injection.faults()


def test_writes_are_held_back_from_another_region_only(environment):
    with pytest.raises(OpsError, match=f"the writes of {EAST} do not go there") as caught:
        choose(environment, "replication-paused", "drill-1", {"target": EAST})
    assert WEST in caught.value.next_step


def test_no_other_fault_is_cleared(environment):
    other = Fault(EAST, "slow", delay_seconds=1.0)
    environment.fault_injection.inject(other, id="other")
    fault = choose(environment, "error", "drill-1", {"status": 500})

    fault.inject(environment)
    fault.clear(environment)

    assert [each.fault for each in environment.fault_injection.faults()] == [other]


@pytest.mark.parametrize("previous", [None, 7])
def test_the_health_functions_concurrency_is_as_it_was_before(environment, previous):
    if previous is not None:
        environment.session.reserved[EAST] = previous
    before = dict(environment.session.reserved)
    fault = choose(environment, "health-concurrency", "drill-1", {}).prepared(environment)

    fault.inject(environment)
    assert environment.session.reserved[EAST] == 0
    fault.clear(environment)

    assert environment.session.reserved == before


def test_a_concurrency_that_somebody_has_changed_meanwhile_is_left_alone(environment):
    fault = choose(environment, "health-concurrency", "drill-1", {}).prepared(environment)
    fault.inject(environment)
    environment.session.reserved[EAST] = 3

    fault.clear(environment)

    assert environment.session.reserved == {EAST: 3}


def test_a_health_function_that_may_not_run_already_is_no_fault_to_inject(environment):
    fault = choose(environment, "health-concurrency", "drill-1", {})
    environment.session.reserved[EAST] = 0

    with pytest.raises(OpsError, match="may not run already") as caught:
        fault.prepared(environment)
    assert "aws lambda delete-function-concurrency" in caught.value.next_step
    fault.clear(environment)
    assert environment.session.reserved == {EAST: 0}, "it is somebody else's"


def test_the_concurrency_to_restore_is_read_right_before_the_injection(environment):
    """Between the choice and the injection somebody types a confirmation."""
    fault = choose(environment, "health-concurrency", "drill-1", {})
    environment.session.reserved[EAST] = 5

    fault = fault.prepared(environment)
    fault.inject(environment)
    fault.clear(environment)

    assert environment.session.reserved == {EAST: 5}


def test_a_concurrency_that_somebody_has_just_changed_is_not_replaced(environment):
    fault = choose(environment, "health-concurrency", "drill-1", {}).prepared(environment)
    environment.session.reserved[EAST] = 5

    with pytest.raises(OpsError, match="has changed the concurrency of get_health"):
        fault.inject(environment)
    assert environment.session.reserved == {EAST: 5}


@pytest.mark.parametrize(
    ("name", "reserved", "command"),
    [
        (
            "switch",
            {},
            "aws dynamodb delete-item --region us-west-2 "
            "--table-name arn:aws:dynamodb:us-west-2:123456789012:table/weather --key "
            """'{"pk": {"S": "control"}, "sk": {"S": "evacuation-us-east-1"}}' """
            "--condition-expression 'writer = :writer' --expression-attribute-values "
            """'{":writer": {"S": "drill-1"}}'""",
        ),
        (
            "health-concurrency",
            {},
            "aws lambda delete-function-concurrency --region us-east-1 --function-name get_health",
        ),
        (
            "health-concurrency",
            {EAST: 7},
            "aws lambda put-function-concurrency --region us-east-1 --function-name get_health "
            "--reserved-concurrent-executions 7",
        ),
        ("error", {}, "curl -X DELETE http://127.0.0.1:1/faults/drill-1"),
    ],
)
def test_every_fault_can_be_cleared_by_hand(environment, name, reserved, command):
    environment.session.reserved.update(reserved)

    fault = choose(environment, name, "drill-1", {}).prepared(environment)

    assert fault.by_hand(environment) == command


def test_an_evacuation_that_an_operator_takes_over_in_a_drill_stays(environment, the_switch):
    fault = choose(environment, "switch", "drill-1", {})
    fault.inject(environment)
    switch.evacuate(environment, EAST, reason="us-east-1 burns")

    assert not fault.is_injected(environment)
    assert not fault.clear(environment)
    assert the_switch.state.reason == "us-east-1 burns"


def test_an_operators_evacuation_is_neither_taken_over_nor_ended(environment, the_switch):
    the_switch.evacuate(environment, EAST, reason="drill went wrong, KEEP")
    fault = choose(environment, "switch", "drill-1", {})

    with pytest.raises(OpsError, match="KEEP already: nothing was injected"):
        fault.inject(environment)
    fault.clear(environment)

    assert the_switch.state.evacuated
    assert the_switch.state.region == EAST
