"""The plan: a file of JSON Lines that a person reviews, and edits, before it is carried out.

The first line says of what, when and by whom it was made. Each other line is one finding, with the
values of all Regions as they were; `action` and `from` are what a person decides.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ops.errors import OpsError, UsageError, explain
from ops.reconcile.judgement import State
from ops.reconcile.values import Item, digest, from_json, key_text, to_json

FORMAT = 1
KEEP, REPLAY, DELETE = "keep", "replay", "delete"
ACTIONS = (KEEP, REPLAY, DELETE)
OVERWRITTEN = "overwritten"
"""In `from`: the value that was overwritten."""


@dataclass(frozen=True)
class Overwritten:
    """A write that lost.

    Attributes:
        region: Where it was written.
        at: When, ISO 8601 in UTC.
        sequence: Its place in the stream of that Region.
        value: The item; None if it was a deletion.
    """

    region: str
    at: str
    sequence: int
    value: Item | None


@dataclass(frozen=True)
class Entry:
    """One finding.

    Attributes:
        table: Name of the table.
        key: The key of the item.
        state: What became of it.
        why: Why, in words.
        regions: `{Region: the item there when the plan was made; None for none}`.
        wins: The Region whose value wins by last-writer-wins; empty if that is not known.
        action: `keep`, `replay` or `delete`.
        source: What `replay` writes: the value of this Region, or `overwritten`.
        targets: The Regions in which the action is carried out, unless they hold the value.
        overwritten: The write that lost, if one did.
    """

    table: str
    key: Item
    state: State
    why: str
    regions: Mapping[str, Item | None]
    wins: str = ""
    action: str = KEEP
    source: str = ""
    targets: tuple[str, ...] = ()
    overwritten: Overwritten | None = None

    @property
    def wanted(self) -> Item | None:
        """The item that the action leaves; None for none."""
        if self.action != REPLAY:
            return None
        if self.source == OVERWRITTEN:
            return self.overwritten.value if self.overwritten else None
        return self.regions[self.source]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What is the same for the same finding of two comparisons."""
        lost = self.overwritten
        what = ("overwritten", digest(lost.value)) if lost else ("differs", self._values)
        return (self.table, key_text(self.key), *what)

    @property
    def _values(self) -> str:
        return " ".join(f"{region}={digest(item)}" for region, item in sorted(self.regions.items()))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, what a person decides first."""
        lost = self.overwritten
        return {
            "action": self.action,
            "from": self.source,
            "in": list(self.targets),
            "state": str(self.state),
            "why": self.why,
            "wins": self.wins,
            "table": self.table,
            "key": to_json(self.key),
            "regions": {region: to_json(item) for region, item in self.regions.items()},
            "overwritten": lost and {
                "region": lost.region, "at": lost.at, "sequence": str(lost.sequence),
                "value": to_json(lost.value),
            },
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> "Entry":
        """Read what `to_json` gave, and a person may have edited.

        Args:
            data: Decoded JSON.

        Raises:
            ValueError: It is not an entry, or its action cannot be carried out.
        """
        try:
            lost = data["overwritten"]
            entry = cls(
                table=str(data["table"]),
                key=from_json(data["key"]),
                state=State(data["state"]),
                why=str(data["why"]),
                regions={str(name): from_json(item) for name, item in data["regions"].items()},
                wins=str(data["wins"]),
                action=data["action"],
                source=data["from"],
                targets=tuple(data["in"]),
                overwritten=lost
                and Overwritten(
                    str(lost["region"]),
                    str(lost["at"]),
                    int(lost["sequence"]),
                    from_json(lost["value"]),
                ),
            )
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not an entry of a plan: {error}") from None
        entry._check()
        return entry

    def _check(self) -> None:
        if not self.key:
            raise ValueError("key: expected the key of an item")
        lost = [self.overwritten.value] if self.overwritten else []
        for item in filter(None, (*self.regions.values(), *lost)):
            if any(item.get(name) != value for name, value in self.key.items()):
                raise ValueError("key: one of the values has another key")
        if self.action not in ACTIONS:
            raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, got {self.action!r}")
        if self.action == KEEP:
            return
        if not self.targets or any(region not in self.regions for region in self.targets):
            raise ValueError(
                f"in: expected some of {', '.join(self.regions)}, got {list(self.targets)!r}"
            )
        if self.action == DELETE:
            return
        sources = [region for region, item in self.regions.items() if item is not None]
        if self.overwritten and self.overwritten.value is not None:
            sources.append(OVERWRITTEN)
        if self.source not in sources:
            raise ValueError(
                f"from: expected what to replay, one of {', '.join(sources)}, got {self.source!r}"
            )


@dataclass(frozen=True)
class Header:
    """The first line of a plan.

    Attributes:
        environment: Name of the environment.
        created: When the comparison began, ISO 8601 in UTC.
        since: From when on changes were looked at, ISO 8601 in UTC.
        account: The account; empty if it is not known.
        tables: `{name: {Region: ARN}}`.
        notes: What could not be known.
    """

    environment: str
    created: str
    since: str
    account: str
    tables: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "plan": FORMAT,
            "environment": self.environment,
            "created": self.created,
            "since": self.since,
            "account": self.account,
            "tables": {name: dict(arns) for name, arns in self.tables.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Any) -> "Header":
        """Read what `to_json` gave.

        Args:
            data: Decoded JSON.

        Raises:
            ValueError: It is not the first line of a plan.
        """
        if not isinstance(data, dict) or data.get("plan") != FORMAT:
            raise ValueError(f"not a plan of ops reconcile, whose first line has plan: {FORMAT}")
        try:
            return cls(
                str(data["environment"]),
                str(data["created"]),
                str(data["since"]),
                str(data["account"]),
                {name: dict(arns) for name, arns in data["tables"].items()},
                tuple(map(str, data["notes"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"not the first line of a plan: {error}") from None


class Writer:
    """Writes a plan, which appears under its name only when it is whole.

    Args:
        path: The file. Only this user may read it: it holds customers' data.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._draft = path, path.with_name(f".{path.name}.new")
        self._file: TextIO | None = None

    def begin(self, header: Header) -> None:
        """Write the first line.

        Args:
            header: The line.

        Raises:
            OpsError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._draft.unlink(missing_ok=True)
            opened = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(opened, "w", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error
        self._line(header.to_json())

    def add(self, entry: Entry) -> None:
        """Write an entry.

        Args:
            entry: The entry.

        Raises:
            OpsError: The file cannot be written.
        """
        self._line(entry.to_json())

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            OpsError: It cannot be written.
        """
        assert self._file is not None
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._draft.replace(self.path)
        except OSError as error:
            raise self._unwritable(error) from error

    def discard(self) -> None:
        """Remove what is not finished."""
        if self._file is None:
            return
        # On a full disk, what is not written yet cannot be.
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)

    def _line(self, data: Mapping[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(json.dumps(data) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OpsError:
        return OpsError(
            f"the plan {self.path} cannot be written: {explain(error)}",
            next_step="check its folder and the free space, or choose another file with --output",
        )


def header_of(path: Path) -> Header:
    """Read the first line of a plan.

    Args:
        path: The file.

    Raises:
        OpsError: It is not a plan.
    """
    for number, data in _lines(path):
        try:
            return Header.from_json(data)
        except ValueError as error:
            raise _invalid(path, number, str(error)) from None
    raise _invalid(path, 1, "the file is empty")


def entries_of(path: Path) -> Iterator[tuple[int, Entry]]:
    """Read the entries of a plan, one at a time.

    Args:
        path: The file.

    Yields:
        The number of the line, and the entry.

    Raises:
        OpsError: A line cannot be read.
    """
    for number, data in _lines(path):
        if number == 1:
            continue
        try:
            entry = Entry.from_json(data)
        except ValueError as error:
            raise _invalid(path, number, str(error)) from None
        yield number, entry


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    data = json.loads(line)
                except ValueError:
                    raise _invalid(path, number, "not JSON") from None
                yield number, data
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the plan {path} cannot be read: {explain(error)}",
            next_step="name the file that ops reconcile has written",
        ) from error


def _invalid(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"{path}, line {number}: {why}",
        next_step="correct the line, or make the plan again with --since; nothing was changed",
    )
