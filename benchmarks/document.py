"""docs/reference/benchmarks.md: one section for each benchmark, written by it alone."""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.programs import Run, Runs

REPOSITORY = Path(__file__).parent.parent
REPORT = REPOSITORY / "docs" / "reference" / "benchmarks.md"


def write_section(section: str, report: Path = REPORT) -> None:
    """Write a section in the place of the one with the same heading, or after the others.

    Args:
        section: Markdown that begins with a heading of the first level.
        report: The file; it need not exist.
    """
    written = report.read_text(encoding="utf-8") if report.exists() else ""
    sections = re.split(r"^(?=# )", written, flags=re.MULTILINE)[1:]
    by_heading = {text.partition("\n")[0]: text.strip() for text in sections}
    by_heading[section.partition("\n")[0]] = section.strip()
    report.write_text("\n\n".join(by_heading.values()) + "\n", encoding="utf-8")


def paragraph(text: str) -> str:
    """Wrap a paragraph to lines of the width of the report.

    Args:
        text: The paragraph.
    """
    return textwrap.fill(text, width=110, break_long_words=False, break_on_hyphens=False)


def seconds(run: Run) -> float:
    """What a run took."""
    return run.seconds


def ratio(runs: Runs, measured: str, against: str, of: Callable[[Run], float] = seconds) -> float:
    """Median of the ratios within the rounds that both programs were in.

    Args:
        runs: All runs.
        measured: Name of one program.
        against: Name of the other one.
        of: What is compared.
    """
    pairs = zip(runs[measured], runs[against], strict=False)
    return median(of(ours) / of(theirs) for ours, theirs in pairs)
