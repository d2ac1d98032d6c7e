"""Synthesis as the tools run it: main.py, as a program of its own."""

import os
import subprocess
import sys
from pathlib import Path

from ops.environment_file import FOLDER_VARIABLE, environments_folder
from ops.errors import ExitCode, OpsError
from ops.stand import REPOSITORY


def synthesize(environment: str, output: Path) -> None:
    """Synthesizes one environment.

    Args:
        environment: Its name.
        output: Folder for what is synthesized, as `CDKTF_OUTDIR` names it.

    Raises:
        OpsError: main.py cannot synthesize it; its own words and kind of exit code are passed on.
    """
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "FAILOVER_ENVIRONMENT": environment,
            # main.py runs in another folder than the caller.
            FOLDER_VARIABLE: str(environments_folder()),
            "CDKTF_OUTDIR": str(output.absolute()),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        end = "\n".join(done.stderr.strip().splitlines()[-20:])
        raise OpsError(
            f"python main.py failed:\n{end}",
            next_step="mend what it names",
            exit_code=ExitCode.USAGE
            if done.returncode == ExitCode.USAGE
            else ExitCode.SURROUNDINGS,
        )
