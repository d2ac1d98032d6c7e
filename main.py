"""Synthesizes Terraform JSON: one stack for every file in environments/.

`FAILOVER_ENVIRONMENT=<name>` synthesizes that environment only. Exit codes: 0 synthesized, 2 an
environment file or a value in it is wrong.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from constructs_lib.settings import Settings, SettingsError, load

ENVIRONMENTS = Path(__file__).parent / "environments"


def main() -> int:
    """Reads the environments and synthesizes each as one stack.

    Returns:
        The exit code.
    """
    try:
        environments = _load_environments(os.environ.get("FAILOVER_ENVIRONMENT"))
        _synthesize(environments)
    except EnvironmentsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


class EnvironmentsError(Exception):
    """Every environment file that cannot be used, with all its faults."""


def _load_environments(name: str | None) -> list[Settings]:
    paths = [ENVIRONMENTS / f"{name}.toml"] if name else sorted(ENVIRONMENTS.glob("*.toml"))
    environments, errors = [], []
    for path in paths:
        try:
            environments.append(load(path))
        except SettingsError as error:
            errors.append(error)
    if errors:
        raise EnvironmentsError("\n\n".join(map(str, errors)))
    if not environments:
        raise EnvironmentsError(f"{ENVIRONMENTS} holds no environment: write one from example.toml")
    return environments


def _synthesize(environments: Sequence[Settings]) -> None:
    # Only now: the provider bindings take seconds to load, a mistake in a file is told at once.
    from cdktf import App

    import weather_api
    from constructs_lib.stack import FailoverApiStack

    app = App()
    for settings in environments:
        FailoverApiStack(
            app,
            settings=settings,
            operations=weather_api.OPERATIONS,
            health_operation=weather_api.HEALTH_OPERATION,
            functions=weather_api.FUNCTIONS,
            partition_key=weather_api.PARTITION_KEY,
            sort_key=weather_api.SORT_KEY,
        )
    app.synth()


if __name__ == "__main__":
    sys.exit(main())
