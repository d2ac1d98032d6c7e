"""Measures the Lambda functions, each in its own process: `python -m benchmarks.functions`.

Cold is what a new process takes to import an operation's module, without the start of Python
itself, against what it takes to import boto3 and make a bare DynamoDB client. Functions come as
they do in Lambda, without bytecode, and once more with it; boto3 and the standard library have
theirs. Warm is what a request takes, with boto3 in it and all but the network: a fake answers just
before the request would be sent. It is compared with one bare `get_item` with the same fake.

Times are those of the processor, which other programs of the machine change little. Every program
runs once in every round, one after the other; ratios are medians of the ratios within a round. The
report replaces its own part of docs/reference/benchmarks.md. Exit codes: 0 measured, whether the
target is met or not; 1 a function failed.
"""

import argparse
import datetime
import importlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.document import REPORT, REPOSITORY, paragraph, write_section

TARGET = 1.3
"""The heaviest function's import, in times a bare client's."""
ZIP, BYTECODE = "zip", "bytecode"
"""Folders with the functions: as they are in the zip, and with bytecode."""
CLIENT = "client"
BATCHES, CALLS = 20, 50
"""How often, and how many at a time, a process calls its function while it is warm."""

_CONFIG = {
    "connect_timeout": 0.5,
    "read_timeout": 1.0,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
_BARE_CLIENT = f"""\
import os, boto3
from botocore.config import Config
boto3.client("dynamodb", region_name=os.environ["AWS_REGION"], config=Config(**{_CONFIG}))
"""
_TIMED = """\
import sys, time
started = time.process_time()
{}
print(time.process_time() - started, file=sys.stderr)
"""

Rounds = dict[str, list[float]]
"""Figures by name, one for each round."""


class BenchmarkError(Exception):
    """A function failed."""


def main() -> int:
    """Measures, prints the report and writes it.

    Returns:
        The exit code.
    """
    options = _options()
    names = sorted(
        path.stem for path in options.functions.glob("*.py") if "def handler(" in path.read_text()
    )
    with tempfile.TemporaryDirectory(prefix="functions-") as folder:
        for kind in (ZIP, BYTECODE):
            shutil.copytree(
                options.functions,
                Path(folder, kind),
                ignore=shutil.ignore_patterns("__pycache__", ".*"),
            )
        try:
            text = _measure(Path(folder), names, options.rounds)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    print(text)
    if options.report:
        write_section(text, options.report)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the Lambda functions, cold and warm.")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="default: 15")
    parser.add_argument(
        "--functions",
        type=Path,
        default=REPOSITORY / "lambda_src",
        metavar="FOLDER",
        help="root of the zip, to try another one; default: lambda_src",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help=f"default: {REPORT.name} for lambda_src"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1, and 15 for figures to rely on")
    if options.report is None and options.functions == parser.get_default("functions"):
        options.report = REPORT
    return options


def _measure(folder: Path, names: list[str], rounds: int) -> str:
    """Run everything.

    Returns:
        The report.
    """
    cold: dict[str, Rounds] = {kind: {} for kind in (ZIP, BYTECODE)}
    warm: Rounds = {}
    relative: Rounds = {}
    for number in range(rounds + 1):
        for kind, figures in cold.items():
            for name in (CLIENT, *names):
                statement = _BARE_CLIENT if name == CLIENT else f"import {name}"
                (seconds,) = _run(folder / kind, _TIMED.format(statement))
                if number:  # The first round writes the bytecode and fills the machine's caches.
                    figures.setdefault(name, []).append(seconds)
        print(f"cold: {number} of {rounds}", file=sys.stderr, flush=True)
    repetitions = rounds // 5 + 1
    for number in range(1, repetitions + 1):
        for name in names:
            program = f"from benchmarks.functions import measure_warm; measure_warm({name!r})"
            seconds, ratio = _run(folder / BYTECODE, program)
            warm.setdefault(name, []).append(seconds)
            relative.setdefault(name, []).append(ratio)
        print(f"warm: {number} of {repetitions}", file=sys.stderr, flush=True)
    return _report(names, cold, warm, relative, rounds)


def _run(functions: Path, program: str) -> list[float]:
    """Run a program in its own process, in an environment like Lambda's.

    Args:
        functions: The folder with the functions.
        program: Python, which ends with numbers on standard error. Standard output is thrown away.

    Returns:
        The numbers.

    Raises:
        BenchmarkError: It failed.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(functions),
        "PYTHONPATH": f"{functions}{os.pathsep}{REPOSITORY}",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "TABLE_NAME": "weather",
        "API_URL": "https://weather.example.com/v1",
    }
    if functions.name == ZIP:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=functions,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        done.check_returncode()
        return [float(number) for number in done.stderr.split()]
    except (subprocess.CalledProcessError, ValueError) as error:
        raise BenchmarkError(f"{program}\n{done.stderr[-2000:]}") from error


def measure_warm(name: str) -> None:
    """Call a function again and again, and a bare client in between; for a separate process.

    Prints the seconds of one request, and how many times those of a `get_item` they are.
    """
    import boto3
    from botocore.config import Config

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-send.dynamodb", _FakeTable(name))
    client = boto3.client(
        "dynamodb", region_name=os.environ["AWS_REGION"], config=Config(**_CONFIG)
    )
    handler = importlib.import_module(name).handler
    event = {
        "pathParameters": {
            "location": "paris",
            "observed_at": "2026-01-31T06:00:00Z",
            "region": "us-east-1",
        },
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "3f1c2f6e-0b6f-4c2a-9d0e-0123456789ab"},
        "body": json.dumps(
            {"name": "Paris", "latitude_degrees": 48.8566, "longitude_degrees": 2.3522}
            if name == "put_location"
            else {"temperature_celsius": 20.5, "humidity_percent": 40}
        ),
    }
    answer = handler(event, None)
    if answer["statusCode"] >= 300:
        raise BenchmarkError(f"{name} answers {answer['statusCode']}: {answer['body']}")
    key = {"pk": {"S": "location#paris"}, "sk": {"S": "paris"}}
    ours, ratios = [], []
    for number in range(BATCHES + 1):
        one = _seconds_of(lambda: handler(event, None))
        other = _seconds_of(
            lambda: client.get_item(TableName="weather", Key=key, ConsistentRead=True)
        )
        if number:
            ours.append(one)
            ratios.append(one / other)
    print(median(ours), median(ratios), file=sys.stderr)


def _seconds_of(call: Callable[[], object]) -> float:
    """What one of many calls takes."""
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - started) / CALLS


class _Raw(io.BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


class _FakeTable:
    """Respond in place of DynamoDB, so that the operation does all of its work and succeeds."""

    def __init__(self, operation: str) -> None:
        location = {
            "pk": {"S": "locations"},
            "sk": {"S": "paris"},
            "name": {"S": "Paris"},
            "latitude_degrees": {"N": "48.8566"},
            "longitude_degrees": {"N": "2.3522"},
        }
        observation = {
            "pk": {"S": "location#paris"},
            "sk": {"S": f"observation#2026-01-31T06:00:00Z#{'0' * 32}"},
            "temperature_celsius": {"N": "20.5"},
            "humidity_percent": {"N": "40"},
        }
        # Only where there is no observation yet is one written.
        self._item = observation if operation != "list_locations" else location
        self._stored = operation != "put_observation"
        self._location = location

    def __call__(self, request: Any, **_: object) -> Any:
        """Respond to a request that is about to be sent."""
        from botocore.awsrequest import AWSResponse

        action = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        answer: dict[str, Any] = {}
        if action == "GetItem":
            answer = {"Item": self._location}
        elif action == "Query":
            count = min(25, json.loads(request.body).get("Limit", 1)) if self._stored else 0
            answer = {"Items": [self._item] * count, "Count": count}
        body = json.dumps(answer).encode()
        headers = {"content-type": "application/x-amz-json-1.0", "content-length": str(len(body))}
        return AWSResponse(request.url, 200, headers, _Raw(body))


def _report(
    names: list[str], cold: dict[str, Rounds], warm: Rounds, relative: Rounds, rounds: int
) -> str:
    """Write the report in Markdown."""
    times = {
        kind: {
            name: median(
                ours / bare for ours, bare in zip(figures[name], figures[CLIENT], strict=True)
            )
            for name in names
        }
        for kind, figures in cold.items()
    }
    lines = [
        "| function | cold, ms | times a bare client | with bytecode "
        "| warm, ms | times a `get_item` |",
        "|---|--:|--:|--:|--:|--:|",
        f"| a bare client | {median(cold[ZIP][CLIENT]) * 1000:.0f} | 1.00 | 1.00 | | |",
    ]
    lines += [
        f"| `{name}` | {median(cold[ZIP][name]) * 1000:.0f} | {times[ZIP][name]:.2f} "
        f"| {times[BYTECODE][name]:.2f} | {median(warm[name]) * 1000:.2f} "
        f"| {median(relative[name]):.2f} |"
        for name in sorted(names, key=lambda name: -times[ZIP][name])
    ]
    heaviest = max(names, key=lambda name: times[ZIP][name])
    ratio = times[ZIP][heaviest]
    return "\n".join(
        [
            "# Benchmarks of the functions",
            "",
            paragraph(
                f"Written by `python -m benchmarks.functions` on {datetime.date.today():%Y-%m-%d}, "
                f"CPython {platform.python_version()}, boto3 {version('boto3')}, "
                f"{os.cpu_count()} cores. {rounds} rounds after one that does not count, in each "
                "of which every program ran once. Times are those of the processor, and medians; "
                "ratios are medians of the ratios within a round."
            ),
            "",
            paragraph(
                "Cold is the import of the module in a new process, without the start of Python, "
                "against boto3 with one DynamoDB client of the same configuration. The functions "
                "have no bytecode, as in their zip; boto3 and the standard library have. Warm is a "
                "request that succeeds, with boto3 but without the network, against one bare "
                "`get_item`; lists return 25 items."
            ),
            "",
            *lines,
            "",
            f"The heaviest function, `{heaviest}`, takes {ratio:.2f} times a bare client: the "
            f"target of at most {TARGET} is {'met' if ratio <= TARGET else '**not met**'}.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
