"""The faults that are injected now, and which of them a connection or request meets.

Chance is drawn from each fault's own seed, so the same requests in the same order fail the same way
again.
"""

from __future__ import annotations

import random

from ops.fault_injection import InjectedFault


class Faults:
    """The injected faults, oldest first."""

    def __init__(self) -> None:
        self._injected: dict[str, InjectedFault] = {}
        self._chance: dict[str, random.Random] = {}

    def add(self, injected: InjectedFault) -> None:
        """Add a fault; its random numbers start again."""
        self._injected[injected.id] = injected
        self._chance[injected.id] = random.Random(injected.fault.seed)

    def remove(self, id: str) -> None:
        """Remove a fault, if there is one of that id."""
        self._chance.pop(id, None)
        self._injected.pop(id, None)

    def get(self, id: str) -> InjectedFault | None:
        """Give the fault with an id, None without one."""
        return self._injected.get(id)

    def all(self) -> list[InjectedFault]:
        """Give all of them, oldest first."""
        return list(self._injected.values())

    def refuses(self, region: str) -> bool:
        """Check whether a Region refuses connections."""
        return any(self._of(region, "refuse"))

    def swallows(self, region: str) -> bool:
        """Draw whether one connection of a Region disappears in a black hole."""
        # Every fault draws, so that the outcome of one does not depend on another.
        drawn = [self._drawn(each) for each in self._of(region, "black_hole")]
        return any(drawn)

    def isolates(self, region: str) -> bool:
        """Check whether a Region responds only to clients within it."""
        return any(self._of(region, "isolated"))

    def of_request(self, region: str, path: str) -> list[InjectedFault]:
        """Draw the faults that one request meets.

        Args:
            region: The Region that was called.
            path: Without the query.

        Returns:
            Its `error` and `slow` faults, oldest first.
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
