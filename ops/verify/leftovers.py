"""What drills and operators left: evacuated Regions, injected faults, journals, observations."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ops import lock as locks
from ops import switch as failover_switch
from ops.drill.aws_faults import HealthConcurrencyFault
from ops.drill.journal import InvalidJournalError, Journal, known, read, restore_command
from ops.drill.probe_location import ProbeLocation, probe_locations
from ops.environment import Environment
from ops.verify.api_gateway import routes_of
from ops.verify.finding import Finding, check, failed, passed, passed_unless, region_check, unknown

THROTTLED_SECONDS = 4.0
"""How long a temporary refusal of the API, such as 429, is retried."""


@region_check("leftover.evacuation")
def evacuation(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that a Region is not evacuated."""
    if environment.outputs.evacuation is None:
        return
    state = failover_switch.status(environment, region)
    is_a_drills = state.writer in _ids(environment)
    yield passed_unless(
        region,
        [str(state)] if state.evacuated else [],
        found=str(state),
        fix=restore_command(environment)
        if state.evacuated and is_a_drills
        else f"python -m ops switch restore {region} {environment.selector}",
    )


@check("leftover.faults")
def faults(environment: Environment) -> Iterator[Finding]:
    """Check that no fault is injected into the sandbox."""
    if environment.fault_injection is None:
        return
    ids = _ids(environment)
    injected_faults = environment.fault_injection.faults()
    for injected in injected_faults:
        yield failed(
            injected.fault.region,
            f"since {injected.since}: the fault {injected.fault} is injected",
            restore_command(environment)
            if injected.id in ids
            else f"curl -X DELETE {environment.fault_injection.url}/faults/{injected.id}",
        )
    if not injected_faults:
        yield passed("sandbox", "no fault is injected")


@region_check("leftover.health_function")
def health_function(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the function behind the health path may run."""
    name = environment.outputs.health_functions[region]
    reserved = (
        environment.client("lambda", region)
        .get_function_concurrency(FunctionName=name)
        .get("ReservedConcurrentExecutions")
    )
    disabled = f"it is disabled: the reserved concurrency of {name} is 0"
    limit = "" if reserved is None else f", at most {reserved} at a time"
    yield passed_unless(
        region,
        [disabled] if reserved == 0 else [],
        found=f"{name} may run{limit}",
        fix=_enable(environment, region) if reserved == 0 else "",
    )


@region_check("leftover.weight")
def weight(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the alias behind every route gives all requests to one version.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    functions = environment.client("lambda", region)
    problems, fixes, aliases = [], [], 0
    for name, route in routes_of(environment, region).items():
        if not (route.function and route.alias):
            continue
        aliases += 1
        alias = functions.get_alias(FunctionName=route.function, Name=route.alias)
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        problems += [
            f"{name}: version {version} gets {share:.0%} of the requests, version "
            f"{alias['FunctionVersion']} the others"
            for version, share in weights.items()
        ]
        if weights:
            fixes.append(
                f"aws lambda update-alias --region {region} --function-name {route.function} "
                f"--name {route.alias} --routing-config AdditionalVersionWeights={{}}"
            )
    yield passed_unless(
        region,
        problems,
        found=f"each of {aliases} aliases points to one version",
        fix="; ".join(fixes),
    )


def _ids(environment: Environment) -> set[str]:
    """Ids of the faults of drills that have left a journal."""
    return {id for journal in known(environment) for fault in journal.faults for id in fault.ids}


def _enable(environment: Environment, region: str) -> str:
    faults = [fault for journal in known(environment) for fault in journal.faults]
    if any(isinstance(f, HealthConcurrencyFault) and f.region == region for f in faults):
        return restore_command(environment)
    name = environment.outputs.health_functions[region]
    by_hand = HealthConcurrencyFault(id="", region=region, function=name).by_hand(environment)
    return f"{by_hand}; if the environment file sets reserved_concurrency, deploy again"


@check("leftover.lock")
def lock(environment: Environment) -> Iterator[Finding]:
    """Check that no drill on any machine has ended without restoring what it changed."""
    state = locks.read(environment)
    if is_held(state):
        yield unknown(state.run, f"the environment is being changed: {state}")
    elif state.note:
        try:
            left = str(Journal.from_text(state.note))
        except InvalidJournalError as error:
            left = f"a drill whose journal cannot be read ({error})"
        yield failed(
            "lock",
            f"{left}, has ended without restoring what it changed",
            restore_command(environment),
        )
    else:
        yield passed("lock", "no drill has left anything to restore")


def is_held(state: locks.LockState) -> bool:
    """Whether somebody holds the lock, by the clock of this machine.

    Only what findings say depends on the clock, not who may take the lock.

    Args:
        state: The lock.
    """
    return bool(state.run) and not _is_past(state.expires_at)


def _is_past(expires_at: str) -> bool:
    try:
        expiry = datetime.fromisoformat(expires_at)
    except ValueError:
        return False
    return datetime.now(UTC) > expiry + timedelta(seconds=locks.LEASE.seconds)


@check("leftover.drill")
def drill(environment: Environment) -> Iterator[Finding]:
    """Check that no drill has left its journal or observations."""
    path = environment.journal_file
    try:
        journal = read(path)
    except InvalidJournalError as error:
        yield failed("journal", f"{path} is not a journal: {error}", restore_command(environment))
        return
    if journal and journal.is_alive:
        yield unknown("journal", f"a drill runs, as process {journal.program.pid}")
        return
    yield passed_unless(
        "journal",
        [f"a drill begun {journal.started} has ended without restoring what it changed"]
        if journal
        else [],
        found="no drill has left one on this machine",
        fix=restore_command(environment),
    )
    if not environment.outputs.customers:
        yield unknown("observations", "the environment has no customer who may list them")
        return
    left = {
        location.location_id: f"a drill has left {len(keys)} observations of {location.location_id}"
        for location in probe_locations(environment, retry_seconds=THROTTLED_SECONDS)
        if (keys := _observations(location))
    }
    journalled = {journal.location_id for journal in known(environment)}
    fixes = [restore_command(environment)] if journalled & left.keys() else []
    fixes += [
        f"{restore_command(environment)} --location {location}"
        for location in left.keys() - journalled
    ]
    yield passed_unless(
        "observations", left.values(), found="no drill has left any", fix="; ".join(fixes)
    )


def _observations(location: ProbeLocation) -> set[str]:
    regions = location.environment.regions
    return {
        key
        for region in regions
        for key in location.written(region, retry_seconds=THROTTLED_SECONDS)
    }
