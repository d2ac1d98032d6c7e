"""Two operators at the same moment, request by request: the state afterwards is that of one order.

tests/e2e/test_two_operators.py starts the same commands as processes, on a sandbox.
"""

import itertools
import os
import random
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import pytest
from fake_environment import EAST, WEST
from faulty_aws import Schedule
from faulty_drill import driller

from ops import lock as locks
from ops import switch
from ops.__main__ import parser
from ops.cli import drill as drill_cli
from ops.cli import restore as restore_cli
from ops.cli import switch as switch_cli
from ops.drill import journal as journals
from ops.drill.aws_faults import HealthConcurrencyFault
from ops.errors import OpsError
from ops.processes import Program

pytestmark = pytest.mark.model

REPETITIONS = int(os.environ.get("OPERATOR_PAIRS", "4"))
LONGEST_PAUSE_SECONDS = 0.004
REASON = "us-east-1 burns"
COMMANDS = {
    "drill": ("drill", "--execute", "--yes", "--fault"),
    "engage": ("switch", "engage", "--yes", "--reason", REASON),
    "release": ("switch", "release", "--yes"),
    "restore": ("drill", "--restore", "--execute", "--yes"),
}
PAIRS = list(itertools.combinations_with_replacement(COMMANDS, 2))
FAULTS = ("switch", "health-concurrency")
RESERVED = 20
DEAD = Program(2**22 + 1, 1.0)
REFUSALS = ("is being changed", "has ended without restoring", "has taken the lock")
OVERTAKEN = "was written, and read back as"
"""It was done, and the other one has changed it before this one looked."""
PATIENCE_SECONDS = 120


class Pauses(Schedule):
    """No request fails, and each waits for a random time: the requests of two threads mix."""

    def __init__(self, chance):
        super().__init__()
        self.chance = chance

    def fault(self, service, region, operation):
        time.sleep(self.chance.choice((0.0, 0.0, self.chance.uniform(0, LONGEST_PAUSE_SECONDS))))


@dataclass(frozen=True)
class State:
    """Whether an operator has evacuated the primary, and whether a killed drill is not restored."""

    evacuated: bool = False
    left: bool = False

    def after(self, command):
        match command:
            case "engage":
                return State(True, self.left)
            case "release":
                return State(False, self.left)
            case "restore":
                return State(self.evacuated, False)
            case _:
                return self


def state(ada):
    found = switch.status(ada.environment, EAST)
    # What a drill has evacuated, it has restored.
    assert not found.evacuated or found.reason == REASON
    left = ada.aws.reserved[EAST] == 0
    assert ada.aws.reserved == {EAST: 0 if left else RESERVED, WEST: RESERVED}
    assert bool(locks.read(ada.environment).note) == left
    return State(found.evacuated, left)


def leave(environment):
    """What a drill leaves that was killed."""
    fault = HealthConcurrencyFault(
        id=locks.new_run("drill"), region=EAST, previous=RESERVED, is_prepared=True,
        function=environment.outputs.health_functions[EAST],
    )  # fmt: skip
    journal = journals.Journal(
        environment.name, "2026-01-01T00:00:00+00:00", "laptop-7", DEAD, "drill-0000cafe", fault
    )
    with locks.hold(environment, kind="drill", run=fault.id) as lock:
        journals.begin(environment.journal_file, journal, environment)
        lock.annotate(journal.to_text())
        fault.inject(environment)


@contextmanager
def operators(chance):
    """An environment, and what one operator's command does on either of two machines."""
    # Whoever lives renews it often; a busy machine may keep a thread from that for seconds.
    held = partial(locks.hold, lease=locks.Lease(20.0, 0.05, 0.005))
    with driller(Pauses(chance), patience_seconds=0.1) as ada, ExitStack() as stack:
        for region in (EAST, WEST):
            ada.aws.reserved[region] = RESERVED
        machines = {
            name: ada.aws.environment(folder=ada.folder / name) for name in ("laptop", "desk")
        }
        ada.environment = machines["laptop"]
        for cli in (drill_cli, switch_cli, restore_cli):
            stack.enter_context(patch.object(cli, "hold", held))
            if cli is not restore_cli:
                chosen = patch.object(cli, "environment_from", lambda o: machines[o.folder.name])
                stack.enter_context(chosen)

        def run(machine, command):
            words = [*COMMANDS[command], *([chance.choice(FAULTS)] * (command == "drill"))]
            folder = ["--folder", str(ada.folder / machine), "--environment", "production"]
            options = parser().parse_args([*words, *folder])
            try:
                options.run(options)
            except OpsError as error:
                refusal = str(error)
                if OVERTAKEN in refusal:
                    return ""
                if any(words in refusal for words in REFUSALS):
                    return refusal
                raise
            return ""

        yield ada, run


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_state_afterwards_is_that_of_one_of_the_two_orders(first, second):
    for seed in range(REPETITIONS):
        chance = random.Random(f"{first} {second} {seed}")
        with operators(chance) as (ada, run):
            check(ada, run, (first, second), chance)


def check(ada, run, pair, chance):
    if "release" in pair:
        switch.evacuate(ada.environment, EAST, reason=REASON)
    if "restore" in pair:
        leave(ada.environment)
    before, refused, errors = state(ada), {}, []

    def begin(machine, command, delay):
        time.sleep(delay)
        try:
            refused[machine] = run(machine, command)
        except BaseException as error:
            errors.append(error)

    longest = 0.4 if "drill" in pair else 0.03
    threads = [
        threading.Thread(target=begin, args=(machine, command, chance.uniform(0, longest)))
        for machine, command in zip(("laptop", "desk"), pair, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert errors == []
    effective = [c for m, c in zip(("laptop", "desk"), pair, strict=True) if not refused[m]]
    assert effective, refused
    possible = set()
    for order in itertools.permutations(effective):
        expected = before
        for command in order:
            expected = expected.after(command)
        possible.add(expected)
    assert state(ada) in possible, (before, effective)
    assert locks.read(ada.environment).run == ""
    assert not any(held for stored in ada.aws.network.stored.values() for held in stored.values())
