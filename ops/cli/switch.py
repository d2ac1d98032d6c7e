"""`python -m ops switch`: the secondary Region takes over, until the switch is released."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TypeVar

from rich.console import Console

from ops import switch
from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.options import (
    Commands,
    add_command,
    environment_from,
    identified,
)
from ops.cli.program import Result
from ops.deadline import Limit
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, explain
from ops.identity import Identity
from ops.lock import LEASE, LockState, hold, interrupt_drill, new_run, read
from ops.switch import SwitchChange, SwitchState
from ops.switch_timing import ALIAS_TTL_SECONDS, timing_of

TIMEOUT_SECONDS = 15.0
"""For a command as a whole, without what is typed meanwhile."""
KEPT_SECONDS = 4.0
"""Of the time of a command, for DynamoDB: who is asking may take the rest."""
_Result = TypeVar("_Result")
console = Console(highlight=False, soft_wrap=True, markup=False)


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "switch",
        help="let the secondary Region take over, until released",
        description="Takes the primary Region out of service without any control plane: the "
        "secondary Region takes over and serves until the switch is released.",
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = partial(add_command, subcommands)
    engage = add("engage", _engage, "let the secondary Region take over")
    engage.add_argument(
        "--reason", metavar="TEXT", default="", help="why, for whoever finds it engaged"
    )
    add_confirmation_option(engage)
    add_confirmation_option(add("release", _release, "let the primary serve again, once healthy"))
    add("status", _status, "show whether it is engaged, since when and why")


def _engage(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment)
    primary, secondary = environment.primary, environment.secondary
    limit = _limit(environment)
    # An emergency does not wait for STS: the table is addressed by its ARN, account included.
    identity = identified(
        environment, refuse_unknown=False, limit=limit, keep_seconds=_kept(environment)
    )
    confirm(
        environment,
        options,
        effect=f"DNS will route all customers to {secondary}",
        identity=identity,
    )
    run = new_run("switch")
    change = _in_time(
        environment,
        limit,
        "was engaged",
        partial(switch.engage, environment, reason=options.reason, writer=run),
    )
    _interrupt_drill(environment, limit, run)
    name = environment.name
    if change.changed:
        console.print(f"The switch of {name} is {change.after} (in {change.after.region}).")
    else:
        console.print(f"The switch of {name} was {change.before}; nothing was changed.")
    _print_timing(
        environment,
        limit,
        f"answers {environment.outputs.record_name} with {secondary} instead of {primary}",
    )
    console.print(
        f"It stays engaged until it is released, whatever happens to {primary}. While {secondary} "
        f"is unhealthy itself, {_otherwise(environment)}.\n{_release_line(environment)}"
    )
    return _result(environment, change.after, identity, changed=change.changed)


def _otherwise(environment: Environment) -> str:
    """What Route 53 does while the switch is engaged and the secondary is unhealthy."""
    if further := environment.regions[2:]:
        return f"the next healthy Region serves: {', then '.join(further)}"
    return f"{environment.primary} continues to serve"


def _release(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment)
    primary, name = environment.primary, environment.name
    limit = _limit(environment)
    identity = identified(environment, limit=limit, keep_seconds=_kept(environment))
    seen = _in_time(environment, limit, "is engaged", partial(switch.status, environment))
    if not seen.engaged:
        console.print(f"The switch of {name} was not engaged; nothing was changed.")
        return _result(environment, seen, identity, changed=False)
    confirm(
        environment,
        options,
        effect=f"DNS will route all customers to {primary} while it is healthy; the switch is "
        f"{seen}",
        identity=identity,
    )
    # Whoever holds the lock is watched for a lease, which is announced and does not count.
    holder = _in_time(environment, limit, "may be released", partial(read, environment))
    limit.left += LEASE.seconds if holder.run else 0.0
    change = _in_time(
        environment, limit, "was released", partial(_release_held, environment, seen.writer)
    )
    if change.after.engaged:
        raise OpsError(
            f"the switch was not released: meanwhile it was {change.after}",
            next_step="ask whoever engaged it",
            exit_code=ExitCode.CHECK_FAILED,
        )
    result = _result(environment, change.after, identity, changed=change.changed)
    if not change.changed:
        console.print(f"The switch of {name} was released by somebody else; nothing was changed.")
        return result
    console.print(f"The switch of {name} is released; it was {change.before}.")
    _print_timing(
        environment,
        limit,
        f"answers {environment.outputs.record_name} with {primary} again if its health check finds "
        "it healthy",
    )
    return result


def _release_held(environment: Environment, writer: str) -> SwitchChange:
    with hold(environment, kind="switch", notify=console.print):
        # Only what was shown: somebody may have engaged it again meanwhile, for another reason.
        return switch.release(environment, writer=writer)


def _limit(environment: Environment) -> Limit:
    return Limit(TIMEOUT_SECONDS * environment.patience)


def _kept(environment: Environment) -> float:
    return KEPT_SECONDS * environment.patience


def _in_time(
    environment: Environment, limit: Limit, what: str, call: Callable[[], _Result]
) -> _Result:
    """Wait for DynamoDB no longer than somebody at night does."""
    try:
        return limit.within(call)
    except TimeoutError as error:
        raise OpsError(
            f"whether the switch {what} is not known: DynamoDB in {environment.secondary} has "
            f"not responded: {error}",
            next_step="check this machine's network, then look with python -m ops switch status "
            f"{environment.selector}",
        ) from error


def _interrupt_drill(environment: Environment, limit: Limit, run: str) -> None:
    """Let a drill that runs end early: this command waits for nobody."""

    def interrupted() -> tuple[LockState | None, LockState]:
        drill = interrupt_drill(environment, by=f"switch engage (run {run})")
        return drill, drill or read(environment)

    try:
        drill, holder = limit.within(interrupted)
    except Exception as error:  # the switch is engaged already, whatever this is
        console.print(f"Whether a drill runs is not known: {explain(error)}", style="yellow")
        return
    if drill:
        console.print(f"Interrupted, and restoring what it changed: {drill}.")
    elif holder.run:
        console.print(f"Somebody else is changing {environment.name}: {holder}.")


def _status(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment)
    limit = _limit(environment)
    identity = identified(
        environment, refuse_unknown=False, limit=limit, keep_seconds=_kept(environment)
    )
    state = _in_time(environment, limit, "is engaged", partial(switch.status, environment))
    console.print(f"The switch of {environment.name} is {state} (in {state.region}).")
    if state.engaged:
        console.print(_release_line(environment))
    return _result(environment, state, identity)


def _result(
    environment: Environment, state: SwitchState, identity: Identity, **more: bool
) -> Result:
    return Result(
        ExitCode.PASSED,
        environment=environment.name,
        identity=identity.to_json(),
        switch=asdict(state),
        **more,
    )


def _release_line(environment: Environment) -> str:
    return f"Release it with: python -m ops switch release {environment.selector}"


def _print_timing(environment: Environment, limit: Limit, effect: str) -> None:
    timing = timing_of(environment, limit=limit)
    console.print(
        f"Route 53 {effect} within {timing.route53_seconds} s (health check: "
        f"{timing.interval_seconds} s x {timing.failure_threshold}); customers' resolvers follow "
        f"within {timing.customers_seconds} s (TTL: {ALIAS_TTL_SECONDS} s more)."
    )
    if timing.speed != 1:
        route53, customers = timing.here_seconds
        console.print(
            f"This sandbox runs {timing.speed:g} times as fast: within {route53:.3g} s and "
            f"{customers:.3g} s."
        )
    if timing.assumed:
        console.print(f"These times are Route 53's defaults. {timing.assumed}")
