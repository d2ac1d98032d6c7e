"""Positions of the nodes: requests go from left to right, and Regions are below each other.

What protects or limits a Region's request path is beside it, away from the middle of the diagram,
which is reserved for health checks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ops.diagram.model import Kind, Model, Node

_COLUMNS = (
    (Kind.CUSTOMERS,),
    (Kind.ZONE,),
    (Kind.ALIASES,),
    (Kind.CALCULATED_CHECK, Kind.RECORDS),
    (Kind.HEALTH_CHECK,),
    (Kind.DOMAINS, Kind.CERTIFICATES),
    (Kind.API, Kind.WEB_ACL),
    (Kind.FUNCTIONS, Kind.PLANS),
    (Kind.TABLE, Kind.KEY, Kind.ALARMS),
)
"""Kinds from left to right; within a column, from the middle of the diagram outwards."""


@dataclass(frozen=True)
class Layout:
    """Positions of the nodes.

    Attributes:
        columns: The nodes in columns from left to right, each from top to bottom.
        upper_regions: The Regions above the middle of the diagram.
        passages: Ids of records whose requests pass between the health checks, not around them.
    """

    columns: tuple[tuple[Node, ...], ...]
    upper_regions: frozenset[str]
    passages: tuple[str, ...]

    def position(self, id: str) -> tuple[int, int]:
        """Find the column and row of a node.

        Args:
            id: Its id.
        """
        return next(
            (i, row)
            for i, column in enumerate(self.columns)
            for row, node in enumerate(column)
            if node.id == id
        )


def layout_of(model: Model) -> Layout:
    """Lay out the nodes.

    Args:
        model: What is drawn.
    """
    serving = list(dict.fromkeys(node.region for node in model.nodes if node.kind is Kind.API))
    upper = frozenset(serving[: len(serving) // 2])

    def row(kinds: tuple[Kind, ...], node: Node) -> tuple[int, int, int]:
        outwards, place = kinds.index(node.kind), _row_of_region(model, node)
        return (
            place,
            -outwards if place < len(upper) else outwards,
            # The check of an evacuation belongs to another Region than the one that it asks.
            min((_row_of_region(model, parent) for parent in model.tails(node)), default=0),
        )

    found = (
        sorted((n for n in model.nodes if n.kind in kinds), key=lambda n: row(kinds, n))
        for kinds in _COLUMNS
    )
    columns = tuple(tuple(column) for column in found if column)
    return Layout(columns, upper, tuple(_passages(columns)))


def _row_of_region(model: Model, node: Node) -> int:
    """Row of the Region that a node is in, routes to, or is checked for."""
    if node.kind is Kind.CALCULATED_CHECK:
        return min((_row_of_region(model, parent) for parent in model.tails(node)), default=0)
    names = [node.region] if node.region else [head.region for head in model.heads(node)]
    return min((i for i, r in enumerate(model.regions) if r.name in names), default=0)


def _passages(columns: Sequence[Sequence[Node]]) -> Iterator[str]:
    """Health checks are between records and Regions; only the outer Regions are beside them."""
    for column, following in pairwise(columns):
        if following[0].kind is Kind.HEALTH_CHECK:
            yield from (node.id for node in column[1:-1] if node.kind is Kind.RECORDS)
