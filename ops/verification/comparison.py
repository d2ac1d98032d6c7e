"""How Regions are compared: each one's settings with those of the first that can be read."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ops.environment import Environment
from ops.verification.finding import Finding, guarded, judged, unknown

Settings = Mapping[str, object]
"""`{setting: value}`."""
MOST_SHOWN = 4
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
    alike: str,
    fix: str,
) -> Iterator[Finding]:
    """Compares the Regions.

    Args:
        environment: The environment.
        read: Reads the settings of one Region.
        alike: What is found if two are alike, with the number of settings as `{count}`.
        fix: What to do about a difference.

    Yields:
        A finding per Region but the first, and one per Region that cannot be read.
    """
    readings: dict[str, Settings] = {}

    def keep(region: str) -> Iterator[Finding]:
        readings[region] = {
            name: neutral(value, region) for name, value in read(environment, region).items()
        }
        return iter(())

    for region in environment.regions:
        yield from guarded(region, partial(keep, region))
    if not readings:
        return
    (first, expected), *others = readings.items()
    for region, settings in others:
        if not expected and not settings:
            yield unknown(f"{region} and {first}", "neither has anything to compare")
            continue
        yield judged(
            f"{region} and {first}",
            _shortened(differences(first, expected, region, settings)),
            otherwise=alike.format(count=len(expected)),
            fix=fix,
        )


def differences(first: str, expected: Settings, region: str, settings: Settings) -> Iterator[str]:
    """What differs between two Regions, in words.

    Args:
        first: One Region.
        expected: Its settings.
        region: The other.
        settings: Its settings.
    """
    for name in [*expected, *(name for name in settings if name not in expected)]:
        one, other = expected.get(name, MISSING), settings.get(name, MISSING)
        if one != other:
            yield f"{name}: {_shown(one)} in {first}, {_shown(other)} in {region}"


def neutral(value: object, region: str) -> object:
    """A value without the Region's own name, which is the one thing that must differ.

    Args:
        value: A value of JSON's kinds, or a hidden one.
        region: The Region.
    """
    if isinstance(value, Hidden):
        return Hidden(neutral(value.value, region))
    return json.loads(json.dumps(value, sort_keys=True, default=str).replace(region, "{region}"))


def _shown(value: object) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."


def _shortened(found: Iterator[str]) -> list[str]:
    every = list(found)
    more = [f"and {len(every) - MOST_SHOWN} more"] if len(every) > MOST_SHOWN else []
    return every[:MOST_SHOWN] + more
