"""Applies a release stack by stack: each from its saved plan, and behind a gate.

A stack whose gate fails gets the release before again, and the deployment stops there: the stacks
after it were never touched.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops.deploy.changes import StackPlan
from ops.deploy.parts import Aliases, Customers, Gate, GateResult, Stack, with_unserved
from ops.deploy.planning import plan_stack, refuse_to_destroy_data
from ops.deploy.record import History, Moment, Outcome, Record, Step, now
from ops.deploy.store import ReleaseStore
from ops.errors import FAILURES, OpsError, explain
from ops.processes import program
from ops.terraform import Progress


@dataclass
class Waves:
    """A deployment that runs.

    Attributes:
        history: Where each step is noted before it is done.
        record: The deployment; the last one of the history.
        stacks: The stacks in the order of deployment.
        store: Where releases are kept.
        gate: Decides whether it may continue.
        aliases: Gives new versions of functions their requests.
        customers: Lets a Region serve all customers.
        plans: Folder of Terraform's plans, `NAME.tfplan`, of what is in the stacks' folders.
        planned: What the operator has approved; empty if everything is to be planned again.
        approve: Called with a plan that is not as the approved one; raises an error to stop.
        check: Called before each change; raises an error if somebody else has taken the lock.
        on_step: Called with a line before each step.
        on_progress: Called while Terraform applies.
    """

    history: History
    record: Record
    stacks: Sequence[Stack]
    store: ReleaseStore
    gate: Gate
    aliases: Aliases
    customers: Customers
    plans: Path
    planned: Mapping[str, StackPlan]
    approve: Callable[[StackPlan], None]
    check: Callable[[], None] = lambda: None
    on_step: Callable[[str], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    _has_new_outputs: bool = False

    def run(self) -> Outcome:
        """Deploy what is not deployed yet.

        Returns:
            How it ended.

        Raises:
            OpsError: It cannot continue; it is unfinished then.
        """
        for stack in self.stacks:
            step = self.record.step(stack.name)
            if step is Step.PASSED:
                continue
            if step is Step.ROLLING_BACK:
                return self._roll_back(stack, self.record.reason)
            if problem := self._deploy(stack, is_resumed=step is not Step.PENDING):
                return self._roll_back(stack, problem)
        return self._end(Outcome.DEPLOYED)

    def _deploy(self, stack: Stack, *, is_resumed: bool) -> str:
        """Apply a stack and check it; returns why it must be rolled back."""
        plan = self._plan(stack)
        if plan.is_empty and not is_resumed:
            self._passed(stack)
            return ""
        if not is_resumed:
            self.on_step(f"Measuring before {stack.name} changes")
            self.gate.prepare(stack.name)
        self.check()
        if self.record.kind == "rollback":
            # What was killed may have left a share.
            with suppress(OpsError, *FAILURES):
                self.aliases.restore(stack.name)
        self._note(stack, Step.APPLYING)
        if not plan.is_empty:
            self._has_new_outputs |= plan.changes_outputs
            self.on_step(f"Applying {stack.name}")
        try:
            self._apply(stack, plan)
        except (OpsError, *FAILURES) as error:
            return f"{stack.name} could not be applied: {explain(error)}"
        self._note(stack, Step.APPLIED)
        if problem := self._release(stack) or self._bake_with_customers(stack):
            return problem
        self._passed(stack)
        return ""

    def _release(self, stack: Stack) -> str:
        """Give what was applied its requests, Region by Region; returns why it must not."""
        regions = self.aliases.regions(stack.name)
        if len(regions) != 1:
            # What has no versions has changed in all of them.
            self.on_step(f"Checking what {stack.name} serves")
            result = self._gated(stack, 0)
            if not result.passed:
                return result.found
        return next(filter(None, (self._release_in(region, stack) for region in regions)), "")

    def _release_in(self, region: str, stack: Stack) -> str:
        """Give new versions in a Region a share of its requests, then all."""
        bake, share = self.record.bake_seconds, self.record.share
        self.check()
        try:
            functions = self.aliases.share(region, share) if share else 0
        except (OpsError, *FAILURES) as error:
            return f"new versions in {region} could not get a share: {explain(error)}"
        if functions:
            new = f"{share:.0%} of the requests go to new versions of {functions} functions"
            self.on_step(f"Checking {region} for {bake:g} s, while {new}")
            result = self._gated(stack, bake, region)
            if not result.passed:
                return f"while {new}: {result.found}"
            self.check()
        try:
            self.aliases.release(region)
        except (OpsError, *FAILURES) as error:
            return f"new versions in {region} could not get the requests: {explain(error)}"
        self.on_step(f"Checking {region} for {bake:g} s")
        result = self._gated(stack, bake, region)
        return "" if result.passed else result.found

    def _bake_with_customers(self, stack: Stack) -> str:
        """Let the Region serve all customers for a while, if asked to; returns why it must not."""
        if not (self.record.with_customers and self.customers.may_move_to(stack.name)):
            return ""
        self.check()
        bake, run = self.record.bake_seconds, self.record.run
        self.on_step(f"Checking {stack.name} for {bake:g} s, while it serves all customers")
        self._note(stack, Moment.CUSTOMERS_MOVED)
        try:
            self.customers.move(run)
            result = self._gated(stack, bake)
        except (OpsError, *FAILURES) as error:
            return f"{stack.name} could not serve all customers: {explain(error)}"
        finally:
            self.customers.back(run)
            self._note(stack, Moment.CUSTOMERS_BACK)
        return "" if result.passed else f"while it served all customers: {result.found}"

    def _plan(self, stack: Stack) -> StackPlan:
        """The approved plan if it is still valid; else a new one, approved if it is another.

        Stacks read nothing of each other but outputs.
        """
        approved = self.planned.get(stack.name)
        if approved and not approved.waits_for and not self._has_new_outputs:
            return approved
        self.on_step(f"Planning {stack.name}")
        self.store.restore(self.record.targets[stack.name], stack.folder)
        stack.init()
        plan = with_unserved(plan_stack(stack, self._file(stack)), self.aliases)
        refuse_to_destroy_data([plan])
        self.record.counts[stack.name] = plan.counts()
        if not plan.is_empty and (approved is None or plan.changes != approved.changes):
            self.approve(plan)
        return plan

    def _roll_back(self, stack: Stack, problem: str) -> Outcome:
        before = self.record.before.get(stack.name, "")
        if self.record.kind == "rollback":
            return self._fail(stack, f"{problem}; a rollback is not rolled back")
        self.record.reason = problem
        if not self.record.has_come_to(stack.name, Moment.FOUND):
            self._note(stack, Moment.FOUND)
        self._note(stack, Step.ROLLING_BACK)
        self.on_step(f"Rolling {stack.name} back to the release {before or 'before'}: {problem}")
        try:
            self.check()
            # Within seconds, and whatever comes of the rest.
            with suppress(OpsError, *FAILURES):
                self.aliases.restore(stack.name)
                self.record.note(stack.name, Moment.FORMER_VERSIONS)
            if not self.store.has(before, stack.name):
                return self._fail(stack, f"{problem}; no release before is kept")
            self.store.restore(before, stack.folder)
            stack.init()
            plan = plan_stack(stack, self._file(stack))
            refuse_to_destroy_data([plan])
            self._apply(stack, plan)
            for region in self.aliases.regions(stack.name):
                self.aliases.release(region)
        except (OpsError, *FAILURES) as error:
            return self._fail(stack, f"{problem}; not rolled back: {explain(error)}")
        self._note(stack, Step.ROLLED_BACK)
        result = self._gated(stack, 0)
        if not result.passed:
            problem += f"; after the rollback: {result.found}"
        return self._end(Outcome.ROLLED_BACK, problem)

    def _fail(self, stack: Stack, reason: str) -> Outcome:
        self._note(stack, Step.FAILED)
        return self._end(Outcome.FAILED, reason)

    def _apply(self, stack: Stack, plan: StackPlan) -> None:
        """Apply a plan, and deploy the API once more if it has lost something by it."""
        if plan.outdated_deployments:
            self.record.outdated[stack.name] = list(plan.outdated_deployments)
        if not plan.is_empty:
            self._apply_file(stack)
        if addresses := self.record.outdated.get(stack.name):
            self.on_step(f"Deploying the API of {stack.name} again, without what was removed")
            refuse_to_destroy_data([plan_stack(stack, self._file(stack), addresses)])
            self._apply_file(stack)
            self.record.outdated.pop(stack.name)

    def _apply_file(self, stack: Stack) -> None:
        def started(pid: int) -> None:
            self.record.terraform = program(pid)
            self.history.write()

        stack.apply_plan(self._file(stack), self.on_progress, started)
        self.record.terraform = None

    def _gated(self, stack: Stack, bake_seconds: float, region: str = "") -> GateResult:
        begun = now("milliseconds")
        try:
            result = self.gate.check(stack.name, bake_seconds, region)
        except (OpsError, *FAILURES) as error:
            result = GateResult(False, explain(error), {})
        self.record.gates.append(
            {
                "stack": stack.name,
                "begun": begun,
                "ended": now("milliseconds"),
                "passed": result.passed,
                "found": result.found,
                "figures": dict(result.figures),
            }
        )
        self.history.write()
        if not result.passed and self.record.step(stack.name) is Step.APPLIED:
            self._note(stack, Moment.FOUND)
        return result

    def _passed(self, stack: Stack) -> None:
        self.history.deployed[stack.name] = self.record.targets[stack.name]
        self._note(stack, Step.PASSED)

    def _note(self, stack: Stack, what: Step | Moment) -> None:
        self.record.note(stack.name, what)
        self.history.write()

    def _end(self, outcome: Outcome, reason: str = "") -> Outcome:
        self.record.end(outcome, reason)
        self.history.write()
        return outcome

    def _file(self, stack: Stack) -> Path:
        return self.plans / f"{stack.name}.tfplan"
