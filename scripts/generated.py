"""Write or check a file that is generated from the code."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def results_in(file: Path, kind: type[T]) -> list[T]:
    """Read what a suite has stored for a page.

    Args:
        file: A JSON list of objects.
        kind: A dataclass whose fields are the objects' members.

    Returns:
        The results, in the order of the file; empty if nothing has been stored yet.
    """
    if not file.is_file():
        return []
    return [kind(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def write_or_check(
    file: Path, text: str, *, command: str, arguments: Sequence[str] | None = None
) -> int:
    """Write a generated file; with `--check`, only compare it.

    Args:
        file: The file.
        text: What it must contain.
        command: The command that writes it.
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code: 0 written or up to date, 1 out of date.
    """
    parser = argparse.ArgumentParser(prog=command, description=f"Write {file.name} from the code.")
    parser.add_argument("--check", action="store_true", help="only report whether it is current")
    if not parser.parse_args(arguments).check:
        file.write_text(text, encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != text:
        print(f"{file} is out of date: run `{command}`", file=sys.stderr)
        return 1
    return 0
