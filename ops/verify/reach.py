"""Whether it is a Region that does not respond, or this machine that cannot reach any."""

from concurrent.futures import as_completed
from functools import partial

from ops.deadline import started
from ops.environment import Environment
from ops.http_client import Response

FIX = (
    "allow this machine to reach port 443 of the Regions, directly or by HTTPS_PROXY, or run this "
    "on another one; health_check.state shows what Route 53's checkers see"
)


def can_reach_a_region(environment: Environment, failure: Response) -> bool:
    """Whether a failed request says something of whom it was sent to.

    Without a connection to any Region, the reason may as well be on this machine.

    Args:
        environment: The environment.
        failure: A response of one Region.
    """
    if not failure.unreachable:
        return True
    path = environment.outputs.health_path
    asked = [started(partial(environment.call_region, r, path)) for r in environment.regions]
    return any(not future.result().unreachable for future in as_completed(asked))
