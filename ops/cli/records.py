"""`python -m ops records`: exchanges alias records for CNAME records, or the reverse."""

import argparse
from pathlib import Path

from ops import records
from ops.cli.confirmation import add_confirmation_option, confirm
from ops.cli.options import Commands, add_command, environment_from, identified, terraform_folder
from ops.cli.program import Result
from ops.environment import Environment
from ops.errors import ExitCode
from ops.lock import hold
from ops.stacks import stacks_of


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = add_command(
        commands,
        "records",
        _records,
        "exchange alias records for CNAME records, or the reverse, after a change of ttl_seconds",
        "Replaces the records of the API's name by those that domain.ttl_seconds asks for, in one "
        "change of the hosted zone, so that customers always get an answer, and lets Terraform "
        "import them. Synthesize first, and apply afterwards.",
        "Exit codes: 0 exchanged, 2 nothing to exchange or not confirmed, 3 AWS cannot be asked, "
        "or the environment is being changed. See docs/how-to/recovery-time.md.",
    )
    add_confirmation_option(parser)


def _folder(environment: Environment, options: argparse.Namespace) -> Path:
    """Folder of the synthesized stack with the records: the one that is deployed last."""
    sandbox = environment.descriptor.sandbox
    if sandbox and sandbox.synthesized and not options.stack_folder:
        return stacks_of(environment.name, sandbox.synthesized)[-1]
    return terraform_folder(options)


def _records(options: argparse.Namespace) -> int:
    environment = environment_from(options)
    folder = _folder(environment, options)
    identity = identified(environment, otherwise="records can wait")
    exchange = records.plan(environment, folder)
    to = (
        "alias records, of 60 s to live"
        if exchange.ttl_seconds is None
        else f"CNAME records, of {exchange.ttl_seconds} s to live"
    )
    confirm(
        environment,
        options,
        effect=f"{len(exchange.deleted)} records of {environment.outputs.record_name} will be "
        f"replaced by {len(exchange.created)} {to}, all at once",
        identity=identity,
    )
    with hold(environment, kind="records", notify=print):
        file = records.carry_out(environment, exchange, folder)
    print(f"{len(exchange.deleted)} records were replaced by {len(exchange.created)} {to}.")
    print("Apply now, or Terraform's state is behind; this imports them:")
    print(f"  terraform -chdir={folder} apply -replace=terraform_data.deployed_settings")
    return Result(
        ExitCode.PASSED,
        deleted=len(exchange.deleted),
        created=len(exchange.created),
        ttl_seconds=exchange.ttl_seconds,
        import_file=str(file),
    )
