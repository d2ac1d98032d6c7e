"""How long each part of a drill takes, on AWS if nothing else is said."""

from ops.drill import load as loads
from ops.drill.expectation import Expectation, Pace
from ops.drill.load import Load
from ops.environment import Environment

BASELINE_SECONDS = 30.0
"""How long the primary may take to serve the first request, on this machine's clock."""
STEADY_SECONDS = 30.0
"""How long the primary serves before the fault: so long is written there."""
CUT_OVER_SECONDS = 5.0
"""How long the secondary is read for writes that are late, right after the cut-over."""
HOLD_SECONDS = 20.0
"""How long the secondary serves before the fault is cleared."""
SETTLE_SECONDS = 20.0
"""How long the primary serves before the drill ends."""
LEAST_PATIENCE_SECONDS = 30.0
"""A fast sandbox on a busy machine may take this long; how long it took is judged by the limits."""


def patience_seconds(environment: Environment, expectation: Expectation) -> float:
    """How long a failover is waited for, on this machine's clock.

    Args:
        environment: The environment at the speed of the drill.
        expectation: What the failover may take.
    """
    return max(LEAST_PATIENCE_SECONDS, 2 * expectation.seconds / environment.speed)


def stay_seconds(environment: Environment, expectation: Expectation) -> float:
    """How long customers are seen to stay in the secondary, with manual failback; else 0.

    On this machine's clock: as long as an automatic failback may take.

    Args:
        environment: The environment at the speed of the drill.
        expectation: What the failover may take.
    """
    return expectation.seconds / environment.speed if environment.outputs.failback else 0.0


def load_hold_seconds(environment: Environment, expectation: Expectation) -> float:
    """How long a drill with a load waits for it after the cut-over, on this machine's clock.

    A resolver may have asked just before DNS changed, and a request take until its time-out.

    Args:
        environment: The environment at the speed of the drill.
        expectation: What the failover may take.
    """
    ttl = expectation.ttl_seconds / environment.speed
    return ttl + 2 * loads.HOLD_SECONDS + Pace.of(environment).timeout_seconds


def longest_seconds(
    environment: Environment, expectation: Expectation, load: Load | None = None
) -> float:
    """How long requests are sent at most, on this machine's clock.

    Args:
        environment: The environment at the speed of the drill.
        expectation: What the failover may take.
        load: The load; None without one.
    """
    scaled = STEADY_SECONDS + HOLD_SECONDS + SETTLE_SECONDS
    patience = patience_seconds(environment, expectation)
    stay = stay_seconds(environment, expectation)
    longest = BASELINE_SECONDS + scaled / environment.speed + 2 * patience + CUT_OVER_SECONDS + stay
    if load is not None:
        longest += loads.STEADY_SECONDS + BASELINE_SECONDS
        longest += load_hold_seconds(environment, expectation)
    return longest + expectation.preceding_seconds
