"""Which Regions a drill takes away, and what their customers have to expect: pure.

With failover routing DNS gives all customers one answer, with latency routing one to those next to
each Region, and with weighted routing any of several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESOLVERS = 8
"""Resolvers that customers share where each may have another answer."""
CONSECUTIVE_SUCCESSES = 5
"""A single success proves nothing where some requests fail; so many in a row do."""


@dataclass(frozen=True)
class Customers:
    """Customers to whom DNS gives the same answer, or draws it alike.

    Attributes:
        near: The Region that they are next to; empty if their place does not matter.
        before: The Regions that serve them while all are in service.
        after: The Regions that serve them while the lost ones are not; empty if none is left.
        varies: Whether each answer is one of several.
    """

    near: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    varies: bool = False

    def __str__(self) -> str:
        return f"customers next to {self.near}" if self.near else "all customers"

    @property
    def leaves(self) -> tuple[str, ...]:
        """The lost Regions that served them."""
        return tuple(region for region in self.before if region not in self.after)

    @property
    def resolvers(self) -> int:
        """How many resolvers they share."""
        return RESOLVERS if self.varies else 1

    @property
    def consecutive(self) -> int:
        """Successes in a row that count as serving again: a read and a write by each resolver."""
        return max(CONSECUTIVE_SUCCESSES, 2 * self.resolvers if self.varies else 0)


@dataclass(frozen=True)
class Scenario:
    """The Regions that are lost, and whom that concerns.

    Attributes:
        routing_policy: How DNS chooses among the Regions.
        regions: The Regions in order.
        lost: Those that are lost, in the same order.
        customers: All customers, by the answers that they get.
    """

    routing_policy: str
    regions: tuple[str, ...]
    lost: tuple[str, ...]
    customers: tuple[Customers, ...]

    @property
    def left(self) -> tuple[str, ...]:
        """The Regions that are not lost."""
        return tuple(region for region in self.regions if region not in self.lost)

    @property
    def moving(self) -> tuple[Customers, ...]:
        """Customers whom a lost Region served."""
        return tuple(each for each in self.customers if each.leaves)

    @property
    def others(self) -> tuple[Customers, ...]:
        """Customers who must not notice."""
        return tuple(each for each in self.customers if not each.leaves)

    @property
    def taking_over(self) -> tuple[str, ...]:
        """The Regions that serve customers of lost ones, as far as that is known before."""
        serving = {region for each in self.moving for region in each.after}
        return tuple(region for region in self.regions if region in serving)

    @property
    def coming_back(self) -> tuple[str, ...]:
        """The lost Regions that serve customers again, once they are restored."""
        serving = {region for each in self.moving for region in each.leaves}
        return tuple(region for region in self.regions if region in serving)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "routing_policy": self.routing_policy,
            "regions": list(self.regions),
            "lost": list(self.lost),
        }


def scenario_of(
    routing_policy: str,
    regions: Sequence[str],
    lost: Sequence[str],
    weights: Mapping[str, int] | None = None,
) -> Scenario:
    """Find out whom the loss of Regions concerns.

    Args:
        routing_policy: `failover`, `latency` or `weighted`.
        regions: The Regions in order.
        lost: Those that are lost.
        weights: Of weighted routing, `{Region: weight}`; None for equal ones.
    """
    regions = tuple(regions)
    lost = tuple(region for region in regions if region in lost)
    left = tuple(region for region in regions if region not in lost)
    match routing_policy:
        case "failover":
            groups = [Customers("", regions[:1], left[:1])]
        case "latency":
            groups = [
                Customers(region, (region,), left if region in lost else (region,))
                for region in regions
            ]
        case _:
            carrying = [r for r in regions if weights is None or weights.get(r)]
            # Those of weight 0 serve while every other one is unhealthy.
            after = [region for region in carrying if region in left] or left
            groups = [Customers("", tuple(carrying), tuple(after), varies=True)]
    return Scenario(routing_policy, regions, lost, tuple(groups))


def record_check(region: str) -> str:
    """Name of the health check of a Region's record.

    Args:
        region: The Region.
    """
    return f"{region} record"
