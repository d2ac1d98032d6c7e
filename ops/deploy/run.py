"""Begins, resumes and rolls back deployments of one environment."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ops.deploy.changes import StackPlan
from ops.deploy.parts import Aliases, Customers, Gate, Stack, with_unserved
from ops.deploy.planning import plan_stacks, refuse_to_destroy_data
from ops.deploy.record import SETTLED, History, Outcome, Record, now
from ops.deploy.store import KEPT, ReleaseStore
from ops.deploy.waves import Waves
from ops.drill.journal import this_program
from ops.errors import ExitCode, OpsError, UsageError
from ops.lock import new_run, user
from ops.terraform import Progress

_POLL_SECONDS = 0.5


@dataclass
class Deployer:
    """Changes one environment.

    Attributes:
        environment: Name of the environment.
        history: Its history.
        folder: Folder on this machine for Terraform's plans.
        stack: Gives what plans and applies a stack, by its name.
        gate: Decides whether a release may continue.
        aliases: Gives new versions of functions their requests.
        customers: Lets the secondary Region serve all customers.
        approve: Called with plans; raises an error if they are not approved.
        check: Raises an error if somebody else has taken the lock.
        on_step: Called with a line before each step.
        on_progress: Called while Terraform applies.
        sleep: Waits for so many seconds.
    """

    environment: str
    history: History
    folder: Path
    stack: Callable[[str], Stack]
    gate: Gate
    aliases: Aliases
    customers: Customers
    approve: Callable[[Sequence[StackPlan]], None]
    check: Callable[[], None] = lambda: None
    on_step: Callable[[str], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    store: ReleaseStore = field(init=False)

    def __post_init__(self) -> None:
        """Find the releases beside the history."""
        self.store = ReleaseStore(self.history.shelf)

    def deploy(
        self,
        names: Sequence[str],
        *,
        revision: str,
        bake_seconds: float,
        share: float = 0.0,
        with_customers: bool = False,
        run: str = "",
        rest: Sequence[str] = (),
    ) -> Record:
        """Deploy what is synthesized.

        Args:
            names: Names of the stacks, in the order of deployment.
            revision: Git revision that was synthesized.
            bake_seconds: How long each gate lasts.
            share: Share of a Region's requests that new versions of functions get first; 0 for
                none.
            with_customers: Whether the secondary Region then serves all customers for a while.
            run: Id of the run.
            rest: Names of stacks of the same release that are deployed later.

        Returns:
            The deployment.

        Raises:
            OpsError: It is refused, or cannot continue.
        """
        left = refuse_unfinished(self.environment, self.history, names)
        if with_customers and not any(map(self.customers.may_move_to, names)):
            raise UsageError(
                "--bake-with-customers: no stack of these is of the secondary Region alone: "
                + ", ".join(names),
                next_step='set layout = "regional" in the environment file, and do not leave the '
                "secondary out with --only",
            )
        stacks = [self.stack(name) for name in names]
        release = self.store.add([self.stack(name).folder for name in (*names, *rest)])
        record = self._record("deploy", release, dict.fromkeys(names, release), run)
        record.revision, record.bake_seconds, record.share = revision, bake_seconds, share
        record.with_customers, record.rest = with_customers, list(rest)
        return self._begin(record, stacks, replaces=left)

    def rollback(self, *, bake_seconds: float, run: str = "") -> Record:
        """Give every stack that the last deployment has changed the release before.

        One that was killed before it changed anything is over then.

        Args:
            bake_seconds: How long each gate lasts.
            run: Id of the run.

        Returns:
            The rollback.

        Raises:
            OpsError: There is nothing to roll back, or it cannot continue.
        """
        last = self.history.last
        if last is None:
            raise UsageError(
                f"nothing was deployed to {self.environment}, by what is in {self.history.shelf}",
                next_step="name the folder of its releases with --folder; they are in a bucket if "
                "the environment file is on this machine and its state is there",
            )
        self._await_end(last)
        targets = {name: last.before.get(name, "") for name in last.changed}
        missing = [name for name, id in targets.items() if not self.store.has(id, name)]
        if missing or not (targets or last.outcome is Outcome.UNFINISHED):
            what = "the last deployment has changed nothing, or was rolled back"
            if missing:
                what = f"no release before is kept of {', '.join(missing)}"
            raise UsageError(
                f"nothing can be rolled back: {what}",
                next_step="check out the git revision that you want, and deploy it: python -m ops "
                f"deploy history --environment {self.environment}",
            )
        stacks = [self.stack(name) for name in targets]
        for stack in stacks:
            self.store.restore(targets[stack.name], stack.folder)
        record = self._record("rollback", "", targets, run)
        record.bake_seconds = bake_seconds
        return self._begin(record, stacks, replaces=last)

    def resume(self) -> Record:
        """Finish a deployment that was killed or interrupted.

        Returns:
            The deployment.

        Raises:
            OpsError: There is none, it still runs, or it cannot continue.
        """
        record = self.history.unfinished
        if record is None:
            raise UsageError(
                f"no deployment of {self.environment} is unfinished",
                next_step=f"python -m ops deploy --environment {self.environment}",
            )
        self._await_end(record)
        record.program, record.terraform = this_program(), None
        self.history.write()
        self._clean_up(record)
        stacks = [self.stack(name) for name in record.targets]
        with self._plans() as folder:
            return self._run(record, stacks, folder, {})

    def _record(self, kind: str, release: str, targets: dict[str, str], run: str) -> Record:
        before = {name: self.history.deployed.get(name, "") for name in targets}
        return Record(
            run=run or new_run("deploy"),
            kind=kind,
            release=release,
            targets=targets,
            before={name: id for name, id in before.items() if self.store.has(id, name)},
            begun=now(),
            user=user(),
            host=socket.gethostname(),
            revision="",
            bake_seconds=0.0,
            program=this_program(),
        )

    def _begin(
        self, record: Record, stacks: Sequence[Stack], *, replaces: Record | None = None
    ) -> Record:
        with self._plans() as folder:
            for stack in stacks:
                self.on_step(f"Initializing Terraform in {stack.name}")
                stack.init()
            planned = plan_stacks(stacks, folder, self.on_step)
            plans = [with_unserved(plan, self.aliases) for plan in planned]
            refuse_to_destroy_data(plans)
            if plans:
                self.approve(plans)
            self.check()
            record.counts = {plan.stack: plan.counts() for plan in plans}
            if replaces and replaces.outcome is Outcome.UNFINISHED:
                if record.kind == "rollback":
                    self._clean_up(replaces)
                    replaces.end(Outcome.ROLLED_BACK, f"by {record.run}")
                else:
                    # An evacuated primary stays so: it may be the Region that is lost.
                    replaces.end(Outcome.FAILED, f"left unfinished by {record.run}")
            self.history.records.append(record)
            self.history.write()
            return self._run(record, stacks, folder, {plan.stack: plan for plan in plans})

    def _run(
        self,
        record: Record,
        stacks: Sequence[Stack],
        folder: Path,
        planned: Mapping[str, StackPlan],
    ) -> Record:
        Waves(
            history=self.history,
            record=record,
            stacks=stacks,
            store=self.store,
            gate=self.gate,
            aliases=self.aliases,
            customers=self.customers,
            plans=folder,
            planned=planned,
            approve=lambda plan: self.approve([plan]),
            check=self.check,
            on_step=self.on_step,
            on_progress=self.on_progress,
        ).run()
        try:
            self.store.prune(self.history.releases(KEPT))
        except OpsError as error:
            self.on_step(f"Former releases were not removed: {error.args[0]}")
        return record

    def _clean_up(self, killed: Record) -> None:
        if killed.with_customers:
            self.check()
            self.customers.back(killed.run)
        self.gate.clean()

    def _await_end(self, record: Record) -> None:
        """Make sure that a deployment has ended, and Terraform, which outlives it."""
        if record.is_alive and record.program != this_program():
            raise OpsError(
                f"the deployment {record.run} runs, as process {record.program.pid}",
                next_step="wait for it, or end it with Ctrl-C",
            )
        if record.terraform and record.terraform.process():
            self.on_step("Waiting for Terraform, which finishes what it began")
            while record.terraform.process():
                self.sleep(_POLL_SECONDS)

    @contextmanager
    def _plans(self) -> Iterator[Path]:
        """A folder for Terraform's plans, which hold secrets; it is removed at the end."""
        folder = self.folder / "plans"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def refuse_unfinished(environment: str, history: History, names: Sequence[str]) -> Record | None:
    """Refuse to deploy while another deployment is unfinished.

    One that was interrupted in the stack of a Region that is lost can be neither finished nor
    undone, so the stack of another Region may be deployed alone.

    Args:
        environment: Name of the environment.
        history: The history.
        names: Names of the stacks to deploy; empty if not known yet.

    Returns:
        One that was interrupted elsewhere, and is to be left as it is; None if there is none.

    Raises:
        OpsError: There is one.
    """
    if (record := history.unfinished) is None:
        return None
    is_one_of_several = len(names) == 1 and len(record.targets) > 1
    if is_one_of_several and record.step(names[0]) in SETTLED and not record.is_alive:
        return record
    which = f"--environment {environment}"
    undo = (
        f"finish it: python -m ops deploy resume {which}; or undo it: python -m ops rollback "
        f"{which}; if one of its Regions is lost, deploy only another one with --only"
    )
    what, next_step = "was interrupted", undo
    if record.is_alive:
        what, next_step = "runs", "wait for it"
    elif record.host != socket.gethostname():
        what, next_step = f"runs on {record.host}, or was interrupted", f"wait for it, or {undo}"
    raise OpsError(
        f"the deployment {record.run}, begun {record.begun} by {record.user}, {what}",
        next_step=next_step,
        exit_code=ExitCode.CHECK_FAILED,
    )
