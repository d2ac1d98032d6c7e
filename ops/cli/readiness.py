"""`python -m ops readiness`: whether drills have proved that a failover works, and when."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from ops.cli.options import Commands, add_command, environment_from, identified, number
from ops.cli.program import Result
from ops.cli.verify import exit_code_of, print_findings
from ops.drill.objectives import objectives_of
from ops.environment import Environment
from ops.errors import OpsError
from ops.readiness import chain, proofs
from ops.readiness.deployed import deployed_now
from ops.readiness.place import shelf_for
from ops.readiness.proofs import Readiness, Required
from ops.readiness.signing import KmsKey, PublicKey, public_key_in
from ops.verify import Verification
from ops.verify.finding import Finding, unreadable

console = Console(highlight=False)


def add_to(commands: Commands) -> None:
    """Register the command.

    Args:
        commands: Where commands are registered.
    """
    parser = add_command(
        commands,
        "readiness",
        _readiness,
        "show whether drills have proved that a failover works, and whether that still holds",
        "Reads the records that drills have left, checks that each is as it was written, and shows "
        "for every fault of [objectives] the last drill that passed, its age, RTO and RPO, and "
        "what has been deployed since. Changes nothing.",
        "Exit codes: 0 every proof is there, 1 one is missing, too old or was followed by a drill "
        "that failed, or records were changed or removed, 2 wrong usage, 3 something could not be "
        "read.",
    )
    parser.add_argument(
        "--max-age",
        type=_days,
        metavar="DAYS",
        help="days after which a drill no longer counts (default: proof_days of [objectives], 90)",
    )
    parser.add_argument(
        "--proof",
        dest="proofs",
        action="append",
        metavar="FAULT[:REGION+…]",
        help="drill that must have passed, in place of those of [objectives]; may be repeated",
    )
    parser.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="public key that has signed the records, in place of asking KMS for it",
    )
    parser.add_argument(
        "--contains",
        default="",
        metavar="SHA256",
        help="digest of a record that must be there, as this command has shown it before",
    )


def _readiness(options: argparse.Namespace) -> int:
    begun = monotonic()
    environment = environment_from(options)
    objectives = objectives_of(environment)
    wanted = proofs.required(environment, options.proofs or objectives.proofs)
    given = public_key_in(options.public_key) if options.public_key else None
    identity = identified(environment, refuse_unknown=False)
    checked_at = datetime.now(UTC)
    findings: list[Finding] = []
    with console.status(f"Reading the records of {environment.name}"):
        key = given or _key(environment, findings)
        shelf = shelf_for(environment)
        readiness = Readiness(
            environment,
            _read(findings, lambda: chain.read(shelf, environment.name)),
            objectives,
            options.max_age or objectives.proof_days,
            checked_at,
            deployed_now(environment, shelf),
            key,
        )
    if not any(each.check == proofs.CHAIN for each in findings):
        findings += _findings(readiness, wanted, options.contains)
    verification = Verification(
        environment.name,
        checked_at.isoformat(timespec="seconds"),
        monotonic() - begun,
        tuple(findings),
    )
    print_findings(verification, console)
    head = readiness.chain.head
    if head:
        # In one line of its own, to be noted elsewhere: a table would cut it.
        console.print(f"Digest of the last record: {head.digest}", soft_wrap=True, markup=False)
    return Result(
        exit_code_of(verification),
        **verification.to_json(),
        identity=identity.to_json(),
        max_age_days=readiness.max_age_days,
        records=len(readiness.chain.links),
        head=head.digest if head else None,
        proofs=[_to_json(readiness, each) for each in wanted],
    )


def _findings(readiness: Readiness, wanted: Sequence[Required], contains: str) -> Iterator[Finding]:
    yield from _of(proofs.CHAIN, readiness.of_chain(contains))
    yield from _of(proofs.SIGNATURES, readiness.of_signatures())
    for each in wanted:
        yield from _of(proofs.PASSED, readiness.of_proof(each))
        yield from _of(proofs.DRIFT, readiness.of_drift(each))


def _of(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield replace(finding, check=check)


def _key(environment: Environment, findings: list[Finding]) -> PublicKey | None:
    key = KmsKey.of(environment)
    if key is None:
        return None
    try:
        return key.public_key()
    except OpsError as error:
        found = unreadable("records", str(error.args[0]), error.next_step)
        findings.append(replace(found, check=proofs.SIGNATURES))
        return None


def _read(findings: list[Finding], read: Callable[[], chain.Chain]) -> chain.Chain:
    try:
        return read()
    except OpsError as error:
        found = unreadable("records", str(error.args[0]), error.next_step)
        findings.append(replace(found, check=proofs.CHAIN))
        return chain.Chain()


def _to_json(readiness: Readiness, wanted: Required) -> dict[str, Any]:
    """The last proof of a drill, for programs."""
    link = readiness.proof(wanted)
    age = readiness.now - link.record.ended_at if link else None
    return {
        "fault": wanted.fault,
        "lost": list(wanted.lost),
        "age_days": round(age.total_seconds() / 86400, 3) if age is not None else None,
        "digest": link.digest if link else None,
        "record": link.record.to_json() if link else None,
    }


def _days(text: str) -> float:
    return number(text, 36500, "a number of days above 0")
