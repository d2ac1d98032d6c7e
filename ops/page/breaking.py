"""What the page's buttons do: break a Region, and mend what the page has broken, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ops.edge.control import EdgeControl
from ops.edge.faults import DEFAULT_STATUS, Fault

FAULTS: Mapping[str, str] = MappingProxyType(
    {"refuse": "refuse", "black-hole": "black_hole", "error": "error"}
)
"""`{name, as the drill has it: kind, as the edges have it}`."""

_WORDS = {
    "refuse": "refuses connections",
    "black_hole": "swallows connections",
    "error": "answers with status {status}",
    "slow": "answers late",
}


def in_words(fault: Fault) -> str:
    """What a Region does that has a fault.

    Args:
        fault: The fault.
    """
    return _WORDS[fault.kind].format(status=fault.status or DEFAULT_STATUS)


@dataclass
class Breaker:
    """Knows what it has broken, so that it mends no fault of a drill.

    Attributes:
        injected: `{id of a fault: Region}`.
    """

    injected: dict[str, str] = field(default_factory=dict)

    def break_region(self, edge: EdgeControl, region: str, name: str) -> None:
        """Breaks a Region.

        Args:
            edge: The edges.
            region: The Region.
            name: One of `FAULTS`.

        Raises:
            OpsError: It cannot be broken, or the edges do not answer.
        """
        self.injected[edge.inject(Fault(region, FAULTS[name]))] = region

    def mend(self, edge: EdgeControl, region: str | None = None) -> None:
        """Mends what it has broken, however often.

        Args:
            edge: The edges.
            region: The Region; None mends every one.

        Raises:
            OpsError: Something cannot be mended, or the edges do not answer.
        """
        for id, broken in list(self.injected.items()):
            if region in (None, broken):
                # Whether it was there still or had been mended by someone else.
                edge.mend(id)
                self.injected.pop(id, None)
