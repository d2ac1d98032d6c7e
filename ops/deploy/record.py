"""What was deployed, and how far a deployment has come: its journal while it runs, then history.

It is written before and after each step, so that any later command finds how far it came.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ops.deploy.shelf import Shelf
from ops.errors import OpsError
from ops.processes import Program

VERSION = 1
NAME = "history.json"
KEPT = 100
"""Deployments that history has."""


class Step(StrEnum):
    """How far a stack has come."""

    PENDING = "pending"
    APPLYING = "applying"
    APPLIED = "applied"
    """Its gate has not passed yet."""
    PASSED = "passed"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"
    """It could not be rolled back."""


SETTLED = (Step.PENDING, Step.PASSED, Step.ROLLED_BACK)
"""Nothing of a stack is half done."""


class Outcome(StrEnum):
    """How a deployment ended."""

    UNFINISHED = "unfinished"
    """It runs, or was killed."""
    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled back"
    """A gate failed, and the stack has the release before again."""
    FAILED = "failed"
    """A gate failed, and the stack could not be rolled back."""


class Moment(StrEnum):
    """What a deployment notes the time of, besides the steps of its stacks."""

    FOUND = "found"
    """An apply or a gate has failed."""
    FORMER_VERSIONS = "former versions serve"
    """The functions' versions before have all requests again."""
    CUSTOMERS_MOVED = "customers moved"
    """The primary Region is about to be evacuated."""
    CUSTOMERS_BACK = "customers back"
    """The primary Region is restored and serves, or does not for other reasons."""


@dataclass
class Record:
    """One deployment.

    Attributes:
        run: Its id.
        kind: `deploy`, or `rollback`.
        release: Id of the release; empty if the stacks return to several.
        targets: `{stack: id of the release that it is to have}`, in the order of deployment.
        before: `{stack: id of the release that it had}`; empty for one that is not kept.
        begun: When, ISO 8601 in UTC.
        user: Who.
        host: On which machine.
        revision: Git revision that was synthesized, with a `+` if files were changed.
        bake_seconds: How long each gate lasts.
        program: The process that runs it.
        terraform: The process of Terraform while it applies.
        steps: `{stack: how far it has come}`.
        counts: `{stack: {Region: {action: number}}}` of what was planned.
        outdated: `{stack: addresses of deployments of its API that are to be replaced once more}`.
        times: `{stack: {Step or Moment: when, last, ISO 8601 in UTC}}`.
        gates: Results of gates, each with when it began and ended.
        outcome: How it ended.
        reason: Why it stopped; empty if it did not.
        ended: When, ISO 8601 in UTC; empty until then.
        rest: Stacks that get the release by another deployment, later.
        share: Share of a Region's requests that new versions of functions get first; 0 for none.
        with_customers: Whether the secondary Region then serves all customers for a while.
    """

    run: str
    kind: str
    release: str
    targets: dict[str, str]
    before: dict[str, str]
    begun: str
    user: str
    host: str
    revision: str
    bake_seconds: float
    program: Program
    terraform: Program | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    outdated: dict[str, list[str]] = field(default_factory=dict)
    gates: list[dict[str, Any]] = field(default_factory=list)
    outcome: Outcome = Outcome.UNFINISHED
    reason: str = ""
    ended: str = ""
    rest: list[str] = field(default_factory=list)
    share: float = 0.0
    with_customers: bool = False
    times: dict[str, dict[str, str]] = field(default_factory=dict)

    def step(self, stack: str) -> Step:
        """How far a stack has come.

        Args:
            stack: Its name.
        """
        return self.steps.get(stack, Step.PENDING)

    @property
    def changed(self) -> tuple[str, ...]:
        """Stacks that may have another release than before, in the order of deployment."""
        same = [
            name
            for name, target in self.targets.items()
            if self.step(name) in (Step.PENDING, Step.ROLLED_BACK)
            or (self.step(name) is Step.PASSED and self.before.get(name) == target)
        ]
        return tuple(name for name in self.targets if name not in same)

    def note(self, stack: str, what: Step | Moment) -> None:
        """Note that a stack has come to a step or a moment, now.

        Args:
            stack: Its name.
            what: Which one.
        """
        if isinstance(what, Step):
            self.steps[stack] = what
        if what is Step.APPLYING:
            # A resumed deployment begins the stack once more.
            self.times[stack] = {}
        self.times.setdefault(stack, {})[what] = now("milliseconds")

    def has_come_to(self, stack: str, what: Step | Moment) -> bool:
        """Whether a stack has come to a step or a moment since its last apply began.

        Args:
            stack: Its name.
            what: Which one.
        """
        return what in self.times.get(stack, {})

    @property
    def found_after_seconds(self) -> float | None:
        """How long what was applied served until a gate failed; None if none did."""
        return self.seconds_between(Step.APPLIED, Moment.FOUND)

    @property
    def rolled_back_after_seconds(self) -> float | None:
        """How long it took from then, or from a failed apply; None if nothing was rolled back."""
        return self.seconds_between(Moment.FOUND, Step.ROLLED_BACK)

    def seconds_between(self, first: Step | Moment, second: Step | Moment) -> float | None:
        """Time between two moments of the stack at which the deployment stopped.

        Args:
            first: The earlier one.
            second: The later one.

        Returns:
            Seconds; None if it did not stop, or did not come to one of them.
        """
        for times in self.times.values():
            if Moment.FOUND in times and first in times and second in times:
                begin, end = (datetime.fromisoformat(times[each]) for each in (first, second))
                return (end - begin).total_seconds()
        return None

    @property
    def is_alive(self) -> bool:
        """Whether it still runs, if that is on this machine."""
        return self.outcome is Outcome.UNFINISHED and self.program.process() is not None

    def end(self, outcome: Outcome, reason: str = "") -> None:
        """Note how it ended.

        Args:
            outcome: How.
            reason: Why it stopped, if it did.
        """
        self.outcome, self.reason, self.ended = outcome, reason, now()
        self.terraform = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Record":
        """Read what `asdict` gave.

        Args:
            values: JSON values.
        """
        terraform = values["terraform"]
        return cls(
            **dict(values)
            | {
                "program": Program(**values["program"]),
                "terraform": Program(**terraform) if terraform else None,
                "steps": {name: Step(step) for name, step in values["steps"].items()},
                "outcome": Outcome(values["outcome"]),
            }
        )


@dataclass
class History:
    """All deployments of an environment, the last one last.

    Attributes:
        shelf: Where it is kept.
        deployed: `{stack: id of the release that it has}`, as far as this tool has deployed it.
        records: The deployments.
        version: What is replaced when it is written; None if nothing is there.
    """

    shelf: Shelf
    deployed: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    version: str | None = None

    @classmethod
    def read(cls, shelf: Shelf) -> "History":
        """Read it.

        Args:
            shelf: Where it is kept; where none is, nothing was deployed.

        Raises:
            OpsError: It cannot be read.
        """
        if (kept := shelf.read(NAME)) is None:
            return cls(shelf)
        try:
            values = json.loads(kept.content)
            if values["version"] != VERSION:
                raise ValueError(f"its version is {values['version']}, not {VERSION}")
            records = [Record.from_json(each) for each in values["deployments"]]
            return cls(shelf, dict(values["deployed"]), records, kept.version)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OpsError(
                f"{NAME} in {shelf} cannot be understood: {type(error).__name__}: {error}",
                next_step="restore it from a copy, or move it away: releases before it cannot be "
                "rolled back to then",
            ) from error

    def refresh(self) -> None:
        """Read it again: another deployment may have ended since.

        Raises:
            OpsError: It cannot be read.
        """
        found = History.read(self.shelf)
        self.deployed, self.records, self.version = found.deployed, found.records, found.version

    @property
    def last(self) -> Record | None:
        """The last deployment."""
        return self.records[-1] if self.records else None

    @property
    def unfinished(self) -> Record | None:
        """The deployment that runs, or was killed."""
        return self.last if self.last and self.last.outcome is Outcome.UNFINISHED else None

    def releases(self, number: int) -> set[str]:
        """Ids of the releases that are needed: those that are deployed, and the last ones.

        Args:
            number: How many were deployed last.
        """
        ids = [id for record in reversed(self.records) for id in record.targets.values()]
        last = self.last.before.values() if self.last else ()
        return {*self.deployed.values(), *last, *list(dict.fromkeys(ids))[:number]}

    def write(self) -> None:
        """Write it; it is stored when this returns.

        Raises:
            OpsError: It cannot be written, or another machine has written it since it was read.
        """
        self.records = self.records[-KEPT:]
        document = {
            "version": VERSION,
            "deployed": self.deployed,
            "deployments": [asdict(each) for each in self.records],
        }
        content = json.dumps(document, indent=2).encode()
        self.version = self.shelf.write(NAME, content, self.version)


def now(timespec: str = "seconds") -> str:
    """The time, ISO 8601 in UTC.

    Args:
        timespec: How precise, as `datetime.isoformat` takes it.
    """
    return datetime.now(UTC).isoformat(timespec=timespec)
