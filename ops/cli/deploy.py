"""`python -m ops deploy`: plans an environment's stacks and shows what would change, by Region."""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from ops.cli.deploy_summary import print_summary
from ops.cli.options import Commands, add_json_option, known_descriptor
from ops.cli.program import Result
from ops.deploy.planning import plan_stacks, refuse_to_destroy_data
from ops.deploy.serving import serving
from ops.deploy.workplace import Workplace
from ops.environment import Environment
from ops.errors import ExitCode
from ops.folders import DEFAULT_FOLDER
from ops.synthesis import synthesize

console = Console(highlight=False)


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = commands.add_parser(
        "deploy",
        help="show what a release would change, by Region",
        description="Synthesizes an environment, plans each of its stacks with Terraform in the "
        "order of deployment, and shows one summary by Region: what is added, changed, replaced "
        "and destroyed, and which Region serves customers now. Refuses what would destroy or "
        "replace tables, replicas, keys or the zone. Changes nothing.",
        epilog="Exit codes: 0 planned, 1 the release would destroy data, 2 wrong usage or "
        "settings, 3 Terraform or something else it needs is broken or missing.",
    )
    parser.add_argument(
        "--environment", metavar="NAME", required=True, help="name of the environment"
    )
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where descriptors are kept (default: .local)",
    )
    parser.add_argument(
        "--plan-only",
        action="store_true",
        required=True,
        help="show the summary and change nothing; required, as nothing is applied yet",
    )
    add_json_option(parser)
    parser.set_defaults(run=_deploy, descriptor=None, stack_folder=None)


def _deploy(options: argparse.Namespace) -> int:
    name, descriptor = options.environment, known_descriptor(options)
    place = Workplace.of(name, descriptor)
    environment = Environment(descriptor) if descriptor else None
    with (
        tempfile.TemporaryDirectory(prefix="plans-") as folder,
        console.status(f"Synthesizing {name}") as status,
    ):
        synthesize(name, place.output)
        stacks = place.terraforms()
        for terraform in stacks:
            status.update(f"Initializing Terraform in {terraform.name}")
            terraform.init()
        plans = plan_stacks(stacks, Path(folder), status.update)
    found = serving(environment) if environment else None
    print_summary(console, name, plans, found.found if found else "")
    refuse_to_destroy_data(plans)
    return Result(
        ExitCode.PASSED,
        stacks=[plan.to_json() for plan in plans],
        serving=asdict(found) if found else None,
    )
