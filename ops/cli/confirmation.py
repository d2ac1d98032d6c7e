"""Nothing that is not a sandbox is changed before somebody has typed its name."""

import argparse
import sys

from ops.environment import Environment
from ops.errors import UsageError
from ops.identity import Identity


def add_confirmation_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that replaces a typed confirmation.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for the environment's name before changing one that is not a sandbox",
    )


def confirm(
    environment: Environment,
    options: argparse.Namespace,
    *,
    effect: str,
    identity: Identity | None = None,
) -> None:
    """Let nobody change a real environment by accident.

    Args:
        environment: The environment; a sandbox needs no confirmation.
        options: Parsed options of a command with `add_confirmation_option`.
        effect: What will happen, as a clause: "DNS will route to us-west-2".
        identity: Who is working on it, if that was determined.

    Raises:
        OpsError: It was not confirmed.
    """
    if environment.descriptor.sandbox or options.yes:
        return
    where = f"in the environment {environment.name}"
    if identity is not None and identity.account_id is None:
        where += f" (the account of these credentials is unknown: {identity.unknown})"
    refusal = UsageError(
        f"not confirmed, nothing was changed: {where}, {effect}",
        next_step=f"type {environment.name} when asked, or give --yes",
    )
    if not sys.stdin.isatty():
        raise refusal
    print(f"{where[0].upper()}{where[1:]}, {effect}.")
    try:
        typed = input(f"Type {environment.name} to continue: ")
    except EOFError:
        raise refusal from None
    if typed.strip() != environment.name:
        raise refusal
