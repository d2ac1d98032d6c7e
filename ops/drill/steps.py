"""The steps that restore what a drill has changed: at its end, and after one that was killed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ops import switch
from ops.drill.durability import LONGEST_REQUEST_SECONDS
from ops.drill.fault import DrillFault
from ops.drill.probe_location import ProbeLocation
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.evacuation_item import Evacuation

RETRY_SECONDS = 30.0
POLL_SECONDS = 0.5
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One thing to restore.

    Attributes:
        what: What restoring it does, as a clause without subject.
        do: Restores it, and returns what it did, in words; empty if nothing had to be done.
            Repeating it does no harm.
        by_hand: The command line that does it without this tool; empty if there is none.
    """

    what: str
    do: Callable[[], str]
    by_hand: str = ""


def clearing(environment: Environment, fault: DrillFault) -> Step:
    """The step that clears a drill's fault.

    Args:
        environment: The environment.
        fault: The fault.
    """
    words = f"the fault {fault.name} in {fault.region}"

    def clear() -> str:
        return f"cleared {words}" if fault.clear(environment) else ""

    return Step(f"clear {words} (run {fault.id})", clear, fault.by_hand(environment))


def failing_back(environment: Environment, since: str) -> dict[str, Step]:
    """The steps that restore Regions, if they have failed over in a drill with manual failback.

    Args:
        environment: The environment.
        since: When the drill began, ISO 8601 in UTC; it began while the primary served.

    Returns:
        `{Region: step}` of each that another can take over from; empty with automatic failback.
    """
    if environment.outputs.failback is None:
        return {}
    return {each: _failing_back(environment, each, since) for each in environment.regions[:-1]}


def _failing_back(environment: Environment, region: str, since: str) -> Step:
    def restore() -> str:
        state = switch.status(environment, region)
        if not is_failover_since(state, since):
            return ""
        switch.restore(environment, region, writer=state.writer)
        return f"restored {region}, which failed over at {state.evacuated_at}"

    return Step(
        f"restore {region}, if it has failed over since {since}",
        restore,
        switch.restore_by_hand(environment, region, ""),
    )


def is_failover_since(state: Evacuation, since: str) -> bool:
    """Whether a Region is out of service because it has failed over, with manual failback.

    Args:
        state: What is known of the Region.
        since: The earliest time of that, ISO 8601 in UTC.
    """
    return state.evacuated and state.kind == "failover" and state.evacuated_at >= since


def deletion(location: ProbeLocation, region: str) -> Step:
    """The step that deletes a drill's observations in one Region.

    Args:
        location: The drill's location.
        region: The Region.
    """
    where = f"of {location.location_id} in {region}"

    def delete() -> str:
        count = location.empty(region)
        return f"deleted {count} observations {where}" if count else ""

    return Step(f"delete the drill's observations {where}", delete)


def persistently(step: Callable[[], T]) -> T:
    """Carry out a step of a restore, again while it fails: a busy Region responds later.

    Args:
        step: The step; repeating it does no harm.

    Returns:
        What it returns.

    Raises:
        OpsError: It failed for `RETRY_SECONDS`.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return step()
        except Exception as error:  # whatever it is, giving up would leave something behind
            if time.monotonic() > deadline:
                if isinstance(error, OpsError):
                    raise
                raise OpsError(explain(error), next_step="check the credentials") from error
        time.sleep(POLL_SECONDS)


def longest_restore_seconds(environment: Environment) -> float:
    """How long a drill may take at most to restore everything, some of it twice.

    Args:
        environment: The environment.
    """
    return 2 * RETRY_SECONDS * (1 + len(environment.regions)) + LONGEST_REQUEST_SECONDS
