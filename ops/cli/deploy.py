"""`python -m ops deploy`: changes an environment stack by stack, one Region at a time."""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from ops.cli.deploy_session import deploy_session, synthesized
from ops.cli.deploy_summary import (
    history_json,
    print_deployment,
    print_history,
    print_summary,
)
from ops.cli.options import Commands, add_json_option, known_descriptor
from ops.cli.program import Result
from ops.deploy.bucket import shelf_of
from ops.deploy.planning import plan_stacks, refuse_to_destroy_data
from ops.deploy.record import History
from ops.deploy.revision import git_revision
from ops.deploy.run import refuse_unfinished
from ops.deploy.serving import serving
from ops.deploy.workplace import Workplace
from ops.environment import Environment
from ops.errors import ExitCode
from ops.folders import DEFAULT_FOLDER

DEFAULT_BAKE_SECONDS = 60.0
DEFAULT_SHARE = 0.1
console = Console(highlight=False)


def add_to(commands: Commands) -> None:
    """Register `deploy` and `rollback`.

    Args:
        commands: Where commands are registered.
    """
    deploy = commands.add_parser(
        "deploy",
        help="change an environment stack by stack, one Region at a time",
        description="Synthesizes an environment, plans each of its stacks, and shows one summary "
        "by Region. Refuses what would destroy or replace tables, replicas, keys or the zone. Once "
        "approved, it applies each stack from its saved plan: data, the Regions with the primary "
        "last, routing. "
        "In a Region, new versions of functions get a share of the requests first, and then all; "
        "each time, it checks that Region by its own name, with transactions for a while. A "
        "Region that fails gets the release before again, and the deployment stops there. ACTION "
        "is `history`, `status`, or `resume`, which finishes a deployment that was killed.",
        epilog="Exit codes: 0 deployed, 1 a gate failed or the release would destroy data, 2 wrong "
        "usage or settings, 3 something it needs is broken, missing or in use.",
    )
    deploy.add_argument(
        "action", nargs="?", choices=("history", "status", "resume"), help="default: deploy"
    )
    deploy.add_argument(
        "--plan-only", action="store_true", help="show the summary and change nothing"
    )
    part = deploy.add_mutually_exclusive_group()
    part.add_argument("--only", metavar="REGION", help="deploy the stack of this Region alone")
    part.add_argument(
        "--until",
        metavar="REGION",
        help="deploy the stacks up to that of this Region; deploy again for the rest",
    )
    deploy.add_argument(
        "--share",
        metavar="PERCENT",
        type=_share,
        default=DEFAULT_SHARE,
        help="share of a Region's requests that new versions of functions get first; 0 gives them "
        f"all requests at once (default: {DEFAULT_SHARE * 100:g})",
    )
    deploy.add_argument(
        "--bake-with-customers",
        action="store_true",
        help="when the secondary Region has passed, evacuate the primary Region, so that it "
        "serves all customers, check it for the bake time again, and restore the primary",
    )
    deploy.set_defaults(run=_deploy)
    rollback = commands.add_parser(
        "rollback",
        help="give an environment the release before the last deployment",
        description="Gives every stack that the last deployment has changed the release that it "
        "had before, finished or not, in the same order and with the same gates.",
        epilog="Exit codes: as of deploy.",
    )
    rollback.set_defaults(run=_rollback)
    for parser in (deploy, rollback):
        _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--environment", metavar="NAME", required=True, help="name of the environment"
    )
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where descriptors are kept, and releases if the state is not in a bucket (default: "
        ".local)",
    )
    parser.add_argument(
        "--auto-approve", action="store_true", help="do not ask before anything is changed"
    )
    parser.add_argument(
        "--bake-seconds",
        metavar="N",
        type=_seconds,
        default=DEFAULT_BAKE_SECONDS,
        help=f"how long each Region is checked (default: {DEFAULT_BAKE_SECONDS:g})",
    )
    parser.add_argument(
        "--without-lock",
        action="store_true",
        help="the secondary Region, which holds the environment's lock, is lost; make sure that "
        "nobody else changes the environment",
    )
    add_json_option(parser)
    parser.set_defaults(descriptor=None, stack_folder=None, customer=None)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 86400")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text} is not a percentage from 0 to below 100")
    return value / 100


def _deploy(options: argparse.Namespace) -> int:
    history = _history(options)
    if options.action == "history":
        print_history(console, history)
        return Result(ExitCode.PASSED, **history_json(history))
    if options.action == "status":
        print_deployment(console, options.environment, history.last)
        return Result(ExitCode.PASSED, **history_json(history))
    if options.plan_only:
        return _plan_only(options, history)
    if options.action == "resume":
        with deploy_session(options, history, console) as session:
            return session.ended(session.deployer.resume())
    names = [f"{options.environment}-{options.only}"] if options.only else []
    refuse_unfinished(options.environment, history, names)
    with deploy_session(options, history, console) as session:
        names, rest = session.synthesize(options.only, options.until)
        record = session.deployer.deploy(
            names,
            revision=git_revision(),
            bake_seconds=options.bake_seconds,
            share=options.share,
            with_customers=options.bake_with_customers,
            run=session.run,
            rest=rest,
        )
        return session.ended(record)


def _rollback(options: argparse.Namespace) -> int:
    with deploy_session(options, _history(options), console) as session:
        record = session.deployer.rollback(bake_seconds=options.bake_seconds, run=session.run)
        return session.ended(record)


def _history(options: argparse.Namespace) -> History:
    descriptor = known_descriptor(options)
    endpoint_url = descriptor.endpoint_url if descriptor else None
    folder = options.folder.resolve()
    return History.read(shelf_of(options.environment, folder, endpoint_url))


def _plan_only(options: argparse.Namespace, history: History) -> int:
    if history.unfinished and history.unfinished.is_alive:
        refuse_unfinished(options.environment, history, [])
    name, descriptor = options.environment, known_descriptor(options)
    place = Workplace.of(name, descriptor)
    environment = Environment(descriptor) if descriptor else None
    with (
        tempfile.TemporaryDirectory(prefix="plans-") as folder,
        console.status(f"Synthesizing {name}") as status,
    ):
        stacks = synthesized(place, options.only, options.until)
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
