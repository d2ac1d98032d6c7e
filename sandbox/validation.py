"""Types of what the programs of the sandbox read, and their errors in one line."""

from __future__ import annotations

import argparse
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError


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


def lag_seconds(text: str) -> float:
    """Read from a command line how long replication takes.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: It is not such a time.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_LAG_SECONDS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give seconds on AWS from 0, for no lag, to {LONGEST_LAG_SECONDS}, "
            "for example 0.5"
        )
    return seconds


def reasons(error: ValidationError) -> str:
    """Give every error of a file, each with its place.

    Args:
        error: As pydantic raised it.
    """
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()
    )
