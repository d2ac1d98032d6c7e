"""Measures whole syntheses and writes a section of docs/reference/benchmarks.md.

Every program is run once before it counts, and then once in every round, one program after the
other, so that a slow minute of the machine falls on all of them; ratios are medians of the ratios
within a round. The programs write to a temporary folder. Exit codes: 0 measured,
whether targets are met or not; 1 a program failed, or two that must synthesize the same do not;
3 Node, npm or a package cannot be had.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from itertools import chain, islice
from pathlib import Path
from typing import Any

from benchmarks import report, typescript_stack
from benchmarks.document import REPORT, REPOSITORY, write_section
from benchmarks.programs import Bench, BenchmarkError, Program

ENVIRONMENT = "local"
MOST_ROUNDS_STOCK = 5
"""The stock import takes some 10 s: more runs add nothing."""
ROUNDS_FIRST_RUN = 3
EMPTY_APP = """\
from cdktf import App, TerraformStack

app = App()
TerraformStack(app, "empty")
app.synth()
"""


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
            text = _measure(bench, options)
        except (BenchmarkError, typescript_stack.TypeScriptError) as error:
            print(error, file=sys.stderr)
            return 1
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"{error}: run `make setup`, and see that npm reaches a registry", file=sys.stderr
            )
            return 3
    write_section(text, options.report)
    print(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures synthesis as whole processes.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--without-typescript", action="store_true", help="needs no npm")
    parser.add_argument("--without-growth", action="store_true", help="saves some minutes")
    parser.add_argument(
        "--report",
        type=Path,
        default=REPORT,
        metavar="FILE",
        help="default: docs/reference/benchmarks.md",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1, and 5 for figures to rely on")
    return options


def _measure(bench: Bench, options: argparse.Namespace) -> str:
    """Run everything.

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
    size = _size(bench.stack("local", ENVIRONMENT))
    return report.write(programs, runs, growth, sizes, size)


def _python_programs(bench: Bench) -> list[Program]:
    """The empty app, and `main.py` for one environment in both layouts, for all, stock, first."""
    empty_app = bench.folder_of("empty") / "main.py"
    empty_app.write_text(EMPTY_APP, encoding="utf-8")
    main_py = [sys.executable, str(REPOSITORY / "main.py")]
    local = {"FAILOVER_ENVIRONMENT": ENVIRONMENT}
    regional = bench.folder_of("regional-environments")
    shipped = (REPOSITORY / "environments" / f"{ENVIRONMENT}.toml").read_text(encoding="utf-8")
    (regional / f"{ENVIRONMENT}.toml").write_text(
        f'layout = "regional"\n{shipped}', encoding="utf-8"
    )
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
        Program(
            name="regional",
            label="`main.py`, environment `local`, a stack for each Region",
            command=main_py,
            environment=local | {"FAILOVER_ENVIRONMENTS": str(regional)},
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
        for regions, operations in chain(*report.SERIES)
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


if __name__ == "__main__":
    sys.exit(main())
