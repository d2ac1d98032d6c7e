"""The diagram in Graphviz's language, with the icons of the package `diagrams`.

Graphviz computes the coordinates; it is given the columns, and the order within each. Icons are
referred to by their path in the package, so the text has neither a path of this machine nor a date.
"""

import html
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import diagrams

from ops.diagram.layout import Layout, layout_of
from ops.diagram.model import Edge, Flow, Kind, Model, Node

_ICONS = {
    Kind.CUSTOMERS: "general/users.png",
    Kind.ZONE: "network/route-53.png",
    Kind.ALIASES: "network/route-53-hosted-zone.png",
    Kind.RECORDS: "network/route-53-hosted-zone.png",
    Kind.CALCULATED_CHECK: "management/cloudwatch-alarm.png",
    Kind.HEALTH_CHECK: "management/cloudwatch-alarm.png",
    Kind.CERTIFICATES: "security/certificate-manager.png",
    Kind.DOMAINS: "network/api-gateway-endpoint.png",
    Kind.WEB_ACL: "security/waf.png",
    Kind.API: "network/api-gateway.png",
    Kind.PLANS: "security/identity-and-access-management-iam-long-term-security-credential.png",
    Kind.FUNCTIONS: "compute/lambda.png",
    Kind.TABLE: "database/dynamodb.png",
    Kind.ALARMS: "integration/simple-notification-service-sns-topic.png",
    Kind.KEY: "security/key-management-service.png",
}
_REQUEST_PATH = {
    Kind.CUSTOMERS, Kind.ZONE, Kind.ALIASES, Kind.RECORDS, Kind.DOMAINS, Kind.API, Kind.FUNCTIONS,
    Kind.TABLE,
}  # fmt: skip
_INK, _GRAY, _HEALTH, _REPLICATION = "#232F3E", "#5F6B7A", "#C7131F", "#3B48CC"
_FORWARD, _BOTH, _NONE = (False, True), (True, True), (False, False)
"""Whether there is an arrow at the tail, and at the head."""
_STYLES = {
    Flow.REQUEST: (_FORWARD, {"color": _GRAY, "penwidth": "1.6", "weight": "20"}),
    Flow.HEALTH: (_FORWARD, {"color": _HEALTH, "style": "dashed"}),
    Flow.REPLICATION: (_BOTH, {"color": _REPLICATION, "penwidth": "2"}),
    Flow.USE: (_NONE, {"color": "#AAB7B8"}),
}
_LEGEND = "  &nbsp; ".join(
    f'<FONT COLOR="{color}">{text}</FONT>'
    for color, text in (
        (_GRAY, "&rarr; requests"),
        (_HEALTH, "&#8674; health check"),
        (_REPLICATION, "&harr; replication"),
    )
)
_FONT = "Liberation Sans,Arial,Helvetica,sans-serif"
ICON_FOLDER = Path(diagrams.__file__).parent.parent / "resources" / "aws"
"""The folder of the icons."""


@dataclass(frozen=True)
class _Line:
    """An edge, or a part of one, as Graphviz draws it.

    Attributes:
        tail: Id of the node that it begins at.
        head: Id of the node that it ends at.
        arrows: Whether there is an arrow at the tail, and at the head.
        attributes: All else, in Graphviz's terms.
    """

    tail: str
    head: str
    arrows: tuple[bool, bool]
    attributes: Mapping[str, str]


def source_of(model: Model) -> str:
    """Write the diagram in Graphviz's language.

    Args:
        model: What is drawn.

    Returns:
        The same for the same model, on any machine.
    """
    layout = layout_of(model)
    lines = [line for edge in model.edges for line in _lines(edge, layout)]
    diagram = diagrams.Diagram(
        graph_attr={
            "newrank": "true", "splines": "true", "nodesep": "0.3", "ranksep": "0.5", "pad": "0.3",
            "fontname": _FONT, "fontsize": "15", "fontcolor": _INK,
            "label": f"<{_LEGEND}>", "labelloc": "b", "labeljust": "l",
        },
        node_attr={
            "shape": "plain", "style": "", "fixedsize": "false", "width": "0", "height": "0",
            "fontname": _FONT, "fontsize": "13", "fontcolor": _INK,
        },
    )  # fmt: skip
    diagrams.setdiagram(diagram)
    try:
        icons = _add_nodes(model, layout)
        for line in lines:
            back, forward = line.arrows
            arrow = diagrams.Edge(reverse=back, forward=forward, **line.attributes)
            diagram.connect(icons[line.tail], icons[line.head], arrow)
    finally:
        diagrams.setdiagram(None)
    joined = {(line.tail, line.head) for line in lines}
    for column in layout.columns:
        with diagram.dot.subgraph() as rank:
            rank.attr(rank="same")
            for node in column:
                rank.node(node.id)
        for upper, lower in pairwise(column):
            if (lower.id, upper.id) not in joined:
                diagram.dot.edge(lower.id, upper.id, style="invis")
    return str(diagram.dot.source)


def _add_nodes(model: Model, layout: Layout) -> dict[str, Any]:
    """Add the nodes in their boxes; return them by their ids."""

    def add(region: str, kinds: Collection[Kind] = frozenset(Kind)) -> dict[str, Any]:
        return {
            node.id: diagrams.Node(
                _label(node),
                nodeid=node.id,
                # Graphviz draws the nodes of a group in a straight line.
                group=node.region if node.kind in _REQUEST_PATH else "",
            )
            for column in layout.columns
            for node in column
            if node.region == region and node.kind in kinds
        }

    icons = add("", {Kind.CUSTOMERS})
    with diagrams.Cluster("Route 53", graph_attr=_box("#8C4FFF", "#F5F0FF", "t")):
        icons |= add("", {*Kind} - {Kind.CUSTOMERS})
        for passage in map(_passage, layout.passages):
            point = diagrams.Node(nodeid=passage, shape="point", style="invis", width="0.01")
            icons[passage] = point
    for region in model.regions:
        title = f"{region.name} ({region.role})" if region.role else region.name
        side = "t" if region.name in layout.upper_regions else "b"
        with diagrams.Cluster(title, graph_attr=_box("#00A4A6", "#F2F8FD", side)):
            icons |= add(region.name)
    return icons


def _box(line: str, surface: str, title_position: str) -> dict[str, str]:
    return {
        "style": "rounded,filled", "pencolor": line, "bgcolor": surface, "fillcolor": surface,
        "margin": "12", "fontname": _FONT, "fontsize": "16", "fontcolor": _INK,
        "labelloc": title_position,
    }  # fmt: skip


def _label(node: Node) -> str:
    size = 60 if node.kind in _REQUEST_PATH else 44
    title, *details = map(html.escape, node.lines)
    cells = (
        f'<TD PORT="icon" FIXEDSIZE="TRUE" WIDTH="{size}" HEIGHT="{size}">'
        f'<IMG SRC="{_ICONS[node.kind]}" SCALE="TRUE"/></TD>',
        f"<TD><B>{title}</B></TD>",
        *(f'<TD><FONT COLOR="{_GRAY}" POINT-SIZE="12">{d}</FONT></TD>' for d in details),
    )
    rows = "".join(f"<TR>{cell}</TR>" for cell in cells)
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>>'


def _lines(edge: Edge, layout: Layout) -> Iterator[_Line]:
    (column, row), (head_column, head_row) = layout.position(edge.tail), layout.position(edge.head)
    columns, (arrows, attributes) = head_column - column, _STYLES[edge.flow]
    to_icon = {"headport": "icon", "minlen": str(columns)}
    from_icon = {"tailport": "icon", "minlen": str(columns)}
    if columns == 0:
        # Graphviz lays a column out from bottom to top, and does not keep to it otherwise.
        upwards = row > head_row
        ends = (edge.tail, edge.head) if upwards else (edge.head, edge.tail)
        yield _Line(*ends, arrows if upwards else arrows[::-1], attributes)
    elif edge.flow is Flow.USE:
        yield _Line(edge.tail, edge.head, arrows, attributes | {"constraint": "false"})
    elif edge.flow is Flow.HEALTH and layout.columns[head_column][head_row].region:
        # To a Region, it may come from any side.
        yield _Line(edge.tail, edge.head, arrows, attributes | from_icon)
    elif edge.flow is Flow.REQUEST and edge.tail in layout.passages:
        passage, to_icon["minlen"] = _passage(edge.tail), str(columns - 1)
        yield _Line(edge.tail, passage, _NONE, attributes | {"tailport": "icon"})
        yield _Line(passage, edge.head, arrows, attributes | to_icon)
    else:
        yield _Line(edge.tail, edge.head, arrows, attributes | from_icon | to_icon)


def _passage(id: str) -> str:
    return f"{id} passage"
