"""`python -m ops verify`: check that everything that a failover needs is in place."""

import argparse
from time import monotonic

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.cli.options import (
    Commands,
    add_command,
    add_customer_option,
    environment_from,
    identified,
)
from ops.cli.program import Result
from ops.errors import ExitCode
from ops.verify import Verification, verify
from ops.verify.finding import Finding, Outcome

console = Console(highlight=False)

_STYLES = {Outcome.FAILED: "bold red", Outcome.UNKNOWN: "yellow", Outcome.PASSED: "green"}
"""Failures are shown first."""


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = add_command(
        commands,
        "verify",
        _verify,
        help="check that everything a failover needs is in place",
        description="Checks DNS, health checks, certificates, TLS, every Region, replication, "
        "keys, quotas, parity of the Regions and what drills left behind. Changes nothing: to "
        "measure replication it writes a few items that it removes again.",
        epilog="Exit codes: 0 nothing failed, 1 a check failed, 2 wrong usage, 3 nothing failed, "
        "but something could not be read or reached, which is unknown.",
    )
    add_customer_option(parser)


def _verify(options: argparse.Namespace) -> int:
    begun = monotonic()
    environment = environment_from(options)
    identity = identified(environment, refuse_unknown=False)
    with console.status(f"Checking {environment.name}"):
        verification = verify(environment, spent_seconds=monotonic() - begun)
    print_findings(verification, console)
    return Result(
        exit_code_of(verification),
        **verification.to_json(),
        identity=identity.to_json(),
    )


def exit_code_of(verification: Verification) -> ExitCode:
    """The exit code that findings amount to.

    Args:
        verification: The findings.
    """
    if verification.with_outcome(Outcome.FAILED):
        return ExitCode.CHECK_FAILED
    return ExitCode.PREREQUISITE if verification.unreadable else ExitCode.PASSED


def print_findings(verification: Verification, console: Console) -> None:
    """Print a table of findings, failures first.

    Args:
        verification: The findings.
        console: Where to print.
    """
    table = Table("Check", "Subject", "Result", "Found", title=f"{verification.environment}")
    for outcome in _STYLES:
        for finding in verification.with_outcome(outcome):
            table.add_row(
                Text(finding.check),
                Text(finding.subject),
                Text(outcome.value, style=_STYLES[outcome]),
                _with_fix(finding),
            )
    console.print(table)
    counts = ", ".join(
        f"{len(verification.with_outcome(outcome))} {outcome.value}" for outcome in Outcome
    )
    console.print(f"{counts}, in {verification.seconds:.1f} s", markup=False)


def _with_fix(finding: Finding) -> Text:
    text = Text(finding.found)
    if finding.fix:
        text.append(f"\nFix: {finding.fix}", style="cyan")
    return text
