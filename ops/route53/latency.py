"""Which AWS Region is near to which: a stand-in for AWS's latency measurements.

AWS routes by latency measured over time between users and its Regions, and does not publish
the figures. Great-circle distance gives the same order in most cases, and always the same
answer, which is what a test needs.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-latency.html
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

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
    """Great-circle distance in kilometres; infinite when a Region is unknown."""
    if one == other:
        return 0.0
    if one not in _COORDINATES or other not in _COORDINATES:
        return float("inf")
    lat1, lon1 = map(radians, _COORDINATES[one])
    lat2, lon2 = map(radians, _COORDINATES[other])
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 12_742 * asin(sqrt(chord))
