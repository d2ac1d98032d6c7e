"""What `ops customers` knows before it changes anything: values, deployed keys, the lock."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from rich.console import Console

from ops import deployed_keys, key_claims, state_bucket
from ops.cli.options import environment_name, known_descriptor, selector_of, terraform_folder
from ops.customers import Claim
from ops.deployed_keys import Deployed, InService
from ops.deployment import deployed_outputs
from ops.descriptor import Descriptor
from ops.environment import Environment
from ops.environment_file import EnvironmentFile
from ops.errors import OpsError, UsageError, explain
from ops.key_values import KeyFile, default_file, given
from ops.lock import LockedError, hold

notes = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)
"""Only values go to standard output, so that they can be piped into a secrets store."""


def key_file(options: argparse.Namespace) -> KeyFile:
    """Give the file of the values.

    Args:
        options: Parsed options of the command.

    Raises:
        OpsError: `--keys-file` is given for a sandbox.
    """
    name, descriptor = environment_name(options), known_descriptor(options)
    if descriptor and descriptor.sandbox:
        if options.keys_file:
            raise UsageError(
                f"--keys-file cannot be used with the sandbox {name}, which keeps its own values",
                next_step="leave out --keys-file",
            )
        return KeyFile(descriptor.sandbox.api_keys_file, name)
    return KeyFile(options.keys_file.resolve() if options.keys_file else default_file(name), name)


def known_values(options: argparse.Namespace) -> dict[str, str]:
    """Read the known values; the file takes precedence over the process's environment.

    Args:
        options: Parsed options of the command.

    Raises:
        OpsError: They cannot be read.
    """
    return given(os.environ, environment_name(options)) | key_file(options).values()


def environment_of(options: argparse.Namespace) -> Environment | None:
    """Open the deployed environment, and print which it is and whose credentials these are.

    Args:
        options: Parsed options of the command.

    Returns:
        The environment; None if nothing is deployed, as `--without-state` says.

    Raises:
        OpsError: It cannot be read, or the credentials are of another account.
    """
    if options.without_state:
        return None
    try:
        environment = deployed_environment(options)
    except OpsError as error:
        raise UsageError(
            f"cannot determine which keys are deployed, and a new value for one of them would "
            f"lock its customer out: {error}",
            next_step="start the sandbox, or run terraform init in the stack's folder "
            "(--stack-folder) and select the workspace that was deployed; if nothing is deployed "
            "yet, give --without-state",
        ) from error
    identity = environment.identify()
    for line in (str(identity), *identity.notes):
        notes.print(line)
    return environment


def deployed_environment(options: argparse.Namespace) -> Environment:
    """Open the environment of the sandbox, of `--descriptor`, or of Terraform's state.

    Args:
        options: Parsed options of the command.

    Raises:
        OpsError: It cannot be read.
    """
    descriptor = known_descriptor(options)
    if descriptor is None or not (descriptor.sandbox or options.descriptor):
        # A descriptor that is not given explicitly may be older than the deployment.
        outputs = deployed_outputs(terraform_folder(options), environment_name(options))
        descriptor = Descriptor.on_aws(outputs)
    return Environment(descriptor, None, selector_of(options), options.folder.resolve())


def deployed(
    options: argparse.Namespace, file: EnvironmentFile, environment: Environment | None
) -> Deployed:
    """Find out which keys are deployed, and that this machine's values are the deployed ones.

    Args:
        options: Parsed options of the command.
        file: The environment's file.
        environment: The deployed environment; None if nothing is deployed.

    Returns:
        Them, as the state and API Gateway have them.

    Raises:
        OpsError: It cannot be found out, a value is another one, or `--without-state` is given
            although something is deployed.
    """
    if environment is None:
        _refuse_if_deployed(options, file)
        return {}
    found = in_service(options, file)
    deployed_keys.refuse_other_values(file, known_values(options), found)
    return {**found.deployed, **environment.outputs.api_key_ids}


def _refuse_if_deployed(options: argparse.Namespace, file: EnvironmentFile) -> None:
    descriptor = known_descriptor(options)
    names, shown_by = {*descriptor.outputs.api_key_ids} if descriptor else set(), "its descriptor"
    if not names:
        try:
            found = in_service(options, file)
            names, shown_by = {*found.ids}, f"API Gateway in {found.region}"
        except OpsError as error:
            notes.print(f"Whether API Gateway has keys is unknown: {error}", style="yellow")
    if names:
        raise UsageError(
            f"--without-state is for an environment of which nothing is deployed, and {shown_by} "
            f"has {', '.join(sorted(names))}",
            next_step="leave out --without-state, and name the stack's folder (--stack-folder) or "
            "a descriptor (--descriptor)",
        )


def in_service(options: argparse.Namespace, file: EnvironmentFile) -> InService:
    """Read the keys that API Gateway has.

    Args:
        options: Parsed options of the command.
        file: The environment's file.

    Raises:
        OpsError: No Region returns them.
    """
    descriptor = known_descriptor(options)
    if descriptor and descriptor.sandbox:
        environment = Environment(descriptor)
        return deployed_keys.in_service(file, lambda r: environment.client("apigateway", r))
    return deployed_keys.in_service(file, deployed_keys.on_aws)


def refuse_without_state(
    options: argparse.Namespace, file: EnvironmentFile, found: InService
) -> None:
    """Refuse to deploy with an empty state what is deployed.

    Args:
        options: Parsed options of the command.
        file: The environment's file.
        found: The keys that API Gateway has.

    Raises:
        OpsError: The state bucket has no state.
    """
    descriptor = known_descriptor(options)
    if descriptor and descriptor.sandbox:
        return
    try:
        state_bucket.refuse_without_state(file, found, state_bucket.on_aws)
    except OpsError:
        raise
    except Exception as error:  # Terraform reports a bucket that it cannot read
        notes.print(
            f"Whether the state bucket has a state is unknown: {explain(error)}", style="yellow"
        )


def claims(environment: Environment | None) -> Claim:
    """What claims keys in an environment, if it can be reached.

    Args:
        environment: The environment; None if nothing is deployed.
    """

    def claim(values: Mapping[str, str]) -> None:
        if environment is None:
            return
        try:
            key_claims.claim(environment, values)
        except OpsError:
            raise
        except Exception as error:  # the secondary Region may be what is down
            notes.print(
                "Nobody else may create the same keys before they are deployed: they cannot be "
                f"claimed: {explain(error)}",
                style="yellow",
            )

    return claim


@contextmanager
def locked(environment: Environment | None) -> Iterator[None]:
    """Hold the environment's lock while the block runs, if the environment can be reached.

    Args:
        environment: The environment; None if nothing is deployed.

    Raises:
        OpsError: Somebody else holds it.
    """
    with ExitStack() as stack:
        try:
            if environment:
                stack.enter_context(hold(environment, kind="customers"))
        except LockedError:
            raise
        except OpsError as error:
            notes.print(
                f"Nobody else may rotate keys now: the lock cannot be taken: {explain(error)}",
                style="yellow",
            )
        yield
