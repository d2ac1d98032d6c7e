"""`python -m ops reconcile`: compares the replicas after an outage, and replays what is wanted."""

import argparse
import re
import secrets
import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.options import Commands, add_command, environment_from, identified
from ops.cli.program import Result
from ops.cli.switch_report import duration
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError
from ops.identity import Identity
from ops.lock import hold
from ops.reconcile.acknowledged import Acknowledged, read
from ops.reconcile.comparison import DIFFERENCES, Comparison, Summary, Tables
from ops.reconcile.judgement import State, time_text
from ops.reconcile.plan import KEEP, Writer, entries_of, header_of
from ops.reconcile.reading import Pace
from ops.reconcile.replay import Applied, Outcome, apply, check

READ_UNITS = 200.0
"""Read units per second and Region: under a hundredth of what an on-demand table serves."""
_SHOWN = 20
console = Console(highlight=False, soft_wrap=True)


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = add_command(
        commands,
        "reconcile",
        _reconcile,
        "compare the replicas after an outage, and replay what is wanted",
        "Compares the replicas of every table, item by item, and lists what differs, and writes "
        "that lost by last-writer-wins to one that did not know them, as the tables' streams show "
        "them for 24 hours. Changes nothing: it writes a plan, which a person reviews and edits. "
        "--apply carries it out, where an item is still what the plan saw.",
        "Exit codes: 0 nothing differs, or everything was carried out; 1 something differs or was "
        "overwritten, or was left as it is; 2 wrong usage, or not confirmed; 3 AWS cannot be "
        "asked, the streams do not reach back so far, or the environment is being changed. See "
        "docs/how-to/reconcile-replicas.md.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--since",
        metavar="WHEN",
        type=moment,
        help="compare, and look at what was written since then: a time such as "
        "2026-11-28T03:00:00Z, a little before the outage, or how long ago, such as 90m or 4h",
    )
    what.add_argument("--apply", metavar="FILE", type=Path, help="carry out a plan")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="where the plan is written (default: in reconcile/ of --folder)",
    )
    parser.add_argument(
        "--reviewed",
        metavar="FILE",
        type=Path,
        help="a plan that was reviewed: what is to be kept in it, is not listed again",
    )
    parser.add_argument(
        "--history",
        metavar="FILE",
        type=Path,
        help="the history of a drill: each write that it says was acknowledged must be in a "
        "replica or a stream",
    )
    parser.add_argument(
        "--read-units",
        metavar="NUMBER",
        type=_units,
        default=READ_UNITS,
        help="read units that the comparison consumes per second and Region, at most "
        f"(default: {READ_UNITS:.0f})",
    )
    parser.add_argument(
        "--allow-deletes",
        action="store_true",
        help="with --apply: let actions of the plan delete items",
    )
    add_confirmation_option(parser)


def moment(text: str) -> datetime | timedelta:
    """Read the value of `--since`.

    Args:
        text: A time with its offset from UTC, or a duration.

    Raises:
        ArgumentTypeError: It is another text.
    """
    if re.fullmatch(r"\d+[smhd]", text):
        return duration(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: give one with its offset from UTC, such as "
            "2026-11-28T03:00:00Z, or how long ago it was, such as 90m or 4h"
        )
    return at


def _units(text: str) -> float:
    try:
        units = float(text)
    except ValueError:
        units = 0.0
    if not 1 <= units <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return units


def _reconcile(options: argparse.Namespace) -> int:
    if options.apply and (options.output or options.reviewed or options.history):
        raise UsageError(
            "--output, --reviewed and --history belong to a comparison",
            next_step="leave them out of --apply",
        )
    if options.since and options.allow_deletes:
        raise UsageError(
            "--allow-deletes belongs to --apply: a comparison deletes nothing",
            next_step="leave it out",
        )
    environment = environment_from(options)
    identity = identified(environment, otherwise="a comparison needs every Region")
    if options.apply:
        return _apply(environment, identity, options)
    return _compare(environment, identity, options)


def _compare(environment: Environment, identity: Identity, options: argparse.Namespace) -> Result:
    now = datetime.now(UTC)
    since = now - options.since if isinstance(options.since, timedelta) else options.since
    if since > now:
        raise UsageError(
            f"--since {since.isoformat()} is in the future",
            next_step="give a time a little before the outage",
        )
    reviewed = frozenset[tuple[str, str, str, str]]()
    if options.reviewed:
        header_of(options.reviewed)
        kept = (entry for _, entry in entries_of(options.reviewed) if entry.action == KEEP)
        reviewed = frozenset(entry.identity for entry in kept)
    name = f"{environment.name}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}.jsonl"
    path = options.output or environment.folder / "reconcile" / name
    if path.exists():
        raise UsageError(
            f"{path} exists: a plan that somebody has reviewed is not overwritten",
            next_step="give another file with --output",
        )
    writer = Writer(path)
    console.print(f"Comparing {', '.join(environment.regions)} since {since.isoformat()} …")
    comparison = Comparison(
        environment,
        tables_of(environment),
        since.timestamp(),
        Pace(options.read_units),
        reviewed=reviewed,
        acknowledged=read(options.history) if options.history else Acknowledged(),
    )
    summary = comparison.run(writer, identity.account_id or "")
    _print_summary(summary, writer.path, environment)
    return Result(
        _exit_code(summary),
        plan=str(writer.path),
        since=time_text(since.timestamp()),
        items=summary.items,
        findings={str(state): summary.states[state] for state in State},
        own_items=dict(summary.own),
        reviewed=summary.reviewed,
        notes=summary.notes,
        unseen=sorted(summary.unseen),
    )


def _exit_code(summary: Summary) -> ExitCode:
    """What was overwritten cannot be known without the streams: then nothing has passed."""
    if summary.differs:
        return ExitCode.CHECK_FAILED
    return ExitCode.PREREQUISITE if summary.notes else ExitCode.PASSED


def tables_of(environment: Environment) -> Tables:
    """The tables of an environment: `{name: {Region: ARN}}`.

    Args:
        environment: The environment.
    """
    return {environment.outputs.table_name: dict(environment.outputs.table_arns)}


def _print_summary(summary: Summary, path: Path, environment: Environment) -> None:
    for table, counts in summary.items.items():
        held = ", ".join(f"{count:,} in {region}" for region, count in counts.items())
        console.print(f"Items of {table}: {held}", markup=False)
    for note in summary.notes:
        console.print(f"Note: {note}", style="yellow", markup=False)
    for owner, count in summary.own.items():
        if count:
            what = "this tool" if owner == "ops" else "drills"
            console.print(f"Not listed, items of {what} that differ: {count:,}")
    if summary.reviewed:
        console.print(f"Not listed, reviewed and to be kept: {summary.reviewed:,}")
    if expired := summary.states[State.EXPIRED]:
        console.print(f"No difference, expired items that one Region has deleted: {expired:,}")
    if not summary.differs:
        if summary.notes:
            console.print("Nothing differs. Whether a write was overwritten is not known.")
        else:
            console.print("Nothing differs, and no write was overwritten.", style="green")
        return
    if summary.unseen:
        named = ", ".join(sorted(summary.unseen)[:_SHOWN])
        console.print(
            f"{len(summary.unseen):,} acknowledged writes of the history are in no replica and no "
            f"stream: {named}",
            style="red",
            markup=False,
        )
    for state in State:
        if state in DIFFERENCES and (count := summary.states[state]):
            console.print(f"{count:,} {state}", style="red")
    for _, entry in zip(range(_SHOWN), entries_of(path), strict=False):
        line, found = entry
        console.print(f"  line {line}: {found.state}: {found.why}", markup=False)
    if summary.states[State.ON_ITS_WAY]:
        console.print("What is on its way should arrive soon: compare again in a minute.")
    words = ["python", "-m", "ops", "reconcile", "--apply", str(path)]
    console.print(f"The plan, to be reviewed and edited: {path}", markup=False)
    console.print(f"To carry it out: {shlex.join(words)} {environment.selector}", markup=False)


def _apply(environment: Environment, identity: Identity, options: argparse.Namespace) -> Result:
    tables, path = tables_of(environment), options.apply
    count = check(path, environment, tables, deletes=options.allow_deletes)
    counts, left = Counter[Outcome](), list[Applied]()
    if count:
        effect = f"{count} items will be written or deleted as {path} says"
        confirm(environment, options, effect=effect, identity=identity)
        with hold(environment, kind="reconcile", notify=console.print) as lock:
            # While that was asked, the file may have been edited.
            if check(path, environment, tables, deletes=options.allow_deletes) != count:
                raise UsageError(
                    f"{path} has changed since it was confirmed; nothing was written",
                    next_step="run the same command again",
                )
            try:
                for each in apply(path, environment, tables):
                    counts[each.outcome] += 1
                    _print_applied(each)
                    if each.is_left:
                        left.append(each)
                    if lock.lost:
                        lock.check()
            except OpsError as error:
                raise OpsError(
                    f"{error.args[0]}; {counts.total()} of {count} entries are done with",
                    next_step=f"{error.next_step}; then run the same command again: what is as "
                    "wanted already is skipped",
                    exit_code=error.exit_code,
                ) from error
    console.print(
        f"{counts[Outcome.DONE]} written, {counts[Outcome.ALREADY]} already as wanted, "
        f"{len(left)} left as they are."
    )
    console.print("Replication takes a moment; then compare again with --since and --reviewed.")
    return Result(
        ExitCode.CHECK_FAILED if left else ExitCode.PASSED,
        plan=str(path),
        outcomes={str(outcome): counts[outcome] for outcome in Outcome},
        left=[
            {"line": each.line, "outcome": str(each.outcome), "regions": list(each.where)}
            for each in left
        ],
    )


def _print_applied(each: Applied) -> None:
    where = f" in {', '.join(each.where)}" if each.where else ""
    style = "red" if each.is_left else ""
    console.print(f"line {each.line}: {each.outcome}{where}", style=style, markup=False)
