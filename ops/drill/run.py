"""The drill: preflight, break, wait, restore whatever happens, wait again, count what was lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ops.drill import journal as journals
from ops.drill.events import Events, Log
from ops.drill.expectation import Expectation
from ops.drill.injection import Injection, describe, inject, undo
from ops.drill.interrupts import interruptible, uninterrupted
from ops.drill.ledger import Durability, Look, acknowledged
from ops.drill.measure import Measurements, first_of_successes, measure
from ops.drill.outcome import Limits, Outcome, Pace, judge, not_served
from ops.drill.probe import Customer, Probe
from ops.drill.resolver import CachingResolver, RegionMap, target_addresses
from ops.drill.station import Station, new_station
from ops.drill.watch import Watch, record_check
from ops.environment import Environment
from ops.errors import OpsError

POLL_SECONDS = 0.1
BASELINE_SECONDS = 30.0
STEADY_SECONDS = 30.0
"""How long the primary serves before it is broken, at AWS's pace: so long is written there."""
HOLD_SECONDS = 20.0
"""How long the standby serves before the fault is mended, at AWS's pace."""
SETTLE_SECONDS = 20.0
"""How long the primary serves before the drill ends, at AWS's pace."""


@dataclass
class Drill:
    """One drill of one environment.

    Attributes:
        environment: The environment, verified.
        fault: Name of the fault.
        injection: What is broken.
        expectation: What the failover may take.
        limits: What it must keep.
        folder: Folder of all drills.
        tell: Called with a line at every step.
        tick: Called while it waits, with all that was seen.
    """

    environment: Environment
    fault: str
    injection: Injection
    expectation: Expectation
    limits: Limits
    folder: Path
    tell: Callable[[str], None] = lambda _: None
    tick: Callable[[Events], None] = lambda _: None
    log: Log = field(default_factory=Log)

    def run(self) -> Outcome:
        """Runs it.

        Returns:
            What it found; also after Ctrl-C, with all put right.

        Raises:
            OpsError: Another drill runs or has died, or the environment cannot be worked with.
        """
        environment = self.environment
        path = journals.journal_file(self.folder, environment.name)
        journals.refuse_if_any(path, environment.name)
        started = datetime.now(UTC)
        outcome = Outcome(
            environment=environment.name,
            primary=environment.primary,
            standby=environment.standby,
            speed=environment.speed,
            fault=self.fault,
            broken=describe(self.injection),
            limits=self.limits,
            started=started,
            expectation=self.expectation,
            pace=Pace.at_speed(environment.speed),
        )
        station, known = new_station(environment)
        journals.begin(
            path,
            journals.Journal(
                environment.name,
                started.isoformat(timespec="seconds"),
                journals.this_program(),
                station.location_id,
                self.injection,
            ),
        )
        clean = False
        try:
            with interruptible():
                if not known:
                    station.register()
                self._measured(outcome, station)
        except KeyboardInterrupt:
            outcome.interrupted = True
        finally:
            with uninterrupted(self.tell):
                clean = self._clean(outcome, station)
                if clean:
                    path.unlink(missing_ok=True)
        outcome.findings += judge(outcome)
        return outcome

    def _measured(self, outcome: Outcome, station: Station) -> None:
        regions = RegionMap(lambda: target_addresses(self.environment))
        customer = Customer(
            station,
            CachingResolver(self.environment.network.resolve),
            regions,
            outcome.pace.timeout_seconds,
        )
        probe = Probe(customer, self.log, outcome.pace.interval_seconds)
        watch = Watch(self.environment, regions, self.log, outcome.pace.interval_seconds)
        looks: list[Look] = []
        self.log.mark("started")
        probe.start()
        watch.start()
        try:
            self._course(outcome, station, looks)
        finally:
            with uninterrupted(self.tell):
                self.log.mark("ended")
                probe.stop()
                watch.stop()
                outcome.events = self.log.events()
                outcome.measurements = self._measure(outcome.events)
                keys = acknowledged(outcome.events.requests)
                writes = sum(r.kind == "write" for r in outcome.events.requests)
                cut_over = looks[0] if looks else None
                outcome.durability = Durability(len(keys), writes - len(keys), cut_over)
        self.tell(f"Looking for {len(keys)} acknowledged writes in every Region")
        end = tuple(station.look_for(region, keys) for region in self.environment.regions)
        outcome.durability = replace(outcome.durability, end=end)

    def _course(self, outcome: Outcome, station: Station, looks: list[Look]) -> None:
        primary, standby = self.environment.primary, self.environment.standby
        speed = self.environment.speed
        patience = 2 * self.expectation.seconds / speed
        self.tell(f"Customers call: waiting until {primary} serves them")
        if not self._wait(lambda: self._serves(primary, since=0.0), BASELINE_SECONDS):
            outcome.findings.append(self._not_served(primary, BASELINE_SECONDS, "to begin with"))
            return
        self._wait(lambda: False, STEADY_SECONDS / speed)
        try:
            self.tell(f"Breaking {primary}: {self.fault}")
            injected = self.log.mark("injecting")
            inject(self.environment, self.injection)
            self.log.mark("injected")
            self.tell(f"Waiting until {standby} serves: {patience:.0f} s at most")
            if self._wait(lambda: self._serves(standby, since=injected), patience):
                self.tell(f"{standby} serves: looking for every acknowledged write there")
                keys = acknowledged(self.log.events().requests)
                looks.append(station.look_for(standby, keys))
                self._wait(lambda: False, HOLD_SECONDS / speed)
            else:
                outcome.findings.append(self._not_served(standby, patience, "after the fault"))
        finally:
            with uninterrupted(self.tell):
                restoring = self.log.mark("restoring")
                self._undo(outcome)
                self.log.mark("restored")
        self.tell(f"Waiting until {primary} serves again: {patience:.0f} s at most")
        if self._wait(lambda: self._serves(primary, since=restoring), patience):
            self._wait(lambda: False, SETTLE_SECONDS / speed)
        else:
            outcome.findings.append(self._not_served(primary, patience, "after the restore"))

    def _undo(self, outcome: Outcome) -> None:
        try:
            outcome.restored.append(undo(self.environment, self.injection))
        except OpsError as error:
            outcome.findings.append(
                f"not put right: {error.args[0]}. Put it right with: "
                f"python -m ops drill --environment {self.environment.name} --restore"
            )
            return
        self.tell(f"Put right: {outcome.restored[-1]}")

    def _clean(self, outcome: Outcome, station: Station) -> bool:
        """Deletes what was written; whether nothing at all is left to put right."""
        self.tell("Deleting the drill's observations")
        left = False
        for region in self.environment.regions:
            try:
                if count := station.clear(region):
                    outcome.restored.append(f"deleted {count} observations in {region}")
            except OpsError as error:
                left = True
                self.tell(f"Not deleted: {error}")
        broken = any(finding.startswith("not put right") for finding in outcome.findings)
        return not left and not broken

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
            standby=self.environment.standby,
            primary_check=record_check(self.environment.primary),
        )

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            self.tick(self.log.events())
            time.sleep(POLL_SECONDS)
        return True
