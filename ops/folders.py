"""Where the operator's tool keeps files, and how it replaces one.

They are in the repository, or where it runs without one.
"""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
"""Folder of `main.py`, if this is run from the repository."""

HOME = REPOSITORY if (REPOSITORY / "main.py").is_file() else Path.cwd()
DEFAULT_FOLDER = HOME / ".local"
"""Descriptors, journals and reports of drills, and the sandbox."""

OUTPUT_FOLDER = HOME / "cdktf.out"
"""Synthesized stacks."""

SECRETS_FOLDER = HOME / ".secrets"
"""Values of API keys; git ignores it."""


def drills_folder(folder: Path) -> Path:
    """Folder of the journals and reports of drills.

    Args:
        folder: What `--folder` names.
    """
    return folder / "drills"


def journal_file(folder: Path, environment: str) -> Path:
    """File of the journal of an environment's drill.

    Args:
        folder: What `--folder` names.
        environment: Name of the environment.
    """
    return drills_folder(folder) / f"{environment}.journal.json"


def releases_folder(folder: Path, environment: str) -> Path:
    """Folder of an environment's releases and of their history.

    Args:
        folder: What `--folder` names.
        environment: Name of the environment.
    """
    return folder / "releases" / environment


def replace_file(path: Path, content: str | bytes, *, mode: int) -> None:
    """Replace a file in one step; it is on the disk when this returns.

    Only one program at a time may do it. A symbolic link is followed, so that it remains one.

    Args:
        path: The file.
        content: Its content; line ends are kept as they are, and a text is written in UTF-8.
        mode: Its permissions.

    Raises:
        OSError: It cannot be written; it is as it was.
    """
    path = path.resolve()
    draft = path.with_name(f".{path.name}.new")
    try:
        # Whatever a crash has left there, with whatever permissions.
        draft.unlink(missing_ok=True)
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(number)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
