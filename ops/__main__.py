"""`python -m ops`: runs one command."""

import argparse
import sys
from collections.abc import Sequence

from ops.cli import (
    customers,
    deploy,
    diagram,
    drill,
    export,
    iam_policy,
    readiness,
    reconcile,
    records,
    switch,
    verify,
)
from ops.cli.program import Parser, run

COMMANDS = (
    *(customers, export, deploy, records, verify, drill, readiness, switch, reconcile),
    *(iam_policy, diagram),
)


def parser() -> argparse.ArgumentParser:
    """The command line: every command with its options."""
    whole = Parser(prog="python -m ops", description="The operator's tool.")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    return run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
