"""Drills on the local stand: every fault, what a drill must notice, and what outlives its death."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import urllib3
from repository_files import REPOSITORY

from ops import switch
from ops.drill import journal
from ops.drill.faults import FAULTS, Choice, plan
from ops.drill.markdown import to_markdown
from ops.drill.outcome import Limits
from ops.drill.planning import expectation_of
from ops.drill.run import Drill
from ops.drill.station import stations
from ops.edge.faults import Fault
from ops.emulator.control import ServiceFaults
from ops.environment import open_environment

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def environment(api):
    return open_environment("local", workspace=api.workspace)


@pytest.fixture(scope="module")
def folder(api):
    return api.workspace.folder / "drills"


def drill(environment, folder, fault, **choice):
    injection = plan(environment, fault, Choice(**choice))
    expectation = expectation_of(environment, injection)
    limits = Limits(expectation.seconds)
    return Drill(environment, fault, injection, expectation, limits, folder).run()


def nothing_is_left(environment, folder):
    return (
        environment.edge.faults() == ()
        and ServiceFaults(environment.endpoint_url).faults() == ()
        and not switch.status(environment).engaged
        and not journal.journal_file(folder, environment.name).exists()
        and not any(s.observations(r) for s in stations(environment) for r in environment.regions)
        and environment.client("lambda", environment.primary).get_function_concurrency(
            FunctionName=environment.outputs["health_functions"][environment.primary]
        ).get("ReservedConcurrentExecutions") is None
    )  # fmt: skip


def region_that_dns_leads_to(environment):
    [address] = environment.network.resolve(environment.outputs["record_name"]).addresses
    regions = {environment.network.hosts[h][0]: r for r, h in
               environment.outputs["domain_targets"].items()}  # fmt: skip
    return regions[address]


def endpoint_is_healthy(environment, region):
    status = urllib3.request("GET", f"{environment.status_url}/status").json()
    id = environment.outputs["endpoint_health_check_ids"][region]
    return next(check["healthy"] for check in status["health_checks"] if check["id"] == id)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_drill_passes_and_leaves_nothing(environment, folder, fault):
    outcome = drill(environment, folder, fault)

    assert outcome.findings == []
    measured = outcome.measurements
    durations = measured.durations.at_speed(environment.speed)
    assert durations.detection is not None
    assert durations.dns_change is not None
    assert durations.rto <= outcome.expectation.seconds
    assert durations.failback is not None
    assert (measured.failed_during > 0) == FAULTS[fault].breaks_requests
    assert measured.failed_before == measured.failed_after == 0
    assert outcome.durability.acknowledged > 10
    assert outcome.durability.cut_over.looked_for > 5
    assert outcome.durability.lost == {}
    assert nothing_is_left(environment, folder)


def test_the_switch_holds_traffic_after_the_primary_has_recovered_until_it_is_released(environment):
    primary, standby = environment.primary, environment.standby
    switch.engage(environment, reason="drill: a test")
    try:
        wait_until(lambda: region_that_dns_leads_to(environment) == standby, "switched")
        with environment.edge.broken(Fault(primary, "error")):
            wait_until(lambda: not endpoint_is_healthy(environment, primary), "broken")
        wait_until(lambda: endpoint_is_healthy(environment, primary), "recovered")

        end = time.monotonic() + 60 / environment.speed
        while time.monotonic() < end:
            assert region_that_dns_leads_to(environment) == standby
            time.sleep(0.1)
    finally:
        switch.release(environment)
    wait_until(lambda: region_that_dns_leads_to(environment) == primary, "released")


@contextmanager
def broken_replication(environment):
    services = ServiceFaults(environment.endpoint_url)
    fault = services.inject("dynamodb", environment.primary, "replication")
    try:
        yield
    finally:
        services.mend(fault.id)
        for station in stations(environment):
            for region in environment.regions:
                station.clear(region)


@contextmanager
def missing_key(environment):
    gateway = environment.client("apigateway", environment.standby)
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
def test_an_environment_that_is_not_sound_is_not_drilled(
    api, environment, folder, ops, damage, named
):
    with damage(environment):
        done = ops("drill", "--folder", str(api.workspace.folder), "--fault", "error")

    assert done.returncode == 1, done.stdout + done.stderr
    [*failures] = [line for line in done.stdout.splitlines() if line.startswith("Failed: ")]
    assert any(named in line for line in failures), done.stdout
    assert "Nothing was broken" in done.stdout
    assert nothing_is_left(environment, folder)


def drill_with(environment, folder, fault, *, before_the_fault, after_the_restore):
    """A drill of an environment that breaks by itself meanwhile: after it was verified."""
    injection = plan(environment, fault, Choice())
    expectation = expectation_of(environment, injection)

    def tell(line):
        if line.startswith("Breaking"):
            before_the_fault()
        if line.startswith("Put right"):
            after_the_restore()

    limits = Limits(expectation.seconds)
    return Drill(environment, fault, injection, expectation, limits, folder, tell=tell).run()


def test_writes_that_replication_loses_are_listed_by_key(environment, folder, monkeypatch):
    # GIVEN replication that breaks after the environment was verified
    monkeypatch.setattr("ops.drill.station.REPLICATION_GRACE_SECONDS", 1)
    damage = broken_replication(environment)

    # WHEN the primary fails
    try:
        outcome = drill_with(
            environment, folder, "switch",
            before_the_fault=damage.__enter__, after_the_restore=lambda: None,
        )  # fmt: skip
    finally:
        damage.__exit__(None, None, None)

    # THEN what was acknowledged since is missing in the standby, and said so
    assert outcome.durability.lost
    assert set(outcome.durability.lost.values()) == {(environment.standby,)}
    assert not outcome.passed
    [finding] = outcome.findings
    assert "replication" in finding
    assert next(iter(outcome.durability.lost)) in finding
    assert "lost: 2000-01-01T00:" in to_markdown(outcome)
    assert nothing_is_left(environment, folder)


def test_a_standby_that_refuses_customers_is_no_cut_over_and_the_drill_says_why(
    environment, folder
):
    damage = missing_key(environment)

    outcome = drill_with(
        environment, folder, "refuse",
        before_the_fault=damage.__enter__,
        after_the_restore=lambda: damage.__exit__(None, None, None),
    )  # fmt: skip

    assert outcome.measurements.durations.cut_over is None
    [finding] = outcome.findings
    assert finding.startswith("us-west-2 did not serve")
    assert "us-west-2: read status 403" in finding
    assert nothing_is_left(environment, folder)


@contextmanager
def running_drill(api, fault, is_injected):
    """`python -m ops drill`, once it has broken something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "drill", "--folder", str(api.workspace.folder),
         "--fault", fault],
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


def test_a_drill_that_is_interrupted_puts_everything_right(api, environment, folder):
    with running_drill(api, "error", environment.edge.faults) as process:
        process.send_signal(signal.SIGINT)
        # Somebody who is impatient must not keep it from putting things right.
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130, output
    assert "Put right" in output
    assert nothing_is_left(environment, folder)
    wait_until(lambda: region_that_dns_leads_to(environment) == environment.primary, "back")


def injected_kinds(environment):
    return {
        "error": environment.edge.faults,
        "switch": lambda: switch.status(environment).engaged,
        "table": ServiceFaults(environment.endpoint_url).faults,
    }


@pytest.mark.parametrize("fault", ["error", "switch", "table"])
def test_what_a_killed_drill_leaves_is_named_and_put_right(api, environment, folder, ops, fault):
    at = ("--folder", str(api.workspace.folder))
    injected = injected_kinds(environment)[fault]
    with running_drill(api, fault, injected) as process:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert injected()

    # A new drill is refused, and says what to do.
    refused = ops("drill", *at, "--fault", "refuse")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "--restore" in refused.stderr

    if fault == "error":
        verified = ops("verify", *at, "--json")
        failed = {f["check"] for f in json.loads(verified.stdout)["findings"]
                  if f["outcome"] == "failed"}  # fmt: skip
        assert verified.returncode == 1
        assert "leftover.edge_faults" in failed

    restored = ops("drill", *at, "--restore")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "Done: " in restored.stdout
    assert nothing_is_left(environment, folder)
    wait_until(lambda: region_that_dns_leads_to(environment) == environment.primary, "back")

    again = ops("drill", *at, "--restore")
    assert (again.returncode, again.stdout) == (0, "Nothing was left to put right.\n")


def test_a_drill_over_its_limit_fails_and_leaves_a_report(api, environment, folder, ops, tmp_path):
    done = ops(
        "drill", "--folder", str(api.workspace.folder), "--fault", "error", "--json",
        "--report-folder", str(tmp_path), "--max-rto-seconds", "1",
    )  # fmt: skip

    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert not found["passed"]
    [finding] = found["findings"]
    assert "more than the 1 s allowed" in finding
    [place] = tmp_path.iterdir()
    assert found["report_folder"] == str(place)
    assert {path.name for path in place.iterdir()} == {"report.json", "report.md", "timeline.png"}
    assert nothing_is_left(environment, folder)
