"""`python -m ops customers`: create, list and rotate API keys."""

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops import customers, deployed_keys
from ops.cli import customers_state as state
from ops.cli.customers_state import notes
from ops.cli.options import (
    Commands,
    add_command,
    environment_from,
    environment_name,
    identified,
    known_descriptor,
    selector_of,
)
from ops.cli.program import Result
from ops.customers import Claim
from ops.deployed_keys import Deployed
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, OpsError, UsageError
from ops.folders import DEFAULT_FOLDER
from ops.key_values import KeyFile, as_variable

console = Console(highlight=False, soft_wrap=True, markup=False)


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "customers",
        help="create, list and rotate customers' API keys",
        description="Customers and plans are in the environment file, values of keys in a file "
        "that only you can read. Both take effect with the next deployment, in every Region.",
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = partial(add_command, subcommands)
    issue = add(
        "issue",
        _issue,
        "create and print the values of keys that have none",
        "Creates the values of keys that have none: of one customer, who is added to the "
        "environment file if new, or of all. Prints each as `<key> <value>`.",
    )
    issue.add_argument("customer", nargs="?", help="name of the customer (default: all)")
    issue.add_argument("--plan", help="plan of a new customer")
    listing = add("list", _list, "show customers, plans, keys, and where they are deployed")
    rotate = add(
        "rotate",
        _rotate,
        "create a second key of a customer; with --finish, revoke the first one",
        "Creates a second key of a customer: after a deployment, every Region accepts the old and "
        "the new one. With --finish, the next deployment revokes the older one. With --at-once, "
        "for a key that leaked, the deployment that adds the new key revokes the old ones.",
    )
    rotate.add_argument("customer", help="name of the customer")
    how = rotate.add_mutually_exclusive_group()
    how.add_argument("--finish", action="store_true", help="revoke the older of two keys")
    how.add_argument(
        "--at-once", action="store_true", help="revoke the old keys in the same deployment"
    )
    for command in (issue, rotate):
        command.add_argument(
            "--without-state",
            action="store_true",
            help="nothing is deployed yet: continue although there is no state",
        )
    env = add("env", _env, "print the export command that gives Terraform and cdktf the values")
    pull = add(
        "pull", _pull, "read the values of all deployed keys from AWS into the file of the values"
    )
    for command in (issue, listing, rotate, env, pull):
        command.add_argument(
            "--keys-file",
            metavar="FILE",
            type=Path,
            help="file of the values (default: .secrets/NAME.api-keys.tfvars.json; a sandbox keeps "
            "its own)",
        )


def _issue(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(environment_name(options)), state.key_file(options)
    if options.plan and not options.customer:
        raise UsageError(
            "--plan requires a customer",
            next_step="give the customer: python -m ops customers issue NAME --plan PLAN",
        )
    environment = state.environment_of(options)
    deployed = state.deployed(options, file, environment)
    made = customers.issue(
        file,
        keys,
        deployed,
        customer=options.customer,
        plan=options.plan,
        claim=state.claims(environment),
    )
    _print_values(made, options)
    if made:
        notes.print(f"Stored in {keys.path}. They work once deployed: {_deploy(options)}")
    else:
        notes.print(f"Every key already has a value in {keys.path}; nothing was changed.")
    return Result(ExitCode.PASSED, values=made, file=str(keys.path))


def _list(options: argparse.Namespace) -> int:
    file = EnvironmentFile.of(environment_name(options))
    deployed = None
    try:
        deployed = state.deployed_environment(options).outputs.api_key_ids
    except OpsError as error:
        notes.print(f"Cannot determine where keys are deployed: {error}", style="yellow")
    table = Table("Customer", "Plan", "Key", "Value known here", "Deployed in")
    states = customers.listed(file, state.known_values(options), deployed)
    for key in states:
        table.add_row(
            Text(key.customer),
            Text(key.plan or "revoked by the next deployment"),
            Text(key.name),
            "yes" if key.has_value else "no",
            "unknown" if key.regions is None else ", ".join(key.regions) or "nowhere yet",
        )
    if states:
        console.print(table)
    else:
        console.print(f"{file.path} has no customers.")
    return Result(ExitCode.PASSED, keys=[asdict(key) for key in states])


def _rotate(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(environment_name(options)), state.key_file(options)
    environment = state.environment_of(options)
    with state.locked(environment):
        deployed = state.deployed(options, file, environment)
        return _rotated(options, file, keys, deployed, state.claims(environment))


def _rotated(
    options: argparse.Namespace,
    file: EnvironmentFile,
    keys: KeyFile,
    deployed: Deployed,
    claim: Claim,
) -> int:
    name = options.customer
    if options.finish:
        older, newer = customers.finish_rotation(file, keys, deployed, name)
        notes.print(
            f"The next deployment revokes {older} in every Region and keeps {newer}: "
            f"{_deploy(options)}"
        )
        return Result(ExitCode.PASSED, values={}, revoked=[older])
    made = customers.rotate(file, keys, deployed, name, at_once=options.at_once, claim=claim)
    _print_values(made, options)
    if options.at_once:
        notes.print(
            f"Stored in {keys.path}. The next deployment revokes the old keys of {name} in every "
            f"Region and adds the new one: {_deploy(options)}"
        )
    else:
        notes.print(
            f"Stored in {keys.path}. After the next deployment every Region accepts both keys: "
            f"{_deploy(options)}\nOnce {name} uses the new one: python -m ops customers rotate "
            f"{name} --finish{_given(options)}, and deploy again."
        )
    return Result(ExitCode.PASSED, values=made, file=str(keys.path))


def _env(options: argparse.Namespace) -> int:
    file = EnvironmentFile.of(environment_name(options))
    known = state.known_values(options)
    values = customers.values_for_terraform(file, known)
    found = state.in_service(options, file)
    deployed_keys.refuse_other_values(file, known, found)
    state.refuse_without_state(options, file, found)
    variables = as_variable(file.environment, values)
    if not options.json:
        for name, text in variables.items():
            print(f"export {name}={shlex.quote(text)}")
    return Result(ExitCode.PASSED, variables=variables)


def _pull(options: argparse.Namespace) -> int:
    keys = state.key_file(options)
    environment = environment_from(options)
    identified(environment)
    values = deployed_keys.pull(environment, keys)
    console.print(f"{len(values)} values are stored in {keys.path}.")
    return Result(ExitCode.PASSED, keys=sorted(values), file=str(keys.path))


def _given(options: argparse.Namespace) -> str:
    """Options that every next step must repeat."""
    keys_file = f" --keys-file {shlex.quote(str(options.keys_file))}" if options.keys_file else ""
    return f" {selector_of(options)}{keys_file}"


def _deploy(options: argparse.Namespace) -> str:
    descriptor = known_descriptor(options)
    if descriptor and descriptor.sandbox:
        folder = options.folder
        given = "" if folder == DEFAULT_FOLDER else f" --folder {shlex.quote(str(folder))}"
        return f"python -m sandbox up{given}"
    return (
        f'eval "$(python -m ops customers env{_given(options)})", then deploy '
        f"{environment_name(options)}"
    )


def _print_values(values: Mapping[str, str], options: argparse.Namespace) -> None:
    if options.json:
        # They are part of the document, and must not be printed among the notes, too.
        return
    for name, value in values.items():
        print(f"{name} {value}")
