"""Which records of a group may answer now: routing policies and health, without DNS.

A group is the record sets of one name and type. `Router.pool` gives the records that are in
service, `Router.choose` picks from them for one query.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

from sandbox.route53.model import RecordSet, Zone

MULTIVALUE_LIMIT = 8
"""Most records of a multivalue group in one answer.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-multivalue.html
"""

_COORDINATES = {
    "af-south-1": (-33.9, 18.4),
    "ap-east-1": (22.3, 114.2),
    "ap-east-2": (25.0, 121.5),
    "ap-northeast-1": (35.7, 139.7),
    "ap-northeast-2": (37.6, 127.0),
    "ap-northeast-3": (34.7, 135.5),
    "ap-south-1": (19.1, 72.9),
    "ap-south-2": (17.4, 78.5),
    "ap-southeast-1": (1.3, 103.8),
    "ap-southeast-2": (-33.9, 151.2),
    "ap-southeast-3": (-6.2, 106.8),
    "ap-southeast-4": (-37.8, 145.0),
    "ap-southeast-5": (3.1, 101.7),
    "ap-southeast-6": (-36.8, 174.8),
    "ap-southeast-7": (13.8, 100.5),
    "ca-central-1": (45.5, -73.6),
    "ca-west-1": (51.0, -114.1),
    "eu-central-1": (50.1, 8.7),
    "eu-central-2": (47.4, 8.5),
    "eu-north-1": (59.3, 18.1),
    "eu-south-1": (45.5, 9.2),
    "eu-south-2": (41.6, -0.9),
    "eu-west-1": (53.3, -6.3),
    "eu-west-2": (51.5, -0.1),
    "eu-west-3": (48.9, 2.4),
    "il-central-1": (32.1, 34.8),
    "me-central-1": (24.5, 54.4),
    "me-south-1": (26.2, 50.6),
    "mx-central-1": (20.6, -100.4),
    "sa-east-1": (-23.5, -46.6),
    "us-east-1": (39.0, -77.5),
    "us-east-2": (40.0, -83.0),
    "us-west-1": (37.4, -121.9),
    "us-west-2": (45.8, -119.7),
}
"""Latitude and longitude of each Region.

AWS routes by latency measured over time between users and its Regions, and does not publish the
figures. Great-circle distance gives the same order in most cases, and always the same answer.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-latency.html
"""

Group = tuple[RecordSet, ...]


class UnsupportedRoutingError(ValueError):
    """A record uses a routing policy this data plane does not know."""


class Router:
    """The choice of records in one zone.

    Args:
        zone: The records.
        is_healthy: Status of a health check by id.
    """

    def __init__(self, zone: Zone, is_healthy: Callable[[str], bool]) -> None:
        """Keep the inputs; nothing is computed yet."""
        self._zone = zone
        self._is_healthy = is_healthy

    def in_service(self, record: RecordSet, _above: frozenset[str] = frozenset()) -> bool:
        """Check whether a record counts as healthy.

        Its health check must be healthy, if it has one, and an alias that evaluates target
        health to records of the zone needs at least one of them in service. An alias to an
        AWS resource without health, such as an API Gateway domain, counts as
        healthy.

        Args:
            record: Any record of the zone.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-complex-configs.html
        """
        if record.health_check_id and not self._is_healthy(record.health_check_id):
            return False
        target = self.target_group(record)
        if not target or not record.alias or not record.alias.evaluate_target_health:
            return True
        if record.name in _above:
            return True
        above = _above | {record.name}
        return any(self.in_service(member, above) for member in target)

    def target_group(self, record: RecordSet) -> Group:
        """Give the records of this zone that an alias points to; empty for all else."""
        if record.alias is None or record.alias.hosted_zone_id != self._zone.id:
            return ()
        return self._zone.group(record.alias.dns_name, record.type)

    def pool(self, group: Group, client_region: str) -> Group:
        """Give the records of a group that a query may be answered with.

        Healthy records only; when none is healthy, all of them count as healthy.

        Args:
            group: The records of one name and type, at least one.
            client_region: The AWS Region nearest to the client, for latency records.

        Returns:
            One record for simple, failover and latency groups; all candidates for weighted
            and multivalue groups. Never empty.

        Raises:
            UnsupportedRoutingError: The group uses geolocation, geoproximity or CIDR routing.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
        """
        if any(record.policy == "unsupported" for record in group):
            raise UnsupportedRoutingError(
                f"{group[0].name} {group[0].type}: geolocation, geoproximity and CIDR routing "
                "are not supported"
            )
        healthy = tuple(record for record in group if self.in_service(record))
        policy = group[0].policy
        if policy == "weighted":
            return _with_weight(healthy) or healthy or _with_weight(group) or group
        if policy == "multivalue":
            return healthy or group
        if policy == "failover":
            return (_primary_first(healthy) or _primary_first(group))[:1]
        if policy == "latency":
            return _nearest(healthy or group, client_region)[:1]
        return group[:1]

    def choose(self, group: Group, client_region: str, chance: random.Random) -> Group:
        """Pick the records for one answer.

        Args:
            group: The records of one name and type, at least one.
            client_region: The AWS Region nearest to the client.
            chance: The random source for weighted and multivalue groups.

        Returns:
            One record; up to eight for a multivalue group.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy.html
        """
        pool = self.pool(group, client_region)
        if pool[0].policy == "multivalue":
            return tuple(chance.sample(pool, min(len(pool), MULTIVALUE_LIMIT)))
        if pool[0].policy == "weighted":
            weights = [record.weight or 0 for record in pool]
            return tuple(chance.choices(pool, weights if any(weights) else None))
        return pool


def _with_weight(group: Group) -> Group:
    """Give the records with a weight above zero: the others serve only when these cannot.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
    """
    return tuple(record for record in group if record.weight)


def _primary_first(group: Group) -> Group:
    """Put the primary before the secondary.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-types.html
    """
    return tuple(sorted(group, key=lambda record: record.failover != "PRIMARY"))


def _nearest(group: Group, client_region: str) -> Group:
    """Order latency records by their Region's nearness to the client."""
    order = nearest_first(client_region, (record.region or "" for record in group))
    return tuple(sorted(group, key=lambda record: order.index(record.region or "")))


def nearest_first(client_region: str, regions: Iterable[str]) -> tuple[str, ...]:
    """Order Regions by their distance from a client.

    Args:
        client_region: The Region next to the client, e.g. `eu-west-1`.
        regions: The Regions that have latency records; duplicates are dropped.

    Returns:
        The Regions, nearest first. Unknown Regions come last, and ties are alphabetical.
    """
    return tuple(
        sorted(set(regions), key=lambda region: (_distance(client_region, region), region))
    )


@lru_cache(maxsize=4096)
def _distance(one: str, other: str) -> float:
    """Compute the great-circle distance in kilometres; infinite when a Region is unknown."""
    if one == other:
        return 0.0
    if one not in _COORDINATES or other not in _COORDINATES:
        return float("inf")
    lat1, lon1 = map(radians, _COORDINATES[one])
    lat2, lon2 = map(radians, _COORDINATES[other])
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 12_742 * asin(sqrt(chord))
