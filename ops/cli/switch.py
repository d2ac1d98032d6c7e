"""`python -m ops switch`: the standby takes over, until released."""

import argparse
import shlex
from collections.abc import Callable

from rich.console import Console

from ops import switch, switch_timing
from ops.cli.options import (
    add_confirmation_option,
    add_environment_options,
    confirm,
    environment_from,
)
from ops.environment import Environment
from ops.errors import ExitCode
from ops.stand import DEFAULT_FOLDER
from ops.switch_timing import Timing

console = Console(highlight=False, soft_wrap=True, markup=False)


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    description = (
        "Takes the primary Region out of service without any control plane: the standby takes over "
        "and keeps it until released."
    )
    parser = verbs.add_parser(
        "switch", help="let the standby take over, until released", description=description
    )
    switch_verbs = parser.add_subparsers(metavar="VERB", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        verb = switch_verbs.add_parser(name, help=help, description=help)
        verb.set_defaults(run=run)
        add_environment_options(verb)
        return verb

    engage = add("engage", _engage, "the standby takes over")
    engage.add_argument(
        "--reason", metavar="TEXT", default="", help="why, for whoever finds it engaged"
    )
    add_confirmation_option(engage)
    add_confirmation_option(add("release", _release, "the primary serves again, if it is healthy"))
    add("status", _status, "show whether it is engaged, since when and why")


def _engage(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment)
    confirm(environment, options, effect=f"DNS will lead all customers to {environment.standby}")
    change = switch.engage(environment, reason=options.reason)
    if change.changed:
        console.print(f"The switch is {change.after} (in {change.after.region}).")
    else:
        console.print(f"The switch was {change.before}; that stays as it is.")
    _print_timing(
        environment,
        f"answers {environment.outputs['record_name']} with {environment.standby} instead of "
        f"{environment.primary}",
    )
    console.print(
        f"It stays so until it is released, whatever becomes of {environment.primary}. While "
        f"{environment.standby} is unhealthy itself, {environment.primary} goes on serving.\n"
        f"{_release_line(options)}"
    )
    return ExitCode.PASSED


def _release(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    switch.require(environment)
    confirm(
        environment,
        options,
        effect=f"DNS will lead all customers to {environment.primary} while it is healthy",
    )
    change = switch.release(environment)
    if not change.changed:
        console.print("The switch was not engaged; nothing was changed.")
        return ExitCode.PASSED
    console.print(f"The switch is released; it was {change.before}.")
    _print_timing(
        environment,
        f"answers {environment.outputs['record_name']} with {environment.primary} again if its "
        "health check finds it healthy",
    )
    return ExitCode.PASSED


def _status(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    state = switch.status(environment)
    console.print(f"The switch of {environment.name} is {state} (in {state.region}).")
    if state.engaged:
        console.print(_release_line(options))
    return ExitCode.PASSED


def _release_line(options: argparse.Namespace) -> str:
    where = f"--environment {options.environment}"
    if options.folder != DEFAULT_FOLDER:
        where += f" --folder {shlex.quote(str(options.folder))}"
    if options.stack_folder:
        where += f" --stack-folder {shlex.quote(str(options.stack_folder))}"
    return f"Release it with: python -m ops switch release {where}"


def _print_timing(environment: Environment, effect: str) -> None:
    timing = switch_timing.timing(environment)
    console.print(
        f"Route 53 {effect} within {timing.route53_seconds} s (health check: "
        f"{timing.interval_seconds} s x {timing.failure_threshold}); customers' resolvers follow "
        f"within {timing.customers_seconds} s (TTL: {switch_timing.ALIAS_TTL_SECONDS} s more)."
        + _here(timing)
    )
    if timing.assumed:
        console.print(f"These times are Route 53's defaults. {timing.assumed}")


def _here(timing: Timing) -> str:
    if timing.speed == 1:
        return ""
    route53, customers = timing.here_seconds
    return (
        f"\nHere time runs {timing.speed:g} times as fast: within {route53:.3g} s and "
        f"{customers:.3g} s."
    )
