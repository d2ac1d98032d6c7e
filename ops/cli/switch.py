"""`python -m ops switch`: takes a Region out of service until it is restored."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TypeVar

from ops import fence, switch
from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.options import (
    Commands,
    add_command,
    environment_from,
    identified,
)
from ops.cli.program import Result
from ops.cli.switch_report import (
    console,
    duration,
    print_fence,
    print_timing,
    print_unread,
    restore_line,
    result_of,
    successors,
    with_replicas,
)
from ops.deadline import Limit
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.evacuation_item import Evacuation
from ops.fence import FenceState, When
from ops.lock import LEASE, LockState, hold, interrupt_drill, new_run, read
from ops.switch import SwitchChange
from ops.takeover import takeover

TIMEOUT_SECONDS = 15.0
"""For a command as a whole, without what is typed meanwhile."""
KEPT_SECONDS = 4.0
"""Of the time of a command, for DynamoDB: who is asking may take the rest."""
TAKEOVER_SECONDS = 3.0
"""Of the time of a command, to find out which Regions would take over."""
_Result = TypeVar("_Result")


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "switch",
        help="take a Region out of service, until it is restored",
        description="Takes a Region out of service without any control plane: the other Regions "
        "serve until it is restored, or the evacuation expires.",
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = partial(add_command, subcommands)
    evacuate = add("evacuate", _evacuate, "take a Region out of service")
    engage = add(
        "engage", _evacuate, "short for evacuate, of the primary Region with failover routing"
    )
    restore = add("restore", _restore, "let a Region serve again, once healthy")
    release = add(
        "release", _restore, "short for restore, of the primary Region with failover routing"
    )
    for command in (evacuate, restore):
        command.add_argument("region", metavar="REGION", help="the Region")
    for command in (evacuate, engage):
        command.add_argument(
            "--reason", metavar="TEXT", default="", help="why, for whoever finds it evacuated"
        )
        command.add_argument(
            "--expires-in",
            metavar="DURATION",
            type=duration,
            help="let the evacuation end after this time, such as 90s, 30m, 4h or 2d (default: "
            "only when the Region is restored)",
        )
        command.add_argument(
            "--force",
            metavar="REGION",
            help="evacuate this Region even if no other one is fit to take over",
        )
        command.add_argument(
            "--fence",
            type=When,
            choices=list(When),
            metavar="WHEN",
            help="when the Region begins to refuse writes, with fence_writes = true: after-dns "
            "(default: once DNS routes nobody there any more), now (for a Region that is cut off, "
            "or serves wrongly) or never (default with --force)",
        )
    fence_command = add("fence", _fence, "change when an evacuated Region refuses writes")
    fence_command.add_argument("region", metavar="REGION", help="the Region")
    fence_command.add_argument(
        "when",
        type=When,
        choices=list(When),
        metavar="WHEN",
        help="now, after-dns or never, as for switch evacuate --fence",
    )
    for command in (evacuate, engage, fence_command, restore, release):
        add_confirmation_option(command)
    add("status", _status, "show which Regions are evacuated, since when, by whom and why")


def _region(environment: Environment, options: argparse.Namespace) -> str:
    """The Region that a command is about; for a short form, the primary."""
    if "region" not in options:
        return switch.require_primary(environment)
    switch.require(environment, options.region)
    return str(options.region)


def _evacuate(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    region = _region(environment, options)
    if options.force not in (None, region):
        raise UsageError(
            f"--force {options.force} does not name the Region to evacuate",
            next_step=f"give --force {region}, or leave it out",
        )
    # Forced, it may be the only one that serves.
    fence_from = options.fence or (When.NEVER if options.force else When.AFTER_DNS)
    if environment.outputs.fencing is None and options.fence is When.NOW:
        raise fence.no_fence(environment)
    limit = _limit(environment)
    # An emergency does not wait for STS: the table is addressed by its ARN, account included.
    identity = identified(
        environment,
        refuse_unknown=False,
        limit=limit,
        keep_seconds=_kept(environment) + TAKEOVER_SECONDS * environment.patience,
    )
    _require_takeover(environment, region, limit, forced=options.force is not None)
    instead = successors(environment, region)
    confirm(
        environment,
        options,
        effect=f"DNS will route all customers of {region} to {instead}",
        identity=identity,
    )
    run = new_run("switch")
    change = _in_time(
        environment,
        limit,
        f"{region} was evacuated",
        region,
        partial(
            switch.evacuate,
            environment,
            region,
            reason=options.reason,
            writer=run,
            expires_in=options.expires_in,
            fence_from=fence_from,
        ),
    )
    _interrupt_drill(environment, limit, run)
    if change.changed:
        console.print(f"{region} of {environment.name} is {with_replicas(change.after)}.")
    else:
        console.print(f"{region} of {environment.name} was {change.before}; nothing was changed.")
        change = replace(change, fence=fence.read(environment, region))
    print_unread(change.after)
    print_fence(change.fence)
    if options.fence and not change.changed:
        console.print(
            f"--fence {options.fence} was not applied either. To change when {region} refuses "
            f"writes: python -m ops switch fence {region} {options.fence} {environment.selector}"
        )
    print_timing(
        environment,
        region,
        limit,
        f"answers {environment.outputs.record_name} with {instead} instead of {region}",
    )
    ends = change.after.expires_at
    until = f"at the latest at {ends}" if ends else f"whatever happens to {region}"
    console.print(
        f"It stays evacuated until it is restored, {until}. While no other "
        f"Region is healthy and in service, Route 53 answers as if all were.\n"
        f"{restore_line(environment, region)}"
    )
    return result_of(environment, identity, change=change)


def _require_takeover(environment: Environment, region: str, limit: Limit, *, forced: bool) -> None:
    """Refuse to evacuate a Region if none takes over; what is not known is named only."""
    try:
        found = limit.within(
            partial(takeover, environment, region),
            at_most=TAKEOVER_SECONDS * environment.patience,
            keep=_kept(environment),
        )
    except Exception as error:  # whatever it is, it must not stop an evacuation
        console.print(
            f"Whether another Region can take over is not known: {explain(error)}", style="yellow"
        )
        return
    for other, what in found.unknown.items():
        console.print(f"Not known of {other}: {what}.", style="yellow")
    for other, why in found.unfit.items():
        console.print(f"{other} would not take over: it is {why}.", style="yellow")
    if found.is_possible or forced:
        return
    raise OpsError(
        f"{region} was not evacuated: no other Region is fit to take over ("
        + "; ".join(f"{other} is {why}" for other, why in found.unfit.items())
        + ")",
        next_step=f"restore one of them; or evacuate it all the same: --force {region}",
        exit_code=ExitCode.CHECK_FAILED,
    )


def _restore(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    region, name = _region(environment, options), environment.name
    limit = _limit(environment)
    identity = identified(environment, limit=limit, keep_seconds=_kept(environment))
    seen = _in_time(
        environment,
        limit,
        f"{region} is evacuated",
        region,
        partial(switch.status, environment, region),
    )
    if not seen.evacuated:
        leftover = _in_time(
            environment,
            limit,
            f"{region} refuses writes",
            region,
            partial(fence.take_down_leftover, environment, region),
        )
        if leftover:
            console.print(
                f"{region} of {name} was not evacuated, as the other Regions say; its own replica "
                "had an evacuation, which was deleted there."
            )
            print_fence(leftover)
            change = SwitchChange(seen, seen, changed=True, fence=leftover)
            return result_of(environment, identity, change=change)
        console.print(f"{region} of {name} was {seen}; nothing was changed.")
        print_unread(seen)
        return result_of(environment, identity, change=SwitchChange(seen, seen, changed=False))
    confirm(
        environment,
        options,
        effect=f"DNS will route customers to {region} while it is healthy; it is {seen}",
        identity=identity,
    )
    restoring = _restore_held if _may_lock(environment, seen, limit) else _restore_shown
    change = _in_time(
        environment,
        limit,
        f"{region} was restored",
        region,
        partial(restoring, environment, region, seen.writer),
    )
    if change.after.evacuated and not change.changed:
        raise OpsError(
            f"{region} was not restored: meanwhile it was {change.after}",
            next_step="ask whoever evacuated it",
            exit_code=ExitCode.CHECK_FAILED,
        )
    if not change.changed:
        console.print(f"{region} of {name} was restored by somebody else; nothing was changed.")
        return result_of(environment, identity, change=change)
    console.print(f"{region} of {name} is restored; it was {change.before}.")
    if change.after.evacuated:
        console.print(f"Somebody else has evacuated it again: it is {with_replicas(change.after)}.")
    print_unread(change.after)
    print_fence(change.fence)
    print_timing(
        environment,
        region,
        limit,
        f"answers {environment.outputs.record_name} with {region} again, where its routing policy "
        "prefers it, if its health check finds it healthy",
    )
    return result_of(environment, identity, change=change)


def _restore_held(environment: Environment, region: str, writer: str) -> SwitchChange:
    with hold(environment, kind="switch", notify=console.print):
        return _restore_shown(environment, region, writer)


def _restore_shown(environment: Environment, region: str, writer: str) -> SwitchChange:
    # Only what was shown: somebody may have evacuated it again meanwhile, for another reason.
    return switch.restore(environment, region, writer=writer)


def _may_lock(environment: Environment, seen: Evacuation, limit: Limit) -> bool:
    """Whether the lock can be taken; not in a Region that is lost, where nobody can hold it."""
    silent = seen.unread.get(environment.secondary, "")
    if not silent:
        try:
            holder = _in_time(
                environment,
                limit,
                f"{seen.region} may be restored",
                environment.primary,
                partial(read, environment),
                at_most=TAKEOVER_SECONDS if seen.region == environment.secondary else None,
            )
        except OpsError as error:
            if seen.region != environment.secondary:
                raise
            silent = explain(error)
        else:
            # Whoever holds the lock is watched for a lease, which is announced and does not count.
            limit.left += LEASE.seconds if holder.run else 0.0
    if silent:
        console.print(
            f"Restoring without the lock of {environment.name}, which is in "
            f"{environment.secondary}: {silent}",
            style="yellow",
        )
    return not silent


def _limit(environment: Environment) -> Limit:
    return Limit(TIMEOUT_SECONDS * environment.patience)


def _kept(environment: Environment) -> float:
    return KEPT_SECONDS * environment.patience


def _in_time(
    environment: Environment,
    limit: Limit,
    what: str,
    region: str,
    call: Callable[[], _Result],
    at_most: float | None = None,
) -> _Result:
    """Wait for DynamoDB no longer than somebody at night does."""
    try:
        return limit.within(
            call, at_most=float("inf") if at_most is None else at_most * environment.patience
        )
    except TimeoutError as error:
        where = " and ".join(switch.others(environment, region))
        raise OpsError(
            f"whether {what} is not known: DynamoDB in {where} has not responded: {error}",
            next_step="check this machine's network, then look with python -m ops switch status "
            f"{environment.selector}",
        ) from error


def _interrupt_drill(environment: Environment, limit: Limit, run: str) -> None:
    """Let a drill that runs end early: this command waits for nobody."""

    def interrupted() -> tuple[LockState | None, LockState]:
        drill = interrupt_drill(environment, by=f"switch evacuate (run {run})")
        return drill, drill or read(environment)

    try:
        drill, holder = limit.within(interrupted, at_most=KEPT_SECONDS * environment.patience)
    except Exception as error:  # the Region is evacuated already, whatever this is
        console.print(f"Whether a drill runs is not known: {explain(error)}", style="yellow")
        return
    if drill:
        console.print(f"Interrupted, and restoring what it changed: {drill}.")
    elif holder.run:
        console.print(f"Somebody else is changing {environment.name}: {holder}.")


def _fence(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    region, when = _region(environment, options), options.when
    if environment.outputs.fencing is None:
        raise fence.no_fence(environment)
    limit = _limit(environment)
    identity = identified(
        environment, refuse_unknown=False, limit=limit, keep_seconds=_kept(environment)
    )
    effect = {
        When.NOW: f"{region} will refuse writes at once",
        When.AFTER_DNS: f"{region} will refuse writes once DNS has had time to follow from now on",
        When.NEVER: f"{region} will accept writes while it is evacuated",
    }
    confirm(environment, options, effect=effect[when], identity=identity)
    state = _in_time(
        environment,
        limit,
        f"{region} refuses writes",
        region,
        partial(fence.change, environment, region, when),
    )
    print_fence(state)
    return Result(
        ExitCode.PASSED,
        environment=environment.name,
        identity=identity.to_json(),
        region=region,
        fence=state.to_json(),
    )


def _status(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment, environment.primary)
    limit = _limit(environment)
    identity = identified(
        environment, refuse_unknown=False, limit=limit, keep_seconds=_kept(environment)
    )
    states, errors = _in_time(
        environment,
        limit,
        "a Region is evacuated",
        environment.primary,
        partial(switch.statuses, environment),
    )
    fences = fence.read_all(environment)
    if not states:
        raise next(iter(errors.values()))
    for region in environment.regions:
        if state := states.get(region):
            console.print(f"{region} of {environment.name} is {with_replicas(state)}.")
            print_unread(state)
            if state.evacuated:
                console.print(restore_line(environment, region))
        else:
            console.print(
                f"Whether {region} is evacuated is not known: {explain(errors[region])}. A Region "
                "that does not respond evacuates no other.",
                style="yellow",
            )
        if (fenced := fences.get(region)) and _says_something(fenced, states.get(region)):
            print_fence(fenced)
    manual = environment.outputs.failback is not None
    if manual:
        console.print(
            "Failback is manual: a Region that fails over stays out of service until it is "
            "restored."
        )
    return Result(
        ExitCode.PASSED,
        environment=environment.name,
        identity=identity.to_json(),
        failback="manual" if manual else "automatic",
        evacuations={region: asdict(state) for region, state in states.items()},
        fences={region: fenced.to_json() for region, fenced in fences.items()},
        unknown={region: explain(error) for region, error in errors.items()},
    )


def _says_something(fenced: FenceState, state: Evacuation | None) -> bool:
    """Whether a fence is worth a line: of a Region in service, only that it refuses writes."""
    return bool(fenced.error or fenced.starts_at or state is None or state.evacuated)
