"""Programs that outlive the command that started them."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.errors import OpsError

STOP_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Program:
    """A program in the background.

    Attributes:
        pid: Its process.
        started_at: When that process started, in seconds since the epoch: numbers are used again.
    """

    pid: int
    started_at: float

    def process(self) -> psutil.Process | None:
        """Its process while it lives."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.started_at and (
                process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def stop(self) -> bool:
        """Asks it to end and waits until it has.

        Returns:
            Whether it was running.

        Raises:
            OpsError: It does not end.
        """
        process = self.process()
        if process is None:
            return False
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except psutil.TimeoutExpired:
            raise OpsError(
                f"process {process.pid} does not end", next_step=f"kill -9 {process.pid}"
            ) from None
        return True


def start(
    command: Sequence[str], *, folder: Path, log_file: Path, environment: Mapping[str, str]
) -> Program:
    """Starts a program in the background.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        log_file: Takes what it prints.
        environment: Its environment variables.

    Returns:
        The program, which may not be ready yet.
    """
    # Through a shell that ends at once, so that it outlives this command as nobody's child; in a
    # session of its own, so that Ctrl-C in this terminal is not for it.
    shell = subprocess.run(
        [
            *("sh", "-c", 'log=$1; shift; "$@" </dev/null >"$log" 2>&1 & echo $!', "sh"),
            *(str(log_file), *command),
        ],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
    )
    return program(int(shell.stdout))


def program(pid: int) -> Program:
    """The program that runs as a process now.

    Args:
        pid: Its process; one that has ended already gives a program that does not run.
    """
    try:
        return Program(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return Program(pid, 0.0)
