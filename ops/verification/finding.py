"""What a check is, and what it finds.

A check looks at one thing and tells what it found. One that breaks has found something, too: its
exception becomes a failed finding, and the other checks go on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from ops.environment import Environment
from ops.errors import OpsError

Look = Callable[[Environment], Iterator["Finding"]]
LookAtRegion = Callable[[Environment, str], Iterator["Finding"]]


class Outcome(StrEnum):
    """How a check ended for one subject."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It cannot be seen from here, and nothing says that it is broken."""


@dataclass(frozen=True)
class Finding:
    """What a check found of one subject.

    Attributes:
        subject: What was looked at: a Region, a record, a health check.
        outcome: How it ended.
        found: What was found, in words.
        fix: What to do about it; empty unless it failed.
        measured: `{name with unit: value}` of what was measured.
        check: Id of the check.
    """

    subject: str
    outcome: Outcome
    found: str
    fix: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)
    check: str = ""


@dataclass(frozen=True)
class Check:
    """A named check.

    Attributes:
        id: Its name, for people and machines: `subject.rule`.
        look: Looks, and yields what it finds.
    """

    id: str
    look: Look

    def run(self, environment: Environment) -> tuple[Finding, ...]:
        """Looks; never raises for what it looks at.

        Args:
            environment: Where to look.

        Returns:
            What it found, each with the check's id.
        """
        findings = guarded(environment.name, lambda: self.look(environment))
        return tuple(replace(finding, check=self.id) for finding in findings)


def check(id: str) -> Callable[[Look], Check]:
    """Names a check that looks at the whole environment.

    Args:
        id: Its name.
    """
    return lambda look: Check(id, look)


def region_check(id: str) -> Callable[[LookAtRegion], Check]:
    """Names a check that looks at every Region by itself: a dead one does not hide the others.

    Args:
        id: Its name.
    """

    def named(look: LookAtRegion) -> Check:
        def look_everywhere(environment: Environment) -> Iterator[Finding]:
            for region in environment.regions:
                yield from guarded(region, partial(look, environment, region))

        return Check(id, look_everywhere)

    return named


def guarded(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Turns an exception into a failed finding, after what was found before it.

    Args:
        subject: What is being looked at.
        look: Looks, and yields what it finds.
    """
    try:
        yield from look()
    except Exception as error:
        yield failed(subject, in_words(error), _fix_of(error))


def passed(subject: str, found: str, **measured: float) -> Finding:
    """A finding that is as it should be.

    Args:
        subject: What was looked at.
        found: What was found.
        measured: What was measured, names with units.
    """
    return Finding(subject, Outcome.PASSED, found, measured=measured)


def failed(subject: str, found: str, fix: str) -> Finding:
    """A finding that is not as it should be.

    Args:
        subject: What was looked at.
        found: What was found.
        fix: What to do about it.
    """
    return Finding(subject, Outcome.FAILED, found, fix)


def unknown(subject: str, found: str) -> Finding:
    """A subject that cannot be seen from here.

    Args:
        subject: What was to be looked at.
        found: Why it was not seen.
    """
    return Finding(subject, Outcome.UNKNOWN, found)


def judged(subject: str, problems: Iterable[str], *, otherwise: str, fix: str) -> Finding:
    """Failed with all problems, or passed if there are none.

    Args:
        subject: What was looked at.
        problems: What is not as it should be.
        otherwise: What was found if there are none.
        fix: What to do about the problems.
    """
    found = "; ".join(problems)
    return failed(subject, found, fix) if found else passed(subject, otherwise)


def in_words(error: Exception) -> str:
    """An exception as the operator reads it.

    Args:
        error: The exception.
    """
    if isinstance(error, OpsError):
        return str(error.args[0])
    if isinstance(error, BotoCoreError | ClientError):
        return f"AWS does not answer as it should: {error}"[:300]
    return f"{type(error).__name__}: {error}"[:300]


def _fix_of(error: Exception) -> str:
    if isinstance(error, OpsError):
        return error.next_step
    if isinstance(error, BotoCoreError | ClientError):
        return "see that the Region answers and that these credentials may make this call"
    if isinstance(error, OSError):
        return "see that the Region answers, and that this machine can reach it"
    return "the check could not be made: mend what is named, or report it as a fault of the check"
