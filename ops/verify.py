"""`ops verify`: everything that a failover needs is in place.

The checks stand in `ops.verification`, a subject per module. They run side by side, and one that
breaks does not keep the others from looking.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from ops.environment import Environment
from ops.verification.checks import CHECKS
from ops.verification.finding import Check, Finding, Outcome

CHECKS_AT_A_TIME = 8
REPORT_VERSION = 1


@dataclass(frozen=True)
class Verification:
    """What all checks found.

    Attributes:
        environment: Name of the environment.
        checked_at: When the checks began, ISO 8601 in UTC.
        seconds: How long they took.
        findings: What they found, in the order of the checks.
    """

    environment: str
    checked_at: str
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; what cannot be seen from here is no failure."""
        return not self.with_outcome(Outcome.FAILED)

    def with_outcome(self, outcome: Outcome) -> tuple[Finding, ...]:
        """The findings with one outcome.

        Args:
            outcome: The outcome.
        """
        return tuple(finding for finding in self.findings if finding.outcome is outcome)

    def to_json(self) -> dict[str, Any]:
        """As JSON values.

        Returns:
            `{version, environment, checked_at, seconds, passed, summary, findings}`: `summary` is
            `{passed, failed, unknown}`, a number each; a finding is `{check, subject, outcome,
            found, fix, measured}`, where `measured` is `{name with unit: number}`. Keys stay, and
            further ones may come.
        """
        return {
            "version": REPORT_VERSION,
            "environment": self.environment,
            "checked_at": self.checked_at,
            "seconds": round(self.seconds, 3),
            "passed": self.passed,
            "summary": {outcome.value: len(self.with_outcome(outcome)) for outcome in Outcome},
            "findings": [
                {
                    "check": finding.check,
                    "subject": finding.subject,
                    "outcome": finding.outcome.value,
                    "found": finding.found,
                    "fix": finding.fix,
                    "measured": dict(finding.measured),
                }
                for finding in self.findings
            ],
        }


def verify(environment: Environment, checks: Sequence[Check] = CHECKS) -> Verification:
    """Makes all checks.

    Args:
        environment: The environment.
        checks: What to check.

    Returns:
        What was found; a check that breaks is a failed finding.
    """
    checked_at, begun = datetime.now(UTC), monotonic()
    with ThreadPoolExecutor(CHECKS_AT_A_TIME) as pool:
        found = [*pool.map(lambda check: check.run(environment), checks)]
    return Verification(
        environment=environment.name,
        checked_at=checked_at.isoformat(timespec="seconds"),
        seconds=monotonic() - begun,
        findings=tuple(finding for findings in found for finding in findings),
    )
