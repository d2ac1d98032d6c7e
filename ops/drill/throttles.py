"""The throttles that a load meets in a Region that serves without any failover.

Those of the Region that takes over are what a drill shows: they are no reason to refuse one.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.drill.expectation import Pace, kinds_of_customers
from ops.drill.load import WRITE_EVERY, Load
from ops.drill.retrying import own_urls
from ops.environment import Environment
from ops.errors import UsageError
from ops.verify.api_gateway import stage_name
from ops.verify.capacity import RAISE_THROTTLE

READS = "locations/GET"
WRITES = "weather/{}/observations/{}/PUT"
"""The methods that customers of a drill call, without the names of parameters."""
EVERY_METHOD = "*/*"
PUBLISHERS = 1.25
"""Writes for each read of the drill's own: those of its publishers, too."""


@dataclass(frozen=True)
class Throttle:
    """A throttle, and what a drill sends through it.

    Attributes:
        what: What it belongs to, in words.
        region: The Region.
        rate_per_second: What it lets through; of each method for itself.
        share: Share of the load that comes to the Region without a failover.
        of_load: Share of the load's requests that it counts.
        others: What the drill itself sends, in a second.
        fix: What raises it.
    """

    what: str
    region: str
    rate_per_second: float
    share: float
    of_load: float
    others: float
    fix: str

    def needed(self, per_second: float) -> float:
        """Requests a second that it counts under a load.

        Args:
            per_second: Requests a second of the load.
        """
        return self.share * (self.of_load * per_second + self.others)

    @property
    def room(self) -> int:
        """The largest load that it lets through."""
        return math.floor((self.rate_per_second / self.share - self.others) / self.of_load)


def drill_reads_per_second(environment: Environment) -> float:
    """How many reads a second a drill sends beside a load.

    Args:
        environment: The environment at the speed of the drill.
    """
    reads = kinds_of_customers(environment) / Pace.of(environment).interval_seconds
    return reads * (2 if own_urls(environment) else 1)


def require_unthrottled(environment: Environment, load: Load) -> None:
    """Make sure that no stage and no account throttles the load in a Region that serves now.

    What cannot be read here, `verify` reads before anything is injected, and stops the drill.

    Args:
        environment: The environment at the speed of the drill.
        load: The load.

    Raises:
        UsageError: One of them throttles it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
    """
    short = [
        each
        for region in environment.regions
        for each in _throttles_of(environment, region)
        if each.needed(load.per_second) > each.rate_per_second
    ]
    if not short:
        return
    room = min(each.room for each in short)
    fixes = "; ".join(dict.fromkeys(each.fix for each in short))
    raise UsageError(
        f"--load {load.per_second:g} would be throttled without any failover: "
        + "; ".join(
            f"{each.what} takes {each.rate_per_second:g} requests a second in {each.region}, and "
            f"needs {each.needed(load.per_second):.3g}, the drill's own included"
            for each in short
        ),
        next_step=(f"give --load {room} or less, or " if room >= 1 else "") + fixes,
    )


def _throttles_of(environment: Environment, region: str) -> Iterator[Throttle]:
    share = _share(environment, region)
    if not share:
        return
    reads = drill_reads_per_second(environment)
    writes = PUBLISHERS * reads
    try:
        gateway = environment.client("apigateway", region)
        account = gateway.get_account()["throttleSettings"]["rateLimit"]
        stage: dict[str, Any] = gateway.get_stage(
            restApiId=environment.outputs.api_ids[region], stageName=stage_name(environment, region)
        )
    except Exception:  # a malformed response, too
        return
    settings = {_path(name): values for name, values in (stage.get("methodSettings") or {}).items()}
    for method, of_load, others in (
        (READS, 1 - 1 / WRITE_EVERY, reads),
        (WRITES, 1 / WRITE_EVERY, writes),
    ):
        name = method if method in settings else EVERY_METHOD
        rate = settings.get(name, {}).get("throttlingRateLimit")
        if rate is not None:
            where = "[api]" if name == EVERY_METHOD else f"the operation {method}"
            fix = f"raise rate_per_second of {where}, and deploy"
            yield Throttle(f"the stage's {name}", region, rate, share, of_load, others, fix)
    # A sandbox multiplies it by its speed, as its health checks and probes come so much faster.
    rate = account * environment.speed
    fix = f"in {region}, {RAISE_THROTTLE}"
    yield Throttle("the account", region, rate, share, 1.0, reads + writes, fix)


def _share(environment: Environment, region: str) -> float:
    """Share of all customers whom a Region serves while every Region is healthy."""
    outputs = environment.outputs
    if outputs.routing_policy == "failover":
        return float(region == environment.primary)
    if outputs.routing_policy == "weighted" and outputs.weights:
        return outputs.weights[region] / sum(outputs.weights.values())
    return 1 / len(environment.regions)


def _path(method: str) -> str:
    """A method as API Gateway's settings name it, without the names of parameters."""
    return re.sub(r"\{[^}]*\}", "{}", method.replace("~1", "/")).lstrip("/")
