"""What two environments may not share."""

from collections.abc import Iterator, Sequence
from typing import Any

from constructs_lib.settings.errors import Violation
from constructs_lib.settings.stack_names import parts, stack_name, state_key

SANDBOX_ACCOUNT = "000000000000"
"""Account of the sandbox: its zones are nobody else's."""


def shared_violations(environments: Sequence[Any]) -> Iterator[tuple[str, Violation]]:
    """What two environments may not share.

    Args:
        environments: Settings of every environment.

    Yields:
        `(environment, violation)` for the later one of each pair that shares something.
    """
    for index, later in enumerate(environments):
        for earlier in environments[:index]:
            for violation in _shared(earlier, later):
                yield later.name, violation


def _stack_names(settings: Any) -> set[str]:
    return {stack_name(settings, part) for part in parts(settings)}


def _states(settings: Any) -> set[tuple[str, str]]:
    """`(bucket, key)` of every state in S3."""
    backend = settings.backend
    if backend.type != "s3":
        return set()
    return {(backend.bucket, state_key(backend.key, part)) for part in parts(settings)}


def _shared(earlier: Any, later: Any) -> Iterator[Violation]:
    def twice(key: str, value: str) -> Violation:
        return Violation(
            key, f'"{value}" is also what the environment {earlier.name} uses',
            "what no other environment of the same account uses",
            "choose another, or set allowed_account_ids if the accounts differ",
        )  # fmt: skip

    if shared := _states(earlier) & _states(later):
        yield twice("backend.key", min(shared)[1])
    if shared_names := _stack_names(earlier) & _stack_names(later):
        name = min(shared_names)
        yield Violation(
            "layout", f'the stack "{name}" is also one of the environment {earlier.name}',
            "stacks with different names: those of layout = \"regional\" are named like the "
            "environment with -data, -routing or a Region at the end",
            "rename the file of one of the two environments",
        )  # fmt: skip
    accounts = [set(settings.allowed_account_ids) for settings in (earlier, later)]
    if (
        earlier.domain.create_zone
        and later.domain.create_zone
        and earlier.domain.zone_name == later.domain.zone_name
        and accounts.count({SANDBOX_ACCOUNT}) != 1
    ):
        yield Violation(
            "domain.create_zone",
            f'the environment {earlier.name} creates a zone "{later.domain.zone_name}", too',
            "one public zone of a name, in whatever account: DNS delegates to one, and the "
            "certificates of the other are never issued",
            "set create_zone = false to use that zone, or choose another zone_name",
        )  # fmt: skip
    if all(accounts) and not accounts[0] & accounts[1]:
        return
    regions = [region for region in later.regions if region in earlier.regions]
    if regions and earlier.api.manage_account_log_role and later.api.manage_account_log_role:
        yield Violation(
            "api.manage_account_log_role",
            f"the environment {earlier.name} manages the role in {regions[0]}, too",
            "true in one environment of an account and Region: destroying one would remove the "
            "role of the other",
            "set it to false in one of the two, or set allowed_account_ids if the accounts differ",
        )  # fmt: skip
    zone = later.domain.zone_name
    logged = [each.domain.query_logging for each in (earlier, later)]
    if earlier.domain.zone_name == zone and all(logged):
        yield Violation(
            "domain.query_logging",
            f'the environment {earlier.name} logs the queries for the zone "{zone}", too',
            "true in one environment of a zone: Route 53 logs its queries in one place",
            "set it to false in one of the two, or set allowed_account_ids if the accounts differ",
        )  # fmt: skip
    prefixes = [f"{settings.api.name}-{settings.name}" for settings in (earlier, later)]
    if prefixes[0] == prefixes[1]:
        yield twice("api.name", prefixes[1])
    if earlier.domain.record_name == later.domain.record_name:
        yield twice("domain.record_name", later.domain.record_name)
    if regions and earlier.table.name == later.table.name:
        yield twice("table.name", later.table.name)
