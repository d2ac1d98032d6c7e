"""Measures whole syntheses and writes docs/benchmarks.md: `python -m benchmarks.synthesis`.

Every program is run once before it counts, and then once in every round, one program after the
other, so that a slow minute of the machine falls on all of them; ratios are medians of the ratios
within a round. What the programs write stands in a temporary folder. Exit codes: 0 measured,
whether targets are met or not; 1 a program failed, or two that must synthesize the same do not;
3 Node, npm or a package cannot be had.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import typescript_stack

REPOSITORY = Path(__file__).parent.parent
REPORT = REPOSITORY / "docs" / "benchmarks.md"

ENVIRONMENT = "local"
MOST_ROUNDS_STOCK = 5
"""The stock import takes some 10 s: more runs tell no more."""
ROUNDS_FIRST_RUN = 3
EMPTY_APP = """\
from cdktf import App, TerraformStack

app = App()
TerraformStack(app, "empty")
app.synth()
"""
SERIES = (((2, 8), (4, 8), (8, 8)), ((2, 10), (2, 50), (2, 200)))
"""Regions and operations of the growing stack: more Regions, and more operations."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One command that is measured.

    Attributes:
        name: Of its folder, and in `Runs`.
        label: In the report.
        command: What is run, in its folder.
        environment: Environment variables beside those of this program.
        most_rounds: It is left out of the rounds after these; None for none.
        forget: Folder that is removed before every run.
    """

    name: str
    label: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    most_rounds: int | None = None
    forget: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one run took: seconds, and the memory of the largest process of its tree."""

    seconds: float
    peak_bytes: int


Runs = dict[str, list[Run]]
"""Runs by the program's name, one for each round from the first on."""


@dataclass(frozen=True)
class Target:
    """A ratio of two programs that is not to be exceeded."""

    claim: str
    measured: str
    against: str
    limit: float
    of: Callable[[Run], float]


def _seconds(run: Run) -> float:
    return run.seconds


def _peak(run: Run) -> float:
    return run.peak_bytes


TARGETS = (
    Target("at most 1.8 times an empty app", "local", "empty", 1.8, _seconds),
    Target("at most 1/8 of the stock import", "local", "stock", 1 / 8, _seconds),
    Target("at most 0.7 times TypeScript through ts-node", "local", "ts-node", 0.7, _seconds),
    Target("peak memory at most 1/5 of the stock import", "local", "stock", 1 / 5, _peak),
    Target("first run at most the stock import", "first", "stock", 1.0, _seconds),
)


class BenchmarkError(Exception):
    """A program failed, or does not synthesize what it must."""


def main() -> int:
    """Measures, prints the report and writes it.

    Returns:
        The exit code.
    """
    options = _options()
    os.environ["PATH"] = f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="synthesis-") as folder:
        bench = Bench(Path(folder))
        try:
            report = _measure(bench, options)
        except (BenchmarkError, typescript_stack.TypeScriptError) as error:
            print(error, file=sys.stderr)
            return 1
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"{error}: run `make setup`, and see that npm reaches a registry", file=sys.stderr
            )
            return 3
    options.report.write_text(report, encoding="utf-8")
    print(report)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures synthesis as whole processes.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--without-typescript", action="store_true", help="needs no npm")
    parser.add_argument("--without-growth", action="store_true", help="saves some minutes")
    parser.add_argument(
        "--report", type=Path, default=REPORT, metavar="FILE", help="default: docs/benchmarks.md"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1, and 5 for figures to rely on")
    return options


class Bench:
    """The temporary folder that programs run in, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "bindings-cache"

    def run(self, program: Program) -> Run:
        """Runs a program to its end.

        Raises:
            BenchmarkError: It failed; the message ends with what it printed.
        """
        if program.forget:
            shutil.rmtree(program.forget, ignore_errors=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            # As on a user's machine: with bytecode caches, and nothing set.
            if not name.startswith(("PYTHON", "NODE_", "JSII_", "CDKTF_", "FAILOVER_"))
        }
        environment |= {"FAILOVER_BINDINGS_CACHE": str(self.cache)} | program.environment
        with tempfile.TemporaryFile() as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                program.command,
                cwd=self.folder_of(program.name),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                end = output.read().decode(errors="replace")[-2000:]
                raise BenchmarkError(f"{program.label} ended with {process.returncode}:\n{end}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_maxrss * unit)

    def rounds(self, programs: Sequence[Program], count: int) -> Runs:
        """Runs every program once in every round."""
        runs: Runs = {program.name: [] for program in programs}
        for number in range(1, count + 1):
            for program in programs:
                if program.most_rounds is None or number <= program.most_rounds:
                    run = self.run(program)
                    runs[program.name].append(run)
                    _tell(f"round {number} of {count}: {program.label}: {run.seconds:.2f} s")
        return runs

    def warm(self, program: Program) -> None:
        """Runs a program for the first time."""
        _tell(f"before the rounds: {program.label}: {self.run(program).seconds:.2f} s")

    def folder_of(self, name: str) -> Path:
        """Where a program runs."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def stack(self, name: str, stack: str) -> dict[str, Any]:
        """The stack that a program has synthesized."""
        path = self.folder / name / "cdktf.out" / "stacks" / stack / "cdk.tf.json"
        parsed: dict[str, Any] = json.loads(path.read_bytes())
        return parsed


def _measure(bench: Bench, options: argparse.Namespace) -> str:
    """Runs everything.

    Returns:
        The report.
    """
    programs = _python_programs(bench)
    for program in programs:
        if not program.forget:
            bench.warm(program)
    _must_be_equal(bench, "local", "stock")
    if not options.without_typescript:
        for program in _typescript_programs(bench):
            bench.warm(program)
            _must_be_equal(bench, "local", program.name)
            programs.append(program)
    runs = bench.rounds(programs, options.rounds)

    growing: list[Program] = []
    if not options.without_growth:
        growing = _growing_programs()
        for program in growing:
            bench.warm(program)
    growth = bench.rounds([programs[0], *growing], options.rounds) if growing else {}
    sizes = {program.name: _size(bench.stack(program.name, "growth")) for program in growing}
    return _report(options, programs, runs, growth, sizes, _size(bench.stack("local", ENVIRONMENT)))


def _python_programs(bench: Bench) -> list[Program]:
    """The empty app, and `main.py` for one environment, for all, stock, and for the first time."""
    empty_app = bench.folder_of("empty") / "main.py"
    empty_app.write_text(EMPTY_APP, encoding="utf-8")
    main_py = [sys.executable, str(REPOSITORY / "main.py")]
    local = {"FAILOVER_ENVIRONMENT": ENVIRONMENT}
    new_cache = bench.folder / "first-cache"
    return [
        Program(
            name="empty",
            label="empty cdktf app in Python, one empty stack",
            command=[sys.executable, str(empty_app)],
        ),
        Program(
            name="local", label="`main.py`, environment `local`", command=main_py, environment=local
        ),
        Program(name="all", label="`main.py`, every environment", command=main_py),
        Program(
            name="stock",
            label="`main.py`, environment `local`, stock import",
            command=main_py,
            environment=local | {"FAILOVER_BINDINGS": "stock"},
            most_rounds=MOST_ROUNDS_STOCK,
        ),
        Program(
            name="first",
            label="`main.py`, environment `local`, first run after installation",
            command=main_py,
            environment=local | {"FAILOVER_BINDINGS_CACHE": str(new_cache)},
            most_rounds=ROUNDS_FIRST_RUN,
            forget=new_cache,
        ),
    ]


def _typescript_programs(bench: Bench) -> list[Program]:
    """The same stack in TypeScript, through ts-node and compiled."""
    typescript_stack.install()
    stack = bench.stack("local", ENVIRONMENT)
    tsc, ts_node = (
        str(typescript_stack.NODE_MODULES / path)
        for path in ("typescript/bin/tsc", "ts-node/dist/bin.js")
    )
    for name in ("ts-node", "compiled"):
        typescript_stack.write_project(stack, bench.folder_of(name))
    bench.warm(Program(name="compiled", label="compiling the TypeScript", command=["node", tsc]))
    return [
        Program(
            name="ts-node",
            label="the same stack in TypeScript, through ts-node",
            command=["node", ts_node, "main.ts"],
        ),
        Program(
            name="compiled",
            label="the same stack in TypeScript, compiled before",
            command=["node", "main.js"],
        ),
    ]


def _growing_programs() -> list[Program]:
    return [
        Program(
            name=f"{regions}x{operations}",
            label=f"{regions} Regions, {operations} operations",
            command=[
                sys.executable,
                "-m",
                "benchmarks.growing_stack",
                str(regions),
                str(operations),
            ],
            environment={"PYTHONPATH": str(REPOSITORY)},
        )
        for regions, operations in chain(*SERIES)
    ]


def _must_be_equal(bench: Bench, ours: str, theirs: str) -> None:
    found = typescript_stack.differences(
        bench.stack(ours, ENVIRONMENT), bench.stack(theirs, ENVIRONMENT)
    )
    if different := list(islice(found, 5)):
        raise BenchmarkError(f"{ours} and {theirs} differ:\n" + "\n".join(different))


def _size(stack: dict[str, Any]) -> int:
    """Resources and data sources."""
    kinds = (stack.get("resource", {}), stack.get("data", {}))
    return sum(len(blocks) for kind in kinds for blocks in kind.values())


def _ratio(runs: Runs, measured: str, against: str, of: Callable[[Run], float] = _seconds) -> float:
    """Median of the ratios within the rounds that both programs were in."""
    pairs = zip(runs[measured], runs[against], strict=False)
    return median(of(ours) / of(theirs) for ours, theirs in pairs)


def _report(
    options: argparse.Namespace,
    programs: Sequence[Program],
    runs: Runs,
    growth: Runs,
    sizes: dict[str, int],
    size: int,
) -> str:
    blocks = [
        "# Benchmarks of synthesis",
        _paragraph(
            f"Written by `make bench` on {datetime.date.today():%Y-%m-%d}. Whole processes, from "
            f"start to end. {options.rounds} rounds, in each of which every program ran once, "
            "after a run that does not count; the stock import was in "
            f"{len(runs['stock'])} of them, the first run in {len(runs['first'])}. Seconds and "
            "memory are medians; ratios are medians of the ratios within a round."
        ),
        _machine(options),
        "## Programs",
        _programs(programs, runs),
        _paragraph(
            f"The environment `{ENVIRONMENT}` is {size} resources and data sources. Memory is that "
            "of the largest process: Python programs are two, Python and Node; TypeScript is one. "
            "The first run makes the cache of the bindings; Python's bytecode and jsii's own cache "
            "are there in every run."
        ),
        _about_typescript(runs),
        "## Targets",
        f"For `main.py` in the environment `{ENVIRONMENT}`:",
        _targets(runs),
        _growth(growth, sizes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, width=110, break_long_words=False, break_on_hyphens=False)


def _machine(options: argparse.Namespace) -> str:
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
    if not options.without_typescript:
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
            f"| {_ratio(runs, program.name, 'empty'):.2f} "
            f"| {_ratio(runs, program.name, 'stock'):.1%} | {peak:.0f} |"
        )
    return "\n".join(lines)


def _about_typescript(runs: Runs) -> str:
    if "ts-node" not in runs:
        return ""
    return _paragraph(
        "The TypeScript program is the same resources in one file, with imports of the submodules "
        "that are used, checked to synthesize the same JSON; it neither validates an environment "
        "file nor makes the functions' zip, as `main.py` does. `main.py` takes "
        f"{_ratio(runs, 'local', 'ts-node'):.2f} times as long as ts-node, and "
        f"{_ratio(runs, 'local', 'compiled'):.2f} times as long as the compiled program, whose "
        "compiling is not counted."
    )


def _targets(runs: Runs) -> str:
    lines = ["| target | measured | limit | |", "|---|--:|--:|---|"]
    for target in TARGETS:
        if target.measured in runs and target.against in runs:
            ratio = _ratio(runs, target.measured, target.against, target.of)
            met = "met" if ratio <= target.limit else "**not met**"
            lines.append(f"| {target.claim} | {ratio:.3f} | {target.limit:.3f} | {met} |")
    return "\n".join(lines)


def _growth(growth: Runs, sizes: dict[str, int]) -> str:
    """How time grows with Regions, and with operations; each size beside the one before it."""
    if not growth:
        return ""
    lines = [
        "## Growth",
        "",
        _paragraph(
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


def _per_resource(growth: Runs, sizes: dict[str, int], name: str, before: str) -> str:
    resources = sizes[name] - sizes.get(before, 0)
    pairs = zip(growth[name], growth[before], strict=True)
    return f"{median(one.seconds - other.seconds for one, other in pairs) / resources * 1000:.2f}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
