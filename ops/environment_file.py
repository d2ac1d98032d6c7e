"""Reads and edits the customers of an environment file.

An edit leaves all other lines as they are, comments and line endings included. It is written only
if the resulting file is valid.
"""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from ops.errors import OpsError, UsageError
from ops.folders import REPOSITORY, replace_file

FOLDER_VARIABLE = "FAILOVER_ENVIRONMENTS"


@dataclass(frozen=True)
class Customer:
    """A customer in the file.

    Attributes:
        name: Name of the customer.
        plan: Name of its plan.
        numbers: Numbers of its keys: one, or two during a rotation.
    """

    name: str
    plan: str
    numbers: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its keys, as in the stack's outputs and Terraform's variable."""
        return tuple(key_name(self.name, number) for number in self.numbers)


def key_name(customer: str, number: int) -> str:
    """Name of a key, as in the stack's outputs and Terraform's variable.

    Args:
        customer: Name of the customer.
        number: Number of the key.
    """
    return f"{customer}-{number}"


def environments_folder() -> Path:
    """Folder of the environment files: `FAILOVER_ENVIRONMENTS`, or the repository's own."""
    return Path(os.environ.get(FOLDER_VARIABLE) or REPOSITORY / "environments").absolute()


def errors_in(path: Path) -> str:
    """Every error of an environment file: empty if it is valid.

    The settings are validated in a process of their own, as they are no part of this tool.

    Args:
        path: The file.
    """
    done = subprocess.run(
        [sys.executable, "-m", "constructs_lib", str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    return done.stderr.strip() if done.returncode else ""


@dataclass(frozen=True)
class EnvironmentFile:
    """One environment's file.

    Attributes:
        path: The file, named after the environment.
        errors_in: What finds the errors of a file that an edit would write.
    """

    path: Path
    errors_in: Callable[[Path], str] = errors_in

    @classmethod
    def of(cls, environment: str) -> "EnvironmentFile":
        """Find the file of an environment.

        Args:
            environment: Its name.

        Raises:
            OpsError: It does not exist.
        """
        folder = environments_folder()
        path = folder / f"{environment}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.toml"))) or "none"
            raise UsageError(
                f"{path} does not exist", next_step=f"choose one of the environments: {known}"
            )
        return cls(path)

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.path.stem

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions, the primary first."""
        regions = self._document().get("regions")
        return tuple(str(each) for each in regions) if isinstance(regions, list) else ()

    @property
    def key_prefix(self) -> str:
        """What the names of its keys begin with in API Gateway."""
        api = self._document().get("api")
        return f"{api.get('name', '') if isinstance(api, dict) else ''}-{self.environment}-"

    @property
    def layout(self) -> str:
        """How many stacks it is: `single` or `regional`."""
        return str(self._document().get("layout", "single"))

    @property
    def backend(self) -> Mapping[str, str]:
        """Where the Terraform state is: the table `[backend]`."""
        backend = self._document().get("backend")
        return {k: str(v) for k, v in backend.items()} if isinstance(backend, dict) else {}

    @property
    def plans(self) -> tuple[str, ...]:
        """Names of the plans."""
        plans = self._document().get("plans")
        return tuple(plans) if isinstance(plans, dict) else ()

    @property
    def customers(self) -> tuple[Customer, ...]:
        """The customers, in order."""
        return tuple(_customers(self._document().unwrap()))

    def customer(self, name: str) -> Customer | None:
        """Find a customer.

        Args:
            name: Name of the customer.
        """
        return next((c for c in self.customers if c.name == name), None)

    def with_customer(self, name: str, plan: str) -> str:
        """Add a customer after the last one.

        Args:
            name: Name of the customer.
            plan: Name of a plan in the file.

        Returns:
            The new text, for `write`.

        Raises:
            OpsError: It is invalid, or the customers are written in another form.
        """
        document, listed = self._editable()
        added = tomlkit.table().add("name", name).add("plan", plan)
        if listed:
            # Blank lines and comments below the last customer belong to what follows it.
            body = listed[-1].value.body
            end = max((index for index, (key, _) in enumerate(body, 1) if key), default=0)
            for _, trivia in body[end:]:
                added.value.append(None, trivia)
            body[end:] = [(None, tomlkit.nl())]
            listed.append(added)
        else:
            document.add(tomlkit.nl()).add("customers", tomlkit.aot())
            document["customers"].append(added)
        return self._checked(document)

    def with_keys(self, name: str, numbers: tuple[int, ...]) -> str:
        """Change the keys of a customer.

        Args:
            name: Name of a customer in the file.
            numbers: Numbers of its keys.

        Returns:
            The new text, for `write`.

        Raises:
            OpsError: It is invalid, or the customers are written in another form.
        """
        document, listed = self._editable()
        next(table for table in listed if table.get("name") == name)["keys"] = list(numbers)
        return self._checked(document)

    def write(self, text: str) -> None:
        """Replace the file in one step; a symbolic link remains one.

        Args:
            text: The text, from `with_customer` or `with_keys`.

        Raises:
            OpsError: It cannot be written.
        """
        try:
            replace_file(self.path, text, mode=stat.S_IMODE(self.path.stat().st_mode))
        except OSError as error:
            raise OpsError(
                f"{self.path} cannot be written: {error.strerror}",
                next_step="make it writable, with free space, and run the command again",
            ) from error

    def _read(self) -> str:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(str(error)) from None
        return text if text.endswith("\n") else text + "\n"

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self._read())
        except TOMLKitError as error:
            raise self._unusable(f"it is not a TOML file: {error}") from None

    def _editable(self) -> tuple[tomlkit.TOMLDocument, AoT]:
        """The document, and its list of customers."""
        document = self._document()
        listed = document.get("customers", tomlkit.aot())
        # A document whose tables [[customers]] are apart from each other would be reordered.
        if isinstance(listed, AoT) and document.as_string() == self._read():
            return document, listed
        raise UsageError(
            f"the customers of {self.path} are written in a form that cannot be edited",
            next_step="write each as a table [[customers]], one after the other",
        )

    def _checked(self, document: tomlkit.TOMLDocument) -> str:
        """The text of a document, if it is valid."""
        text = document.as_string()
        if "\n" not in self._read().replace("\r\n", ""):
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / self.path.name
            copy.write_text(text, encoding="utf-8", newline="")
            errors = self.errors_in(copy)
        if errors:
            raise UsageError(
                f"{self.path} would become invalid, and was not changed:\n"
                + errors.replace(f"{folder}{os.sep}", ""),
                next_step="fix the errors above and run the command again",
            )
        return text

    def _unusable(self, why: str) -> OpsError:
        return UsageError(
            f"{self.path} cannot be read: {why}",
            next_step="fix it; python main.py reports all errors at once",
        )


def _customers(document: Mapping[str, Any]) -> Iterator[Customer]:
    """The well-formed customers; validation of the settings rejects the others."""
    listed = document.get("customers", [])
    for table in listed if isinstance(listed, list) else []:
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            keys = table.get("keys", [1])
            numbers = (n for n in keys if isinstance(n, int)) if isinstance(keys, list) else ()
            yield Customer(table["name"], str(table.get("plan", "")), tuple(numbers))
