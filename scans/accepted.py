"""Failed checks that are accepted, each with its reason, and what is not."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class FailedCheck:
    """A check that a resource fails.

    Attributes:
        id: Checkov's id, such as `CKV_AWS_117`.
        name: What it asks for, in checkov's words.
        address: Address of the resource.
        environment: Folder and name of the environment.
    """

    id: str
    name: str
    address: str
    environment: str


@dataclass(frozen=True)
class Accepted:
    """A failed check that is accepted.

    Attributes:
        check: Checkov's id.
        resources: Address of the resource, with `*` for any characters.
        reason: Why it is accepted.
        environments: Folder and name of the environments, with `*` for any characters; all by
            default.
    """

    check: str
    resources: str
    reason: str
    environments: str = "*"

    def covers(self, failed: FailedCheck) -> bool:
        """Whether it explains a failed check.

        Args:
            failed: The failed check.
        """
        return (
            self.check == failed.id
            and fnmatchcase(failed.address, self.resources)
            and fnmatchcase(failed.environment, self.environments)
        )


def read_accepted(path: Path) -> list[Accepted]:
    """Reads the list.

    Args:
        path: The TOML file.

    Returns:
        Its entries.

    Raises:
        ValueError: An entry lacks a member, has another one, or gives no reason.
    """
    entries = list(tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", []))
    for entry in entries:
        names = set(entry) - {"environments"}
        if names != {"check", "resources", "reason"} or not entry["reason"].strip():
            raise ValueError(
                f"{path}: {entry} needs check, resources and a reason, and may name environments"
            )
    return [Accepted(**entry) for entry in entries]


def compare(
    failed: Sequence[FailedCheck], accepted: Sequence[Accepted]
) -> tuple[list[FailedCheck], list[Accepted]]:
    """Holds what fails against what is accepted.

    Args:
        failed: Failed checks of all environments.
        accepted: The list.

    Returns:
        Failed checks that nothing explains, and entries that explain nothing.
    """
    unexplained = [f for f in failed if not any(entry.covers(f) for entry in accepted)]
    stale = [entry for entry in accepted if not any(entry.covers(f) for f in failed)]
    return unexplained, stale
