"""What `deploy` and `rollback` have in common: the lock, who works on what, and the approval."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console
from rich.status import Status

from constructs_lib.outputs import Outputs
from ops import lock as locks
from ops.cli.break_glass import as_text, break_glass
from ops.cli.deploy_summary import history_json, print_deployment, print_summary
from ops.cli.options import environment_from, identified, known_descriptor
from ops.cli.program import Result
from ops.deploy.aliases import Aliases, hold_aliases
from ops.deploy.changes import StackPlan
from ops.deploy.customers import SwitchedCustomers
from ops.deploy.gate import RegionGate
from ops.deploy.record import History, Outcome, Record
from ops.deploy.run import Deployer
from ops.deploy.serving import serving
from ops.deploy.stack_terraform import StackTerraform
from ops.deploy.workplace import Workplace
from ops.descriptor import Descriptor, descriptor_file, write
from ops.drill.interrupts import Interrupts
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError, explain
from ops.folders import releases_folder
from ops.stacks import ROUTING_SUFFIX
from ops.synthesis import synthesize
from ops.terraform import Progress


@dataclass(frozen=True)
class DeploySession:
    """What changes an environment, in possession of its lock.

    Attributes:
        options: The command's options.
        console: Where to print.
        environment: The environment.
        place: Where its stacks are.
        deployer: What changes it.
        run: Id of the run.
    """

    options: argparse.Namespace
    console: Console
    environment: Environment
    place: Workplace
    deployer: Deployer
    run: str

    def synthesize(self, only: str | None, until: str | None) -> tuple[list[str], list[str]]:
        """Synthesize.

        Args:
            only: Region whose stack to deploy alone.
            until: Region after whose stack to stop.

        Returns:
            Names of the stacks to deploy, in order, and of those that follow later.
        """
        self.deployer.on_step(f"Synthesizing {self.environment.name}")
        names = [stack.name for stack in synthesized(self.place, only, until)]
        every = [stack.name for stack in self.place.terraforms()] if until else names
        return names, [name for name in every if name not in names]

    def ended(self, record: Record) -> Result:
        """Report how a deployment ended, and write the descriptor if there are new outputs.

        With it, print the lines that evacuate and restore Regions without this tool.

        Args:
            record: The deployment.
        """
        name = self.environment.name
        # Of a release that was resumed or rolled back, nothing need be synthesized here.
        last = next(reversed(record.targets), "")
        descriptor, passed = self.environment.descriptor, record.outcome is Outcome.DEPLOYED
        if passed and last in (name, f"{name}{ROUTING_SUFFIX}"):
            descriptor = self._write_descriptor(self.place.terraform(last))
        print_deployment(self.console, self.environment.name, record)
        by_hand = break_glass(descriptor.outputs, descriptor.endpoint_url) if passed else {}
        for line in as_text(by_hand):
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        code = ExitCode.PASSED if passed else ExitCode.CHECK_FAILED
        return Result(code, **history_json(self.deployer.history), by_hand=by_hand)

    def _write_descriptor(self, last: StackTerraform) -> Descriptor:
        outputs = Outputs.from_json({"environment": self.environment.name} | last.outputs())
        descriptor = replace(self.environment.descriptor, outputs=outputs)
        path = descriptor_file(self.options.folder.resolve(), self.environment.name)
        write(path, descriptor)
        return descriptor


@contextmanager
def deploy_session(
    options: argparse.Namespace, history: History, console: Console
) -> Iterator[DeploySession]:
    """Take the lock of an environment, after the account was checked.

    Args:
        options: The command's options.
        history: The environment's history.
        console: Where to print.

    Yields:
        What changes it.

    Raises:
        OpsError: Nobody could approve, or the environment is not known here or locked, or is in
            another account.
    """
    name = options.environment
    if not options.auto_approve and not sys.stdin.isatty():
        raise UsageError(
            "nobody can approve the changes: this is not a terminal",
            next_step="see them with --plan-only, then give --auto-approve",
        )
    if known_descriptor(options) is None:
        raise UsageError(
            f"the environment {name} is not known here, and gates and lock need its descriptor",
            next_step="the first time, deploy it with cdktf or Terraform. Then: python -m ops "
            f"export --environment {name}; for a sandbox: python -m sandbox up",
        )
    environment = environment_from(options)
    place = Workplace.of(environment.name, environment.descriptor)
    if environment.outputs.customers:
        # Asked for now, as every gate needs it.
        _ = environment.api_key
    identified(
        environment,
        refuse_unknown=not options.without_lock,
        otherwise=f"if it is lost, deploy only another Region: --without-lock --only "
        f"{environment.primary}",
    )
    run = locks.new_run("deploy")
    with (
        Interrupts(),
        _locked(options, environment, history, run) as check,
        console.status("") as status,
    ):
        history.refresh()
        aliases = Aliases(environment)
        deployer = Deployer(
            environment.name,
            history,
            releases_folder(options.folder.resolve(), name),
            place.terraform,
            RegionGate(environment, versions=aliases.problem),
            aliases,
            SwitchedCustomers(environment),
            approve=partial(_approve, options, environment, console, status),
            check=check,
            on_step=partial(_show_step, console, status),
            on_progress=partial(_show_progress, status),
        )
        try:
            yield DeploySession(options, console, environment, place, deployer, run)
        except KeyboardInterrupt:
            if history.unfinished:
                console.print(
                    f"Unfinished. Finish it: python -m ops deploy resume --environment {name}; or "
                    f"undo it: python -m ops rollback --environment {name}",
                    markup=False,
                )
            raise


def synthesized(
    place: Workplace, only: str | None, until: str | None = None
) -> tuple[StackTerraform, ...]:
    """Synthesize the stacks to deploy; Terraform leaves their aliases to this tool.

    Args:
        place: Where to.
        only: Region whose stack to deploy alone.
        until: Region after whose stack to stop.
    """
    synthesize(place.environment, place.output)
    for stack in place.terraforms():
        hold_aliases(stack.folder)
    return chosen_stacks(place, only, until)


def chosen_stacks(
    place: Workplace, only: str | None, until: str | None = None
) -> tuple[StackTerraform, ...]:
    """The stacks to deploy.

    Args:
        place: Where they are synthesized.
        only: Region whose stack to deploy alone.
        until: Region after whose stack to stop.

    Raises:
        UsageError: That Region has no stack of its own.
    """
    stacks = place.terraforms()
    if (region := only or until) is None:
        return stacks
    names = [stack.name for stack in stacks]
    if (name := f"{place.environment}-{region}") not in names:
        raise UsageError(
            f"--{'only' if only else 'until'} {region}: {place.environment} has no stack of this "
            f"Region alone; its stacks are {', '.join(names)}",
            next_step='name one of its Regions; that needs layout = "regional" in the environment '
            "file",
        )
    position = names.index(name)
    return stacks[position if only else 0 : position + 1]


def is_over(history: History) -> bool:
    """Whether the unfinished deployment is known to have ended, so that its lock is free.

    Whether one of another machine runs, only its lock shows.

    Args:
        history: The history.
    """
    unfinished = history.unfinished
    return unfinished is not None and not unfinished.is_alive and not history.shelf.is_shared


@contextmanager
def _locked(
    options: argparse.Namespace, environment: Environment, history: History, run: str
) -> Iterator[Callable[[], None]]:
    if options.without_lock:
        yield lambda: None
        return
    unfinished = history.unfinished
    replaces = unfinished.run if unfinished and is_over(history) else ""
    with locks.hold(environment, kind="deploy", run=run, replaces=replaces, notify=print) as lock:
        yield partial(check_lock, lock)


def check_lock(lock: locks.Lock) -> None:
    """Make sure that a deployment still holds its lock.

    Args:
        lock: The lock.

    Raises:
        OpsError: Somebody has taken it, or the secondary Region does not respond.
    """
    try:
        lock.check()
    except locks.LockedError:
        raise
    except OpsError as error:
        environment = lock.environment
        raise OpsError(
            explain(error),
            next_step=f"when it responds again: python -m ops deploy resume --environment "
            f"{environment.name}; if {environment.secondary} is lost, and nobody else changes the "
            "environment: the same with --without-lock",
        ) from error


def _approve(
    options: argparse.Namespace,
    environment: Environment,
    console: Console,
    status: Status,
    plans: Sequence[StackPlan],
) -> None:
    print_summary(console, environment.name, plans, serving(environment).found)
    if options.auto_approve or all(plan.is_empty for plan in plans):
        return
    status.stop()
    try:
        typed = input(f"Type {environment.name} to apply this: ")
    except EOFError:
        typed = ""
    if typed.strip() != environment.name:
        raise UsageError(
            "not approved: these changes were not applied",
            next_step=f"type {environment.name} when asked, or give --auto-approve",
        )
    status.start()


def _show_step(console: Console, status: Status, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
    status.update(line)


def _show_progress(status: Status, progress: Progress) -> None:
    running = f": {progress.running[0]}" if progress.running else ""
    status.update(f"{progress.done} of {progress.total} resources{running}")
