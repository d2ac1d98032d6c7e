"""`python -m ops …` in processes forked from one that has imported it: starting one takes no time.

Otherwise they are what `local_api.start_ops` starts. Where a test asks for it, a drill waits less.
"""

import multiprocessing
import os
import sys
import time
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

from repository_files import REPOSITORY

from ops.__main__ import main
from ops.drill import picture, run, steps  # noqa: F401 (`report` imports the picture later)

CONTEXT = multiprocessing.get_context("forkserver")
FAILOVER_SECONDS = 4.0
RETRY_SECONDS = 3.0
POLL_SECONDS = 0.02


def short_drill():
    """A drill waits only as long as something must be seen: what it measures is of no interest."""
    run.STEADY_SECONDS = run.HOLD_SECONDS = run.SETTLE_SECONDS = 0.0
    run.patience_seconds = lambda *_: FAILOVER_SECONDS
    steps.RETRY_SECONDS = RETRY_SECONDS


class WarmOps:
    """Starts commands, and ends at its own end those that still run.

    Args:
        folder: Where their output is kept.
    """

    def __init__(self, folder):
        self.folder, self.started = folder, []
        CONTEXT.set_forkserver_preload([__name__])
        # The server has no other way to find the module.
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent)])
        try:
            forkserver.ensure_running()
        finally:
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.started:
            each.kill()

    def start(self, *arguments, prepare=short_drill, terminal=""):
        """Start a command on the sandbox, from a folder that is not the repository's.

        Args:
            arguments: Its words.
            prepare: Called in its process before it begins.
            terminal: Its controlling terminal, which gets its output.
        """
        which = () if "--environment" in arguments else ("--environment", "local")
        name = self.folder / f"{len(self.started)}"
        made = WarmCommand((*arguments, *which), prepare, terminal, name)
        self.started.append(made)
        return made

    def run(self, *arguments, timeout_seconds=300):
        """The same, to its end."""
        return self.start(*arguments).completed(timeout_seconds)


class WarmCommand:
    """A command that was started.

    Attributes:
        returncode: Its exit code; None while it runs, a negated signal if that has ended it.
        stdout: What it has printed so far.
        stderr: The same of standard error.
    """

    def __init__(self, words, prepare, terminal, name):
        self._output, self._errors = name.with_suffix(".out"), name.with_suffix(".err")
        self._output.touch()
        self._errors.touch()
        variables = {**os.environ, "COLUMNS": "200"}
        self._process = CONTEXT.Process(
            target=_run, args=(words, variables, prepare, terminal, self._output, self._errors)
        )
        self._process.start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    @property
    def stdout(self):
        return self._output.read_text(errors="replace")

    @property
    def stderr(self):
        return self._errors.read_text(errors="replace")

    def has_printed(self, lines):
        """Wait until it has printed so many lines, or has ended."""
        while self.stdout.count("\n") < lines and self.returncode is None:
            time.sleep(POLL_SECONDS)

    def completed(self, timeout_seconds):
        """Wait for its end."""
        self._process.join(timeout_seconds)
        assert self.returncode is not None, f"it still runs: {self.stdout}{self.stderr}"
        return self

    def kill(self):
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.join()


def _run(words, variables, prepare, terminal, output, errors):
    os.chdir("/")
    os.environ.clear()
    os.environ.update(variables)
    if terminal:
        os.setsid()
        # The first terminal that a session opens controls it.
        opened = [os.open(terminal, os.O_RDWR)] * 3
    else:
        opened = [os.open(os.devnull, os.O_RDONLY)]
        opened += [os.open(file, os.O_WRONLY | os.O_APPEND) for file in (output, errors)]
    for number, file in enumerate(opened):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False)  # noqa: SIM115 (until the process ends)
        for number, mode in enumerate("rww")
    )
    prepare()
    sys.exit(main(words))
