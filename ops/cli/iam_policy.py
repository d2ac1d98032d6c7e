"""`python -m ops iam-policy`: prints the least-privilege IAM policy for one kind of work."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.cli.options import (
    Commands,
    add_command,
    environment_from,
    environment_name,
    stack_folders,
)
from ops.cli.program import Result
from ops.environment import Environment
from ops.errors import ExitCode, UsageError
from ops.iam.names import names_of_outputs, names_of_release, names_of_stack, synthesized
from ops.iam.operator_actions import OPERATOR, RELEASE
from ops.iam.policy import MAX_CHARACTERS, Document, documents
from ops.iam.terraform_actions import release_grants, terraform_grants
from ops.stacks import stacks_of

PURPOSES: Mapping[str, str] = {
    "deploy": "terraform apply and destroy",
    "plan": "terraform plan",
    "release": "ops deploy and ops rollback",
    "switch": "evacuate and restore Regions",
    "drill": "run a failover drill, verify included",
    "verify": "verify",
    "reconcile": "compare the replicas after an outage",
    "reconcile-apply": "carry out a reviewed plan of reconcile",
    "readiness": "readiness",
}
"""`{value of --for: what the policy allows}`."""


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = add_command(
        commands,
        "iam-policy",
        _iam_policy,
        "print the least-privilege IAM policy for working on an environment",
        description="Prints an IAM policy with the actions and the environment's own resources "
        f"that one kind of work needs: {'; '.join(f'{k}: {v}' for k, v in PURPOSES.items())}. For "
        "deploy and plan, nothing need be deployed: names are read from the synthesized stack; "
        "otherwise from the descriptor or the outputs, and for release from both. More than one "
        "policy is printed as a list.",
        epilog="Exit codes: 0 printed, 2 wrong usage, or the stack is not synthesized, 3 the "
        "outputs cannot be read, or a file cannot be written.",
    )
    parser.add_argument(
        "--for",
        dest="purpose",
        choices=PURPOSES,
        required=True,
        help="what the policy allows",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        help="folder to write each policy to, as ENVIRONMENT-PURPOSE-NUMBER.json",
    )


def _iam_policy(options: argparse.Namespace) -> int:
    name, purpose = environment_name(options), options.purpose
    made = _policies(options)
    if len(made) > 1:
        print(
            f"These are {len(made)} policies, as a managed policy has at most {MAX_CHARACTERS:,} "
            "characters: attach each of them to the role.",
            file=sys.stderr,
        )
    if options.output is None:
        print(json.dumps(made[0] if len(made) == 1 else made, indent=2))
        return Result(ExitCode.PASSED, policies=made)
    files = []
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for number, document in enumerate(made, 1):
            file = options.output / f"{name}-{purpose}-{number}.json"
            file.write_text(json.dumps(document, indent=2) + "\n")
            files.append(str(file))
            print(file)
    except OSError as error:
        raise UsageError(
            f"{options.output} cannot be written: {error.strerror}",
            next_step="choose another folder with --output",
        ) from error
    return Result(ExitCode.PASSED, policies=made, files=files)


def _policies(options: argparse.Namespace) -> tuple[Document, ...]:
    if grants := OPERATOR.get(options.purpose):
        return documents(grants, names_of_outputs(environment_from(options).outputs))
    name = environment_name(options)
    if options.purpose == "release":
        environment = environment_from(options)
        stack = synthesized(_stack_folders(options, environment), name)
        names = names_of_release(stack, environment.outputs)
        return documents((*release_grants(stack), *RELEASE), names)
    stack = synthesized(stack_folders(options), name)
    writes = options.purpose == "deploy"
    return documents(terraform_grants(stack, writes=writes), names_of_stack(stack, name))


def _stack_folders(options: argparse.Namespace, environment: Environment) -> tuple[Path, ...]:
    sandbox = environment.descriptor.sandbox
    if sandbox and sandbox.synthesized and not options.stack_folder:
        return stacks_of(environment.name, sandbox.synthesized)
    return stack_folders(options)
