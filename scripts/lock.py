"""Lock the Python dependencies again: `pipenv run lock`.

Pipfile names no source, so that everybody installs from the index that their pip is set to; pipenv
writes its default one into the lock file, and this takes it out again.
"""

import json
import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PIPFILES = (REPOSITORY / "Pipfile", REPOSITORY / "scans" / "Pipfile")
"""The project's own, and that of the tools that need an environment of their own."""


def main() -> None:
    """Runs `pipenv lock` and leaves no index in the lock files."""
    for pipfile in PIPFILES:
        subprocess.run(
            ["pipenv", "lock"],
            cwd=pipfile.parent,
            env=os.environ | {"PIPENV_PIPFILE": str(pipfile)},
            check=True,
        )
        lock_file = pipfile.with_name("Pipfile.lock")
        lock = json.loads(lock_file.read_text(encoding="utf-8"))
        lock["_meta"]["sources"] = []
        for section in ("default", "develop"):
            for package in lock[section].values():
                package.pop("index", None)
        lock_file.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
