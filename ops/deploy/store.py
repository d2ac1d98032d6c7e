"""Keeps releases: the synthesized stacks with the functions' zip and Terraform's lock file.

A release is named after its content, so the same one is kept once, however often it is deployed.
"""

import hashlib
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError

KEPT = 10
"""Releases that are kept, besides those that are deployed."""
_ID_LENGTH = 12
_STACKS = "stacks"


@dataclass(frozen=True)
class ReleaseStore:
    """Releases of one environment, in a folder.

    Attributes:
        folder: The folder; made when needed.
    """

    folder: Path

    def add(self, stacks: Sequence[Path]) -> str:
        """Keep a release.

        Args:
            stacks: Folders of its synthesized stacks, initialized by Terraform.

        Returns:
            Its id.

        Raises:
            OpsError: It cannot be written.
        """
        id = _digest(stacks)
        target, draft = self.folder / id, self.folder / f".{id}.new"
        try:
            if not target.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
                for stack in stacks:
                    _copy(stack, draft / _STACKS / stack.name)
                draft.replace(target)
            # The newest ones are kept.
            target.touch()
        except OSError as error:
            raise OpsError(
                f"the release cannot be kept in {target}: {error.strerror}",
                next_step="make its folder writable and free some space, or name another one with "
                "--folder",
            ) from error
        return id

    def has(self, id: str, stack: str) -> bool:
        """Whether a stack of a release is kept.

        Args:
            id: Id of the release.
            stack: Name of the stack.
        """
        return bool(id) and (self.folder / id / _STACKS / stack).is_dir()

    def restore(self, id: str, folder: Path) -> None:
        """Put a stack of a release where Terraform works; what Terraform has installed stays.

        Args:
            id: Id of the release.
            folder: Folder of the stack.

        Raises:
            OpsError: It is not kept, or cannot be written.
        """
        kept = self.folder / id / _STACKS / folder.name
        if not kept.is_dir():
            raise OpsError(
                f"the release {id} of {folder.name} is not kept in {self.folder}",
                next_step="check out the git revision that python -m ops deploy history shows, and "
                "deploy it",
            )
        try:
            for file in _files(folder):
                file.unlink()
            _copy(kept, folder)
        except OSError as error:
            raise OpsError(
                f"{folder} cannot be written: {error.strerror}",
                next_step="make it writable and free some space",
            ) from error

    def prune(self, needed: Collection[str]) -> None:
        """Remove the oldest releases.

        Args:
            needed: Ids of releases that must stay.
        """
        kept = sorted(self.folder.glob("[!.]*/"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-KEPT]:
            if old.name not in needed:
                shutil.rmtree(old, ignore_errors=True)


def _digest(stacks: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for stack in stacks:
        for file in _files(stack):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{stack.name}/{file.relative_to(stack)} {content}\n".encode())
    return digest.hexdigest()[:_ID_LENGTH]


def _files(stack: Path) -> Iterator[Path]:
    """Files that were synthesized, and Terraform's lock file; neither provider nor state."""
    found = sorted(path for path in stack.rglob("*") if path.is_file())
    for file in found:
        parts = file.relative_to(stack).parts
        if parts[0] != ".terraform" and ".tfstate" not in file.name:
            yield file


def _copy(stack: Path, target: Path) -> None:
    for file in _files(stack):
        copied = target / file.relative_to(stack)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
