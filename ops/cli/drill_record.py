"""Leaves the record of a drill that has just ended."""

from contextlib import suppress
from pathlib import Path

from ops.drill.outcome import Outcome
from ops.environment import Environment
from ops.errors import explain
from ops.identity import Identity
from ops.readiness.chain import Link, append
from ops.readiness.deployed import deployed_now
from ops.readiness.place import shelf_for
from ops.readiness.record import record_of
from ops.readiness.signing import KmsKey
from ops.verify import Verification


def leave_record(
    environment: Environment,
    outcome: Outcome,
    *,
    run: str,
    identity: Identity | None,
    verification: Verification,
    report: Path | None,
) -> tuple[Link | None, str]:
    """Leave the record of a drill; what was measured must not be lost with it.

    Args:
        environment: The environment.
        outcome: What the drill found.
        run: Id of the run.
        identity: Whose credentials it used.
        verification: The verification before the fault.
        report: Folder of its report; None if none was written.

    Returns:
        The record in its place, or None and why there is none.
    """
    content = b""
    if report:
        with suppress(OSError):
            content = (report / "report.json").read_bytes()
    try:
        shelf, key = shelf_for(environment), KmsKey.of(environment)
        record = record_of(
            environment,
            outcome,
            run=run,
            identity=identity,
            deployed=deployed_now(environment, shelf),
            verification=verification,
            report=content,
        )
        return append(shelf, record, key.sign if key else None), ""
    except Exception as error:
        return None, explain(error)
