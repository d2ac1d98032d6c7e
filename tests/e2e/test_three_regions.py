"""Failover over three Regions in a sandbox: one after the other is lost, and comes back."""

import json
import time
from contextlib import ExitStack

import pytest
from local_api import SPEED, run_ops

from ops import switch
from ops.fault_injection import Fault
from ops.folders import releases_folder
from ops.verify import CHECKS
from ops.verify.finding import Outcome
from ops.verify.health_states import health_states

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

FIRST, SECOND, THIRD = REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
PATIENCE_SECONDS = 120
RTO_SECONDS = 110
"""Some more than what health checks and DNS add up to."""
(ANSWER,) = [check for check in CHECKS if check.id == "dns.answer"]


@pytest.fixture(
    scope="module",
    params=[60, pytest.param(10, marks=pytest.mark.soak)],
    ids=["alias records", "CNAME records"],
)
def three(request, own_sandbox):
    """A module's own sandbox, with records of a time to live."""
    objectives = {"rto_seconds": RTO_SECONDS, "rpo_seconds": 600, "proofs": ["refuse"]}
    return own_sandbox(
        regions=REGIONS,
        domain={"ttl_seconds": request.param},
        objectives=objectives | {"sign_records": True},
    )


@pytest.fixture
def environment(three):
    three.replace_unless_healthy()
    three.set_speed(SPEED)
    return three.local.environment


def region_of_dns(environment):
    """The Region that DNS answers; None without an answer."""
    hosts, targets = environment.network.hosts, environment.outputs.domain_targets
    regions = {hosts[target][0]: region for region, target in targets.items()}
    answered = environment.network.resolve(environment.outputs.record_name).addresses
    return regions[answered[0]] if answered else None


def await_region(environment, region):
    """Wait until DNS answers a Region, by A and by AAAA; it answers some Region all the while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answered := region_of_dns(environment)) != region:
        assert answered in REGIONS
        assert time.monotonic() < deadline, f"not {region}, but {answered}"
        time.sleep(0.05)


def answered_by(environment):
    """What `verify` finds of the answers, once the health checks have settled."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        findings = list(ANSWER.run(environment))
        if all(f.outcome is Outcome.PASSED for f in findings) or time.monotonic() > deadline:
            return [(f.subject.rpartition(" ")[2], f.outcome, f.found) for f in findings]


def test_a_second_plan_shows_no_change(three):
    plan = three.terraform("plan", "-input=false", "-detailed-exitcode", "-no-color")

    assert plan.returncode == 0, plan.stdout[-3000:]


def test_verify_finds_everything_in_place(environment, three):
    at = ("--folder", str(three.workspace.folder))
    # A new sandbox's functions are cold, and the machine may be busy.
    for _ in range(3):
        verified = run_ops("verify", *at)
        if verified.returncode == 0:
            break

    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_one_region_after_the_other_is_lost_and_comes_back(environment):
    inject = environment.fault_injection.injected
    await_region(environment, FIRST)

    # WHEN they are lost in order, THEN the next one is answered
    with ExitStack() as first, ExitStack() as second, ExitStack() as third:
        for stack, lost, serving in ((first, FIRST, SECOND), (second, SECOND, THIRD)):
            stack.enter_context(inject(Fault(lost, "refuse")))
            await_region(environment, serving)
            for kind, outcome, found in answered_by(environment):
                assert outcome is Outcome.PASSED, found
                assert found.endswith(serving), (kind, found)

        # AND with all of them lost, the first one is, as nobody is better
        third.enter_context(inject(Fault(THIRD, "refuse")))
        await_region(environment, FIRST)

        # WHEN they come back, the last one first, THEN the first healthy one is answered
        third.close()
        await_region(environment, THIRD)
        second.close()
        await_region(environment, SECOND)
    await_region(environment, FIRST)


def test_the_second_is_lost_while_the_first_serves_and_nobody_notices(environment):
    await_region(environment, FIRST)
    with environment.fault_injection.injected(Fault(SECOND, "refuse")):
        end = time.monotonic() + 120 / environment.speed
        while time.monotonic() < end:
            assert region_of_dns(environment) == FIRST
            time.sleep(0.1)
        # AND it is passed over when the first is lost, too
        with environment.fault_injection.injected(Fault(FIRST, "refuse")):
            await_region(environment, THIRD)
    await_region(environment, FIRST)


def test_each_region_is_evacuated_and_restored(environment):
    await_region(environment, FIRST)
    for region, serving in ((FIRST, SECOND), (SECOND, FIRST), (THIRD, FIRST)):
        change = switch.evacuate(environment, region, reason="a test")
        try:
            assert change.after.replicas == tuple(r for r in REGIONS if r != region)
            await_out_of_service(environment, {region})
            await_region(environment, serving)
        finally:
            switch.restore(environment, region)
        await_out_of_service(environment, set())
        await_region(environment, FIRST)


def await_out_of_service(environment, regions):
    """Wait until just these Regions are out of service."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        states = health_states(environment)
        ids = environment.outputs.health_check_ids
        found = {region for region, id in ids.items() if not states[id].healthy}
        if found == regions:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_region_is_evacuated_while_one_that_reports_it_is_lost(environment):
    # The first is evacuated, and the second, which is asked about it, does not respond.
    with environment.fault_injection.injected(Fault(SECOND, "refuse")):
        switch.evacuate(environment, FIRST, reason="a test")
        try:
            await_region(environment, THIRD)
            # AND with the third evacuated, too, the first one serves: nobody is better.
            switch.evacuate(environment, THIRD, reason="a test")
            await_region(environment, FIRST)
        finally:
            switch.restore(environment, FIRST)
            switch.restore(environment, THIRD)
    await_region(environment, FIRST)


def test_an_evacuated_first_lets_the_second_serve_or_the_third_if_that_is_unhealthy(environment):
    functions = environment.client("lambda", SECOND)
    name = environment.outputs.health_functions[SECOND]
    switch.evacuate(environment, FIRST, reason="a test")
    try:
        await_region(environment, SECOND)
        # It reports the evacuation, and its health check does not respond.
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        await_region(environment, THIRD)
        functions.delete_function_concurrency(FunctionName=name)
        await_region(environment, SECOND)
    finally:
        functions.delete_function_concurrency(FunctionName=name)
        switch.restore(environment, FIRST)
    await_region(environment, FIRST)


def readiness(at):
    """Exit code and findings of `ops readiness`."""
    done = run_ops("readiness", "--json", *at)
    return done.returncode, json.loads(done.stdout)


def test_a_drill_of_the_first_region_passes_and_proves_it(environment, three):
    at = ("--folder", str(three.workspace.folder))
    code, before = readiness(at)
    assert (code, before["records"]) == (1, 0), before
    # Other tests may take the processor from it.
    for _ in range(2):
        drilled = run_ops("drill", "--fault", "refuse", *at)
        if drilled.returncode == 0:
            break

    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    assert f"{SECOND} serves" in drilled.stdout
    # AND it has left a record, signed by the key in KMS, which readiness asks for
    code, after = readiness(at)
    assert code == 0, after
    (proof,) = after["proofs"]
    assert (proof["fault"], proof["lost"]) == ("refuse", [FIRST])
    assert proof["record"]["max_rto_seconds"] == RTO_SECONDS
    assert proof["record"]["rto"]["seconds"] <= RTO_SECONDS
    assert proof["record"]["rpo"]["state"] == "not exercised"
    (signed,) = [each for each in after["findings"] if each["check"] == "records.signatures"]
    assert signed["found"] == "{0} of {0} are signed by the key".format(after["records"])
    # AND one that is changed proves nothing
    name = f"drills/{after['records']:08}.json"
    path = releases_folder(three.workspace.folder, environment.name) / name
    path.write_text(path.read_text().replace(f'"{FIRST}"', f'"{THIRD}"', 1))
    code, tampered = readiness(at)
    assert code == 1
    failed = {each["check"] for each in tampered["findings"] if each["outcome"] == "failed"}
    assert {"records.chain", "records.signatures"} <= failed
