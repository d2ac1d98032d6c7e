"""`python -m ops drill --check-history FILE`: judge the writes of an earlier drill again."""

import json
from pathlib import Path

from rich.console import Console

from ops.cli.program import Result
from ops.drill.consistency import (
    RECONCILED,
    Verdict,
    after_reconciliation,
    before_reconciliation,
    check,
    not_reconciled,
)
from ops.drill.figures import consistency_in_words
from ops.drill.history import read
from ops.errors import ExitCode

console = Console(highlight=False, soft_wrap=True)


def checked(path: Path) -> Result:
    """Judge a history, and compare the verdict with the one that the drill has written.

    Args:
        path: The history.

    Returns:
        The exit code, with the verdict: 1 if a write is not as it must be, or the drill came to
        another verdict.

    Raises:
        OpsError: It is not a history.
    """
    history, written = read(path)
    verdict = check(before_reconciliation(history))
    found = _as_written(verdict)
    console.print(
        f"Drill of {history.environment}, begun {history.started}: {history.fault} in "
        f"{' and '.join(history.lost)}.",
        markup=False,
    )
    for line in consistency_in_words(verdict):
        console.print(line, markup=False)
    problems = list(verdict.problems)
    if history.when(RECONCILED) is not None:
        left = not_reconciled(after_reconciliation(history))
        console.print(f"Wrong after reconciliation: {len(left) or 'none'}.", markup=False)
        problems += left
    if written is not None and written != found:
        differing = sorted(name for name in written | found if written.get(name) != found.get(name))
        problems.append(f"the drill came to another verdict: {', '.join(differing)}")
    for problem in problems:
        console.print(f"Failed: {problem}", style="red", markup=False)
    if not problems:
        same = "the verdict of the drill" if written is not None else "the drill wrote no verdict"
        console.print(f"The writes are as they must be; {same}.", style="green")
    return Result(
        ExitCode.CHECK_FAILED if problems else ExitCode.PASSED, **found, failures=problems
    )


def _as_written(verdict: Verdict) -> dict[str, object]:
    """As it is after writing and reading: JSON knows no tuples."""
    found: dict[str, object] = json.loads(json.dumps(verdict.to_json()))
    return found
