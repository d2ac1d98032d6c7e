"""Lints the files of GitHub Actions: their schema, and what attackers could use."""

import subprocess
from pathlib import Path

SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "vendor.github-actions": "actions/*/action.yml",
    "vendor.dependabot": "dependabot.yml",
}
"""`{schema that check-jsonschema has: files}`."""


def problems(folder: Path, programs: Path) -> list[str]:
    """Lint the files.

    Args:
        folder: The folder `.github`.
        programs: Folder of the linters' programs.

    Returns:
        What each linter that found something has printed.

    Raises:
        OSError: A linter cannot run.
    """
    commands = [
        ("check-jsonschema", "--builtin-schema", schema, *sorted(map(str, folder.glob(files))))
        for schema, files in SCHEMAS.items()
    ]
    # Low severities are matters of taste. Nothing is asked of GitHub.
    zizmor = ("zizmor", "--offline", "--no-progress", "--quiet", "--color", "never")
    commands.append((*zizmor, "--min-severity", "medium", str(folder)))
    runs = [
        subprocess.run([str(programs / program), *options], capture_output=True, text=True)
        for program, *options in commands
    ]
    return [run.stdout + run.stderr for run in runs if run.returncode]
