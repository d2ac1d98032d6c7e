"""Releases: which one each Region runs, and whether one is under way.

Whoever may verify need not be allowed to read releases: that these are unknown fails nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ops import lock as locks
from ops.deploy.bucket import shelf_of
from ops.deploy.record import History, Step
from ops.deploy.record import Outcome as Deployment
from ops.environment import Environment
from ops.errors import OpsError
from ops.verify.finding import Finding, Outcome, check, failed, passed, unknown
from ops.verify.leftovers import is_held

_MOVING = (Step.APPLYING, Step.APPLIED, Step.ROLLING_BACK)


@check("release.regions")
def regions(environment: Environment) -> Iterator[Finding]:
    """Check that every Region runs the same release, unless one is under way."""
    try:
        history = _history(environment)
    except OpsError as error:
        yield unknown("releases", f"releases cannot be read: {error.args[0]}")
        return
    ids = {
        region: id
        for region in environment.regions
        if (id := release_of(history, region, environment))
    }
    if not ids:
        yield passed("releases", "no release of python -m ops deploy is known here")
        return
    for region, id in ids.items():
        yield passed(region, _described(history, id, _stack(history, region, environment)))
    if len(set(ids.values())) > 1 and history.unfinished is None and not _rest(history):
        listed = ", ".join(f"{region} runs {id}" for region, id in ids.items())
        yield failed(
            " and ".join(ids),
            f"{listed}, and no release is under way",
            f"give every Region the same one: python -m ops deploy {environment.selector}; or "
            f"return to the one before: python -m ops rollback {environment.selector}",
        )


@check("release.unfinished")
def unfinished(environment: Environment) -> Iterator[Finding]:
    """Check that no deployment of a release was interrupted."""
    try:
        history = _history(environment)
    except OpsError:
        # `release.regions` says so.
        return
    record = history.unfinished
    if record is None and history.last and (rest := _rest(history)):
        yield unknown(history.last.run, f"its release is still to be deployed to {rest}")
        return
    if record is None:
        yield passed("releases", "no deployment is unfinished")
        return
    state = locks.read(environment)
    if record.is_alive or (state.kind == "deploy" and is_held(state)):
        yield unknown(record.run, f"{record.kind} by {record.user} on {record.host} is under way")
    else:
        yield failed(
            record.run,
            f"{record.kind} by {record.user} on {record.host}, begun {record.begun}, was "
            "interrupted",
            f"finish it: python -m ops deploy resume {environment.selector}; or undo it: python "
            f"-m ops rollback {environment.selector}",
        )


def allow_differences(findings: Sequence[Finding]) -> list[Finding]:
    """While a release is under way, Regions differ on purpose: that is no failed check of parity.

    Args:
        findings: The findings of all checks.

    Returns:
        The findings, where a failed one of parity is unknown while a release is under way.
    """
    is_under_way = any(
        each.check == unfinished.id and each.outcome is Outcome.UNKNOWN for each in findings
    )
    return [
        replace(
            each,
            outcome=Outcome.UNKNOWN,
            found=f"a release is under way, so Regions may differ: {each.found}",
            fix="",
        )
        if is_under_way and each.outcome is Outcome.FAILED and each.check.startswith("parity.")
        else each
        for each in findings
    ]


def _rest(history: History) -> str:
    """Stacks that the last deployment has left for later, for people."""
    last = history.last
    return ", ".join(last.rest) if last and last.outcome is Deployment.DEPLOYED else ""


def _history(environment: Environment) -> History:
    return History.read(
        shelf_of(environment.name, environment.folder, environment.descriptor.endpoint_url)
    )


def _stack(history: History, region: str, environment: Environment) -> str:
    own = f"{environment.name}-{region}"
    return own if own in history.deployed else environment.name


def release_of(history: History, region: str, environment: Environment) -> str:
    """Id of the release that a Region has; empty if it is not known.

    Args:
        history: What was deployed.
        region: The Region.
        environment: The environment.
    """
    return history.deployed.get(_stack(history, region, environment), "")


def _described(history: History, id: str, stack: str) -> str:
    record = next((each for each in reversed(history.records) if each.release == id), None)
    known = f", git revision {record.revision or 'unknown'}" if record else ""
    text = f"runs the release {id}{known}"
    under_way = history.unfinished
    if under_way and (step := under_way.step(stack)) in _MOVING:
        text += f"; its release {under_way.targets[stack]} is in the state {step}"
    return text
