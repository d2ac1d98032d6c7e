"""What a failover finds in a cold Region, a pre-scaled one, and one whose quota is too small.

`python -m benchmarks.capacity` sends requests at a steady rate, as customers who do not wait for
each other do, to an API whose function nobody has called before. Four emulators, one after the
other, each the secondary at the moment of the cut-over. Prints a table, and writes it as a section
of a file with `--report`. At the speed of AWS, so that times are those of the emulator's model,
with what this machine adds: it starts each environment as a process.
"""

import argparse
import datetime
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import boto3
import urllib3

from benchmarks.document import paragraph, write_section
from sandbox.emulator.capacity import COLD_START_SECONDS

REGION = "us-west-2"
ALLOCATION_SPEED = 60
"""Of the emulator with provisioned concurrency, which allocates for a minute at the speed of AWS.
What is not provisioned starts as slowly as elsewhere."""
LONGEST_SECONDS = 29.0

_CODE = """
import time

def handler(event, context):
    time.sleep({seconds})
    return {{"statusCode": 200, "body": "{{}}"}}
"""


@dataclass(frozen=True)
class Load:
    """What customers send.

    Attributes:
        rate: Requests a second.
        seconds: For how long.
        duration_seconds: What an invocation takes.
        cold_start_seconds: What an environment takes to start.
        provisioned: Environments that the pre-scaled Region has.
    """

    rate: float
    seconds: float
    duration_seconds: float
    cold_start_seconds: float
    provisioned: int

    @property
    def slow_seconds(self) -> float:
        """A response that takes longer is slow: it has waited for half a cold start, or more."""
        return self.duration_seconds + self.cold_start_seconds / 2


@dataclass(frozen=True)
class Case:
    """A Region.

    Attributes:
        name: What it is.
        options: Options of the emulator.
        provisioned: Provisioned concurrency of the function; 0 for none.
    """

    name: str
    options: tuple[str, ...] = ()
    provisioned: int = 0


@dataclass(frozen=True)
class Result:
    """What the customers got.

    Attributes:
        responses: `(seconds after the cut-over, seconds it took, status)` of each request; status 0
            for none.
        cold_starts: Environments that started.
        throttles: Invocations that were refused.
    """

    responses: tuple[tuple[float, float, int], ...]
    cold_starts: int
    throttles: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each Region.

    Args:
        arguments: The command line without the program's name; by default the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long")
    parser.add_argument(
        "--duration", type=float, default=0.05, help="seconds that an invocation takes"
    )
    parser.add_argument(
        "--cold-start", type=float, default=COLD_START_SECONDS, help="seconds that a start takes"
    )
    parser.add_argument(
        "--provisioned",
        type=int,
        default=4,
        help="environments of the pre-scaled Region; about twice the rate times the duration",
    )
    parser.add_argument("--report", type=Path, help="write it as a section of this file, too")
    options = parser.parse_args(arguments)
    load = Load(
        options.rate, options.seconds, options.duration, options.cold_start, options.provisioned
    )
    results = {case.name: _measure(case, load) for case in _cases(load)}
    section = report(load, results)
    print(section)
    if options.report:
        write_section(section, options.report)


def report(load: Load, results: Mapping[str, Result]) -> str:
    """Write the section.

    Args:
        load: What was sent.
        results: `{region: what came of it}`.
    """
    rows = [
        "| Region | requests | failed | slow | first second: slow or failed | median, ms "
        "| 99 %, ms | cold starts | throttled |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, result in results.items():
        times = [took for _, took, status in result.responses if status == 200]
        failed = [r for r in result.responses if r[2] != 200]
        slow = [r for r in result.responses if r[2] == 200 and r[1] > load.slow_seconds]
        first = [r for r in result.responses if r[0] < 1]
        harmed = [r for r in first if r in failed or r in slow]
        rows.append(
            f"| {name} | {len(result.responses)} | {_share(failed, result.responses)} "
            f"| {_share(slow, result.responses)} | {_share(harmed, first)} "
            f"| {median(times) * 1e3:.0f} | {_highest(times) * 1e3:.0f} "
            f"| {result.cold_starts} | {result.throttles} |"
            if times
            else f"| {name} | {len(result.responses)} | 100 % | - | 100 % | - | - "
            f"| {result.cold_starts} | {result.throttles} |"
        )
    text = paragraph(
        f"Written by `python -m benchmarks.capacity` on {datetime.date.today():%Y-%m-%d}, "
        f"{os.cpu_count()} cores. {load.rate:g} requests a second for {load.seconds:g} s, from the "
        "cut-over on, to one "
        f"function of the emulator that takes {load.duration_seconds * 1e3:g} ms and starts in "
        f"{load.cold_start_seconds * 1e3:g} ms; pre-scaled are {load.provisioned}. Slow "
        f"is above {load.slow_seconds * 1e3:g} ms. "
        "What this machine needs to start a process is in it."
    )
    return f"# A Region that takes over, by its capacity\n\n{text}\n\n" + "\n".join(rows) + "\n"


def _cases(load: Load) -> tuple[Case, ...]:
    cold = ("--cold-start", str(load.cold_start_seconds))
    return (
        Case("cold", cold),
        Case(
            "pre-scaled",
            (
                *("--speed", str(ALLOCATION_SPEED)),
                *("--cold-start", str(load.cold_start_seconds * ALLOCATION_SPEED)),
            ),
            provisioned=load.provisioned,
        ),
        Case("quota of one invocation at once", (*cold, "--lambda-concurrency", f"{REGION}=1")),
        Case(
            "throttle of half the rate",
            (*cold, "--api-throttle", f"{REGION}={max(1, round(load.rate / 2))}/1"),
        ),
    )


def _measure(case: Case, load: Load) -> Result:
    with _emulator(*case.options) as url:
        address = _deploy(url, load, case.provisioned)
        responses = _send(f"{url}{address}", load)
        counted = urllib3.request("GET", f"{url}/_local/capacity").json()[REGION]
    return Result(tuple(responses), counted["cold_starts"], counted["throttles"])


@contextmanager
def _emulator(*options: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.emulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def _deploy(url: str, load: Load, provisioned: int) -> str:
    """A function with an alias behind an API, as a Region has it; the path of its URL."""

    def client(service: str) -> Any:
        return boto3.client(
            service, REGION, endpoint_url=url, aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip

    functions, gateway = client("lambda"), client("apigateway")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("read.py", _CODE.format(seconds=load.duration_seconds))
    arn = functions.create_function(
        FunctionName="read", Runtime="python3.13", Handler="read.handler", Publish=True,
        Role="arn:aws:iam::000000000000:role/read", Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"].removesuffix(":1")  # fmt: skip
    functions.create_alias(FunctionName="read", Name="live", FunctionVersion="1")
    functions.add_permission(
        FunctionName="read", Qualifier="live", StatementId="api", Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )  # fmt: skip
    if provisioned:
        functions.put_provisioned_concurrency_config(
            FunctionName="read", Qualifier="live", ProvisionedConcurrentExecutions=provisioned
        )
        while _status(functions) == "IN_PROGRESS":
            time.sleep(0.1)
    api = gateway.create_rest_api(name="read")
    place = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**place, authorizationType="NONE")
    gateway.put_integration(
        **place, type="AWS_PROXY", integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}:live/invocations",
    )  # fmt: skip
    gateway.create_deployment(restApiId=api["id"], stageName="v1")
    return f"/_aws/execute-api/{api['id']}/v1/"


def _status(functions: Any) -> str:
    found = functions.get_provisioned_concurrency_config(FunctionName="read", Qualifier="live")
    return str(found["Status"])


def _send(url: str, load: Load) -> list[tuple[float, float, int]]:
    """Send each request at its time, whatever became of the others."""
    pool = urllib3.PoolManager(maxsize=1, retries=False)
    responses: list[tuple[float, float, int]] = []
    begun = time.monotonic()

    def send(at: float) -> None:
        sent = time.monotonic()
        try:
            status = pool.request("GET", url, timeout=LONGEST_SECONDS).status
        except urllib3.exceptions.HTTPError:
            status = 0
        responses.append((at, time.monotonic() - sent, status))

    threads = []
    for number in range(round(load.rate * load.seconds)):
        at = number / load.rate
        time.sleep(max(0.0, begun + at - time.monotonic()))
        threads.append(threading.Thread(target=send, args=(at,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return responses


def _share(some: Sequence[object], of: Sequence[object]) -> str:
    return f"{len(some) / len(of):.1%}".replace("%", " %") if of else "-"


def _highest(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98] if len(times) > 1 else times[0]


if __name__ == "__main__":
    main()
