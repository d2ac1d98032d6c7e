"""The environment file as the operator's tool reads and edits it: the customers, nothing else.

What is valid is the business of the constructs; an edit keeps comments, order and layout.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ops.errors import ExitCode, OpsError
from ops.stand import REPOSITORY

FOLDER_VARIABLE = "FAILOVER_ENVIRONMENTS"


@dataclass(frozen=True)
class Customer:
    """A customer as the file names it.

    Attributes:
        name: Name of the customer.
        plan: Name of its plan.
        numbers: Numbers of its keys: one, and two while a key is rotated.
    """

    name: str
    plan: str
    numbers: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its keys, as the stack's outputs and Terraform's variable have them."""
        return tuple(f"{self.name}-{number}" for number in self.numbers)


@dataclass(frozen=True)
class EnvironmentFile:
    """One environment's file.

    Attributes:
        path: The file; the environment is named like it.
    """

    path: Path

    @classmethod
    def of(cls, environment: str) -> "EnvironmentFile":
        """The file of an environment.

        Args:
            environment: Its name.

        Raises:
            OpsError: There is none.
        """
        folder = Path(os.environ.get(FOLDER_VARIABLE) or REPOSITORY / "environments")
        path = folder / f"{environment}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.toml"))) or "none"
            raise OpsError(
                f"{path} does not exist",
                next_step=f"name one of the environments: {known}",
                exit_code=ExitCode.USAGE,
            )
        return cls(path)

    @property
    def plans(self) -> tuple[str, ...]:
        """Names of the plans."""
        return tuple(_tables(self._read().get("plans")))

    @property
    def customers(self) -> tuple[Customer, ...]:
        """The customers, in order."""
        return tuple(_customers(self._read()))

    def customer(self, name: str) -> Customer | None:
        """The customer of a name, if there is one.

        Args:
            name: Name of the customer.
        """
        return next((c for c in self.customers if c.name == name), None)

    def add(self, name: str, plan: str) -> Customer:
        """Adds a customer at the end of the list.

        Args:
            name: Name of the customer.
            plan: Name of a plan in the file.

        Returns:
            The customer, with its first key.

        Raises:
            OpsError: The file has no such plan.
        """
        document = self._read()
        if plan not in self.plans:
            raise OpsError(
                f"{self.path} has no plan {plan!r}",
                next_step=f"name one of: {', '.join(self.plans) or 'none yet'}; or add "
                f"[plans.{plan}] to it",
                exit_code=ExitCode.USAGE,
            )
        table = tomlkit.table()
        table["name"], table["plan"] = name, plan
        if "customers" not in document:
            document["customers"] = tomlkit.aot()
        document["customers"].append(table)
        self._write(document)
        return Customer(name, plan, (1,))

    def set_keys(self, name: str, numbers: tuple[int, ...]) -> Customer:
        """Sets which keys of a customer open the API.

        Args:
            name: Name of a customer in the file.
            numbers: Numbers of the keys.

        Returns:
            The customer as it stands now.
        """
        document = self._read()
        (table,) = [t for t in document["customers"] if t["name"] == name]
        table["keys"] = list(numbers)
        self._write(document)
        return Customer(name, str(table["plan"]), numbers)

    def _read(self) -> Any:
        try:
            return tomlkit.parse(self.path.read_text(encoding="utf-8"))
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise OpsError(
                f"{self.path} is not a TOML file: {error}",
                next_step="mend it; python main.py tells of every fault at once",
                exit_code=ExitCode.USAGE,
            ) from None

    def _write(self, document: Any) -> None:
        temporary = self.path.with_suffix(".toml.new")
        temporary.write_text(tomlkit.dumps(document), encoding="utf-8")
        temporary.chmod(self.path.stat().st_mode)
        temporary.replace(self.path)


def _tables(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _customers(document: Any) -> Iterator[Customer]:
    """What of the list has the right form; the rest is for the settings to refuse."""
    listed = document.get("customers", [])
    for table in listed if isinstance(listed, list) else []:
        table = _tables(table)
        numbers = table.get("keys", [1])
        if "name" in table and isinstance(numbers, list):
            yield Customer(
                str(table["name"]),
                str(table.get("plan", "")),
                tuple(int(n) for n in numbers if isinstance(n, int)),
            )
