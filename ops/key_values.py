"""The values of customers' API keys on this machine: secrets, readable by this user only.

They are passed to Terraform as one variable, and are never part of the repository. A team keeps
them in its secrets store and passes them as that variable; new ones are created in the file. Both
group the values by environment, so that those of one are never used for another.
"""

import fcntl
import json
import os
import secrets
import shlex
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError, UsageError
from ops.folders import SECRETS_FOLDER, replace_file

TERRAFORM_VARIABLE = "api_keys"
VARIABLE = f"TF_VAR_{TERRAFORM_VARIABLE}"
"""Environment variable that gives Terraform the values: `{environment: {key name: value}}`."""

MAX_VARIABLE_BYTES = 120_000
"""Linux limits one environment variable to 128 KiB.

Source: https://man7.org/linux/man-pages/man2/execve.2.html
"""


def default_file(environment: str) -> Path:
    """Default file of an environment's values; git ignores its folder.

    Args:
        environment: Its name.
    """
    return SECRETS_FOLDER / f"{environment}.api-keys.tfvars.json"


def given(environment_variables: Mapping[str, str], environment: str) -> dict[str, str]:
    """Read values from Terraform's variable.

    Args:
        environment_variables: The process's environment.
        environment: Name of the environment.

    Returns:
        `{key name: value}`; empty without the variable, or if it has other environments only.

    Raises:
        OpsError: The variable is malformed.
    """
    text = environment_variables.get(VARIABLE, "")
    return _parsed(text, VARIABLE).get(environment, {}) if text else {}


def as_variable(environment: str, values: Mapping[str, str]) -> dict[str, str]:
    """Format values as Terraform's variable.

    Args:
        environment: Name of the environment.
        values: `{key name: value}`.

    Returns:
        `{name of the environment variable: text}`.

    Raises:
        OpsError: It would be longer than the system permits.
    """
    text = json.dumps({environment: dict(values)})
    if len(text) > MAX_VARIABLE_BYTES:
        raise UsageError(
            f"the values of {len(values)} keys are too long for one environment variable",
            next_step="give Terraform and cdktf the file of the values: "
            f"--var-file={default_file(environment)}",
        )
    return {VARIABLE: text}


@dataclass(frozen=True)
class KeyFile:
    """A file of values, which is also a file of variables for Terraform (`-var-file`).

    A symbolic link is followed, so that it remains one.

    Attributes:
        path: The file; created when needed.
        environment: Name of the environment of the values.
    """

    path: Path
    environment: str

    def values(self) -> dict[str, str]:
        """Read the values: `{key name: value}`; empty without the file.

        Raises:
            OpsError: The file cannot be read, is malformed, or may be used by other users.
        """
        return self._all().get(self.environment, {})

    def _all(self) -> dict[str, dict[str, str]]:
        """Read the values of all environments that the file has."""
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from None
        if mode & 0o077:
            raise UsageError(
                f"other users of this machine may use {self.path}, which contains secrets: its "
                f"mode is {mode:04o}",
                next_step=f"chmod 600 {shlex.quote(str(self.path))}; if somebody else may have "
                "read it, rotate the keys",
            )
        return _parsed(text, str(self.path), within=TERRAFORM_VARIABLE)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file, and the environment file with it, while the block runs.

        Raises:
            OpsError: The folder cannot be written.
        """
        try:
            path = self.path.resolve()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = path.with_name(f".{path.name}.lock").open("a")
        except (OSError, RuntimeError) as error:
            raise self._unusable(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def create(self, names: Iterable[str]) -> dict[str, str]:
        """Create a value for each key that has none; the file must be locked.

        Args:
            names: Names of keys.

        Returns:
            `{key name: value}` of the new ones.

        Raises:
            OpsError: The file cannot be read or written, or has one value for two keys.
        """
        refuse_shared(self._all(), str(self.path))
        known = self.values()
        # 160 bits in 40 characters: API Gateway accepts 20 to 128 letters and digits.
        made = {name: secrets.token_hex(20) for name in names if name not in known}
        if made:
            self._write(known | made)
        return made

    def add(self, values: Mapping[str, str]) -> None:
        """Add values that were created elsewhere.

        Args:
            values: `{key name: value}`.

        Raises:
            OpsError: The file cannot be read or written.
        """
        with self.locked():
            self._write(self.values() | dict(values))

    def remove(self, names: Collection[str]) -> None:
        """Remove the values of keys; the file must be locked.

        Args:
            names: Names of keys.
        """
        known = self.values()
        kept = {name: value for name, value in known.items() if name not in names}
        if kept != known:
            self._write(kept)

    def _write(self, values: Mapping[str, str]) -> None:
        content = {TERRAFORM_VARIABLE: self._all() | {self.environment: dict(values)}}
        try:
            replace_file(self.path, json.dumps(content, indent=2, sort_keys=True), mode=0o600)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> OpsError:
        return OpsError(
            f"{self.path} cannot be used: {getattr(error, 'strerror', None) or error}",
            next_step="make it a file that you may read and write, with free space; ops customers "
            "takes another one with --keys-file",
        )


def refuse_shared(values: Mapping[str, Mapping[str, str]], where: str) -> None:
    """Refuse one value for two keys, of whatever environments: they may share an account.

    Args:
        values: `{environment: {key name: value}}`.
        where: What has them.

    Raises:
        OpsError: Two keys share a value.
    """
    named: dict[str, list[str]] = {}
    for environment, keys in values.items():
        for name, value in keys.items():
            named.setdefault(value, []).append(f"{name} of {environment}")
    if shared := [" and ".join(names) for names in named.values() if len(names) > 1]:
        raise UsageError(
            f"{where} has one value for {'; '.join(shared)}: API Gateway takes each value once in "
            "an account and Region",
            next_step="remove the value of all but one of them, then create new ones: python -m "
            "ops customers issue",
        )


def _parsed(text: str, what: str, *, within: str = "") -> dict[str, dict[str, str]]:
    try:
        values = json.loads(text)
        if within:
            values = values[within]
    except (ValueError, KeyError, TypeError):
        values = None
    if not isinstance(values, dict) or not all(
        isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())
        for keys in values.values()
    ):
        # Without the text, which contains secrets.
        raise UsageError(
            f"{what} does not contain values of API keys",
            next_step='use {"<environment>": {"<customer>-<number>": "<value>"}}, as python -m '
            "ops customers env prints it",
        )
    return values
