"""The values of customers' API keys on this machine: secrets, readable by this user only.

They go to Terraform as one variable, and are never part of the repository. A team keeps them in its
secrets store and gives them as that variable; the file is where they are made.
"""

import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.errors import ExitCode, OpsError
from ops.stand import REPOSITORY

VARIABLE = "TF_VAR_api_keys"
"""Environment variable that brings Terraform the values, as a JSON object."""


def default_file(environment: str) -> Path:
    """Where the values of an environment are kept by default; git does not see the folder.

    Args:
        environment: Its name.
    """
    return REPOSITORY / ".secrets" / f"{environment}.api-keys.json"


def given(environment_variables: Mapping[str, str]) -> dict[str, str]:
    """Values that the process was given as Terraform's variable.

    Args:
        environment_variables: The process's environment.

    Returns:
        `{key name: value}`; empty without the variable.

    Raises:
        OpsError: The variable is no JSON object of texts.
    """
    text = environment_variables.get(VARIABLE, "")
    return _parsed(text, f"{VARIABLE} is") if text else {}


@dataclass(frozen=True)
class KeyFile:
    """A file with values of keys.

    Attributes:
        path: The file; made when needed.
    """

    path: Path

    def values(self) -> dict[str, str]:
        """`{key name: value}`; empty without the file.

        Raises:
            OpsError: The file is no JSON object of texts.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return _parsed(text, f"{self.path} is")

    def make(self, names: Iterable[str]) -> dict[str, str]:
        """Makes a value for each key that has none.

        Args:
            names: Names of keys.

        Returns:
            `{key name: value}` of the new ones.
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
        """
        self._write(self.values() | dict(values))

    def forget_all_but(self, names: Collection[str]) -> None:
        """Removes the values of all other keys.

        Args:
            names: Names of the keys that stay.
        """
        known = self.values()
        kept = {name: value for name, value in known.items() if name in names}
        if kept != known:
            self._write(kept)

    def _write(self, values: Mapping[str, str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(values, out, indent=2, sort_keys=True)
        temporary.replace(self.path)


def _parsed(text: str, what: str) -> dict[str, str]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        # Without the text: it holds secrets.
        raise OpsError(
            f"{what} no JSON object of texts",
            next_step='give {"<customer>-<number>": "<value>"}, as python -m ops customers env '
            "prints it",
            exit_code=ExitCode.USAGE,
        )
    return values
