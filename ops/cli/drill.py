"""`python -m ops drill`: inject a fault into the primary Region, and measure the failover."""

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.drill_screen import console, notifier, print_outcome, show
from ops.cli.options import (
    add_customer_option,
    add_environment_options,
    environment_from,
    identified,
)
from ops.cli.program import INTERRUPTED, Result
from ops.cli.restore import restored
from ops.drill import quota, report
from ops.drill.credentials import require_lifetime
from ops.drill.durations import longest_seconds
from ops.drill.expectation import Expectation, expectation_of
from ops.drill.fault import DrillFault
from ops.drill.faults import FAULTS, choose
from ops.drill.interrupts import Interrupts
from ops.drill.journal import refuse_if_any
from ops.drill.outcome import Limits, Outcome
from ops.drill.probe_location import is_probe_location
from ops.drill.run import Drill
from ops.drill.speed import at_followed_speed
from ops.drill.spending import Spending
from ops.drill.steps import longest_restore_seconds
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.fault_injection import LONGEST_DELAY_SECONDS, REPLICATION, STATUSES, TABLE_ERRORS
from ops.lock import Lock, hold, new_run
from ops.verify import verify
from ops.verify.finding import Outcome as CheckOutcome

REPORT_BYTES = 4 * 2**20
"""No report is larger."""
FAULT_OPTIONS = ("share", "status", "delay_seconds", "error")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    on_aws = ", ".join(fault.name for fault in FAULTS.values() if fault.works_on_aws)
    parser = commands.add_parser(
        "drill",
        help="inject a fault into the primary Region, and measure the failover",
        description="Verifies the environment, sends customers' reads and writes by DNS, injects a "
        "fault into the primary Region, waits until the secondary serves, clears the fault, waits "
        "until the primary serves again, and looks for every acknowledged write in every Region. "
        "Leaves a report and a picture. In a sandbox it lowers the speed to one that this machine "
        "can follow.",
        epilog=f"On AWS the faults {on_aws} work, and nothing is done without --execute. Exit "
        "codes: 0 passed, 1 a check or the drill failed, 2 wrong usage, 3 a prerequisite is "
        "missing, 130 interrupted, with everything restored.",
    )
    add_environment_options(parser)
    add_customer_option(parser)
    faults = "; ".join(f"{name}: {fault.help}" for name, fault in FAULTS.items())
    parser.add_argument("--fault", choices=FAULTS, help=f"fault to inject. {faults}")
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
        choices=[error for error in TABLE_ERRORS if error != REPLICATION],
        help="table: how it fails (default: InternalServerError)",
    )
    parser.add_argument(
        "--max-rto-seconds",
        type=_positive,
        metavar="N",
        help="longest RTO that passes, on AWS, or longest cut-over if the fault makes no request "
        "fail (default: interval x threshold + time to live + one probe)",
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
    if options.restore == bool(options.fault):
        raise UsageError(
            "--restore injects nothing" if options.restore else "nothing to do",
            next_step="give either --fault or --restore",
        )
    if options.location and not options.restore:
        raise UsageError("--location requires --restore", next_step="leave out --location")
    environment = environment_from(options)
    return restored(environment, options) if options.restore else _inject(environment, options)


def _inject(environment: Environment, options: argparse.Namespace) -> int:
    refuse_if_any(environment.journal_file, environment)
    identity = identified(environment)
    run = new_run("drill")
    fault, expectation = _chosen(environment, options, run)
    console.print(f"In {environment.name}, this will {fault.describe()}, until cleared at the end.")
    judged = "RTO" if fault.fails_requests else "cut-over, as no request fails"
    console.print(f"Expected {judged}: at most {expectation}.", markup=False)
    spending = quota.require(environment, quota.most_requests(environment, expectation))
    console.print(str(spending), markup=False)
    if not environment.descriptor.sandbox and not options.execute:
        console.print(
            "Dry run: nothing was done. Customers' requests would be written for a location of the "
            "drill and deleted at the end. To do it, give --execute."
        )
        return ExitCode.PASSED
    effect = f"this drill will {fault.describe()}"
    confirm(environment, options, effect=effect, identity=identity)
    with (
        Interrupts(console.print) as interrupts,
        hold(environment, kind="drill", run=run, notify=console.print) as lock,
        at_followed_speed(environment, console.print) as followed,
    ):
        try:
            return _at_speed(followed, options, lock, interrupts, spending)
        finally:
            interrupts.postpone()


def _chosen(
    environment: Environment, options: argparse.Namespace, run: str
) -> tuple[DrillFault, Expectation]:
    if environment.outputs.routing_policy != "failover":
        raise UsageError(
            f"the routing policy of {environment.name} is {environment.outputs.routing_policy}: no "
            "Region takes over from the primary, which is what a drill measures",
            next_step='drill in an environment with routing_policy = "failover"; verify this one: '
            f"python -m ops verify {environment.selector}",
        )
    given = {name: getattr(options, name) for name in FAULT_OPTIONS}
    fault = choose(environment, options.fault, run, given)
    return fault, expectation_of(environment, fault)


def _at_speed(
    environment: Environment,
    options: argparse.Namespace,
    lock: Lock,
    interrupts: Interrupts,
    spending: Spending,
) -> int:
    fault, expectation = _chosen(environment, options, lock.run)
    limit = options.max_rto_seconds
    limits = Limits(expectation.seconds if limit is None else limit, options.max_lost_writes)
    folder = options.report_folder or environment.drills_folder
    with console.status("Verifying the environment") as status:
        if not _verified(environment):
            return ExitCode.CHECK_FAILED
        longest = longest_seconds(environment, expectation) + longest_restore_seconds(environment)
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
        )
        with _space_for_a_report(folder):
            outcome = drill.run()
        outcome.spending = spending
        status.update("Writing the report")
        place, unwritten = None, ""
        try:
            place = report.write(folder, outcome)
        except Exception as error:
            # What was measured must not be lost with it.
            unwritten = explain(error)
    print_outcome(outcome, f"Report: {place}" if place else f"No report was written: {unwritten}")
    return Result(
        _exit_code(outcome, is_written=place is not None),
        **report.to_json(outcome, with_events=False),
        report_folder=str(place) if place else None,
        report_error=unwritten or None,
    )


def _exit_code(outcome: Outcome, *, is_written: bool) -> int:
    if outcome.interrupted and not outcome.left:
        return INTERRUPTED
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


def _verified(environment: Environment) -> bool:
    verification = verify(environment)
    for finding in (*verification.with_outcome(CheckOutcome.FAILED), *verification.unreadable):
        outcome = finding.outcome.value.capitalize()
        text = f"{outcome}: {finding.check}, {finding.subject}: {finding.found}"
        console.print(f"{text}\n  Fix: {finding.fix}", style="red", markup=False)
    if not verification.passed:
        console.print("Nothing was injected: a drill of an unhealthy environment proves nothing.")
    return verification.passed


def _number(text: str, most: float, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number


def _location(text: str) -> str:
    if not is_probe_location(text):
        raise argparse.ArgumentTypeError(f"expected drill- and eight digits, got {text!r}")
    return text


def _share(text: str) -> float:
    return _number(text, 1, "more than 0 and at most 1")


def _positive(text: str) -> float:
    return _number(text, 1_000_000, "a positive number")


def _delay(text: str) -> float:
    return _number(text, LONGEST_DELAY_SECONDS, f"seconds, at most {LONGEST_DELAY_SECONDS}")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)
