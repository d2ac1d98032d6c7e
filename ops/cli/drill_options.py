"""Options of `python -m ops drill`."""

import argparse
from pathlib import Path

from ops.cli.options import (
    add_confirmation_option,
    add_customer_option,
    add_environment_options,
)
from ops.drill.faults import FAULTS
from ops.edge.faults import LONGEST_DELAY_SECONDS, STATUSES
from ops.emulator.faults import ERRORS as SERVICE_ERRORS
from ops.emulator.faults import REPLICATION


def add_drill_options(parser: argparse.ArgumentParser) -> None:
    """Adds all of them.

    Args:
        parser: The verb's parser.
    """
    add_environment_options(parser)
    add_customer_option(parser)
    kinds = "; ".join(f"{name}: {kind.help}" for name, kind in FAULTS.items())
    parser.add_argument("--fault", choices=FAULTS, help=f"what to break. {kinds}")
    parser.add_argument(
        "--share", type=_share, metavar="S", help="grey: share of requests that fail (default: 0.9)"
    )
    parser.add_argument(
        "--status", type=int, choices=STATUSES, help="error, grey: the status (default: 503)"
    )
    parser.add_argument(
        "--delay-seconds",
        type=_delay,
        metavar="N",
        help="slow: how long answers wait, on AWS (default: 12)",
    )
    parser.add_argument(
        "--error",
        choices=[error for error in SERVICE_ERRORS if error != REPLICATION],
        help="table: how it fails (default: InternalServerError)",
    )
    parser.add_argument(
        "--max-rto-seconds",
        type=_positive,
        metavar="N",
        help="longest RTO that passes, on AWS (default: interval x threshold + time to live + one "
        "probe)",
    )
    parser.add_argument(
        "--max-lost-writes",
        type=_count,
        default=0,
        metavar="N",
        help="most acknowledged writes that may be lost (default: 0)",
    )
    parser.add_argument(
        "--report-folder",
        type=Path,
        metavar="FOLDER",
        help="where reports go, a folder each (default: drills in --folder)",
    )
    parser.add_argument(
        "--restore",
        action="store_true",
        help="drill nothing: put right what earlier drills have left broken",
    )
    parser.add_argument("--execute", action="store_true", help="not on this machine: really do it")
    add_confirmation_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _share(text: str) -> float:
    if not 0 < _number(text) <= 1:
        raise argparse.ArgumentTypeError(f"a share is more than 0 and at most 1, got {text!r}")
    return _number(text)


def _positive(text: str) -> float:
    if not 0 < _number(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return _number(text)


def _delay(text: str) -> float:
    if not 0 < _number(text) <= LONGEST_DELAY_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected seconds, at most {LONGEST_DELAY_SECONDS}, got {text!r}"
        )
    return _number(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)
