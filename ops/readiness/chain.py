"""The records of an environment's drills: each is written once, and names the one before it.

`drills/00000001.json`, `drills/00000002.json` and so on, and `drills/head.json`, which names the
last one. A record has the SHA-256 of the one before, and a signature if the environment has a key
for it. So a record that was changed, removed, moved or put between others is found; whoever takes
off the last ones must write the head, too, and is found by a digest that was noted elsewhere.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ops.deploy.shelf import ChangedError, Kept, Shelf
from ops.errors import ExitCode, OpsError
from ops.readiness.record import DrillRecord, canonical, sha256

FOLDER = "drills/"
HEAD = f"{FOLDER}head.json"
ATTEMPTS = 50
"""So many other drills may write their records at the same time."""
Sign = Callable[[bytes], Mapping[str, str]]
"""Signs what it is given: `{key, algorithm, value}`."""
_RESTORE = "restore it from an older version of the object, or from a copy"


class DamagedError(OpsError):
    """Records that are not as they were written."""

    def __init__(self, problem: str) -> None:
        """Name the problem.

        Args:
            problem: What is wrong, with the name of the record.
        """
        super().__init__(
            problem,
            next_step="see all of them: python -m ops readiness; then " + _RESTORE,
            exit_code=ExitCode.CHECK_FAILED,
        )


@dataclass(frozen=True)
class Link:
    """A record in its place.

    Attributes:
        sequence: Its place, from 1.
        previous: SHA-256 of the one before; empty for the first.
        record: The record.
        signature: `{key, algorithm, value}`; empty if it is not signed.
        digest: SHA-256 of all of it, as it is stored.
    """

    sequence: int
    previous: str
    record: DrillRecord
    signature: Mapping[str, str]
    digest: str

    @property
    def signed(self) -> bytes:
        """What the signature is of."""
        return _signed(self.sequence, self.previous, self.record)

    @classmethod
    def from_content(cls, content: bytes) -> "Link":
        """Read one as it is stored.

        Args:
            content: The content.

        Raises:
            ValueError: It is something else.
        """
        try:
            values = json.loads(content)
            return cls(
                int(values["sequence"]),
                str(values["previous"]),
                DrillRecord.from_json(values["record"]),
                {str(name): str(value) for name, value in values["signature"].items()},
                sha256(content),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"a member is missing or has another form: {error!r}") from error


@dataclass
class Chain:
    """All records, and what is wrong with them.

    Attributes:
        links: Those that can be read, the oldest first.
        problems: What is wrong, in words; empty if nothing is.
    """

    links: list[Link] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def head(self) -> Link | None:
        """The last record; None if there is none."""
        return self.links[-1] if self.links else None


@dataclass(frozen=True)
class _Head:
    sequence: int = 0
    digest: str = ""
    version: str | None = None


def name_of(sequence: int) -> str:
    """Under what name a record is kept.

    Args:
        sequence: Its place, from 1.
    """
    return f"{FOLDER}{sequence:08}.json"


def append(shelf: Shelf, record: DrillRecord, sign: Sign | None = None) -> Link:
    """Add a record after the last one; it is stored when this returns.

    Of several that are added at once, each gets a place.

    Args:
        shelf: Where records are kept.
        record: The record.
        sign: Signs it; None for no signature.

    Returns:
        The record in its place.

    Raises:
        DamagedError: The records that are there are not as they were written.
        OpsError: It cannot be written or signed.
    """
    for _ in range(ATTEMPTS):
        head = _read_head(shelf)
        sequence = head.sequence + 1
        if kept := shelf.read(name_of(sequence)):
            _advance(shelf, head, _following(kept, head))
            continue
        signature = dict(sign(_signed(sequence, head.digest, record))) if sign else {}
        content = canonical(
            {
                "sequence": sequence,
                "previous": head.digest,
                "record": record.to_json(),
                "signature": signature,
            }
        )
        try:
            shelf.write(name_of(sequence), content, None)
        except ChangedError:
            continue
        link = Link.from_content(content)
        _advance(shelf, head, link)
        return link
    raise OpsError(
        f"no place was free for the record in {shelf}: others write records all the time",
        next_step="wait for the other drills to end",
    )


def read(shelf: Shelf, environment: str) -> Chain:
    """Read all records, and check that each is as it was written.

    Args:
        shelf: Where records are kept.
        environment: Name of the environment; a record of another one does not belong here.

    Raises:
        OpsError: They cannot be read at all.
    """
    chain = Chain()
    problems = chain.problems
    try:
        head = _read_head(shelf)
    except DamagedError as error:
        head = _Head()
        problems.append(str(error.args[0]))
    # Only now: what the head names was written before it.
    names = set(shelf.names(FOLDER))
    numbers = {n for name in names if (n := _sequence_of(name)) is not None}
    last = max([head.sequence, *numbers])
    problems += [
        f"{name} is not a record, and does not belong there"
        for name in sorted(names - {HEAD, *map(name_of, numbers)})
    ]
    digests: dict[int, str] = {}
    for sequence in sorted(numbers):
        if kept := shelf.read(name_of(sequence)):
            digests[sequence] = sha256(kept.content)
            problems += _problems_of(kept, sequence, digests, environment, chain.links)
    problems += _removed(digests, last)
    problems += _problems_of_head(head, last, digests)
    return chain


def _removed(there: Iterable[int], last: int) -> Iterator[str]:
    """The records that are missing, a line for those that follow each other."""
    before = 0
    for sequence in (*sorted(there), last + 1):
        first, until = before + 1, sequence - 1
        if first == until:
            yield f"{name_of(first)} was removed"
        elif first < until:
            yield f"{name_of(first)} to {name_of(until)} were removed"
        before = sequence


def _problems_of(
    kept: Kept, sequence: int, digests: Mapping[int, str], environment: str, links: list[Link]
) -> Iterator[str]:
    """What is wrong with one record; it is added to the links if it can be read."""
    name = name_of(sequence)
    try:
        link = Link.from_content(kept.content)
    except ValueError as error:
        yield f"{name} was changed: it cannot be understood: {error}"
        return
    if link.sequence != sequence:
        yield f"{name} was moved: it was written as record {link.sequence}"
    elif link.record.environment != environment:
        yield f"{name} is of the environment {link.record.environment}"
    elif sequence == 1 and link.previous:
        yield f"{name} was not the first record: those before it were removed"
    elif sequence - 1 in digests and link.previous != digests[sequence - 1]:
        yield (
            f"{name_of(sequence - 1)} is not the record that {name} was written after: one of the "
            "two was changed, or put in later"
        )
    else:
        links.append(link)


def _problems_of_head(head: _Head, last: int, digests: Mapping[int, str]) -> Iterator[str]:
    # A drill may have been killed between its record and the head, and the next one notices.
    if last > head.sequence + 1:
        yield f"{HEAD} names record {head.sequence} as the last one, and there are {last}"
    if head.sequence in digests and digests[head.sequence] != head.digest:
        yield f"{name_of(head.sequence)} was changed: {HEAD} has another digest of it"


def _following(kept: Kept, head: _Head) -> Link:
    """The record after the head, of a drill that has not advanced it, or not yet."""
    name = name_of(head.sequence + 1)
    try:
        link = Link.from_content(kept.content)
    except ValueError as error:
        raise DamagedError(f"{name} cannot be understood: {error}") from error
    if (link.sequence, link.previous) != (head.sequence + 1, head.digest):
        raise DamagedError(f"{name} was not written after the record that {HEAD} names")
    return link


def _read_head(shelf: Shelf) -> _Head:
    if (kept := shelf.read(HEAD)) is None:
        return _Head()
    try:
        values = json.loads(kept.content)
        sequence, digest = int(values["sequence"]), str(values["digest"])
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{HEAD} cannot be understood: {error!r}") from error
    return _Head(sequence, digest, kept.version)


def _advance(shelf: Shelf, head: _Head, link: Link) -> None:
    content = canonical({"sequence": link.sequence, "digest": link.digest})
    try:
        shelf.write(HEAD, content, head.version)
    except ChangedError:
        # Another drill has advanced it: it could do so only over this record.
        return


def _signed(sequence: int, previous: str, record: DrillRecord) -> bytes:
    return canonical({"sequence": sequence, "previous": previous, "record": record.to_json()})


def _sequence_of(name: str) -> int | None:
    number = name.removeprefix(FOLDER).removesuffix(".json")
    is_one = number.isascii() and number.isdecimal() and int(number) > 0
    return int(number) if is_one and name == name_of(int(number)) else None
