"""Generate docs/reference/rpo.md from rpo.json: `python -m scripts.rpo`.

`python -m scripts.rpo --run-missing` measures first, in sandboxes of its own: a drill for each row,
lag of replication and number of Regions that rpo.json does not have yet, and then those that did
not pass. Each result is stored at once, so that a run which was interrupted continues where it
ended, and `--minutes 20` ends one. `--regions 2 --lag 5 --fault partition` measures those alone,
`--again` also what is there already. With `--descriptor FILE` it uses a sandbox that runs, whose
lag, Regions and fence are those given.

A drill that does not pass is run once more at half the speed. If that does not pass either, what it
found is stored in the place of its figures.

`--check` only compares the page; exit codes: 0 written or up to date, 1 out of date or a drill that
did not pass.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.cli.program import INTERRUPTED
from ops.errors import ExitCode
from scripts.generated import write_or_check

REPOSITORY = Path(__file__).parent.parent
REFERENCE = REPOSITORY / "docs" / "reference"
RESULTS = REFERENCE / "rpo.json"
PAGE = REFERENCE / "rpo.md"
COMMAND = "python -m scripts.rpo"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
COUNTS = (2, 3)
LAGS = (0.0, 0.5, 5.0)
"""Medians, in seconds of AWS; the second is the sandbox's default."""
LOAD = ("--load", "5")
FENCE = ("--fence", "now")
FAULTS: Mapping[str, tuple[str, ...]] = {
    "region-loss": ("--fault", "region-loss"),
    "region-loss, under load": ("--fault", "region-loss", *LOAD),
    "region-loss for good": ("--fault", "region-loss", "--discard"),
    "region-loss for good, reconciled": ("--fault", "region-loss", "--discard", "--reconcile"),
    "partition": ("--fault", "partition"),
    "partition, under load": ("--fault", "partition", *LOAD),
    "partition, fenced": ("--fault", "partition", *FENCE),
    "partition, reconciled": ("--fault", "partition", "--reconcile"),
    "replication-paused": ("--fault", "replication-paused"),
    "replication-paused, fenced": ("--fault", "replication-paused", *FENCE),
    "dynamodb-dns": ("--fault", "dynamodb-dns"),
    "sts": ("--fault", "sts"),
    "control-plane": ("--fault", "control-plane"),
}
"""`{row: options of the drill}`."""
DRILL_SECONDS = 240.0
"""So long a drill takes at most on a machine that keeps up; a longer one is ended in time."""
RESTORE_SECONDS = 60.0
"""For what an interrupted drill restores."""
ATTEMPTS = 3
"""At a drill that has not begun: `verify` waits for no write that takes long."""
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
        lost: Writes that were lost at the end, before any reconciliation.
        refused: Writes that a fence refused; None without one.
        replayed: Items that reconciliation wrote; None without it.
        left: What was lost or wrong after it; None without it.
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
    refused: int | None = None
    replayed: int | None = None
    left: int | None = None

    @property
    def key(self) -> "Key":
        """What was measured."""
        return self.regions, self.fault, self.lag_seconds


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A drill that did not pass, at half the speed either.

    Attributes:
        fault: One of `FAULTS`.
        lag_seconds: Median time that a write takes to another Region.
        regions: How many Regions there are.
        findings: What it found, or why it did not run.
        speed: How much faster than AWS the sandbox ran at last; None if no drill began.
    """

    fault: str
    lag_seconds: float
    regions: int
    findings: Sequence[str]
    speed: float | None = None

    @property
    def key(self) -> "Key":
        """What was to be measured."""
        return self.regions, self.fault, self.lag_seconds


Key = tuple[int, str, float]
Row = Result | Failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure if asked to, and write the page, or compare it.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure the RPO; write rpo.md.")
    parser.add_argument(
        "--run", "--run-missing", action="store_true", help="measure what is missing first"
    )
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="with --run: for so long at most"
    )
    parser.add_argument("--fault", choices=FAULTS, action="append", help="with --run: these alone")
    parser.add_argument("--lag", type=float, choices=LAGS, action="append", help="the same")
    parser.add_argument("--regions", type=int, choices=COUNTS, action="append", help="the same")
    parser.add_argument("--descriptor", type=Path, help="with --run: of a sandbox that runs")
    options, rest = parser.parse_known_args(arguments)
    if options.descriptor and not (options.lag and options.regions):
        parser.error("--descriptor requires the --lag and --regions of its sandbox")
    failed = options.run and not _measured(options)
    return write_or_check(PAGE, page(read()), command=COMMAND, arguments=rest) or int(failed)


def read() -> list[Row]:
    """What was measured last, and what did not pass."""
    if not RESULTS.is_file():
        return []
    return [
        Failure(**each) if "findings" in each else Result(**each)
        for each in json.loads(RESULTS.read_text(encoding="utf-8"))
    ]


def write(results: Iterable[Row]) -> None:
    """Store results in the place of earlier ones, and write the page.

    Args:
        results: What was measured, and what did not pass.
    """
    known = {each.key: each for each in [*read(), *results]}
    rows = sorted(known.values(), key=_order)
    members = ({k: v for k, v in asdict(each).items() if v is not None} for each in rows)
    text = ",\n".join(f" {json.dumps(each)}" for each in members)
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
    fence, reconciled = report.get("fence") or {}, report.get("reconciliation") or {}
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
        refused=fence.get("refused"),
        replayed=reconciled.get("replayed"),
        left=reconciled.get("left"),
        speed=report["speed"],
    )


def _measured(options: argparse.Namespace) -> bool:
    """Measure what is asked for; whether every drill passed."""
    ends_at = time.monotonic() + 60 * options.minutes
    rows = [] if options.again else read()
    passed = True
    wanted = [
        (count, fault, lag)
        for count in options.regions or COUNTS
        for lag in options.lag or LAGS
        for fault in options.fault or FAULTS
    ]
    missing = [key for key in wanted if key not in {each.key for each in rows}]
    failed = [each.key for each in rows if isinstance(each, Failure) and each.key in wanted]
    # Those of one sandbox are run one after the other; what has failed before comes last.
    for keys in (missing, failed):
        for place in dict.fromkeys(map(_sandbox_of, keys)):
            if not _is_time_left(ends_at):
                return passed
            running = options.descriptor
            with nullcontext(running) if running else _sandbox(*place) as descriptor:
                for key in keys:
                    if _sandbox_of(key) == place and _is_time_left(ends_at):
                        passed &= _drilled(descriptor, key, ends_at)
    return passed


def _sandbox_of(key: Key) -> tuple[int, float, bool]:
    """The sandbox that a row needs: how many Regions, the lag, and whether it fences writes."""
    count, fault, lag = key
    return count, lag, "--fence" in FAULTS[fault]


def _is_time_left(ends_at: float) -> bool:
    return time.monotonic() + DRILL_SECONDS < ends_at


def _drilled(descriptor: Path, key: Key, ends_at: float) -> bool:
    """Run the drill of a row, and store what it found; whether it passed."""
    count, fault, lag = key
    with TemporaryDirectory(prefix="rpo-") as name:
        folder, slower = descriptor.parent, Path(name) / descriptor.name
        for used in (descriptor, slower):
            code, report = _run(used, folder, fault, ends_at)
            print(f"{fault}, lag {lag:g} s, {count} Regions: exit code {code}", flush=True)
            if code == 0:
                write([result_of(report, fault=fault, lag_seconds=lag)])
                return True
            print("\n".join(findings_of(report)), file=sys.stderr, flush=True)
            if code in (INTERRUPTED, ExitCode.USAGE):
                return False
            known = json.loads(used.read_text(encoding="utf-8"))
            speed = float(report.get("speed") or known["sandbox"]["speed"])
            known["sandbox"]["speed"] = max(1.0, round(speed / 2, 1))
            slower.write_text(json.dumps(known), encoding="utf-8")
    found = findings_of(report) or [f"exit code {code}"]
    ran_at = report.get("speed")
    write([Failure(fault=fault, lag_seconds=lag, regions=count, findings=found, speed=ran_at)])
    return False


def _run(
    descriptor: Path, folder: Path, fault: str, ends_at: float
) -> tuple[int, Mapping[str, Any]]:
    """Run a drill, again if it does not begin; its exit code, and what it printed.

    What does not end in time is interrupted, and restores everything.
    """
    where = ("--descriptor", str(descriptor), "--folder", str(folder))
    command = ["-m", "ops", "drill", *FAULTS[fault], *LIMITS, *where, "--yes", "--json"]
    for _ in range(ATTEMPTS):
        with subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as drill:
            left = max(0.0, ends_at - RESTORE_SECONDS - time.monotonic())
            try:
                printed, _ = drill.communicate(timeout=None if left == math.inf else left)
            except subprocess.TimeoutExpired:
                drill.send_signal(signal.SIGINT)
                printed, _ = drill.communicate()
                return INTERRUPTED, {}
        report = json.loads(printed) if printed.startswith("{") else {}
        if drill.returncode != ExitCode.CHECK_FAILED or "findings" in report:
            break
    return drill.returncode, report


def findings_of(report: Mapping[str, Any]) -> list[str]:
    """Why a drill did not pass, a sentence each.

    Args:
        report: What `ops drill --json` prints.
    """
    load = report.get("load") or {}
    error = report.get("error") or {}
    return [
        *report.get("findings", ()),
        *load.get("unmeasured", ()),
        *report.get("left", ()),
        *([error["message"]] if error else []),
    ]


@contextmanager
def _sandbox(count: int, lag: float, fences: bool) -> Iterator[Path]:
    """A sandbox of so many Regions while the block runs; its descriptor."""
    local = (REPOSITORY / "environments" / "local.toml").read_text(encoding="utf-8")
    given = f"regions = {json.dumps(REGIONS[:2])}"
    assert given in local
    with TemporaryDirectory(prefix="rpo-") as name:
        folder = Path(name)
        text = local.replace(
            given,
            f"regions = {json.dumps(REGIONS[:count])}\nfence_writes = {json.dumps(fences)}",
        )
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


def page(rows: Sequence[Row]) -> str:
    """The whole of docs/reference/rpo.md.

    Args:
        rows: What was measured, and what did not pass.
    """
    results = [each for each in rows if isinstance(each, Result)]
    failures = [each for each in rows if isinstance(each, Failure)]
    speeds = sorted({each.speed for each in results})
    ran = f"{speeds[0]:g} to {speeds[-1]:g}" if len(speeds) > 1 else "".join(map(str, speeds))
    lines = [
        "# Recovery point: what is missing at the cut-over",
        "",
        f"Generated by `{COMMAND}` from drills that `{COMMAND} --run` ran in the sandbox, with "
        "failover routing and the first Region lost. A row is in a table only if its drill ran and "
        "found nothing wrong but writes that are lost; the others are listed at the end. The "
        "sandbox ran "
        f"{ran or '?'} times as fast as AWS; times are scaled. The sandbox draws [lags of its "
        "own](../explanation/adr/0027-replication-with-a-lag.md), so these are not figures of "
        "AWS: they show what a drill measures, and how it grows with the lag. Customers write "
        "about once a second of AWS, and publishers half as often; with more writes, more are "
        "missing. How to run one: [Run a failover drill](../how-to/run-a-failover-drill.md).",
        "",
        "*Under load*: 5 requests a second of the machine's clock beside it, one in ten of them a "
        "write. *Fenced*: the drill evacuates the Region with `--fence now` once another one "
        "serves. *Reconciled*: after the fault it replays what is missing.",
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
        "| Refused | Writes that a fence refused. |",
        "| Reconciled | Items that were replayed; writes still lost or wrong after it. |",
        "",
    ]
    for count in sorted({each.regions for each in results}):
        lines += [
            f"## {_WORDS.get(count, str(count))} Regions",
            "",
            "| Fault | Lag | Time | RPO, writes | RPO, seconds | Oldest | After | Conflicts | "
            "Lost | Refused | Reconciled |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(_row(each) for each in sorted(results, key=_order) if each.regions == count),
            "",
        ]
    if failures:
        lines += ["## Did not pass", "", *map(_failure, sorted(failures, key=_order)), ""]
    return "\n".join(lines)


_WORDS = {2: "Two", 3: "Three"}
_TIMES = {"rto": "RTO", "cut_over": "cut-over"}


def _order(row: Row) -> tuple[int, int, float]:
    return row.regions, list(FAULTS).index(row.fault), row.lag_seconds


def _failure(each: Failure) -> str:
    speed = "" if each.speed is None else f", {each.speed:g} times as fast as AWS"
    return (
        f"- **{each.fault}**, lag {each.lag_seconds:g} s, {each.regions} Regions{speed}: "
        f"{'; '.join(each.findings)}"
    )


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
        "-" if result.refused is None else str(result.refused),
        "-" if result.replayed is None else f"{result.replayed}; {result.left}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
