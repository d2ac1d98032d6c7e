"""Comparison of the Regions: each one's settings with those of the first that can be read."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ops.environment import Environment
from ops.verify.finding import Finding, failed, passed_unless, read_regions, unknown

Settings = Mapping[str, object]
"""`{setting: value}`."""
MAX_SHOWN = 4
MISSING = "nothing"


@dataclass(frozen=True)
class Hidden:
    """A value that is compared and never shown."""

    value: object

    def __repr__(self) -> str:
        return "a hidden value"


def compared(
    environment: Environment,
    read: Callable[[Environment, str], Settings],
    *,
    subject: str,
    fix: str,
    may_be_empty: bool = False,
) -> Iterator[Finding]:
    """Compare the Regions.

    Args:
        environment: The environment.
        read: Reads the settings of one Region.
        subject: What the settings belong to, such as "the table".
        fix: What to do about a difference.
        may_be_empty: Whether an environment may have none of them.

    Yields:
        A finding per Region but the first, and one per Region that cannot be read.
    """
    settings_of = yield from read_regions(environment, read)
    if not settings_of:
        return
    (first, expected), *others = settings_of.items()
    for region, settings in others:
        pair = f"{region} and {first}"
        if expected or settings:
            yield passed_unless(
                pair,
                _shortened(differences(first, expected, region, settings)),
                found=f"{len(expected)} settings of {subject} are identical",
                fix=fix,
            )
        else:
            found = f"neither has settings of {subject}"
            yield unknown(pair, found) if may_be_empty else failed(pair, found, fix)


def differences(first: str, expected: Settings, region: str, settings: Settings) -> Iterator[str]:
    """Describe what differs between two Regions.

    A Region's own name in a value is no difference; the same value is none if it names both.

    Args:
        first: One Region.
        expected: Its settings.
        region: The other.
        settings: Its settings.
    """
    for name in [*expected, *(name for name in settings if name not in expected)]:
        one, other = expected.get(name, MISSING), settings.get(name, MISSING)
        if _differ(first, text_of(one), region, text_of(other)):
            yield f"{name}: {_shown(one)} in {first}, {_shown(other)} in {region}"


def _differ(first: str, one: str, region: str, other: str) -> bool:
    if first in one and region in one:
        return one != other
    return one.replace(first, "{region}") != other.replace(region, "{region}")


def text_of(value: object) -> str:
    """A setting's value as it is compared, also if it is never shown.

    Args:
        value: The value.
    """
    shown = value.value if isinstance(value, Hidden) else value
    return json.dumps(shown, sort_keys=True, default=str)


def _shown(value: object) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."


def _shortened(found: Iterator[str]) -> list[str]:
    every = list(found)
    more = [f"and {len(every) - MAX_SHOWN} more"] if len(every) > MAX_SHOWN else []
    return every[:MAX_SHOWN] + more
