"""Where releases and their history are kept: a folder of this machine, or a bucket."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops.errors import ExitCode, OpsError
from ops.folders import releases_folder, replace_file


@dataclass(frozen=True)
class Kept:
    """What is kept under a name.

    Attributes:
        content: The content.
        version: What `write` must be given to replace exactly this.
    """

    content: bytes
    version: str


class ChangedError(OpsError):
    """Somebody else has written it since it was read."""

    def __init__(self, where: str) -> None:
        """Describe the conflict.

        Args:
            where: What was not written.
        """
        super().__init__(
            f"{where} was not written: somebody else has written it since it was read",
            next_step="make sure that nobody else deploys, then see how far it came: "
            "python -m ops deploy status",
            exit_code=ExitCode.CHECK_FAILED,
        )


class Shelf(Protocol):
    """Keeps the releases of one environment; its text is where."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it, too."""

    def read(self, name: str) -> Kept | None:
        """Read what is kept under a name; None if nothing is.

        Args:
            name: The name; a `/` separates folders.

        Raises:
            OpsError: It cannot be read.
        """

    def write(self, name: str, content: bytes, version: str | None) -> str:
        """Keep something; it is stored when this returns.

        Args:
            name: Its name.
            content: Its content.
            version: What it replaces; None if nothing may be there.

        Returns:
            Its version.

        Raises:
            ChangedError: Something else is there.
            OpsError: It cannot be written.
        """

    def names(self, folder: str) -> list[str]:
        """List the names that begin with a folder.

        Args:
            folder: The folder, with a `/` at its end.

        Raises:
            OpsError: They cannot be listed.
        """

    def remove(self, name: str) -> None:
        """Remove what is kept under a name.

        Args:
            name: Its name.

        Raises:
            OpsError: It cannot be removed.
        """


@dataclass(frozen=True)
class FolderShelf:
    """A folder of this machine; the environment's lock keeps others of it away.

    Attributes:
        folder: The folder; made when needed.
    """

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    @classmethod
    def of(cls, folder: Path, environment: str) -> "FolderShelf":
        """Find the folder of an environment.

        Args:
            folder: What `--folder` names.
            environment: Name of the environment.
        """
        return cls(releases_folder(folder, environment))

    @property
    def is_shared(self) -> bool:
        """No other machine uses it."""
        return False

    def read(self, name: str) -> Kept | None:
        """Read a file."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OpsError(
                f"{path} cannot be read: {error.strerror}",
                next_step="make it readable, or name another folder with --folder",
            ) from error
        return Kept(content, _version(content))

    def write(self, name: str, content: bytes, version: str | None) -> str:
        """Replace a file in one step."""
        path, found = self.folder / name, self.read(name)
        if (found.version if found else None) != version:
            raise ChangedError(str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content, mode=0o644)
        except OSError as error:
            raise OpsError(
                f"{path} cannot be written: {error.strerror}",
                next_step="make its folder writable and free some space, or name another one with "
                "--folder",
            ) from error
        return _version(content)

    def names(self, folder: str) -> list[str]:
        """List the files of a folder; none if it does not exist."""
        return sorted(folder + path.name for path in (self.folder / folder).glob("[!.]*"))

    def remove(self, name: str) -> None:
        """Remove a file."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OpsError(
                f"{self.folder / name} cannot be removed: {error.strerror}",
                next_step="remove it, or leave it",
            ) from error


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
