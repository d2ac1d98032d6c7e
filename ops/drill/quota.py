"""What a drill spends of a customer's quota, and whether there is enough of it.

A customer's limits and quota are counted for each API key in each Region. Reads spend them; writes
are signed and do not.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ops.drill.durability import LOST_AFTER_SECONDS
from ops.drill.durations import CUT_OVER_SECONDS, longest_seconds
from ops.drill.expectation import Expectation, Pace, kinds_of_customers
from ops.drill.load import Load
from ops.drill.probe_location import READING_SECONDS
from ops.drill.region_api import PAGE
from ops.drill.retrying import ATTEMPTS, own_urls
from ops.drill.spending import KeyLimits, Spending
from ops.drill.throttles import drill_reads_per_second, require_unthrottled
from ops.environment import Environment
from ops.errors import OpsError, UsageError, explain
from ops.verify.api_gateway import listed

OTHER_REQUESTS = 100
"""Of one Region: those of `verify`, of the search for a free location and of the clean-up."""


def most_requests(
    environment: Environment, expectation: Expectation, load: Load | None = None
) -> int:
    """Count the requests with the customer's key that a drill sends to one Region at most.

    Args:
        environment: The environment at the speed of the drill.
        expectation: What the failover may take.
        load: The load; None without one.
    """
    seconds = longest_seconds(environment, expectation, load)
    # With latency routing, the customers of all Regions may come to one.
    kinds = kinds_of_customers(environment)
    reads = kinds * math.ceil(seconds / Pace.of(environment).interval_seconds)
    # Once more after a reconciliation.
    readings = math.ceil((CUT_OVER_SECONDS + 2 * LOST_AFTER_SECONDS) / READING_SECONDS) + 5
    # A customer who retries shares out the attempts of a read among the Regions.
    retries = reads * ATTEMPTS // len(environment.regions) if own_urls(environment) else 0
    # As many writes as reads, a quarter more of publishers, and those of the load: every reading
    # lists all of them, and the location.
    writes = 1.25 * reads + (load.most_writes(seconds) if load else 0)
    pages = math.ceil(writes / PAGE) + 1
    loaded = load.most_reads(seconds) if load else 0
    return reads + retries + loaded + readings * pages + OTHER_REQUESTS


def require_rate(environment: Environment, load: Load, known: Sequence[KeyLimits]) -> None:
    """Make sure that no throttle allows less than the load.

    The customer's usage plan, in any Region to which all of it may come; and in Regions that serve
    now, the limits of the stage, of its methods, and of the account.

    Args:
        environment: The environment at the speed of the drill.
        load: The load.
        known: The limits of the customer in each Region, as far as they could be read.

    Raises:
        UsageError: It allows less.
    """
    others = drill_reads_per_second(environment)
    needed = load.reads_per_second + others
    short = [each for each in known if each.rate_per_second and each.rate_per_second < needed]
    if not short:
        require_unthrottled(environment, load)
        return
    least = min(each.rate_per_second or 0.0 for each in short)
    room = math.floor((least - others) / (load.reads_per_second / load.per_second))
    fix = f"give --load {room} or less, raise" if room >= 1 else "raise"
    raise UsageError(
        f"--load {load.per_second:g} needs {needed:.0f} reads a second of the customer "
        f"{environment.customer_name}, the drill's own included, and its usage plan allows "
        + ", ".join(f"{each.rate_per_second:g} in {each.region}" for each in short)
        + ": it would be throttled without any failover",
        next_step=f"{fix} rate_per_second of its plan in the environment file, or name another "
        "customer with --customer",
    )


def limits(environment: Environment) -> Iterator[KeyLimits]:
    """Read the limits of the customer's API key.

    Args:
        environment: The environment.

    Raises:
        BotoCoreError, ClientError: API Gateway does not list plans or keys.
    """
    for region, key_id in environment.outputs.api_key_ids[environment.api_key_name].items():
        for plan in listed(environment, region, "get_usage_plans"):
            members = listed(environment, region, "get_usage_plan_keys", usagePlanId=plan["id"])
            if any(member["id"] == key_id for member in members):
                rate = plan.get("throttle", {}).get("rateLimit")
                quota, period, remaining = None, "", None
                if found := plan.get("quota"):
                    quota, period = found["limit"], found["period"]
                    remaining = _remaining(environment, region, plan["id"], key_id, quota, period)
                yield KeyLimits(region, rate, quota, period, remaining)


def _remaining(
    environment: Environment, region: str, plan_id: str, key_id: str, limit: int, period: str
) -> int | None:
    today = datetime.now(UTC).date()
    begin = today if period == "DAY" else today.replace(day=1)
    try:
        usage = environment.client("apigateway", region).get_usage(
            usagePlanId=plan_id,
            keyId=key_id,
            startDate=begin.isoformat(),
            endDate=today.isoformat(),
        )["items"]
    except Exception:  # a malformed response, too
        return None
    # [used, remaining] of each day on which there was a request.
    days = [day for log in usage.values() for day in log]
    return int(days[-1][1]) if days else limit


def require(environment: Environment, requests: int) -> Spending:
    """Make sure that the customer's quota is enough for a drill.

    Args:
        environment: The environment.
        requests: How many it sends to one Region at most.

    Returns:
        What it spends.

    Raises:
        OpsError: The quota is not enough, or the customer is not known.
    """
    customer = environment.customer_name
    try:
        found = tuple(limits(environment))
    except OpsError:
        raise
    except Exception as error:  # a malformed response, too
        return Spending(customer, requests, unknown=explain(error))
    if short := [each for each in found if requests > each.available]:
        raise UsageError(
            f"the drill needs at most {requests} requests of the customer {customer} in each "
            f"Region, and the quota is not enough: {'; '.join(map(str, short))}",
            next_step="name another customer with --customer, best one without a quota",
        )
    return Spending(customer, requests, found)
