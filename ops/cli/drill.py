"""`python -m ops drill`: inject a fault into one or more Regions, and measure the failover."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from ops.cli.check_history import checked
from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.drill_load import add_load_options, load_from, load_lines
from ops.cli.drill_record import leave_record
from ops.cli.drill_screen import console, notifier, print_outcome, show
from ops.cli.options import (
    add_customer_option,
    add_environment_options,
    environment_from,
    identified,
    number,
)
from ops.cli.program import INTERRUPTED, Result
from ops.cli.restore import restored
from ops.drill import quota, reconciliation, report
from ops.drill.credentials import require_lifetime
from ops.drill.durations import longest_seconds
from ops.drill.expectation import Expectation, expectation_of
from ops.drill.fault import DrillFault
from ops.drill.faults import FAULTS, choose
from ops.drill.interrupts import Interrupts
from ops.drill.journal import refuse_if_any
from ops.drill.load import Load
from ops.drill.objectives import judge_rpo, limits_of, objectives_of
from ops.drill.outcome import Outcome
from ops.drill.probe_location import is_probe_location
from ops.drill.run import Drill
from ops.drill.scenario import scenario_of
from ops.drill.speed import at_followed_speed
from ops.drill.spending import Spending
from ops.drill.steps import longest_restore_seconds
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.fault_injection import (
    LONGEST_DELAY_SECONDS,
    REPLICATION,
    STATUSES,
    TABLE_ERRORS,
    UNRESOLVED,
)
from ops.fence import When
from ops.identity import Identity
from ops.lock import Lock, hold, new_run
from ops.verify import ABOUT_CAPACITY, Verification, verify
from ops.verify.finding import Finding
from ops.verify.finding import Outcome as CheckOutcome

REPORT_BYTES = 4 * 2**20
"""No report is larger."""
FAULT_OPTIONS = ("share", "status", "delay_seconds", "error", "target", "discard")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    on_aws = ", ".join(fault.name for fault in FAULTS.values() if fault.works_on_aws)
    parser = commands.add_parser(
        "drill",
        help="inject a fault into one or more Regions, and measure the failover",
        description="Verifies the environment, sends customers' reads and writes by DNS, injects a "
        "fault into the primary Region, or those of --region, waits until the others serve, clears "
        "the fault, waits until they serve again, and looks for every acknowledged write in every "
        "Region. Leaves a report, a picture and a record for readiness. In a sandbox it lowers the "
        "speed to one that this machine can follow.",
        epilog=f"On AWS the faults {on_aws} work, and nothing is done without --execute. Exit "
        "codes: 0 passed, 1 a check or the drill failed, 2 wrong usage, 3 a prerequisite is "
        "missing, or the load was not measured, 130 interrupted, with everything restored.",
    )
    which = add_environment_options(parser)
    which.add_argument(
        "--check-history",
        metavar="FILE",
        type=Path,
        help="inject nothing: judge again what became of the writes of an earlier drill, by the "
        "history.jsonl in the folder of its report",
    )
    add_customer_option(parser)
    faults = "; ".join(f"{name}: {fault.help}" for name, fault in FAULTS.items())
    parser.add_argument("--fault", choices=FAULTS, help=f"fault to inject. {faults}")
    parser.add_argument(
        "--region",
        dest="regions",
        metavar="REGION",
        action="append",
        help="Region to inject it into; repeat it for more than one at once (default: the primary, "
        "with failover routing)",
    )
    parser.add_argument(
        "--share",
        type=_share,
        metavar="S",
        help="gray-failure: share of requests that fail (default: 0.9)",
    )
    parser.add_argument(
        "--status",
        type=int,
        choices=STATUSES,
        help="error, gray-failure: HTTP status of the responses (default: 503)",
    )
    parser.add_argument(
        "--delay-seconds",
        type=_delay,
        metavar="N",
        help="slow: delay of responses, on AWS (default: 12)",
    )
    parser.add_argument(
        "--error",
        choices=[error for error in TABLE_ERRORS if error not in (REPLICATION, UNRESOLVED)],
        help="table: how it fails (default: InternalServerError)",
    )
    parser.add_argument(
        "--target",
        metavar="REGION",
        help="replication-paused: the one Region that the writes do not reach (default: all)",
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        default=None,
        help="region-loss: lose the writes for good that have not left the Region",
    )
    parser.add_argument(
        "--max-rto-seconds",
        type=_positive,
        metavar="N",
        help="longest RTO that passes, on AWS, or longest cut-over if the fault makes no request "
        "fail (default: rto_seconds of [objectives], else interval x threshold + time to live + "
        "one probe)",
    )
    parser.add_argument(
        "--max-lost-writes",
        type=_count,
        default=0,
        metavar="N",
        help="most acknowledged writes that may be lost (default: 0)",
    )
    able = ", ".join(name for name, fault in FAULTS.items() if fault.takes_fence)
    parser.add_argument(
        "--fence",
        choices=[str(When.NOW)],
        help="once another Region serves, evacuate the lost one, unless the fault has done so, and "
        f"let it refuse writes from then on ({able}); requires fence_writes",
    )
    parser.add_argument(
        "--reconcile",
        action="store_true",
        help="at the end, compare the replicas with what was acknowledged, and replay what they "
        "lack; nothing may be lost then",
    )
    add_load_options(parser)
    parser.add_argument(
        "--report-folder",
        type=Path,
        metavar="FOLDER",
        help="where reports are kept, a folder each (default: drills in --folder)",
    )
    parser.add_argument(
        "--restore",
        action="store_true",
        help="inject nothing: restore what drills have changed that ended without doing so",
    )
    parser.add_argument(
        "--location",
        metavar="ID",
        type=_location,
        help="with --restore: also delete the drill observations of this location, which verify "
        "names, although no journal does",
    )
    parser.add_argument("--execute", action="store_true", help="on AWS: really do it")
    add_confirmation_option(parser)
    parser.set_defaults(run=_drill)


def _drill(options: argparse.Namespace) -> int:
    if options.check_history:
        if options.fault or options.restore:
            raise UsageError(
                "--check-history injects and restores nothing",
                next_step="leave out --fault and --restore",
            )
        return checked(options.check_history)
    if options.restore == bool(options.fault):
        raise UsageError(
            "--restore injects nothing" if options.restore else "nothing to do",
            next_step="give either --fault or --restore",
        )
    if options.regions and options.restore:
        raise UsageError("--restore takes no --region", next_step="leave out --region")
    if options.location and not options.restore:
        raise UsageError("--location requires --restore", next_step="leave out --location")
    if options.fence and options.restore:
        raise UsageError("--restore fences nothing", next_step="leave out --fence")
    if options.reconcile and options.restore:
        raise UsageError("--restore replays nothing", next_step="leave out --reconcile")
    if options.load and options.restore:
        raise UsageError("--restore takes no --load", next_step="leave out --load")
    environment = environment_from(options)
    return restored(environment, options) if options.restore else _inject(environment, options)


def _inject(environment: Environment, options: argparse.Namespace) -> int:
    refuse_if_any(environment.journal_file, environment)
    identity = identified(environment)
    run = new_run("drill")
    faults, expectation = _chosen(environment, options, run)
    load = load_from(options, environment)
    what = ", and ".join(each.describe() for each in faults)
    console.print(f"In {environment.name}, this will {what}, until cleared at the end.")
    for line in _expected(environment, faults, expectation):
        console.print(line, markup=False)
    for line in (line for fault in faults for line in fault.details(environment)):
        console.print(line, markup=False)
    most = quota.most_requests(environment, expectation, load)
    spending = quota.require(environment, most)
    console.print(str(spending), markup=False)
    if load:
        quota.require_rate(environment, load, spending.limits)
        seconds = longest_seconds(environment, expectation, load)
        for line in load_lines(environment, load, seconds):
            console.print(line, markup=False)
    if options.fence:
        where = " and ".join(fault.region for fault in faults)
        console.print(f"Once another Region serves, {where} refuses writes, until cleared.")
    if options.reconcile:
        reconciliation.require(environment)
        console.print(
            f"At the end it reads the streams of the table {environment.outputs.table_name} in "
            "every Region, and writes what its own location lacks."
        )
    if not environment.descriptor.sandbox and not options.execute:
        console.print(
            "Dry run: nothing was done. Customers' requests would be written for a location of the "
            "drill and deleted at the end. To do it, give --execute."
        )
        return ExitCode.PASSED
    effect = f"this drill will {what}" + (f", under {load}" if load else "")
    confirm(environment, options, effect=effect, identity=identity)
    with (
        Interrupts(console.print) as interrupts,
        hold(environment, kind="drill", run=run, notify=console.print) as lock,
        at_followed_speed(environment, console.print) as followed,
    ):
        try:
            return _at_speed(followed, options, lock, interrupts, spending, identity, load)
        finally:
            interrupts.postpone()


def _chosen(
    environment: Environment, options: argparse.Namespace, run: str
) -> tuple[tuple[DrillFault, ...], Expectation]:
    given = {name: getattr(options, name) for name in FAULT_OPTIONS}
    regions = _regions(environment, options)
    faults = tuple(
        choose(
            environment,
            options.fault,
            f"{run}-{region}" if place else run,
            given,
            region=region,
            fence=bool(options.fence),
        )
        for place, region in enumerate(regions)
    )
    if len(regions) == len(environment.regions) and not faults[0].fails_requests:
        raise UsageError(
            f"--fault {options.fault} in all Regions of {environment.name} takes none out of "
            "service: while no Region is healthy, Route 53 answers as if all were",
            next_step="leave out a --region, or choose a fault that makes requests fail",
        )
    expectation = expectation_of(environment, faults[0])
    # One after the other.
    preceding = len(faults) * expectation.preceding_seconds
    return faults, replace(expectation, preceding_seconds=preceding)


def _regions(environment: Environment, options: argparse.Namespace) -> tuple[str, ...]:
    """The Regions into which the fault is injected, in the environment's order."""
    given, known = options.regions or [], ", ".join(environment.regions)
    if not given:
        if environment.outputs.routing_policy != "failover":
            raise UsageError(
                f"{environment.name} has no primary Region: its routing policy is "
                f"{environment.outputs.routing_policy}",
                next_step=f"name the Region to lose: --region REGION, one or more of {known}",
            )
        return environment.regions[:1]
    if unknown := [region for region in given if region not in environment.regions]:
        raise UsageError(
            f"{', '.join(unknown)} is not a Region of {environment.name}",
            next_step=f"give --region with one of {known}",
        )
    if len(given) > len({*given}):
        raise UsageError("duplicate --region", next_step="name each Region once")
    return tuple(region for region in environment.regions if region in given)


def _expected(
    environment: Environment, faults: Sequence[DrillFault], expectation: Expectation
) -> Iterator[str]:
    """Say what the drill will measure, and against what."""
    outputs, lost = environment.outputs, [fault.region for fault in faults]
    scenario = scenario_of(outputs.routing_policy, outputs.regions, lost, outputs.weights)
    if not scenario.moving:
        yield (
            f"{' and '.join(lost)} should serve no customers now: nobody is to notice. The loss is "
            f"detected within {expectation}."
        )
    elif not scenario.left:
        yield (
            "No Region is left: requests fail until the fault is cleared. Expected until a Region "
            f"serves again: at most {expectation}."
        )
    else:
        judged = "RTO" if faults[0].fails_requests else "cut-over, as no request fails"
        yield f"Expected {judged}: at most {expectation}."
    for each in scenario.others if scenario.moving else ():
        yield f"Not to notice: {each}."


def _at_speed(
    environment: Environment,
    options: argparse.Namespace,
    lock: Lock,
    interrupts: Interrupts,
    spending: Spending,
    identity: Identity | None,
    load: Load | None = None,
) -> int:
    (fault, *further), expectation = _chosen(environment, options, lock.run)
    limits = limits_of(
        environment,
        expectation,
        max_rto_seconds=options.max_rto_seconds,
        max_lost_writes=options.max_lost_writes,
    )
    folder = options.report_folder or environment.drills_folder
    with console.status("Verifying the environment") as status:
        verification = verify(environment)
        warnings = _warnings(verification, load)
        if not _is_sound(verification, warnings):
            return ExitCode.CHECK_FAILED
        longest = longest_seconds(environment, expectation, load)
        longest += longest_restore_seconds(environment)
        longest += reconciliation.LONGEST_SECONDS if options.reconcile else 0
        require_lifetime(environment, longest)
        drill = Drill(
            environment,
            fault,
            expectation,
            limits,
            lock,
            interrupts,
            notify=notifier(status),
            tick=lambda events: show(status, environment, events),
            further=tuple(further),
            load=load,
            reconciles=options.reconcile,
        )
        with _space_for_a_report(folder):
            outcome = drill.run()
        outcome.findings += judge_rpo(outcome, objectives_of(environment))
        outcome.spending = spending
        status.update("Writing the report")
        place, unwritten = None, ""
        try:
            place = report.write(folder, outcome)
        except Exception as error:
            # What was measured must not be lost with it.
            unwritten = explain(error)
    print_outcome(outcome, f"Report: {place}" if place else f"No report was written: {unwritten}")
    link, unrecorded = leave_record(
        environment,
        outcome,
        run=lock.run,
        identity=identity,
        verification=verification,
        report=place,
    )
    console.print(
        f"Record {link.sequence}: {link.digest}" if link else f"No record was left: {unrecorded}",
        style="" if link else "red",
        markup=False,
    )
    return Result(
        _exit_code(outcome, is_written=place is not None and link is not None),
        **report.to_json(outcome, with_events=False),
        warnings=[f"{each.check}, {each.subject}: {each.found}" for each in warnings],
        report_folder=str(place) if place else None,
        report_error=unwritten or None,
        record={"sequence": link.sequence, "digest": link.digest} if link else None,
        record_error=unrecorded or None,
    )


def _exit_code(outcome: Outcome, *, is_written: bool) -> int:
    if outcome.interrupted and not outcome.left:
        return INTERRUPTED
    if outcome.verdict == "not measured":
        return ExitCode.PREREQUISITE
    if not outcome.passed:
        return ExitCode.CHECK_FAILED
    return ExitCode.PASSED if is_written else ExitCode.PREREQUISITE


@contextmanager
def _space_for_a_report(folder: Path) -> Iterator[None]:
    """Keep the space for the report while the block runs, in a file that nobody can leave behind.

    Raises:
        OpsError: The report could not be written.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Without a buffer, which would be written once more, and fail once more, on closing.
            file = stack.enter_context(TemporaryFile(dir=folder, buffering=0))
            left = REPORT_BYTES
            while left:
                left -= file.write(bytes(left))
            os.fsync(file.fileno())
        except OSError as error:
            raise OpsError(
                f"no report could be written to {folder}: {error.strerror}: nothing was injected",
                next_step="make the folder writable and free some space, or give --report-folder",
            ) from error
        yield


def _warnings(verification: Verification, load: Load | None) -> tuple[Finding, ...]:
    """The failed checks whose subject the drill is to measure: of capacity, under a load."""
    return tuple(
        finding
        for finding in verification.with_outcome(CheckOutcome.FAILED)
        if load and finding.check in ABOUT_CAPACITY
    )


def _is_sound(verification: Verification, warnings: Sequence[Finding]) -> bool:
    """Print what keeps a failover from working, and say whether a drill can prove anything."""
    failed = (*verification.with_outcome(CheckOutcome.FAILED), *verification.unreadable)
    stopping = [finding for finding in failed if finding not in warnings]
    for finding in failed:
        is_warning = finding not in stopping
        outcome = "Warning" if is_warning else finding.outcome.value.capitalize()
        text = f"{outcome}: {finding.check}, {finding.subject}: {finding.found}"
        style = "yellow" if is_warning else "red"
        console.print(f"{text}\n  Fix: {finding.fix}", style=style, markup=False)
    if stopping:
        console.print("Nothing was injected: a drill of an unhealthy environment proves nothing.")
    if stopping and all(each.check in ABOUT_CAPACITY for each in stopping):
        console.print("With --load N, failed checks of capacity are warnings: it measures them.")
    return not stopping


def _location(text: str) -> str:
    if not is_probe_location(text):
        raise argparse.ArgumentTypeError(f"expected drill- and eight digits, got {text!r}")
    return text


def _share(text: str) -> float:
    return number(text, 1, "more than 0 and at most 1")


def _positive(text: str) -> float:
    return number(text, 1_000_000, "a positive number")


def _delay(text: str) -> float:
    return number(text, LONGEST_DELAY_SECONDS, f"seconds, at most {LONGEST_DELAY_SECONDS}")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)
