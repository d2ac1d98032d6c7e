"""`ops verify` and `ops switch` on the whole sandbox: every failure is named."""

import json
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from local_api import REGIONS, run_ops

from ops import switch
from ops.errors import ExitCode
from ops.fault_injection import REPLICATION, Fault
from ops.switch_timing import timing_of
from ops.verify import CHECKS, table, verify
from ops.verify.finding import Outcome
from ops.verify.health_states import health_states

pytestmark = pytest.mark.e2e

PRIMARY, SECONDARY = REGIONS
DEADLINE_SECONDS = 30

OPTIONAL = ("failback.", "fence.", "experiment.", "leftover.experiment")
WITHOUT_OPTIONS = {check.id for check in CHECKS if not check.id.startswith(OPTIONAL)}
"""Checks of an environment with automatic failback, no fence and no experiments."""


def until(holds):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def failures(environment, *ids):
    """`{(check, subject): found}` of what failed; of all checks unless some are named."""
    checks = [check for check in CHECKS if not ids or check.id in ids]
    assert len(checks) == (len(ids) or len(CHECKS))
    return {
        (finding.check, finding.subject): finding.found
        for finding in verify(environment, checks).with_outcome(Outcome.FAILED)
    }


def serving(environment):
    """The Region that DNS leads to."""
    regions = {
        environment.network.hosts[target][0]: region
        for region, target in environment.outputs.domain_targets.items()
    }
    return regions[environment.network.resolve(environment.outputs.record_name).addresses[0]]


@contextmanager
def record_changed(environment, action, record):
    """Changes a record of the zone, and puts it back."""

    def change(action):
        environment.client("route53", PRIMARY).change_resource_record_sets(
            HostedZoneId=environment.outputs.zone_id,
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
        )

    change(action)
    try:
        yield
    finally:
        change("UPSERT")


def secondary_record(environment):
    records = environment.client("route53", PRIMARY).list_resource_record_sets(
        HostedZoneId=environment.outputs.zone_id
    )["ResourceRecordSets"]
    return next(r for r in records if r.get("Failover") == "SECONDARY" and r["Type"] == "A")


def test_a_healthy_sandbox_passes_every_check(environment):
    # The first one starts cold functions, on a machine that may be busy.
    verify(environment)
    verification = verify(environment)

    assert {f.check for f in verification.findings} == WITHOUT_OPTIONS
    assert not verification.with_outcome(Outcome.FAILED)
    assert not verification.unreadable
    # What a sandbox cannot show, with the reason.
    assert {(f.check, f.subject) for f in verification.with_outcome(Outcome.UNKNOWN)} == {
        ("tls.policy", PRIMARY),
        ("tls.policy", SECONDARY),
        ("provider.lock", "lock file"),
    }
    found = {(f.check, f.subject): f.found for f in verification.findings}
    assert found["tls.version", SECONDARY] == "accepts TLS 1.2, 1.3"
    assert f"active replicas in {PRIMARY}" in found["table.replicas", SECONDARY]
    assert "the same in" in found["quota.parity", f"{SECONDARY} and {PRIMARY}"]
    assert (
        "called from 8 Regions"
        in found["health_check.checkers", f"evacuation of {PRIMARY} in {SECONDARY}"]
    )


def test_verify_leaves_no_item_behind(environment):
    verify(environment)

    # It deletes where it wrote.
    assert environment.fault_injection.await_replication(DEADLINE_SECONDS)
    for region in REGIONS:
        items = environment.client("dynamodb", region).query(
            TableName=environment.outputs.table_name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": table.PARTITION}},
        )["Items"]
        assert not items


def test_the_command_prints_json_and_never_a_key(api, environment):
    folder = str(api.workspace.folder)
    printed = run_ops("verify", "--folder", folder, "--json")
    printed_table = run_ops("verify", "--folder", folder)

    assert printed.returncode == printed_table.returncode == 0, printed.stdout + printed.stderr
    report = json.loads(printed.stdout)
    assert report["passed"] is True
    assert report["environment"] == "local"
    (median, *_) = [
        f["measured"]["median_ms"] for f in report["findings"] if f["check"] == "table.replication"
    ]
    assert median > 0
    assert "0 failed" in printed_table.stdout
    for text in (printed.stdout, printed_table.stdout):
        assert environment.api_key not in text


def test_a_missing_secondary_record_is_named(environment):
    with record_changed(environment, "DELETE", secondary_record(environment)):
        found = failures(environment, "dns.records")

    name = environment.outputs.record_name
    assert found == {
        ("dns.records", f"{name} A secondary"): "the record does not exist: DNS cannot "
        f"route to {SECONDARY}"
    }


@pytest.fixture
def secondary_keys(environment):
    """API Gateway in the secondary, the first customer's plan's id and its key's id."""
    gateway = environment.client("apigateway", SECONDARY)
    (plan,) = [p for p in gateway.get_usage_plans()["items"] if p["name"].endswith("-standard")]
    (key,) = gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
    return gateway, plan["id"], key["id"]


def test_a_disabled_key_of_the_secondary_is_named(environment, secondary_keys):
    gateway, _, key_id = secondary_keys

    def enable(value):
        gateway.update_api_key(
            apiKey=key_id, patchOperations=[{"op": "replace", "path": "/enabled", "value": value}]
        )

    enable("false")
    try:
        found = failures(environment, "parity.api_keys", "region.api_key")
    finally:
        enable("true")

    # MiniStack goes on accepting a key that was disabled, so region.api_key may pass here.
    assert set(found) - {("region.api_key", SECONDARY)} == {("parity.api_keys", SECONDARY)}
    assert "is disabled here" in found["parity.api_keys", SECONDARY]


def test_a_missing_key_of_the_secondary_is_named(environment, secondary_keys):
    gateway, plan_id, key_id = secondary_keys
    gateway.delete_usage_plan_key(usagePlanId=plan_id, keyId=key_id)
    try:
        found = failures(environment, "parity.api_keys", "region.api_key")
    finally:
        gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=key_id, keyType="API_KEY")

    assert set(found) == {("parity.api_keys", SECONDARY), ("region.api_key", SECONDARY)}
    assert "is missing here" in found["parity.api_keys", SECONDARY]
    assert "locks out every customer with this key" in found["region.api_key", SECONDARY]


@pytest.mark.parametrize(
    "host", ["api.example.org", "the domain's target"], ids=["stranger", "target"]
)
def test_a_health_check_that_is_aimed_at_a_wrong_host_is_named(environment, host, full_speed):
    if host == "the domain's target":
        host = environment.outputs.domain_targets[SECONDARY]
    route53 = environment.client("route53", PRIMARY)
    id = environment.outputs.endpoint_health_check_ids[SECONDARY]

    def aim(host):
        route53.update_health_check(HealthCheckId=id, FullyQualifiedDomainName=host)

    own = route53.get_health_check(HealthCheckId=id)["HealthCheck"]["HealthCheckConfig"]
    aim(host)
    try:
        found = failures(environment, "health_check.target")
        until(
            lambda: ("health_check.state", SECONDARY) in failures(environment, "health_check.state")
        )
    finally:
        aim(own["FullyQualifiedDomainName"])

    assert set(found) == {("health_check.target", SECONDARY)}
    assert f"it calls the host {host}" in found["health_check.target", SECONDARY]


def test_broken_replication_is_named(environment, monkeypatch):
    monkeypatch.setattr(table, "TIMEOUT_SECONDS", 0.5)
    with environment.fault_injection.injected(Fault(PRIMARY, "table", error=REPLICATION)):
        found = failures(environment, "table.replication", "leftover.faults")

    assert set(found) == {
        ("table.replication", f"{PRIMARY} to {SECONDARY}"),
        ("leftover.faults", PRIMARY),
    }


def test_a_fault_that_is_injected_is_a_leftover(environment):
    with environment.fault_injection.injected(Fault(SECONDARY, "slow", delay_seconds=0.05)):
        found = failures(environment, "leftover.faults")

    assert list(found) == [("leftover.faults", SECONDARY)]
    assert "the fault slow by 0.05 s is injected" in found["leftover.faults", SECONDARY]


def test_a_health_function_that_is_switched_off_is_a_leftover(environment):
    functions = environment.client("lambda", SECONDARY)
    name = environment.outputs.health_functions[SECONDARY]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        found = failures(environment, "leftover.health_function", "parity.functions", "region.url")
    finally:
        functions.delete_function_concurrency(FunctionName=name)

    assert "it is disabled" in found["leftover.health_function", SECONDARY]
    assert ("region.url", SECONDARY) in found
    assert any(check == "parity.functions" for check, _ in found)


def test_a_dead_region_fails_its_own_checks_and_hides_no_other(environment, full_speed):
    with environment.fault_injection.injected(Fault(PRIMARY, "refuse")):
        until(lambda: serving(environment) == SECONDARY)
        verification = verify(environment)

    outcomes = {(f.check, f.subject): f.outcome for f in verification.findings}
    assert {f.check for f in verification.findings} == WITHOUT_OPTIONS
    for check in (
        "region.url", "region.domain", "region.api_key", "certificate.served", "tls.version",
    ):  # fmt: skip
        assert outcomes[check, PRIMARY] is Outcome.FAILED
        assert outcomes[check, SECONDARY] is Outcome.PASSED
    assert outcomes["health_check.state", PRIMARY] is Outcome.FAILED
    # DNS does as the health checks say.
    assert outcomes["dns.answer", f"{environment.outputs.record_name} A"] is Outcome.PASSED
    assert not any("Traceback" in f.found for f in verification.findings)


def test_an_evacuation_moves_dns_to_the_secondary_and_holds_it_there_until_the_restore(
    environment, full_speed
):
    timing = timing_of(environment, PRIMARY)
    route53_seconds, _ = timing.here_seconds
    assert serving(environment) == PRIMARY

    switch.evacuate(environment, environment.primary, reason="a test")
    try:
        until(lambda: serving(environment) == SECONDARY)
        held_until = time.monotonic() + 3 * route53_seconds
        while time.monotonic() < held_until:
            assert serving(environment) == SECONDARY
            time.sleep(0.05)
        found = failures(environment, "leftover.evacuation", "health_check.state", "dns.answer")
    finally:
        switch.restore(environment, environment.primary)

    assert "reason: a test" in found["leftover.evacuation", PRIMARY]
    assert ("health_check.state", PRIMARY) not in found
    assert not any(check == "dns.answer" for check, _ in found)
    until(lambda: serving(environment) == PRIMARY)


def test_the_secondary_is_evacuated_and_nothing_takes_it_into_service(environment, full_speed):
    name = environment.outputs.health_functions[PRIMARY]
    functions = environment.client("lambda", PRIMARY)
    ids = environment.outputs.health_check_ids

    def in_service(region):
        return health_states(environment)[ids[region]].healthy

    switch.evacuate(environment, SECONDARY, reason="a test")
    try:
        until(lambda: in_service(SECONDARY) is False)
        assert serving(environment) == PRIMARY
        assert (
            "reason: a test"
            in failures(environment, "leftover.evacuation")["leftover.evacuation", SECONDARY]
        )
        # WHEN the primary fails, too, THEN none is healthy, and the primary is answered
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        until(lambda: in_service(PRIMARY) is False)
        assert serving(environment) == PRIMARY
        # WHEN the secondary is restored, THEN it takes over
        switch.restore(environment, SECONDARY)
        until(lambda: serving(environment) == SECONDARY)
    finally:
        functions.delete_function_concurrency(FunctionName=name)
        switch.restore(environment, SECONDARY)
    until(lambda: serving(environment) == PRIMARY)


def test_an_evacuation_ends_by_itself(environment, full_speed):
    switch.evacuate(environment, PRIMARY, reason="a test", expires_in=timedelta(seconds=15))
    try:
        until(lambda: serving(environment) == SECONDARY)
        until(lambda: serving(environment) == PRIMARY)
        assert switch.status(environment, PRIMARY).expired
        assert ("leftover.evacuation", PRIMARY) not in failures(environment, "leftover.evacuation")
    finally:
        switch.restore(environment, PRIMARY)


def test_the_last_region_is_not_evacuated_by_mistake(environment, api):
    folder = ("--folder", str(api.workspace.folder))
    switch.evacuate(environment, SECONDARY, reason="a test")
    try:
        refused = run_ops("switch", "evacuate", PRIMARY, *folder)
        assert refused.returncode == ExitCode.CHECK_FAILED, refused.stdout + refused.stderr
        assert f"{SECONDARY} is evacuated since" in refused.stderr
        assert not switch.status(environment, PRIMARY).evacuated
    finally:
        switch.restore(environment, SECONDARY)


def test_the_switch_as_a_user_types_it(api):
    folder = ("--folder", str(api.workspace.folder))
    first = run_ops("switch", "engage", *folder, "--reason", "a trial")
    try:
        again = run_ops("switch", "engage", *folder, "--reason", "another")
        status = run_ops("switch", "status", *folder)
    finally:
        released = run_ops("switch", "release", *folder)
    after = run_ops("switch", "release", *folder)

    done = (first, again, status, released, after)
    assert [each.returncode for each in done] == [0] * 5, [each.stderr for each in done]
    assert "within 30 s (health check: 10 s x 3)" in first.stdout
    assert "This sandbox runs 20 times as fast: within 1.5 s and 4.5 s" in first.stdout
    assert "reason: a trial; nothing was changed" in again.stdout
    assert f"{PRIMARY} of local is evacuated since" in status.stdout
    assert f"{SECONDARY} of local is not evacuated" in status.stdout
    assert f"{PRIMARY} of local is restored; it was evacuated" in released.stdout
    assert "nothing was changed" in after.stdout
