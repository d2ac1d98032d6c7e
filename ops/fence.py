"""The fence of an evacuated Region: from a time on, its functions refuse writes.

They read the evacuation from their own Region's replica. Replication takes it there; as it may be
what fails, it is also written there directly, which no evacuation depends on. Only DynamoDB's data
plane takes part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial

from ops import evacuation_item as items
from ops.deadline import gathered, within
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.evacuation_item import Evacuation, is_past

REACH_SECONDS = 2.0
"""How long the evacuated Region's own replica is waited for: it may be lost."""


class When(StrEnum):
    """From when on an evacuated Region refuses writes."""

    AFTER_DNS = "after-dns"
    """Once DNS routes nobody there any more: no customer who follows DNS notices."""
    NOW = "now"
    """At once: for a Region that is cut off from the others or serves wrongly."""
    NEVER = "never"
    """Not at all."""


@dataclass(frozen=True)
class FenceState:
    """Whether a Region refuses writes, as its own replica says.

    Attributes:
        region: The Region.
        item: The evacuation that its replica holds; None if that is not known.
        error: Why it is not known.
    """

    region: str
    item: Evacuation | None
    error: str = ""

    @property
    def is_up(self) -> bool | None:
        """Whether writes are refused now; None if that is not known."""
        if self.item is None:
            return None
        return self.item.evacuated and is_past(self.item.fence_after)

    @property
    def starts_at(self) -> str:
        """From when on writes are refused; empty if they are not going to be, or it is unknown."""
        return self.item.fence_after if self.item and self.item.evacuated else ""

    def __str__(self) -> str:
        if self.item is None:
            return (
                f"could not reach {self.region}: whether writes are refused there is not known "
                f"({self.error})"
            )
        if not self.starts_at:
            return f"writes are not refused in {self.region}"
        if self.is_up:
            return f"writes are refused in {self.region} since {self.starts_at}"
        return f"writes will be refused in {self.region} from {self.starts_at} on"

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {"is_up": self.is_up, "fence_after": self.starts_at, "error": self.error}


def starts_at(environment: Environment, when: When, *, now: datetime) -> str:
    """From when on writes are refused.

    Args:
        environment: The environment.
        when: What was chosen.
        now: When the Region is evacuated.

    Returns:
        A time, ISO 8601 in UTC; empty for never, also if the environment has no fence.

    Raises:
        UsageError: At once, and the environment has no fence.
    """
    fencing = environment.outputs.fencing
    if fencing is None:
        if when is When.NOW:
            raise no_fence(environment)
        return ""
    if when is When.NEVER:
        return ""
    seconds = fencing.after_seconds / environment.speed if when is When.AFTER_DNS else 0.0
    return (now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def put_up(environment: Environment, region: str, item: Mapping[str, str]) -> FenceState | None:
    """Write an evacuation into the Region's own replica, too, if that can be reached.

    Args:
        environment: The environment.
        region: The evacuated Region.
        item: Attributes of the item, as in the replicas of the others.

    Returns:
        What its replica holds then; None if the environment has no fence.
    """

    def write() -> Evacuation:
        items.write(environment, region, region, item=item)
        return items.read(environment, region, region)

    return _in_own_replica(environment, region, write)


def read(environment: Environment, region: str) -> FenceState | None:
    """Read whether a Region refuses writes.

    Args:
        environment: The environment.
        region: The Region.

    Returns:
        What its own replica says; None if the environment has no fence.
    """
    return _in_own_replica(environment, region, partial(items.read, environment, region, region))


def read_all(environment: Environment) -> dict[str, FenceState]:
    """Read which Regions refuse writes: `{region: state}`, empty without a fence.

    Args:
        environment: The environment.
    """
    found, _ = gathered(
        {region: partial(read, environment, region) for region in environment.regions},
        REACH_SECONDS * environment.patience,
    )
    return {region: state for region, state in found.items() if state}


def take_down(environment: Environment, region: str, *, writer: str | None) -> FenceState | None:
    """Delete a restored Region's evacuation from its own replica, too, if that can be reached.

    Args:
        environment: The environment.
        region: The Region.
        writer: Only that of this run, or, if empty, of one that is not noted; None for any.

    Returns:
        What its replica holds then; None if the environment has no fence.
    """

    def delete() -> Evacuation:
        items.delete(environment, region, region, writer=writer)
        return items.read(environment, region, region)

    return _in_own_replica(environment, region, delete)


def take_down_leftover(environment: Environment, region: str) -> FenceState | None:
    """Delete an evacuation that the Region's own replica alone still holds.

    Args:
        environment: The environment.
        region: A Region that none of the others says to be evacuated.

    Returns:
        What its replica holds then; None if there was none.
    """
    own = read(environment, region)
    if own is None or own.item is None or not own.item.evacuated:
        return None
    # Asked after it: whoever evacuates a Region writes to the others first.
    others, _ = _replicas(environment, region, without=region)
    # If none responds, its evacuation may count: deleting it would be replicated.
    if not others or any(state.evacuated for state in others.values()):
        return None
    return take_down(environment, region, writer=own.item.writer)


def change(environment: Environment, region: str, when: When) -> FenceState:
    """Change from when on an evacuated Region refuses writes; who evacuated it, and why, stays.

    Any replica will do: that of the Region itself as well, if the others are lost.

    Args:
        environment: The environment.
        region: The Region.
        when: From when on.

    Returns:
        What the Region's own replica says then.

    Raises:
        OpsError: The environment has no fence, the Region is not evacuated, no replica responds, or
            none takes the change.
    """
    if environment.outputs.fencing is None:
        raise no_fence(environment)
    found, errors = _replicas(environment, region)
    if not found:
        raise OpsError(
            f"whether {region} is evacuated could not be read in any Region: "
            + "; ".join(f"{replica}: {explain(error)}" for replica, error in errors.items()),
            next_step="check these credentials, and DynamoDB in these Regions",
        ) from next(iter(errors.values()))
    evacuated = {replica: state for replica, state in found.items() if state.evacuated}
    if not evacuated:
        unread = f" as far as is known, without {' and '.join(errors)}" if errors else ""
        raise OpsError(
            f"{region} is not evacuated{unread}, and only then refuses writes: nothing was changed",
            next_step=f"evacuate it: python -m ops switch evacuate {region} "
            f"{environment.selector} --fence {When.NOW}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    first = next(iter(evacuated.values()))
    fence_after = starts_at(environment, when, now=datetime.now(UTC))
    changing = {
        replica: partial(
            items.rewrite, environment, state, replica, fence_after=fence_after, create=False
        )
        for replica, state in evacuated.items()
    }
    if fence_after and region in found and region not in evacuated:
        changing[region] = partial(
            items.rewrite, environment, first, region, fence_after=fence_after, create=True
        )
    done, errors = gathered(changing, REACH_SECONDS * environment.patience)
    if not any(done.values()):
        why = [f"{replica}: {explain(error)}" for replica, error in errors.items()]
        raise OpsError(
            f"when {region} refuses writes was not changed: "
            + ("; ".join(why) or "somebody else has changed its evacuation meanwhile"),
            next_step=f"look with python -m ops switch status {environment.selector}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    state = read(environment, region)
    assert state is not None
    return state


def _replicas(
    environment: Environment, region: str, *, without: str = ""
) -> tuple[dict[str, Evacuation], dict[str, Exception]]:
    """What the replicas say of a Region, its own among them."""
    return gathered(
        {
            replica: partial(items.read, environment, region, replica)
            for replica in environment.regions
            if replica != without
        },
        REACH_SECONDS * environment.patience,
    )


def _in_own_replica(
    environment: Environment, region: str, call: Callable[[], Evacuation]
) -> FenceState | None:
    if environment.outputs.fencing is None:
        return None
    try:
        return FenceState(region, within(REACH_SECONDS * environment.patience, call))
    except Exception as error:  # whatever it is, nothing depends on it
        return FenceState(region, None, explain(error))


def no_fence(environment: Environment) -> UsageError:
    """The error of an environment that does not fence writes.

    Args:
        environment: The environment.
    """
    return UsageError(
        f"the environment {environment.name} does not fence writes",
        next_step="leave out --fence; or set fence_writes = true in its file, and deploy",
    )
