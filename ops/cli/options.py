"""Options that verbs on a deployed environment share."""

import argparse
import sys
from pathlib import Path

from ops.environment import Environment, open_environment
from ops.errors import ExitCode, OpsError
from ops.stand import DEFAULT_FOLDER, ENVIRONMENT, Workspace


def add_environment_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which environment is meant.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument(
        "--environment",
        metavar="NAME",
        default=ENVIRONMENT,
        help=f"name of the deployed environment (default: {ENVIRONMENT}, on this machine)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where the local environment is kept (default: .local in the repository)",
    )
    parser.add_argument(
        "--stack-folder",
        metavar="FOLDER",
        type=Path,
        help="folder of an environment on AWS where terraform output works (default: "
        "cdktf.out/stacks/NAME in the repository)",
    )


def environment_from(options: argparse.Namespace) -> Environment:
    """Opens the environment that the options name.

    Args:
        options: Parsed options of a verb with `add_environment_options`.

    Returns:
        The environment.

    Raises:
        OpsError: It does not run, is not deployed, or its state cannot be read.
    """
    return open_environment(
        options.environment,
        workspace=Workspace(options.folder.resolve()),
        stack_folder=options.stack_folder.resolve() if options.stack_folder else None,
        customer=getattr(options, "customer", None),
    )


def add_customer_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says which customer the tool plays.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument(
        "--customer",
        metavar="NAME",
        help="customer to play; requests count against its limits (default: the first one)",
    )


def add_confirmation_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that takes the place of a typed confirmation.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for the environment's name before touching one that is not local",
    )


def confirm(environment: Environment, options: argparse.Namespace, *, effect: str) -> None:
    """Lets nobody change a real environment by accident.

    Args:
        environment: The environment; a local one needs no confirmation.
        options: Parsed options of a verb with `add_confirmation_option`.
        effect: What will happen, as a clause: "DNS will lead to us-west-2".

    Raises:
        OpsError: It was not confirmed.
    """
    if environment.is_local or options.yes:
        return
    refusal = OpsError(
        f"not confirmed, nothing was changed: in the environment {environment.name}, {effect}",
        next_step=f"type {environment.name} when asked, or give --yes",
        exit_code=ExitCode.USAGE,
    )
    if not sys.stdin.isatty():
        raise refusal
    print(f"In the environment {environment.name}, {effect}.")
    try:
        typed = input(f"Type {environment.name} to go on: ")
    except EOFError:
        raise refusal from None
    if typed.strip() != environment.name:
        raise refusal
