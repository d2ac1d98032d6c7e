"""What `switch` prints and returns, and the durations that it takes."""

import argparse
import re
from dataclasses import asdict
from datetime import timedelta

from rich.console import Console

from ops import switch
from ops.cli.program import Result
from ops.deadline import Limit
from ops.environment import Environment
from ops.errors import ExitCode
from ops.evacuation_item import Evacuation
from ops.fence import FenceState
from ops.identity import Identity
from ops.switch import SwitchChange
from ops.switch_timing import timing_of

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
console = Console(highlight=False, soft_wrap=True, markup=False)


def result_of(environment: Environment, identity: Identity, *, change: SwitchChange) -> Result:
    """Compose the result of evacuating or restoring a Region.

    Args:
        environment: The environment.
        identity: Who did it.
        change: What was done.
    """
    return Result(
        ExitCode.PASSED,
        environment=environment.name,
        identity=identity.to_json(),
        evacuation=asdict(change.after),
        fence=change.fence.to_json() if change.fence else None,
        changed=change.changed,
    )


def with_replicas(state: Evacuation) -> str:
    """Say what is known of a Region, and which replicas say so.

    Args:
        state: What is known.
    """
    return f"{state} (in {', '.join(state.replicas)})" if state.replicas else str(state)


def print_unread(state: Evacuation) -> None:
    """Name the replicas that have not responded.

    Args:
        state: What is known of a Region.
    """
    for replica, why in state.unread.items():
        console.print(f"The replica in {replica} has not responded: {why}.", style="yellow")


def print_fence(state: FenceState | None) -> None:
    """Print whether a Region refuses writes.

    Args:
        state: What its own replica says; None where nothing is to be said.
    """
    if state:
        text = str(state)
        console.print(f"{text[0].upper()}{text[1:]}.", style="yellow" if state.error else None)


def restore_line(environment: Environment, region: str) -> str:
    """Give the command that restores a Region.

    Args:
        environment: The environment.
        region: The Region.
    """
    return f"Restore it with: python -m ops switch restore {region} {environment.selector}"


def print_timing(environment: Environment, region: str, limit: Limit, effect: str) -> None:
    """Print how long DNS takes to follow.

    Args:
        environment: The environment.
        region: The Region that was evacuated or restored.
        limit: What is left of the command's time.
        effect: What Route 53 does then, as a clause without subject.
    """
    timing = timing_of(environment, region, limit=limit)
    console.print(
        f"Route 53 {effect} within {timing.route53_seconds} s (health check: "
        f"{timing.interval_seconds} s x {timing.failure_threshold}); customers' resolvers follow "
        f"within {timing.customers_seconds} s (TTL: {timing.ttl_seconds} s more)."
    )
    if timing.speed != 1:
        route53, customers = timing.here_seconds
        console.print(
            f"This sandbox runs {timing.speed:g} times as fast: within {route53:.3g} s and "
            f"{customers:.3g} s."
        )
    if timing.assumed:
        console.print(f"These times are Route 53's defaults. {timing.assumed}")


def successors(environment: Environment, region: str) -> str:
    """Say where customers of a Region are routed to, as far as these are healthy.

    Args:
        environment: The environment.
        region: The Region.
    """
    others = switch.others(environment, region)
    match environment.outputs.routing_policy:
        case "failover":
            return ", then ".join(others)
        case _:
            return " or ".join(others)


def duration(text: str) -> timedelta:
    """Read the value of an option.

    Args:
        text: A number and `s`, `m`, `h` or `d`.

    Raises:
        ArgumentTypeError: It is another text.
    """
    if not (match := _DURATION.fullmatch(text)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: give a number and s, m, h or d, such as 30m"
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
