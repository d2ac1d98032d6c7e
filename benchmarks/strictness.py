"""CPU time of a call to the emulator, with and without the check by AWS's service models.

Two emulators, one strict and one lenient, serve the same calls.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

import boto3
import psutil

Call = tuple[str, str, dict[str, Any]]
"""Service, operation and parameters."""
Emulator = tuple[psutil.Process, str]
"""Its process and its URL."""
ROUNDS = 3
CALLS = 150
"""Calls of each kind in one round: the system counts processor time in steps of 10 ms."""


def main() -> None:
    """Print a line per kind of call."""
    with _emulator() as strict, _emulator("--lenient") as lenient:
        print(f"{'call':28} {'lenient':>10} {'strict':>10} {'more':>10} {'ratio':>6}")
        for name, calls in _calls().items():
            before, after = _seconds(lenient, *calls), _seconds(strict, *calls)
            more = after - before
            print(
                f"{name:28} {before * 1e3:7.2f} ms {after * 1e3:7.2f} ms {more * 1e3:7.2f} ms "
                f"{after / before:6.2f}"
            )


def _calls() -> dict[str, Call]:
    """`{name: (service, operation, parameters)}`, one of each protocol."""
    record: dict[str, Any] = {"Name": "a.example.com", "Type": "TXT", "TTL": 60}
    change = {"Action": "UPSERT", "ResourceRecordSet": record}
    record["ResourceRecords"] = [{"Value": '"a"'}]
    return {
        "dynamodb GetItem": (
            "dynamodb",
            "get_item",
            {"TableName": "abc", "Key": {"a": {"S": "b"}}},
        ),
        "apigateway GetRestApis": ("apigateway", "get_rest_apis", {"limit": 10}),
        "iam GetRole": ("iam", "get_role", {"RoleName": "a"}),
        "route53 ChangeRecordSets": (
            "route53",
            "change_resource_record_sets",
            {"HostedZoneId": "Z1", "ChangeBatch": {"Changes": [change]}},
        ),
        "cloudwatch DescribeAlarms": ("cloudwatch", "describe_alarms", {"MaxRecords": 10}),
    }


@contextmanager
def _emulator(*options: str) -> Iterator[Emulator]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.emulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield psutil.Process(process.pid), process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def _seconds(emulator: Emulator, service: str, operation: str, parameters: Any) -> float:
    """CPU seconds of one call, the median of all rounds."""
    process, url = emulator
    client = boto3.client(
        service,
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def once() -> None:
        # Many are refused: nothing is deployed. What they ask for does not matter here.
        with suppress(client.exceptions.ClientError):
            getattr(client, operation)(**parameters)

    once()
    rounds = []
    for _ in range(ROUNDS):
        before = process.cpu_times()
        for _ in range(CALLS):
            once()
        after = process.cpu_times()
        rounds.append((after.user + after.system - before.user - before.system) / CALLS)
    return median(rounds)


if __name__ == "__main__":
    main()
