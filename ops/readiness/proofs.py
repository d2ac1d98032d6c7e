"""Which drills must have passed, and whether they have: pure but for the clock, which is given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from constructs_lib.outputs import ObjectivesOutput
from ops.drill.faults import FAULTS
from ops.environment import Environment
from ops.errors import UsageError
from ops.readiness.chain import Chain, Link
from ops.readiness.deployed import drift
from ops.readiness.signing import PublicKey
from ops.verify.finding import Finding, failed, passed, unknown, unreadable

CHAIN, SIGNATURES, PASSED, DRIFT = (
    "records.chain",
    "records.signatures",
    "proof.passed",
    "proof.drift",
)
_JUDGED_BY = {"cut_over": "cut-over", "served_again": "time until a Region served again"}
"""What was measured in the place of the RTO."""
CLOCK_TOLERANCE = timedelta(minutes=10)
_RESTORE = (
    "find out who has changed it: the bucket's older versions and CloudTrail; restore it, or keep "
    "all records elsewhere and begin with new drills"
)


@dataclass(frozen=True)
class Required:
    """A drill that must have passed.

    Attributes:
        fault: Name of the fault.
        lost: The Regions that are lost, in the order of the environment's.
    """

    fault: str
    lost: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.fault} in {' and '.join(self.lost)}"

    def command(self, environment: Environment) -> str:
        """The command that runs the drill.

        Args:
            environment: The environment.
        """
        regions = " ".join(f"--region {region}" for region in self.lost)
        execute = "" if environment.descriptor.sandbox else " --execute"
        return f"python -m ops drill {environment.selector} --fault {self.fault} {regions}{execute}"


def required(environment: Environment, proofs: Sequence[str]) -> tuple[Required, ...]:
    """List the drills that must have passed.

    Args:
        environment: The environment.
        proofs: As the settings name them; empty for every fault that can be injected.

    Raises:
        UsageError: One cannot be injected into the environment.
    """
    usable = [name for name, fault in FAULTS.items() if fault.is_possible(environment)]
    found: dict[Required, None] = {}
    for proof in proofs or usable:
        fault, _, named = proof.partition(":")
        if fault not in usable:
            raise UsageError(
                f'the proof "{proof}" is of a fault that no drill can inject into '
                f"{environment.name}",
                next_step=f"name one of these: {', '.join(usable)}",
            )
        regions = set(named.split("+")) if named else set()
        if wrong := sorted(regions - {*environment.regions}):
            raise UsageError(
                f'the proof "{proof}" names {", ".join(wrong)}, which is not a Region of '
                f"{environment.name}",
                next_step=f"name one or more of {', '.join(environment.regions)}",
            )
        if regions:
            groups = [tuple(region for region in environment.regions if region in regions)]
        elif environment.outputs.routing_policy == "failover":
            groups = [environment.regions[:1]]
        else:
            groups = [(region,) for region in environment.regions]
        found |= {Required(fault, lost): None for lost in groups}
    return tuple(found)


@dataclass(frozen=True)
class Readiness:
    """What readiness is judged by.

    Attributes:
        environment: The environment.
        chain: The records.
        objectives: The objectives, which may have changed since a drill.
        max_age_days: Days after which a drill no longer counts.
        now: The time, in UTC.
        deployed: What is deployed now.
        key: What must have signed the records; None if they are not signed, or it is unknown.
    """

    environment: Environment
    chain: Chain
    objectives: ObjectivesOutput
    max_age_days: float
    now: datetime
    deployed: Mapping[str, Mapping[str, str]]
    key: PublicKey | None = None

    def of_chain(self, contains: str = "") -> Iterator[Finding]:
        """Judge whether all records are there and as they were written.

        Args:
            contains: A digest that must be there; empty for none.
        """
        for problem in self.chain.problems:
            yield failed("records", problem, _RESTORE)
        if contains and contains not in {link.digest for link in self.chain.links}:
            yield failed("records", f"no record has the digest {contains}: records were removed",
                         _RESTORE)  # fmt: skip
        elif not self.chain.problems:
            number = len(self.chain.links)
            found = f"{number} records, each as it was written"
            yield passed("records", found if number else "no drill has left one yet")

    def of_signatures(self) -> Iterator[Finding]:
        """Judge the signatures; before the first one, the environment had no key, or another."""
        arn, found = self.environment.outputs.records_key_arn, self.chain.links
        if arn is None and self.key is None:
            signed = sum(bool(link.signature) for link in found)
            yield unknown(
                "records",
                "records are not signed here: whoever may write them all may invent them"
                if not signed
                else f"{signed} records are signed, and the key is not known: --public-key FILE",
            )
            return
        if self.key is None:
            # That the key cannot be read was said before.
            return
        # The digest of what is before the first one is in that, which is signed.
        keys = [link.signature.get("key") for link in found]
        first = next((i for i, key in enumerate(keys) if key and arn in (key, None)), len(found))
        wrong = [link for link in found[first:] if not self._is_signed(link)]
        for link in wrong:
            yield failed(
                "records",
                f"record {link.sequence}, {link.record.run}, is not signed by the environment's "
                "key: it was changed, or put in",
                _RESTORE,
            )
        if not wrong:
            yield passed("records", f"{len(found) - first} of {len(found)} are signed by the key")

    def of_proof(self, wanted: Required) -> Iterator[Finding]:
        """Judge the drills of one fault.

        Args:
            wanted: The drill that must have passed.
        """
        fix = wanted.command(self.environment)
        tried = [link for link in self.chain.links if self._counts(link, wanted)]
        proof = next((link for link in reversed(tried) if link.record.passed), None)
        if proof is None:
            why = f"{len(tried)} failed, the last one: {_why(tried[-1])}" if tried else "no drill"
            yield failed(str(wanted), f"no drill has passed: {why}" if tried else
                         "no drill has passed: none is recorded", fix)  # fmt: skip
            return
        problems = [*self._problems(proof, last=tried[-1])]
        found = f"passed {_ago(self.now - proof.record.ended_at)}: {in_words(proof)}"
        if problems:
            yield failed(str(wanted), "; ".join([*problems, found]), fix)
        else:
            yield passed(str(wanted), found)

    def of_drift(self, wanted: Required) -> Iterator[Finding]:
        """Say what has changed since the last proof; that fails nothing.

        Args:
            wanted: The drill that must have passed.
        """
        proof = self.proof(wanted)
        if proof is None:
            return
        differs, then, unread = drift(proof.record.deployed, self.deployed)
        if differs:
            yield unknown(str(wanted), f"changed since: {', '.join(differs)}")
        if then:
            yield unknown(str(wanted), f"not known of the time of the drill: {', '.join(then)}")
        if unread:
            yield unreadable(
                str(wanted),
                f"cannot be compared with what is deployed now: {', '.join(unread)}",
                f"run it again: python -m ops readiness {self.environment.selector}",
            )
        if not (differs or then or unread):
            yield passed(str(wanted), "what was deployed then is deployed now")

    def proof(self, wanted: Required) -> Link | None:
        """The last drill that passed; None if there is none.

        Args:
            wanted: The drill that must have passed.
        """
        links = (link for link in self.chain.links if self._counts(link, wanted))
        return next((link for link in reversed([*links]) if link.record.passed), None)

    def _problems(self, proof: Link, last: Link) -> Iterator[str]:
        record, objectives = proof.record, self.objectives
        if last is not proof:
            yield f"the last drill failed, {_ago(self.now - last.record.ended_at)}: {_why(last)}"
        age = self.now - record.ended_at
        if age > timedelta(days=self.max_age_days):
            yield f"the last proof is older than {self.max_age_days:g} days"
        if age < -CLOCK_TOLERANCE:
            yield f"the last proof is of {record.ended}, which is yet to come"
        for name, allowed in (("RTO", objectives.rto_seconds), ("RPO", objectives.rpo_seconds)):
            seconds = (record.rto if name == "RTO" else record.rpo).get("seconds")
            if allowed is not None and seconds is not None and seconds > allowed:
                yield f"the {name} was {seconds:g} s, and the objective is now {allowed:g} s"

    def _counts(self, link: Link, wanted: Required) -> bool:
        record = link.record
        return (
            (record.fault, record.lost) == (wanted.fault, wanted.lost)
            and record.account_id == self.environment.outputs.account_id
            # Whoever ends a drill, or cannot measure its load, has proved and refuted nothing.
            and record.verdict not in ("interrupted", "not measured")
            and (self.key is None or self._is_signed(link))
        )

    def _is_signed(self, link: Link) -> bool:
        return self.key is not None and self.key.has_signed(link.signed, link.signature)


def in_words(link: Link) -> str:
    """A drill in one line.

    Args:
        link: Its record.
    """
    record = link.record
    scaled = " (scaled)" if record.speed != 1 else ""
    releases = {str(each.get("release", "")) for each in record.deployed.values()} - {""}
    return (
        f"{record.run}, ended {record.ended}; {_time(record.rto, 'RTO', scaled)} of "
        f"{record.max_rto_seconds:g} s; {_time(record.rpo, 'RPO', scaled)}; release "
        f"{', '.join(sorted(releases)) or 'unknown'}"
    )


def _time(found: Mapping[str, Any], name: str, scaled: str) -> str:
    what = _JUDGED_BY.get(str(found.get("judged_by")), name)
    seconds, error = found.get("seconds"), found.get("error_seconds")
    if seconds is None or error is None:
        return f"{what} {found['state']}"
    return f"{what} {seconds:.1f} ± {error:.1f} s{scaled}"


def _why(link: Link) -> str:
    return next(iter((*link.record.left, *link.record.findings)), link.record.verdict)


def _ago(age: timedelta) -> str:
    if age < timedelta(days=2):
        return f"{max(age, timedelta()) / timedelta(hours=1):.0f} hours ago"
    return f"{age.days} days ago"
