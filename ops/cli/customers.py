"""`python -m ops customers`: API keys made, listed and rotated."""

import argparse
import json
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops import customers, local
from ops.cli.options import add_environment_options, environment_from
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_values import VARIABLE, KeyFile, default_file, given
from ops.stand import ENVIRONMENT, Workspace

console = Console(highlight=False, soft_wrap=True, markup=False)
notes = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
"""Values go to standard output alone, so that they can be piped into a secrets store."""


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    parser = verbs.add_parser(
        "customers",
        help="make, list and rotate customers' API keys",
        description="Customers and plans stand in the environment file, values of keys in a file "
        "that only you can read. Both take effect with the next deployment, in every Region.",
    )
    customer_verbs = parser.add_subparsers(metavar="VERB", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str, description: str = ""
    ) -> argparse.ArgumentParser:
        verb = customer_verbs.add_parser(name, help=help, description=description or help)
        verb.set_defaults(run=run)
        add_environment_options(verb)
        verb.add_argument(
            "--keys-file",
            metavar="FILE",
            type=Path,
            help="where values are kept (default: .secrets/NAME.api-keys.json in the repository)",
        )
        return verb

    issue = add(
        "issue",
        _issue,
        "make the values of keys that have none, and print them",
        "Makes the values of keys that have none: of one customer, who is added to the environment "
        "file if new, or of all. Prints each as `<key> <value>`.",
    )
    issue.add_argument("customer", nargs="?", help="name of the customer (default: all)")
    issue.add_argument("--plan", help="plan of a new customer")
    add("list", _list, "show customers, plans, keys, and where they are deployed")
    rotate = add(
        "rotate",
        _rotate,
        "give a customer a second key; with --finish, end the first one",
        "Gives a customer a second key: after a deployment, old and new open every Region. With "
        "--finish the older one ends with the next deployment.",
    )
    rotate.add_argument("customer", help="name of the customer")
    rotate.add_argument("--finish", action="store_true", help="end the older of two keys")
    add("env", _env, "print the export that brings Terraform and cdktf the values")
    add("pull", _pull, "read the values of all deployed keys from AWS onto this machine")


def _issue(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(options.environment), _key_file(options)
    if options.plan and not options.customer:
        raise OpsError(
            "--plan is given without a customer",
            next_step="name the customer: python -m ops customers issue NAME --plan PLAN",
            exit_code=ExitCode.USAGE,
        )
    made = customers.issue(
        file, keys, _deployed(options), customer=options.customer, plan=options.plan
    )
    _print_values(made)
    if made:
        notes.print(
            f"Kept in {keys.path}. They open the API once it is deployed: {_deploy(options)}"
        )
    else:
        notes.print(f"Every key has a value in {keys.path} already; nothing was changed.")
    return ExitCode.PASSED


def _list(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(options.environment), _key_file(options)
    values = keys.values() | given(_variables(options))
    table = Table("Customer", "Plan", "Key", "Value known here", "Deployed in")
    states = customers.listed(file, values, _deployed(options))
    for key in states:
        table.add_row(
            Text(key.customer),
            Text(key.plan or "ends with the next deployment"),
            Text(key.name),
            "yes" if key.has_value else "no",
            "unknown" if key.regions is None else ", ".join(key.regions) or "nowhere yet",
        )
    if states:
        console.print(table)
    else:
        console.print(f"{file.path} has no customers.")
    return ExitCode.PASSED


def _rotate(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(options.environment), _key_file(options)
    name = options.customer
    if options.finish:
        older, newer = customers.finish_rotation(file, name)
        notes.print(
            f"{older} stops in every Region with the next deployment; {newer} stays: "
            f"{_deploy(options)}"
        )
        return ExitCode.PASSED
    _print_values(customers.rotate(file, keys, _deployed(options), name))
    notes.print(
        f"Kept in {keys.path}. After the next deployment both keys open every Region: "
        f"{_deploy(options)}\nWhen {name} uses the new one: python -m ops customers rotate {name} "
        f"--finish --environment {options.environment}, and deploy again."
    )
    return ExitCode.PASSED


def _env(options: argparse.Namespace) -> int:
    file, keys = EnvironmentFile.of(options.environment), _key_file(options)
    values = customers.values_for_terraform(file, keys.values() | given(_variables(options)))
    print(f"export {VARIABLE}={shlex.quote(json.dumps(values))}")
    return ExitCode.PASSED


def _pull(options: argparse.Namespace) -> int:
    keys = _key_file(options)
    values = customers.pull(environment_from(options), keys)
    console.print(f"{len(values)} values are kept in {keys.path}.")
    return ExitCode.PASSED


def _key_file(options: argparse.Namespace) -> KeyFile:
    if options.keys_file:
        return KeyFile(options.keys_file.resolve())
    if options.environment == ENVIRONMENT:
        return local.key_file(Workspace(options.folder.resolve()))
    return KeyFile(default_file(options.environment))


def _variables(options: argparse.Namespace) -> Mapping[str, str]:
    """The process's environment, as far as it speaks of this environment's keys."""
    return {} if options.environment == ENVIRONMENT else os.environ


def _deployed(options: argparse.Namespace) -> Mapping[str, Any] | None:
    """Keys that AWS has; None, with a note, where the deployment cannot be read."""
    if options.environment == ENVIRONMENT:
        workspace = Workspace(options.folder.resolve())
        if workspace.running() is None:
            return {}
    try:
        outputs = environment_from(options).outputs
    except OpsError as error:
        said = str(error).splitlines()[0].rstrip(":")
        notes.print(
            f"Which keys are deployed is not known here: {said}. Where terraform output works, it "
            "is: run terraform init in the stack's folder, or name it with --stack-folder.",
            style="yellow",
        )
        return None
    found: Mapping[str, Any] = outputs.get("api_key_ids", {})
    return found


def _deploy(options: argparse.Namespace) -> str:
    if options.environment == ENVIRONMENT:
        return "python -m ops local up"
    return (
        f'eval "$(python -m ops customers env --environment {options.environment})", then deploy '
        f"{options.environment}"
    )


def _print_values(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        print(f"{name} {value}")
