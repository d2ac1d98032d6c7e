"""Measures releases on a sandbox with a stack for each Region: `python -m benchmarks.releases`.

In each round every program deploys a change of its own to the code of a function, one after the
other: synthesis and a plain apply of every stack, `ops deploy` without and with a share of the
requests first, and a rollback of the last one. Gates do not bake: what is measured is the work.
Exit codes: 0 measured; 1 a program failed.
"""

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.document import REPORT, REPOSITORY, paragraph, ratio, write_section
from benchmarks.programs import Bench, BenchmarkError, Program, Runs

COPIED = (
    *("cdktf_bindings", "constructs_lib", "environments", "lambda_src", "ops", "sandbox"),
    *("weather_api", "main.py", "cdktf.json"),
)
BASE = "apply"
"""Name of the program that the others are compared with."""
CHANGE = "echo '# another release' >> lambda_src/get_weather.py"
EACH_STACK = """\
python main.py
for stack in data us-west-2 us-east-1 routing; do
    terraform -chdir="$CDKTF_OUTDIR/stacks/local-$stack" apply -auto-approve -input=false
done
"""


def main() -> int:
    """Measures, prints the section and writes it.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Measures releases on a sandbox.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1, and 3 for figures to rely on")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="releases-") as folder:
        bench = Bench(Path(folder))
        try:
            with _sandbox(bench) as programs:
                runs = bench.rounds(programs, options.rounds)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    section = _section(programs, runs)
    print(section)
    write_section(section, options.report)
    return 0


@contextmanager
def _sandbox(bench: Bench) -> Iterator[Sequence[Program]]:
    """A sandbox of a copy of the repository, and the programs that deploy from it."""
    checkout, folder = bench.folder_of("checkout"), bench.folder / "sandbox"
    for name in COPIED:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, checkout / name)
    file = checkout / "environments" / "local.toml"
    file.write_text(f'layout = "regional"\n{file.read_text(encoding="utf-8")}', encoding="utf-8")

    def program(name: str, label: str, script: str) -> Program:
        return Program(
            name=name,
            label=label,
            command=["sh", "-ec", f"cd {checkout}\n{script}"],
            environment={
                "FAILOVER_ENVIRONMENT": "local",
                "CDKTF_OUTDIR": str(folder / "terraform" / "cdktf.out"),
            },
        )

    sandbox = f"python -m sandbox {{}} --folder {folder}"
    ops = (
        f"python -m ops {{}} --environment local --folder {folder} --auto-approve --bake-seconds 0"
    )
    release = ops.format("deploy")
    programs = [
        program(
            BASE,
            "synthesis, and `terraform apply` in every stack",
            f'{CHANGE}\neval "$({sandbox.format("env")})"\n{EACH_STACK}',
        ),
        program(
            "release", "`ops deploy --share 0`, no bake time", f"{CHANGE}\n{release} --share 0"
        ),
        program(
            "share",
            "`ops deploy`, a share of the requests first, no bake time",
            f"{CHANGE}\n{release}",
        ),
        program("rollback", "`ops rollback` of that, no bake time", ops.format("rollback")),
    ]
    try:
        bench.run(program("up", "the sandbox", f"{sandbox.format('up')} --free-ports"))
        bench.run(program("first", "the first release", release))
        yield programs
    finally:
        bench.run(program("down", "the end of the sandbox", sandbox.format("down")))


def _section(programs: Sequence[Program], runs: Runs) -> str:
    rounds = len(runs[BASE])
    lines = [
        "# Benchmarks of releases",
        "",
        paragraph(
            f"Written by `python -m benchmarks.releases` on {datetime.date.today():%Y-%m-%d}, "
            f"{os.cpu_count()} cores. Whole processes, from start to end, on a sandbox with the "
            f"layout `regional`: {rounds} rounds, in each of which every program ran once, and "
            "each changed the code of all functions. Seconds are medians; ratios are medians of "
            "the ratios within a round. Without a bake time the gates check once. With one, a "
            "release with a share takes four bake times longer: each Region has two gates."
        ),
        "",
        "| program | seconds | fastest to slowest | times the plain apply |",
        "|---|--:|--:|--:|",
    ]
    for program in programs:
        seconds = [run.seconds for run in runs[program.name]]
        lines.append(
            f"| {program.label} | {median(seconds):.0f} | {min(seconds):.0f} to "
            f"{max(seconds):.0f} | {ratio(runs, program.name, BASE):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
