"""Background programs that outlive the command that started them."""

import calendar
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.errors import OpsError

STOP_TIMEOUT_SECONDS = 30
KILL_TIMEOUT_SECONDS = 5
_POLL_SECONDS = 0.01
_FOLLOW_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """A program in the background.

    Attributes:
        pid: Id of its process.
        started_at: Start of that process, as `started_at` gives it: ids are reused.
    """

    pid: int
    started_at: float

    def process(self) -> psutil.Process | None:
        """Find its process; None once it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = started_at(self.pid) == self.started_at
        except psutil.NoSuchProcess:
            return None
        return process if same and _runs(process) else None

    def stop(self) -> bool:
        """Terminate it and wait until it has ended; kill it if it does not end.

        Returns:
            Whether it was running.

        Raises:
            OpsError: It does not end.
        """
        process = self.process()
        if process is None:
            return False
        end([process])
        return True


def started_at(pid: int) -> float:
    """Give the start of a process as a number that no correction of the clock changes.

    Linux counts ticks since the start of the machine. `psutil.Process.create_time` adds the time of
    day at which the machine started, which moves with every correction; macOS keeps the time of day
    at which the process started.

    Args:
        pid: Id of the process.

    Returns:
        Seconds since the machine started, elsewhere than on Linux since the epoch.

    Raises:
        psutil.NoSuchProcess: There is none.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            raise psutil.NoSuchProcess(pid) from None
        # The name of the program, in parentheses, may contain anything.
        return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
    ).stdout.strip()
    if not shown:
        raise psutil.NoSuchProcess(pid)
    return float(calendar.timegm(time.strptime(shown)))


def start(
    command: Sequence[str], *, folder: Path, log_file: Path, environment: Mapping[str, str]
) -> Program:
    """Start a program in the background.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        log_file: File for its output.
        environment: Its environment variables.

    Returns:
        The program, which may not be ready yet.
    """
    # Through a shell that ends at once, so that it is not a child of this command; in a separate
    # session, so that Ctrl-C in this terminal does not interrupt it.
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
    """Find the program of a process.

    Args:
        pid: Id of the process; if it has ended, the program is not running.
    """
    try:
        return Program(pid, started_at(pid))
    except psutil.NoSuchProcess:
        return Program(pid, 0.0)


def followed(file: Path, process: subprocess.Popen[str]) -> Iterator[str]:
    """Read the lines of a file for as long as a process writes it.

    Args:
        file: The file.
        process: The process.

    Yields:
        Each line, when it is complete or the process has ended.
    """
    rest = ""
    with file.open(encoding="utf-8", errors="replace") as written:
        while True:
            # Asked first: what it has written last is read below.
            has_ended = process.poll() is not None
            *lines, rest = (rest + written.read()).split("\n")
            yield from lines
            if has_ended:
                yield from filter(None, [rest])
                return
            time.sleep(_FOLLOW_SECONDS)


def with_variable(name: str, value: str) -> list[psutil.Process]:
    """Find the processes that were started with an environment variable, but for this one.

    Processes hand on their environment to those that they start, so one finds all that a program
    has started, whether the program still runs or not.

    Args:
        name: Name of the variable.
        value: Its value.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def end(processes: Sequence[psutil.Process], timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
    """Terminate processes and wait until they have ended; kill those that do not end.

    Args:
        processes: The processes.
        timeout_seconds: Time that they have to end.

    Raises:
        OpsError: One does not end.
    """
    alive = list(processes)
    for stop, seconds in (
        (psutil.Process.terminate, timeout_seconds),
        (psutil.Process.kill, KILL_TIMEOUT_SECONDS),
    ):
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                stop(process)
        deadline = time.monotonic() + seconds
        while (alive := [each for each in alive if _runs(each)]) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if alive:
        pids = " ".join(str(process.pid) for process in alive)
        raise OpsError(f"processes do not end: {pids}", next_step=f"kill -9 {pids}")


def _runs(process: psutil.Process) -> bool:
    """Whether it does anything; one that has ended may wait long for its parent to notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
