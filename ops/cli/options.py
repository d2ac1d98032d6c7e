"""Options that commands on a deployed environment share."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ops.deadline import Limit
from ops.deployment import deployed_outputs
from ops.descriptor import Descriptor, descriptor_file, read
from ops.environment import Environment
from ops.errors import OpsError, UsageError
from ops.folders import DEFAULT_FOLDER, OUTPUT_FOLDER
from ops.identity import Identity, primary_of
from ops.stacks import stacks_of

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Where commands are registered."""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    description: str = "",
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Register a command on a deployed environment.

    Args:
        commands: Where to register it.
        name: Its name.
        run: Runs it and returns the exit code.
        help: What it does, in one line.
        description: What it does, in full; `help` by default.
        epilog: What `--help` ends with.

    Returns:
        Its parser, with the options that choose an environment.
    """
    parser = commands.add_parser(
        name, help=help, description=description or help, epilog=epilog or None
    )
    parser.set_defaults(run=run)
    add_environment_options(parser)
    return parser


def add_environment_options(
    parser: argparse.ArgumentParser,
) -> "argparse._MutuallyExclusiveGroup":
    """Add the options that choose an environment.

    Args:
        parser: The command's parser.

    Returns:
        The group of which one option must be given, for what needs no environment.
    """
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--environment", metavar="NAME", help="name of the deployed environment")
    which.add_argument(
        "--descriptor",
        metavar="FILE",
        type=Path,
        help="environment descriptor, as export and the sandbox write it: neither Terraform nor "
        "the repository is needed then (default: NAME.environment.json in --folder, if it exists)",
    )
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where descriptors, journals and reports are kept (default: .local)",
    )
    parser.add_argument(
        "--stack-folder",
        metavar="FOLDER",
        type=Path,
        help="folder in which terraform output works, in place of a descriptor (default: that of "
        "the stack that is deployed last, in cdktf.out/stacks)",
    )
    add_json_option(parser)
    return which


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints one JSON document.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document, also after an error; notes go to standard error",
    )


def known_descriptor(options: argparse.Namespace) -> Descriptor | None:
    """Read the descriptor that the options name, or the one in `--folder` if it exists.

    Args:
        options: Parsed options of a command with `add_environment_options`.

    Raises:
        OpsError: It cannot be read, or it describes another environment.
    """
    if options.descriptor:
        return read(options.descriptor)
    path = descriptor_file(options.folder, options.environment)
    if not path.is_file():
        return None
    descriptor = read(path)
    if descriptor.environment != options.environment:
        raise UsageError(
            f"{path} describes the environment {descriptor.environment}, not {options.environment}",
            next_step="name the descriptor of that environment with --descriptor; to write it "
            f"again: python -m ops export --environment {options.environment}",
        )
    return descriptor


def environment_name(options: argparse.Namespace) -> str:
    """Name of the environment that the options choose.

    Args:
        options: Parsed options of a command with `add_environment_options`.

    Raises:
        OpsError: The descriptor cannot be read.
    """
    if getattr(options, "descriptor", None):
        return read(options.descriptor).environment
    return str(options.environment)


def stack_folders(options: argparse.Namespace) -> tuple[Path, ...]:
    """Folders of the synthesized stacks, in the order in which they are deployed.

    Args:
        options: Parsed options with `environment` and `stack_folder`.
    """
    if options.stack_folder:
        return (options.stack_folder.resolve(),)
    return tuple(folder.resolve() for folder in stacks_of(environment_name(options), OUTPUT_FOLDER))


def terraform_folder(options: argparse.Namespace) -> Path:
    """Folder in which `terraform output` has the outputs of the whole environment.

    Args:
        options: Parsed options with `environment` and `stack_folder`.
    """
    return stack_folders(options)[-1]


def environment_from(options: argparse.Namespace) -> Environment:
    """Open the environment that the options choose.

    Args:
        options: Parsed options of a command with `add_environment_options`.

    Returns:
        The environment.

    Raises:
        OpsError: It is not deployed, or it is not known on this machine.
    """
    if options.descriptor and options.stack_folder:
        raise UsageError(
            "--descriptor and --stack-folder may name two environments",
            next_step="leave out one of them",
        )
    descriptor = None if options.stack_folder else known_descriptor(options)
    folder = None if options.descriptor else terraform_folder(options)
    if descriptor is None:
        assert folder is not None
        name = environment_name(options)
        if not folder.is_dir():
            path = descriptor_file(options.folder, name)
            raise OpsError(
                f"the environment {name} is not known here: neither the descriptor {path} nor the "
                f"folder {folder} exists",
                next_step="for a sandbox: python -m sandbox up; on AWS give --descriptor FILE, or "
                "run synth, terraform init and python -m ops export in the repository",
            )
        descriptor = Descriptor.on_aws(deployed_outputs(folder, name))
    customer = getattr(options, "customer", None)
    return Environment(
        descriptor,
        customer,
        selector_of(options),
        options.folder.resolve(),
        folder if folder and folder.is_dir() else None,
    )


def identified(
    environment: Environment,
    *,
    refuse_unknown: bool = True,
    otherwise: str = "only switch evacuate works without it",
    limit: Limit | None = None,
    keep_seconds: float = 0.0,
) -> Identity:
    """Print which environment this is and whose credentials these are, before anything is changed.

    Args:
        environment: The environment.
        refuse_unknown: Whether to stop if the account cannot be determined.
        otherwise: What the operator can do then if the secondary Region is lost.
        limit: What is left of the command's time.
        keep_seconds: So much of it is left for what follows.

    Raises:
        OpsError: The credentials are of another account or invalid, or the account is unknown.
    """
    try:
        identity = (
            limit.within(environment.identify, keep=keep_seconds)
            if limit
            else environment.identify()
        )
    except TimeoutError as error:
        regions, primary = environment.regions, primary_of(environment)
        identity = Identity(environment.name, None, None, regions, str(error), primary=primary)
    print(identity, flush=True)
    for note in identity.notes:
        print(note, file=sys.stderr, flush=True)
    if refuse_unknown and identity.account_id is None:
        raise OpsError(
            f"the account of these credentials cannot be determined, nothing was changed: "
            f"{identity.unknown}",
            next_step=f"check that STS or DynamoDB in {environment.secondary} is reachable; "
            f"{otherwise}",
        )
    return identity


def selector_of(options: argparse.Namespace) -> str:
    """The options that choose the same environment again, as they are typed.

    Args:
        options: Parsed options of a command with `add_environment_options`.
    """
    if options.descriptor:
        words = ["--descriptor", str(options.descriptor)]
    else:
        words = ["--environment", options.environment]
    if options.folder != DEFAULT_FOLDER:
        words += ["--folder", str(options.folder)]
    if options.stack_folder:
        words += ["--stack-folder", str(options.stack_folder)]
    return shlex.join(words)


def add_customer_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the customer in whose name the API is called.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--customer",
        metavar="NAME",
        help="customer in whose name to call the API; requests count against its limits (default: "
        "the first one)",
    )


def number(text: str, most: float, expected: str) -> float:
    """Read the value of an option that is a number above 0.

    Args:
        text: The value.
        most: Largest number that is allowed.
        expected: What is allowed, in words.

    Raises:
        ArgumentTypeError: It is something else.
    """
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not 0 < found <= most:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return found
