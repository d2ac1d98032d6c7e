"""Drills that are killed at any moment: what is left is named and restored, and nothing else."""

import json
import os
import pty
import random
import shlex
import subprocess
import sys
import time

import pytest
from local_api import run_ops, start_ops
from repository_files import REPOSITORY

from ops import lock as locks
from ops import switch
from ops.cli.program import INTERRUPTED
from ops.drill.aws_faults import reserved_concurrency
from ops.drill.faults import FAULTS
from ops.drill.probe_location import probe_locations

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

REPETITIONS = int(os.environ.get("DISTURBED_DRILLS", "2"))
LINES = 9
"""A drill prints so many before it ends."""
LONGEST_DELAY_SECONDS = 2.0
PATIENCE_SECONDS = 120
RESERVED = 20
FOREIGN = "drill-0000cafe"
"""A customer's location whose name looks like one of a drill."""
OBSERVED_AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def environment(api):
    return api.local.environment


@pytest.fixture
def foreign(api, environment):
    """What a drill and its restore must not touch."""
    primary = environment.primary
    place = {"name": "Test field", "latitude_degrees": 1, "longitude_degrees": 1}
    assert api.put(primary, f"/locations/{FOREIGN}", place).status in (200, 201)
    path = f"/weather/{FOREIGN}/observations/{OBSERVED_AT}"
    assert api.put(primary, path, {"temperature_celsius": 1}).status in (200, 201)
    # In every Region, as an environment file would set it.
    for region in environment.regions:
        environment.client("lambda", region).put_function_concurrency(
            FunctionName=environment.outputs.health_functions[region],
            ReservedConcurrentExecutions=RESERVED,
        )
    yield (
        lambda: (
            api.get(environment.secondary, f"/weather/{FOREIGN}/observations").json["observations"]
            and all(reserved_concurrency(environment, r) == RESERVED for r in environment.regions)
        )
    )
    for region in environment.regions:
        environment.client("lambda", region).delete_function_concurrency(
            FunctionName=environment.outputs.health_functions[region]
        )
    api.signed("DELETE", primary, path)


def left(environment):
    """The checks that must fail, by what is really there."""
    found = set()
    if environment.fault_injection.faults():
        found.add("leftover.faults")
    if switch.status(environment).engaged:
        found.add("leftover.switch")
    if reserved_concurrency(environment, environment.primary) == 0:
        found.add("leftover.health_function")
    if environment.journal_file.exists():
        found.add("leftover.drill")
    return found


def observations(environment):
    return [
        key
        for location in probe_locations(environment)
        for region in environment.regions
        for key in location.written(region)
    ]


def killed(at, fault, line, delay):
    """A drill that is killed so long after it has printed so many lines."""
    with start_ops("drill", *at, "--fault", fault) as process:
        printed = "".join(process.stdout.readline() for _ in range(line))
        time.sleep(delay)
        process.kill()
        rest, errors = process.communicate()
    assert "Nothing was injected" not in printed + rest, printed + rest + errors


def verified(at):
    """`{check: fix}` of the leftovers that verify names."""
    done = run_ops("verify", *at, "--json")
    findings = json.loads(done.stdout)["findings"]
    return {
        finding["check"]: finding["fix"]
        for finding in findings
        if finding["check"].startswith("leftover.") and finding["outcome"] == "failed"
    }


@pytest.mark.parametrize("seed", range(REPETITIONS))
def test_what_a_killed_drill_leaves_is_named_and_restored_and_nothing_else(
    api, environment, foreign, seed
):
    chance = random.Random(seed)
    fault = chance.choice(list(FAULTS))
    at = ("--folder", str(api.workspace.folder))
    line, delay = chance.randint(1, LINES), chance.uniform(0, LONGEST_DELAY_SECONDS)
    print(f"{fault}, killed {delay:.1f} s after line {line}")

    killed(at, fault, line, delay)

    # What is left is named; while the primary refuses, its observations may be named besides.
    named = verified(at)
    present = left(environment)
    print(f"left: {sorted(present)}; named: {named}")
    assert present <= named.keys()
    assert named.keys() <= present | {"leftover.lock", "leftover.drill"}
    # Restored as verify says; a write that was under way may arrive after the first time.
    for _ in range(3):
        restored = run_ops("drill", *at, "--restore")
        assert restored.returncode == 0, restored.stdout + restored.stderr
        for fix in verified(at).values():
            done = run_ops(*shlex.split(fix)[3:])
            assert done.returncode == 0, done.stdout + done.stderr
        if not verified(at):
            break
    assert left(environment) == set()
    assert observations(environment) == []
    assert locks.read(environment).note == ""
    assert foreign()
    # A drill that was killed before it had a journal leaves the lock alone, for one lease.
    with locks.hold(environment, kind="restore"):
        pass
    assert locks.read(environment) == locks.LockState()


@pytest.mark.parametrize("fault", ["error", "switch", "health-concurrency"])
def test_a_drill_whose_terminal_is_closed_restores_everything(api, environment, foreign, fault):
    terminal, process_side = pty.openpty()
    command = [sys.executable, "-m", "ops", "drill", "--environment", "local", "--fault", fault,
               "--folder", str(api.workspace.folder)]  # fmt: skip
    with subprocess.Popen(
        # The terminal is the process's own: closing it sends SIGHUP, and writing to it fails.
        ["setsid", "--ctty", *command],
        cwd="/", env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=process_side, stdout=process_side, stderr=process_side,
    ) as process:  # fmt: skip
        os.close(process_side)
        printed = ""
        while "Waiting until" not in printed:
            try:
                printed += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                pytest.fail(f"the drill has ended by itself: {printed}")
        os.close(terminal)
        process.wait(PATIENCE_SECONDS)

    assert process.returncode == INTERRUPTED
    assert left(environment) == set()
    assert observations(environment) == []
    assert locks.read(environment) == locks.LockState()
    assert foreign()
