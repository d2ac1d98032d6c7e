"""What a drill breaks, noted before it does, so that any later command can put it right."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.drill.injection import Injection
from ops.errors import ExitCode, OpsError
from ops.processes import Program, program

VERSION = 1


@dataclass(frozen=True)
class Journal:
    """The note of one drill.

    Attributes:
        environment: Name of the environment.
        started: When the drill began, ISO 8601 in UTC.
        program: The process that runs it.
        location_id: Location that it writes observations for.
        injection: What it breaks.
    """

    environment: str
    started: str
    program: Program
    location_id: str
    injection: Injection

    @property
    def is_alive(self) -> bool:
        """Whether its drill still runs."""
        return self.program.process() is not None


class TornJournalError(Exception):
    """A file that is no journal; the message says why."""


def this_program() -> Program:
    """The process that runs this."""
    return program(os.getpid())


def journal_file(folder: Path, environment: str) -> Path:
    """Where the note of an environment's drill stands.

    Args:
        folder: Folder of all drills.
        environment: Name of the environment.
    """
    return folder / f"{environment}.journal.json"


def begin(path: Path, journal: Journal) -> None:
    """Writes a new journal so that it is on the disk, whole, when this returns.

    Args:
        path: Its file.
        journal: The journal.

    Raises:
        OpsError: There is one already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{journal.program.pid}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"version": VERSION, **asdict(journal)}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, unlike a rename, takes nobody's place: of two that begin at once, one does.
        path.hardlink_to(temporary)
    except FileExistsError:
        refuse_if_any(path, journal.environment)
        raise
    finally:
        temporary.unlink()


def read(path: Path) -> Journal | None:
    """Reads a journal.

    Args:
        path: Its file.

    Returns:
        The journal, None if there is none.

    Raises:
        TornJournalError: There is a file, and it is no journal.
    """
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        if note["version"] != VERSION:
            raise TornJournalError(f"its version is {note['version']}, not {VERSION}")
        injection, process = note["injection"], note["program"]
        return Journal(
            environment=str(note["environment"]),
            started=str(note["started"]),
            program=Program(int(process["pid"]), float(process["started_at"])),
            location_id=str(note["location_id"]),
            injection=Injection(
                str(injection["kind"]), str(injection["region"]), dict(injection["detail"])
            ),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise TornJournalError(f"{type(error).__name__}: {error}") from error


def refuse_if_any(path: Path, environment: str) -> None:
    """Makes sure that no other drill runs, or has died and left something behind.

    Args:
        path: The journal's file.
        environment: Name of the environment.

    Raises:
        OpsError: One has.
    """
    next_step = f"put right what it left: python -m ops drill --environment {environment} --restore"
    try:
        journal = read(path)
    except TornJournalError as error:
        raise OpsError(f"{path} is no journal of a drill: {error}", next_step=next_step) from error
    if journal is None:
        return
    if journal.environment != environment:
        raise OpsError(
            f"{path} is the journal of a drill of {journal.environment}",
            next_step="move it away; it does not belong there",
        )
    if journal.is_alive:
        raise OpsError(
            f"a drill of {environment} runs already, as process {journal.program.pid}",
            next_step="wait for it, or end it with Ctrl-C",
            exit_code=ExitCode.SURROUNDINGS,
        )
    raise OpsError(
        f"a drill of {environment}, begun {journal.started}, has died and left things as they are",
        next_step=next_step,
    )
