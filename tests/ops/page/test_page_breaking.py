"""The buttons: what they break, and that nothing else is mended."""

import pytest

from ops.drill.faults import FAULTS as DRILL_FAULTS
from ops.edge.faults import KINDS, Fault
from ops.errors import OpsError
from ops.page.breaking import FAULTS, Breaker, in_words

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


class Edge:
    """The edges, of which one fault is a drill's."""

    def __init__(self):
        self.injected = {"drill": Fault(EAST, "error")}

    def inject(self, fault):
        id = f"f{len(self.injected)}"
        self.injected[id] = fault
        return id

    def mend(self, id):
        return self.injected.pop(id, None) is not None


@pytest.fixture
def edge():
    return Edge()


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_the_page_is_one_of_the_edges_and_the_drill_has_it_too(edge, name):
    Breaker().break_region(edge, WEST, name)

    fault = Fault.from_json(vars(edge.injected["f1"]), regions=[WEST])
    assert fault.kind in KINDS
    assert name in DRILL_FAULTS


def test_every_kind_of_fault_has_words():
    for kind in KINDS:
        assert in_words(Fault(EAST, kind))


def test_mending_a_region_leaves_other_regions_and_drills_alone(edge):
    breaker = Breaker()
    for region, name in ((EAST, "refuse"), (EAST, "error"), (WEST, "refuse")):
        breaker.break_region(edge, region, name)

    breaker.mend(edge, EAST)

    assert edge.injected == {"drill": Fault(EAST, "error"), "f3": Fault(WEST, "refuse")}


def test_mending_everything_leaves_drills_alone(edge):
    breaker = Breaker()
    breaker.break_region(edge, EAST, "refuse")
    breaker.break_region(edge, WEST, "black-hole")

    breaker.mend(edge)

    assert list(edge.injected) == ["drill"]
    assert breaker.injected == {}


def test_what_someone_else_has_mended_is_forgotten(edge):
    breaker = Breaker()
    breaker.break_region(edge, EAST, "refuse")
    edge.injected.clear()

    breaker.mend(edge)

    assert breaker.injected == {}


def test_what_could_not_be_mended_can_be_tried_again(edge, monkeypatch):
    breaker = Breaker()
    breaker.break_region(edge, EAST, "refuse")
    with monkeypatch.context() as broken:

        def refuse(id):
            raise OpsError("no", next_step="wait")

        broken.setattr(edge, "mend", refuse)
        with pytest.raises(OpsError):
            breaker.mend(edge)

    breaker.mend(edge)
    assert list(edge.injected) == ["drill"]
