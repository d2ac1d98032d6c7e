"""The journal of a drill, and what restores everything after one that was killed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fake_drill import EAST, WEST, FakeLocks, FakeSwitch, sandbox_environment

from ops import lock as locking
from ops.drill import journal as journaling
from ops.drill import restore as restoring
from ops.drill import steps
from ops.drill.aws_faults import HealthConcurrencyFault, SwitchFault
from ops.drill.journal import (
    InvalidJournalError,
    Journal,
    begin,
    read,
    refuse_if_any,
    this_program,
)
from ops.drill.sandbox_faults import ErrorFault, RegionLossFault
from ops.errors import ExitCode, OpsError
from ops.fault_injection import Fault
from ops.processes import Program
from ops.verify import leftovers
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

DEAD = Program(2**22 + 1, 1.0)
ERROR = ErrorFault(id="drill-1", region=EAST)


class Location:
    """A location of a drill; `left` observations are there, and each read of a dead one fails."""

    def __init__(self, location_id="drill-00000001", left=0, error=None):
        self.location_id, self.left, self.error = location_id, left, error

    environment = SimpleNamespace(regions=(EAST, WEST))

    def written(self, _region, *, retry_seconds):
        return {str(number) for number in range(self.left)}

    def empty(self, _region):
        if self.error:
            raise self.error
        count, self.left = self.left, 0
        return count


@pytest.fixture
def the_switch(monkeypatch):
    return FakeSwitch.instead(monkeypatch)


@pytest.fixture
def locks(monkeypatch):
    fake = FakeLocks()
    monkeypatch.setattr(locking, "read", fake.read)
    return fake


@pytest.fixture
def locations(monkeypatch):
    """Every location of the API that looks like a drill's."""
    found = [Location()]

    def named(_environment, location_id):
        return next(each for each in found if each.location_id == location_id)

    monkeypatch.setattr(restoring, "ProbeLocation", named)
    monkeypatch.setattr(leftovers, "probe_locations", lambda *_, **__: found)
    return found


def restore(environment, locks, **options):
    planned = restoring.plan(environment, **options)
    lock = locks.held("restore-1", environment)
    try:
        return restoring.restore(environment, lock, planned)
    finally:
        locks.state = replace(locks.state, run="")


@pytest.fixture
def environment(the_switch, locks, locations, monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "RETRY_SECONDS", 0)
    monkeypatch.setattr(steps, "POLL_SECONDS", 0)
    environment = sandbox_environment(tmp_path)
    monkeypatch.setattr(restoring, "current_speed", lambda _: environment.speed)
    return environment


@pytest.fixture
def journal():
    started = "2026-01-01T00:00:00+00:00"
    return Journal("local", started, "laptop-7", DEAD, "drill-00000001", ERROR)


@pytest.fixture
def path(environment):
    return environment.journal_file


def test_a_journal_is_read_as_it_was_written(environment, path, journal):
    begin(path, journal, environment)

    assert read(path) == journal
    assert [file.name for file in path.parent.iterdir()] == ["local.journal.json"]


@pytest.fixture
def of_both(environment, journal):
    """The journal of a drill that lost both Regions and was killed."""
    second = ErrorFault(id=f"drill-1-{WEST}", region=WEST)
    for fault in (ERROR, second):
        fault.inject(environment)
    return replace(journal, further=(second,))


def test_faults_of_further_regions_are_in_the_journal(environment, path, of_both):
    begin(path, of_both, environment)

    assert read(path) == of_both


def test_a_restore_clears_the_faults_of_all_regions(environment, path, of_both):
    begin(path, of_both, environment)
    planned = restoring.plan(environment)

    assert [step.what for step in planned.steps[:2]] == [
        f"clear the fault error in {fault.region} (run {fault.id})" for fault in of_both.faults
    ]
    assert planned.others == ()
    for step in planned.steps[:2]:
        step.do()
    assert environment.fault_injection.faults() == ()


def test_verify_takes_the_faults_of_all_regions_for_the_drills(environment, path, of_both):
    begin(path, of_both, environment)

    found = [*leftovers.faults.run(environment)]

    assert len(found) == 2
    assert all("drill" in each.fix and "--restore" in each.fix for each in found)


def test_no_journal_is_none(environment, path):
    assert read(path) is None
    refuse_if_any(path, environment)


def test_of_two_drills_that_begin_at_once_one_does(environment, path, journal):
    begin(path, journal, environment)

    with pytest.raises(OpsError, match="has ended without restoring"):
        begin(path, replace(journal, location_id="drill-2"), environment)
    assert read(path) == journal
    assert [file.name for file in path.parent.iterdir()] == ["local.journal.json"]


def test_a_folder_that_cannot_be_written_stops_a_drill(environment, path, journal):
    path.parent.write_text("not a folder")

    with pytest.raises(OpsError, match="cannot be written"):
        begin(path, journal, environment)


def test_a_killed_drill_stops_a_new_one_and_names_the_way_out(environment, path, journal):
    begin(path, journal, environment)

    with pytest.raises(OpsError, match="has ended without restoring") as caught:
        refuse_if_any(path, environment)
    assert "python -m ops drill --environment local --restore" in caught.value.next_step
    assert caught.value.exit_code is ExitCode.PREREQUISITE


def test_a_drill_that_runs_stops_another_one(environment, path, journal):
    begin(path, replace(journal, program=this_program()), environment)

    with pytest.raises(OpsError, match="runs already"):
        refuse_if_any(path, environment)


def test_the_journal_of_another_environment_is_foreign(environment, path, journal):
    begin(path, replace(journal, environment="production"), environment)

    with pytest.raises(OpsError, match="journal of a drill of production"):
        refuse_if_any(path, environment)


def invalid_journals():
    whole = json.dumps({
        "version": 3, "environment": "local", "started": "x", "location_id": "drill-1", "host": "h",
        "program": {"pid": 1, "started_at": 1.0}, "fault": ERROR.to_json(),
    })  # fmt: skip
    yield from (whole[:length] for length in range(0, len(whole), 17))
    yield from ("[]", "null", '{"version": 1}', '{"version": 3}', "\x00" * 40)
    yield whole.replace('"status": 503', '"stature": 503')
    yield whole.replace('"name": "error"', '"name": "flood"')
    yield whole.replace('"pid": 1', '"pid": "x"')


@pytest.mark.parametrize("text", list(invalid_journals()))
def test_an_invalid_journal_stops_a_drill_and_is_moved_aside_by_a_restore(
    environment, locks, path, text
):
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(InvalidJournalError):
        read(path)
    with pytest.raises(OpsError, match="is not a drill's journal") as caught:
        refuse_if_any(path, environment)
    assert "--restore" in caught.value.next_step
    assert restore(environment, locks).failed == []
    assert [file.read_text() for file in path.parent.iterdir()] == [text]
    assert not path.exists()


def test_a_journal_replaces_the_first_one_of_its_drill(environment, path, journal):
    begin(path, journal, environment)
    fault = HealthConcurrencyFault(
        id="drill-1", region=EAST, function="get_health", previous=7, is_prepared=True
    )

    journaling.replace(path, replace(journal, fault=fault))

    assert read(path).fault == fault
    assert [file.name for file in path.parent.iterdir()] == ["local.journal.json"]


def test_a_journal_is_removed_by_its_own_drill_alone(environment, path, journal):
    begin(path, journal, environment)

    journaling.remove(path, "drill-2")
    assert read(path) == journal
    journaling.remove(path, "drill-1")
    assert not path.exists()


def test_restore_clears_what_the_journal_names_and_removes_it(environment, locks, path, journal):
    ERROR.inject(environment)
    begin(path, journal, environment)

    restored = restore(environment, locks)

    assert restored.failed == []
    assert restored.done[0] == "cleared the fault error in us-east-1"
    assert environment.fault_injection.faults() == ()
    assert not path.exists()


def test_a_plan_changes_nothing_and_names_what_is_there(environment, locations, path, journal):
    ERROR.inject(environment)
    locations[0].left = 3
    begin(path, journal, environment)

    planned = restoring.plan(environment)

    assert [step.what for step in planned.steps][:-1] == [
        "clear the fault error in us-east-1 (run drill-1)",
        "delete the drill's observations of drill-00000001 in us-east-1: 3",
        "delete the drill's observations of drill-00000001 in us-west-2: 3",
    ]
    assert planned.holder == ""
    assert environment.fault_injection.faults()
    assert locations[0].left == 3
    assert path.exists()


def test_a_plan_names_a_drill_on_another_machine_that_may_still_run(
    environment, locks, path, journal
):
    locks.state = replace(locks.state, run="drill-1", user="alice", note=journal.to_text())
    assert "by alice" in restoring.plan(environment).holder

    begin(path, journal, environment)
    assert restoring.plan(environment).holder == "", "here it is known to have ended"


def test_what_another_machine_left_is_restored_by_the_note_of_the_lock(
    environment, locks, locations, journal
):
    ERROR.inject(environment)
    locations[0].left = 2
    locks.state = replace(locks.state, note=journal.to_text())

    restored = restore(environment, locks)

    assert restored.done == [
        "cleared the fault error in us-east-1",
        "deleted 2 observations of drill-00000001 in us-east-1",
    ]
    assert locks.state.note == ""
    assert restoring.plan(environment).is_needed is False


def test_restore_touches_nothing_that_no_journal_names(environment, locks, locations, the_switch):
    environment.fault_injection.inject(Fault(WEST, "refuse"), id="x")
    environment.session.reserved[EAST] = 0
    locations.append(Location("drill-0000cafe", left=3))
    the_switch.evacuate(environment, EAST, reason="fire")

    planned = restoring.plan(environment)

    assert planned.others == (
        f"{EAST} is {the_switch.state}",
        "the fault refuse is injected in us-west-2",
        "the reserved concurrency of get_health in us-east-1 is 0",
    )
    assert restore(environment, locks).done == []
    assert environment.session.reserved == {EAST: 0}
    assert environment.fault_injection.faults()
    assert locations[1].left == 3
    assert the_switch.state.evacuated


@pytest.mark.parametrize("previous", [None, 7])
def test_restore_sets_the_concurrency_that_the_journal_names(
    environment, locks, path, journal, previous
):
    fault = HealthConcurrencyFault(id="drill-1", region=EAST, function="get_health")
    if previous:
        environment.session.reserved[EAST] = previous
    before = dict(environment.session.reserved)
    fault = fault.prepared(environment)
    fault.inject(environment)
    begin(path, replace(journal, fault=fault), environment)

    restore(environment, locks)

    assert environment.session.reserved == before


def test_observations_of_a_location_that_no_journal_names_are_deleted_when_it_is_given(
    environment, locks, locations
):
    locations.append(Location("drill-0000cafe", left=3))
    locations[0].left = 2

    restored = restore(environment, locks, location_id="drill-0000cafe")

    assert restored.done == ["deleted 3 observations of drill-0000cafe in us-east-1"]
    assert locations[0].left == 2


@pytest.mark.parametrize("reason", ["", "drill", "drill: x", "failover drill drill-1"])
def test_restore_never_restores_a_region_by_its_reason(environment, locks, the_switch, reason):
    the_switch.evacuate(environment, EAST, reason=reason)

    assert restore(environment, locks).done == []

    assert the_switch.state.evacuated


@pytest.mark.parametrize(("writer", "stays"), [("drill-1", False), ("drill-2", True)])
def test_restore_restores_the_region_of_the_journals_drill_alone(
    environment, locks, the_switch, path, journal, writer, stays
):
    the_switch.evacuate(environment, EAST, writer=writer)
    fault = SwitchFault(id="drill-1", region=EAST)
    begin(path, replace(journal, fault=fault), environment)

    assert restore(environment, locks).failed == []

    assert the_switch.state.evacuated is stays
    assert not path.exists()


def test_restore_does_not_disturb_a_drill_that_runs(environment, path, journal):
    begin(path, replace(journal, program=this_program()), environment)

    with pytest.raises(OpsError, match="runs already, as process"):
        restoring.plan(environment)


def test_a_drill_that_ended_after_the_plan_was_made_is_not_forgotten(
    environment, locks, path, journal
):
    begin(path, journal, environment)
    planned = restoring.plan(environment)
    other = replace(journal, fault=replace(ERROR, id="drill-2"))
    locks.state = replace(locks.state, note=other.to_text())

    with pytest.raises(OpsError, match="since this was planned"):
        restoring.restore(environment, locks.held("restore-1", environment), planned)
    assert Journal.from_text(locks.state.note) == other


def test_what_cannot_be_restored_is_reported_and_does_not_keep_the_rest(
    environment, locks, path, journal, locations
):
    ERROR.inject(environment)
    begin(path, journal, environment)
    locks.state = replace(locks.state, note=journal.to_text())
    locations[0].left = 1
    locations[0].error = OpsError("the Region does not respond", next_step="wait")

    restored = restore(environment, locks)

    assert environment.fault_injection.faults() == ()
    assert "the Region does not respond" in restored.failed[0]
    assert path.exists(), "the journal is kept until everything is done"
    assert locks.state.note


def test_what_cannot_be_cleared_is_reported_with_the_line_that_clears_it_by_hand(
    environment, locks, path, journal
):
    ERROR.inject(environment)
    begin(path, journal, environment)
    environment.fault_injection.failures = [RuntimeError("unheard of")] * 100

    restored = restore(environment, locks)

    assert "RuntimeError: unheard of" in restored.failed[0]
    assert restored.by_hand == ["curl -X DELETE http://127.0.0.1:1/faults/drill-1"]


def findings(environment):
    checks = (leftovers.drill, leftovers.lock)
    return {f.subject: (f.outcome, f.found) for c in checks for f in c.run(environment)}


def test_verify_finds_a_drill_that_was_killed_before_it_injected(
    environment, path, journal, locks, locations
):
    assert {outcome for outcome, _ in findings(environment).values()} == {Outcome.PASSED}
    begin(path, journal, environment)
    locks.state = replace(locks.state, note=journal.to_text())
    locations[0].left = 2

    found = findings(environment)

    assert found["journal"][0] is found["observations"][0] is found["lock"][0] is Outcome.FAILED
    assert "begun 2026-01-01" in found["journal"][1]
    assert "2 observations of drill-00000001" in found["observations"][1]
    restore(environment, locks)
    assert {outcome for outcome, _ in findings(environment).values()} == {Outcome.PASSED}


def test_a_drill_that_runs_is_no_leftover(environment, path, journal, locations):
    begin(path, replace(journal, program=this_program()), environment)
    locations[0].left = 2

    assert findings(environment)["journal"][0] is Outcome.UNKNOWN
    assert "observations" not in findings(environment)


def test_verify_names_who_changes_the_environment_now(environment, locks):
    expiry = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    locks.state = replace(locks.state, run="drill-9", user="alice", expires_at=expiry)

    outcome, found = findings(environment)["drill-9"]

    assert outcome is Outcome.UNKNOWN
    assert "by alice" in found


def test_verify_finds_what_a_drill_on_another_machine_left_when_it_died(
    environment, locks, journal
):
    locks.state = replace(
        locks.state, run="drill-1", expires_at="2026-01-01T00:00:00+00:00", note=journal.to_text()
    )

    outcome, found = findings(environment)["lock"]

    assert outcome is Outcome.FAILED
    assert "the drill drill-1, begun 2026-01-01T00:00:00+00:00 on laptop-7, has ended" in found


def test_the_fix_of_observations_that_no_journal_names_names_their_location(environment, locations):
    locations.append(Location("drill-0000cafe", left=2))

    [finding] = [f for f in leftovers.drill.run(environment) if f.subject == "observations"]

    assert finding.fix == (
        "python -m ops drill --environment local --restore --location drill-0000cafe"
    )


def test_every_part_of_a_fault_is_its_drills_and_is_restored_with_it(
    environment, locks, path, journal
):
    fault = RegionLossFault(id=ERROR.id, region=EAST, discard=True)
    begin(path, replace(journal, fault=fault), environment)
    fault.inject(environment)
    # Its drill was killed in between.
    environment.fault_injection.clear(fault.ids[0])

    [finding] = leftovers.faults.run(environment)
    assert "drill" in finding.fix
    assert "--restore" in finding.fix
    assert restoring.plan(environment).others == ()

    assert restore(environment, locks).done[0] == "cleared the fault region-loss in us-east-1"
    assert environment.fault_injection.faults() == ()
