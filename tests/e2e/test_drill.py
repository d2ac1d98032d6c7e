"""Drills in a sandbox: every fault, what a drill must notice, and what restores a killed one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from drills import EVERYWHERE, FEW, drill, failed_without_reason, over_time
from local_api import run_ops
from repository_files import REPOSITORY

from ops import switch
from ops.drill.faults import FAULTS
from ops.drill.outcome import deciding_time
from ops.drill.probe_location import probe_locations
from ops.drill.report import to_markdown
from ops.drill.sandbox_faults import RegionLossFault
from ops.fault_injection import REPLICATION, Fault
from ops.lock import LockState, read

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("full_speed")]

PATIENCE_SECONDS = 120


def nothing_is_left(environment):
    return (
        environment.fault_injection.faults() == ()
        and not switch.status(environment, environment.primary).evacuated
        and not environment.journal_file.exists()
        and read(environment) == LockState()
        and not any(location.observations(r) for location in probe_locations(environment)
                    for r in environment.regions)
        and environment.client("lambda", environment.primary).get_function_concurrency(
            FunctionName=environment.outputs.health_functions[environment.primary]
        ).get("ReservedConcurrentExecutions") is None
    )  # fmt: skip


def region_that_dns_leads_to(environment):
    [address] = environment.network.resolve(environment.outputs.record_name).addresses
    regions = {environment.network.hosts[h][0]: r for r, h in
               environment.outputs.domain_targets.items()}  # fmt: skip
    return regions[address]


def endpoint_is_healthy(environment, region):
    status = environment.sandbox_status()
    id = environment.outputs.endpoint_health_check_ids[region]
    return next(check["healthy"] for check in status["health_checks"] if check["id"] == id)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


RARELY = ("dynamodb-dns", "replication-paused", "sts", "control-plane")
"""Faults whose parts other tests inject, too."""


@pytest.mark.parametrize(
    "fault",
    [pytest.param(f, marks=pytest.mark.exhaustive if f in RARELY else ()) for f in EVERYWHERE],
)
def test_a_drill_passes_and_leaves_nothing(environment, fault):
    outcome = drill(environment, fault)
    if over_time(outcome) or failed_without_reason(outcome) > FEW:
        # Other tests took the processor from it: at half the speed, that counts half.
        outcome = drill(environment.at_speed(outcome.speed / 2), fault)

    assert outcome.findings == []
    measured = outcome.measurements
    durations = measured.durations
    assert durations.detection is not None
    assert durations.dns_change is not None
    assert durations.cut_over is not None
    assert durations.failback is not None
    assert measured.detected_by == "health check"
    fails_requests = FAULTS[fault].fails_requests
    assert deciding_time(outcome)[0] == ("rto" if fails_requests else "cut_over")
    assert ("rto" in measured.not_exercised) == (not fails_requests)
    if fails_requests:
        assert measured.failed_during > 0
    assert failed_without_reason(outcome) <= FEW
    assert outcome.durability.acknowledged > 10
    # Replication takes time: what arrives later is no loss.
    assert {each.state for each in outcome.durability.found} <= {"late"}
    assert outcome.consistency.problems == []
    assert outcome.consistency.acknowledged["update"] > 0
    assert len(outcome.consistency.cut_over) == 1
    if FAULTS[fault].serves_inside:
        # The writes of those within the Region count, and the last writer of both sides wins.
        assert outcome.consistency.missing_writes > 0
        assert outcome.consistency.conflicts
        assert all(each.winner for each in outcome.consistency.conflicts)
    assert nothing_is_left(environment)


@pytest.mark.exhaustive
@pytest.mark.soak
def test_what_is_lost_for_good_is_what_the_region_taking_over_lacked(environment, monkeypatch):
    # GIVEN writes that are held back a little before the Region is lost, however fast they are
    monkeypatch.setattr("ops.drill.run.LOST_AFTER_SECONDS", 3)
    region = environment.primary
    paused = environment.fault_injection.injected(Fault(region, "replication_paused"))
    inject = RegionLossFault.inject

    def inject_later(fault, environment):
        with paused:
            time.sleep(3.0)
            inject(fault, environment)

    monkeypatch.setattr(RegionLossFault, "inject", inject_later)

    outcome = drill(environment, "region-loss", discard=True, max_rto_seconds=3600)

    # THEN it is them who are lost, each by its name, and nothing else is wrong
    found = outcome.consistency
    (at_cut_over,) = found.cut_over
    assert outcome.held_back > 0
    lacking = {each.key for each in at_cut_over.missing if each.kind == "put"}
    deleted = {each.key for each in outcome.history.operations if each.kind == "delete"}
    lost = {each.key for each in found.of("lost") if each.kind == "put"}
    assert lost - deleted == lacking - deleted != set()
    assert {each.state for each in found.found} <= {"lost", "not deleted"}
    assert not outcome.passed
    assert nothing_is_left(environment)


@pytest.mark.exhaustive
@pytest.mark.soak
def test_what_is_lost_for_good_is_replayed_and_nothing_is_lost_at_the_end(environment, monkeypatch):
    # GIVEN writes that are held back a little before the Region is lost, however fast they are
    monkeypatch.setattr("ops.drill.run.LOST_AFTER_SECONDS", 3)
    paused = environment.fault_injection.injected(Fault(environment.primary, "replication_paused"))
    inject = RegionLossFault.inject

    def inject_later(fault, environment):
        with paused:
            time.sleep(3.0)
            inject(fault, environment)

    monkeypatch.setattr(RegionLossFault, "inject", inject_later)

    outcome = drill(environment, "region-loss", discard=True, max_rto_seconds=3600, reconciles=True)

    done = outcome.reconciliation
    assert done.lost == outcome.consistency.lost > 0
    assert done.replayed > 0
    assert (done.left, done.problems) == (0, [])
    # AND what was lost before it counts as it does without it
    assert not outcome.passed
    assert nothing_is_left(environment)


@pytest.mark.exhaustive
def test_a_region_is_evacuated_and_restored_while_control_planes_do_not_work(api, environment):
    region = environment.primary
    with environment.fault_injection.injected(Fault(region, "control_plane")):
        for command in ("evacuate", "restore"):
            done = run_ops(
                "switch", command, region, "--folder", str(api.workspace.folder), "--yes"
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            is_out = command == "evacuate"
            assert switch.status(environment, region).evacuated == is_out


def test_the_switch_holds_traffic_after_the_primary_has_recovered_until_it_is_released(environment):
    primary, secondary = environment.primary, environment.secondary
    switch.evacuate(environment, environment.primary, reason="a test")
    try:
        wait_until(lambda: region_that_dns_leads_to(environment) == secondary, "switched")
        with environment.fault_injection.injected(Fault(primary, "error")):
            wait_until(lambda: not endpoint_is_healthy(environment, primary), "broken")
        wait_until(lambda: endpoint_is_healthy(environment, primary), "recovered")

        end = time.monotonic() + 60 / environment.speed
        while time.monotonic() < end:
            assert region_that_dns_leads_to(environment) == secondary
            time.sleep(0.1)
    finally:
        switch.restore(environment, environment.primary)
    wait_until(lambda: region_that_dns_leads_to(environment) == primary, "released")


@contextmanager
def broken_replication(environment):
    try:
        with environment.fault_injection.injected(
            Fault(environment.primary, "table", error=REPLICATION)
        ):
            yield
    finally:
        for location in probe_locations(environment):
            for region in environment.regions:
                location.empty(region)


@contextmanager
def missing_key(environment):
    gateway = environment.client("apigateway", environment.secondary)
    [usage_plan] = [
        p for p in gateway.get_usage_plans()["items"] if p["name"].endswith("-standard")
    ]
    [key] = gateway.get_usage_plan_keys(usagePlanId=usage_plan["id"])["items"]
    gateway.delete_usage_plan_key(usagePlanId=usage_plan["id"], keyId=key["id"])
    try:
        yield
    finally:
        gateway.create_usage_plan_key(
            usagePlanId=usage_plan["id"], keyId=key["id"], keyType="API_KEY"
        )


@pytest.mark.parametrize(
    ("damage", "named"),
    [(broken_replication, "replication"), (missing_key, "us-west-2")],
)
def test_an_environment_that_is_not_sound_is_not_drilled(api, environment, damage, named):
    with damage(environment):
        done = run_ops("drill", "--folder", str(api.workspace.folder), "--fault", "error")

    assert done.returncode == 1, done.stdout + done.stderr
    [*failures] = [line for line in done.stdout.splitlines() if line.startswith("Failed: ")]
    assert any(named in line for line in failures), done.stdout
    assert "Nothing was injected" in done.stdout
    assert nothing_is_left(environment)


def drill_with(environment, fault, *, before_the_fault, after_the_restore):
    """A drill of an environment that fails by itself meanwhile: after it was verified."""

    def notify(line):
        if line.startswith("Injecting"):
            before_the_fault()
        if line.startswith("Cleared"):
            after_the_restore()

    return drill(environment, fault, notify, max_rto_seconds=3600)


@pytest.mark.exhaustive
def test_writes_that_replication_loses_are_listed_by_key(environment, monkeypatch):
    # GIVEN replication that breaks after the environment was verified
    monkeypatch.setattr("ops.drill.run.LOST_AFTER_SECONDS", 1)
    damage = broken_replication(environment)

    # WHEN the primary fails
    try:
        outcome = drill_with(
            environment, "switch",
            before_the_fault=damage.__enter__, after_the_restore=lambda: None,
        )  # fmt: skip
    finally:
        damage.__exit__(None, None, None)

    # THEN what was acknowledged since is missing in the secondary, and said so
    lost = outcome.durability.keys("lost")
    assert set(lost.values()) == {(environment.secondary,)}
    assert not outcome.passed
    finding, *of_all = outcome.findings
    assert "replication" in finding
    assert next(iter(lost)) in finding
    # Those of publishers, too, who also update and delete.
    assert any("lost" in each for each in of_all), of_all
    assert all(each.startswith("of all writes, ") for each in of_all), of_all
    assert f"- {next(iter(lost))}: lost in {environment.secondary}" in to_markdown(outcome)
    assert nothing_is_left(environment)


@pytest.mark.exhaustive
def test_a_secondary_that_refuses_customers_is_no_cut_over_and_the_drill_says_why(
    environment,
):
    damage = missing_key(environment)

    outcome = drill_with(
        environment, "refuse",
        before_the_fault=damage.__enter__,
        after_the_restore=lambda: damage.__exit__(None, None, None),
    )  # fmt: skip

    assert outcome.measurements.durations.cut_over is None
    [finding] = outcome.findings
    assert finding.startswith("us-west-2 did not serve")
    assert "us-west-2: read status 403" in finding
    assert nothing_is_left(environment)


@contextmanager
def running_drill(api, fault, is_injected):
    """`python -m ops drill`, once it has broken something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "drill", "--folder", str(api.workspace.folder),
         "--environment", "local", "--fault", fault],
        cwd="/", env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        wait_until(lambda: process.poll() is not None or is_injected(), "injected")
        assert process.poll() is None, process.stdout.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_drill_that_is_interrupted_restores_everything(api, environment):
    with running_drill(api, "error", environment.fault_injection.faults) as process:
        process.send_signal(signal.SIGINT)
        # Somebody who is impatient must not keep it from restoring.
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130, output
    assert "Cleared the fault error" in output
    assert nothing_is_left(environment)
    wait_until(lambda: region_that_dns_leads_to(environment) == environment.primary, "back")


def injected_kinds(environment):
    return {
        "error": environment.fault_injection.faults,
        "switch": lambda: switch.status(environment, environment.primary).evacuated,
        "table": environment.fault_injection.faults,
    }


@pytest.mark.parametrize(
    "fault",
    ["error", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("switch", "table"))],
)
def test_what_a_killed_drill_leaves_is_named_and_restored(api, environment, fault):
    at = ("--folder", str(api.workspace.folder))
    injected = injected_kinds(environment)[fault]
    with running_drill(api, fault, injected) as process:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert injected()

    # A new drill is refused, and says what to do.
    refused = run_ops("drill", *at, "--fault", "refuse")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "--restore" in refused.stderr

    if fault == "error":
        verified = run_ops("verify", *at, "--json")
        failed = {f["check"] for f in json.loads(verified.stdout)["findings"]
                  if f["outcome"] == "failed"}  # fmt: skip
        assert verified.returncode == 1
        assert "leftover.faults" in failed

    restored = run_ops("drill", *at, "--restore")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "Done: " in restored.stdout
    assert nothing_is_left(environment)
    wait_until(lambda: region_that_dns_leads_to(environment) == environment.primary, "back")

    again = run_ops("drill", *at, "--restore")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.endswith("Nothing was left to restore.\n")


def test_a_drill_over_its_limit_and_under_load_fails_and_leaves_a_report(
    api, environment, tmp_path
):
    done = run_ops(
        "drill", "--folder", str(api.workspace.folder), "--fault", "error", "--json",
        "--report-folder", str(tmp_path), "--max-rto-seconds", "1",
        # What a busy machine does to the load is not the matter here.
        "--load", "5", "--max-failed-share", "1",
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert not found["passed"]
    [finding] = found["findings"]
    assert "more than the 1 s allowed" in finding
    [place] = tmp_path.iterdir()
    assert found["report_folder"] == str(place)
    assert {path.name for path in place.iterdir()} == {
        "history.jsonl", "report.json", "report.md", "timeline.png",
    }  # fmt: skip
    assert_load_moved(found["load"], environment)
    # The load's writes are looked for, and deleted, like all others.
    assert found["writes"]["acknowledged"] > found["requests"]["write"]["sent"] / 2
    assert nothing_is_left(environment)


def assert_load_moved(load, environment):
    assert [*load["parts"]] == ["before", "during", "after", "restored"]
    before, during, after, restored = load["parts"].values()
    served = [{r["region"] for r in part["regions"] if r["ok"]} for part in (before, after)]
    assert served == [{environment.primary}, {environment.secondary}]
    assert sum(each["server_error"] for each in during["regions"]) > 0
    assert after["attempts"] >= 10
    assert restored["requests"] > 0
    for part in (before, after):
        latency = part["latency_seconds"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    sent = sum(each["sent"] for second in load["seconds"] for each in second["regions"])
    assert sent == sum(part["attempts"] for part in load["parts"].values())
    assert load["state"] == ("not measured" if load["unmeasured"] else "measured")
