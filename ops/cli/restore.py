"""`python -m ops drill --restore`: restore what drills left that ended without doing so."""

import argparse

from rich.console import Console

from ops.cli.confirmation import confirm
from ops.cli.options import identified
from ops.cli.program import Result
from ops.drill.interrupts import Interrupts
from ops.drill.restore import Plan, Restored, plan, restore
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.lock import LockedError, hold

console = Console(highlight=False, soft_wrap=True)


def restored(environment: Environment, options: argparse.Namespace) -> Result:
    """Restore what drills have changed that ended without doing so.

    Args:
        environment: The environment.
        options: Parsed options of the command.

    Returns:
        The exit code, with what was done.

    Raises:
        OpsError: It was not confirmed, or somebody else is changing the environment.
    """
    identity = identified(environment)
    planned = plan(environment, location_id=options.location or "")
    found = Restored()
    is_dry_run = not environment.descriptor.sandbox and not options.execute
    if planned.is_needed:
        _print_plan(environment, planned)
        if is_dry_run:
            console.print("Dry run: nothing was done. To do it, give --execute.")
        else:
            effect = "what is listed above will be restored"
            confirm(environment, options, effect=effect, identity=identity)
            found = _carried_out(environment, planned)
    for line in found.failed:
        console.print(f"NOT RESTORED: {line}", style="red", markup=False)
    for line in found.by_hand:
        console.print(f"  Finish with: {line}", style="red", markup=False)
    for line in found.done:
        console.print(f"Done: {line}", markup=False)
    for other in planned.others:
        console.print(f"Left as it is, for no such drill has done it: {other}", markup=False)
    if not planned.is_needed:
        console.print("Nothing was left to restore.")
    return Result(
        ExitCode.CHECK_FAILED if found.failed else ExitCode.PASSED,
        planned=[step.what for step in planned.steps],
        done=found.done,
        failed=found.failed,
        finish=found.by_hand,
        left_as_it_is=planned.others,
    )


def _print_plan(environment: Environment, planned: Plan) -> None:
    drills = " and ".join(str(journal) for journal in planned.journals) or "no journal"
    console.print(f"In {environment.name}, this will restore what {drills} names:", markup=False)
    for step in planned.steps:
        console.print(f"- {step.what}", markup=False)
    console.print("- remove the journal, once everything is restored")
    if planned.holder:
        console.print(f"The lock is held; if that still runs, wait for it: {planned.holder}")


def _carried_out(environment: Environment, planned: Plan) -> Restored:
    with Interrupts(console.print) as interrupts:
        interrupts.postpone()
        try:
            with hold(
                environment, kind="restore", replaces=planned.ended, notify=console.print
            ) as lock:
                return restore(environment, lock, planned)
        except LockedError:
            raise
        except OpsError as error:
            for step in planned.steps:
                if step.by_hand:
                    console.print(f"To {step.what} by hand: {step.by_hand}", markup=False)
            raise error
