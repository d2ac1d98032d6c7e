"""The drill: inject, wait, clear whatever happens, wait again, count what was lost."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ops.drill import journal as journals
from ops.drill.aws_faults import SwitchFault
from ops.drill.durability import LOST_AFTER_SECONDS, Reading, acknowledged, assess, settled_at
from ops.drill.durations import (
    BASELINE_SECONDS,
    CUT_OVER_SECONDS,
    HOLD_SECONDS,
    SETTLE_SECONDS,
    STEADY_SECONDS,
    patience_seconds,
    stay_seconds,
)
from ops.drill.events import Events, Log
from ops.drill.expectation import Expectation, Pace
from ops.drill.fault import DrillFault
from ops.drill.interrupts import Interrupts
from ops.drill.measure import Measurements, first_of_successes, measure
from ops.drill.outcome import Limits, Outcome, judge, not_served
from ops.drill.probe import Customer, Probe
from ops.drill.probe_location import ProbeLocation, free_location
from ops.drill.resolver import CachingResolver, RegionMap, target_addresses
from ops.drill.retrying import RetryingCustomer
from ops.drill.steps import Step, clearing, deletion, persistently, restoring
from ops.drill.watch import Watch, record_check
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.lock import Lock, LockedError

POLL_SECONDS = 0.1


@dataclass
class Drill:
    """One drill of one environment.

    Attributes:
        environment: The environment, verified, at the speed of the drill.
        fault: The fault.
        expectation: What the failover may take.
        limits: What it must keep.
        lock: The environment's lock, in the hands of this drill.
        interrupts: Handles signals.
        notify: Called with a line at every step.
        tick: Called while it waits, with all that was seen.
    """

    environment: Environment
    fault: DrillFault
    expectation: Expectation
    limits: Limits
    lock: Lock
    interrupts: Interrupts
    notify: Callable[[str], None] = lambda _: None
    tick: Callable[[Events], None] = lambda _: None
    log: Log = field(default_factory=Log)
    _journal: journals.Journal | None = None
    _stop: Callable[[], None] = lambda: None

    def run(self) -> Outcome:
        """Run it.

        Returns:
            What it found; also after any error or Ctrl-C. What could not be restored is in `left`,
            and in the journal, which remains until everything is restored.

        Raises:
            OpsError: Another drill runs or has left something, or the environment does not respond.
        """
        environment = self.environment
        journals.refuse_if_any(environment.journal_file, environment)
        journals.refuse_if_noted(self.lock)
        started = datetime.now(UTC)
        outcome = Outcome(
            environment=environment.name,
            primary=environment.primary,
            secondary=environment.secondary,
            speed=environment.speed,
            fault=self.fault.name,
            description=self.fault.describe(),
            limits=self.limits,
            started=started,
            expectation=self.expectation,
            pace=Pace.at_speed(environment.speed),
            selector=environment.selector,
            finish=journals.restore_command(environment),
            fails_requests=self.fault.fails_requests,
            customer=environment.customer_name,
        )
        location, is_registered = free_location(environment)
        try:
            self._begin(started, location)
            if not is_registered:
                location.register()
            self._measured(outcome, location)
        except KeyboardInterrupt:
            outcome.interrupted = True
        except Exception as error:  # the report and what is left matter more than a traceback
            if self._journal is None:
                raise
            outcome.findings.append(f"the drill could not continue: {explain(error)}")
        finally:
            self.interrupts.postpone()
            if self._journal:
                self._restore(outcome, location)
        outcome.findings += judge(outcome)
        return outcome

    def _begin(self, started: datetime, location: ProbeLocation) -> None:
        self._journal = journals.Journal(
            self.environment.name,
            started.isoformat(timespec="seconds"),
            socket.gethostname(),
            journals.this_program(),
            location.location_id,
            self.fault,
        )
        try:
            journals.begin(self.environment.journal_file, self._journal, self.environment)
        except Exception:
            self._journal = None
            raise
        self.lock.annotate(self._journal.to_text())

    def _measured(self, outcome: Outcome, location: ProbeLocation) -> None:
        regions = RegionMap(lambda: target_addresses(self.environment))
        customer = Customer(
            location,
            CachingResolver(self.environment.network.resolve),
            regions,
            outcome.pace.timeout_seconds,
        )
        probe = Probe(customer, self.log, outcome.pace.interval_seconds)
        watch = Watch(self.environment, regions, self.log, outcome.pace.interval_seconds)
        retrying = RetryingCustomer(self.environment, self.log.clock, outcome.pace.interval_seconds)
        readings: list[Reading] = []

        def stop() -> None:
            self._stop = lambda: None
            self.log.mark("ended")
            for each in (probe, watch, retrying):
                each.stop()
            outcome.retrying = retrying.attempts()
            outcome.events = self.log.events()
            outcome.measurements = self._measure(outcome.events)
            self._assess(outcome, readings)

        self._stop = stop
        self.log.mark("started")
        for each in (probe, watch, retrying):
            each.start()
        self._course(outcome, location, readings)
        self._stop()
        if outcome.left:
            return
        written = acknowledged(outcome.events.requests)
        self._notify(f"Looking for {len(written)} acknowledged writes in every Region")
        for region in self.environment.regions:
            readings += location.readings(region, written, LOST_AFTER_SECONDS, self.log.clock)
        self._assess(outcome, readings)

    def _assess(self, outcome: Outcome, readings: list[Reading]) -> None:
        outcome.durability = assess(
            outcome.events.requests,
            readings,
            self.environment.regions,
            lost_after_seconds=LOST_AFTER_SECONDS,
        )

    def _course(self, outcome: Outcome, location: ProbeLocation, readings: list[Reading]) -> None:
        primary, secondary = self.environment.primary, self.environment.secondary
        speed = self.environment.speed
        patience = patience_seconds(self.environment, self.expectation)
        self._notify(f"Sending customers' requests until {primary} serves them")
        if not self._wait(lambda: self._serves(primary, since=0.0), BASELINE_SECONDS):
            outcome.findings.append(self._not_served(primary, BASELINE_SECONDS, "to begin with"))
            return
        self._wait(lambda: False, STEADY_SECONDS / speed)
        try:
            self._notify(f"Injecting the fault {self.fault.name} into {primary}")
            self._prepare()
            injected = self.log.mark("injecting")
            self.fault.inject(self.environment)
            self.log.mark("injected")
            self._notify(f"Waiting until {secondary} serves: {patience:.0f} s at most")
            if self._wait(lambda: self._serves(secondary, since=injected), patience):
                self._notify(f"{secondary} serves: looking for every acknowledged write there")
                written = acknowledged(self.log.events().requests)
                readings += location.readings(secondary, written, CUT_OVER_SECONDS, self.log.clock)
                self._wait(lambda: False, HOLD_SECONDS / speed)
                self._stay_failed_over(outcome)
            else:
                outcome.findings.append(self._not_served(secondary, patience, "after the fault"))
        finally:
            restored = self.log.mark("restoring")
            is_cleared = self._undo(outcome, clearing(self.environment, self.fault))
            is_cleared = self._fail_back(outcome) and is_cleared
            self.log.mark("restored")
        if not is_cleared:
            return
        self._notify(f"Waiting until {primary} serves again: {patience:.0f} s at most")
        if self._wait(lambda: self._serves(primary, since=restored), patience):
            self._wait(lambda: False, SETTLE_SECONDS / speed)
        else:
            outcome.findings.append(self._not_served(primary, patience, "after the restore"))

    def _stay_failed_over(self, outcome: Outcome) -> None:
        """With manual failback, clear the fault, and see that customers stay where they are."""
        if self.environment.outputs.failback is None or isinstance(self.fault, SwitchFault):
            # An evacuation of the drill's own is no failover: to clear it is to restore the Region.
            return
        primary = self.environment.primary
        if not self._undo(outcome, clearing(self.environment, self.fault)):
            return
        cleared, seconds = self.log.clock(), stay_seconds(self.environment, self.expectation)
        self._notify(f"Waiting for {seconds:.0f} s: {primary} must not serve until it is restored")
        if self._wait(lambda: self._serves(primary, since=cleared), seconds):
            outcome.findings.append(
                f"{primary} served again before it was restored, and failback is manual"
            )

    def _fail_back(self, outcome: Outcome) -> bool:
        """With manual failback, restore the primary if the fault made it fail over."""
        if self.environment.outputs.failback is None or self._journal is None:
            return True
        return self._undo(outcome, restoring(self.environment, self._journal.started))

    def _prepare(self) -> None:
        """Journal what clearing the fault needs, as it is now; only then it is injected."""
        assert self._journal is not None
        self.fault = self.fault.prepared(self.environment)
        self._journal = replace(self._journal, fault=self.fault)
        journals.replace(self.environment.journal_file, self._journal)
        self.lock.annotate(self._journal.to_text())
        self.lock.check()

    def _restore(self, outcome: Outcome, location: ProbeLocation) -> None:
        """Restore everything, again where it failed before; then only forget the journal."""
        outcome.left.clear()
        outcome.by_hand.clear()
        # Once more if it was cleared: its injection may have been under way for longer.
        self._undo(outcome, clearing(self.environment, self.fault))
        try:
            self._stop()
        except Exception as error:  # what was measured is lost, and the rest is restored
            outcome.findings.append(f"the measurement has failed: {explain(error)}")
        settled = settled_at(self.log.events().requests, self.environment.speed)
        time.sleep(max(0.0, settled - self.log.clock()))
        self._notify("Deleting the drill's observations")
        for region in self.environment.regions:
            self._undo(outcome, deletion(location, region))
        # Once more, too: it may have failed over just when the drill was interrupted.
        self._fail_back(outcome)
        if not outcome.left:
            self._forget(outcome)

    def _forget(self, outcome: Outcome) -> None:
        try:
            persistently(self._remove_note)
            journals.remove(self.environment.journal_file, self.fault.id)
        except (OpsError, OSError) as error:
            outcome.findings.append(
                f"everything is restored, and the journal cannot be removed: {explain(error)}. "
                f"Remove it with: {outcome.finish}"
            )

    def _remove_note(self) -> None:
        # Whoever has taken the lock has its note, too: restoring once more does no harm.
        with suppress(LockedError):
            self.lock.annotate("")

    def _undo(self, outcome: Outcome, step: Step) -> bool:
        try:
            done = persistently(step.do)
        except OpsError as error:
            outcome.left.append(f"{step.what}: {explain(error)}")
            outcome.by_hand += [step.by_hand] if step.by_hand else []
            self._notify(f"NOT RESTORED: {outcome.left[-1]}")
            for line in (outcome.finish, step.by_hand):
                self._notify(f"  Finish with: {line}" if line else "")
            return False
        if done:
            outcome.restored.append(done)
            self._notify(done[0].upper() + done[1:])
        return True

    def _serves(self, region: str, *, since: float) -> bool:
        requests = [r for r in self.log.events().requests if r.sent_at >= since]
        return first_of_successes(requests, region) is not None

    def _not_served(self, region: str, seconds: float, when: str) -> str:
        requests = self.log.events().requests
        return not_served(requests, region, seconds, self.environment.speed, when)

    def _measure(self, events: Events) -> Measurements:
        return measure(
            events,
            primary=self.environment.primary,
            secondary=self.environment.secondary,
            primary_check=record_check(self.environment.primary),
            interval_seconds=Pace.at_speed(self.environment.speed).interval_seconds,
            fails_requests=self.fault.fails_requests,
            ttl_seconds=self.expectation.ttl_seconds / self.environment.speed,
        )

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if self.lock.lost:
                raise LockedError(self.lock.lost, next_step="run the drill again later")
            if time.monotonic() > deadline:
                return False
            with suppress(Exception):
                self.tick(self.log.events())
            time.sleep(POLL_SECONDS)
        return True

    def _notify(self, line: str) -> None:
        # Nothing that happens to the terminal may keep the drill from restoring.
        with suppress(Exception):
            self.notify(line)
