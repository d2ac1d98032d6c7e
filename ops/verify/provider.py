"""The provider of the working folder: the one that the environment's lock file in git names.

Two people with two major versions would lock each other out: the older one cannot read the state
of the newer. The state itself names no version.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.environment import Environment
from ops.environment_file import environments_folder
from ops.verify.finding import Finding, check, passed_unless, unknown

LOCK_FILE = ".terraform.lock.hcl"
"""Source: https://developer.hashicorp.com/terraform/language/files/dependency-lock"""
INSTALLED = Path(".terraform", "providers")
"""Where `terraform init` installs: HOST/NAMESPACE/NAME/VERSION/PLATFORM."""
_PROVIDER = re.compile(
    r'^provider "(?P<source>[^"]+)" \{$(?P<body>.*?)^\}$', re.MULTILINE | re.DOTALL
)
_VERSION = re.compile(r'^\s*version\s*=\s*"(?P<version>[^"]+)"$', re.MULTILINE)
_HASH = re.compile(r'^\s*"(?P<hash>(?:h1|zh):[^"]+)",?$', re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """A provider in a lock file.

    Attributes:
        version: Its version.
        hashes: Checksums of its packages, for all platforms that are known.
    """

    version: str
    hashes: frozenset[str]


@check("provider.lock")
def lock(environment: Environment) -> Iterator[Finding]:
    """Check that the working folder has the providers that the environment's lock file names."""
    folder, subject = environment.stack_folder, "lock file"
    kept_file = environments_folder() / f"{environment.name}.lock.hcl"
    if environment.descriptor.sandbox:
        yield unknown(subject, "not checked: a sandbox takes the provider of this machine")
        return
    if folder is None:
        yield unknown(subject, "not checked: there is no working folder here, only the descriptor")
        return
    kept, used = _read(kept_file), _read(folder / LOCK_FILE)
    if not kept:
        yield unknown(
            subject,
            f"not checked: {kept_file} does not exist, so two people may use two versions of a "
            "provider; docs/how-to/deploy-changes.md says how to keep one",
        )
        return
    if not used:
        yield unknown(subject, f"not checked: terraform init has not run in {folder}")
        return
    for source in sorted(kept.keys() | used.keys()):
        yield passed_unless(
            source.partition("/")[2],
            _problems(kept.get(source), used.get(source), _installed(folder, source)),
            found=f"{used[source].version if source in used else ''}, as {kept_file.name} has it",
            fix=f"terraform -chdir={folder} init -lockfile=readonly after another synthesis; if "
            f"the update is intended, copy {folder / LOCK_FILE} to {kept_file} and commit it",
        )


def _problems(kept: Locked | None, used: Locked | None, installed: list[str]) -> Iterator[str]:
    if kept is None or used is None:
        yield "the environment's lock file does not name it" if kept is None else "it is not used"
        return
    if used.version != kept.version:
        yield f"the working folder has {used.version}, and the environment's file {kept.version}"
    elif not used.hashes & kept.hashes:
        yield f"{used.version} in the working folder has none of the checksums that are kept"
    if installed and used.version not in installed:
        yield (
            f"installed is {', '.join(installed)}, and the working folder's lock file has "
            f"{used.version}"
        )


def _read(path: Path) -> dict[str, Locked]:
    """`{source: provider}` of a lock file; empty without one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {
        found["source"]: Locked(
            version["version"] if (version := _VERSION.search(found["body"])) else "",
            frozenset(_HASH.findall(found["body"])),
        )
        for found in _PROVIDER.finditer(text)
    }


def _installed(folder: Path, source: str) -> list[str]:
    return sorted(path.name for path in (folder / INSTALLED / source).glob("*"))
