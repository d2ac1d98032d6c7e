"""`ops verify`: check that everything that a failover needs is in place.

One module per subject. All checks run at once, each Region for itself, and one that raises an
exception does not keep the others from running. What has not ended in time is unknown.
"""

from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from ops.deadline import started
from ops.environment import Environment
from ops.verify import (
    capacity,
    certificates,
    dns,
    experiments,
    failback,
    fence,
    health_checks,
    health_states,
    leftovers,
    parity,
    provider,
    quotas,
    regions,
    releases,
    replicas,
    table,
    tls,
    zone,
)
from ops.verify.finding import Check, Finding, Outcome, Part, unreadable

CHECKS: tuple[Check, ...] = (
    leftovers.evacuation,
    fence.state,
    leftovers.faults,
    leftovers.health_function,
    leftovers.weight,
    experiments.running,
    leftovers.lock,
    leftovers.drill,
    dns.records,
    dns.answers,
    zone.recovery,
    zone.query_log,
    failback.records,
    failback.answer,
    failback.mark,
    health_checks.target,
    health_checks.evacuation,
    health_checks.record,
    health_checks.checkers,
    health_states.state,
    certificates.issued,
    certificates.served,
    tls.version,
    tls.policy,
    regions.url,
    regions.domain,
    regions.api_key,
    table.replication,
    replicas.status,
    replicas.consistency,
    table.protection,
    table.parity,
    replicas.key_state,
    parity.routes,
    parity.functions,
    parity.stage,
    parity.api_keys,
    parity.usage_plans,
    releases.regions,
    releases.unfinished,
    experiments.templates,
    experiments.role,
    quotas.parity,
    capacity.headroom,
    capacity.limits,
    capacity.provisioned,
    provider.lock,
)
"""All checks, in the order of their findings."""
ABOUT_CAPACITY = frozenset(
    each.id for each in (quotas.parity, capacity.headroom, capacity.limits, capacity.provisioned)
)
"""Ids of the checks of how much a Region carries, which a drill under load measures."""
TIMEOUT_SECONDS = 14.0
"""For a command as a whole."""
INTERRUPTED_SECONDS = 3.0
REPORT_VERSION = 1


@dataclass(frozen=True)
class Verification:
    """The findings of all checks.

    Attributes:
        environment: Name of the environment.
        checked_at: When the checks began, ISO 8601 in UTC.
        seconds: How long they took.
        findings: The findings, in the order of the checks.
    """

    environment: str
    checked_at: str
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and nothing is unknown because it could not be read."""
        return not self.with_outcome(Outcome.FAILED) and not self.unreadable

    @property
    def unreadable(self) -> tuple[Finding, ...]:
        """The findings of what could not be read or reached."""
        return tuple(finding for finding in self.findings if finding.unreadable)

    def with_outcome(self, outcome: Outcome) -> tuple[Finding, ...]:
        """List the findings with one outcome.

        Args:
            outcome: The outcome.
        """
        return tuple(finding for finding in self.findings if finding.outcome is outcome)

    def to_json(self) -> dict[str, Any]:
        """Convert the report to JSON values.

        Returns:
            `{version, environment, checked_at, seconds, passed, summary, findings}`: `summary` is
            `{passed, failed, unknown}`, a number each; a finding is `{check, subject, outcome,
            found, fix, measured, unreadable}`, where `measured` is `{name with unit: number}`.
            Keys are never removed, and further ones may be added.
        """
        return {
            "version": REPORT_VERSION,
            "environment": self.environment,
            "checked_at": self.checked_at,
            "seconds": round(self.seconds, 3),
            "passed": self.passed,
            "summary": {outcome.value: len(self.with_outcome(outcome)) for outcome in Outcome},
            "findings": [asdict(finding) for finding in self.findings],
        }


@dataclass
class _Running:
    """A part of a check, and what it has found so far."""

    part: Part
    found: list[Finding] = field(default_factory=list)

    def run(self) -> None:
        for finding in self.part.run():
            self.found.append(finding)


def verify(
    environment: Environment,
    checks: Sequence[Check] = CHECKS,
    *,
    spent_seconds: float = 0.0,
) -> Verification:
    """Run checks.

    Args:
        environment: The environment to check.
        checks: The checks to run.
        spent_seconds: What the command has taken already, of the time that it may take in all.

    Returns:
        Their findings; a check that raises an exception is a finding, too, as is one that has not
        ended in time.
    """
    checked_at, begun = datetime.now(UTC), monotonic()
    timeout_seconds = max(TIMEOUT_SECONDS * environment.patience - spent_seconds, 0)
    running = [_Running(part) for check in checks for part in check.parts(environment)]
    futures = [started(each.run) for each in running]
    try:
        wait(futures, timeout_seconds)
    except KeyboardInterrupt:
        # What was written to measure replication is removed within a moment.
        wait(futures, INTERRUPTED_SECONDS)
        raise
    findings: list[Finding] = []
    for each, future in zip(running, futures, strict=True):
        in_time = future.done()
        findings += each.found
        if not in_time:
            findings.append(_late(each.part, timeout_seconds))
    return Verification(
        environment=environment.name,
        checked_at=checked_at.isoformat(timespec="seconds"),
        seconds=monotonic() - begun,
        findings=tuple(releases.allow_differences(findings)),
    )


def _late(part: Part, timeout_seconds: float) -> Finding:
    late = unreadable(
        part.subject,
        "; ".join(filter(None, [f"no result within {timeout_seconds:.0f} s", part.if_late])),
        "see the other findings for what is out of reach, and run the command again",
    )
    return replace(late, check=part.check)
