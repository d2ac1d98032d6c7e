"""The sandbox's fault-injection API: what a fault is on the wire, and a client.

    GET /faults               the faults that are injected now
    POST /faults              inject one; the caller may choose its "id": 201, 200 if it is
                              injected already, 409 if another fault has the id
    DELETE /faults/{id}       clear one; 404 if it is gone
    GET /replication          the writes that have not arrived in other Regions yet
    PUT /replication          change how much faster than on AWS it runs: {"speed": 2.5}
    DELETE /replication/{region}  discard those of a Region, which is lost for good
    GET /ready                URL of every Region

The sandbox serves it and takes this form from here; an environment on AWS has no such API.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from ops.errors import ExitCode, OpsError
from ops.sandbox_client import START, call_sandbox

KINDS = {
    "refuse": "connections are refused: nothing listens; open ones are reset",
    "black_hole": "connections are accepted, and nothing is ever answered; open ones freeze",
    "error": "requests get a response with an error status",
    "slow": "responses are delayed",
    "isolated": "clients outside of the Region get no response, those within are served",
    "table": "requests of the functions to their table fail",
}
INSIDE_HEADER = "X-Local-Client-Region"
"""Names the Region that a client of `isolated` is in: loopback has no places."""
REPLICATION_PAUSED = "replication_paused"
PARTITION = "partition"
REPLICATION_KINDS = {
    REPLICATION_PAUSED: "what is written in the Region reaches no other one, or not `target`",
    PARTITION: "what is written in the Region reaches no other one, and the reverse",
}
"""Kinds that fail no request: the writes arrive when the fault is cleared, in order.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
CONTROL_KINDS = {
    "sts": "STS does not work in the Region, nor in us-east-1",
    "control_plane": "the APIs that change things do not work in the Region, nor in us-east-1",
}
"""Kinds that fail operators, and no request of customers or functions."""
LOCAL_AWS_KINDS = ("table", *REPLICATION_KINDS, *CONTROL_KINDS)
"""Kinds that the local AWS itself has, not the Region endpoints."""
CONNECTION_KINDS = ("refuse", "black_hole")
STATUSES = (500, 502, 503, 504)
DEFAULT_STATUS = 503
LONGEST_DELAY_SECONDS = 300
POLL_SECONDS = 0.1
REPLICATION = "replication"
UNRESOLVED = "EndpointConnectionError"
TABLE_ERRORS = (
    *("InternalServerError", "ProvisionedThroughputExceededException", "ThrottlingException"),
    *("AccessDeniedException", "timeout", UNRESOLVED, REPLICATION),
)
"""Errors of `table`. With `replication` no request fails, and no write reaches another Region. With
`EndpointConnectionError` the name of the table's endpoint does not resolve for functions.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""
_WHOLE = ("isolated", *LOCAL_AWS_KINDS)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class FaultError(ValueError):
    """A fault that cannot be injected; the message names everything that is wrong with it."""


@dataclass(frozen=True)
class Fault:
    """A fault of one Region.

    Attributes:
        region: The Region.
        kind: One of `KINDS`, `REPLICATION_KINDS` or `CONTROL_KINDS`.
        path: For `error` and `slow`: only requests at or below this path, `/v1/weather` like
            `/v1/weather/x` but not `/v1/weathers`; None for all.
        share: Share of the connections (`black_hole`) or requests (`error`, `slow`) that are
            affected, more than 0 and at most 1.
        status: For `error`: one of `STATUSES`; 503 by default.
        delay_seconds: For `slow`, where it is required: how long responses are delayed.
        seed: Seed of the random choice.
        error: For `table`, where it is required: one of `TABLE_ERRORS`.
        target: For `replication_paused`: the one Region that its writes do not reach; all by
            default.
    """

    region: str
    kind: str
    path: str | None = None
    share: float = 1.0
    status: int | None = None
    delay_seconds: float | None = None
    seed: int = 0
    error: str | None = None
    target: str | None = None

    @classmethod
    def from_json(cls, data: Any, *, regions: Collection[str]) -> Fault:
        """Read and validate a fault.

        Args:
            data: Decoded JSON: an object with the names of the attributes, and perhaps `id`.
            regions: The Regions that exist.

        Raises:
            FaultError: It is not a valid fault.
        """
        if not isinstance(data, dict):
            raise FaultError(f"expected an object with region and kind, got {data!r}")
        allowed = [field.name for field in fields(cls)]
        problems = [
            f"{key}: unknown; allowed are {', '.join(['id', *allowed])}"
            for key in sorted(data.keys() - {"id", *allowed})
        ]
        id = data.get("id")
        if id is not None and not (isinstance(id, str) and _ID.fullmatch(id)):
            problems.append(f"id: expected 1 to 64 letters, digits, _ and -, got {id!r}")
        given = {key: value for key, value in data.items() if key in allowed and value is not None}
        problems += _problems(given, regions)
        if problems:
            raise FaultError("; ".join(problems))
        if given["kind"] == "error":
            given.setdefault("status", DEFAULT_STATUS)
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what is not set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def covers(self, path: str) -> bool:
        """Decide whether a request can be affected.

        Args:
            path: Its path as the request names it, percent-encoded, without the query.
        """
        if self.path is None:
            return True
        place = self.path.rstrip("/")
        return path == self.path or path == place or path.startswith(place + "/")

    def __str__(self) -> str:
        words = (
            self.kind.replace("_", " "),
            str(self.status or ""),
            self.error or "",
            f"to {self.target}" if self.target else "",
            f"by {self.delay_seconds:g} s" if self.delay_seconds is not None else "",
            f"at {self.path}" if self.path else "",
            f"for {self.share:.0%} of the requests" if self.share < 1 else "",
        )
        return " ".join(filter(None, words))


@dataclass(frozen=True)
class InjectedFault:
    """A fault that is injected now.

    Attributes:
        id: Its id, by which it is cleared.
        since: When it was injected, ISO 8601 in UTC.
        fault: The fault.
    """

    id: str
    since: str
    fault: Fault

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InjectedFault:
        """Read what `to_json` gave."""
        rest = {key: value for key, value in data.items() if key not in ("id", "since")}
        return cls(data["id"], data["since"], Fault(**rest))

    def to_json(self) -> dict[str, Any]:
        """One flat object: id, since, and the attributes of the fault."""
        return {"id": self.id, "since": self.since, **self.fault.to_json()}


@dataclass(frozen=True)
class Direction:
    """Replication from one Region to another.

    Attributes:
        source: Where it is written.
        target: Where it arrives.
        writes: How many writes have not arrived yet.
        oldest_seconds: How long ago the oldest of them was written, in seconds of AWS.
        paused: Whether a fault holds them back.
    """

    source: str
    target: str
    writes: int
    oldest_seconds: float
    paused: bool


class FaultInjection:
    """A client of one sandbox's fault-injection API.

    Args:
        url: Its address, like `http://127.0.0.1:8444`.
        timeout_seconds: Longest wait for a response.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self.url, self._timeout_seconds = url.rstrip("/"), timeout_seconds

    def inject(self, fault: Fault, *, id: str | None = None) -> str:
        """Inject a fault.

        Args:
            fault: The fault.
            id: Its id; one is chosen by default.

        Returns:
            Its id.

        Raises:
            OpsError: It cannot be injected, or the API does not respond.
        """
        given = fault.to_json() | ({"id": id} if id else {})
        return str(self._call("POST", "/faults", given)["id"])

    def clear(self, id: str) -> bool:
        """Clear one fault.

        Args:
            id: Its id.

        Returns:
            Whether it was injected.

        Raises:
            OpsError: It cannot be cleared, or the API does not respond.
        """
        return bool(self._call("DELETE", f"/faults/{id}", missing={}))

    def faults(self) -> tuple[InjectedFault, ...]:
        """List the faults that are injected now, the oldest first.

        Raises:
            OpsError: The API does not respond.
        """
        return _faults(self._call("GET", "/faults"))

    def replication(self) -> tuple[Direction, ...]:
        """List what has not been replicated yet, in every direction.

        Raises:
            OpsError: The API does not respond.
        """
        data = self._call("GET", "/replication")
        try:
            return tuple(Direction(**each) for each in data["directions"])
        except (KeyError, TypeError) as error:
            raise _unexpected("what has not been replicated", error) from error

    def discard(self, region: str) -> int:
        """Lose for good what was written in a Region and has reached no other one.

        Its replicas are as those of the others afterwards.

        Args:
            region: The Region.

        Returns:
            How many writes there were.

        Raises:
            OpsError: They cannot be discarded, or the API does not respond.
        """
        return int(self._call("DELETE", f"/replication/{region}")["discarded"])

    def set_replication_speed(self, speed: float) -> None:
        """Change how much faster than on AWS replication runs.

        Args:
            speed: How much faster.

        Raises:
            OpsError: The API does not respond, or refuses it.
        """
        self._call("PUT", "/replication", {"speed": speed})

    def await_replication(self, timeout_seconds: float) -> bool:
        """Wait until every write has arrived that no fault holds back.

        Args:
            timeout_seconds: How long at most.

        Returns:
            Whether there is none left.

        Raises:
            OpsError: The API does not respond.
        """
        deadline = time.monotonic() + timeout_seconds
        while any(each.writes for each in self.replication() if not each.paused):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[str]:
        """Inject a fault for as long as the block runs.

        Args:
            fault: The fault.

        Yields:
            Its id.
        """
        id = self.inject(fault)
        try:
            yield id
        finally:
            self.clear(id)

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        missing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        status, data = call_sandbox(
            "the fault-injection API", method, self.url + path, body, self._timeout_seconds
        )
        if status == 404 and missing is not None:
            return missing
        if status >= 400:
            raise OpsError(
                f"the fault-injection API refuses {method} {path}: {data.get('message')}",
                next_step="fix what is named above and try again",
                exit_code=ExitCode.USAGE if status < 409 else ExitCode.PREREQUISITE,
            )
        return data


def _faults(data: dict[str, Any]) -> tuple[InjectedFault, ...]:
    try:
        return tuple(InjectedFault.from_json(each) for each in data["faults"])
    except (KeyError, TypeError, AttributeError) as error:
        raise _unexpected("its faults", error) from error


def _unexpected(what: str, error: Exception) -> OpsError:
    return OpsError(
        f"the fault-injection API does not list {what}: {error!r}",
        next_step=f"{START} of this version",
    )


def _problems(given: Mapping[str, Any], regions: Collection[str]) -> list[str]:
    kinds = (*KINDS, *REPLICATION_KINDS, *CONTROL_KINDS)
    kind, path = given.get("kind"), given.get("path", "/")
    others = [region for region in regions if region != given.get("region")]
    target = given.get("target", others[0] if others else None)
    share, status = given.get("share", 1), given.get("status", DEFAULT_STATUS)
    delay = given.get("delay_seconds", None if kind == "slow" else 1)
    error = given.get("error", None if kind == "table" else TABLE_ERRORS[0])
    delays = f"more than 0 and at most {LONGEST_DELAY_SECONDS}"
    statuses = ", ".join(map(str, STATUSES))
    expectations = (
        ("region", f"one of {', '.join(regions)}", given.get("region") in list(regions)),
        ("kind", f"one of {', '.join(kinds)}", kind in list(kinds)),
        ("share", "more than 0 and at most 1", _is_number(share) and 0 < share <= 1),
        ("seed", "a whole number", type(given.get("seed", 0)) is int),
        ("path", "a path that begins with /", isinstance(path, str) and path.startswith("/")),
        ("status", f"one of {statuses}", type(status) is int and status in STATUSES),
        ("delay_seconds", delays, _is_number(delay) and 0 < delay <= LONGEST_DELAY_SECONDS),
        ("error", f"one of {', '.join(TABLE_ERRORS)}", error in TABLE_ERRORS),
        ("target", f"another Region: {', '.join(others)}", target in (None, *others)),
    )
    found = [
        f"{key}: expected {what}, got {given.get(key)!r}"
        for key, what, holds in expectations
        if not holds
    ]
    if kind in (*CONNECTION_KINDS, *_WHOLE) and "path" in given:
        found.append(f"path: {kind} does not depend on a path; leave it out")
    if kind in ("refuse", *_WHOLE) and share != 1:
        found.append(f"share: {kind} affects every request; leave it out")
    for key, owner in (
        *(("status", "error"), ("delay_seconds", "slow"), ("error", "table")),
        ("target", REPLICATION_PAUSED),
    ):
        if kind in kinds and kind != owner and key in given:
            found.append(f"{key}: only {owner} has it; leave it out")
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
