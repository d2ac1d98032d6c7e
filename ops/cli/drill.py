"""`python -m ops drill`: break the primary Region on purpose, and measure what customers see."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

from ops.cli.drill_options import add_drill_options
from ops.cli.options import confirm, environment_from
from ops.drill import report
from ops.drill.events import Events
from ops.drill.faults import FAULTS, Choice, plan
from ops.drill.injection import describe
from ops.drill.journal import journal_file, refuse_if_any
from ops.drill.outcome import Limits, Outcome
from ops.drill.planning import expectation_of
from ops.drill.restore import restore
from ops.drill.run import Drill
from ops.drill.summary import MEANINGS, verdict
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.verification.finding import Outcome as CheckOutcome
from ops.verify import verify

console = Console(highlight=False, soft_wrap=True)
INTERRUPTED = 130


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    on_aws = ", ".join(name for name, kind in FAULTS.items() if not kind.local_only)
    parser = verbs.add_parser(
        "drill",
        help="break the primary Region on purpose, and measure the failover",
        description="Verifies the environment, sends customers' reads and writes by DNS, breaks "
        "the primary Region, waits for the standby, puts everything right, waits for the primary, "
        "and looks for every acknowledged write in every Region. Leaves a report and a picture.",
        epilog=f"On AWS the faults {on_aws} work, and nothing is done without --execute. Exit "
        "codes: 0 passed, 1 a check or the drill failed, 2 wrong usage, 3 the environment cannot "
        "be worked with, 130 interrupted and put right.",
    )
    add_drill_options(parser)
    parser.set_defaults(run=_drill)


def _drill(options: argparse.Namespace) -> int:
    if options.restore == bool(options.fault):
        raise OpsError(
            "nothing to do" if not options.restore else "--restore breaks nothing",
            next_step="give either --fault or --restore",
            exit_code=ExitCode.USAGE,
        )
    environment = environment_from(options)
    folder = options.folder.resolve() / "drills"
    if options.restore:
        return _restore(environment, folder, as_json=options.json)
    choice = Choice(options.share, options.status, options.delay_seconds, options.error)
    injection = plan(environment, options.fault, choice)
    refuse_if_any(journal_file(folder, environment.name), environment.name)
    expectation = expectation_of(environment, injection)
    limit = options.max_rto_seconds
    limits = Limits(expectation.seconds if limit is None else limit, options.max_lost_writes)
    out = Console(stderr=options.json, highlight=False, soft_wrap=True)
    out.print(f"Will {describe(injection)}, and put it right at the end.")
    out.print(f"Expected RTO: at most {expectation}.", markup=False)
    if not environment.is_local and not options.execute:
        out.print(
            "Dry run: nothing was done. Customers' requests would be written for a location of the "
            "drill and deleted at the end. To do it, give --execute."
        )
        return ExitCode.PASSED
    confirm(environment, options, effect=f"this drill will {describe(injection)}")
    with out.status("Verifying the environment") as status:
        if not _verified(environment, out):
            return ExitCode.CHECK_FAILED
        drill = Drill(
            environment,
            options.fault,
            injection,
            expectation,
            limits,
            folder,
            tell=_teller(out, status),
            tick=lambda events: _show(status, environment, events),
        )
        outcome = drill.run()
        status.update("Writing the report")
        place = report.write(options.report_folder or folder, outcome)
    if options.json:
        found = report.to_json(outcome, with_events=False)
        print(json.dumps({**found, "report_folder": str(place)}, indent=2))
    else:
        _print(outcome, place)
    if outcome.interrupted:
        return INTERRUPTED
    return ExitCode.PASSED if outcome.passed else ExitCode.CHECK_FAILED


def _verified(environment: Environment, out: Console) -> bool:
    verification = verify(environment)
    failed = verification.with_outcome(CheckOutcome.FAILED)
    for finding in failed:
        text = f"Failed: {finding.check}, {finding.subject}: {finding.found}"
        out.print(f"{text}\n  Fix: {finding.fix}", style="red", markup=False)
    if failed:
        out.print("Nothing was broken: a drill of an environment that is not sound proves nothing.")
    return verification.passed


def _restore(environment: Environment, folder: Path, *, as_json: bool) -> int:
    restored = restore(environment, folder)
    if as_json:
        print(json.dumps({"done": restored.done, "failed": restored.failed}, indent=2))
    else:
        for line in restored.done:
            console.print(f"Done: {line}", markup=False)
        for line in restored.failed:
            console.print(f"Not done: {line}", style="red", markup=False)
        if not restored.done and not restored.failed:
            console.print("Nothing was left to put right.")
    return ExitCode.CHECK_FAILED if restored.failed else ExitCode.PASSED


def _teller(out: Console, status: Status) -> Callable[[str], None]:
    def tell(line: str) -> None:
        status.update(line)
        out.print(line, markup=False)

    return tell


def _show(status: Status, environment: Environment, events: Events) -> None:
    last = events.requests[-1:]
    served = (last[0].region or last[0].what) if last else "nobody"
    failed = sum(not r.ok for r in events.requests)
    leads = (events.dns[-1].region or events.dns[-1].error) if events.dns else "?"
    states = {seen.check: seen.healthy for seen in events.health}
    unhealthy = ", ".join(check for check, healthy in states.items() if not healthy) or "none"
    begun = events.when("injecting")
    since = (events.marks[0].at if events.marks else 0.0) if begun is None else begun
    now = last[0].answered_at if last else since
    status.update(
        f"{(now - since) * environment.speed:+4.0f} s on AWS | served by {served} | DNS leads to "
        f"{leads} | {len(events.requests)} requests, {failed} failed | unhealthy: {unhealthy}"
    )


def _print(outcome: Outcome, place: Path) -> None:
    table = Table("Measured", "On AWS", "Here", title=f"Drill: {outcome.fault}")
    for name, duration in report.to_json(outcome, with_events=False)["measurements"].items():
        table.add_row(
            MEANINGS[name],
            f"{duration['aws_seconds']:.1f} s" if duration else "never",
            f"{duration['here_seconds']:.2f} s" if duration else "",
        )
    console.print(table)
    if measured := outcome.measurements:
        for kind, count in measured.counts.items():
            console.print(f"{kind}s: {count.sent} sent, {count.failed} failed")
    durability = outcome.durability
    console.print(f"writes: {durability.acknowledged} acknowledged, {len(durability.lost)} lost")
    for finding in outcome.findings:
        console.print(f"Failed: {finding}", style="red", markup=False)
    style = "green" if outcome.passed else "red"
    console.print(f"The drill {_ending(outcome)}. Report: {place}", style=style, markup=False)


def _ending(outcome: Outcome) -> str:
    word = verdict(outcome)
    return f"was {word}, and all is put right" if outcome.interrupted else word
