"""What a drill spends of its customer's limits: pure.

API Gateway counts a usage plan's limits for each API key in each Region.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ops.drill.events import Request


@dataclass(frozen=True)
class KeyLimits:
    """The limits of one API key in one Region.

    Attributes:
        region: The Region.
        rate_per_second: Requests a second; None without a limit.
        quota: Requests in a period; None without a quota.
        period: `DAY`, `WEEK` or `MONTH`; empty without a quota.
        remaining: Requests of the quota that were left; None if API Gateway does not say.
    """

    region: str
    rate_per_second: float | None
    quota: int | None
    period: str
    remaining: int | None

    @property
    def available(self) -> float:
        """Requests of the quota that are left, as far as is known."""
        if self.quota is None:
            return float("inf")
        return self.quota if self.remaining is None else self.remaining

    def __str__(self) -> str:
        left = "an unknown number" if self.remaining is None else str(self.remaining)
        return f"{left} of {self.quota} a {self.period.lower()} left in {self.region}"


@dataclass(frozen=True)
class Spending:
    """What a drill may spend.

    Attributes:
        customer: Name of the customer.
        most_requests: Requests to one Region at most, listings of what was written included.
        limits: The customer's limits in each Region.
        unknown: Why they are not known; empty if they are.
    """

    customer: str
    most_requests: int
    limits: tuple[KeyLimits, ...] = ()
    unknown: str = ""

    def __str__(self) -> str:
        spends = f"Spends at most {self.most_requests} requests of the customer {self.customer} in "
        if self.unknown:
            return f"{spends}each Region; whether the quota is enough is unknown: {self.unknown}"
        quotas = "; ".join(str(each) for each in self.limits if each.quota is not None)
        return f"{spends}each Region; quota: {quotas or 'none'}."

    def to_json(self, requests: Sequence[Request]) -> dict[str, Any]:
        """As JSON values, with what was spent.

        Args:
            requests: The requests of the drill's customers.

        Returns:
            `{customer, most_requests, unknown, regions}`, a Region each: its limits, `reads`,
            `peak_per_second`, `rate_share` and `quota_share`; a share is None without a limit.
        """
        return {
            "customer": self.customer,
            "most_requests": self.most_requests,
            "unknown": self.unknown or None,
            "regions": [asdict(limits) | _spent(limits, requests) for limits in self.limits],
        }

    def in_words(self, requests: Sequence[Request]) -> Iterator[str]:
        """Say what was spent, a line each.

        Args:
            requests: The requests of the drill's customers.
        """
        yield (
            f"Reads count against the limits of the customer {self.customer}; with the drill's own "
            f"listings, they are at most {self.most_requests} requests in each Region."
        )
        if self.unknown:
            yield f"The customer's limits are unknown: {self.unknown}"
        for each in self.to_json(requests)["regions"]:
            rate, quota = "no limit", "no quota"
            if each["rate_share"] is not None:
                rate = (
                    f"{100 * each['rate_share']:.2g} % of the {each['rate_per_second']:g} a second "
                    "that its plan allows"
                )
            if each["quota_share"] is not None:
                quota = (
                    f"{100 * each['quota_share']:.2g} % of the quota of {each['quota']} a "
                    f"{each['period'].lower()}"
                )
            yield (
                f"{each['region']}: at most {each['reads']} reads, and {each['peak_per_second']} "
                f"in a second: {rate}, {quota}"
            )


def _spent(limits: KeyLimits, requests: Sequence[Request]) -> dict[str, Any]:
    # One without a response may have been counted by any Region.
    reads = sorted(
        r.sent_at for r in requests if r.kind == "read" and r.region in (limits.region, None)
    )
    peak = max((bisect_left(reads, at + 1) - index for index, at in enumerate(reads)), default=0)
    return {
        "reads": len(reads),
        "peak_per_second": peak,
        "rate_share": peak / limits.rate_per_second if limits.rate_per_second else None,
        "quota_share": len(reads) / limits.quota if limits.quota else None,
    }
