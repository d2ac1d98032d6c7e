"""`ops customers`: customers of the API and their API keys.

Names and plans are in the environment file, values in the key file; both take effect in every
Region when the environment is deployed. A key is rotated in two steps, between which every Region
accepts the old and the new one.

The deployed keys are read before anything is changed: a new value for a key that is deployed would
lock the customer out. Values are stored before the environment file names their keys, so a failure
in between leaves a value too many and never one too few.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ops.deployed_keys import Deployed
from ops.environment_file import Customer, EnvironmentFile, key_name
from ops.errors import UsageError
from ops.key_values import KeyFile, refuse_shared

Claim = Callable[[Mapping[str, str]], None]
"""Claims keys, `{name: value}`: it raises an error if another machine has created one of them."""


@dataclass(frozen=True)
class KeyState:
    """One key of a customer, in the file and on AWS.

    Attributes:
        customer: Name of the customer.
        plan: Name of its plan in the environment file; empty if the file no longer has the key.
        name: Name of the key.
        has_value: Whether its value is known on this machine.
        regions: Regions that it is deployed in; None if the deployment cannot be read.
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
    claim: Claim = lambda _: None,
) -> dict[str, str]:
    """Create the values that are missing: of one customer, who is added if new, or of all.

    Args:
        file: The environment's file.
        keys: The key file.
        deployed: The deployed keys.
        customer: Name of a customer; None for all in the file.
        plan: Plan of a new customer.
        claim: Claims the keys that are not deployed.

    Returns:
        `{key name: value}` of the new keys.

    Raises:
        OpsError: A new customer without plan, another plan than the file's, or a deployed key whose
            value is not known here.
    """
    with keys.locked():
        if customer is None:
            return _create(
                [name for each in file.customers for name in each.keys],
                keys,
                deployed,
                file,
                claim,
            )
        known = file.customer(customer)
        if known is None and plan is None:
            raise UsageError(
                f"{file.path} has no customer {customer!r}",
                next_step=f"give --plan to add it: one of {', '.join(file.plans) or 'none yet'}",
            )
        if known is not None and plan not in (None, known.plan):
            raise UsageError(
                f"{customer} is on the plan {known.plan}, not {plan}",
                next_step=f"to change it, edit plan in {file.path}: the key stays the same",
            )
        text = None if known else file.with_customer(customer, str(plan))
        names = known.keys if known else (key_name(customer, 1),)
        made = _create(names, keys, deployed, file, claim)
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
    claim: Claim = lambda _: None,
) -> dict[str, str]:
    """Create a new key of a customer: beside the present one, or in its place.

    Args:
        file: The environment's file.
        keys: The key file; values of keys that were revoked earlier are removed.
        deployed: The deployed keys.
        customer: Name of the customer.
        at_once: The same deployment revokes the old keys, because one of them leaked.
        claim: Claims the new key.

    Returns:
        `{key name: value}` of the new key.

    Raises:
        OpsError: There is no such customer, a rotation is in progress, or the file is older than
            the deployment.
    """
    with keys.locked():
        known = _known(file, customer)
        if len(known.numbers) > 1 and not at_once:
            raise UsageError(
                f"{customer} has two keys already: {', '.join(known.keys)}",
                next_step=f"when {customer} uses the new one: python -m ops customers rotate "
                f"{customer} --finish --environment {file.environment}",
            )
        newer = [n for n in _numbers(customer, {*deployed}) if n > max(known.numbers)]
        if newer and not at_once:
            names = ", ".join(key_name(customer, number) for number in sorted(newer))
            raise UsageError(
                f"{names} is deployed, and {file.path} does not name it: the next deployment "
                f"would revoke it, and lock {customer} out",
                next_step="if it was made on another machine, get the newest version of the file; "
                "if it is to be revoked, deploy first",
            )
        ever = _numbers(customer, {*known.keys, *keys.values(), *deployed})
        # Never a number that was used before: its value may be the one that leaked.
        number = max(ever) + 1
        numbers = (number,) if at_once else (*known.numbers, number)
        text = file.with_keys(customer, numbers)
        made = _made([key_name(customer, number)], keys, deployed, claim)
        file.write(text)
        revoked = {key_name(customer, n) for n in ever} - {*known.keys, *deployed}
        keys.remove(revoked)
        return made


def finish_rotation(
    file: EnvironmentFile, keys: KeyFile, deployed: Deployed, customer: str
) -> tuple[str, str]:
    """Finish a rotation: the next deployment revokes the older key.

    Args:
        file: The environment's file.
        keys: The key file; it is not changed.
        deployed: The deployed keys.
        customer: Name of the customer.

    Returns:
        Names of the older and of the newer key. The value of the former is kept until the next
        rotation, in case this is undone.

    Raises:
        OpsError: There is no such customer, no rotation is in progress, or the newer key is not
            deployed wherever the older one is.
    """
    with keys.locked():
        known = _known(file, customer)
        if len(known.numbers) < 2:
            raise UsageError(
                f"{customer} has one key only: {known.keys[0]}",
                next_step="start a rotation without --finish, and deploy, first",
            )
        if len(known.numbers) > 2:
            raise UsageError(
                f"{customer} has more than two keys: {', '.join(known.keys)}",
                next_step=f"leave the two that are deployed in keys in {file.path}",
            )
        older, newer = (key_name(customer, number) for number in sorted(known.numbers))
        if missing := set(deployed.get(older, {})) - set(deployed.get(newer, {})):
            raise UsageError(
                f"{newer} is not deployed in {', '.join(sorted(missing))}: {customer} cannot use "
                "it there yet",
                next_step=f"deploy {file.environment}, notify the customer, then finish",
            )
        file.write(file.with_keys(customer, (max(known.numbers),)))
        return older, newer


def listed(
    file: EnvironmentFile, values: Mapping[str, str], deployed: Deployed | None
) -> list[KeyState]:
    """List every key that the file names or that is deployed.

    Args:
        file: The environment's file.
        values: `{key name: value}` that is known on this machine.
        deployed: The deployed keys; None if they cannot be read.

    Returns:
        The keys, in the order of the file.
    """

    def state(name: str, customer: str, plan: str) -> KeyState:
        regions = None if deployed is None else tuple(deployed.get(name, {}))
        return KeyState(customer, plan, name, name in values, regions)

    states = [state(name, c.name, c.plan) for c in file.customers for name in c.keys]
    revoked = set(deployed or {}) - {each.name for each in states}
    return states + [state(name, name.rpartition("-")[0], "") for name in sorted(revoked)]


def values_for_terraform(file: EnvironmentFile, values: Mapping[str, str]) -> dict[str, str]:
    """Select the values that a deployment of the file needs.

    Args:
        file: The environment's file.
        values: `{key name: value}` that is known on this machine.

    Returns:
        Those of the keys that the file names.

    Raises:
        OpsError: One is not known on this machine, or two have the same value.
    """
    names = [name for each in file.customers for name in each.keys]
    if missing := [name for name in names if name not in values]:
        raise UsageError(
            f"no value is known on this machine for {', '.join(missing)}",
            next_step=f"create them if they are new: python -m ops customers issue --environment "
            f"{file.environment}; read them if they are deployed: python -m ops customers pull "
            f"--environment {file.environment}",
        )
    wanted = {name: values[name] for name in names}
    refuse_shared({file.environment: wanted}, "this machine")
    return wanted


def _known(file: EnvironmentFile, name: str) -> Customer:
    customer = file.customer(name)
    if customer is None or not customer.numbers:
        known = ", ".join(each.name for each in file.customers) or "none yet"
        raise UsageError(
            f"{file.path} has no customer {name!r} with a key", next_step=f"give one of: {known}"
        )
    return customer


def _numbers(customer: str, names: set[str]) -> set[int]:
    parts = (name.rpartition("-") for name in names)
    return {int(number) for owner, _, number in parts if owner == customer and number.isdecimal()}


def _create(
    names: Sequence[str],
    keys: KeyFile,
    deployed: Deployed,
    file: EnvironmentFile,
    claim: Claim,
) -> dict[str, str]:
    """Create the values that are missing; none of a key that is deployed."""
    known = keys.values()
    if lost := [name for name in names if name in deployed and name not in known]:
        raise UsageError(
            f"{', '.join(lost)} is deployed, and its value is not known on this machine: a new "
            "value would lock the customer out",
            next_step="read it from AWS: python -m ops customers pull --environment "
            f"{file.environment}",
        )
    return _made(names, keys, deployed, claim)


def _made(names: Sequence[str], keys: KeyFile, deployed: Deployed, claim: Claim) -> dict[str, str]:
    """Create the values that are missing, and none of a key that another machine has created."""
    made = keys.create(names)
    known = keys.values()
    try:
        claim({name: known[name] for name in names if name not in deployed})
    except UsageError:
        keys.remove(made)
        raise
    return made
