"""The report on synthesis, as Markdown: figures, targets, and how time grows."""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks import typescript_stack
from benchmarks.document import paragraph, ratio, seconds
from benchmarks.programs import Program, Run, Runs

SERIES = (((2, 8), (4, 8), (8, 8)), ((2, 10), (2, 50), (2, 200)))
"""Regions and operations of the growing stack: more Regions, and more operations."""


@dataclass(frozen=True)
class Target:
    """A ratio of two programs that is not to be exceeded."""

    claim: str
    measured: str
    against: str
    limit: float
    of: Callable[[Run], float]


def _peak(run: Run) -> float:
    return run.peak_bytes


TARGETS = (
    Target("at most 1.8 times an empty app", "local", "empty", 1.8, seconds),
    Target("at most 1/8 of the stock import", "local", "stock", 1 / 8, seconds),
    Target("at most 0.7 times TypeScript through ts-node", "local", "ts-node", 0.7, seconds),
    Target("peak memory at most 1/5 of the stock import", "local", "stock", 1 / 5, _peak),
    Target("a stack for each Region: at most 1.3 times one", "regional", "local", 1.3, seconds),
    Target("first run at most the stock import", "first", "stock", 1.0, seconds),
)


def write(
    programs: Sequence[Program], runs: Runs, growth: Runs, sizes: Mapping[str, int], size: int
) -> str:
    """Write the report.

    Args:
        programs: What was compared.
        runs: Their runs.
        growth: The runs of the growing stack, and of the empty app beside them; may be empty.
        sizes: Resources and data sources of each growing stack, by the program's name.
        size: Those of the environment `local`.

    Returns:
        The Markdown.
    """
    blocks = [
        "# Benchmarks of synthesis",
        paragraph(
            f"Written by `make bench` on {datetime.date.today():%Y-%m-%d}. Whole processes, from "
            f"start to end. {len(runs['empty'])} rounds, in each of which every program ran once, "
            "after a run that does not count; the stock import was in "
            f"{len(runs['stock'])} of them, the first run in {len(runs['first'])}. Seconds and "
            "memory are medians; ratios are medians of the ratios within a round."
        ),
        _machine(runs),
        "## Programs",
        _programs(programs, runs),
        paragraph(
            f"The environment `local` is {size} resources and data sources. Memory is that "
            "of the largest process: Python programs are two, Python and Node; TypeScript is one. "
            "The first run makes the cache of the bindings; Python's bytecode and jsii's own cache "
            "are there in every run."
        ),
        _about_typescript(runs),
        "## Targets",
        "For `main.py` in the environment `local`:",
        _targets(runs),
        _growth(growth, sizes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _machine(runs: Runs) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    facts = [
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}",
        f"CPython {platform.python_version()}, Node {node.stdout.strip().removeprefix('v')}",
        "Python: "
        + ", ".join(
            f"{package} {version(package)}"
            for package in ("cdktf-cdktf-provider-aws", "cdktf", "constructs", "jsii")
        ),
    ]
    if "ts-node" in runs:
        package = json.loads((typescript_stack.PROJECT / "package.json").read_bytes())
        packages = package["dependencies"] | package["devDependencies"]
        facts.append(
            "TypeScript: "
            + ", ".join(f"{name} {number}" for name, number in sorted(packages.items()))
        )
    return "\n".join(f"- {fact}" for fact in facts)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _programs(programs: Sequence[Program], runs: Runs) -> str:
    lines = [
        "| program | seconds | fastest to slowest | times the empty app | of stock | peak MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for program in programs:
        seconds = [run.seconds for run in runs[program.name]]
        peak = median(run.peak_bytes for run in runs[program.name]) / 1e6
        lines.append(
            f"| {program.label} | {median(seconds):.2f} | {min(seconds):.2f} to {max(seconds):.2f} "
            f"| {ratio(runs, program.name, 'empty'):.2f} "
            f"| {ratio(runs, program.name, 'stock'):.1%} | {peak:.0f} |"
        )
    return "\n".join(lines)


def _about_typescript(runs: Runs) -> str:
    if "ts-node" not in runs:
        return ""
    return paragraph(
        "The TypeScript program is the same resources in one file, with imports of the submodules "
        "that are used, checked to synthesize the same JSON; it neither validates an environment "
        "file nor makes the functions' zip, as `main.py` does. `main.py` takes "
        f"{ratio(runs, 'local', 'ts-node'):.2f} times as long as ts-node, and "
        f"{ratio(runs, 'local', 'compiled'):.2f} times as long as the compiled program, whose "
        "compiling is not counted."
    )


def _targets(runs: Runs) -> str:
    lines = ["| target | measured | limit | |", "|---|--:|--:|---|"]
    for target in TARGETS:
        if target.measured in runs and target.against in runs:
            found = ratio(runs, target.measured, target.against, target.of)
            met = "met" if found <= target.limit else "**not met**"
            lines.append(f"| {target.claim} | {found:.3f} | {target.limit:.3f} | {met} |")
    return "\n".join(lines)


def _growth(growth: Runs, sizes: Mapping[str, int]) -> str:
    """How time grows with Regions, and with operations; each size beside the one before it."""
    if not growth:
        return ""
    lines = [
        "## Growth",
        "",
        paragraph(
            "`benchmarks/growing_stack.py`: `FailoverApiStack` with latency routing. Resources are "
            "resources and data sources; the empty app's time is taken off before time is divided. "
            "Added resources are those that the row has more than the one above."
        ),
        "",
        "| Regions | operations | resources | seconds | ms for a resource | ms for an added one |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for series in SERIES:
        before = ""
        for regions, operations in series:
            name = f"{regions}x{operations}"
            added = _per_resource(growth, sizes, name, before) if before else ""
            lines.append(
                f"| {regions} | {operations} | {sizes[name]} "
                f"| {median(run.seconds for run in growth[name]):.2f} "
                f"| {_per_resource(growth, sizes, name, 'empty')} | {added} |"
            )
            before = name
    return "\n".join(lines)


def _per_resource(growth: Runs, sizes: Mapping[str, int], name: str, before: str) -> str:
    resources = sizes[name] - sizes.get(before, 0)
    pairs = zip(growth[name], growth[before], strict=True)
    return f"{median(one.seconds - other.seconds for one, other in pairs) / resources * 1000:.2f}"
