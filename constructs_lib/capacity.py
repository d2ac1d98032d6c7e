"""Provisioned concurrency of the functions: what the settings ask for, held against the operations.

The settings do not know the operations, so that this is checked when the stack is built.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from constructs_lib.api.operation import Operation
from constructs_lib.settings import Settings, SettingsError
from constructs_lib.settings.errors import Violation

UNRESERVED_AT_LEAST = 100
"""Concurrency that can be neither reserved nor provisioned.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""


def provisioned_concurrency(
    settings: Settings,
    region: str,
    operations: Sequence[Operation],
    *,
    called_by_checkers: Collection[str],
) -> dict[str, int]:
    """List what is provisioned in a Region.

    Args:
        settings: The environment.
        region: The Region.
        operations: What the API serves.
        called_by_checkers: Names of the operations that health checkers keep warm: these have some
            only if they are named.

    Returns:
        `{operation: environments}`, without those that have none.
    """
    capacity = settings.capacity.get(region)
    if capacity is None:
        return {}
    wanted = {
        operation.name: capacity.operations.get(
            operation.name,
            0 if operation.name in called_by_checkers else capacity.provisioned_concurrency,
        )
        for operation in operations
    }
    return {name: number for name, number in wanted.items() if number}


def check_capacity(
    settings: Settings, operations: Sequence[Operation], *, called_by_checkers: Collection[str]
) -> None:
    """Refuse a capacity that AWS would refuse half-way through an apply.

    Args:
        settings: The environment.
        operations: What the API serves.
        called_by_checkers: As of `provisioned_concurrency`.

    Raises:
        SettingsError: There is one; all errors are listed.
    """
    violations = [
        violation
        for region in settings.capacity
        for violation in _violations(settings, region, operations, called_by_checkers)
    ]
    if violations:
        raise SettingsError(Path(f"{settings.name}.toml"), violations)


def _violations(
    settings: Settings,
    region: str,
    operations: Sequence[Operation],
    called_by_checkers: Collection[str],
) -> Iterator[Violation]:
    capacity = settings.capacity[region]
    known = {operation.name: operation for operation in operations}
    for name in sorted(capacity.operations.keys() - known.keys()):
        yield Violation(
            f"capacity.{region}.operations.{name}", "unknown operation",
            f"one of: {', '.join(sorted(known))}", "name one of these, or remove it",
        )  # fmt: skip
    wanted = provisioned_concurrency(
        settings, region, operations, called_by_checkers=called_by_checkers
    )
    kept = 0
    for name, operation in known.items():
        provisioned, reserved = wanted.get(name, 0), operation.reserved_concurrency
        kept += provisioned if reserved is None else reserved
        if reserved is not None and provisioned > reserved:
            setting = "operations" if name in capacity.operations else "provisioned_concurrency"
            yield Violation(
                f"capacity.{region}.{setting}",
                f"{provisioned} for {name}, and {reserved} are reserved for it",
                f"at most {reserved}: what is provisioned is a part of what is reserved",
                f"lower it, or reserve {provisioned} for {name}",
            )  # fmt: skip
    most = capacity.concurrency_quota - UNRESERVED_AT_LEAST
    if wanted and kept > most:
        yield Violation(
            f"capacity.{region}",
            f"{kept} concurrent executions are reserved or provisioned in {region}, of a quota of "
            f"{capacity.concurrency_quota}",
            f"at most {max(0, most)}: AWS keeps {UNRESERVED_AT_LEAST} for all other functions",
            "lower provisioned_concurrency or operations, or have the quota raised and set "
            "concurrency_quota",
        )  # fmt: skip
