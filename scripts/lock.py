"""Locks the Python dependencies anew: `pipenv run lock`.

Pipfile names no source, so that everybody installs from the index that their pip is set to; pipenv
writes its default one into the lock file, and this takes it out again.
"""

import json
import subprocess
from pathlib import Path

LOCK_FILE = Path(__file__).parent.parent / "Pipfile.lock"


def main() -> None:
    """Runs `pipenv lock` and leaves no index in the lock file."""
    subprocess.run(["pipenv", "lock"], cwd=LOCK_FILE.parent, check=True)
    lock = json.loads(LOCK_FILE.read_text(encoding="utf-8"))
    lock["_meta"]["sources"] = []
    for section in ("default", "develop"):
        for package in lock[section].values():
            package.pop("index", None)
    LOCK_FILE.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
