"""Generate docs/reference/rpo.md from rpo.json: `python -m scripts.rpo`.

`python -m scripts.rpo --run` measures first, in sandboxes of its own: a drill for each fault, lag
of replication and number of Regions that rpo.json does not have yet. Each result is stored at once,
so that a run which was interrupted continues where it ended. `--regions 2 --lag 5 --fault
partition` measures those alone, `--again` also what is there already, and `--descriptor FILE` uses
a sandbox that runs, whose lag and Regions are those given.

`--check` only compares the page; exit codes: 0 written or up to date, 1 out of date or a drill that
did not pass, whose result is not stored.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.generated import results_in, write_or_check

REPOSITORY = Path(__file__).parent.parent
REFERENCE = REPOSITORY / "docs" / "reference"
RESULTS = REFERENCE / "rpo.json"
PAGE = REFERENCE / "rpo.md"
COMMAND = "python -m scripts.rpo"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
COUNTS = (2, 3)
LAGS = (0.0, 0.5, 5.0)
"""Medians, in seconds of AWS; the second is the sandbox's default."""
FAULTS: Mapping[str, tuple[str, ...]] = {
    "region-loss": ("--fault", "region-loss"),
    "region-loss for good": ("--fault", "region-loss", "--discard"),
    "partition": ("--fault", "partition"),
    "replication-paused": ("--fault", "replication-paused"),
    "dynamodb-dns": ("--fault", "dynamodb-dns"),
    "sts": ("--fault", "sts"),
    "control-plane": ("--fault", "control-plane"),
}
"""`{row: options of the drill}`."""
ATTEMPTS = 3
# What is lost is what is measured; how long it takes on a busy machine is in the table.
LIMITS = ("--max-lost-writes", "100000", "--max-rto-seconds", "1000")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one drill measured; times in seconds on AWS, scaled.

    Attributes:
        fault: One of `FAULTS`.
        lag_seconds: Median time that a write takes to another Region.
        regions: How many Regions there are; the first is lost.
        judged_by: `rto`, or `cut_over` if no request fails.
        expected_seconds: How long that may take at most.
        seconds: How long it took.
        error_seconds: Its error.
        acknowledged: Writes that were acknowledged in the whole drill.
        missing_writes: RPO in writes.
        window_seconds: RPO in seconds.
        oldest_seconds: Age of the oldest missing write at the cut-over.
        after_cut_over: Writes that the lost Region acknowledged after the cut-over.
        conflicts: Keys that both sides wrote.
        overwritten: Acknowledged writes that lost against one of another Region.
        lost: Writes that were lost at the end.
        speed: How much faster than AWS the sandbox ran.
    """

    fault: str
    lag_seconds: float
    regions: int
    judged_by: str
    expected_seconds: float
    seconds: float
    error_seconds: float
    acknowledged: int
    missing_writes: int
    window_seconds: float
    oldest_seconds: float
    after_cut_over: int
    conflicts: int
    overwritten: int
    lost: int
    speed: float

    @property
    def key(self) -> tuple[int, str, float]:
        """What was measured."""
        return self.regions, self.fault, self.lag_seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure if asked to, and write the page, or compare it.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure the RPO; write rpo.md.")
    parser.add_argument("--run", action="store_true", help="measure what is missing first")
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="with --run: these alone")
    parser.add_argument("--lag", type=float, choices=LAGS, action="append", help="the same")
    parser.add_argument("--regions", type=int, choices=COUNTS, action="append", help="the same")
    parser.add_argument("--descriptor", type=Path, help="with --run: of a sandbox that runs")
    options, rest = parser.parse_known_args(arguments)
    failed = options.run and not _measured(options)
    return write_or_check(PAGE, page(read()), command=COMMAND, arguments=rest) or int(failed)


def read() -> list[Result]:
    """What was measured last."""
    return results_in(RESULTS, Result)


def write(results: Iterable[Result]) -> None:
    """Store results in the place of earlier ones, and write the page.

    Args:
        results: What was measured.
    """
    known = {each.key: each for each in [*read(), *results]}
    rows = sorted(known.values(), key=_order)
    text = ",\n".join(f" {json.dumps(asdict(each))}" for each in rows)
    RESULTS.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    PAGE.write_text(page(rows), encoding="utf-8")


def result_of(report: Mapping[str, Any], *, fault: str, lag_seconds: float) -> Result:
    """The row of a drill.

    Args:
        report: What `ops drill --json` prints.
        fault: One of `FAULTS`.
        lag_seconds: Median of the lag.
    """
    time = report["measurements"][report["judged_by"]]
    found = report["consistency"]
    return Result(
        fault=fault,
        lag_seconds=lag_seconds,
        regions=len(report["regions"]),
        judged_by=report["judged_by"],
        expected_seconds=round(report["expectation"]["seconds"], 1),
        seconds=round(time["aws_seconds"], 1),
        error_seconds=round(time["aws_error_seconds"], 1),
        acknowledged=sum(found["acknowledged"].values()),
        missing_writes=found["missing_writes"],
        window_seconds=round(found["window_seconds"], 1),
        oldest_seconds=round(found["oldest_seconds"], 1),
        after_cut_over=found["after_cut_over"],
        conflicts=len(found["conflicts"]),
        overwritten=found["overwritten"],
        lost=found["lost"],
        speed=report["speed"],
    )


def _measured(options: argparse.Namespace) -> bool:
    """Measure what is asked for; whether every drill passed."""
    known = set() if options.again else {each.key for each in read()}
    passed = True
    for count in options.regions or COUNTS:
        for lag in options.lag or LAGS:
            faults = [f for f in options.fault or FAULTS if (count, f, lag) not in known]
            if not faults:
                continue
            running = options.descriptor
            with nullcontext(running) if running else _sandbox(count, lag) as descriptor:
                for fault in faults:
                    passed &= _drilled(descriptor, fault, lag)
    return passed


def _drilled(descriptor: Path, fault: str, lag: float) -> bool:
    """Run a drill, again if it did not pass: `verify` waits for no write that takes long."""
    where = ("--descriptor", str(descriptor), "--folder", str(descriptor.parent))
    command = ["-m", "ops", "drill", *FAULTS[fault], *LIMITS, *where, "--yes", "--json"]
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
        print(f"{fault}, lag {lag:g} s: exit code {done.returncode}", flush=True)
        if done.returncode == 0:
            write([result_of(json.loads(done.stdout), fault=fault, lag_seconds=lag)])
            return True
        print(done.stdout, file=sys.stderr)
    return False


@contextmanager
def _sandbox(count: int, lag: float) -> Iterator[Path]:
    """A sandbox of so many Regions while the block runs; its descriptor."""
    local = (REPOSITORY / "environments" / "local.toml").read_text(encoding="utf-8")
    given = f"regions = {json.dumps(REGIONS[:2])}"
    assert given in local
    with TemporaryDirectory(prefix="rpo-") as name:
        folder = Path(name)
        text = local.replace(given, f"regions = {json.dumps(REGIONS[:count])}")
        (folder / "local.toml").write_text(text, encoding="utf-8")
        place = ("--folder", str(folder / "sandbox"))
        environment = {**os.environ, "FAILOVER_ENVIRONMENTS": name, "FAILOVER_ENVIRONMENT": "local"}

        def sandbox(*words: str) -> None:
            subprocess.run(
                [sys.executable, "-m", "sandbox", *words, *place],
                cwd=REPOSITORY, env=environment, stdout=sys.stderr, check=True,
            )  # fmt: skip

        try:
            sandbox("up", "--free-ports", "--replication-lag", f"{lag:g}")
            yield folder / "sandbox" / "local.environment.json"
        finally:
            sandbox("down")


def page(results: Sequence[Result]) -> str:
    """The whole of docs/reference/rpo.md.

    Args:
        results: What was measured.
    """
    speeds = sorted({each.speed for each in results})
    ran = f"{speeds[0]:g} to {speeds[-1]:g}" if len(speeds) > 1 else "".join(map(str, speeds))
    lines = [
        "# Recovery point: what is missing at the cut-over",
        "",
        f"Generated by `{COMMAND}` from drills that `{COMMAND} --run` ran in the sandbox, with "
        "failover routing and the first Region lost. A row is there only if its drill ran and "
        "found nothing wrong but writes that are lost. The sandbox ran "
        f"{ran or '?'} times as fast as AWS; times are scaled. The sandbox draws [lags of its "
        "own](../explanation/adr/0027-replication-with-a-lag.md), so these are not figures of "
        "AWS: they show what a drill measures, and how it grows with the lag. Customers write "
        "about once a second of AWS, and publishers half as often; with more writes, more are "
        "missing. How to run one: [Run a failover drill](../how-to/run-a-failover-drill.md).",
        "",
        "| column | meaning |",
        "|---|---|",
        "| Lag | Median time of a write to another Region; 1 % take three times as long or more. |",
        "| Time | RTO, or the cut-over where no request fails; in brackets what is expected at "
        "most. It is longer on a busy machine, and shorter by up to the TTL, 60 s, where resolvers "
        "had asked long before. |",
        "| RPO, writes | Acknowledged writes that the Region taking over did not have. |",
        "| RPO, seconds | From the oldest of them to the last write that the lost Region "
        "acknowledged before the cut-over. |",
        "| Oldest | Age of the oldest of them at the cut-over: with the time that it took. |",
        "| After | Writes that the lost Region acknowledged while another one served. |",
        "| Conflicts | Keys that both sides wrote; acknowledged writes that were overwritten. |",
        "| Lost | Acknowledged writes that a Region did not have at the end, after the fault. |",
        "",
    ]
    for count in sorted({each.regions for each in results}):
        lines += [
            f"## {_WORDS.get(count, str(count))} Regions",
            "",
            "| Fault | Lag | Time | RPO, writes | RPO, seconds | Oldest | After | Conflicts | "
            "Lost |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(_row(each) for each in sorted(results, key=_order) if each.regions == count),
            "",
        ]
    return "\n".join(lines)


_WORDS = {2: "Two", 3: "Three"}
_TIMES = {"rto": "RTO", "cut_over": "cut-over"}


def _order(result: Result) -> tuple[int, int, float]:
    return result.regions, list(FAULTS).index(result.fault), result.lag_seconds


def _row(result: Result) -> str:
    cells = (
        result.fault,
        f"{result.lag_seconds:g} s",
        f"{_TIMES[result.judged_by]} {result.seconds:.0f} ± {result.error_seconds:.0f} s "
        f"({result.expected_seconds:.0f} s)",
        f"{result.missing_writes} of {result.acknowledged}",
        f"{result.window_seconds:.1f} s",
        f"{result.oldest_seconds:.0f} s" if result.missing_writes else "-",
        str(result.after_cut_over),
        f"{result.conflicts}; {result.overwritten}",
        str(result.lost),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
