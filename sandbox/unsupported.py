"""Settings that a sandbox cannot deploy: refused before anything starts."""

import tomllib
from pathlib import Path

from ops.errors import ExitCode, OpsError

_UNSUPPORTED = {
    ("table", "consistency"): ("strong", 'consistency = "eventual", without witness_region'),
    ("domain", "accelerated_recovery"): (True, "accelerated_recovery = false"),
}
"""`{(table, key): (value, what to write instead)}` of what needs version 6 of the AWS provider."""


def refuse_unsupported(file: Path) -> None:
    """Refuse an environment that needs what the sandbox does not have.

    Args:
        file: The environment file; what is wrong with it in itself is left to the settings.

    Raises:
        OpsError: It asks for strong consistency or accelerated recovery.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for (table, key), (value, instead) in _UNSUPPORTED.items():
        given = values.get(table)
        if isinstance(given, dict) and given.get(key) == value:
            shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
            raise OpsError(
                f"the sandbox cannot deploy {table}.{key} = {shown}: it needs version 6 of the AWS "
                "provider, and the local AWS does not have it",
                next_step=f"for the sandbox, set {instead} in {file}",
                exit_code=ExitCode.USAGE,
            )
