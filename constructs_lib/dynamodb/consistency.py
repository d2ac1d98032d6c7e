"""How the Regions of a global table agree, and where a strongly consistent one can be.

Plain values only, so that settings are validated where neither cdktf nor a provider is installed.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Consistency = Literal["eventual", "strong"]
"""DynamoDB's multi-Region eventual consistency (MREC), or strong consistency (MRSC)."""

REGION_SETS = {
    "US": ("us-east-1", "us-east-2", "us-west-2"),
    "EU": ("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    "AP": ("ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
}
"""Regions with strongly consistent tables; all of a table are of one set.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

STRONG_REGIONS = 3
"""Regions of a strongly consistent table, a witness included; same source."""


class PlacementError(NamedTuple):
    """Why a strongly consistent table cannot be where it is asked for.

    Attributes:
        about: `regions`, with the place of one of them if it is about one, or `witness_region`.
        problem: What is wrong, with the value.
        allowed: What is allowed.
        fix: What to do.
    """

    about: str
    problem: str
    allowed: str
    fix: str


def placement_errors(regions: Sequence[str], witness_region: str = "") -> Iterator[PlacementError]:
    """Find what DynamoDB would refuse of the Regions of a strongly consistent table.

    Args:
        regions: Regions with replicas, the table's own among them.
        witness_region: Region with a witness; empty for none.

    Yields:
        Every error.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
    """
    exactly = "exactly three Regions, or two and a witness, with strong consistency"
    replicas = len(set(regions))
    if replicas > STRONG_REGIONS:
        yield PlacementError(
            "regions", f"has {replicas} Regions",
            exactly, 'leave the table in three, or set consistency = "eventual"',
        )  # fmt: skip
    elif replicas == STRONG_REGIONS and witness_region:
        yield PlacementError(
            "witness_region", f'is "{witness_region}", and three Regions have replicas',
            exactly, "remove it, or take one of the Regions out of regions",
        )  # fmt: skip
    elif replicas < STRONG_REGIONS and not witness_region:
        yield PlacementError(
            "witness_region", f"is missing: {' and '.join(regions) or 'no Region'} alone cannot "
            "agree while one of them is lost",
            exactly, "name one, or add a third Region to regions",
        )  # fmt: skip
    if witness_region in regions:
        yield PlacementError(
            "witness_region", f'"{witness_region}" is one of regions', "a Region without a replica",
            "name another Region of the same set",
        )  # fmt: skip
    named = {f"regions[{place}]": region for place, region in enumerate(regions)}
    if witness_region:
        named["witness_region"] = witness_region
    sets = {about: _set_of(region) for about, region in named.items()}
    for about, region in named.items():
        if not sets[about]:
            yield PlacementError(
                about, f'"{region}" has no strongly consistent tables',
                f"Regions of one set: {_SETS}",
                'choose Regions of one set, or set consistency = "eventual"',
            )  # fmt: skip
        elif about != "regions[0]" and sets["regions[0]"] not in ("", sets[about]):
            yield PlacementError(
                about, f'"{region}" is of the Region set {sets[about]}, and "{regions[0]}" of '
                f"{sets['regions[0]']}",
                f"Regions of one set: {_SETS}",
                f"choose one of {', '.join(REGION_SETS[sets['regions[0]']])}, or set consistency "
                '= "eventual"',
            )  # fmt: skip


_SETS = "; ".join(f"{name}: {', '.join(regions)}" for name, regions in REGION_SETS.items())


def _set_of(region: str) -> str:
    return next((name for name, regions in REGION_SETS.items() if region in regions), "")
