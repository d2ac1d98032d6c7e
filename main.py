"""Synthesizes Terraform JSON: the stacks of every file in environments/.

`FAILOVER_ENVIRONMENT=<name>` synthesizes that environment only; `FAILOVER_ENVIRONMENTS=<folder>`
takes the files from another folder. Exit codes: 0 synthesized, 2 an environment file is
invalid, 3 Node cannot run or the output cannot be written.
"""

import atexit
import errno
import gc
import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cdktf_bindings as bindings

if __name__ == "__main__":
    # A run of a second produces no garbage that is worth collecting, least of all at its end.
    gc.disable()
    atexit.register(gc.freeze)
    # Before all other imports: Node starts while Python continues with them.
    bindings.install()

from constructs_lib.settings import Settings, SettingsError, load
from constructs_lib.settings.sharing import shared_violations

ENVIRONMENTS = Path(
    os.environ.get("FAILOVER_ENVIRONMENTS") or Path(__file__).parent / "environments"
)


def main() -> int:
    """Read the environments and synthesize the stacks of each.

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
    """Every environment file that cannot be used, with all its errors."""


class OutputError(Exception):
    """The output folder cannot be created or written to."""


def _load_environments(name: str | None) -> list[Settings]:
    """The named environment or all of them; no two may share what must be unique."""
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
        if violations := [
            violation
            for owner, violation in shared_violations([*others, settings])
            if owner == settings.name
        ]:
            errors.append(SettingsError(ENVIRONMENTS / f"{settings.name}.toml", violations))
    if errors:
        raise EnvironmentsError("\n\n".join(map(str, errors)))
    if not wanted:
        raise EnvironmentsError(f"no environment in {ENVIRONMENTS}: write one from example.toml")
    return wanted


def _synthesize(environments: Sequence[Settings]) -> None:
    # Only now: errors in files are reported without loading the bindings.
    from cdktf import App

    import weather_api.stack

    output = Path(os.environ.get("CDKTF_OUTDIR") or "cdktf.out")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output):
            pass
    except OSError as error:
        raise _output_error(output, str(error.strerror)) from None

    app = App()
    try:
        built = [weather_api.stack.build_stack(app, settings) for settings in environments]
        app.synth()
        for stack, settings in zip(built, environments, strict=True):
            for each in stack.layout.stacks:
                _place_lock_file(settings.name, output / "stacks" / each.node.id)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise _output_error(output, str(error.strerror)) from None
    except RuntimeError as error:
        # What Node reports of a write that failed.
        found = re.match(r"Error: E(?:NOSPC|DQUOT|ROFS): ([^,]+)", str(error))
        if not found:
            raise
        raise _output_error(output, found[1]) from None


def _output_error(output: Path, reason: str) -> OutputError:
    return OutputError(
        f"{output}, or a temporary file, cannot be written ({reason}): set CDKTF_OUTDIR and TMPDIR "
        "to folders that you may write to, with free space"
    )


def _place_lock_file(environment: str, stack: Path) -> None:
    """Put the environment's dependency lock file, if it has one, where Terraform looks for it.

    The output folder is not in git: without the file, two people could use two major versions of
    the provider, of which the older cannot read the state of the newer.

    Source: https://developer.hashicorp.com/terraform/language/files/dependency-lock
    """
    with suppress(FileNotFoundError):
        shutil.copyfile(ENVIRONMENTS / f"{environment}.lock.hcl", stack / ".terraform.lock.hcl")


if __name__ == "__main__":
    sys.exit(main())
