"""How a command line is run: arguments in, an exit code out, errors without a traceback.

With `--json`, standard output holds one JSON document, also after an error; all else that a command
prints goes to standard error.
"""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from ops.cli.streams import losable_streams
from ops.descriptor import read
from ops.errors import ExitCode, OpsError, UsageError, explain, next_step_for
from ops.folders import DEFAULT_FOLDER, drills_folder

INTERRUPTED = 130


class Result(int):
    """An exit code, and the members of the JSON document that only this command has.

    Attributes:
        members: JSON values by name.
    """

    members: Mapping[str, Any]

    def __new__(cls, exit_code: int, **members: Any) -> "Result":
        """Make one.

        Args:
            exit_code: The exit code.
            members: JSON values by name.
        """
        made = super().__new__(cls, exit_code)
        made.members = members
        return made


class Parser(argparse.ArgumentParser):
    """A parser that knows which command was given, and raises what is wrong with its arguments."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; the command's own parser sets `command`.

        Args:
            args: The words.
            namespace: Where the options are set.
        """
        options, rest = super().parse_known_args(args, namespace)
        if not hasattr(options, "command"):
            options.command = self.prog
        return options, rest

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Args:
            message: What is wrong with them.

        Raises:
            CommandLineError: Always.
        """
        self.print_usage(sys.stderr)
        raise CommandLineError(message, next_step=f"{self.prog} --help", command=self.prog)


class CommandLineError(UsageError):
    """Arguments that cannot be parsed.

    Attributes:
        command: The command, with the program before it.
    """

    def __init__(self, message: str, *, next_step: str, command: str) -> None:
        super().__init__(message, next_step=next_step)
        self.command = command


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and run the command that they name.

    Args:
        parser: Every command of which sets `run`, which takes the options and returns the exit
            code, as a `Result` if it has something for the JSON document.
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = argparse.Namespace()
    wants_json = "--json" in words
    result: int = ExitCode.PASSED
    error: OpsError | None = None
    with losable_streams():
        with redirect_stdout(sys.stderr) if wants_json else nullcontext():
            try:
                options = parser.parse_args(words, options)
                result = options.run(options)
            except OpsError as caught:
                error = caught
            except KeyboardInterrupt:
                print("\nInterrupted.", file=sys.stderr)
                result = INTERRUPTED
            except Exception as caught:
                error = _unexpected(caught, options)
        try:
            if error is not None:
                _print(error)
                result = error.exit_code
            if wants_json:
                _print_document(parser, options, result, error)
            sys.stdout.flush()
        except OSError as caught:
            _print(OpsError(f"cannot print: {explain(caught)}", next_step=next_step_for(caught)))
            return ExitCode.PREREQUISITE
    return int(result)


def _print(error: OpsError) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"Error: {error}", style="red", markup=False
    )


def _print_document(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    result: int,
    error: OpsError | None,
) -> None:
    command = str(getattr(error, "command", None) or getattr(options, "command", ""))
    found = None
    if error is not None:
        found = {"message": str(error.args[0]), "next_step": error.next_step}
    elif result == INTERRUPTED:
        found = {"message": "interrupted", "next_step": "run the command again"}
    document = {
        "command": command.removeprefix(parser.prog).strip(),
        "environment": _environment(options),
        "exit_code": int(result),
        "error": found,
    }
    print(json.dumps(document | dict(getattr(result, "members", {})), indent=2))


def _environment(options: argparse.Namespace) -> str | None:
    """Name of the environment that the options choose; None if that cannot be read."""
    name: str | None = getattr(options, "environment", None)
    if name is None and getattr(options, "descriptor", None):
        with suppress(OpsError):
            name = read(options.descriptor).environment
    return name


def _unexpected(error: Exception, options: argparse.Namespace) -> OpsError:
    """What nobody foresaw, in one line; its traceback is kept in a file."""
    folder = getattr(options, "folder", None) or DEFAULT_FOLDER
    path = _keep_traceback(error, drills_folder(folder))
    details = f"; details: {path}" if path else ""
    return OpsError(explain(error), next_step=f"{next_step_for(error)}{details}")


def _keep_traceback(error: Exception, folder: Path) -> Path | None:
    text = "".join(traceback.format_exception(error))
    name = f"error-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    for place in (folder, Path(tempfile.gettempdir())):
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            # Readable by this user only, and never through a link that another user has made.
            opened = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w") as file:
                file.write(text)
            return place / name
    return None
