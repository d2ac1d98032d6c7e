"""A speed of the sandbox that this machine can follow.

At a high speed health checks and customers give up after a fraction of a second. On a busy machine
a healthy Region would miss that, and the drill would measure the machine.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial

from ops.drill.expectation import Pace
from ops.environment import Environment
from ops.fault_injection import FaultInjection

PROBES = 8
PROBES_AT_A_TIME = 4
HEADROOM = 3.0
"""How often a request must fit into its time-out."""
CHECK_SECONDS = 2.0
CHECK_FLOOR_SECONDS = 0.25
"""Time-out of a health check on AWS, and its floor in a sandbox.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Latencies:
    """How long requests take now, at worst.

    Attributes:
        check_seconds: A health check's request.
        customer_seconds: A customer's request.
    """

    check_seconds: float
    customer_seconds: float


def latencies(environment: Environment) -> Latencies:
    """Measure how long requests take now: some at a time, in every Region.

    Args:
        environment: A sandbox.
    """
    stage = environment.outputs.api_url.rpartition("/")[2]
    key = {"x-api-key": environment.api_key} if environment.outputs.customers else {}

    def probe(region: str, path: str) -> float:
        begun = time.monotonic()
        environment.call_region(region, path, headers=key)
        return time.monotonic() - begun

    def worst(path: str) -> float:
        regions = [*environment.regions] * PROBES
        # A first call of a function starts a process, which a drill's baseline does, too.
        for _ in pool.map(lambda region: probe(region, path), regions):
            pass
        found = pool.map(lambda region: probe(region, path), regions)
        # Without the outliers that even a quiet machine has.
        return sorted(found)[-3]

    with ThreadPoolExecutor(PROBES_AT_A_TIME) as pool:
        return Latencies(
            worst(environment.outputs.health_path), worst(f"/{stage}/locations?limit=1")
        )


def speed_for(latencies: Latencies, speed: float) -> float:
    """Choose the highest speed at which requests fit into the time-outs.

    Args:
        latencies: How long requests take.
        speed: The speed that is wanted.

    Returns:
        At most `speed`, at least 1 unless `speed` is lower.
    """
    check, customer = (HEADROOM * each for each in astuple(latencies))
    if check > max(CHECK_FLOOR_SECONDS, CHECK_SECONDS / speed):
        speed = min(speed, max(1.0, round(CHECK_SECONDS / check, 1)))
    if customer > Pace.at_speed(speed).timeout_seconds:
        speed = min(speed, max(1.0, round(Pace.at_speed(1).timeout_seconds / customer, 1)))
    return speed


@contextmanager
def at_followed_speed(
    environment: Environment, notify: Callable[[str], None]
) -> Iterator[Environment]:
    """Lower the speed of a sandbox that this machine cannot follow, for as long as the block runs.

    Args:
        environment: The environment; on AWS it stays as it is.
        notify: Called with a line if the speed is lowered.

    Yields:
        The environment at its speed.

    Raises:
        OpsError: The speed cannot be changed, or not be set back.
    """
    faults = environment.fault_injection
    if faults is None:
        yield environment
        return
    found = latencies(environment)
    # DNS counts whole seconds, so a time to live is one second at least.
    ttl = environment.outputs.answer_ttl_seconds
    counted = min(environment.speed, float(ttl))
    speed = speed_for(found, counted)
    if speed == environment.speed == current_speed(environment):
        _wait_until_healthy(environment, faults, notify)
        yield environment
        return
    if speed == counted < environment.speed:
        notify(
            f"DNS counts whole seconds, and its time to live is {ttl} s: the drill runs {speed:g} "
            f"times as fast as on AWS, not {environment.speed:g} times."
        )
    elif speed < environment.speed:
        notify(
            f"On this machine a health check takes {found.check_seconds:.2f} s now, and a "
            f"customer's request {found.customer_seconds:.2f} s: the drill runs {speed:g} times as "
            f"fast as on AWS, not {environment.speed:g} times."
        )
    try:
        set_all_speeds(environment, speed)
        _wait_until_healthy(environment, faults, notify)
        yield environment.at_speed(speed)
    finally:
        set_all_speeds(environment, environment.speed)


def current_speed(environment: Environment) -> float:
    """Read the speed of a running sandbox.

    Args:
        environment: The sandbox.

    Raises:
        OpsError: Its Route 53 does not respond.
    """
    return float(environment.sandbox_status()["speed"])


def set_speed(environment: Environment, speed: float) -> None:
    """Change the speed of a running sandbox.

    Args:
        environment: The sandbox.
        speed: How much faster than on AWS health checks and DNS shall run.

    Raises:
        OpsError: Its Route 53 does not respond.
    """
    environment.sandbox_status("PUT", "/speed", {"speed": speed})


def set_all_speeds(environment: Environment, speed: float) -> None:
    """Change the speed of replication, too, so that all times of a drill are of one scale.

    Args:
        environment: The sandbox.
        speed: How much faster than on AWS all of it shall run.

    Raises:
        OpsError: It does not respond.
    """
    steps = [partial(set_speed, environment, speed)]
    if environment.fault_injection:
        steps.append(partial(environment.fault_injection.set_replication_speed, speed))
    # By the speed of Route 53 it is known whether a drill that was killed has left another one: so
    # it is the first to change, and the last to be set back.
    for step in steps if speed != environment.speed else reversed(steps):
        step()


def _wait_until_healthy(
    environment: Environment, injection: FaultInjection, notify: Callable[[str], None]
) -> None:
    """Give health checks that a busy machine has failed time to recover.

    While a fault is injected they will not, and `verify` says so at once.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    endpoints = {*environment.outputs.endpoint_health_check_ids.values()}
    is_announced = False
    while time.monotonic() < deadline and not injection.faults():
        checks = environment.sandbox_status()["health_checks"]
        unhealthy = [c["reason"] for c in checks if c["id"] in endpoints and not c["healthy"]]
        if not unhealthy:
            return
        if not is_announced:
            notify(f"Waiting for the health checks to recover: {unhealthy[0]}")
            is_announced = True
        time.sleep(POLL_SECONDS)
