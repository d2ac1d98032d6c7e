"""Faults that an edge injects: what they are, and which are injected now.

`refuse` and `black_hole` break connections; `error` and `slow` break requests. Chance is drawn from
the fault's own seed, so the same requests in the same order break the same way again.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

KINDS = {
    "refuse": "connections are refused: nothing listens; open ones are reset",
    "black_hole": "connections are accepted, and nothing is ever answered; open ones freeze",
    "error": "requests are answered with an error status",
    "slow": "requests are answered after a delay",
}
STATUSES = (500, 502, 503, 504)
DEFAULT_STATUS = 503
LONGEST_DELAY_SECONDS = 300


class FaultError(ValueError):
    """A fault that cannot be injected; the message says everything that is wrong with it."""


@dataclass(frozen=True)
class Fault:
    """What is broken.

    Attributes:
        region: The Region whose edge is broken.
        kind: One of `KINDS`.
        path: For `error` and `slow`: only requests at or below this path, `/v1/weather` like
            `/v1/weather/x` but not `/v1/weathers`; None breaks all.
        share: Share of the connections (`black_hole`) or requests (`error`, `slow`) that is
            broken, more than 0 and at most 1.
        status: For `error`: one of `STATUSES`; 503 by default.
        delay_seconds: For `slow`, where it is required: how long the answer waits.
        seed: Where the chance begins.
    """

    region: str
    kind: str
    path: str | None = None
    share: float = 1.0
    status: int | None = None
    delay_seconds: float | None = None
    seed: int = 0

    @classmethod
    def from_json(cls, data: Any, *, regions: Collection[str]) -> Fault:
        """Reads and checks a fault.

        Args:
            data: Decoded JSON: an object with the names of the attributes.
            regions: The Regions that can be broken.

        Raises:
            FaultError: It cannot be injected.
        """
        if not isinstance(data, dict):
            raise FaultError(f"expected an object with region and kind, got {data!r}")
        allowed = [field.name for field in fields(cls)]
        problems = [
            f"{key}: unknown; allowed are {', '.join(allowed)}"
            for key in sorted(data.keys() - set(allowed))
        ]
        given = {key: value for key, value in data.items() if key in allowed and value is not None}
        problems += _problems(given, regions)
        if problems:
            raise FaultError("; ".join(problems))
        if given["kind"] == "error":
            given.setdefault("status", DEFAULT_STATUS)
        return cls(**given)

    def covers(self, path: str) -> bool:
        """Tells whether a request to a path, without its query, can be broken.

        Args:
            path: As the request names it, percent-encoding untouched.
        """
        if self.path is None:
            return True
        place = self.path.rstrip("/")
        return path == self.path or path == place or path.startswith(place + "/")


@dataclass(frozen=True)
class InjectedFault:
    """A fault that is injected now.

    Attributes:
        id: By which it is mended.
        since: When it was injected, ISO 8601 in UTC.
        fault: What it is.
    """

    id: str
    since: str
    fault: Fault

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InjectedFault:
        """Reads what `to_json` gave."""
        rest = {key: value for key, value in data.items() if key not in ("id", "since")}
        return cls(data["id"], data["since"], Fault(**rest))

    def to_json(self) -> dict[str, Any]:
        """One flat object: id, since, and the attributes of the fault."""
        return {"id": self.id, "since": self.since, **asdict(self.fault)}


class Faults:
    """What is injected now, in the order it was injected."""

    def __init__(self) -> None:
        self._injected: dict[str, InjectedFault] = {}
        self._chance: dict[str, random.Random] = {}

    def inject(self, fault: Fault) -> InjectedFault:
        """Adds a fault that was checked.

        Args:
            fault: What is broken from now on.
        """
        since = datetime.now(UTC).isoformat(timespec="milliseconds")
        injected = InjectedFault(secrets.token_hex(4), since, fault)
        self.restore(injected)
        return injected

    def restore(self, injected: InjectedFault) -> None:
        """Puts back a fault that could not be mended; its chance begins anew."""
        self._injected[injected.id] = injected
        self._chance[injected.id] = random.Random(injected.fault.seed)

    def remove(self, id: str) -> InjectedFault | None:
        """Takes a fault out; None when there is none of that id."""
        self._chance.pop(id, None)
        return self._injected.pop(id, None)

    def all(self) -> list[InjectedFault]:
        """All that is injected, oldest first."""
        return list(self._injected.values())

    def refuses(self, region: str) -> bool:
        """Tells whether a Region refuses connections."""
        return any(self._of(region, "refuse"))

    def swallows(self, region: str) -> bool:
        """Draws whether one connection of a Region disappears in a black hole."""
        # Every fault draws, so that what one breaks does not depend on another.
        drawn = [self._drawn(each) for each in self._of(region, "black_hole")]
        return any(drawn)

    def of_request(self, region: str, path: str) -> list[InjectedFault]:
        """Draws the faults that one request meets.

        Args:
            region: The Region that was asked.
            path: Without the query.

        Returns:
            The `error` and `slow` faults that befall it, oldest first.
        """
        return [
            each
            for each in self._of(region, "error", "slow")
            if each.fault.covers(path) and self._drawn(each)
        ]

    def _of(self, region: str, *kinds: str) -> list[InjectedFault]:
        return [
            each
            for each in self._injected.values()
            if each.fault.region == region and each.fault.kind in kinds
        ]

    def _drawn(self, injected: InjectedFault) -> bool:
        return self._chance[injected.id].random() < injected.fault.share


def _problems(given: Mapping[str, Any], regions: Collection[str]) -> list[str]:
    found = []

    def expect(key: str, what: str, holds: bool) -> None:
        if not holds:
            found.append(f"{key}: expected {what}, got {given.get(key)!r}")

    kind = given.get("kind")
    expect("region", f"one of {', '.join(regions)}", given.get("region") in list(regions))
    expect("kind", f"one of {', '.join(KINDS)}", kind in list(KINDS))
    share = given.get("share", 1)
    expect("share", "more than 0 and at most 1", _is_number(share) and 0 < share <= 1)
    expect("seed", "a whole number", type(given.get("seed", 0)) is int)
    path = given.get("path", "/")
    expect("path", "a path that begins with /", isinstance(path, str) and path.startswith("/"))
    status = given.get("status", DEFAULT_STATUS)
    one_of = ", ".join(map(str, STATUSES))
    expect("status", f"one of {one_of}", type(status) is int and status in STATUSES)
    delay = given.get("delay_seconds", None if kind == "slow" else 1)
    expect(
        "delay_seconds",
        f"more than 0 and at most {LONGEST_DELAY_SECONDS}",
        _is_number(delay) and 0 < delay <= LONGEST_DELAY_SECONDS,
    )
    if kind in ("refuse", "black_hole") and "path" in given:
        found.append(f"path: {kind} breaks connections, which have no path; leave it out")
    if kind == "refuse" and share != 1:
        found.append("share: refuse breaks every connection; leave it out")
    for key, owner in (("status", "error"), ("delay_seconds", "slow")):
        if kind in KINDS and kind != owner and key in given:
            found.append(f"{key}: only {owner} has it; leave it out")
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
