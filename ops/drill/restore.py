"""Restores what drills have changed: what their journals name, and nothing of anybody else."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from ops import lock as locks
from ops import switch
from ops.drill import journal as journals
from ops.drill.aws_faults import reserved_concurrency
from ops.drill.journal import InvalidJournalError, Journal
from ops.drill.probe_location import ProbeLocation
from ops.drill.speed import current_speed, set_all_speeds
from ops.drill.steps import (
    Step,
    clearing,
    deletion,
    failing_back,
    is_failover_since,
    persistently,
)
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.lock import Lock


@dataclass(frozen=True)
class Plan:
    """What a restore would do.

    Attributes:
        journals: The drills that it restores.
        steps: What it would do.
        others: What was found that is of none of these drills, and is left as it is.
        invalid: Why the journal's file is not a journal; empty if it is one, or there is none.
        ended: Id of the drill of this machine that is known to have ended; empty if there is none.
        holder: Who else holds the lock now, in words; empty if nobody does.
    """

    journals: tuple[Journal, ...]
    steps: tuple[Step, ...]
    others: tuple[str, ...]
    invalid: str = ""
    ended: str = ""
    holder: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.journals or self.steps or self.invalid)

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of the drills that it restores."""
        return tuple(journal.run for journal in self.journals)


@dataclass
class Restored:
    """What was done.

    Attributes:
        done: What was restored, in words.
        failed: What could not be, in words, and why.
        by_hand: The command lines that finish it without this tool.
    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


def plan(environment: Environment, *, location_id: str = "") -> Plan:
    """Find out what a restore would do; nothing is changed.

    Args:
        environment: The environment.
        location_id: Another location whose observations of drills are to be deleted, too.

    Raises:
        OpsError: A drill runs on this machine, or the journal is of another environment.
    """
    local, invalid = _local_journal(environment)
    found = _journals(environment, local)
    steps = [step for journal in found for step in _needed(environment, journal)]
    if location_id and location_id not in {journal.location_id for journal in found}:
        steps += _deletions(environment, location_id)
    if environment.descriptor.sandbox and found:
        steps.append(
            Step(
                f"set the speed of the sandbox to {environment.speed:g}, if it is another one",
                partial(_set_speed, environment),
            )
        )
    others = tuple(_others(environment, found))
    ended = local.run if local else ""
    return Plan(found, tuple(steps), others, invalid, ended, _holder(environment, ended))


def restore(environment: Environment, lock: Lock, plan: Plan) -> Restored:
    """Carry out a plan.

    Args:
        environment: The environment.
        lock: The lock, in the hands of this run.
        plan: The plan.

    Returns:
        What was done; the journal is removed once nothing has failed.

    Raises:
        OpsError: Another drill has left something since the plan was made.
    """
    if lock.note and Journal.from_text(lock.note).run not in plan.runs:
        raise OpsError(
            "another drill has ended without restoring what it changed, since this was planned",
            next_step="run this again",
        )
    restored = Restored()
    for step in plan.steps:
        try:
            done = persistently(step.do)
        except OpsError as error:
            restored.failed.append(f"{step.what}: {explain(error)}")
            restored.by_hand += [step.by_hand] if step.by_hand else []
        else:
            restored.done += [done] if done else []
    if not restored.failed:
        try:
            persistently(partial(lock.annotate, ""))
            restored.done += _without_journal(environment, plan)
        except (OpsError, OSError) as error:
            restored.failed.append(f"remove the journal: {explain(error)}")
    return restored


def _needed(environment: Environment, journal: Journal) -> Iterator[Step]:
    """The steps of one drill that there is anything to do for, as far as that can be read."""
    for fault in journal.faults:
        step = clearing(environment, fault)
        try:
            if fault.is_injected(environment):
                yield step
        except Exception as error:  # what cannot be read now may be cleared in a moment
            yield replace(step, what=f"{step.what}, if it is injected: {explain(error)}")
    for region, step in failing_back(environment, journal.started).items():
        try:
            if is_failover_since(switch.status(environment, region), journal.started):
                yield step
        except Exception as error:
            yield replace(step, what=f"{step.what}: {explain(error)}")
    yield from _deletions(environment, journal.location_id)


def _deletions(environment: Environment, location_id: str) -> Iterator[Step]:
    location = ProbeLocation(environment, location_id)
    for region in environment.regions:
        step = deletion(location, region)
        try:
            if count := len(location.written(region, retry_seconds=0)):
                yield replace(step, what=f"{step.what}: {count}")
        except Exception as error:
            yield replace(step, what=f"{step.what}, if there are any: {explain(error)}")


def _local_journal(environment: Environment) -> tuple[Journal | None, str]:
    """The journal on this machine, whose drill has ended, or why there is no valid one."""
    try:
        return journals.read_ended(environment.journal_file, environment), ""
    except InvalidJournalError as error:
        return None, str(error)


def _journals(environment: Environment, local: Journal | None) -> tuple[Journal, ...]:
    """The drills to restore: that of this machine, and that of the lock's note."""
    try:
        noted = journals.noted(environment)
    except InvalidJournalError as error:
        raise OpsError(
            f"what an earlier drill has left in {environment.name} cannot be read: {error}",
            next_step="restore it with the version of this tool that ran the drill",
        ) from error
    except OpsError:
        # What this machine knows can be shown without the secondary Region.
        if local is None:
            raise
        noted = None
    # Of the same run, the file may be the newer one: it is written first.
    found = {journal.run: journal for journal in (noted, local) if journal}
    return tuple(found.values())


def _others(environment: Environment, found: Sequence[Journal]) -> Iterator[str]:
    """What looks like a drill's and is not of these; what cannot be read is left out."""
    ids = {id for journal in found for fault in journal.faults for id in fault.ids}
    with suppress(Exception):
        for region, state in switch.statuses(environment)[0].items():
            is_failover = any(is_failover_since(state, journal.started) for journal in found)
            if state.evacuated and state.writer not in ids and not is_failover:
                yield f"{region} is {state}"
    with suppress(Exception):
        for injected in environment.fault_injection.faults() if environment.fault_injection else ():
            if injected.id not in ids:
                yield f"the fault {injected.fault} is injected in {injected.fault.region}"
    for region in environment.regions:
        with suppress(Exception):
            if reserved_concurrency(environment, region) == 0:
                name = environment.outputs.health_functions[region]
                yield f"the reserved concurrency of {name} in {region} is 0"


def _holder(environment: Environment, ended: str) -> str:
    with suppress(OpsError):
        state = locks.read(environment)
        return str(state) if state.run not in ("", ended) else ""
    return ""


def _set_speed(environment: Environment) -> str:
    if current_speed(environment) == environment.speed:
        return ""
    set_all_speeds(environment, environment.speed)
    return f"set the speed of the sandbox to {environment.speed:g} again"


def _without_journal(environment: Environment, plan: Plan) -> Iterator[str]:
    path = environment.journal_file
    if plan.invalid and path.exists():
        aside = path.with_suffix(".invalid")
        path.replace(aside)
        yield f"moved {path}, which is not a journal ({plan.invalid}), to {aside}"
    elif plan.ended:
        journals.remove(path, plan.ended)
        yield f"removed the journal {path}"
