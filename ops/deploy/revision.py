"""The git revision that is synthesized."""

import subprocess

from ops.folders import REPOSITORY

TIMEOUT_SECONDS = 10.0


def git_revision() -> str:
    """The commit, with a `+` if files were changed since; empty where git does not say."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    return f"{commit}{'+' if commit and _git('status', '--porcelain') else ''}"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
