"""Runs main.py as a separate process."""

import os
import subprocess
import sys
from pathlib import Path

from ops.environment_file import FOLDER_VARIABLE, environments_folder
from ops.errors import ExitCode, program_failure
from ops.folders import REPOSITORY


def synthesize(environment: str, output: Path) -> None:
    """Synthesize one environment.

    Args:
        environment: Its name.
        output: Folder for the stacks, as for `CDKTF_OUTDIR`.

    Raises:
        OpsError: main.py cannot synthesize it; its messages and exit code are passed on.
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
        raise program_failure(
            "python main.py failed",
            done.stderr,
            next_step="fix the errors above",
            exit_code=ExitCode.USAGE
            if done.returncode == ExitCode.USAGE
            else ExitCode.PREREQUISITE,
        )
