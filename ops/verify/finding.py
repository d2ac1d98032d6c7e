"""Checks and their findings.

A check that raises an exception has found something, too, and the other checks continue: what
could not be read is unknown, and says nothing of what was to be checked; all else is a failure.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TypeVar

from ops.environment import Environment
from ops.errors import explain, is_unreadable, next_step_for

CheckFunction = Callable[[Environment], Iterator["Finding"]]
RegionCheckFunction = Callable[[Environment, str], Iterator["Finding"]]
_Read = TypeVar("_Read")


class Outcome(StrEnum):
    """Outcome of a check for one subject."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It cannot be determined from here, and nothing indicates a failure."""


@dataclass(frozen=True)
class Finding:
    """The result of a check for one subject.

    Attributes:
        subject: What was checked: a Region, a record, a health check.
        outcome: The outcome.
        found: What was found, for people.
        fix: What to do about it; empty unless it failed or is unreadable.
        unreadable: Whether it is unknown because something could not be read or reached.
        measured: `{name with unit: value}` of what was measured.
        check: Id of the check.
    """

    subject: str
    outcome: Outcome
    found: str
    fix: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)
    check: str = ""
    unreadable: bool = False


@dataclass(frozen=True)
class Part:
    """One part of a check, which waits for no other.

    Attributes:
        check: Id of the check.
        subject: What it checks, for an exception of it.
        function: Yields the findings.
        if_late: What else is to be known if it does not end in time.
    """

    check: str
    subject: str
    function: Callable[[], Iterable[Finding]]
    if_late: str = ""

    def run(self) -> Iterator[Finding]:
        """Run it; an exception of what it checks is a finding.

        Yields:
            Its findings, each with the check's id.
        """
        for finding in guarded(self.subject, self.function):
            yield replace(finding, check=self.check)


@dataclass(frozen=True)
class Check:
    """A check with its id.

    Attributes:
        id: Its id, for people and programs: `subject.rule`.
        functions: Gives for each subject what yields the findings.
        description: What it checks, in one sentence.
        if_late: What else is to be known if it does not end in time.
    """

    id: str
    functions: Callable[[Environment], Mapping[str, Callable[[], Iterable[Finding]]]]
    description: str
    if_late: str = ""

    def parts(self, environment: Environment) -> tuple[Part, ...]:
        """List its parts.

        Args:
            environment: The environment to check.
        """
        parts = self.functions(environment).items()
        return tuple(Part(self.id, *each, if_late=self.if_late) for each in parts)

    def run(self, environment: Environment) -> tuple[Finding, ...]:
        """Run all parts in turn.

        Args:
            environment: The environment to check.

        Returns:
            Their findings.
        """
        return tuple(finding for part in self.parts(environment) for finding in part.run())


def check(id: str) -> Callable[[CheckFunction], Check]:
    """Define a check of the whole environment.

    Args:
        id: Its id.
    """
    return lambda function: Check(
        id,
        lambda environment: {environment.name: partial(function, environment)},
        _description(function),
    )


def region_check(id: str) -> Callable[[RegionCheckFunction], Check]:
    """Define a check of each Region separately: one that is down does not hide the others.

    Args:
        id: Its id.
    """
    return lambda function: Check(
        id,
        lambda environment: {
            region: partial(function, environment, region) for region in environment.regions
        },
        _description(function),
    )


def _description(function: Callable[..., object]) -> str:
    """The first line of a docstring."""
    return (function.__doc__ or "").partition("\n")[0]


def guarded(subject: str, function: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Turn an exception into a finding, after the findings before it.

    Args:
        subject: What is being checked.
        function: Yields the findings.
    """
    try:
        yield from function()
    except Exception as error:
        yield of_exception(subject, error)


def read_regions(
    environment: Environment, read: Callable[[Environment, str], _Read]
) -> Generator[Finding, None, dict[str, _Read]]:
    """Read something in every Region.

    Args:
        environment: The environment.
        read: Reads one Region.

    Yields:
        A finding per Region that cannot be read.

    Returns:
        `{region: what was read}` of the others.
    """
    return (yield from read_all(environment.regions, partial(read, environment)))


def read_all(
    subjects: Iterable[str], read: Callable[[str], _Read]
) -> Generator[Finding, None, dict[str, _Read]]:
    """Read something of every subject.

    Args:
        subjects: The subjects, such as Regions.
        read: Reads one.

    Yields:
        A finding per subject that cannot be read.

    Returns:
        `{subject: what was read}` of the others.
    """
    found: dict[str, _Read] = {}

    def keep(subject: str) -> Iterable[Finding]:
        found[subject] = read(subject)
        return ()

    for subject in subjects:
        yield from guarded(subject, partial(keep, subject))
    return found


def passed(subject: str, found: str, **measured: float) -> Finding:
    """Make a passed finding.

    Args:
        subject: What was checked.
        found: What was found.
        measured: What was measured, names with units.
    """
    return Finding(subject, Outcome.PASSED, found, measured=measured)


def failed(subject: str, found: str, fix: str) -> Finding:
    """Make a failed finding.

    Args:
        subject: What was checked.
        found: What was found.
        fix: What to do about it.
    """
    return Finding(subject, Outcome.FAILED, found, fix)


def unreadable(subject: str, found: str, fix: str) -> Finding:
    """Make a finding of something that could not be read or reached.

    Args:
        subject: What was to be checked.
        found: Why it is unknown.
        fix: What to do about it.
    """
    return Finding(subject, Outcome.UNKNOWN, found, fix, unreadable=True)


def of_exception(subject: str, error: Exception) -> Finding:
    """Make a finding of an exception.

    Args:
        subject: What was being checked.
        error: The exception.
    """
    made = unreadable if is_unreadable(error) else failed
    return made(subject, explain(error), next_step_for(error))


def unknown(subject: str, found: str) -> Finding:
    """Make a finding of something that cannot be determined from here.

    Args:
        subject: What was to be checked.
        found: Why it is unknown.
    """
    return Finding(subject, Outcome.UNKNOWN, found)


def passed_unless(subject: str, problems: Iterable[str], *, found: str, fix: str) -> Finding:
    """Make a finding that failed with all problems, or passed if there are none.

    Args:
        subject: What was checked.
        problems: The problems.
        found: What was found if there are none.
        fix: What to do about the problems.
    """
    text = "; ".join(problems)
    return failed(subject, text, fix) if text else passed(subject, found)
