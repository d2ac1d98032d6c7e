"""How much a Region serves at once: Lambda's concurrency and cold starts, API Gateway's throttle.

A model of what AWS counts, apart from the processes of this machine that run the functions. Time
that AWS takes is divided by the speed of the sandbox, and rates are multiplied by it; numbers of
what runs at once stay as they are.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from threading import Lock
from typing import Any

from constructs_lib.settings.regions import SMALLER_QUOTA, SMALLER_QUOTA_REGIONS

COLD_START_SECONDS = 0.14
"""What a Python function on arm64 takes to start: published figures are 80 to 200 ms."""
IDLE_SECONDS = 300.0
"""How long an environment waits for its next request. AWS does not publish it; minutes are seen."""
UNRESERVED_AT_LEAST = 100
"""Concurrency that can be neither reserved nor provisioned.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""
STARTED_AT_ONCE = 1000
STARTED_PER_SECOND = 100.0
"""Environments that a function starts: 1,000 every 10 seconds, refilled continuously.

Source: https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
"""
REQUESTS_PER_ENVIRONMENT = 10
"""Requests a second for each unit of concurrency, however short they are.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""
ALLOCATION_SECONDS = 60.0
ALLOCATED_PER_SECOND = 100.0
"""Provisioned concurrency is prepared for a minute or two, then comes at 6,000 a minute.

Source: https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""


class Reason(Enum):
    """Why Lambda throttles, as its API names it.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """

    FUNCTION = "ReservedFunctionConcurrentInvocationLimitExceeded"
    ACCOUNT = "ConcurrentInvocationLimitExceeded"
    FUNCTION_RATE = "ReservedFunctionInvocationRateLimitExceeded"
    ACCOUNT_RATE = "FunctionInvocationRateLimitExceeded"


@dataclass(frozen=True)
class Limits:
    """Quotas of an account in a Region.

    Attributes:
        lambda_concurrency: Invocations of all functions at once.
        api_requests_per_second: Steady requests a second to all APIs together.
        api_burst: Requests that may arrive at once.
    """

    lambda_concurrency: int = 1000
    api_requests_per_second: float = 10_000.0
    api_burst: int = 5_000

    def with_values(self, values: Any) -> Limits:
        """The same with some changed.

        Args:
            values: `{quota: value}`, as JSON has it.

        Returns:
            The limits.

        Raises:
            ValueError: A name is unknown, or a value is not a number of 0 or more.
        """
        known = asdict(self)
        if not isinstance(values, dict):
            raise ValueError(f"got {values!r}; an object of {', '.join(known)} is allowed")
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{name}: unknown; there are {', '.join(known)}")
            whole = isinstance(known[name], int)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < 1e9 or (whole and value != int(value)):
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{name}: got {value!r}; {kind} of 0 or more is allowed")
            known[name] = int(value) if whole else float(value)
        return Limits(**known)


def default_limits(region: str) -> Limits:
    """AWS's default quotas in a Region.

    Args:
        region: The Region.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    """
    if region not in SMALLER_QUOTA_REGIONS:
        return Limits()
    return Limits(
        api_requests_per_second=float(SMALLER_QUOTA["rate_per_second"]),
        api_burst=SMALLER_QUOTA["burst"],
    )


class TokenBucket:
    """A rate with a burst.

    Args:
        per_second: How many tokens come in a second.
        burst: How many there are at most, and at first.
        now: The time.
    """

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self.per_second, self.burst = per_second, burst
        self._tokens, self._since = burst, now

    def take(self, now: float) -> bool:
        """Take a token, if there is one.

        Args:
            now: The time.
        """
        self._tokens = min(self.burst, self._tokens + (now - self._since) * self.per_second)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True)
class Function:
    """A function, and what of the account's concurrency is kept for it.

    Attributes:
        scope: Account and Region.
        name: Its name.
        reserved: Its reserved concurrency, or None.
        provisioned: What is provisioned for all its versions.
    """

    scope: tuple[str, str]
    name: str
    reserved: int | None = None
    provisioned: int = 0

    @property
    def kept(self) -> int:
        """What of the account's concurrency no other function gets."""
        return self.provisioned if self.reserved is None else self.reserved


@dataclass(frozen=True)
class Admission:
    """An invocation that runs.

    Attributes:
        function: Its function.
        version: The version that it executes.
        is_provisioned: Whether it uses provisioned concurrency.
        is_cold: Whether its environment has to start.
        running: How many run in the Region now.
        running_of_function: How many of them are of the function.
    """

    function: Function
    version: str
    is_provisioned: bool
    is_cold: bool
    running: int
    running_of_function: int


class _Account:
    """What runs in a Region."""

    def __init__(self) -> None:
        self.running = 0
        self.unreserved = 0
        """Of those, what runs on concurrency that is kept for no function."""
        self.counts: Counter[str] = Counter()
        self.most_running = 0


class Capacity:
    """What of a Region's capacity is in use.

    Args:
        clock: Seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._limits: dict[str, Limits] = {}
        self._accounts: dict[tuple[str, str], _Account] = defaultdict(_Account)
        self._running: Counter[tuple[Any, ...]] = Counter()
        self._provisioned: Counter[tuple[Any, ...]] = Counter()
        self._idle: dict[tuple[Any, ...], deque[float]] = defaultdict(deque)
        self._buckets: dict[tuple[Any, ...], TokenBucket] = {}
        self.cold_start_seconds = 0.0
        self.speed = 1.0

    def configure(
        self, *, limits: Mapping[str, Limits], cold_start_seconds: float, speed: float
    ) -> None:
        """Set what differs from AWS's defaults.

        Args:
            limits: `{region: its quotas}`.
            cold_start_seconds: How long a new environment takes to start, at the speed of AWS.
            speed: How much faster than AWS time passes.
        """
        with self._lock:
            self._limits = dict(limits)
            self.cold_start_seconds, self.speed = cold_start_seconds, speed
            self._buckets.clear()

    def limits(self, region: str) -> Limits:
        """The quotas of a Region.

        Args:
            region: The Region.
        """
        return self._limits.get(region) or default_limits(region)

    def set_limits(self, region: str, limits: Limits) -> None:
        """Change the quotas of a Region, from now on.

        Args:
            region: The Region.
            limits: Its quotas.
        """
        with self._lock:
            self._limits[region] = limits
            self._buckets.clear()

    def set_speed(self, speed: float) -> None:
        """Change how fast time passes, from now on, as a drill does that lowers the speed.

        Args:
            speed: How much faster than AWS.
        """
        with self._lock:
            self.speed = speed

    def enter(
        self, function: Function, version: str, *, provisioned: int, kept: int
    ) -> Admission | Reason:
        """Begin an invocation, unless Lambda throttles it.

        Args:
            function: The function.
            version: The version that is executed.
            provisioned: What is provisioned for this version, and ready.
            kept: What is kept for single functions of the Region, all together.

        Returns:
            The invocation, for `leave`, or why there is none.
        """
        with self._lock:
            now = self._clock()
            account = self._accounts[function.scope]
            refusal, on_provisioned = self._refusal(function, version, provisioned, kept, now)
            place = (function.scope, function.name, version)
            warm = on_provisioned or self._take_warm(place, now)
            if refusal is None and not warm and not self._bucket(
                ("start", *place[:2]), STARTED_PER_SECOND, STARTED_AT_ONCE, now
            ).take(now):  # fmt: skip
                refusal = Reason.ACCOUNT if function.reserved is None else Reason.FUNCTION
            if refusal:
                if warm and not on_provisioned:
                    self._idle[place].append(now)
                account.counts["throttles"] += 1
                return refusal
            account.running += 1
            account.most_running = max(account.most_running, account.running)
            account.unreserved += function.reserved is None and not on_provisioned
            account.counts["invocations"] += 1
            account.counts["cold_starts"] += not warm
            self._running[place[:2]] += 1
            self._provisioned[place] += on_provisioned
            return Admission(
                function, version, on_provisioned, not warm, account.running,
                self._running[place[:2]],
            )  # fmt: skip

    def leave(self, admission: Admission) -> None:
        """End an invocation; its environment waits for the next one.

        Args:
            admission: What `enter` returned.
        """
        function = admission.function
        place = (function.scope, function.name, admission.version)
        with self._lock:
            account = self._accounts[function.scope]
            account.running -= 1
            self._running[place[:2]] -= 1
            if admission.is_provisioned:
                self._provisioned[place] -= 1
                return
            account.unreserved -= function.reserved is None
            self._idle[place].append(self._clock())

    def take_api_request(self, account: str, region: str) -> bool:
        """Count a request to an API, unless it is over the account's throttle.

        Args:
            account: The account.
            region: The Region.
        """
        limits = self.limits(region)
        with self._lock:
            now = self._clock()
            return self._bucket(
                ("api", account, region), limits.api_requests_per_second, limits.api_burst, now
            ).take(now)

    def describe(self, regions: Iterable[str]) -> dict[str, Any]:
        """Describe what is in use.

        Args:
            regions: The Regions that are described, beside those where something ran.

        Returns:
            `{region: {limits, running, most_running, invocations, cold_starts, throttles}}`, of all
            accounts together.
        """
        with self._lock:
            found: dict[str, Any] = {}
            for region in sorted({*regions, *self._limits, *(each for _, each in self._accounts)}):
                here = [at for (_, each), at in self._accounts.items() if each == region]
                counts = sum((at.counts for at in here), Counter[str]())
                found[region] = {
                    "limits": asdict(self.limits(region)),
                    "running": sum(at.running for at in here),
                    "most_running": max((at.most_running for at in here), default=0),
                    **{n: counts[n] for n in ("invocations", "cold_starts", "throttles")},
                }
            return found

    def _refusal(
        self, function: Function, version: str, provisioned: int, kept: int, now: float
    ) -> tuple[Reason | None, bool]:
        """Why an invocation is throttled, and whether it finds provisioned concurrency."""
        place = (function.scope, function.name)
        limit = self.limits(function.scope[1]).lambda_concurrency
        on_provisioned = self._provisioned[(*place, version)] < provisioned
        if function.reserved is not None:
            if self._running[place] >= function.reserved:
                return Reason.FUNCTION, False
            rate = REQUESTS_PER_ENVIRONMENT * function.reserved
            if not self._bucket(("rate", *place), rate, rate, now).take(now):
                return Reason.FUNCTION_RATE, False
            return None, on_provisioned
        if not on_provisioned and self._accounts[function.scope].unreserved >= limit - kept:
            return Reason.ACCOUNT, False
        rate = REQUESTS_PER_ENVIRONMENT * limit
        if not self._bucket(("rate", function.scope), rate, rate, now).take(now):
            return Reason.ACCOUNT_RATE, False
        return None, on_provisioned

    def _take_warm(self, place: tuple[Any, ...], now: float) -> bool:
        """Take an environment that waits, the last one first; the others expire."""
        idle = self._idle[place]
        oldest = now - IDLE_SECONDS / self.speed
        while idle and idle[0] < oldest:
            idle.popleft()
        if idle:
            idle.pop()
            return True
        return False

    def _bucket(
        self, key: tuple[Any, ...], per_second: float, burst: float, now: float
    ) -> TokenBucket:
        rate = per_second * self.speed
        bucket = self._buckets.get(key)
        if bucket is None or (bucket.per_second, bucket.burst) != (rate, burst):
            bucket = self._buckets[key] = TokenBucket(rate, burst, now)
        return bucket


in_use = Capacity()
"""That of the local AWS."""
