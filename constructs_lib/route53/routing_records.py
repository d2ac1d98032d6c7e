"""Which records route a name to its Regions, as plain values: without Terraform, and without AWS.

Route 53 has one primary and one secondary record for a name. With more Regions, the secondary is
an alias of another name in the same zone, which has a primary and a secondary in turn:

    api.example.com             primary: the 1st Region    secondary: failover-2.api.example.com
    failover-2.api.example.com  primary: the 2nd Region    secondary: failover-3.api.example.com
    failover-3.api.example.com  primary: the 3rd Region    secondary: the 4th Region

Nobody calls these names. An alias that evaluates the health of its target is healthy while one of
the records there is, so the first healthy Region is answered; the first Region if none is. An alias
has the type of the records that it points to: with CNAME records, it is of type CNAME.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-complex-configs.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RoutingPolicy = Literal["failover", "latency", "weighted"]

ALIAS_TTL_SECONDS = 60
"""Time to live of an answer that comes from an alias record to a Region's endpoint.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html
"""

HEAVIEST = 255
"""Largest weight of a record; 0 is the smallest.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html
"""


OBSERVERS = 2
"""How many other Regions, at most, are asked whether a Region is evacuated.

One may be lost together with the Region that is to be evacuated. Each one is a health check to pay
for, and an account has 200 of them by default.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
"""


@dataclass(frozen=True)
class RoutingRecord:
    """A record that routes, once of type A and once of type AAAA, or once of type CNAME.

    Attributes:
        id: Its part of a resource's address.
        name: The name that it answers.
        set_identifier: What distinguishes it from the others of its name.
        region: The Region that it routes to; empty for an alias of another name.
        alias_of: The name that it is an alias of; empty for one that routes to a Region.
        failover: `PRIMARY` or `SECONDARY`, with failover.
        weight: Its weight, with weighted routing.
    """

    id: str
    name: str
    set_identifier: str
    region: str = ""
    alias_of: str = ""
    failover: Literal["PRIMARY", "SECONDARY"] | None = None
    weight: int | None = None


def routing_records(
    record_name: str,
    regions: Sequence[str],
    routing_policy: RoutingPolicy,
    weights: Mapping[str, int] | None = None,
) -> list[RoutingRecord]:
    """List the records that route a name.

    Args:
        record_name: The fully qualified name, without a trailing dot.
        regions: The Regions in order.
        routing_policy: How Route 53 chooses one of them.
        weights: `{region: weight}` with weighted routing; None for equal ones.

    Returns:
        Those of the name itself first; those of a name that is the target of an alias after it.

    Raises:
        ValueError: Fewer than two Regions, or weights that do not fit.
    """
    if len(regions) < 2:
        raise ValueError(f"got {len(regions)} Regions: give two or more to route between")
    if weights is not None:
        _refuse_what_does_not_fit(weights, regions, routing_policy)
    if routing_policy == "failover":
        return _failover_records(record_name, regions)
    return [
        RoutingRecord(
            region,
            record_name,
            region,
            region,
            weight=(weights or dict.fromkeys(regions, 1))[region]
            if routing_policy == "weighted"
            else None,
        )
        for region in regions
    ]


def roles_of(regions: Sequence[str], routing_policy: RoutingPolicy) -> dict[str, str]:
    """`{region: its part of the address of its health check}`; a further Region changes none.

    Args:
        regions: The Regions in order.
        routing_policy: How Route 53 chooses one of them.
    """
    roles = ("primary", "secondary") if routing_policy == "failover" else ()
    return dict(zip(regions, (*roles, *regions[len(roles) :]), strict=True))


def observers_of(regions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`{region: the Regions that report its evacuation}`: the first ones in order beside itself.

    A Region that is added at the end changes none of these, unless it is the third.

    Args:
        regions: The Regions in order.
    """
    return {
        region: tuple(other for other in regions if other != region)[:OBSERVERS]
        for region in regions
    }


def _refuse_what_does_not_fit(
    weights: Mapping[str, int], regions: Sequence[str], routing_policy: RoutingPolicy
) -> None:
    if routing_policy != "weighted":
        raise ValueError(f"{routing_policy} routing has no weights: leave them out")
    if set(weights) != set(regions):
        raise ValueError(
            f"weights of {', '.join(weights)} for the Regions {', '.join(regions)}: give each one"
        )
    if not all(0 <= w <= HEAVIEST for w in weights.values()) or not any(weights.values()):
        raise ValueError(f"got the weights {dict(weights)}: give 0 to {HEAVIEST}, one above 0")


def _failover_records(record_name: str, regions: Sequence[str]) -> list[RoutingRecord]:
    """A primary and a secondary for each Region but the last; the last is the last secondary."""
    records, name, prefix = [], record_name, ""
    for place, region in enumerate(regions[:-1], start=1):
        behind = f"failover-{place + 1}.{record_name}" if place + 1 < len(regions) else ""
        last = "" if behind else regions[-1]
        records += [
            RoutingRecord(f"{prefix}primary", name, "primary", region, failover="PRIMARY"),
            RoutingRecord(
                f"{prefix}secondary", name, "secondary", last, behind, failover="SECONDARY"
            ),
        ]
        name, prefix = behind, f"failover_{place + 1}_"
    return records
