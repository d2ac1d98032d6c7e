"""A drill restores what it changed, whatever happens, and says what it could not restore."""

import errno
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import ClassVar

import fake_environment
import pytest
from fake_drill import EAST, WEST, FakeLocks, FakeSwitch, Silent, sandbox_environment

from ops.drill import durability, steps
from ops.drill import journal as journals
from ops.drill import run as running
from ops.drill.consistency import Anomaly, check
from ops.drill.events import DnsSeen, HealthSeen, Request
from ops.drill.expectation import expect
from ops.drill.history import History, Operation, Seen
from ops.drill.interrupts import Interrupts
from ops.drill.load import Attempt, Load, Traffic
from ops.drill.outcome import Limits, not_exercised
from ops.drill.publisher import Publisher
from ops.drill.publishing import Publishing
from ops.drill.reconciliation import Reconciliation
from ops.drill.run import Drill
from ops.drill.sandbox_faults import ErrorFault, RegionLossFault
from ops.drill.speed import Latencies, at_followed_speed, set_all_speeds, speed_for
from ops.errors import OpsError
from ops.evacuation_item import Evacuation
from ops.fault_injection import Direction, Fault
from ops.processes import Program

pytestmark = pytest.mark.unit

BUSY = OpsError("503", next_step="wait")
EXPECTATION = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)


class Location:
    location_id = "drill-00000001"

    def __init__(self):
        self.written, self.failures = {EAST: 2, WEST: 2}, []

    def register(self):
        pass

    def seen(self, region, clock):
        return Seen(region, clock(), clock(), {})

    def readings(self, region, keys, _seconds, clock, *, is_whole):
        reading = Seen(region, clock(), clock(), dict.fromkeys(keys, ()))
        is_whole(reading)
        return [reading]

    def empty(self, region):
        if self.failures:
            raise self.failures.pop(0)
        count, self.written[region] = self.written[region], 0
        return count


@pytest.fixture
def location(monkeypatch):
    location = Location()
    monkeypatch.setattr(running, "free_location", lambda _: (location, True))
    monkeypatch.setattr(running, "Probe", Silent)
    monkeypatch.setattr(running, "Watch", Silent)
    monkeypatch.setattr(Publisher, "start", lambda _: None)
    for name in ("STEADY_SECONDS", "HOLD_SECONDS", "SETTLE_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(running, name, 0)
    monkeypatch.setattr(steps, "POLL_SECONDS", 0)
    return location


@pytest.fixture
def environment(location, tmp_path):
    return sandbox_environment(tmp_path)


@pytest.fixture
def locks():
    return FakeLocks()


@pytest.fixture
def drill(environment, locks, monkeypatch):
    """A drill whose customers are served by whom they should be."""
    monkeypatch.setattr(Drill, "_serves", lambda *_, **__: True)
    fault = ErrorFault(id="drill-1", region=EAST)
    lock = locks.held("drill-1", environment)
    return Drill(environment, fault, EXPECTATION, Limits(1000), lock, Interrupts())


def is_restored(environment, location):
    return (
        not environment.fault_injection.faults()
        and location.written == {EAST: 0, WEST: 0}
        and not environment.journal_file.exists()
    )


def test_a_drill_that_passes_leaves_nothing(drill, environment, location):
    outcome = drill.run()

    assert outcome.passed
    assert outcome.restored[0] == "cleared the fault error in us-east-1"
    assert is_restored(environment, location)


def test_a_fault_is_journalled_with_its_id_before_it_is_injected(drill, environment, monkeypatch):
    seen = []
    inject = environment.fault_injection.inject

    def noted(fault, *, id):
        seen.append((id, journals.read(environment.journal_file).fault.id))
        return inject(fault, id=id)

    monkeypatch.setattr(environment.fault_injection, "inject", noted)

    drill.run()

    assert seen == [("drill-1", "drill-1")]


@pytest.fixture
def watched(drill, monkeypatch):
    """A drill that asks its fault all the while, for a moment."""
    monkeypatch.setattr(running, "WATCH_SECONDS", 0)
    monkeypatch.setattr(running, "HOLD_SECONDS", 0.1)
    return drill


def test_a_fault_that_has_ended_before_it_is_cleared_ends_the_drill_with_its_reason(
    watched, environment, location, monkeypatch
):
    monkeypatch.setattr(ErrorFault, "ended", lambda *_: "an alarm has stopped it")

    outcome = watched.run()

    assert not outcome.passed
    assert any("an alarm has stopped it" in each for each in outcome.findings)
    assert is_restored(environment, location)


def test_a_fault_that_cannot_be_asked_has_not_ended(watched, monkeypatch):
    def unreadable(*_):
        raise OpsError("throttled", next_step="wait")

    monkeypatch.setattr(ErrorFault, "ended", unreadable)

    assert watched.run().passed


def test_a_fault_that_is_being_cleared_is_not_asked_any_more(watched, monkeypatch):
    monkeypatch.setattr(ErrorFault, "ended", lambda self, at: (
        "" if self.is_injected(at) else "it was cleared"
    ))  # fmt: skip

    assert watched.run().passed


@pytest.fixture
def both(environment, locks, monkeypatch):
    """A drill that loses both Regions, of which nobody is left to serve."""
    monkeypatch.setattr(Drill, "_serves", lambda *_, **__: True)
    monkeypatch.setattr(Drill, "_has_moved", lambda *_: True)
    monkeypatch.setattr(Drill, "_is_back", lambda *_: True)
    first, second = (ErrorFault(id=id, region=region) for id, region in BOTH.items())
    lock = locks.held("drill-1", environment)
    return Drill(
        environment, first, EXPECTATION, Limits(1000), lock, Interrupts(), further=(second,)
    )


BOTH = {"drill-1": EAST, f"drill-1-{WEST}": WEST}


def test_faults_in_several_regions_are_journalled_together_before_the_first_is_injected(
    both, environment, location, monkeypatch
):
    seen = []
    inject = environment.fault_injection.inject

    def noted(fault, *, id):
        noted_faults = journals.Journal.from_text(both.lock.note).faults
        filed = journals.read(environment.journal_file).faults
        seen.append((id, fault.region, [each.id for each in filed]))
        assert filed == noted_faults
        return inject(fault, id=id)

    monkeypatch.setattr(environment.fault_injection, "inject", noted)

    outcome = both.run()

    assert seen == [(id, region, [*BOTH]) for id, region in BOTH.items()]
    assert outcome.restored[:2] == [
        f"cleared the fault error in {region}" for region in BOTH.values()
    ]
    assert is_restored(environment, location)


def test_a_fault_that_cannot_be_injected_leaves_none_of_those_before(
    both, environment, location, monkeypatch
):
    inject = environment.fault_injection.inject

    def refuse(fault, *, id):
        if fault.region == WEST:
            raise OpsError("the sandbox is full", next_step="wait")
        return inject(fault, id=id)

    monkeypatch.setattr(environment.fault_injection, "inject", refuse)

    assert both.run().findings[0] == "the drill could not continue: the sandbox is full"
    assert is_restored(environment, location)


def test_what_one_region_does_not_clear_keeps_no_other_one_from_being_cleared(
    both, environment, monkeypatch
):
    monkeypatch.setattr(steps, "RETRY_SECONDS", 0)
    clear = environment.fault_injection.clear

    def stuck(id):
        if id == "drill-1":
            raise BUSY
        return clear(id)

    monkeypatch.setattr(environment.fault_injection, "clear", stuck)

    outcome = both.run()

    assert outcome.left == [f"clear the fault error in {EAST} (run drill-1): 503"]
    assert [each.id for each in environment.fault_injection.faults()] == ["drill-1"]
    assert [f.id for f in journals.read(environment.journal_file).faults] == [*BOTH]


def test_a_loss_that_moves_nobody_and_is_not_detected_fails(environment, locks, monkeypatch):
    """Otherwise a drill that injected nothing would pass."""
    monkeypatch.setattr(Drill, "_serves", lambda *_, **__: True)
    monkeypatch.setattr(running, "patience_seconds", lambda *_: 0.1)
    fault = ErrorFault(id="drill-1", region=WEST)
    lock = locks.held("drill-1", environment)
    drill = Drill(environment, fault, EXPECTATION, Limits(1000), lock, Interrupts())
    drill.log.add(HealthSeen(0.0, f"{WEST} record", True))

    outcome = drill.run()

    assert not outcome.passed
    assert outcome.findings[0].startswith(
        f"the health checks of {WEST} were not all unhealthy within 0 s here"
    )


@pytest.fixture
def weighted(locks, tmp_path):
    """A drill with weighted routing that has lost the first of two Regions."""
    environment = fake_environment.environment(
        outputs={"routing_policy": "weighted", "weights": {EAST: 1, WEST: 1}}, folder=tmp_path
    )
    fault = ErrorFault(id="drill-1", region=EAST)
    lock = locks.held("drill-1", environment)
    return Drill(environment, fault, EXPECTATION, Limits(1000), lock, Interrupts())


def served(log, since, *regions, count=20):
    for at in range(count):
        log.add(Request("read", since + at, since + at + 0.1, 200, regions[at % len(regions)]))


def answered(log, since, *regions, count):
    for at in range(count):
        log.add(DnsSeen(since + at / 10, ("192.0.2.1",), regions[at % len(regions)], 60))


def test_where_answers_vary_a_few_answers_without_a_lost_region_are_chance(weighted):
    log = weighted.log
    served(log, 10.0, WEST)
    answered(log, 10.0, EAST, WEST, count=10)
    answered(log, 11.0, WEST, count=running.MOST_ANSWERS - 2)
    assert not weighted._has_moved(10.0)

    answered(log, 15.0, WEST, count=2)

    assert weighted._has_moved(10.0)


def test_where_answers_vary_a_restored_region_serves_or_is_answered_again(weighted):
    log = weighted.log
    served(log, 10.0, WEST)
    answered(log, 10.0, WEST, count=10)
    assert not weighted._is_back(10.0)
    assert not weighted._is_answered(10.0)

    answered(log, 12.0, EAST, count=1)
    assert not weighted._is_back(10.0)
    assert weighted._is_answered(10.0)

    served(log, 31.0, EAST, WEST)
    assert weighted._is_back(10.0)


def test_a_busy_region_is_asked_again_until_everything_is_restored(drill, environment, location):
    environment.fault_injection.failures = [BUSY, BUSY]
    location.failures = [BUSY]

    assert drill.run().passed
    assert is_restored(environment, location)


@pytest.mark.parametrize("error", [OpsError("credentials have expired", next_step="sign in")])
def test_a_drill_that_cannot_continue_restores_fails_and_releases_its_journal(
    drill, environment, location, monkeypatch, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(location, "readings", fail)

    outcome = drill.run()

    assert outcome.findings == ["the drill could not continue: credentials have expired"]
    assert outcome.left == []
    assert not outcome.passed
    assert is_restored(environment, location)


def test_an_unexpected_error_is_a_finding_once_everything_is_restored(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(location, "readings", lambda *_, **__: 1 / 0)

    [finding] = drill.run().findings

    assert "the drill could not continue: ZeroDivisionError" in finding
    assert is_restored(environment, location)


def test_observations_are_deleted_when_no_function_works_on_a_write_any_more(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(durability, "LONGEST_REQUEST_SECONDS", 0.4 * environment.speed)
    drill.log.add(Request("write", sent_at=0.0, answered_at=0.1, key="2000-01-01T00:00:31Z"))
    delete, deleted_at = location.empty, []

    def noted(region):
        deleted_at.append(drill.log.clock())
        return delete(region)

    monkeypatch.setattr(location, "empty", noted)

    drill.run()

    assert min(deleted_at) >= 0.5
    assert is_restored(environment, location)


def test_an_interrupted_drill_restores(drill, environment, location, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(location, "readings", interrupt)

    outcome = drill.run()

    assert outcome.verdict == "interrupted"
    assert is_restored(environment, location)


def test_a_drill_that_injected_nothing_says_so(drill, environment, location, monkeypatch):
    def refuse(*_, **__):
        raise OpsError("the switch was engaged already", next_step="ask")

    monkeypatch.setattr(environment.fault_injection, "inject", refuse)

    assert "the switch was engaged already" in drill.run().findings[0]
    assert is_restored(environment, location)


def test_what_cannot_be_restored_fails_keeps_the_journal_and_names_the_command(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(steps, "RETRY_SECONDS", 0)
    environment.fault_injection.failures = [BUSY] * 1000

    outcome = drill.run()

    assert outcome.left == ["clear the fault error in us-east-1 (run drill-1): 503"]
    assert outcome.by_hand == ["curl -X DELETE http://127.0.0.1:1/faults/drill-1"]
    assert not outcome.passed
    assert outcome.finish == "python -m ops drill --environment local --restore"
    assert location.written == {EAST: 0, WEST: 0}, "the rest is restored"
    journal = journals.read(environment.journal_file)
    assert journals.Journal.from_text(drill.lock.note) == journal
    environment.fault_injection.failures = []
    journal.fault.clear(environment)
    assert not environment.fault_injection.faults()


def test_a_journal_that_cannot_be_removed_fails_with_the_command_that_removes_it(
    drill, environment, monkeypatch
):
    def refused():
        raise BUSY

    monkeypatch.setattr(steps, "RETRY_SECONDS", 0)
    monkeypatch.setattr(drill, "_remove_note", refused)

    outcome = drill.run()

    assert outcome.left == []
    [finding] = outcome.findings
    assert finding.startswith("everything is restored, and the journal cannot be removed: ")
    assert finding.endswith("Remove it with: python -m ops drill --environment local --restore")
    assert environment.journal_file.exists()


def test_what_failed_at_first_and_was_restored_later_is_no_failure(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(steps, "RETRY_SECONDS", -1)
    environment.fault_injection.failures = [BUSY]

    outcome = drill.run()

    assert (outcome.left, outcome.passed) == ([], True)
    assert is_restored(environment, location)


def test_what_is_not_restored_is_reported_at_once_with_what_finishes_it(
    drill, environment, monkeypatch
):
    monkeypatch.setattr(steps, "RETRY_SECONDS", 0)
    environment.fault_injection.failures = [RuntimeError("unheard of")] * 1000
    lines = []
    drill.notify = lines.append

    outcome = drill.run()

    injecting = next(n for n, line in enumerate(lines) if line.startswith("Injecting"))
    first = next(n for n, line in enumerate(lines) if line.startswith("NOT RESTORED"))
    assert "RuntimeError: unheard of" in lines[first]
    assert lines[first + 1 : first + 3] == [
        "  Finish with: python -m ops drill --environment local --restore",
        "  Finish with: curl -X DELETE http://127.0.0.1:1/faults/drill-1",
    ]
    assert injecting < first
    assert not any("serves again" in line for line in lines), "a failback that cannot come"
    assert not any(line.startswith("Looking for") for line in lines), "the restore comes first"
    assert not outcome.passed


def test_a_terminal_that_is_lost_keeps_nothing_from_being_restored(drill, environment, location):
    def lost(*_):
        raise OSError(5, "Input/output error")

    drill.notify = drill.tick = lost

    assert drill.run().passed
    assert is_restored(environment, location)


def test_a_drill_whose_lock_is_lost_ends_and_restores(drill, environment, location, monkeypatch):
    def taken(*_, **__):
        drill.lock.lost = "interrupted by switch evacuate"
        return []

    monkeypatch.setattr(location, "readings", taken)
    monkeypatch.setattr(running, "HOLD_SECONDS", 1000)

    outcome = drill.run()

    assert outcome.findings == ["the drill could not continue: interrupted by switch evacuate"]
    assert is_restored(environment, location)


def test_a_drill_that_has_lost_its_lock_injects_nothing(drill, environment, location, monkeypatch):
    monkeypatch.setattr(
        environment.fault_injection, "inject", lambda *_, **__: pytest.fail("it was injected")
    )
    prepared = ErrorFault.prepared

    def taken(fault, environment):
        drill.lock.lost = "interrupted by switch evacuate"
        return prepared(fault, environment)

    monkeypatch.setattr(ErrorFault, "prepared", taken)

    assert "interrupted by switch evacuate" in drill.run().findings[0]
    assert is_restored(environment, location)


def test_a_drill_that_loses_its_lock_before_the_fault_injects_nothing(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(
        environment.fault_injection, "inject", lambda *_, **__: pytest.fail("it was injected")
    )

    def taken(*_):
        drill.lock.lost = "interrupted by switch evacuate"

    monkeypatch.setattr(ErrorFault, "precede", taken)

    assert "interrupted by switch evacuate" in drill.run().findings[0]
    assert is_restored(environment, location)


def test_what_another_machine_left_stops_a_drill(drill, environment, locks):
    other = replace(drill.fault, id="drill-0")
    left = journals.Journal(
        "local", "2026-01-01T00:00:00+00:00", "laptop-7", Program(1, 1.0), "drill-00000002", other
    )
    drill.lock.annotate(left.to_text())

    with pytest.raises(OpsError, match=r"drill-0, begun 2026-01-01.* on laptop-7, has ended") as e:
        drill.run()
    assert "--restore" in e.value.next_step
    assert journals.Journal.from_text(locks.state.note) == left
    assert not environment.journal_file.exists()


def test_a_journal_that_cannot_be_written_stops_a_drill(drill, environment, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals.os, "fsync", full)

    with pytest.raises(OpsError, match=r"cannot be written: No space left on device"):
        drill.run()
    assert environment.fault_injection.faults() == ()
    assert not environment.journal_file.exists()


def test_a_disk_that_is_full_right_before_the_injection_stops_it(
    drill, environment, location, monkeypatch
):
    monkeypatch.setattr(
        environment.fault_injection, "inject", lambda *_, **__: pytest.fail("it was injected")
    )
    write = journals.replace

    def full(path, journal):
        if environment.journal_file.stat().st_size:
            raise OpsError("No space left on device", next_step="free some")
        write(path, journal)

    monkeypatch.setattr(journals, "replace", full)

    outcome = drill.run()

    assert outcome.findings == ["the drill could not continue: No space left on device"]


def test_a_fault_whose_injection_was_under_way_for_longer_is_cleared_at_the_end(
    drill, environment, location, monkeypatch
):
    inject, cleared = environment.fault_injection.inject, []

    def late(fault, *, id):
        cleared.append(lambda: inject(fault, id=id))
        raise OpsError("no response within 5 s", next_step="wait")

    monkeypatch.setattr(environment.fault_injection, "inject", late)
    clear = environment.fault_injection.clear

    def clearing(id):
        found = clear(id)
        if cleared:
            cleared.pop()()
        return found

    monkeypatch.setattr(environment.fault_injection, "clear", clearing)

    drill.run()

    assert is_restored(environment, location)


@pytest.mark.parametrize(
    ("latency", "speed", "followed"),
    [
        ((0.01, 0.1), 20, 20),
        ((0.05, 0.3), 20, 20),
        ((0.2, 0.3), 20, 3.3),
        ((0.2, 0.2), 2, 2),
        ((0.01, 0.5), 20, 3.3),
        ((0.01, 0.5), 2, 2),
        ((5, 5), 20, 1),
        ((5, 5), 0.5, 0.5),
    ],
)
def test_the_speed_leaves_health_checks_and_customers_time_enough(latency, speed, followed):
    assert speed_for(Latencies(*latency), speed) == followed


class Status:
    """The status server of a sandbox's Route 53."""

    def __init__(self, speed, checks):
        self.speed, self.set = speed, []
        self.checks, self.failing = checks, []

    def __call__(self, method="GET", path="/status", body=None):
        if method == "PUT":
            self.speed = body["speed"]
            self.set.append(self.speed)
        reasons = [self.failing.pop() if self.failing else "" for _ in self.checks]
        checks = [
            {"id": id, "healthy": not reason, "reason": reason}
            for id, reason in zip(self.checks, reasons, strict=True)
        ]
        return {"speed": self.speed, "health_checks": checks}


@pytest.fixture
def status(environment, monkeypatch):
    monkeypatch.setattr("ops.drill.speed.POLL_SECONDS", 0)
    status = Status(environment.speed, environment.outputs.endpoint_health_check_ids.values())
    monkeypatch.setattr(type(environment), "sandbox_status", lambda _, *given: status(*given))
    return status


def at_latency(monkeypatch, seconds):
    found = Latencies(seconds, seconds)
    monkeypatch.setattr("ops.drill.speed.latencies", lambda _: found)


def test_a_speed_that_the_machine_follows_is_left_alone(environment, status, monkeypatch, capsys):
    at_latency(monkeypatch, 0.01)

    with at_followed_speed(environment, print) as followed:
        assert followed.speed == environment.speed == 20
    assert status.set == []
    assert capsys.readouterr().out == ""


def test_a_speed_that_the_machine_cannot_follow_is_lowered_and_set_back(
    environment, status, monkeypatch, capsys
):
    at_latency(monkeypatch, 0.2)

    with suppress(KeyboardInterrupt), at_followed_speed(environment, print) as followed:
        assert followed.speed == status.speed == 3.3
        raise KeyboardInterrupt

    assert status.set == [3.3, 20]
    # Replication with it: the times of a drill are of one scale.
    assert environment.fault_injection.calls == [
        "replicate 3.3 times as fast", "replicate 20 times as fast"
    ]  # fmt: skip
    assert "runs 3.3 times as fast as on AWS, not 20 times" in capsys.readouterr().out


def test_an_interruption_while_the_speed_is_changed_leaves_none_changed(
    environment, status, monkeypatch
):
    at_latency(monkeypatch, 0.2)
    injection, speeds = environment.fault_injection, []

    def interrupted(speed):
        speeds.append(speed)
        if speed == 3.3:
            raise KeyboardInterrupt

    monkeypatch.setattr(injection, "set_replication_speed", interrupted)

    with suppress(KeyboardInterrupt), at_followed_speed(environment, print):
        pytest.fail("it went on")

    assert (status.speed, speeds[-1]) == (20, 20)


@pytest.mark.parametrize(("before", "after"), [(20, 3.3), (3.3, 20)])
def test_a_drill_that_is_killed_while_it_changes_the_speed_is_noticed(
    environment, status, monkeypatch, before, after
):
    status.speed = before

    def killed(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment.fault_injection, "set_replication_speed", killed)

    with suppress(KeyboardInterrupt):
        set_all_speeds(environment, after)
    assert status.speed != environment.speed


def test_dns_counts_whole_seconds_so_a_short_time_to_live_lowers_the_speed(
    environment, status, monkeypatch, capsys
):
    at_latency(monkeypatch, 0.01)
    outputs = replace(environment.outputs, ttl_seconds=10)
    short = replace(environment, descriptor=replace(environment.descriptor, outputs=outputs))

    with at_followed_speed(short, print) as followed:
        assert followed.speed == status.speed == 10

    assert status.set == [10, 20]
    assert "its time to live is 10 s: the drill runs 10 times" in capsys.readouterr().out


def test_health_checks_that_a_busy_machine_failed_are_waited_for(
    environment, status, monkeypatch, capsys
):
    at_latency(monkeypatch, 0.01)
    status.failing = ["0 of 3 checkers healthy"] * 5

    with at_followed_speed(environment, print):
        assert status.failing == []
    waited = "Waiting for the health checks to recover: 0 of 3 checkers healthy\n"
    assert capsys.readouterr().out == waited


def test_health_checks_that_a_fault_fails_are_not_waited_for(
    environment, status, monkeypatch, capsys
):
    at_latency(monkeypatch, 0.01)
    status.failing = ["0 of 3 checkers healthy"] * 5

    environment.fault_injection.inject(Fault(EAST, "error"), id="by-hand")

    with at_followed_speed(environment, print):
        assert status.failing
    assert capsys.readouterr().out == ""


def test_a_speed_that_a_killed_drill_left_is_set_back(environment, status, monkeypatch):
    at_latency(monkeypatch, 0.01)
    status.speed = 2.0

    with at_followed_speed(environment, print) as followed:
        assert followed.speed == status.speed == 20


class Latched(FakeSwitch):
    """A switch that the loss of the primary makes evacuate it, as with manual failback."""

    def fail_over(self):
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.state = Evacuation(
            EAST, evacuated=True, evacuated_at=at, kind="failover", writer="failover-1"
        )


@pytest.fixture
def latching(location, locks, tmp_path, monkeypatch):
    """A drill with manual failback, the switch, and whether the primary serves too soon."""
    switch = Latched.instead(monkeypatch)
    environment = sandbox_environment(tmp_path, manual_failback=True)
    too_soon = []

    def serves(drill, events, customers, since, *, before=False):
        if not before:
            switch.fail_over()
            return True
        return bool(too_soon) or not switch.state.evacuated

    monkeypatch.setattr(Drill, "_serves", serves)
    monkeypatch.setattr(running, "stay_seconds", lambda *_: 0)
    fault = ErrorFault(id="drill-1", region=EAST)
    lock = locks.held("drill-1", environment)
    drill = Drill(environment, fault, EXPECTATION, Limits(1000), lock, Interrupts())
    return drill, switch, too_soon


def test_with_manual_failback_the_primary_is_restored_after_the_fault_is_cleared(latching):
    drill, switch, _ = latching

    outcome = drill.run()

    assert outcome.passed, outcome.findings
    assert outcome.restored[0] == "cleared the fault error in us-east-1"
    assert outcome.restored[1].startswith("restored us-east-1, which failed over at ")
    assert not switch.state.evacuated


def test_a_primary_that_serves_before_it_is_restored_fails_a_drill_with_manual_failback(latching):
    drill, switch, too_soon = latching
    too_soon.append(True)

    outcome = drill.run()

    assert "us-east-1 served again before it was restored, and failback is manual" in (
        outcome.findings
    )
    assert not switch.state.evacuated


def test_a_drill_that_is_interrupted_restores_what_failed_over(latching, monkeypatch):
    drill, switch, _ = latching

    def interrupted(*_, **__):
        switch.fail_over()
        raise KeyboardInterrupt

    monkeypatch.setattr(Drill, "_stay_failed_over", interrupted)

    outcome = drill.run()

    assert outcome.interrupted
    assert not switch.state.evacuated
    assert not outcome.left


class Loaded:
    """In the place of the load generator: one attempt after the other, as `fate` says."""

    def __init__(self, *_, **options):
        self.options, self.stopped = options, []
        self.region, self.fate, self.clock = EAST, "ok", lambda: 0.0
        self.writes = ()

    def start(self):
        pass

    def stop(self):
        self.stopped.append(1)

    def traffic(self):
        now = self.clock()
        return Traffic(
            attempts=tuple(
                Attempt("read", now - n / 1000, now, self.fate, self.region) for n in range(20)
            ),
            writes=self.writes,
        )


@pytest.fixture
def loaded(drill, monkeypatch):
    """The drill under a load."""
    generator = Loaded()

    def made(*_):
        generator.clock = drill.log.clock
        drill._traffic = generator.traffic
        return generator

    monkeypatch.setattr(drill, "_generator", made)
    for name in ("STEADY_SECONDS", "BASELINE_SECONDS", "HOLD_SECONDS"):
        monkeypatch.setattr(running.loads, name, 0.01)
    monkeypatch.setattr(running, "load_hold_seconds", lambda *_: 0.1)
    drill.load = Load(10)
    drill.generator = generator
    return drill


def test_a_drill_under_a_load_reports_it_and_stops_it(loaded, environment, location):
    outcome = loaded.run()

    assert outcome.load.load == Load(10)
    assert outcome.load.traffic.attempts
    assert loaded.generator.stopped == [1]
    assert is_restored(environment, location)


def test_nothing_is_injected_while_the_load_fails_without_any_fault(
    loaded, environment, location, monkeypatch
):
    """On AWS it would harm customers, and measure the load instead of the failover."""
    monkeypatch.setattr(running, "BASELINE_SECONDS", 0.1)
    monkeypatch.setattr(
        environment.fault_injection, "inject", lambda *_, **__: pytest.fail("it was injected")
    )
    loaded.generator.fate = "throttled"

    outcome = loaded.run()

    assert outcome.findings == [
        "the Regions do not carry the load without any fault: nothing was injected"
    ]
    assert loaded.generator.stopped == [1]
    assert is_restored(environment, location)


def test_the_fault_is_cleared_when_the_load_calls_no_lost_region_any_more(loaded, monkeypatch):
    monkeypatch.setattr(running, "load_hold_seconds", lambda *_: 60)
    moved = []
    has_moved = loaded._load_has_moved

    def looking(injected):
        # However short the load lasts in this test.
        moved.append(has_moved(injected - 100))
        if len(moved) == 3:
            loaded.generator.region = WEST
        return moved[-1]

    monkeypatch.setattr(loaded, "_load_has_moved", looking)
    monkeypatch.setattr(running.Pace, "of", lambda _: running.Pace(1.0, 0.0))
    loaded.run()

    assert moved[:3] == [False] * 3
    assert moved[-1]


def test_writes_of_the_load_are_in_the_ledger(loaded, location, monkeypatch):
    looked_for = []

    def readings(region, keys, _seconds, clock, *, is_whole):
        del is_whole
        looked_for.append({*keys})
        return [Seen(region, clock(), clock(), {})]

    monkeypatch.setattr(location, "readings", readings)
    loaded.generator.writes = (Request("write", 0.0, 0.1, 200, EAST, key="k", value=1.0),)

    outcome = loaded.run()

    assert {frozenset(keys) for keys in looked_for} == {frozenset({"k"})}
    assert outcome.durability.acknowledged == 1
    assert any("k" in finding for finding in outcome.findings)


def test_a_load_has_a_place_for_every_resolver_and_harms_nobody_on_aws(drill, monkeypatch):
    places = {customers.near: "" for customers in drill.scenario.customers}
    outcome = SimpleNamespace(pace=SimpleNamespace(timeout_seconds=3.0))

    for at, protected in ((drill.environment, ()), (fake_environment.environment(), (WEST,))):
        drill.environment = at
        made = drill._generator(outcome, None, None, places, Load(10))

        assert [place.near for place in made.places] == [""]
        assert (made.protected, made.timeout_seconds) == (protected, 3.0)
        assert drill._traffic() == Traffic()


def test_a_region_that_takes_over_is_read_before_writes_of_the_lost_one_can_arrive(
    drill, environment, location, monkeypatch
):
    drill.fault = RegionLossFault(id="drill-1", region=EAST, discard=True)
    steps, seen, readings = [], location.seen, location.readings
    injection = environment.fault_injection
    injection.calls = steps
    injection.replication = lambda: (
        Direction(EAST, WEST, 3, 1.0, paused=True), Direction(WEST, EAST, 5, 1.0, paused=True),
    )  # fmt: skip
    monkeypatch.setattr(
        location, "seen", lambda region, clock: steps.append(f"see {region}") or seen(region, clock)
    )
    monkeypatch.setattr(
        location, "readings",
        lambda region, keys, seconds, clock, *, is_whole: (
            steps.append(f"read {region} for {seconds:g} s")
            or readings(region, keys, seconds, clock, is_whole=is_whole)
        ),
    )  # fmt: skip
    monkeypatch.setattr(Publisher, "end", lambda _: steps.append("end publishers"))

    outcome = drill.run()

    assert steps[:11] == [
        f"see {EAST}", f"see {WEST}", "inject partition", "inject refuse", f"read {WEST} for 0 s",
        f"see {WEST}", "end publishers", f"discard {EAST}", "clear partition", "clear refuse",
        "end publishers",
    ]  # fmt: skip
    assert steps[11:] == [f"read {EAST} for 30 s", f"read {WEST} for 30 s"]
    history = outcome.history
    assert (history.isolated, history.discarded, history.lost) == ((EAST,), (EAST,), (EAST,))
    assert history.taking_over == (WEST,)
    assert history.when("injected") <= history.when("cut-over") <= history.when("restoring")
    assert [each.missing for each in outcome.consistency.cut_over] == [()]
    # Of the lost Region alone.
    assert outcome.held_back == 3
    assert "replication_lag" not in not_exercised(outcome)


def test_a_fault_that_stops_no_replication_gives_writes_the_time_to_arrive(drill, monkeypatch):
    seconds, readings = [], []

    def read(region, _keys, patience, clock, **_):
        seconds.append(patience)
        return readings

    monkeypatch.setattr(running.free_location(None)[0], "readings", read)

    outcome = drill.run()

    assert seconds[0] == running.CUT_OVER_SECONDS
    assert outcome.held_back is None
    assert outcome.history.isolated == ()
    assert "replication_lag" in not_exercised(outcome)


RECONCILED = check(
    History(
        environment="local", started="now", fault="error", regions=(EAST, WEST), lost=(EAST,),
        taking_over=(WEST,), isolated=(), discarded=(), speed=1.0, lost_after_seconds=30.0,
    )
)  # fmt: skip


@pytest.fixture
def reconciling(drill, environment, location, monkeypatch):
    """A drill that reconciles; when it does, its fault is cleared and nothing is deleted."""
    called = []

    def reconcile(_environment, used, history, verdict, since):
        assert not environment.fault_injection.faults()
        assert location.written == {EAST: 2, WEST: 2}
        assert (used, since.tzinfo) == (location, UTC)
        assert "reconciled" not in history.marks
        called.append(history)
        return Reconciliation(verdict.lost, verdict.overwritten, replayed=3)

    monkeypatch.setattr(running.reconciliation, "reconcile", reconcile)
    drill.reconciles = True
    drill.called = called
    return drill


def test_what_replicas_lack_is_replayed_before_the_observations_are_deleted(
    reconciling, environment, location
):
    outcome = reconciling.run()

    assert len(reconciling.called) == 1
    assert outcome.passed
    assert (outcome.reconciliation.replayed, outcome.reconciliation.left) == (3, 0)
    # AND every Region was read again
    at = outcome.history.marks["reconciled"]
    assert {each.region for each in outcome.history.readings if each.at >= at} == {EAST, WEST}
    assert is_restored(environment, location)


def test_what_is_left_after_it_fails_the_drill_whatever_may_be_lost(
    reconciling, environment, location, monkeypatch
):
    lost = Anomaly("lost", "a", WEST, "put", 1.0, "customers")
    monkeypatch.setattr(
        running, "after_reconciliation", lambda _: replace(RECONCILED, found=(lost,))
    )

    outcome = reconciling.run()

    assert outcome.limits.max_lost_writes == 0
    assert outcome.findings == ["after reconciliation, 1 write is lost in us-west-2 (a)"]
    assert is_restored(environment, location)


def test_a_reconciliation_that_fails_is_a_finding_and_everything_is_restored(
    reconciling, environment, location, monkeypatch
):
    def fail(*_):
        raise BUSY

    monkeypatch.setattr(running.reconciliation, "reconcile", fail)

    outcome = reconciling.run()

    assert outcome.findings == ["the replicas could not be reconciled: 503"]
    assert outcome.reconciliation is None
    assert is_restored(environment, location)


def test_without_the_option_nothing_is_replayed(drill, monkeypatch):
    monkeypatch.setattr(
        running.reconciliation, "reconcile", lambda *_: pytest.fail("it was replayed")
    )

    assert drill.run().reconciliation is None


@dataclass(frozen=True, kw_only=True)
class FencedFault(ErrorFault):
    """A fault whose Region can be fenced; what it reports, or why it cannot be."""

    failures: ClassVar[list] = []
    takes_fence = True

    def put_up_fence(self, environment):
        if self.failures:
            raise self.failures.pop(0)
        assert self.is_injected(environment)
        return f"writes are refused in {self.region} since now"


class Within:
    """A publisher within the lost Region, who is told 503 as often as a test says."""

    def __init__(self, clock, refused):
        self.clock, self.refused = clock, refused

    def operations(self):
        at = self.clock()
        return [
            Operation("inside", "put", str(n), 1.0, at, at, "unknown", EAST, 503)
            for n in range(self.refused)
        ]


@pytest.fixture
def fencing(drill, monkeypatch):
    """A drill with a fence, and who writes within its Region."""
    monkeypatch.setattr(running, "SEEN_AFTER_SECONDS", 0)
    drill.fault = FencedFault(id="drill-1", region=EAST, fence=True)
    monkeypatch.setattr(FencedFault, "failures", [])

    def run(refused):
        within = Within(drill.log.clock, refused)
        publishing = Publishing.of

        def of(*arguments):
            made = publishing(*arguments)
            monkeypatch.setattr(Publishing, "operations", lambda *_: tuple(within.operations()))
            return made

        monkeypatch.setattr(running.Publishing, "of", of)
        return drill.run()

    return run


def test_a_lost_region_is_fenced_once_another_one_serves_and_before_the_fault_is_cleared(
    fencing, environment, location
):
    outcome = fencing(refused=3)

    marks = {mark.name: mark.at for mark in outcome.events.marks}
    assert marks["injected"] <= marks["fenced"] <= marks["restoring"]
    assert outcome.fence.states == ("writes are refused in us-east-1 since now",)
    assert is_restored(environment, location)


def test_a_fence_that_refuses_nothing_fails_the_drill(fencing, environment, location):
    outcome = fencing(refused=0)

    assert outcome.findings == ["no write was refused in us-east-1, which was fenced"]
    assert is_restored(environment, location)


def test_a_region_that_cannot_be_fenced_is_a_finding_and_the_drill_goes_on(
    fencing, environment, location
):
    FencedFault.failures.append(BUSY)

    outcome = fencing(refused=3)

    assert outcome.findings == ["us-east-1 was not fenced: 503"]
    assert outcome.fence is None
    assert is_restored(environment, location)


def test_a_drill_without_a_fence_puts_none_up(drill, monkeypatch):
    monkeypatch.setattr(ErrorFault, "put_up_fence", lambda *_: pytest.fail("it was fenced"))

    assert drill.run().fence is None


@pytest.mark.parametrize(
    ("keys", "since", "expected"),
    [
        (("a b", "c"), 4.0, False),
        (("a b", "b c"), 4.0, True),
        # Before the fault.
        (("a b", "b c"), 6.0, False),
        (("a b", ""), 4.0, False),
    ],
)
def test_a_partition_lasts_until_both_sides_have_written_the_same_item(
    drill, keys, since, expected
):
    written = [
        [Operation("a", "put", key, 1.0, 5.0, 5.1, "acknowledged", EAST, 201) for key in of.split()]
        for of in keys
    ]
    drill._publishing = SimpleNamespace(
        publishers=[SimpleNamespace(operations=lambda each=each: each) for each in written]
    )

    assert drill._conflicts(since) is expected
