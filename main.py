"""Synthesizes Terraform JSON: one stack for every file in environments/.

`FAILOVER_ENVIRONMENT=<name>` synthesizes that environment only; `FAILOVER_ENVIRONMENTS=<folder>`
takes the files from another folder. Exit codes: 0 synthesized, 2 an environment file or a value in
it is wrong, 3 Node cannot run or the output cannot be written.
"""

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from constructs_lib import bindings

if __name__ == "__main__":
    # A run of a second makes no garbage worth looking for, least of all when it ends.
    gc.disable()
    atexit.register(gc.freeze)
    # Before all other imports: Node starts while Python goes on with them.
    bindings.install()

from constructs_lib.faults import SettingsError
from constructs_lib.rules import shared_faults
from constructs_lib.settings import Settings, load

ENVIRONMENTS = Path(
    os.environ.get("FAILOVER_ENVIRONMENTS") or Path(__file__).parent / "environments"
)


def main() -> int:
    """Reads the environments and synthesizes each as one stack.

    Returns:
        The exit code.
    """
    try:
        environments = _load_environments(os.environ.get("FAILOVER_ENVIRONMENT"))
        _synthesize(environments)
    except (EnvironmentsError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    except (bindings.NodeError, OutputError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


class EnvironmentsError(Exception):
    """Every environment file that cannot be used, with all its faults."""


class OutputError(Exception):
    """The folder for what is synthesized cannot be made, or not be written to."""


def _load_environments(name: str | None) -> list[Settings]:
    """The named environment or all of them; no two may share what only one can have."""
    if name and not (ENVIRONMENTS / f"{name}.toml").is_file():
        load(ENVIRONMENTS / f"{name}.toml")
    environments, errors = [], []
    for path in sorted(ENVIRONMENTS.glob("*.toml")):
        try:
            environments.append(load(path))
        except SettingsError as error:
            if name in (None, path.stem):
                errors.append(error)
    wanted = [settings for settings in environments if name in (None, settings.name)]
    for settings in wanted:
        others = [other for other in environments if other is not settings]
        faults = [
            fault for owner, fault in shared_faults([*others, settings]) if owner == settings.name
        ]
        if faults:
            errors.append(SettingsError(ENVIRONMENTS / f"{settings.name}.toml", faults))
    if errors:
        raise EnvironmentsError("\n\n".join(map(str, errors)))
    if not wanted:
        raise EnvironmentsError(f"{ENVIRONMENTS} holds no environment: write one from example.toml")
    return wanted


def _synthesize(environments: Sequence[Settings]) -> None:
    # Only now: a mistake in a file is told without loading what it takes to synthesize.
    from cdktf import App

    import weather_api

    output = Path(os.environ.get("CDKTF_OUTDIR") or "cdktf.out")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output):
            pass
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written ({error.strerror}): "
            "let CDKTF_OUTDIR name a folder that you may write to"
        ) from None

    app = App()
    for settings in environments:
        weather_api.build_stack(app, settings)
    app.synth()


if __name__ == "__main__":
    sys.exit(main())
