"""`ops customers`: who may read the weather, and the keys that let them.

Names and plans stand in the environment file, values in the key file; both take effect when the
environment is deployed, in every Region at once. A key is rotated in two steps, between which the
old and the new one open the API everywhere.

What AWS has is asked before anything is changed: a new value for a key that is deployed would lock
the customer out. Values are kept before the file names their keys, so a failure in between leaves
a value too many and never one too few.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from ops.environment import Environment
from ops.environment_file import Customer, EnvironmentFile, key_name
from ops.errors import ExitCode, OpsError
from ops.key_values import KeyFile

Deployed = Mapping[str, Mapping[str, str]]
"""`{key name: {region: id}}` of the keys that AWS has."""


@dataclass(frozen=True)
class KeyState:
    """One key of a customer, as file and AWS know it.

    Attributes:
        customer: Name of the customer.
        plan: Name of its plan in the environment file; empty if the file no longer has the key.
        name: Name of the key.
        has_value: Whether this machine knows its value.
        regions: Regions that it is deployed in; None where the deployment cannot be read.
    """

    customer: str
    plan: str
    name: str
    has_value: bool
    regions: tuple[str, ...] | None


def issue(
    file: EnvironmentFile,
    keys: KeyFile,
    deployed: Deployed,
    *,
    customer: str | None = None,
    plan: str | None = None,
) -> dict[str, str]:
    """Makes the values that are missing: of one customer, who is added if new, or of all.

    Args:
        file: The environment's file.
        keys: Where values are kept.
        deployed: The keys that AWS has.
        customer: Name of a customer; None for all in the file.
        plan: Plan of a new customer.

    Returns:
        `{key name: value}` of the keys that were made now.

    Raises:
        OpsError: A new customer without plan, another plan than the file's, or a key that is
            deployed already, whose new value would lock the customer out.
    """
    with keys.locked():
        if customer is None:
            names = [name for each in file.customers for name in each.keys]
            _refuse_to_replace(names, keys, deployed, file)
            return keys.make(names)
        known = file.customer(customer)
        if known is None and plan is None:
            raise OpsError(
                f"{file.path} has no customer {customer!r}",
                next_step=f"give --plan to add it: one of {', '.join(file.plans) or 'none yet'}",
                exit_code=ExitCode.USAGE,
            )
        if known is not None and plan not in (None, known.plan):
            raise OpsError(
                f"{customer} is on the plan {known.plan}, not {plan}",
                next_step=f"to change it, edit plan in {file.path}: the key stays the same",
                exit_code=ExitCode.USAGE,
            )
        text = None if known else file.with_customer(customer, str(plan))
        names = list(known.keys if known else (key_name(customer, 1),))
        _refuse_to_replace(names, keys, deployed, file)
        made = keys.make(names)
        if text:
            file.write(text)
        return made


def rotate(
    file: EnvironmentFile,
    keys: KeyFile,
    deployed: Deployed,
    customer: str,
    *,
    at_once: bool = False,
) -> dict[str, str]:
    """Gives a customer a new key: beside the one that opens the API now, or in its place.

    Args:
        file: The environment's file.
        keys: Where values are kept; those of the customer's keys that ended earlier go.
        deployed: The keys that AWS has.
        customer: Name of the customer.
        at_once: The old keys end with the same deployment: one of them leaked.

    Returns:
        `{key name: value}` of the new key.

    Raises:
        OpsError: No such customer, or a rotation is under way.
    """
    with keys.locked():
        known = _known(file, customer)
        if len(known.numbers) > 1 and not at_once:
            raise OpsError(
                f"{customer} has two keys already: {', '.join(known.keys)}",
                next_step=f"when {customer} uses the new one: python -m ops customers rotate "
                f"{customer} --finish --environment {file.environment}",
                exit_code=ExitCode.USAGE,
            )
        ever = _numbers(customer, {*known.keys, *keys.values(), *deployed})
        # Never a number that was used: its value may be the one that leaked.
        number = max(ever) + 1
        numbers = (number,) if at_once else (*known.numbers, number)
        text = file.with_keys(customer, numbers)
        made = keys.make([key_name(customer, number)])
        file.write(text)
        ended = {key_name(customer, n) for n in ever} - {*known.keys, *deployed}
        keys.forget(ended)
        return made


def finish_rotation(
    file: EnvironmentFile, keys: KeyFile, deployed: Deployed, customer: str
) -> tuple[str, str]:
    """Ends a rotation: the older key goes with the next deployment.

    Args:
        file: The environment's file.
        keys: Where values are kept; it is not changed.
        deployed: The keys that AWS has.
        customer: Name of the customer.

    Returns:
        Names of the key that goes and of the one that stays. The value of the former is kept until
        the next rotation, should the step be taken back.

    Raises:
        OpsError: No such customer, no rotation is under way, or the newer key is not deployed
            wherever the older one is.
    """
    with keys.locked():
        known = _known(file, customer)
        if len(known.numbers) < 2:
            raise OpsError(
                f"{customer} has one key only: {known.keys[0]}",
                next_step="begin a rotation without --finish, and deploy, first",
                exit_code=ExitCode.USAGE,
            )
        older, newer = (key_name(customer, number) for number in sorted(known.numbers))
        if missing := set(deployed.get(older, {})) - set(deployed.get(newer, {})):
            raise OpsError(
                f"{newer} is not deployed in {', '.join(sorted(missing))}: {customer} cannot use "
                "it there yet",
                next_step=f"deploy {file.environment}, tell the customer, then finish",
                exit_code=ExitCode.USAGE,
            )
        file.write(file.with_keys(customer, (max(known.numbers),)))
        return older, newer


def listed(
    file: EnvironmentFile, values: Mapping[str, str], deployed: Deployed | None
) -> list[KeyState]:
    """Every key that the file names or AWS has.

    Args:
        file: The environment's file.
        values: `{key name: value}` that this machine knows.
        deployed: The keys that AWS has; None if nobody knows.

    Returns:
        The keys, in the order of the file.
    """

    def state(name: str, customer: str, plan: str) -> KeyState:
        regions = None if deployed is None else tuple(deployed.get(name, {}))
        return KeyState(customer, plan, name, name in values, regions)

    states = [state(name, c.name, c.plan) for c in file.customers for name in c.keys]
    leaving = set(deployed or {}) - {each.name for each in states}
    return states + [state(name, name.rpartition("-")[0], "") for name in sorted(leaving)]


def pull(environment: Environment, keys: KeyFile) -> dict[str, str]:
    """Reads the values of all deployed keys from API Gateway, onto this machine.

    Args:
        environment: The deployed environment.
        keys: Where they are kept.

    Returns:
        `{key name: value}`.

    Raises:
        OpsError: API Gateway gives them in no Region.
    """
    failures = []
    for region in environment.regions:
        gateway = environment.client("apigateway", region)
        try:
            values = {
                name: str(gateway.get_api_key(apiKey=ids[region], includeValue=True)["value"])
                for name, ids in environment.outputs["api_key_ids"].items()
            }
        except (BotoCoreError, ClientError) as error:
            failures.append(f"{region}: {error}")
            continue
        keys.keep(values)
        return values
    raise OpsError(
        f"API Gateway gives the keys in no Region: {'; '.join(failures)}",
        next_step="check these credentials: they need apigateway:GET on /apikeys",
    )


def values_for_terraform(file: EnvironmentFile, values: Mapping[str, str]) -> dict[str, str]:
    """The values that a deployment of the file needs.

    Args:
        file: The environment's file.
        values: `{key name: value}` that this machine knows.

    Returns:
        Those of the keys that the file names.

    Raises:
        OpsError: One is not known here.
    """
    names = [name for each in file.customers for name in each.keys]
    if missing := [name for name in names if name not in values]:
        raise OpsError(
            f"no value is known here for {', '.join(missing)}",
            next_step=f"make them if they are new: python -m ops customers issue --environment "
            f"{file.environment}; read them if they are deployed: python -m ops customers pull "
            f"--environment {file.environment}",
            exit_code=ExitCode.USAGE,
        )
    return {name: values[name] for name in names}


def _known(file: EnvironmentFile, name: str) -> Customer:
    customer = file.customer(name)
    if customer is None or not customer.numbers:
        known = ", ".join(each.name for each in file.customers) or "none yet"
        raise OpsError(
            f"{file.path} has no customer {name!r} with a key",
            next_step=f"name one of: {known}",
            exit_code=ExitCode.USAGE,
        )
    return customer


def _numbers(customer: str, names: set[str]) -> set[int]:
    parts = (name.rpartition("-") for name in names)
    return {int(number) for owner, _, number in parts if owner == customer and number.isdecimal()}


def _refuse_to_replace(
    names: list[str], keys: KeyFile, deployed: Deployed, file: EnvironmentFile
) -> None:
    known = keys.values()
    if lost := [name for name in names if name in deployed and name not in known]:
        raise OpsError(
            f"{', '.join(lost)} is deployed, and its value is not known on this machine: a new "
            "value would lock the customer out",
            next_step="read it from AWS: python -m ops customers pull --environment "
            f"{file.environment}",
            exit_code=ExitCode.USAGE,
        )
