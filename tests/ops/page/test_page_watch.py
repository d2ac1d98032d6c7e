"""The watch: it finds the stand that runs now, and says so when none does."""

import json
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import pytest

from ops.calls import DnsAnswer
from ops.errors import OpsError
from ops.page import watch
from ops.page.state import Phase
from ops.page.watch import Watch
from ops.stand import Ports, Stand

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


class Program:
    alive = True

    def process(self):
        return self.alive


class Workspace:
    def __init__(self):
        self.stand = Stand(
            Ports(), 20.0, {"aws": Program(), "edge": Program(), "route53": Program()}
        )

    def noted(self):
        return self.stand


class Edge:
    def __init__(self):
        self.injected = {}

    def faults(self):
        return ()

    def inject(self, fault):
        self.injected["f"] = fault
        return "f"

    def mend(self, id):
        return bool(self.injected.pop(id, None))


class Network:
    hosts = MappingProxyType(
        {"target.east": ("127.0.1.1", 8443), "target.west": ("127.0.1.2", 8443)}
    )

    def resolve(self, name):
        return DnsAnswer(("127.0.1.1",), 3)


@pytest.fixture
def workspace():
    return Workspace()


@pytest.fixture
def edge(monkeypatch):
    edge = Edge()
    monkeypatch.setattr(watch, "_edge", lambda api: edge)
    return edge


@pytest.fixture
def opened(monkeypatch, make_api, workspace, edge):
    """Every time that the stack's outputs were read."""
    opened = []

    def status(workspace):
        if not all(program.process() for program in workspace.stand.programs.values()):
            raise OpsError("the local API does not run", next_step="start it")
        opened.append(workspace.stand)
        return make_api(Network())

    monkeypatch.setattr(watch.local, "status", status)
    monkeypatch.setattr(watch, "wake", lambda api: None)
    monkeypatch.setattr(watch, "_health", lambda api: ({}, "no health checks"))
    monkeypatch.setattr(watch, "Customer", lambda *_: SimpleNamespace(run=lambda: None))
    return opened


def test_the_outputs_are_read_once(opened, workspace):
    watched = Watch(workspace)

    states = [watched.look(float(now)) for now in range(3)]

    assert len(opened) == 1
    assert [region.name for region in states[-1].regions] == [EAST, WEST]
    assert states[-1].dns.region == EAST
    assert states[-1].phase == Phase.STARTING


def test_a_part_that_does_not_answer_leaves_the_rest(opened, workspace):
    shown = Watch(workspace).look(1.0)

    assert shown.problem == "no health checks"
    assert shown.regions[0].checks[0].healthy is None
    assert shown.phase != Phase.GONE


def test_a_stand_that_was_started_anew_is_found(opened, workspace):
    watched = Watch(workspace)
    watched.look(1.0)
    workspace.stand = replace(workspace.stand, ports=Ports(edge=9443))

    watched.look(2.0)

    assert [stand.ports.edge for stand in opened] == [8443, 9443]


def test_programs_that_serve_nobody_are_no_reason_to_read_again(opened, workspace):
    watched = Watch(workspace)
    watched.look(1.0)
    workspace.stand = workspace.stand.with_program("page", Program())

    watched.look(2.0)

    assert len(opened) == 1


def test_a_stand_that_dies_is_gone_until_it_is_back(opened, workspace):
    watched = Watch(workspace)
    watched.look(1.0)
    workspace.stand.programs["edge"].alive = False

    shown = watched.look(2.0)

    assert shown.phase == Phase.GONE
    assert shown.problem == "the local API does not run. Next: start it"
    with pytest.raises(OpsError):
        watched.regions()
    workspace.stand.programs["edge"].alive = True
    assert watched.look(3.0).phase != Phase.GONE


def test_a_folder_without_a_stand_is_gone(workspace, monkeypatch):
    workspace.stand = None

    def status(workspace):
        raise OpsError("the local API does not run", next_step="start it")

    monkeypatch.setattr(watch.local, "status", status)

    assert Watch(workspace).look(1.0).phase == Phase.GONE


def test_breaking_and_mending_reach_the_edges(opened, workspace, edge):
    watched = Watch(workspace)

    watched.break_region(WEST, "error")
    assert edge.injected["f"].region == WEST
    watched.mend(EAST)
    assert edge.injected
    watched.mend(WEST)
    assert not edge.injected


def test_mending_nothing_needs_no_stand(workspace):
    workspace.stand = None

    Watch(workspace).mend()


def test_who_looks_gets_states_with_the_log(opened, workspace, monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.001)
    watched = Watch(workspace)
    watched.start()

    moments = watched.moments()
    state = json.loads(next(moments))
    later = json.loads(next(moments))
    moments.close()

    assert state["log"][0]["text"] == "DNS answers us-east-1 now"
    assert later["log"] == state["log"]
    assert later["now"] > state["now"]


def test_an_error_that_nobody_expects_is_shown_and_does_not_stop_the_page(
    opened, workspace, monkeypatch
):
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(Network, "resolve", lambda self, name: 1 / 0)
    watched = Watch(workspace)
    watched.start()

    moments = watched.moments()
    states = [json.loads(next(moments)) for _ in range(2)]
    moments.close()

    assert [state["problem"] for state in states] == ["ZeroDivisionError: division by zero"] * 2
