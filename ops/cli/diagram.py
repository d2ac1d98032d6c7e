"""`python -m ops diagram`: draws what one environment will deploy.

Nothing is deployed or read from AWS: main.py synthesizes the environment, and its JSON is drawn.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from ops.cli.options import Commands, add_json_option
from ops.cli.program import Result
from ops.diagram.image import image_of
from ops.diagram.reading import read
from ops.errors import ExitCode, UsageError
from ops.stacks import read_stacks, stacks_of
from ops.synthesis import synthesize


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "diagram",
        help="draw what an environment will deploy",
        description="Synthesizes an environment and draws its Terraform JSON: Regions, the request "
        "path, health checks and replication. Needs neither AWS nor Terraform.",
        epilog="Exit codes: 0 drawn, 2 the environment is unknown or invalid, or the file cannot "
        "be written, 3 Graphviz is missing.",
    )
    parser.add_argument(
        "--environment",
        metavar="NAME",
        default="local",
        help="name of the environment (default: local)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="PNG file to write (default: NAME.png in this folder)",
    )
    add_json_option(parser)
    parser.set_defaults(run=_diagram)


def _diagram(options: argparse.Namespace) -> int:
    # Slow to import, and no other command needs it.
    from ops.diagram.graph import ICON_FOLDER, source_of

    output = options.output or Path(f"{options.environment}.png")
    source = source_of(read(synthesized(options.environment)))
    image = image_of(source, icon_folder=ICON_FOLDER)
    try:
        output.write_bytes(image)
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written: {error.strerror}",
            next_step="choose another file with --output",
        ) from None
    print(output)
    return Result(ExitCode.PASSED, file=str(output.absolute()))


def synthesized(environment: str) -> dict[str, Any]:
    """Synthesize an environment.

    Args:
        environment: Its name.

    Returns:
        The parsed JSON of its stacks, as if they were one.

    Raises:
        OpsError: main.py cannot synthesize it.
    """
    with tempfile.TemporaryDirectory() as folder:
        synthesize(environment, Path(folder))
        return read_stacks(stacks_of(environment, Path(folder)))
