"""Programs that a benchmark runs as whole processes, and what their runs took."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Program:
    """One command that is measured.

    Attributes:
        name: Of its folder, and in `Runs`.
        label: In the report.
        command: What is run, in its folder.
        environment: Environment variables beside those of this program.
        most_rounds: It is left out of the rounds after these; None for none.
        forget: Folder that is removed before every run.
    """

    name: str
    label: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    most_rounds: int | None = None
    forget: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one run took: seconds, and the memory of the largest process of its tree."""

    seconds: float
    peak_bytes: int


Runs = dict[str, list[Run]]
"""Runs by the program's name, one for each round from the first on."""


class BenchmarkError(Exception):
    """A program failed, or does not synthesize what it must."""


class Bench:
    """The temporary folder that programs run in, each in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "bindings-cache"

    def run(self, program: Program) -> Run:
        """Run a program to its end.

        Raises:
            BenchmarkError: It failed; the message ends with what it printed.
        """
        if program.forget:
            shutil.rmtree(program.forget, ignore_errors=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            # As on a user's machine: with bytecode caches, and nothing set.
            if not name.startswith(("PYTHON", "NODE_", "JSII_", "CDKTF_", "FAILOVER_"))
        }
        environment |= {"FAILOVER_BINDINGS_CACHE": str(self.cache)} | program.environment
        with tempfile.TemporaryFile() as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                program.command,
                cwd=self.folder_of(program.name),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                end = output.read().decode(errors="replace")[-2000:]
                raise BenchmarkError(f"{program.label} ended with {process.returncode}:\n{end}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_maxrss * unit)

    def rounds(self, programs: Sequence[Program], count: int) -> Runs:
        """Run every program once in every round."""
        runs: Runs = {program.name: [] for program in programs}
        for number in range(1, count + 1):
            for program in programs:
                if program.most_rounds is None or number <= program.most_rounds:
                    run = self.run(program)
                    runs[program.name].append(run)
                    show_progress(
                        f"round {number} of {count}: {program.label}: {run.seconds:.2f} s"
                    )
        return runs

    def warm(self, program: Program) -> None:
        """Run a program for the first time."""
        show_progress(f"before the rounds: {program.label}: {self.run(program).seconds:.2f} s")

    def folder_of(self, name: str) -> Path:
        """Where a program runs."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def stack(self, name: str, stack: str) -> dict[str, Any]:
        """The stack that a program has synthesized."""
        path = self.folder / name / "cdktf.out" / "stacks" / stack / "cdk.tf.json"
        parsed: dict[str, Any] = json.loads(path.read_bytes())
        return parsed


def show_progress(line: str) -> None:
    """Print progress on standard error."""
    print(line, file=sys.stderr, flush=True)
