"""Fenced writes: an evacuated Region refuses writes as its evacuation says, and no other does.

Without `fence_writes`, this finds nothing.
"""

from collections.abc import Iterator

from ops import fence, switch
from ops.environment import Environment
from ops.verify.finding import Finding, failed, passed, region_check, unreadable


@region_check("fence.state")
def state(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that a Region refuses writes if it is evacuated and its fence is due, and only then."""
    own = fence.read(environment, region)
    if own is None:
        return
    command = f"python -m ops switch {{}} {environment.selector}"
    if own.item is None:
        yield unreadable(region, str(own), "check DynamoDB there, and run this again")
        return
    # Read after it: an evacuation is written to the other Regions first.
    said = switch.status(environment, region)
    if not said.evacuated and own.item.evacuated:
        yield failed(
            region,
            f"its own replica says that it is {own.item}, and no other Region does: {own}",
            "run this again in some seconds; if it persists: "
            + command.format(f"restore {region}"),
        )
    elif said.evacuated and said.fence_after and own.starts_at != said.fence_after:
        yield failed(
            region,
            f"it is to refuse writes from {said.fence_after} on, and its own replica does not say "
            f"so: {own}",
            "run this again in some seconds: replication brings it; if it persists: "
            + command.format(f"fence {region} {fence.When.NOW}"),
        )
    else:
        yield passed(region, str(own))
