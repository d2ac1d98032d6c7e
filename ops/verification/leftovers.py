"""What drills and operators left behind: switched, broken on purpose, and not put right again."""

from collections.abc import Iterator

import urllib3

from ops import switch as failover_switch
from ops.edge.faults import Fault
from ops.environment import Environment
from ops.verification.finding import Finding, check, failed, passed, region_check
from ops.verification.reaching import client

TABLE_FAULTS_PATH = "/_local/faults"
TIMEOUT_SECONDS = 5


@check("leftover.switch")
def switch(environment: Environment) -> Iterator[Finding]:
    """The failover switch is not engaged."""
    if "switch" not in environment.outputs:
        return
    state = failover_switch.status(environment)
    if state.engaged:
        yield failed(
            state.region,
            f"the switch is {state}",
            f"python -m ops switch release --environment {environment.name}",
        )
    else:
        yield passed(state.region, f"the switch is {state}")


@check("leftover.edge_faults")
def edge_faults(environment: Environment) -> Iterator[Finding]:
    """No local Region is broken on purpose."""
    if environment.edge is None:
        return
    faults = environment.edge.faults()
    for injected in faults:
        yield failed(
            injected.fault.region,
            f"since {injected.since}: {_in_words(injected.fault)}",
            _restore(environment),
        )
    if not faults:
        yield passed("edges", "no fault is injected")


@check("leftover.table_faults")
def table_faults(environment: Environment) -> Iterator[Finding]:
    """No local replica is broken on purpose."""
    if environment.endpoint_url is None:
        return
    answer = urllib3.request(
        "GET", environment.endpoint_url + TABLE_FAULTS_PATH, timeout=TIMEOUT_SECONDS, retries=False
    )
    if answer.status == 404:
        # A local AWS that cannot inject any.
        return
    faults = answer.json()["faults"]
    for fault in faults:
        yield failed(
            fault["region"],
            f"the fault {fault['error']} of {fault['service']} is injected",
            _restore(environment),
        )
    if not faults:
        yield passed("local AWS", "no fault is injected")


@region_check("leftover.health_function")
def health_function(environment: Environment, region: str) -> Iterator[Finding]:
    """The function that answers health checks may run."""
    name = environment.outputs["health_functions"][region]
    reserved = (
        client(environment, "lambda", region)
        .get_function_concurrency(FunctionName=name)
        .get("ReservedConcurrentExecutions")
    )
    if reserved == 0:
        yield failed(
            region,
            f"a drill left it switched off: the reserved concurrency of {name} is 0",
            _restore(environment),
        )
    else:
        limit = "" if reserved is None else f", at most {reserved} at a time"
        yield passed(region, f"{name} may run{limit}")


def _restore(environment: Environment) -> str:
    return f"python -m ops drill --restore --environment {environment.name}"


def _in_words(fault: Fault) -> str:
    words = [fault.kind.replace("_", " ")]
    if fault.status is not None:
        words.append(str(fault.status))
    if fault.delay_seconds is not None:
        words.append(f"by {fault.delay_seconds:g} s")
    if fault.path:
        words.append(f"at {fault.path}")
    if fault.share < 1:
        words.append(f"for {fault.share:.0%}")
    return f"the fault {' '.join(words)} is injected"
