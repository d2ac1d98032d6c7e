"""The environment file as the operator's tool reads and edits it: the customers, nothing else.

An edit changes the lines it must and leaves all others as they are, comments and line ends
included. It is written only if the file then says what was meant, and the settings accept it.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import ExitCode, OpsError
from ops.stand import REPOSITORY

FOLDER_VARIABLE = "FAILOVER_ENVIRONMENTS"

_TABLE = re.compile(r"\s*\[")
_CUSTOMER = re.compile(r"\s*\[\[\s*customers\s*\]\]")
_KEYS = re.compile(r"(?P<before>\s*keys\s*=\s*)\[[^\]#]*\](?P<after>\s*(#.*)?)$")


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
        return tuple(key_name(self.name, number) for number in self.numbers)


def key_name(customer: str, number: int) -> str:
    """Name of a key, as the stack's outputs and Terraform's variable have it.

    Args:
        customer: Name of the customer.
        number: Number of the key.
    """
    return f"{customer}-{number}"


def environments_folder() -> Path:
    """Folder of the environment files: `FAILOVER_ENVIRONMENTS`, or the repository's own."""
    return Path(os.environ.get(FOLDER_VARIABLE) or REPOSITORY / "environments").absolute()


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
        folder = environments_folder()
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
    def environment(self) -> str:
        """Name of the environment."""
        return self.path.stem

    @property
    def plans(self) -> tuple[str, ...]:
        """Names of the plans."""
        plans = self._parsed(self._read()).get("plans")
        return tuple(plans) if isinstance(plans, dict) else ()

    @property
    def customers(self) -> tuple[Customer, ...]:
        """The customers, in order."""
        return tuple(_customers(self._parsed(self._read())))

    def customer(self, name: str) -> Customer | None:
        """The customer of a name, if there is one.

        Args:
            name: Name of the customer.
        """
        return next((c for c in self.customers if c.name == name), None)

    def with_customer(self, name: str, plan: str) -> str:
        """The file's text with one more customer, after the last one.

        Args:
            name: Name of the customer.
            plan: Name of a plan in the file.

        Raises:
            OpsError: The settings refuse it, or the customers are written in another form.
        """
        lines, end = self._lines()
        blocks = list(_blocks(lines))
        added = [f"[[customers]]{end}", f'name = "{name}"{end}', f'plan = "{plan}"{end}']
        at = _content_end(lines, blocks[-1]) if blocks else len(lines)
        lines[at:at] = [end, *added]
        wanted = [*self.customers, Customer(name, plan, (1,))]
        return self._checked("".join(lines), wanted)

    def with_keys(self, name: str, numbers: tuple[int, ...]) -> str:
        """The file's text with other keys of a customer.

        Args:
            name: Name of a customer in the file.
            numbers: Numbers of the keys that open the API.

        Raises:
            OpsError: The settings refuse it, or the customers are written in another form.
        """
        lines, end = self._lines()
        known = self.customers
        wanted = [Customer(c.name, c.plan, numbers) if c.name == name else c for c in known]
        index = [c.name for c in known].index(name)
        blocks = list(_blocks(lines))
        if len(blocks) == len(known):
            start, stop = blocks[index]
            text = f"[{', '.join(map(str, numbers))}]"
            for number in range(start, stop):
                if match := _KEYS.match(lines[number].rstrip("\r\n")):
                    lines[number] = f"{match['before']}{text}{match['after']}{end}"
                    break
            else:
                at = _content_end(lines, blocks[index])
                lines[at:at] = [f"keys = {text}{end}"]
        return self._checked("".join(lines), wanted)

    def write(self, text: str) -> None:
        """Puts a text in the file's place, in one step; a symbolic link stays one.

        Args:
            text: What `with_customer` or `with_keys` gave.

        Raises:
            OpsError: It cannot be written.
        """
        path = self.path.resolve()
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8", newline="")
            temporary.chmod(path.stat().st_mode)
            temporary.replace(path)
        except OSError as error:
            raise OpsError(
                f"{path} cannot be written: {error.strerror}",
                next_step="make it writable and run the command again",
                exit_code=ExitCode.SURROUNDINGS,
            ) from error

    def _read(self) -> str:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(str(error)) from None

    def _lines(self) -> tuple[list[str], str]:
        """The lines with their ends, the last one ended, too; and what ends a line here."""
        text = self._read()
        end = "\r\n" if "\r\n" in text else "\n"
        if text and not text.endswith("\n"):
            text += end
        return text.splitlines(keepends=True), end

    def _parsed(self, text: str) -> Mapping[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._unusable(f"it is not a TOML file: {error}") from None

    def _checked(self, text: str, wanted: list[Customer]) -> str:
        """A text, if it changes the customers as wanted and nothing else, and is valid."""
        try:
            before, after = dict(self._parsed(self._read())), dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError:
            before, after = {}, {"customers": []}
        said = list(_customers(after))
        before.pop("customers", None), after.pop("customers", None)
        if said != wanted or before != after:
            raise OpsError(
                f"the customers of {self.path} are written in a form that is not edited here",
                next_step="write each as a table [[customers]] of its own, with name, plan and "
                "keys on a line each",
                exit_code=ExitCode.USAGE,
            )
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / self.path.name
            copy.write_text(text, encoding="utf-8", newline="")
            done = subprocess.run(
                [sys.executable, "-m", "constructs_lib", str(copy)],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise OpsError(
                f"{self.path} would not be valid, and stays as it is:\n"
                + done.stderr.strip().replace(f"{folder}{os.sep}", ""),
                next_step="mend what is named and run the command again",
                exit_code=ExitCode.USAGE,
            )
        return text

    def _unusable(self, why: str) -> OpsError:
        return OpsError(
            f"{self.path} cannot be read: {why}",
            next_step="mend it; python main.py tells of every fault at once",
            exit_code=ExitCode.USAGE,
        )


def _customers(document: Mapping[str, Any]) -> Iterator[Customer]:
    """What of the list has the right form; the rest is for the settings to refuse."""
    listed = document.get("customers", [])
    for table in listed if isinstance(listed, list) else []:
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            numbers = table.get("keys", [1])
            yield Customer(
                table["name"],
                str(table.get("plan", "")),
                tuple(n for n in numbers if isinstance(n, int))
                if isinstance(numbers, list)
                else (),
            )


def _blocks(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where each `[[customers]]` begins and where the next table does."""
    for start, line in enumerate(lines):
        if _CUSTOMER.match(line):
            stop = start + 1
            while stop < len(lines) and not _TABLE.match(lines[stop]):
                stop += 1
            yield start, stop


def _content_end(lines: list[str], block: tuple[int, int]) -> int:
    """Behind the last line of a block that is neither blank nor a comment."""
    start, stop = block
    while stop > start + 1 and lines[stop - 1].strip()[:1] in ("", "#"):
        stop -= 1
    return stop
