"""Drills that are disturbed at any moment: what is left is named and restored, and nothing else."""

import json
import os
import random
import select
import shlex
import signal
import time
from contextlib import suppress
from functools import partial

import pytest
from disturbances import ON_SIGNAL, awaited, disturb
from drills import EVERYWHERE
from warm_ops import short_drill

from ops import lock as locks
from ops import switch
from ops.cli.program import INTERRUPTED
from ops.drill.aws_faults import reserved_concurrency
from ops.drill.probe_location import probe_locations
from ops.errors import ExitCode

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

SEEDS = [pytest.param(seed, marks=pytest.mark.soak if seed > 2 else ()) for seed in range(100)]
LINES = 9
"""A drill prints so many before it ends."""
LONGEST_DELAY_SECONDS = 2.0
PATIENCE_SECONDS = 600
KINDS = ("killed", "terminal", "disk", *ON_SIGNAL)
RESERVED = 20
FAULTS = [fault for fault in EVERYWHERE if fault not in ("control-plane", "sts")]
"""Not those that leave APIs of which this suite reads what is left: they respond with 503."""
FOREIGN = "drill-0000cafe"
"""A customer's location whose name looks like one of a drill."""
OBSERVED_AT = "2026-01-01T00:00:00Z"


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
    if switch.status(environment, environment.primary).evacuated:
        found.add("leftover.evacuation")
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


def closed_terminal(commands, words, line, delay):
    """A drill whose terminal is closed so long after it has printed so many lines."""
    terminal, process_side = os.openpty()
    drill = commands.start(*words, terminal=os.ttyname(process_side))
    printed, until = b"", None
    while drill.returncode is None and (until is None or time.monotonic() < until):
        if select.select([terminal], [], [], 0.02)[0]:
            printed += os.read(terminal, 4096)
        if until is None and printed.count(b"\n") >= line:
            until = time.monotonic() + delay
    # The terminal is the process's own: closing it sends SIGHUP, and writing to it fails.
    os.close(terminal)
    os.close(process_side)
    return drill


def disturbed(commands, words, kind, line, delay):
    """A drill that is disturbed so long after it has printed so many lines, when it has ended."""
    if kind == "terminal":
        drill = closed_terminal(commands, words, line, delay)
    else:
        prepare = partial(awaited, kind) if kind in ON_SIGNAL else short_drill
        drill = commands.start(*words, prepare=prepare)
        drill.has_printed(line)
        time.sleep(delay)
        with suppress(ProcessLookupError):
            if drill.returncode is None:
                disturb(kind, drill.pid)
    return drill.completed(PATIENCE_SECONDS)


def verified(commands, at):
    """`{check: fix}` of the leftovers that verify names."""
    done = commands.run("verify", *at, "--json")
    findings = json.loads(done.stdout)["findings"]
    return {
        finding["check"]: finding["fix"]
        for finding in findings
        if finding["check"].startswith("leftover.") and finding["outcome"] == "failed"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_disturbed_drill_leaves_is_named_and_restored_and_nothing_else(
    api, environment, foreign, commands, seed
):
    chance, kind = random.Random(seed), KINDS[seed % len(KINDS)]
    fault = chance.choice(FAULTS)
    at = ("--folder", str(api.workspace.folder))
    line, delay = chance.randint(1, LINES), chance.uniform(0, LONGEST_DELAY_SECONDS)
    print(f"{fault}, {kind}, {delay:.1f} s after line {line}")

    drill = disturbed(commands, ("drill", *at, "--fault", fault), kind, line, delay)

    print(f"{drill.returncode}\n{drill.stdout}{drill.stderr}")
    assert "Traceback" not in drill.stderr
    present = left(environment)
    if kind not in ("killed", "credentials"):
        assert present == set()
        assert observations(environment) == []
    elif kind == "credentials" and present:
        assert drill.returncode == ExitCode.CHECK_FAILED
        only_noted = present == {"leftover.drill"} and "journal cannot be removed" in drill.stdout
        assert "NOT RESTORED" in drill.stdout or only_noted
    if kind == "terminal":
        assert drill.returncode in (INTERRUPTED, -signal.SIGHUP, *ExitCode)
    # What is left is named; while the primary refuses, its observations may be named besides.
    named = verified(commands, at)
    print(f"left: {sorted(present)}; named: {named}")
    assert present <= named.keys()
    assert named.keys() <= present | {"leftover.lock", "leftover.drill"}
    # Restored as verify says; a write that was under way may arrive after the first time.
    for _ in range(3):
        restored = commands.run("drill", *at, "--restore")
        assert restored.returncode == 0, restored.stdout + restored.stderr
        for fix in verified(commands, at).values():
            for command in fix.split("; "):
                done = commands.run(*shlex.split(command)[3:])
                assert done.returncode == 0, done.stdout + done.stderr
        if not verified(commands, at):
            break
    assert left(environment) == set()
    assert observations(environment) == []
    assert locks.read(environment).note == ""
    assert foreign()
    # A drill that was killed before it had a journal leaves the lock alone, for one lease.
    with locks.hold(environment, kind="restore"):
        pass
    assert locks.read(environment) == locks.LockState()
