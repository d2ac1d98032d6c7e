"""The record of one drill: what was done to what, by whom, and what was measured."""

import hashlib
import json
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.deploy.revision import git_revision
from ops.drill.objectives import figures, objectives_of
from ops.drill.outcome import Outcome
from ops.environment import Environment
from ops.identity import Identity
from ops.lock import user
from ops.verify import Verification

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class DrillRecord:
    """One drill.

    Attributes:
        version: Of this form.
        run: Id of the run.
        environment: Name of the environment.
        account_id: The AWS account, as the environment's outputs name it.
        caller: ARN of whoever ran it; empty if unknown.
        user: The user of the machine.
        host: The machine.
        regions: The Regions in order.
        routing_policy: How DNS chooses among them.
        fault: Name of the fault.
        description: What injecting it did, in words.
        lost: The Regions into which it was injected.
        started: When, ISO 8601 in UTC.
        ended: When, ISO 8601 in UTC.
        speed: How much faster than AWS health checks, DNS and replication ran; 1 on AWS.
        deployed: What was deployed: `{Region or routing: {what: release or digest}}`.
        objectives: RTO and RPO that were asked for, in seconds; None for none.
        max_rto_seconds: Longest RTO that passed.
        rto: What was measured, on AWS: `figures` has its form.
        rpo: The same.
        verdict: `passed`, `failed`, `not measured` or `interrupted`.
        findings: What went wrong, in words.
        left: What could not be restored, in words.
        checks: `{check: outcome}` of the verification before the fault; the worst of each.
        tool: What ran it: its git revision, empty if that is unknown, the SHA-256 of its modules,
            and Python's version.
        report_sha256: SHA-256 of `report.json`; empty if none was written.
    """

    version: int
    run: str
    environment: str
    account_id: str
    caller: str
    user: str
    host: str
    regions: tuple[str, ...]
    routing_policy: str
    fault: str
    description: str
    lost: tuple[str, ...]
    started: str
    ended: str
    speed: float
    deployed: Mapping[str, Mapping[str, str]]
    objectives: Mapping[str, float | None]
    max_rto_seconds: float
    rto: Mapping[str, Any]
    rpo: Mapping[str, Any]
    verdict: str
    findings: tuple[str, ...]
    left: tuple[str, ...]
    checks: Mapping[str, str]
    tool: Mapping[str, str]
    report_sha256: str

    @property
    def passed(self) -> bool:
        """Whether the drill passed."""
        return self.verdict == "passed"

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return datetime.fromisoformat(self.ended)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "DrillRecord":
        """Read what `to_json` gave.

        Args:
            values: JSON values.

        Raises:
            ValueError: They are something else; the message names the reason.
        """
        try:
            if values["version"] != VERSION:
                raise ValueError(f"its version is {values['version']}, not {VERSION}")
            lists = ("regions", "lost", "findings", "left")
            found = cls(**values | {name: tuple(values[name]) for name in lists})
            # What is computed with is of the kind that it should be.
            _ = (found.ended_at - datetime.now(UTC), float(found.speed), found.rto["state"])
            _ = (found.rpo["state"], dict(found.deployed), str(found.verdict))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"a member is missing or has another form: {error!r}") from error
        return found


def record_of(
    environment: Environment,
    outcome: Outcome,
    *,
    run: str,
    identity: Identity | None,
    deployed: Mapping[str, Mapping[str, str]],
    verification: Verification | None,
    report: bytes,
) -> DrillRecord:
    """Make the record of a drill that has just ended.

    Args:
        environment: The environment.
        outcome: What the drill found.
        run: Id of the run.
        identity: Whose credentials it used; None if that is unknown.
        deployed: What is deployed, as `deployed_now` gives it.
        verification: The verification before the fault.
        report: Content of `report.json`; empty if none was written.
    """
    objectives = objectives_of(environment)
    return DrillRecord(
        version=VERSION,
        run=run,
        environment=environment.name,
        account_id=environment.outputs.account_id,
        caller=(identity and identity.caller) or "",
        user=user(),
        host=socket.gethostname(),
        regions=outcome.scenario.regions,
        routing_policy=outcome.scenario.routing_policy,
        fault=outcome.fault,
        description=outcome.description,
        lost=outcome.scenario.lost,
        started=outcome.started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        speed=outcome.speed,
        deployed=deployed,
        objectives={
            "rto_seconds": objectives.rto_seconds,
            "rpo_seconds": objectives.rpo_seconds,
        },
        max_rto_seconds=outcome.limits.max_rto_seconds,
        **figures(outcome),
        verdict=outcome.verdict,
        findings=tuple(outcome.findings),
        left=tuple(outcome.left),
        checks=_checks(verification),
        tool=_tool(),
        report_sha256=sha256(report) if report else "",
    )


def canonical(value: Any) -> bytes:
    """JSON of a value in the one form that is hashed and signed.

    Args:
        value: JSON values.
    """
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True).encode()


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits.

    Args:
        content: What to hash.
    """
    return hashlib.sha256(content).hexdigest()


def _checks(verification: Verification | None) -> dict[str, str]:
    worst: dict[str, str] = {}
    order = ("passed", "unknown", "failed")
    findings: Sequence[Any] = verification.findings if verification else ()
    for finding in findings:
        known = worst.get(finding.check, "passed")
        worst[finding.check] = max(known, str(finding.outcome), key=order.index)
    return worst


def _tool() -> dict[str, str]:
    folder = Path(__file__).resolve().parent.parent
    modules = {str(m.relative_to(folder)): sha256(m.read_bytes()) for m in folder.rglob("*.py")}
    return {
        "revision": git_revision(),
        "modules_sha256": sha256(canonical(modules)),
        "python": platform.python_version(),
    }
