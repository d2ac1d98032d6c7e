"""The journal of a drill: what it will change, so that any later command can restore it.

It is kept twice until everything is restored: in a file, and as the note of the environment's lock,
for other machines.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops import lock as locks
from ops.drill.fault import DrillFault
from ops.drill.faults import from_json
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.folders import replace_file
from ops.processes import Program, program

VERSION = 3


@dataclass(frozen=True)
class Journal:
    """The journal of one drill.

    Attributes:
        environment: Name of the environment.
        started: When the drill began, ISO 8601 in UTC.
        host: The machine that runs it.
        program: The process that runs it there.
        location_id: Location that it writes observations for.
        fault: The fault that it injects; its id is that of the run.
        further: The same in further Regions.
    """

    environment: str
    started: str
    host: str
    program: Program
    location_id: str
    fault: DrillFault
    further: tuple[DrillFault, ...] = ()

    @property
    def faults(self) -> tuple[DrillFault, ...]:
        """The faults, of a Region each."""
        return (self.fault, *self.further)

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.fault.id

    @property
    def is_alive(self) -> bool:
        """Whether its drill still runs, if that is on this machine."""
        return self.program.process() is not None

    def to_text(self) -> str:
        """As `from_text` reads it."""
        further = [fault.to_json() for fault in self.further]
        members = {**asdict(self), "fault": self.fault.to_json(), "further": further}
        return json.dumps({"version": VERSION, **members}, indent=2)

    @classmethod
    def from_text(cls, text: str) -> "Journal":
        """Read what `to_text` gave.

        Args:
            text: The text.

        Raises:
            InvalidJournalError: It is something else.
        """
        try:
            note: dict[str, Any] = json.loads(text)
            if note["version"] != VERSION:
                raise InvalidJournalError(f"its version is {note['version']}, not {VERSION}")
            process = note["program"]
            return cls(
                environment=str(note["environment"]),
                started=str(note["started"]),
                host=str(note["host"]),
                program=Program(int(process["pid"]), float(process["started_at"])),
                location_id=str(note["location_id"]),
                fault=from_json(note["fault"]),
                further=tuple(map(from_json, note.get("further", ()))),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidJournalError(f"{type(error).__name__}: {error}") from error

    def __str__(self) -> str:
        return f"the drill {self.run}, begun {self.started} on {self.host}"


class InvalidJournalError(Exception):
    """A text that is not a journal; the message names the reason."""


def this_program() -> Program:
    """The process that runs this."""
    return program(os.getpid())


def begin(path: Path, journal: Journal, environment: Environment) -> None:
    """Write a new journal; it is on the disk, complete, when this returns.

    Args:
        path: Its file.
        journal: The journal.
        environment: The environment.

    Raises:
        OpsError: There is one already, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of two drills that begin at once, one does.
        path.open("x").close()
    except OSError as error:
        if path.exists():
            refuse_if_any(path, environment)
        raise _unwritable(path, error) from error
    try:
        replace(path, journal)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, journal: Journal) -> None:
    """Write a journal in the place of the one that its drill has begun, in one step.

    Args:
        path: Its file.
        journal: The journal.

    Raises:
        OpsError: It cannot be written; the earlier one is as it was.
    """
    try:
        replace_file(path, journal.to_text(), mode=0o644)
    except OSError as error:
        raise _unwritable(path, error) from error


def remove(path: Path, run: str) -> None:
    """Remove the journal of a run that has restored everything; that of another one remains.

    Args:
        path: Its file.
        run: Id of the run.

    Raises:
        OSError: It cannot be removed.
    """
    with suppress(InvalidJournalError):
        journal = read(path)
        if journal and journal.run == run:
            path.unlink(missing_ok=True)


def read(path: Path) -> Journal | None:
    """Read a journal.

    Args:
        path: Its file.

    Returns:
        The journal, None if there is none.

    Raises:
        InvalidJournalError: There is a file, and it is not a journal.
    """
    try:
        return Journal.from_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidJournalError(f"{type(error).__name__}: {error}") from error


def read_ended(path: Path, environment: Environment) -> Journal | None:
    """Read the journal of a drill of this machine that has ended; None if there is none.

    Args:
        path: Its file.
        environment: The environment.

    Raises:
        InvalidJournalError: There is a file, and it is not a journal.
        OpsError: Its drill still runs, or is one of another environment.
    """
    journal = read(path)
    if journal and journal.environment != environment.name:
        raise OpsError(
            f"{path} is the journal of a drill of {journal.environment}",
            next_step="move it away; it does not belong there",
        )
    if journal and journal.is_alive:
        raise OpsError(
            f"a drill of {environment.name} runs already, as process {journal.program.pid}",
            next_step="wait for it, or end it with Ctrl-C: it restores everything itself",
            exit_code=ExitCode.PREREQUISITE,
        )
    return journal


def noted(environment: Environment) -> Journal | None:
    """Read the journal that a drill on any machine has left in the environment's lock.

    Args:
        environment: The environment.

    Returns:
        The journal, None if there is none.

    Raises:
        InvalidJournalError: There is a note, and it is not a journal.
        OpsError: The secondary Region does not respond.
    """
    note = locks.read(environment).note
    return Journal.from_text(note) if note else None


def known(environment: Environment) -> tuple[Journal, ...]:
    """The drills that are named in this machine's journal or in the lock's note, if readable.

    Args:
        environment: The environment.
    """
    found: dict[str, Journal] = {}
    with suppress(InvalidJournalError, OpsError):
        if journal := noted(environment):
            found[journal.run] = journal
    with suppress(InvalidJournalError):
        if journal := read(environment.journal_file):
            found[journal.run] = journal
    return tuple(found.values())


def refuse_if_any(path: Path, environment: Environment) -> None:
    """Make sure that no other drill runs, or has ended without restoring what it changed.

    Args:
        path: The journal's file.
        environment: The environment.

    Raises:
        OpsError: There is one.
    """
    try:
        journal = read_ended(path, environment)
    except InvalidJournalError as error:
        raise OpsError(
            f"{path} is not a drill's journal: {error}", next_step=_restore(environment)
        ) from error
    if journal:
        raise _unfinished(str(journal), environment)


def refuse_if_noted(lock: locks.Lock) -> None:
    """Make sure that no drill on another machine has ended without restoring what it changed.

    Args:
        lock: The lock, in the hands of this drill, which has noted nothing yet.

    Raises:
        OpsError: One has.
    """
    if not lock.note:
        return
    try:
        found = str(Journal.from_text(lock.note))
    except InvalidJournalError as error:
        found = f"a drill whose journal cannot be read ({error})"
    raise _unfinished(found, lock.environment)


def _unfinished(found: str, environment: Environment) -> OpsError:
    return OpsError(
        f"{found}, has ended without restoring what it changed in {environment.name}",
        next_step=_restore(environment),
    )


def _restore(environment: Environment) -> str:
    return f"restore what it changed: {restore_command(environment)}"


def restore_command(environment: Environment) -> str:
    """The command that restores what drills have changed.

    Args:
        environment: The environment.
    """
    on_aws = "" if environment.descriptor.sandbox else " --execute"
    return f"python -m ops drill {environment.selector} --restore{on_aws}"


def _unwritable(path: Path, error: OSError) -> OpsError:
    return OpsError(
        f"the journal {path} cannot be written: {error.strerror}",
        next_step="make its folder writable and free some space, or name another one with --folder",
    )
