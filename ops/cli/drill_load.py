"""Options of `python -m ops drill` about its load, and what they ask for."""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from typing import get_args
from urllib.parse import urlsplit

from ops.cli.options import number
from ops.drill.load import DOLLARS_A_MILLION, MAX_FAILED_SHARE, MOST_PER_SECOND, Load, Profile
from ops.environment import Environment
from ops.errors import ExitCode, OpsError, UsageError
from ops.http_client import proxy_for

GENERATOR = "aiohttp"


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--load",
        type=_rate,
        metavar="N",
        help="send N requests a second of this machine's clock beside the drill, nine of ten of "
        "them reads, on schedule whatever the responses do",
    )
    parser.add_argument(
        "--profile",
        choices=get_args(Profile),
        help="with --load: steady sends each request once; burst: customers try what fails again, "
        "with back-off, so that all who wait come to the next Region at once (default: steady)",
    )
    parser.add_argument(
        "--max-failed-share",
        type=_share,
        metavar="S",
        help="with --load: largest share of its requests that may fail or be throttled after the "
        f"cut-over (default: {MAX_FAILED_SHARE:g})",
    )


def load_from(options: argparse.Namespace, environment: Environment) -> Load | None:
    """The load that is asked for; None without one.

    Args:
        options: Parsed options of a command with `add_load_options`.
        environment: The environment.

    Raises:
        OpsError: It cannot be sent from here, or another option needs it.
    """
    if options.load is None:
        for name in ("profile", "max_failed_share"):
            if getattr(options, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{option} requires --load", next_step=f"give --load, or leave out {option}"
                )
        return None
    if find_spec(GENERATOR) is None:
        raise OpsError(
            f"--load requires the Python package {GENERATOR}, which is not installed",
            next_step="install what Pipfile.lock pins: make setup",
            exit_code=ExitCode.PREREQUISITE,
        )
    host = urlsplit(environment.outputs.api_url).hostname or ""
    if not environment.descriptor.sandbox and (proxy := proxy_for(host)):
        raise UsageError(
            f"--load: requests to {host} go through the proxy {urlsplit(proxy).hostname}, which "
            "would be measured in the place of the API",
            next_step=f"run the drill where {host} is reached directly, or add it to NO_PROXY",
        )
    share = options.max_failed_share
    return Load(
        options.load, options.profile or "steady", MAX_FAILED_SHARE if share is None else share
    )


def load_lines(environment: Environment, load: Load, seconds: float) -> Iterator[str]:
    """Say what the load is, what ends it, and on AWS what it costs.

    Args:
        environment: The environment.
        load: The load.
        seconds: How long it lasts at most.
    """
    yield (
        f"Load: {load}, for at most {seconds:.0f} s of this machine's clock; at most "
        f"{100 * load.max_failed_share:g} % may fail after the cut-over."
    )
    if environment.descriptor.sandbox:
        return
    requests = load.most_reads(seconds) + load.most_writes(seconds) * load.attempts
    yield (
        f"These are at most {requests} requests: about {requests * DOLLARS_A_MILLION / 1e6:.2f} "
        "dollars (docs/how-to/cost.md). They share the limits of [api] and the concurrency of "
        "Lambda with your customers. The load stops if most of its requests fail in a Region "
        "without a fault, and on Ctrl-C, which restores everything."
    )


def _rate(text: str) -> float:
    return number(text, MOST_PER_SECOND, f"requests a second, at most {MOST_PER_SECOND:g}")


def _share(text: str) -> float:
    if text in ("0", "0.0"):
        return 0.0
    return number(text, 1, "0 to 1")
