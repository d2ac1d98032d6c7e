"""What a drill with a fence shows: writes that the isolated Region took, and those it refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ops.drill.consistency import after_cut_over
from ops.drill.history import History, Operation

FENCED: Literal["fenced"] = "fenced"
"""The step of a drill at which the fence was put up."""
SEEN_AFTER_SECONDS = 2.0
"""Functions read the fence once a second, and a request may be on its way."""
REFUSALS = 3
"""So many refused writes are waited for."""
REFUSED_STATUS = 503


@dataclass(frozen=True)
class Fenced:
    """What became of writes to Regions that were fenced.

    Attributes:
        regions: The Regions.
        states: What their own replicas say, a sentence each.
        after_cut_over: Writes that they acknowledged while another Region served.
        acknowledged: Those of them that were sent after the fence was up.
        refused: Writes that they refused with 503.
    """

    regions: tuple[str, ...]
    states: tuple[str, ...] = ()
    after_cut_over: int = 0
    acknowledged: int = 0
    refused: int = 0

    @property
    def problems(self) -> list[str]:
        """Why it does not fence, in words; empty if it does."""
        where = " and ".join(self.regions)
        found = []
        if self.acknowledged:
            found.append(
                f"{self.acknowledged} writes were acknowledged in {where} more than "
                f"{SEEN_AFTER_SECONDS:g} s after it was fenced"
            )
        if not self.refused:
            found.append(f"no write was refused in {where}, which was fenced")
        return found

    def in_words(self) -> list[str]:
        """What was seen, a sentence each."""
        return [
            *(f"Fence: {state}." for state in self.states),
            f"After the cut-over, {' and '.join(self.regions)} acknowledged "
            f"{self.after_cut_over} writes and refused {self.refused}.",
        ]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "regions": list(self.regions),
            "states": list(self.states),
            "after_cut_over": self.after_cut_over,
            "acknowledged": self.acknowledged,
            "refused": self.refused,
        }


def fenced(history: History, regions: Sequence[str], states: Sequence[str]) -> Fenced:
    """Count what became of writes to Regions that were fenced.

    Args:
        history: The history, so far or whole.
        regions: The Regions.
        states: What their own replicas say, a sentence each.
    """
    at, end = history.when(FENCED), history.when("restoring")
    since = [
        each
        for each in history.operations
        if at is not None
        and each.sent_at >= at
        and (end is None or each.sent_at < end)
        and each.region in regions
    ]
    return Fenced(
        tuple(regions),
        tuple(states),
        after_cut_over(history),
        sum(each.ok and each.sent_at >= (at or 0.0) + SEEN_AFTER_SECONDS for each in since),
        sum(map(is_refused, since)),
    )


def is_refused(operation: Operation) -> bool:
    """Whether a Region has refused a write as a fence does.

    Args:
        operation: The write.
    """
    return operation.status == REFUSED_STATUS
