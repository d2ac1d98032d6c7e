"""`python -m ops customers`: API keys made, listed and rotated."""

import argparse
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops import customers, local
from ops.cli.options import add_environment_options, environment_from
from ops.environment import default_stack_folder, outputs_of
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_values import KeyFile, as_variable, default_file, given
from ops.stand import DEFAULT_FOLDER, ENVIRONMENT, Workspace

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
            help="where values are kept (default: .secrets/NAME.api-keys.tfvars.json in the "
            "repository; not for the local one)",
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
        "--finish the older one ends with the next deployment; with --at-once the old ones end "
        "with the deployment that brings the new one, because one of them leaked.",
    )
    rotate.add_argument("customer", help="name of the customer")
    how = rotate.add_mutually_exclusive_group()
    how.add_argument("--finish", action="store_true", help="end the older of two keys")
    how.add_argument("--at-once", action="store_true", help="end the old keys with the new one")
    for verb in (issue, rotate):
        verb.add_argument(
            "--without-state",
            action="store_true",
            help="nothing is deployed yet, or its state cannot be read: go on all the same",
        )
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
        notes.print(f"Kept in {keys.path}. They open the API once deployed: {_deploy(options)}")
    else:
        notes.print(f"Every key has a value in {keys.path} already; nothing was changed.")
    return ExitCode.PASSED


def _list(options: argparse.Namespace) -> int:
    file = EnvironmentFile.of(options.environment)
    deployed = None
    try:
        deployed = _read_deployment(options)
    except OpsError as error:
        notes.print(f"Where keys are deployed is not known: {error}", style="yellow")
    table = Table("Customer", "Plan", "Key", "Value known here", "Deployed in")
    states = customers.listed(file, _values(options), deployed)
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
    name, deployed = options.customer, _deployed(options)
    if options.finish:
        older, newer = customers.finish_rotation(file, keys, deployed, name)
        notes.print(
            f"{older} stops in every Region with the next deployment; {newer} stays: "
            f"{_deploy(options)}"
        )
        return ExitCode.PASSED
    _print_values(customers.rotate(file, keys, deployed, name, at_once=options.at_once))
    if options.at_once:
        notes.print(
            f"Kept in {keys.path}. With the next deployment the old keys of {name} stop in every "
            f"Region, and the new one opens them: {_deploy(options)}"
        )
    else:
        notes.print(
            f"Kept in {keys.path}. After the next deployment both keys open every Region: "
            f"{_deploy(options)}\nWhen {name} uses the new one: python -m ops customers rotate "
            f"{name} --finish{_given(options)}, and deploy again."
        )
    return ExitCode.PASSED


def _env(options: argparse.Namespace) -> int:
    file = EnvironmentFile.of(options.environment)
    values = customers.values_for_terraform(file, _values(options))
    for name, text in as_variable(options.environment, values).items():
        print(f"export {name}={shlex.quote(text)}")
    return ExitCode.PASSED


def _pull(options: argparse.Namespace) -> int:
    keys = _key_file(options)
    values = customers.pull(environment_from(options), keys)
    console.print(f"{len(values)} values are kept in {keys.path}.")
    return ExitCode.PASSED


def _key_file(options: argparse.Namespace) -> KeyFile:
    if options.environment == ENVIRONMENT:
        if options.keys_file:
            raise OpsError(
                f"--keys-file is given for {ENVIRONMENT}, whose values ops local up takes from "
                "--folder",
                next_step="leave out --keys-file",
                exit_code=ExitCode.USAGE,
            )
        return local.key_file(Workspace(options.folder.resolve()))
    path = options.keys_file.resolve() if options.keys_file else default_file(options.environment)
    return KeyFile(path, options.environment)


def _values(options: argparse.Namespace) -> dict[str, str]:
    """What this machine knows; the file counts more than what this process was given."""
    from_process = (
        {} if options.environment == ENVIRONMENT else given(os.environ, options.environment)
    )
    return from_process | _key_file(options).values()


def _deployed(options: argparse.Namespace) -> customers.Deployed:
    """Keys that AWS has.

    Raises:
        OpsError: The deployment cannot be read, and the operator did not say to go on.
    """
    if options.without_state:
        return {}
    try:
        return _read_deployment(options)
    except OpsError as error:
        raise OpsError(
            f"which keys are deployed cannot be read, and a new value for one of them would lock "
            f"its customer out: {error}",
            next_step="run terraform init in the stack's folder, which --stack-folder names; or, "
            "if nothing is deployed yet, give --without-state",
            exit_code=ExitCode.USAGE,
        ) from error


def _read_deployment(options: argparse.Namespace) -> customers.Deployed:
    if options.environment == ENVIRONMENT:
        workspace = Workspace(options.folder.resolve())
        if workspace.running() is None:
            return {}
        outputs = local.outputs(workspace)
    else:
        folder = options.stack_folder or default_stack_folder(options.environment)
        outputs = outputs_of(folder.resolve(), options.environment)
    found: customers.Deployed = outputs.get("api_key_ids", {})
    return found


def _given(options: argparse.Namespace) -> str:
    """The options that every next step must repeat."""
    text = f" --environment {options.environment}"
    if options.environment == ENVIRONMENT and options.folder != DEFAULT_FOLDER:
        text += f" --folder {shlex.quote(str(options.folder))}"
    for name in ("stack_folder", "keys_file"):
        if value := getattr(options, name):
            text += f" --{name.replace('_', '-')} {shlex.quote(str(value))}"
    return text


def _deploy(options: argparse.Namespace) -> str:
    if options.environment == ENVIRONMENT:
        folder = _given(options).removeprefix(f" --environment {ENVIRONMENT}")
        return f"python -m ops local up{folder}"
    return (
        f'eval "$(python -m ops customers env{_given(options)})", then deploy {options.environment}'
    )


def _print_values(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        print(f"{name} {value}")
