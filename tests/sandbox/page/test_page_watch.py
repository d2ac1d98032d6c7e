"""The watch: it finds the sandbox that runs now, and shows when none does."""

import json
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import pytest

from ops.errors import OpsError
from ops.fault_injection import Fault
from ops.http_client import DnsAnswer
from sandbox.page import watch
from sandbox.page.server import KINDS
from sandbox.page.state import Phase
from sandbox.page.watch import Watch

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


class FakeFaults:
    """The fault-injection API of a sandbox in which a drill has injected a fault."""

    def __init__(self):
        self.injected = {"drill": Fault(EAST, "error")}
        self.failure = None

    def faults(self):
        if self.failure:
            raise self.failure
        return ()

    def inject(self, fault):
        id = f"f{len(self.injected)}"
        self.injected[id] = fault
        return id

    def clear(self, id):
        if self.failure:
            raise self.failure
        return self.injected.pop(id, None) is not None


class Network:
    hosts = MappingProxyType(
        {"target.east": ("127.0.1.1", 8443), "target.west": ("127.0.1.2", 8443)}
    )

    def resolve(self, name):
        return DnsAnswer(("127.0.1.1",), 3)


@pytest.fixture
def descriptor(tmp_path):
    file = tmp_path / "local.environment.json"
    file.write_text("1")
    return file


@pytest.fixture
def faults(monkeypatch):
    faults = FakeFaults()
    monkeypatch.setattr(watch, "_faults", lambda environment: faults)
    return faults


@pytest.fixture
def opened(monkeypatch, make_api, faults):
    """What the descriptor said every time it was read."""
    opened = []

    def read(path):
        opened.append(path.read_text())
        return make_api(Network()).descriptor

    monkeypatch.setattr(watch, "read", read)
    monkeypatch.setattr(watch, "wake", lambda environment: None)
    monkeypatch.setattr(watch, "_status", lambda environment: ({}, "no health checks"))
    monkeypatch.setattr(watch, "Customer", lambda *_: SimpleNamespace(run=lambda: None))
    return opened


def test_the_outputs_are_read_once(opened, descriptor):
    watched = Watch(descriptor)

    states = [watched.look(float(now)) for now in range(3)]

    assert len(opened) == 1
    assert [region.name for region in states[-1].regions] == [EAST, WEST]
    assert states[-1].dns.region == EAST
    assert states[-1].phase == Phase.STARTING


def test_a_part_that_does_not_answer_leaves_the_rest(opened, descriptor):
    shown = Watch(descriptor).look(1.0)

    assert shown.problem == "no health checks"
    assert shown.regions[0].checks[0].healthy is None
    assert shown.phase != Phase.DOWN


@pytest.mark.parametrize("fences", [False, True])
def test_fences_are_read_where_there_are_some(monkeypatch, make_api, opened, descriptor, fences):
    asked = []
    fencing = {"fencing": {"after_seconds": 180}} if fences else {}
    monkeypatch.setattr(watch, "read", lambda _: make_api(Network(), **fencing).descriptor)
    monkeypatch.setattr(
        watch.fence, "read_all", lambda environment: asked.append(environment) or {}
    )

    Watch(descriptor).look(1.0)

    assert len(asked) == fences


def test_a_descriptor_that_was_written_again_is_read_again(opened, descriptor):
    watched = Watch(descriptor)
    watched.look(1.0)
    new = descriptor.with_suffix(".new")
    new.write_text("2")
    new.replace(descriptor)

    watched.look(2.0)

    assert opened == ["1", "2"]


def test_a_sandbox_that_does_not_respond_is_down_until_it_does(opened, descriptor, faults):
    watched = Watch(descriptor)
    faults.failure = OpsError("it does not respond", next_step="start it")

    shown = watched.look(1.0)

    assert shown.phase == Phase.DOWN
    assert shown.problem == "it does not respond. Next: start it"
    faults.failure = None
    assert watched.look(2.0).phase != Phase.DOWN


def test_without_a_descriptor_the_sandbox_is_down(opened, descriptor):
    descriptor.unlink()

    shown = Watch(descriptor).look(1.0)

    assert shown.phase == Phase.DOWN
    assert "Next: start it: python -m sandbox up" in shown.problem
    with pytest.raises(OpsError):
        Watch(descriptor).regions()


def test_an_environment_on_aws_is_not_shown(make_api, monkeypatch, descriptor):
    on_aws = replace(make_api(Network()).descriptor, sandbox=None)
    monkeypatch.setattr(watch, "read", lambda path: on_aws)
    monkeypatch.setattr(watch, "wake", lambda environment: None)
    monkeypatch.setattr(watch, "_status", lambda environment: ({}, ""))

    assert "is not a sandbox" in Watch(descriptor).look(1.0).problem


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_of_the_page_is_valid(opened, descriptor, faults, kind):
    Watch(descriptor).inject(WEST, kind)

    assert Fault.from_json(faults.injected["f1"].to_json(), regions=[WEST]).kind == kind


def test_clearing_a_region_leaves_other_regions_and_drills_alone(opened, descriptor, faults):
    watched = Watch(descriptor)
    for region, kind in ((EAST, "refuse"), (EAST, "error"), (WEST, "refuse")):
        watched.inject(region, kind)

    watched.clear(EAST)
    assert faults.injected == {"drill": Fault(EAST, "error"), "f3": Fault(WEST, "refuse")}
    watched.clear()
    assert list(faults.injected) == ["drill"]


def test_a_fault_that_another_program_has_cleared_is_forgotten(opened, descriptor, faults):
    watched = Watch(descriptor)
    watched.inject(EAST, "refuse")
    faults.injected.clear()

    watched.clear()

    faults.failure = OpsError("nothing is left to clear", next_step="")
    watched.clear()


def test_a_fault_that_could_not_be_cleared_can_be_cleared_later(opened, descriptor, faults):
    watched = Watch(descriptor)
    watched.inject(EAST, "refuse")
    faults.failure = OpsError("no", next_step="wait")
    with pytest.raises(OpsError):
        watched.clear()

    faults.failure = None
    watched.clear()

    assert list(faults.injected) == ["drill"]


def test_clearing_nothing_needs_no_sandbox(descriptor):
    descriptor.unlink()

    Watch(descriptor).clear()


def test_an_open_page_gets_states_with_the_log(opened, descriptor, monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.001)
    watched = Watch(descriptor)
    watched.start()

    states = watched.states()
    state = json.loads(next(states))
    later = json.loads(next(states))
    states.close()

    assert state["log"][0]["text"] == "DNS resolves to us-east-1"
    assert later["log"] == state["log"]
    assert later["now"] > state["now"]


def test_an_unexpected_error_is_shown_and_does_not_stop_the_page(opened, descriptor, monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(Network, "resolve", lambda self, name: 1 / 0)
    watched = Watch(descriptor)
    watched.start()

    states = watched.states()
    shown = [json.loads(next(states)) for _ in range(2)]
    states.close()

    assert [state["problem"] for state in shown] == ["ZeroDivisionError: division by zero"] * 2
