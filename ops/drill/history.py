"""The history of a drill's writes: who asked for what, the responses, and what Regions showed.

It is kept beside the report, as JSON Lines: an object for each line, `type` first, times in seconds
of one clock. `docs/reference/history.md` describes every member.

    {"type": "drill", "version": 1, "environment": ..., "regions": [...], ...}
    {"type": "mark", "name": "injecting", "at": 31.2}
    {"type": "operation", "client": "customers", "kind": "put", "key": ..., "value": ..., ...}
    {"type": "reading", "region": ..., "at": ..., "ended_at": ..., "values": {key: [value]}, ...}
    {"type": "verdict", ...}

`ops.drill.consistency` judges it, during the drill and any time later.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ops.errors import ExitCode, OpsError

VERSION = 1
FILE = "history.jsonl"
"""Its name in the folder of a report."""
Value = float | str | None
OperationKind = Literal["put", "update", "delete"]
Result = Literal["acknowledged", "unknown", "rejected"]
_KINDS: tuple[str, ...] = get_args(OperationKind)
_RESULTS: tuple[str, ...] = get_args(Result)


@dataclass(frozen=True)
class Operation:
    """One write, and what became of it for its sender.

    Attributes:
        client: Who sent it.
        kind: `put` adds a value to those of its key, `update` replaces what the key has, `delete`
            removes all that the Region holds of it.
        key: What was written.
        value: What it was to become; None if it was deleted.
        sent_at: When it was sent.
        ended_at: When its response, or its failure, was complete.
        result: `acknowledged`: whoever sent it may rely on it; `rejected`: it was not carried out;
            `unknown`: one or the other.
        region: Region that served it; None if no response names it.
        status: HTTP status; None without a response.
    """

    client: str
    kind: OperationKind
    key: str
    value: Value
    sent_at: float
    ended_at: float
    result: Result
    region: str | None = None
    status: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.result == "acknowledged"


@dataclass(frozen=True)
class Seen:
    """What a Region showed when it was read.

    Attributes:
        region: The Region.
        at: When the reading began.
        ended_at: When it was complete.
        values: `{key: values}`, each as often as it is listed; a key without a value is left out.
        error: Why the Region could not be read; empty if it could.
    """

    region: str
    at: float
    ended_at: float
    values: Mapping[str, tuple[Value, ...]]
    error: str = ""


@dataclass(frozen=True)
class History:
    """All that is known of the writes of one drill.

    Attributes:
        environment: Name of the environment.
        started: When the clock began, ISO 8601 in UTC.
        fault: Name of the fault.
        regions: The Regions in order.
        lost: Those into which the fault was injected.
        taking_over: Those that serve the customers of lost ones.
        isolated: Those whose replication the fault stops.
        discarded: Those that were lost for good, with the writes that had reached no other one.
        speed: How much faster than on AWS health checks, DNS and replication ran.
        lost_after_seconds: After this time a write that a Region lacks is lost, no longer late.
        max_lost_writes: Most acknowledged writes that may be lost.
        operations: Every write, in order of sending.
        readings: Every reading, in order of time.
        marks: `{step of the drill: when}`; `cut-over` is when others began to serve customers.
        location: The location of the drill, of which all observations are.
    """

    environment: str
    started: str
    fault: str
    regions: tuple[str, ...]
    lost: tuple[str, ...]
    taking_over: tuple[str, ...]
    isolated: tuple[str, ...]
    discarded: tuple[str, ...]
    speed: float
    lost_after_seconds: float
    max_lost_writes: int = 0
    operations: tuple[Operation, ...] = ()
    readings: tuple[Seen, ...] = ()
    marks: Mapping[str, float] | None = None
    location: str = ""

    def when(self, mark: str) -> float | None:
        """The time of a step, None if it was not reached."""
        return (self.marks or {}).get(mark)


_PARTS = ("operations", "readings", "marks")


class InvalidHistoryError(OpsError):
    """A file that is not a history; the message names the line."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(
            f"{path}, line {line}: {reason}",
            next_step=f"give the {FILE} of a drill's report folder, as the drill wrote it",
            exit_code=ExitCode.USAGE,
        )


def to_lines(history: History, verdict: Mapping[str, Any]) -> Iterable[str]:
    """Write a history and the verdict on it, line by line.

    Args:
        history: The history.
        verdict: The verdict as JSON values.
    """
    head = {key: value for key, value in asdict(history).items() if key not in _PARTS}
    yield _line("drill", {"version": VERSION, **head})
    timed = [
        *((at, "mark", {"name": name, "at": at}) for name, at in (history.marks or {}).items()),
        *((each.sent_at, "operation", asdict(each)) for each in history.operations),
        *((each.at, "reading", asdict(each)) for each in history.readings),
    ]
    for _, kind, members in sorted(timed, key=lambda each: each[0]):
        yield _line(kind, members)
    yield _line("verdict", verdict)


def write(path: Path, history: History, verdict: Mapping[str, Any]) -> None:
    """Write a history and the verdict on it to a file.

    Args:
        path: The file.
        history: The history.
        verdict: The verdict as JSON values.
    """
    text = "".join(f"{line}\n" for line in to_lines(history, verdict))
    path.write_text(text, encoding="utf-8")


def read(path: Path) -> tuple[History, dict[str, Any] | None]:
    """Read a history, and the verdict that was written with it.

    Args:
        path: The file.

    Returns:
        The history, and the verdict; None if the file ends without one.

    Raises:
        InvalidHistoryError: It is not a history.
        OpsError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OpsError(
            f"{path} cannot be read: {reason}",
            next_step=f"give the {FILE} of a drill's report folder",
            exit_code=ExitCode.USAGE,
        ) from error
    head: dict[str, Any] | None = None
    operations: list[Operation] = []
    readings: list[Seen] = []
    marks: dict[str, float] = {}
    verdict: dict[str, Any] | None = None
    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        try:
            members = json.loads(line)
            kind = members.pop("type")
            if (head is None) != (kind == "drill"):
                raise ValueError("the first line, and no other one, must be of type drill")
            match kind:
                case "drill":
                    head = _head(members)
                case "mark":
                    marks[str(members["name"])] = float(members["at"])
                case "operation":
                    operations.append(_operation(members))
                case "reading":
                    readings.append(_seen(members))
                case "verdict":
                    verdict = members
                case _:
                    raise ValueError(f"unknown type {kind!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidHistoryError(path, number, f"{type(error).__name__}: {error}") from error
    if head is None:
        raise InvalidHistoryError(path, number, "it is empty")
    return (
        History(
            **head,
            operations=tuple(sorted(operations, key=lambda each: each.sent_at)),
            readings=tuple(sorted(readings, key=lambda each: each.at)),
            marks=marks,
        ),
        verdict,
    )


def _line(kind: str, members: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, **members})


def _head(members: dict[str, Any]) -> dict[str, Any]:
    if (version := members.pop("version")) != VERSION:
        raise ValueError(f"its version is {version}; this program reads version {VERSION}")
    expected = {each.name for each in fields(History)} - {*_PARTS}
    if members.keys() != expected:
        raise ValueError(f"expected {', '.join(sorted(expected))}")
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in members.items()
    }


def _operation(members: dict[str, Any]) -> Operation:
    operation = Operation(**members)
    if operation.kind not in _KINDS or operation.result not in _RESULTS:
        raise ValueError(
            f"expected a kind of {', '.join(_KINDS)} and a result of {', '.join(_RESULTS)}"
        )
    return operation


def _seen(members: dict[str, Any]) -> Seen:
    values = {key: tuple(found) for key, found in members.pop("values").items()}
    return Seen(values=values, **members)
