"""The drill: inject, wait, clear whatever happens, wait again, count what was lost."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Protocol

from ops.drill import journal as journals
from ops.drill import load as loads
from ops.drill import reconciliation
from ops.drill.aws_faults import SwitchFault
from ops.drill.consistency import RECONCILED, after_reconciliation, check, missing
from ops.drill.durability import LOST_AFTER_SECONDS, acknowledged, assess, settled_at
from ops.drill.durations import (
    BASELINE_SECONDS,
    CUT_OVER_SECONDS,
    HOLD_SECONDS,
    SETTLE_SECONDS,
    STEADY_SECONDS,
    load_hold_seconds,
    patience_seconds,
    stay_seconds,
)
from ops.drill.events import Events, Log, Request
from ops.drill.expectation import Expectation, Pace
from ops.drill.fault import DrillFault
from ops.drill.fencing import FENCED, REFUSALS, SEEN_AFTER_SECONDS, fenced, is_refused
from ops.drill.history import History, Seen
from ops.drill.interrupts import Interrupts
from ops.drill.load import Attempt, Load, Traffic
from ops.drill.load_figures import LoadResult, share_failed
from ops.drill.measure import (
    Measurements,
    detection,
    dns_changed,
    first_of_successes,
    measure,
)
from ops.drill.outcome import Limits, Outcome, judge, not_served
from ops.drill.probe import Customer, Probe
from ops.drill.probe_location import ProbeLocation, free_location
from ops.drill.publishing import Publishing
from ops.drill.resolver import (
    CachingResolver,
    RegionMap,
    addresses_next_to,
    target_addresses,
)
from ops.drill.retrying import RetryingCustomer
from ops.drill.scenario import Customers, Scenario, record_check, scenario_of
from ops.drill.steps import Step, clearing, deletion, failing_back, persistently
from ops.drill.watch import Watch
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.lock import Lock, LockedError

POLL_SECONDS = 0.1
WATCH_SECONDS = 2.0
"""How often it is asked whether the faults are still injected."""
ANSWERS = 10
"""How often DNS is asked in each look, where answers vary."""
MOST_ANSWERS = 40
"""So many answers in a row that name no lost Region are not by chance."""


class _Running(Protocol):
    """What runs beside a drill."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Drill:
    """One drill of one environment.

    Attributes:
        environment: The environment, verified, at the speed of the drill.
        fault: The fault.
        further: The same in further Regions.
        expectation: What the failover may take.
        limits: What it must keep.
        lock: The environment's lock, in the hands of this drill.
        interrupts: Handles signals.
        notify: Called with a line at every step.
        tick: Called while it waits, with all that was seen.
        load: The load that it is under; None without one.
        reconciles: Whether what the replicas lack at the end is replayed.
    """

    environment: Environment
    fault: DrillFault
    expectation: Expectation
    limits: Limits
    lock: Lock
    interrupts: Interrupts
    notify: Callable[[str], None] = lambda _: None
    tick: Callable[[Events], None] = lambda _: None
    further: tuple[DrillFault, ...] = ()
    load: Load | None = None
    reconciles: bool = False
    log: Log = field(default_factory=Log)
    _traffic: Callable[[], Traffic] = Traffic
    _is_carried: bool = True
    _journal: journals.Journal | None = None
    _stop: Callable[[], None] = lambda: None
    _publishing: Publishing | None = None
    _moved_at: float | None = None
    _fences: dict[str, str] = field(default_factory=dict)
    _watched_at: float | None = None

    @property
    def faults(self) -> tuple[DrillFault, ...]:
        """The faults, of a Region each."""
        return (self.fault, *self.further)

    @cached_property
    def scenario(self) -> Scenario:
        """The Regions that are lost, and whom that concerns."""
        outputs = self.environment.outputs
        lost = [fault.region for fault in self.faults]
        return scenario_of(outputs.routing_policy, outputs.regions, lost, outputs.weights)

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
            scenario=self.scenario,
            speed=environment.speed,
            fault=self.fault.name,
            description=", and ".join(fault.describe() for fault in self.faults),
            limits=self.limits,
            started=started,
            expectation=self.expectation,
            pace=Pace.of(environment),
            selector=environment.selector,
            finish=journals.restore_command(environment),
            fails_requests=self.fault.fails_requests,
            isolates=self.fault.isolates,
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
            self.further,
        )
        try:
            journals.begin(self.environment.journal_file, self._journal, self.environment)
        except Exception:
            self._journal = None
            raise
        self.lock.annotate(self._journal.to_text())

    def _measured(self, outcome: Outcome, location: ProbeLocation) -> None:
        regions = RegionMap(lambda: target_addresses(self.environment))
        groups = self.scenario.customers
        places = addresses_next_to(self.environment, [each.near for each in groups])
        probes = [
            self._probe(outcome, location, regions, places, customers) for customers in groups
        ]
        watch = Watch(
            self.environment,
            regions,
            self.log,
            outcome.pace.interval_seconds,
            places,
            ANSWERS if any(each.varies for each in groups) else 1,
        )
        retrying = RetryingCustomer(self.environment, self.log.clock, outcome.pace.interval_seconds)
        readings = [location.seen(region, self.log.clock) for region in self.environment.regions]
        self._publishing = Publishing.of(
            location, probes[0].customers[0], self.faults, readings, self.log.clock, outcome.pace
        )
        running: list[_Running] = [*probes, watch, retrying, self._publishing]
        if self.load:
            # The first to stop.
            running.insert(0, self._generator(outcome, location, regions, places, self.load))

        def stop() -> None:
            self._stop = lambda: None
            self.log.mark("ended")
            for each in running:
                each.stop()
            outcome.retrying = retrying.attempts()
            outcome.events = self.log.events()
            outcome.measurements = self._measure(outcome.events)
            if self.load:
                outcome.load = LoadResult(
                    self.load,
                    self._traffic(),
                    outcome.events,
                    self.scenario,
                    self._is_carried,
                )
            self._assess(outcome, readings)

        self._stop = stop
        self.log.mark("started")
        for each in running:
            each.start()
        self._course(outcome, location, readings)
        self._stop()
        if outcome.left:
            return
        written = acknowledged(self._ledger())
        self._notify(f"Looking for {len(written)} acknowledged writes in every Region")
        for region in self.environment.regions:
            self._read(outcome, location, readings, region, LOST_AFTER_SECONDS)
        self._assess(outcome, readings)
        if self.reconciles:
            self._reconcile(outcome, location, readings)

    def _reconcile(self, outcome: Outcome, location: ProbeLocation, readings: list[Seen]) -> None:
        """Replay what the replicas lack, and read every Region again."""
        assert outcome.history is not None
        assert outcome.consistency is not None
        self._notify("Comparing the replicas with the history, and replaying what they lack")
        try:
            done = reconciliation.reconcile(
                self.environment, location, outcome.history, outcome.consistency, outcome.started
            )
        except OpsError as error:
            outcome.findings.append(f"the replicas could not be reconciled: {explain(error)}")
            return
        outcome.reconciliation = done
        self.log.mark(RECONCILED)
        for region in self.environment.regions:
            self._read(outcome, location, readings, region, LOST_AFTER_SECONDS)
        outcome.history = self._history(outcome, readings)
        outcome.reconciliation = replace(done, after=after_reconciliation(outcome.history))

    def _probe(
        self,
        outcome: Outcome,
        location: ProbeLocation,
        regions: RegionMap,
        places: Mapping[str, str],
        customers: Customers,
    ) -> Probe:
        """The requests of customers of one place; no two write for the same time."""
        network, pace = self.environment.network, outcome.pace
        resolve = network.resolve
        if address := places[customers.near]:
            resolve = partial(network.resolve, client=address)
        return Probe(
            [
                Customer(location, CachingResolver(resolve), regions, pace.timeout_seconds)
                for _ in range(customers.resolvers)
            ],
            self.log,
            pace.interval_seconds,
            near=customers.near,
            first=self.scenario.customers.index(customers),
            step=len(self.scenario.customers),
        )

    def _generator(
        self,
        outcome: Outcome,
        location: ProbeLocation,
        regions: RegionMap,
        places: Mapping[str, str],
        load: Load,
    ) -> _Running:
        """The load, of customers of all places in turn."""
        # Only here: no other part of a command needs it.
        from ops.drill.load_generator import Generator, Place

        resolve = self.environment.network.resolve
        generator = Generator(
            load,
            location,
            [
                Place(partial(resolve, client=places[customers.near]), customers.near)
                for customers in self.scenario.customers
                for _ in range(customers.resolvers)
            ],
            regions,
            self.log.clock,
            outcome.pace.timeout_seconds,
            protected=() if self.environment.descriptor.sandbox else self.scenario.left,
        )
        self._traffic = generator.traffic
        return generator

    def _ledger(self) -> tuple[Request, ...]:
        """The requests of whom writes are looked for: those of the load, too."""
        return (*self.log.events().requests, *self._traffic().writes)

    def _assess(self, outcome: Outcome, readings: list[Seen]) -> None:
        outcome.durability = assess(
            self._ledger(),
            readings,
            self.environment.regions,
            lost_after_seconds=LOST_AFTER_SECONDS,
        )
        outcome.history = self._history(outcome, readings)
        outcome.consistency = check(outcome.history)
        if self._fences:
            outcome.fence = fenced(outcome.history, [*self._fences], [*self._fences.values()])

    def _read(
        self,
        outcome: Outcome,
        location: ProbeLocation,
        readings: list[Seen],
        region: str,
        seconds: float,
    ) -> None:
        """Read a Region until it shows every acknowledged write, or time is up."""

        def is_whole(reading: Seen) -> bool:
            return not missing(self._history(outcome, readings), reading)

        written = acknowledged(self._ledger())
        readings += location.readings(region, written, seconds, self.log.clock, is_whole=is_whole)

    def _history(self, outcome: Outcome, readings: list[Seen]) -> History:
        assert self._publishing is not None
        events = self.log.events()
        marks: dict[str, float] = {mark.name: mark.at for mark in events.marks}
        if self._moved_at is not None:
            marks["cut-over"] = self._moved_at
        return History(
            environment=self.environment.name,
            started=outcome.started.isoformat(timespec="seconds"),
            fault=self.fault.name,
            regions=self.environment.regions,
            lost=self.scenario.lost,
            taking_over=self.scenario.taking_over,
            isolated=tuple(each.region for each in self.faults if each.isolates),
            discarded=tuple(each.region for each in self.faults if each.loses_writes),
            speed=self.environment.speed,
            lost_after_seconds=LOST_AFTER_SECONDS,
            max_lost_writes=self.limits.max_lost_writes,
            operations=self._publishing.operations(self._ledger()),
            readings=tuple(sorted(readings, key=lambda each: each.at)),
            marks=marks,
            location=self._journal.location_id if self._journal else "",
        )

    def _course(self, outcome: Outcome, location: ProbeLocation, readings: list[Seen]) -> None:
        scenario, speed = self.scenario, self.environment.speed
        patience = patience_seconds(self.environment, self.expectation)
        lost, first = _listed(scenario.lost), _listed(scenario.regions[:1])
        serving = first if scenario.routing_policy == "failover" else "each Region"
        self._notify(f"Sending customers' requests until {serving} serves them")
        if not self._wait(lambda: not self._unserved(0.0, before=True), BASELINE_SECONDS):
            outcome.findings += self._not_served(0.0, BASELINE_SECONDS, "to begin with")
            return
        self._wait(lambda: False, STEADY_SECONDS / speed)
        self._is_carried = self._carries_load()
        if not self._is_carried:
            return
        try:
            self._notify(f"Injecting the fault {self.fault.name} into {lost}")
            self._prepare()
            for fault in self.faults:
                fault.precede(self.environment, self._meanwhile)
            self._meanwhile()
            injected = self.log.mark("injecting")
            for fault in self.faults:
                fault.inject(self.environment)
            self.log.mark("injected")
            self._watched_at = time.monotonic()
            self._lost(outcome, location, readings, injected, patience)
        finally:
            self._watched_at = None
            assert self._publishing is not None
            self._publishing.end()
            restoring = self.log.mark("restoring")
            steps = [clearing(self.environment, fault) for fault in self.faults]
            are_cleared = [self._undo(outcome, step) for step in (*steps, *self._failing_back())]
            self.log.mark("restored")
        if not all(are_cleared):
            return
        back = scenario.coming_back or scenario.lost
        self._notify(f"Waiting until {_serve(back)} again: {patience:.0f} s at most")
        is_back = self._wait(lambda: self._is_back(restoring), patience)
        if is_back or self._is_answered(restoring):
            self._wait(lambda: False, SETTLE_SECONDS / speed)
        else:
            outcome.findings += self._not_served(
                restoring, patience, "after the restore", before=True
            )

    def _lost(
        self,
        outcome: Outcome,
        location: ProbeLocation,
        readings: list[Seen],
        injected: float,
        patience: float,
    ) -> None:
        """Wait until whoever is to move has moved, and the loss was detected in any case."""
        scenario = self.scenario
        if scenario.taking_over:
            what = f"{_serve(scenario.taking_over, ' or ')}"
        else:
            what = f"the loss of {_listed(scenario.lost)} is detected"
        self._notify(f"Waiting until {what}: {patience:.0f} s at most")
        if not self._wait(lambda: self._has_moved(injected), patience):
            outcome.findings += self._not_served(injected, patience, "after the fault")
            return
        if scenario.taking_over:
            self._notify(f"{what}: looking for every acknowledged write there")
            self._moved_at = self.log.clock()
        seconds = 0.0 if self.fault.isolates else CUT_OVER_SECONDS
        for region in scenario.taking_over:
            self._read(outcome, location, readings, region, seconds)
        if self.fault.serves_inside:
            # A fast sandbox fails over and back before the publishers have met at one item.
            self._wait(lambda: self._conflicts(injected), CUT_OVER_SECONDS)
        self._fence(outcome)
        self._wait(lambda: False, HOLD_SECONDS / self.environment.speed)
        if self.load and scenario.left:
            hold = load_hold_seconds(self.environment, self.expectation)
            self._wait(lambda: self._load_has_moved(injected), hold)
        if self.fault.isolates:
            readings += [location.seen(region, self.log.clock) for region in scenario.left]
            outcome.held_back = self._held_back()
        self._stay_failed_over(outcome)

    def _conflicts(self, injected: float) -> bool:
        """Whether all publishers have written the same item since the fault."""
        assert self._publishing is not None
        written = [
            {each.key for each in publisher.operations() if each.ok and each.sent_at >= injected}
            for publisher in self._publishing.publishers
        ]
        return bool(set[str].intersection(*written))

    def _fence(self, outcome: Outcome) -> None:
        """Let lost Regions refuse writes, if asked to, until some have been refused there."""
        for fault in self.faults:
            if not (fault.fence and self.scenario.taking_over):
                continue
            self._notify(f"Fencing {fault.region}, which no customer is to write to any more")
            try:
                self._fences[fault.region] = fault.put_up_fence(self.environment)
            except OpsError as error:
                outcome.findings.append(f"{fault.region} was not fenced: {explain(error)}")
        if not self._fences:
            return
        at = self.log.mark(FENCED)
        pace = Pace.of(self.environment)
        seconds = SEEN_AFTER_SECONDS + 10 * pace.interval_seconds + pace.timeout_seconds

        def is_seen() -> bool:
            assert self._publishing is not None
            refused = sum(
                each.sent_at >= at and each.region in self._fences and is_refused(each)
                for each in self._publishing.operations(())
            )
            return self.log.clock() >= at + SEEN_AFTER_SECONDS and refused >= REFUSALS

        self._wait(is_seen, seconds)

    def _held_back(self) -> int | None:
        """What the sandbox says has not left lost Regions; nobody can say so on AWS."""
        injection = self.environment.fault_injection
        # It is shown beside what was measured, and missing there if it cannot be read.
        with suppress(OpsError):
            if injection:
                return sum(
                    each.writes
                    for each in injection.replication()
                    if each.source in self.scenario.lost
                )
        return None

    def _carries_load(self) -> bool:
        """Wait until the Regions carry the load; whether they do."""
        if self.load is None:
            return True
        most, begun = self.load.max_failed_share, self.log.events().when("started") or 0.0

        def is_carried() -> bool:
            last = self._load_of_last(loads.BASELINE_SECONDS)
            is_warm = self.log.clock() >= begun + loads.STEADY_SECONDS
            return is_warm and share_failed(last) <= most

        self._notify(f"Waiting until the Regions carry the load: {self.load}")
        return self._wait(is_carried, loads.STEADY_SECONDS + BASELINE_SECONDS)

    def _load_has_moved(self, injected: float) -> bool:
        """Whether no request of the load was sent to a lost Region for a while."""
        # Where an attempt was sent to is known when it has ended.
        seconds = loads.HOLD_SECONDS + Pace.of(self.environment).timeout_seconds
        last = self._load_of_last(seconds)
        is_over = self.log.clock() >= injected + seconds
        return is_over and bool(last) and not any(a.region in self.scenario.lost for a in last)

    def _load_of_last(self, seconds: float) -> list[Attempt]:
        since = self.log.clock() - seconds
        return [each for each in self._traffic().attempts if each.sent_at >= since]

    def _stay_failed_over(self, outcome: Outcome) -> None:
        """With manual failback, clear the faults, and see that customers stay where they are."""
        customers = self.scenario.customers[0]
        if not (self._failing_back() and customers.leaves and customers.after):
            return
        if isinstance(self.fault, SwitchFault):
            # An evacuation of the drill's own is no failover: to clear it is to restore the Region.
            return
        steps = [clearing(self.environment, fault) for fault in self.faults]
        are_cleared = [self._undo(outcome, step) for step in steps]
        if not all(are_cleared):
            return
        cleared, seconds = self.log.clock(), stay_seconds(self.environment, self.expectation)
        (primary,) = customers.before
        self._notify(f"Waiting for {seconds:.0f} s: {primary} must not serve until it is restored")
        if self._wait(
            lambda: self._serves(self.log.events(), customers, cleared, before=True), seconds
        ):
            outcome.findings.append(
                f"{primary} served again before it was restored, and failback is manual"
            )

    def _failing_back(self) -> tuple[Step, ...]:
        if self._journal is None:
            return ()
        return tuple(failing_back(self.environment, self._journal.started).values())

    def _prepare(self) -> None:
        """Journal what clearing the faults needs, as it is now; only then they are injected."""
        assert self._journal is not None
        self.fault, *further = (fault.prepared(self.environment) for fault in self.faults)
        self.further = tuple(further)
        self._journal = replace(self._journal, fault=self.fault, further=self.further)
        journals.replace(self.environment.journal_file, self._journal)
        self.lock.annotate(self._journal.to_text())
        self.lock.check()

    def _restore(self, outcome: Outcome, location: ProbeLocation) -> None:
        """Restore everything, again where it failed before; then only forget the journal."""
        outcome.left.clear()
        outcome.by_hand.clear()
        # Once more if it was cleared: its injection may have been under way for longer.
        for fault in self.faults:
            self._undo(outcome, clearing(self.environment, fault))
        try:
            self._stop()
        except Exception as error:  # what was measured is lost, and the rest is restored
            outcome.findings.append(f"the measurement has failed: {explain(error)}")
        written = self._publishing.operations(self._ledger()) if self._publishing else ()
        settled = settled_at(written, self.environment.speed)
        time.sleep(max(0.0, settled - self.log.clock()))
        self._notify("Deleting the drill's observations")
        for region in self.environment.regions:
            self._undo(outcome, deletion(location, region))
        # Once more, too: it may have failed over just when the drill was interrupted.
        for step in self._failing_back():
            self._undo(outcome, step)
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

    def _unserved(self, since: float, *, before: bool = False) -> list[Customers]:
        """Customers whom those who should, before the loss or after it, do not serve yet."""
        events = self.log.events()
        return [
            each
            for each in self.scenario.customers
            if (before or each.after) and not self._serves(events, each, since, before=before)
        ]

    def _serves(
        self, events: Events, customers: Customers, since: float, *, before: bool = False
    ) -> bool:
        requests = [r for r in events.requests if r.near == customers.near and r.sent_at >= since]
        regions = customers.before if before else customers.after
        if before and since and customers.varies:
            served = {r.region for r in requests if r.ok}
            if not served >= {*customers.leaves}:
                return False
        if not before and customers.varies and customers.leaves:
            answers = [seen for seen in events.dns if seen.near == customers.near]
            changed = dns_changed(answers, customers, since, float("inf"))
            if changed is None or sum(seen.at >= changed.at for seen in answers) < MOST_ANSWERS:
                return False
            requests = [r for r in requests if r.sent_at >= changed.at]
        return first_of_successes(requests, regions, consecutive=customers.consecutive) is not None

    def _has_moved(self, injected: float) -> bool:
        if self._unserved(injected):
            return False
        if self.scenario.taking_over and len(self.scenario.lost) == 1:
            return True
        watched, detected = detection(self.log.events(), self.scenario)
        if watched:
            return detected is not None
        # Where health checks cannot be seen, so long Route 53 may take.
        return self.log.clock() >= injected + self.expectation.seconds / self.environment.speed

    def _is_back(self, restoring: float) -> bool:
        if self._unserved(restoring, before=True):
            return False
        if self.scenario.coming_back == self.scenario.lost:
            return True
        states = {seen.check: seen.healthy for seen in self.log.events().health}
        checks = [record_check(region) for region in self.scenario.lost]
        if any(check in states for check in checks):
            return all(states.get(check, False) for check in checks)
        return self.log.clock() >= restoring + self.expectation.seconds / self.environment.speed

    def _is_answered(self, restoring: float) -> bool:
        """Whether DNS names the lost Regions again, if it was by chance to no customer here."""
        answers = [seen for seen in self.log.events().dns if seen.at >= restoring]
        varying = [each for each in self.scenario.customers if each.varies]
        return bool(varying) and all(
            {seen.region for seen in answers} >= {*each.leaves} for each in varying
        )

    def _not_served(
        self, since: float, seconds: float, when: str, *, before: bool | None = None
    ) -> list[str]:
        """Say what did not happen, a sentence for the customers of each place."""
        before = since == 0.0 if before is None else before
        speed, found = self.environment.speed, []
        for each in self._unserved(since, before=before):
            regions = each.before if before else each.after
            requests = [r for r in self.log.events().requests if r.near == each.near]
            who = f" ({each})" if each.near else ""
            found.append(not_served(requests, _listed(regions, " or ") + who, seconds, speed, when))
        return found or [
            f"the health checks of {_listed(self.scenario.lost)} were not all "
            f"{'healthy' if before else 'unhealthy'} within {seconds:.0f} s here "
            f"({seconds * speed:.0f} s on AWS) {when}"
        ]

    def _measure(self, events: Events) -> Measurements:
        return measure(
            events,
            self.scenario,
            interval_seconds=Pace.of(self.environment).interval_seconds,
            fails_requests=self.fault.fails_requests,
            ttl_seconds=self.expectation.ttl_seconds / self.environment.speed,
        )

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            self._meanwhile()
            if time.monotonic() > deadline:
                return False
            self._watch_faults()
            time.sleep(POLL_SECONDS)
        return True

    def _meanwhile(self) -> None:
        """Show what was seen; end the drill if its lock was taken, as by `switch evacuate`.

        Raises:
            LockedError: It was.
        """
        if self.lock.lost:
            raise LockedError(self.lock.lost, next_step="run the drill again later")
        with suppress(Exception):
            self.tick(self.log.events())

    def _watch_faults(self) -> None:
        """End the drill if a fault has ended before it was cleared: what follows would not be its.

        Raises:
            OpsError: One has.
        """
        now = time.monotonic()
        if self._watched_at is None or now < self._watched_at + WATCH_SECONDS:
            return
        self._watched_at = now
        for fault in self.faults:
            reason = ""
            with suppress(OpsError):
                reason = fault.ended(self.environment)
            if reason:
                raise OpsError(reason, next_step="see the report, and run the drill again")

    def _notify(self, line: str) -> None:
        # Nothing that happens to the terminal may keep the drill from restoring.
        with suppress(Exception):
            self.notify(line)


def _listed(regions: Sequence[str], word: str = " and ") -> str:
    return word.join(regions)


def _serve(regions: Sequence[str], word: str = " and ") -> str:
    return f"{_listed(regions, word)} {'serve' if word == ' and ' and regions[1:] else 'serves'}"
