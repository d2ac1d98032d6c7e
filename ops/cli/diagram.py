"""`python -m ops diagram`: a picture of what will be built."""

import argparse
from pathlib import Path

from ops.diagram.draw import draw
from ops.errors import ExitCode
from ops.stand import ENVIRONMENT


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    parser = verbs.add_parser(
        "diagram",
        help="draw what an environment will build",
        description="Synthesizes an environment and draws its Terraform JSON: Regions, the path of "
        "requests, health checks and replication. Needs neither AWS nor Terraform.",
        epilog="Exit codes: 0 drawn, 2 the environment is unknown or wrong, or the file cannot be "
        "written, 3 Graphviz is missing.",
    )
    parser.add_argument(
        "--environment",
        metavar="NAME",
        default=ENVIRONMENT,
        help=f"name of the environment (default: {ENVIRONMENT})",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="PNG file to write (default: NAME.png in this folder)",
    )
    parser.set_defaults(run=_diagram)


def _diagram(options: argparse.Namespace) -> int:
    drawing = draw(options.environment, options.output or Path(f"{options.environment}.png"))
    print(drawing.path)
    return ExitCode.PASSED
