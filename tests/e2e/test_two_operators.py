"""Two operators, on two machines, at the same moment: the state afterwards is that of one order."""

import itertools
import os
import random
import shutil
import time
from dataclasses import dataclass, replace

import pytest
from repository_files import REPOSITORY

from ops import lock as locks
from ops import switch
from ops.descriptor import descriptor_file
from ops.drill import journal as journals
from ops.drill.probe_location import probe_locations
from ops.drill.sandbox_faults import ErrorFault
from ops.environment_file import EnvironmentFile, key_name
from ops.errors import ExitCode
from ops.key_claims import ITEM_PREFIX
from ops.key_values import KeyFile
from ops.lock_item import key_of
from ops.processes import Program

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

REPETITIONS = int(os.environ.get("OPERATOR_PAIRS", "1"))
COMMANDS = {
    "drill": ("drill", "--fault", "switch"),
    "engage": ("switch", "engage", "--reason", "us-east-1 burns"),
    "release": ("switch", "release"),
    "restore": ("drill", "--restore"),
    "rotate": ("customers", "rotate", "demo"),
}
ALL_PAIRS = list(itertools.combinations_with_replacement(COMMANDS, 2))
OF_EACH_KIND = {("drill", "drill"), ("engage", "release"), ("restore", "rotate")}
"""The rest are in tests/ops/test_operators_at_once.py, without processes, and in `make soak`."""
PAIRS = [
    pytest.param(*pair, marks=() if pair in OF_EACH_KIND else pytest.mark.soak)
    for pair in ALL_PAIRS
]
DRILL_SECONDS = 15.0
CUSTOMER = "demo"
DEAD = Program(2**22 + 1, 1.0)
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class State:
    """What the commands change.

    Attributes:
        engaged: Whether an operator has engaged the switch.
        left: Whether a drill that was killed is not restored.
        keys: How many keys the customer has.
    """

    engaged: bool = False
    left: bool = False
    keys: int = 1

    def after(self, command):
        """The state after a command that is not refused because of another one."""
        match command:
            case "engage":
                return replace(self, engaged=True)
            case "release":
                return replace(self, engaged=False)
            case "restore":
                return replace(self, left=False)
            case "rotate":
                return replace(self, keys=2)
            case _:
                return self


@pytest.fixture
def customers(api, environment, tmp_path, monkeypatch):
    """A copy of the environment file; the values of keys, and claims, are as before afterwards."""
    shutil.copy(REPOSITORY / "environments" / "local.toml", tmp_path)
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
    file = environment.descriptor.sandbox.api_keys_file
    before = file.read_bytes()
    yield lambda: EnvironmentFile.of("local").customer(CUSTOMER)
    file.write_bytes(before)
    for number in (2, 3):
        environment.client("dynamodb", environment.secondary).delete_item(
            TableName=environment.table(environment.secondary),
            Key=key_of(environment, f"{ITEM_PREFIX}{key_name(CUSTOMER, number)}"),
        )


@pytest.fixture
def machines(api, environment, tmp_path):
    """Two folders with the descriptor: each machine has its own journals."""
    other = tmp_path / "other"
    other.mkdir()
    folder = api.workspace.folder
    shutil.copy(descriptor_file(folder, environment.name), other)
    return folder, other


def leave(environment):
    """What a drill leaves on this machine that was killed."""
    fault = ErrorFault(id=locks.new_run("drill"), region=environment.primary, status=503)
    [location, *_] = probe_locations(environment)
    journal = journals.Journal(
        environment.name, "2026-01-01T00:00:00+00:00", "laptop-7", DEAD, location.location_id, fault
    )
    with locks.hold(environment, kind="drill", run=fault.id) as lock:
        journals.begin(environment.journal_file, journal, environment)
        lock.annotate(journal.to_text())
        fault.inject(environment)


def state(environment, customers):
    engaged = switch.status(environment, environment.primary)
    assert not engaged.evacuated or engaged.reason == "us-east-1 burns"
    left = (
        bool(environment.fault_injection.faults()),
        bool(locks.read(environment).note),
    )
    assert len(set(left)) == 1, left
    return State(engaged.evacuated, left[0], len(customers().numbers))


def is_refused(done):
    words = ("is being changed", "runs already", "runs, as process", "has ended without restoring")
    return done.returncode == ExitCode.PREREQUISITE and any(each in done.stderr for each in words)


@pytest.fixture
def restored(api, environment, commands):
    """Whatever a test leaves is restored for the next one."""
    yield
    switch.restore(environment, environment.primary)
    done = commands.run("drill", "--restore", "--folder", str(api.workspace.folder))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", range(REPETITIONS))
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_state_afterwards_is_that_of_one_of_the_two_orders(
    environment, customers, machines, commands, restored, first, second, seed
):
    chance = random.Random(f"{first} {second} {seed}")
    pair = (first, second)
    if not list(probe_locations(environment)):
        commands.run("drill", "--fault", "switch", "--folder", str(machines[0]))
    # GIVEN what the commands need
    if "release" in pair:
        switch.evacuate(environment, environment.primary, reason="us-east-1 burns")
    if "restore" in pair:
        leave(environment)
    before = state(environment, customers)

    # WHEN both are started, one of them later
    longest = DRILL_SECONDS if "drill" in pair else 1.0
    delays = chance.sample([0.0, chance.uniform(0, longest)], 2)
    started = []
    for command, folder, delay in sorted(
        zip(pair, machines, delays, strict=True), key=lambda each: each[2]
    ):
        time.sleep(delay)
        started.append((command, commands.start(*COMMANDS[command], "--folder", str(folder))))
    for command, process in started:
        process.completed(PATIENCE_SECONDS)
        print(f"--- {command}: {process.returncode}\n{process.stdout}{process.stderr}")
    for _, process in started:
        assert "Traceback" not in process.stderr

    # THEN those that were not refused have had their effect, in one order or the other
    effective = [command for command, process in started if not is_refused(process)]
    assert effective
    possible = set()
    for order in itertools.permutations(effective):
        expected = before
        for command in order:
            expected = expected.after(command)
        possible.add(expected)
    assert state(environment, customers) in possible
    assert locks.read(environment).run == ""
    assert not any(
        location.written(region)
        for location in probe_locations(environment)
        for region in environment.regions
        if not before.left
    )
    names = KeyFile(environment.descriptor.sandbox.api_keys_file, "local").values()
    assert {f"{CUSTOMER}-{number}" for number in customers().numbers} <= names.keys()
