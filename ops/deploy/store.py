"""Keeps releases: the synthesized stacks with the functions' zip and Terraform's lock file.

A release is one archive that is named after its content, so the same one is kept once, however
often it is deployed, and a damaged one is never deployed.
"""

import hashlib
import io
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.deploy.shelf import ChangedError, Shelf
from ops.errors import OpsError

KEPT = 10
"""Releases that are kept, besides those that are deployed."""
_ID_LENGTH = 12
_FOLDER = "kept/"
_NEXT_STEP = "check out the git revision that python -m ops deploy history shows, and deploy it"


@dataclass
class ReleaseStore:
    """Releases of one environment.

    Attributes:
        shelf: Where they are kept.
    """

    shelf: Shelf
    _read: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    def add(self, stacks: Sequence[Path]) -> str:
        """Keep a release.

        Args:
            stacks: Folders of its synthesized stacks, initialized by Terraform.

        Returns:
            Its id.

        Raises:
            OpsError: It cannot be written.
        """
        files = {
            f"{stack.name}/{file.relative_to(stack).as_posix()}": file.read_bytes()
            for stack in stacks
            for file in _files(stack)
        }
        id = _digest(files)
        if not self._files_of(id):
            try:
                self.shelf.write(_name(id), _packed(files), None)
            except ChangedError:
                # Kept by another machine meanwhile; what is there is read and checked.
                if not self._files_of(id):
                    raise
        return id

    def has(self, id: str, stack: str) -> bool:
        """Whether a stack of a release is kept.

        Args:
            id: Id of the release.
            stack: Name of the stack.

        Raises:
            OpsError: It is damaged, or cannot be read.
        """
        return bool(id) and any(name.startswith(f"{stack}/") for name in self._files_of(id))

    def restore(self, id: str, folder: Path) -> None:
        """Put a stack of a release where Terraform works; what Terraform has installed stays.

        Args:
            id: Id of the release.
            folder: Folder of the stack.

        Raises:
            OpsError: It is not kept, is damaged, or cannot be written.
        """
        if not self.has(id, folder.name):
            raise OpsError(
                f"the release {id} of {folder.name} is not kept in {self.shelf}",
                next_step=_NEXT_STEP,
            )
        try:
            for file in list(_files(folder)):
                file.unlink()
            for name, content in self._files_of(id).items():
                stack, _, path = name.partition("/")
                if stack == folder.name:
                    file = folder / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
        except OSError as error:
            raise OpsError(
                f"{folder} cannot be written: {error.strerror}",
                next_step="make it writable and free some space",
            ) from error

    def prune(self, needed: Collection[str]) -> None:
        """Remove all other releases.

        Args:
            needed: Ids of releases that must stay.

        Raises:
            OpsError: They cannot be listed or removed.
        """
        stay = {_name(id) for id in needed}
        for name in self.shelf.names(_FOLDER):
            if name not in stay:
                self.shelf.remove(name)

    def _files_of(self, id: str) -> Mapping[str, bytes]:
        """`{stack and path: content}`; empty if it is not kept."""
        if id not in self._read:
            if (kept := self.shelf.read(_name(id))) is None:
                return {}
            self._read[id] = self._unpacked(id, kept.content)
        return self._read[id]

    def _unpacked(self, id: str, archive: bytes) -> Mapping[str, bytes]:
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                files = {name: opened.read(name) for name in opened.namelist()}
        except (zipfile.BadZipFile, OSError, ValueError, EOFError):
            files = {}
        if _digest(files) != id or not all(map(_is_inside, files)):
            raise OpsError(
                f"the release {id} in {self.shelf} is damaged: its content has another digest",
                next_step=f"remove {self.shelf}/{_name(id)}; then {_NEXT_STEP}",
            )
        return files


def _is_inside(name: str) -> bool:
    """Whether a file of an archive is written below the folder of its stack."""
    return not {"", "..", "."} & set(name.split("/"))


def _name(id: str) -> str:
    return f"{_FOLDER}{id}.zip"


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()[:_ID_LENGTH]


def _packed(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


def _files(stack: Path) -> Iterator[Path]:
    """Files that were synthesized, and Terraform's lock file; neither provider nor state."""
    found = sorted(path for path in stack.rglob("*") if path.is_file())
    for file in found:
        parts = file.relative_to(stack).parts
        if parts[0] != ".terraform" and ".tfstate" not in file.name:
            yield file
