"""Whatever happens in a drill, at whatever moment: nothing is left, or it is named and restorable.

Every call of a drill to the outside passes `World.call`, which disturbs one of them, or all from
there on.
"""

import errno
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from fake_drill import EAST, WEST, FakeLocks, FakeSwitch, Silent, sandbox_environment

from ops import lock as locking
from ops import switch
from ops.drill import journal as journals
from ops.drill import restore as restoring
from ops.drill import run as running
from ops.drill import steps
from ops.drill.expectation import expect
from ops.drill.faults import choose
from ops.drill.history import Seen
from ops.drill.interrupts import ENDING, Interrupts
from ops.drill.outcome import Limits
from ops.drill.publisher import Publisher
from ops.drill.run import Drill
from ops.fault_injection import Fault
from ops.processes import Program

pytestmark = pytest.mark.unit

CASES = 240
FAULTS = ("switch", "health-concurrency", "error", "region-loss", "replication-paused")
DISTURBANCES = (
    *("killed", "signal", "signals", "denied", "strange", "expired", "terminal", "disk", "clock"),
    *("evacuated", "reserved", "api down", "fault denied", "table down"),
)
DEAD = Program(2**22 + 1, 1.0)
RUN = "drill-20260101T000000Z-00000001"
EXPECTATION = expect(interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=6)
FOREIGN = Fault(WEST, "slow", delay_seconds=1.0)


class Killed(BaseException):
    """The process has ended: nothing that it would do afterwards is done."""


class World:
    """Everything outside of the drill's process.

    Attributes:
        at: Number of the call that is disturbed.
        disturbance: One of `DISTURBANCES`; empty for none.
    """

    def __init__(self, random, disturbance, at):
        self.random, self.disturbance, self.at = random, disturbance, at
        self.calls, self.is_off, self.clock_offset = 0, False, 0.0
        self.switch, self.locks, self.environment = FakeSwitch(), FakeLocks(), None
        self.observations = Counter()
        self.lock, self.touched = None, set()

    def call(self, what, effect, *arguments, **options):
        """One call: of `api`, `fault`, `table`, `journal` or `terminal`."""
        if self.is_off:
            return effect(*arguments, **options)
        self.calls += 1
        is_now, is_since = self.calls == self.at, self.calls >= self.at > 0
        done = self.random.random() < 0.5 and (effect(*arguments, **options),)
        if is_now:
            self.once()
        if is_since:
            self.since(what)
        return done[0] if done else effect(*arguments, **options)

    def once(self):
        match self.disturbance:
            case "signal" | "terminal":
                signal.raise_signal(self.random.choice(ENDING))
            case "denied":
                raise client_error("AccessDeniedException")
            case "strange":
                raise RuntimeError("unheard of")
            case "clock":
                self.clock_offset = self.random.choice((-3600.0, 3600.0))
            case "evacuated":
                self.switch.evacuate(None, EAST, reason="us-east-1 burns")
                self.lock.lost = "interrupted by switch evacuate"
            case "reserved":
                self.environment.session.reserved[EAST] = 3

    def since(self, what):
        match self.disturbance, what:
            case "killed", _:
                raise Killed
            case "signals", _:
                signal.raise_signal(self.random.choice(ENDING))
            case "expired", "api" | "fault" | "table":
                raise client_error("ExpiredTokenException")
            case ("api down", "api") | ("table down", "table"):
                raise client_error("InternalServerError")
            case "fault denied", "fault":
                raise client_error("AccessDeniedException")
            case "terminal", "terminal":
                raise OSError(errno.EIO, "Input/output error")
            case "disk", "journal" | "terminal":
                raise OSError(errno.ENOSPC, "No space left on device")

    def watched(self, what, function):
        return lambda *arguments, **options: self.call(what, function, *arguments, **options)


def client_error(code):
    return ClientError({"Error": {"Code": code, "Message": code}}, "AnyOperation")


class Location:
    """A location of the API, which holds observations in every Region."""

    def __init__(self, world, location_id):
        self.world, self.location_id = world, location_id

    def register(self):
        self.world.call("api", self._write)

    def _write(self):
        for region in (EAST, WEST):
            self.world.observations[self.location_id, region] = 3

    def seen(self, region, clock):
        return self.world.call("api", Seen, region, clock(), clock(), {})

    def readings(self, region, keys, _seconds, clock, **_):
        at = clock()
        return [self.world.call("api", Seen, region, at, at, dict.fromkeys(keys, ()))]

    def written(self, region, *, retry_seconds):
        return range(self.world.observations[self.location_id, region])

    def empty(self, region):
        return self.world.call("api", self.world.observations.pop, (self.location_id, region), 0)


@pytest.fixture
def world_of(monkeypatch, tmp_path):
    """Makes a world in which a drill runs."""
    monkeypatch.setattr(running, "Probe", Silent)
    monkeypatch.setattr(running, "Watch", Silent)
    monkeypatch.setattr(Publisher, "start", lambda _: None)
    monkeypatch.setattr(Drill, "_serves", lambda *_, **__: True)
    for name in ("STEADY_SECONDS", "HOLD_SECONDS", "SETTLE_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(running, name, 0)
    passed = count(0, steps.RETRY_SECONDS / 3)
    monkeypatch.setattr(
        steps, "time", SimpleNamespace(monotonic=lambda: next(passed), sleep=lambda _: None)
    )
    monkeypatch.setattr(restoring, "current_speed", lambda environment: environment.speed)
    monkeypatch.setattr(journals, "this_program", lambda: DEAD)
    fsync, wall_clock = journals.os.fsync, time.time

    def make(random, disturbance, at):
        world = World(random, disturbance, at)
        world.environment = environment = sandbox_environment(tmp_path)
        environment.journal_file.unlink(missing_ok=True)
        for name in ("status", "evacuate", "restore"):
            function = getattr(world.switch, name)
            monkeypatch.setattr(switch, name, world.watched("fault", function))
        client = environment.session.client
        environment.session.client = lambda *given, **options: Watched(
            world, "fault", client(*given, **options)
        )
        for name in ("inject", "clear", "faults", "discard", "replication"):
            function = getattr(environment.fault_injection, name)
            monkeypatch.setattr(environment.fault_injection, name, world.watched("fault", function))
        monkeypatch.setattr(locking, "read", world.watched("table", world.locks.read))
        monkeypatch.setattr(restoring, "ProbeLocation", lambda _, id: Location(world, id))
        location = Location(world, "drill-00000001")
        monkeypatch.setattr(running, "free_location", lambda _: (location, False))
        monkeypatch.setattr(journals.os, "fsync", world.watched("journal", fsync))
        monkeypatch.setattr(time, "time", lambda: wall_clock() + world.clock_offset)
        environment.fault_injection.injected["foreign"] = FOREIGN
        world.observations["drill-00000009", EAST] = 5
        return world

    return make


class Watched:
    """A client every call of which passes the world."""

    def __init__(self, world, what, client):
        self._world, self._what, self._client = world, what, client

    def __getattr__(self, name):
        return self._world.watched(self._what, getattr(self._client, name))


class WatchedLock:
    """The lock of the drill, every call to which passes the world."""

    def __init__(self, world, lock):
        self._world, self._lock = world, lock

    def annotate(self, note):
        return self._world.call("table", self._lock.annotate, note)

    def check(self):
        return self._world.call("table", self._lock.check)

    def __getattr__(self, name):
        return getattr(self._lock, name)


def drilled(world, name):
    """The outcome of a drill; None if it ended otherwise."""
    fault = choose(world.environment, name, RUN, {})
    world.lock = world.locks.held(RUN, world.environment)
    terminal = world.watched("terminal", lambda *_: None)
    with suppress(Killed, Exception, KeyboardInterrupt), Interrupts(terminal) as interrupts:
        return Drill(
            world.environment, fault, EXPECTATION, Limits(1000), WatchedLock(world, world.lock),
            interrupts, notify=terminal, tick=terminal,
        ).run()  # fmt: skip
    return None


def left_by_the_drill(world, *reserved):
    """What the drill has changed and not restored; `reserved` are the concurrencies to expect."""
    environment, state = world.environment, world.switch.state
    found = [f"fault {id}" for id in environment.fault_injection.injected if id.startswith(RUN)]
    found += ["switch"] if state.evacuated and state.writer == RUN else []
    found += ["concurrency"] if environment.session.reserved.get(EAST) not in reserved else []
    found += [
        f"observations in {region}"
        for (location_id, region), count in world.observations.items()
        if location_id == "drill-00000001" and count
    ]
    return found


@pytest.mark.parametrize("seed", range(CASES))
def test_nothing_is_left_or_it_is_named_and_restored(world_of, seed):
    chance = random.Random(seed)
    name, disturbance = chance.choice(FAULTS), DISTURBANCES[seed % len(DISTURBANCES)]
    # GIVEN how many calls an undisturbed drill makes
    undisturbed = world_of(random.Random(seed), "", 0)
    assert drilled(undisturbed, name).passed
    assert left_by_the_drill(undisturbed, None) == []

    # WHEN one of them, or all from there on, are disturbed
    world = world_of(random.Random(seed), disturbance, chance.randint(1, undisturbed.calls))
    reserved = [chance.choice((None, 7))]
    if reserved[0]:
        world.environment.session.reserved[EAST] = reserved[0]
    outcome = drilled(world, name)
    world.is_off = True
    if disturbance == "reserved":
        # Lambda has no conditional requests: of two changes at the same moment, one wins.
        reserved.append(3)

    # THEN what is left is named, in the journal for any machine and by the exit code
    left = left_by_the_drill(world, *reserved)
    known = {journal.run for journal in journals.known(world.environment)}
    if left:
        assert known == {RUN}
        assert outcome is None or outcome.left
    if outcome and outcome.left:
        assert not outcome.passed
    if disturbance in ("signal", "signals", "denied", "strange", "clock", "evacuated", "reserved"):
        assert left == []
    # AND a restore from here finishes it
    planned = restoring.plan(world.environment)
    lock = world.locks.held("restore-1", world.environment)
    assert restoring.restore(world.environment, lock, planned).failed == []
    assert left_by_the_drill(world, *reserved) == []
    assert journals.known(world.environment) == ()
    assert not restoring.plan(world.environment).is_needed
    # AND nothing of anybody else was touched
    assert world.environment.fault_injection.injected == {"foreign": FOREIGN}
    assert world.observations["drill-00000009", EAST] == 5
    assert world.switch.state.evacuated == (disturbance == "evacuated")
