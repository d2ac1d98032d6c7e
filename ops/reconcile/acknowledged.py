"""What a drill's history says was acknowledged: keys that a replica or a stream must show.

The file has an object for each line; only acknowledged operations that write are read, whatever
else it holds.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ops.errors import UsageError, explain
from ops.reconcile.values import Item

_WRITES = ("put", "update")


@dataclass(frozen=True)
class Acknowledged:
    """What a history says was acknowledged.

    Attributes:
        keys: Keys of the writes.
        location: Of which location they are: every drill writes the same keys.
    """

    keys: frozenset[str] = frozenset()
    location: str = ""

    def shown_by(self, key: Item) -> set[str]:
        """Names of writes that an item shows; none if it is of another location.

        Args:
            key: The item's key.
        """
        names = names_in(key)
        return names if self.location in ("", *names) else set()


def read(path: Path) -> Acknowledged:
    """Read what was acknowledged.

    Args:
        path: The history. A last line that is cut off is left out: the drill was killed.

    Raises:
        OpsError: It cannot be read, or it holds no operation.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, explain(error)) from error
    found, operations, location = set(), 0, ""
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except ValueError:
            if number == len(lines):
                break
            raise _invalid(path, f"line {number} is not JSON") from None
        if not isinstance(data, dict):
            continue
        if data.get("type") == "drill":
            location = str(data.get("location", ""))
        if data.get("type") != "operation":
            continue
        operations += 1
        if data.get("result") == "acknowledged" and data.get("kind") in _WRITES:
            found.add(str(data.get("key")))
    if not operations:
        raise _invalid(path, "it holds no operation")
    return Acknowledged(frozenset(found), location)


def names_in(key: Item) -> set[str]:
    """The names by which a history may know an item: its texts, and their parts between `#`.

    Args:
        key: The item's key.
    """
    texts = [str(value["S"]) for value in key.values() if "S" in value]
    return {*texts, *(part for text in texts for part in text.split("#"))}


def _invalid(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the history {path} cannot be read: {why}",
        next_step="give the history that a drill has written beside its report",
    )
