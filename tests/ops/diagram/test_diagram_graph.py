"""The layout of the diagram, which is the same everywhere."""

import re
from collections import Counter

import pytest
from repository_files import REPOSITORY

from ops.diagram.graph import ICON_FOLDER, source_of
from ops.diagram.image import source_in
from ops.diagram.layout import layout_of
from ops.diagram.model import Flow, Kind
from ops.diagram.reading import read

pytestmark = pytest.mark.unit

DIAGRAM = REPOSITORY / "docs" / "architecture.png"


def test_every_node_has_one_position(model):
    layout = layout_of(model)

    assert Counter(n for column in layout.columns for n in column) == Counter(model.nodes)


def test_requests_go_from_left_to_right(model):
    layout = layout_of(model)

    for edge in model.edges:
        if edge.flow is Flow.REQUEST:
            assert layout.position(edge.tail)[0] < layout.position(edge.head)[0]


def test_regions_are_below_each_other_in_their_order(model):
    order = {region.name: i for i, region in enumerate(model.regions)}

    for column in layout_of(model).columns:
        rows = [order[node.region] for node in column if node.region]
        assert rows == sorted(rows)


def test_the_middle_of_the_diagram_is_reserved_for_health_checks(stacks):
    (tables,) = [c for c in layout_of(read(stacks["hardened"])).columns if c[0].region and
                 any(n.kind is Kind.TABLE for n in c)]  # fmt: skip
    kinds = [node.kind for node in tables if node.kind is not Kind.ALARMS]

    assert kinds == [Kind.KEY, Kind.TABLE, Kind.TABLE, Kind.KEY]


def test_every_node_and_edge_is_drawn(model):
    source = source_of(model)

    assert source.count("<TABLE") == len(model.nodes)
    assert len(re.findall("->.*color=", source)) == len(model.edges) + len(
        layout_of(model).passages
    )
    for node in model.nodes:
        assert all(f">{line}<" in source for line in node.lines)


def test_regions_are_boxes_named_with_their_roles(stacks):
    assert re.findall('label="?([^" ]+ ?[^"]*?)"? labeljust', source_of(read(stacks["local"]))) == [
        "Route 53", "us-east-1 (primary)", "us-west-2 (secondary)",
    ]  # fmt: skip


def test_health_checks_are_dashed_and_replication_has_two_arrows(example):
    lines = source_of(example).splitlines()

    assert sum("style=dashed" in line for line in lines) == 10
    assert sum("dir=both" in line for line in lines) == 1


def test_every_icon_exists(model):
    icons = set(re.findall('IMG SRC="([^"]+)"', source_of(model)))

    assert icons
    assert [icon for icon in icons if not (ICON_FOLDER / icon).is_file()] == []


def test_the_source_is_the_same_on_every_machine_and_every_day(model):
    source = source_of(model)

    assert source == source_of(model)
    assert str(ICON_FOLDER) not in source
    assert str(REPOSITORY) not in source
    assert not re.search(r"\b20\d\d-\d\d", source)


def test_names_are_escaped(stacks):
    stack = stacks["orders"]
    tables = {"orders": stack["resource"]["aws_dynamodb_table"]["orders"] | {"name": '<a>&"b'}}
    resources = stack["resource"] | {"aws_dynamodb_table": tables}

    assert "<B>&lt;a&gt;&amp;&quot;b</B>" in source_of(read(stack | {"resource": resources}))


def test_the_diagram_in_the_documentation_is_current(example):
    redraw = "python -m ops diagram --environment example --output docs/architecture.png"

    assert source_in(DIAGRAM.read_bytes()) == source_of(example), f"draw it again: {redraw}"
