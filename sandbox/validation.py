"""Types of what the programs of the sandbox read, and their errors in one line."""

from __future__ import annotations

import argparse
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from constructs_lib.settings.regions import REGIONS


def _ipv4_loopback(address: str) -> str:
    if not IPv4Address(address).is_loopback:
        raise ValueError(f"{address} is not a loopback address; only 127.0.0.0/8 is allowed")
    return address


def _ipv6_loopback(address: str) -> str:
    if not IPv6Address(address).is_loopback:
        raise ValueError(f"{address} is not a loopback address; only ::1 is allowed")
    return address


LoopbackIpv4 = Annotated[str, AfterValidator(_ipv4_loopback)]
LoopbackIpv6 = Annotated[str, AfterValidator(_ipv6_loopback)]
Port = Annotated[int, Field(strict=True, ge=0, le=65535)]


SLOWEST, FASTEST = 1, 1_000_000
"""Least speed, which is AWS's, and the one that every speed is below."""


def speed_factor(text: str) -> float:
    """Read from a command line how much faster than on AWS health checks and DNS run.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: It is not a speed.
    """
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SLOWEST <= speed < FASTEST:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give a factor of {SLOWEST}, as fast as AWS, or more, for example 10"
        )
    return speed


LONGEST_LAG_SECONDS = 3600
LONGEST_COLD_START_SECONDS = 60


def lag_seconds(text: str) -> float:
    """Read from a command line how long replication takes.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: It is not such a time.
    """
    return _seconds(text, LONGEST_LAG_SECONDS, "seconds on AWS from 0, for no lag, to {}", 0.5)


def cold_start_seconds(text: str) -> float:
    """Read from a command line how long a new environment of a function takes to start.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: It is not such a time.
    """
    return _seconds(text, LONGEST_COLD_START_SECONDS, "seconds on AWS from 0 to {}", 0.14)


def _seconds(text: str, longest: float, wanted: str, example: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= longest:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give {wanted.format(longest)}, for example {example:g}"
        )
    return seconds


def region_concurrency(text: str) -> tuple[str, dict[str, float]]:
    """Read from a command line how many invocations a Region runs at once.

    Args:
        text: The argument, `REGION=N`.

    Returns:
        The Region, and its limit by name.

    Raises:
        argparse.ArgumentTypeError: It is not of that form.
    """
    region, _, number = text.partition("=")
    if region not in REGIONS or not (number.isascii() and number.isdigit()):
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give a Region and a whole number of 0 or more, for example us-west-2=10"
        )
    return region, {"lambda_concurrency": int(number)}


def region_throttle(text: str) -> tuple[str, dict[str, float]]:
    """Read from a command line how many requests all APIs of a Region take together.

    Args:
        text: The argument, `REGION=RATE/BURST`.

    Returns:
        The Region, and its limits by name.

    Raises:
        argparse.ArgumentTypeError: It is not of that form.
    """
    region, _, limits = text.partition("=")
    rate, _, burst = limits.partition("/")
    numbers = (rate, burst)
    if region not in REGIONS or not all(each.isascii() and each.isdigit() for each in numbers):
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give a Region, requests a second and a burst, whole numbers of 0 or "
            "more, for example us-west-2=100/50"
        )
    return region, {"api_requests_per_second": float(rate), "api_burst": int(burst)}


def reasons(error: ValidationError) -> str:
    """Give every error of a file, each with its place.

    Args:
        error: As pydantic raised it.
    """
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()
    )
