"""The values of customers' API keys on this machine: secrets, readable by this user only.

They go to Terraform as one variable, and are never part of the repository. A team keeps them in its
secrets store and gives them as that variable; the file is where they are made. Both hold the values
by environment first, so that one environment's are never taken for another's.
"""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.errors import ExitCode, OpsError
from ops.stand import REPOSITORY

TERRAFORM_VARIABLE = "api_keys"
VARIABLE = f"TF_VAR_{TERRAFORM_VARIABLE}"
"""Environment variable that brings Terraform the values: `{environment: {key name: value}}`."""

LONGEST_VARIABLE_BYTES = 120_000
"""Linux takes 128 KiB for one environment variable.

Source: https://man7.org/linux/man-pages/man2/execve.2.html
"""


def default_file(environment: str) -> Path:
    """Where the values of an environment are kept by default; git does not see the folder.

    Args:
        environment: Its name.
    """
    return REPOSITORY / ".secrets" / f"{environment}.api-keys.tfvars.json"


def given(environment_variables: Mapping[str, str], environment: str) -> dict[str, str]:
    """Values of an environment that the process was given as Terraform's variable.

    Args:
        environment_variables: The process's environment.
        environment: Name of the environment.

    Returns:
        `{key name: value}`; empty without the variable, or if it is of other environments.

    Raises:
        OpsError: The variable is no JSON of the right form.
    """
    text = environment_variables.get(VARIABLE, "")
    return _parsed(text, VARIABLE).get(environment, {}) if text else {}


def as_variable(environment: str, values: Mapping[str, str]) -> dict[str, str]:
    """Terraform's variable as an environment variable.

    Args:
        environment: Name of the environment.
        values: `{key name: value}`.

    Returns:
        `{name of the environment variable: text}`.

    Raises:
        OpsError: It would be longer than the system takes.
    """
    text = json.dumps({environment: dict(values)})
    if len(text) > LONGEST_VARIABLE_BYTES:
        raise OpsError(
            f"the values of {len(values)} keys are too long for one environment variable",
            next_step="give Terraform and cdktf the file that holds them: "
            f"--var-file={default_file(environment)}",
            exit_code=ExitCode.USAGE,
        )
    return {VARIABLE: text}


@dataclass(frozen=True)
class KeyFile:
    """A file with values of keys, as Terraform reads it with `-var-file`, too.

    Attributes:
        path: The file; made when needed.
        environment: Name of the environment whose values it holds.
    """

    path: Path
    environment: str

    def values(self) -> dict[str, str]:
        """`{key name: value}`; empty without the file.

        Raises:
            OpsError: The file cannot be read, or is no JSON of the right form.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise self._broken(error) from None
        try:
            inner = json.dumps(json.loads(text)[TERRAFORM_VARIABLE])
        except (ValueError, KeyError, TypeError):
            inner = ""
        return _parsed(inner, str(self.path)).get(self.environment, {})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets nobody else change the file, or what belongs to it, for as long as the block runs.

        Raises:
            OpsError: The folder cannot be written.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self.path.with_name(f".{self.path.name}.lock").open("a")
        except OSError as error:
            raise self._broken(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def make(self, names: Iterable[str]) -> dict[str, str]:
        """Makes a value for each key that has none; call it while the file is locked.

        Args:
            names: Names of keys.

        Returns:
            `{key name: value}` of the new ones.

        Raises:
            OpsError: The file cannot be read or written.
        """
        known = self.values()
        # 160 bits in 40 characters: API Gateway takes 20 to 128 letters and digits.
        made = {name: secrets.token_hex(20) for name in names if name not in known}
        if made:
            self._write(known | made)
        return made

    def keep(self, values: Mapping[str, str]) -> None:
        """Adds values that were made elsewhere.

        Args:
            values: `{key name: value}`.

        Raises:
            OpsError: The file cannot be read or written.
        """
        with self.locked():
            self._write(self.values() | dict(values))

    def forget(self, names: Collection[str]) -> None:
        """Removes the values of keys; call it while the file is locked.

        Args:
            names: Names of keys.
        """
        known = self.values()
        kept = {name: value for name, value in known.items() if name not in names}
        if kept != known:
            self._write(kept)

    def _write(self, values: Mapping[str, str]) -> None:
        content = {TERRAFORM_VARIABLE: {self.environment: dict(values)}}
        try:
            # mkstemp makes it readable by this user only.
            number, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(number, "w") as out:
                json.dump(content, out, indent=2, sort_keys=True)
            Path(name).replace(self.path)
        except OSError as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> OpsError:
        return OpsError(
            f"{self.path} cannot be used: {getattr(error, 'strerror', None) or error}",
            next_step="make it a file that you may read and write, or name another with "
            "--keys-file",
            exit_code=ExitCode.SURROUNDINGS,
        )


def _parsed(text: str, what: str) -> dict[str, dict[str, str]]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(
        isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())
        for keys in values.values()
    ):
        # Without the text: it holds secrets.
        raise OpsError(
            f"{what} holds no values of API keys",
            next_step='give {"<environment>": {"<customer>-<number>": "<value>"}}, as python -m '
            "ops customers env prints it",
            exit_code=ExitCode.USAGE,
        )
    return values
