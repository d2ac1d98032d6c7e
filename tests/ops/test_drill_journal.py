"""What a dead drill leaves: its journal, and how everything is put right again."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ops import switch
from ops.calls import Network
from ops.drill import restore as restoring
from ops.drill.faults import FAULTS, Choice, plan
from ops.drill.injection import Injection, describe, inject, undo
from ops.drill.journal import (
    Journal,
    TornJournalError,
    begin,
    journal_file,
    read,
    refuse_if_any,
    this_program,
)
from ops.edge.faults import Fault, InjectedFault
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.processes import Program
from ops.switch import SwitchState

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
DEAD = Program(2**22 + 1, 1.0)
EDGE = Injection("edge", EAST, {"kind": "error", "status": 503})


@pytest.fixture
def journal():
    return Journal("local", "2026-01-01T00:00:00+00:00", DEAD, "drill-1", EDGE)


@pytest.fixture
def path(tmp_path):
    return journal_file(tmp_path / "drills", "local")


def test_a_journal_is_read_as_it_was_written(path, journal):
    begin(path, journal)

    assert read(path) == journal
    assert [file.name for file in path.parent.iterdir()] == ["local.journal.json"]


def test_no_journal_is_none(path):
    assert read(path) is None
    refuse_if_any(path, "local")


def test_of_two_drills_that_begin_at_once_one_does(path, journal):
    begin(path, journal)

    with pytest.raises(OpsError, match="has died"):
        begin(path, replace(journal, location_id="drill-2"))
    assert read(path) == journal
    assert [file.name for file in path.parent.iterdir()] == ["local.journal.json"]


def test_a_dead_drill_stops_a_new_one_and_names_the_way_out(path, journal):
    begin(path, journal)

    with pytest.raises(OpsError, match="has died") as caught:
        refuse_if_any(path, "local")
    assert "--restore" in caught.value.next_step
    assert caught.value.exit_code is ExitCode.SURROUNDINGS


def test_a_drill_that_runs_stops_another_one(path, journal):
    begin(path, replace(journal, program=this_program()))

    with pytest.raises(OpsError, match="runs already"):
        refuse_if_any(path, "local")


def test_the_journal_of_another_environment_is_foreign(path, journal):
    begin(path, replace(journal, environment="production"))

    with pytest.raises(OpsError, match="journal of a drill of production"):
        refuse_if_any(path, "local")


def torn_journals():
    whole = json.dumps({
        "version": 1, "environment": "local", "started": "x", "location_id": "drill-1",
        "program": {"pid": 1, "started_at": 1.0},
        "injection": {"kind": "edge", "region": EAST, "detail": {}},
    })  # fmt: skip
    yield from (whole[:length] for length in range(0, len(whole), 17))
    yield from ("[]", "null", '{"version": 2}', '{"version": 1}', "\x00" * 40)
    yield whole.replace('"detail": {}', '"detail": 1')
    yield whole.replace('"pid": 1', '"pid": "x"')


@pytest.mark.parametrize("text", list(torn_journals()))
def test_a_torn_journal_is_no_journal_and_stops_a_drill(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(TornJournalError):
        read(path)
    with pytest.raises(OpsError, match="is no journal") as caught:
        refuse_if_any(path, "local")
    assert "--restore" in caught.value.next_step


class FakeLambda:
    """A session whose only service is Lambda, with one function per Region."""

    def __init__(self):
        self.reserved = {}

    def client(self, service, *, region_name, **_):
        assert service == "lambda"

        def get(**_):
            value = self.reserved.get(region_name)
            return {} if value is None else {"ReservedConcurrentExecutions": value}

        def put(**arguments):
            self.reserved[region_name] = arguments["ReservedConcurrentExecutions"]

        def delete(**_):
            self.reserved.pop(region_name, None)

        return SimpleNamespace(
            get_function_concurrency=get,
            put_function_concurrency=put,
            delete_function_concurrency=delete,
        )


class FakeEdge:
    def __init__(self):
        self.injected = {}

    def inject(self, fault):
        self.injected[str(len(self.injected))] = fault

    def faults(self):
        return tuple(InjectedFault(id, "", fault) for id, fault in self.injected.items())

    def mend(self, id):
        del self.injected[id]

    def mend_all(self):
        found = self.faults()
        self.injected.clear()
        return found


class FakeServices(FakeEdge):
    def __init__(self, _url):
        super().__init__()

    def mend_all(self):
        return ()


class FakeSwitch:
    def __init__(self):
        self.state = SwitchState(WEST, engaged=False)

    def status(self, _environment):
        return self.state

    def engage(self, _environment, *, reason):
        self.state = SwitchState(WEST, engaged=True, engaged_at="now", reason=reason)

    def release(self, _environment):
        self.state = SwitchState(WEST, engaged=False)


@pytest.fixture
def the_switch(monkeypatch):
    fake = FakeSwitch()
    for name in ("status", "engage", "release"):
        monkeypatch.setattr(switch, name, getattr(fake, name))
    return fake


@pytest.fixture
def environment(the_switch, monkeypatch):
    monkeypatch.setattr(restoring, "ServiceFaults", FakeServices)
    monkeypatch.setattr(restoring, "stations", lambda _: [])
    return Environment(
        name="local",
        outputs={
            "regions": [EAST, WEST],
            "health_functions": {EAST: "health-east", WEST: "health-west"},
            "switch": {"region": WEST, "item": {}},
        },
        key_values={},
        session=FakeLambda(),
        network=Network((), "example.com"),
        endpoint_url="http://127.0.0.1:1",
        speed=20,
        edge=FakeEdge(),
    )


@pytest.fixture
def on_aws(environment):
    return replace(environment, name="production", endpoint_url=None, edge=None)


def test_restore_undoes_what_the_journal_says_and_removes_it(environment, path, journal):
    inject(environment, EDGE)
    begin(path, journal)

    restored = restoring.restore(environment, path.parent)

    assert restored.failed == ()
    assert restored.done[0] == "mended the fault error of the edge of us-east-1"
    assert environment.edge.faults() == ()
    assert not path.exists()


def test_restore_finds_what_no_journal_tells(environment, path, the_switch):
    environment.edge.inject(Fault(WEST, "refuse"))
    environment.session.reserved[EAST] = 0
    the_switch.engage(environment, reason="drill: x")

    done = restoring.restore(environment, path.parent).done

    assert [line.partition(",")[0] for line in done] == [
        "released the switch",
        "mended the fault refuse of the edge of us-west-2",
        "removed the reserved concurrency of health-east",
    ]
    assert not the_switch.state.engaged
    assert environment.session.reserved == {}


def test_restore_leaves_a_switch_that_an_operator_has_engaged(environment, path, the_switch):
    the_switch.engage(environment, reason="flood in the data centre")

    [line] = restoring.restore(environment, path.parent).done

    assert the_switch.state.engaged
    assert "left the switch as it is" in line


def test_restore_twice_does_nothing_the_second_time(environment, path, journal):
    inject(environment, EDGE)
    begin(path, journal)
    restoring.restore(environment, path.parent)

    assert restoring.restore(environment, path.parent) == restoring.Restored((), ())


def test_restore_of_a_torn_journal_goes_by_what_can_be_found(environment, path):
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "envir')
    inject(environment, EDGE)

    restored = restoring.restore(environment, path.parent)

    assert environment.edge.faults() == ()
    assert "no journal" in restored.done[0]
    assert not path.exists()


def test_restore_does_not_disturb_a_drill_that_runs(environment, path, journal):
    begin(path, replace(journal, program=this_program()))

    with pytest.raises(OpsError, match="runs, as process"):
        restoring.restore(environment, path.parent)


def test_what_cannot_be_put_right_is_said_and_does_not_keep_the_rest(
    environment, path, journal, monkeypatch
):
    inject(environment, EDGE)
    begin(path, journal)

    def broken(_environment):
        raise OpsError("the Region does not answer", next_step="wait")

    monkeypatch.setattr(restoring, "stations", broken)

    restored = restoring.restore(environment, path.parent)

    assert environment.edge.faults() == ()
    assert "the Region does not answer" in restored.failed[0]
    assert path.exists(), "the journal is kept until all is done"


@pytest.mark.parametrize("previous", [None, 7])
def test_the_health_functions_concurrency_is_as_it_was_before(environment, previous):
    if previous is not None:
        environment.session.reserved[EAST] = previous
    before = dict(environment.session.reserved)
    injection = plan(environment, "health-concurrency", Choice())

    inject(environment, injection)
    assert environment.session.reserved[EAST] == 0
    undo(environment, injection)
    undo(environment, injection)

    assert environment.session.reserved == before


def test_the_switch_is_engaged_in_the_name_of_the_drill(environment, the_switch):
    injection = plan(environment, "switch", Choice())

    inject(environment, injection)
    assert the_switch.state.reason.startswith("drill")
    undo(environment, injection)

    assert not the_switch.state.engaged


def test_an_edge_fault_is_mended_and_no_other_one(environment):
    other = Fault(EAST, "slow", delay_seconds=1.0)
    environment.edge.inject(other)
    injection = plan(environment, "error", Choice(status=500))

    inject(environment, injection)
    undo(environment, injection)

    assert [each.fault for each in environment.edge.faults()] == [other]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_breaks_the_primary_and_says_what_it_will_do(environment, name):
    injection = plan(environment, name, Choice())

    assert injection.region == EAST
    assert EAST in describe(injection)
    assert json.loads(json.dumps(injection.detail)) == injection.detail


@pytest.mark.parametrize("name", FAULTS)
def test_on_aws_only_what_needs_no_local_aws_can_be_broken(on_aws, name):
    if name in ("switch", "health-concurrency"):
        assert plan(on_aws, name, Choice()).region == EAST
        return
    with pytest.raises(OpsError, match="only the local AWS") as caught:
        plan(on_aws, name, Choice())
    assert "switch, health-concurrency" in caught.value.next_step
    assert caught.value.exit_code is ExitCode.USAGE


def test_an_option_of_another_fault_is_refused(environment):
    with pytest.raises(OpsError, match="--fault refuse has no --delay-seconds"):
        plan(environment, "refuse", Choice(delay_seconds=3))


def test_slow_and_grey_take_their_own_values(environment):
    assert plan(environment, "slow", Choice(delay_seconds=100)).detail["delay_seconds"] == 5
    assert plan(environment, "grey", Choice(share=0.95)).detail["share"] == 0.95
