"""`python -m ops verify`: everything that a failover needs is in place."""

import argparse
import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.cli.options import add_customer_option, add_environment_options, environment_from
from ops.errors import ExitCode
from ops.verification.finding import Finding, Outcome
from ops.verify import Verification, verify

console = Console(highlight=False)

_STYLES = {Outcome.FAILED: "bold red", Outcome.UNKNOWN: "yellow", Outcome.PASSED: "green"}
"""Failures are shown first."""


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    parser = verbs.add_parser(
        "verify",
        help="check that everything a failover needs is in place",
        description="Checks DNS, health checks, certificates, every Region, replication, parity of "
        "the Regions and what drills left behind. Changes nothing: it writes a few items of its "
        "own to measure replication, and removes them.",
        epilog="Exit codes: 0 nothing failed, 1 a check failed, 2 wrong usage, 3 the environment "
        "cannot be looked at.",
    )
    add_environment_options(parser)
    add_customer_option(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    if options.json:
        verification = verify(environment)
        print(json.dumps(verification.to_json(), indent=2))
    else:
        with console.status(f"Checking {environment.name}"):
            verification = verify(environment)
        print_findings(verification, console)
    return ExitCode.PASSED if verification.passed else ExitCode.CHECK_FAILED


def print_findings(verification: Verification, console: Console) -> None:
    """Prints a table of findings, failures first.

    Args:
        verification: What was found.
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
