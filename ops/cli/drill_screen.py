"""What a drill prints: its steps, what it sees while it waits, and its outcome."""

from collections.abc import Callable

from rich.console import Console
from rich.status import Status
from rich.table import Table

from ops.drill import figures
from ops.drill.events import Events
from ops.drill.outcome import Outcome, basis
from ops.environment import Environment

console = Console(highlight=False, soft_wrap=True)


def notifier(status: Status) -> Callable[[str], None]:
    """Print each step, and keep it on the status line.

    Args:
        status: The status line.
    """

    def notify(line: str) -> None:
        status.update(line)
        console.print(line, markup=False)

    return notify


def show(status: Status, environment: Environment, events: Events) -> None:
    """Show what is seen now.

    Args:
        status: The status line.
        environment: The environment.
        events: What was seen until now.
    """
    last = events.requests[-1:]
    served = (last[0].region or last[0].what) if last else "nobody"
    failed = sum(not r.ok for r in events.requests)
    answer = (events.dns[-1].region or events.dns[-1].error) if events.dns else "?"
    states = {seen.check: seen.healthy for seen in events.health}
    unhealthy = ", ".join(check for check, healthy in states.items() if not healthy) or "none"
    begun = events.when("injecting")
    since = (events.marks[0].at if events.marks else 0.0) if begun is None else begun
    now = last[0].answered_at if last else since
    scaled = " (scaled)" if environment.speed != 1 else ""
    status.update(
        f"{(now - since) * environment.speed:+4.0f} s on AWS{scaled} | served by {served} | "
        f"DNS answers {answer} | {len(events.requests)} requests, {failed} failed | "
        f"unhealthy: {unhealthy}"
    )


def print_outcome(outcome: Outcome, reported: str) -> None:
    """Print what a drill found: what it has left comes first.

    Args:
        outcome: What it found.
        reported: What became of its report, as a sentence.
    """
    for what in outcome.left:
        console.print(f"NOT RESTORED: {what}", style="red", markup=False)
    for line in (outcome.finish, *outcome.by_hand) if outcome.left else ():
        console.print(f"  Finish with: {line}", style="red", markup=False)
    table = Table(*figures.times_header(outcome), title=f"Drill: {outcome.fault}")
    for row in figures.times_table(outcome):
        table.add_row(*row)
    console.print(table)
    if measured := outcome.measurements:
        for kind, count in measured.counts.items():
            console.print(f"{kind}s: {count.sent} sent, {count.failed} failed")
    console.print(f"writes: {figures.writes_in_words(outcome)}")
    for line in figures.consistency_in_words(outcome.consistency) if outcome.consistency else ():
        console.print(line, markup=False)
    for line in outcome.fence.in_words() if outcome.fence else ():
        console.print(line, markup=False)
    for line in outcome.reconciliation.in_words() if outcome.reconciliation else ():
        console.print(line, markup=False)
    retries = figures.retrying_in_words(outcome)
    console.print(f"client that retries in another Region: {retries}", markup=False)
    for line in basis(outcome):
        console.print(line, markup=False)
    for finding in outcome.findings:
        console.print(f"Failed: {finding}", style="red", markup=False)
    for reason in outcome.unmeasured:
        console.print(f"Not measured: {reason}", style="yellow", markup=False)
    ending = "was interrupted; everything is restored" if outcome.interrupted else outcome.verdict
    if ending == "not measured":
        ending = "has neither passed nor failed: its load was not measured"
    if outcome.left:
        ending = "failed, and has not restored everything"
    style = "green" if outcome.passed else "red"
    console.print(f"The drill {ending}. {reported}", style=style, markup=False)
