"""`python -m ops`: runs one verb."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from ops.cli import customers, diagram, drill, local, switch, verify
from ops.errors import OpsError


def parser() -> argparse.ArgumentParser:
    """The command line: every verb with its options."""
    whole = argparse.ArgumentParser(prog="python -m ops", description="The operator's tool.")
    verbs = whole.add_subparsers(metavar="VERB", required=True)
    for verb in (local, customers, verify, drill, switch, diagram):
        verb.add_to(verbs)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except OpsError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"Error: {error}", style="red", markup=False
        )
        return error.exit_code
    except KeyboardInterrupt:
        print("\nInterrupted. See what runs: python -m ops local status", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
