"""The failover switch: evacuates a Region, so that the others serve until it is restored.

An item in the table evacuates a Region. It is written to the replicas of the other Regions, which
report it to Route 53. That needs DynamoDB's data plane in one of these Regions and nothing else:
neither the evacuated Region nor any control plane.

Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from constructs_lib.outputs import EvacuationOutput
from ops import evacuation_item as items
from ops import fence
from ops.deadline import gathered
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.evacuation_item import Evacuation
from ops.fence import FenceState, When
from ops.lock import new_run

GRACE_SECONDS = 2.0
"""How long the other replicas are waited for when one has responded."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class SwitchChange:
    """What evacuating or restoring a Region did.

    Attributes:
        before: The Region before.
        after: The Region as it was read back.
        changed: Whether anything was written or deleted.
        fence: Whether the Region refuses writes now; None if nothing was changed, or the
            environment does not fence writes.
    """

    before: Evacuation
    after: Evacuation
    changed: bool
    fence: FenceState | None = None


def status(environment: Environment, region: str) -> Evacuation:
    """Read whether a Region is evacuated, from the replicas of the other Regions.

    Args:
        environment: The environment.
        region: The Region.

    Returns:
        What the first one says that has an item; `replicas` names those that say so.

    Raises:
        OpsError: The environment does not have this, or none of these Regions responds.
    """
    require(environment, region)
    found, unread = _in_replicas(environment, region, "read", items.read)
    return _merged(found.values(), unread)


def statuses(environment: Environment) -> tuple[dict[str, Evacuation], dict[str, Exception]]:
    """Read which Regions are evacuated.

    Args:
        environment: The environment.

    Returns:
        `{region: what is known of it}`, and `{region: why nothing is}`.

    Raises:
        OpsError: The environment does not have this.
    """
    require(environment, environment.primary)
    reading = {region: partial(status, environment, region) for region in environment.regions}
    return gathered(reading, GRACE_SECONDS * environment.patience)


def evacuate(
    environment: Environment,
    region: str,
    *,
    reason: str = "",
    writer: str = "",
    kind: str = "switch",
    expires_in: timedelta | None = None,
    fence_from: When = When.NEVER,
) -> SwitchChange:
    """Take a Region out of service; if it is evacuated already, nothing changes.

    An evacuation by a drill is taken over: the drill would restore the Region at its end.

    Args:
        environment: The environment.
        region: The Region.
        reason: Why, for whoever finds it evacuated.
        writer: Id of the run that evacuates it, for `restore`; one is chosen by default.
        kind: What the run does; a `drill` takes over nothing.
        expires_in: When it ends without being restored; None for never.
        fence_from: From when on it refuses writes, if the environment fences them.

    Returns:
        The Region before and after, as the replicas that could be reached say.

    Raises:
        OpsError: The environment does not have this, or none of the other Regions responds.
    """
    require(environment, region)
    now = datetime.now(UTC)
    item = {
        "evacuated_at": now.isoformat(timespec="seconds"),
        "evacuated_by": items.written_by(),
        "reason": reason,
        "writer": writer or new_run(kind),
        "kind": kind,
        "expires_at": (now + expires_in).isoformat(timespec="seconds") if expires_in else "",
        "fence_after": fence.starts_at(environment, fence_from, now=now),
    }
    found, unread = _in_replicas(environment, region, "written", partial(items.write, item=item))
    before = _merged([before for before, _ in found.values()], unread)
    written = [replica for replica, (_, done) in found.items() if done]
    if not written:
        return SwitchChange(before, before, changed=False)
    # Only now: the evacuation counts, and whoever restores the Region reads that first.
    fenced = fence.put_up(environment, region, item) if item["fence_after"] else None
    after = _read_back(environment, region, written, unread)
    return SwitchChange(before, after, changed=True, fence=fenced)


def restore(environment: Environment, region: str, *, writer: str | None = None) -> SwitchChange:
    """Take a Region into service again, if it is evacuated.

    Args:
        environment: The environment.
        region: The Region.
        writer: Restore it only if this run evacuated it, or, if empty, one that is not noted; None
            for whoever did.

    Returns:
        The Region before and after; the same if nothing was restored.

    Raises:
        OpsError: The environment does not have this, or none of the other Regions responds.
    """
    require(environment, region)
    found, unread = _in_replicas(
        environment, region, "deleted", partial(items.delete, writer=writer)
    )
    deleted = [before for before, done in found.values() if done]
    if not deleted:
        state = _merged([before for before, _ in found.values()], unread)
        return SwitchChange(state, state, changed=False)
    before = _merged(deleted, unread)
    fenced = fence.take_down(environment, region, writer=before.writer)
    after = _read_back(environment, region, list(found), unread, gone=before.writer)
    return SwitchChange(before, after, changed=True, fence=fenced)


def require(environment: Environment, region: str) -> EvacuationOutput:
    """Find out how a Region is evacuated.

    Args:
        environment: The environment.
        region: The Region.

    Raises:
        OpsError: It is none of the environment's, or none can be evacuated.
    """
    if region not in environment.regions:
        raise UsageError(
            f"{region} is not a Region of {environment.name}",
            next_step=f"name one of them: {', '.join(environment.regions)}",
        )
    if environment.outputs.evacuation is None:
        raise UsageError(
            f"the environment {environment.name} has no failover switch: its program gives it none",
            next_step="give the stack an operation that reports evacuations, and deploy; until "
            "then, Route 53 leaves out a Region whose health check fails",
        )
    return environment.outputs.evacuation


def require_primary(environment: Environment) -> str:
    """Find the Region that serves while it is healthy.

    Args:
        environment: The environment.

    Raises:
        OpsError: No Region does, or it cannot be evacuated.
    """
    require(environment, environment.primary)
    if environment.outputs.routing_policy != "failover":
        raise UsageError(
            f"the environment {environment.name} has no primary Region: its routing policy is "
            f"{environment.outputs.routing_policy}",
            next_step="name a Region: python -m ops switch evacuate REGION "
            f"{environment.selector}, with one of {', '.join(environment.regions)}",
        )
    return environment.primary


def others(environment: Environment, region: str) -> tuple[str, ...]:
    """The Regions whose replicas are asked, and written to, about a Region.

    Args:
        environment: The environment.
        region: The Region.
    """
    return tuple(other for other in environment.regions if other != region)


def restore_by_hand(environment: Environment, region: str, writer: str) -> str:
    """The line of the AWS CLI that restores a Region, if a run still has it evacuated.

    Args:
        environment: An environment with a switch.
        region: The Region.
        writer: Id of the run that evacuated it.
    """
    return items.restore_by_hand(
        environment.outputs, region, others(environment, region)[0], writer
    )


def _in_replicas(
    environment: Environment,
    region: str,
    done: str,
    call: Callable[[Environment, str, str], _Result],
    *,
    replicas: Iterable[str] = (),
) -> tuple[dict[str, _Result], dict[str, str]]:
    """Call the replicas of other Regions at once: `{replica: result}`, and why there is none."""
    replicas = replicas or others(environment, region)
    calls = {replica: partial(call, environment, region, replica) for replica in replicas}
    found, errors = gathered(calls, GRACE_SECONDS * environment.patience)
    unread = {replica: explain(error) for replica, error in errors.items()}
    if found:
        return found, unread
    table = environment.outputs.table_name
    failures = "; ".join(
        f"DynamoDB in {replica} (table {table}) failed: {why}" for replica, why in unread.items()
    )
    raise OpsError(
        f"the evacuation of {region} could not be {done}: {failures}",
        next_step=f"check these credentials and DynamoDB in {' or '.join(replicas)}, then look "
        f"with python -m ops switch status {environment.selector}; Route 53 continues to use its "
        "health checks",
    ) from next(iter(errors.values()))


def _merged(found: Iterable[Evacuation], unread: Mapping[str, str]) -> Evacuation:
    """What replicas say together: the first that has an item, and all that do."""
    states = sorted(found, key=lambda each: (not each.evacuated, not each.expired))
    said = tuple(replica for each in states for replica in each.replicas)
    return replace(states[0], replicas=said, unread=dict(unread))


def _read_back(
    environment: Environment,
    region: str,
    replicas: Iterable[str],
    unread: Mapping[str, str],
    *,
    gone: str | None = None,
) -> Evacuation:
    """Read what was written, or that what a run wrote is gone: another may have followed it."""
    found, lost = _in_replicas(environment, region, "read back", items.read, replicas=replicas)
    state = _merged(found.values(), {**unread, **lost})
    is_right = state.evacuated if gone is None else not state.evacuated or state.writer != gone
    if not is_right:
        raise OpsError(
            f"the evacuation of {region} was {'written' if gone is None else 'deleted'}, and read "
            f"back as: {state}",
            next_step="somebody else may be working on it: ask, then look with "
            f"python -m ops switch status {environment.selector}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    return state
