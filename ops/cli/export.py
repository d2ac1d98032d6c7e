"""`python -m ops export`: writes the descriptor of a deployed environment."""

import argparse
import sys
from pathlib import Path

from ops.cli.break_glass import as_text, break_glass
from ops.cli.options import Commands, add_json_option, terraform_folder
from ops.cli.program import Result
from ops.deployment import deployed_outputs
from ops.descriptor import Descriptor, descriptor_file, write
from ops.errors import ExitCode
from ops.folders import DEFAULT_FOLDER


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "export",
        help="write the descriptor of a deployed environment",
        description="Reads the outputs of an environment on AWS from Terraform, and writes the "
        "environment descriptor that every other command works with. It holds no secret. Export "
        "after each deployment, and keep a copy on every on-call machine.",
        epilog="Exit codes: 0 written, 2 wrong usage, 3 the state cannot be read or the file "
        "cannot be written.",
    )
    parser.add_argument(
        "--environment", metavar="NAME", required=True, help="name of the deployed environment"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="file to write (default: .local/NAME.environment.json)",
    )
    parser.add_argument(
        "--stack-folder",
        metavar="FOLDER",
        type=Path,
        help="folder in which terraform output works (default: that of the stack that is deployed "
        "last, in cdktf.out/stacks)",
    )
    add_json_option(parser)
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    name = options.environment
    outputs = deployed_outputs(terraform_folder(options), name)
    path = options.output or descriptor_file(DEFAULT_FOLDER, name)
    write(path, Descriptor.on_aws(outputs))
    print(path)
    by_hand = break_glass(outputs)
    for line in as_text(by_hand):
        print(line, file=sys.stderr)
    return Result(ExitCode.PASSED, file=str(path.absolute()), by_hand=by_hand)
