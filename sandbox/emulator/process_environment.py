"""The process of the local AWS: its environment variables and its private folder.

MiniStack reads its settings from environment variables when it is imported, so they are set first.
Nothing of the caller's AWS configuration is used: the same port gives the same local AWS.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.listener import HOST

ACCOUNT_ID = "000000000000"
ACCESS_KEY = "test"
DEFAULT_REGION = "us-east-1"

_FOREIGN_VARIABLES = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "EDGE_PORT",
    "LAMBDA_KEEPALIVE_MS",
    "LAMBDA_STRICT",
    "LOCALSTACK_HOSTNAME",
    "LOCALSTACK_PERSISTENCE",
    "MINISTACK_HOSTNAME",
    "SERVICES",
)


def settings(*, port: int, iam_enforced: bool, folder: Path) -> dict[str, str]:
    """Give the environment variables of one local AWS.

    Args:
        port: TCP port on 127.0.0.1.
        iam_enforced: True checks every signature and evaluates every IAM policy.
        folder: Private folder for every file MiniStack writes.

    Returns:
        Variable name to value. Docker is pointed at a socket that does not exist: MiniStack would
        otherwise remove containers it thinks are its own.
    """
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": "localhost",
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": DEFAULT_REGION,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AUTH": "true" if iam_enforced else "false",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "USE_SSL": "0",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "TMPDIR": str(folder),
        "SANDBOX_UNRESOLVED": str(folder / "unresolved"),
    }


def of_functions(dns_port: int | None) -> dict[str, str]:
    """Give the variables that the processes of functions inherit, and this one has no use for.

    Args:
        dns_port: UDP port of the DNS that they ask first; None for this machine's resolver.
    """
    if dns_port is None:
        return {}
    startup = Path(__file__).parent / "function_process"
    return {"PYTHONPATH": str(startup), "SANDBOX_DNS_PORT": str(dns_port)}


def set_unresolved(regions: Collection[str]) -> None:
    """Choose the Regions where the name of DynamoDB's endpoint does not resolve for functions.

    Args:
        regions: The Regions. A file each says so to the processes of functions, which look it up
            with each connection.
    """
    folder = Path(os.environ["SANDBOX_UNRESOLVED"])
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.name not in regions:
            file.unlink()
    for region in regions:
        (folder / region).touch()


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a temporary folder that is removed with its content at the end."""
    with tempfile.TemporaryDirectory(prefix="local-aws-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def enter(*, port: int, iam_enforced: bool, folder: Path, dns_port: int | None = None) -> None:
    """Set this process up for MiniStack, before the first import of ``ministack``.

    Args:
        port: TCP port on 127.0.0.1.
        iam_enforced: True checks every signature and evaluates every IAM policy.
        folder: Private folder for every file MiniStack writes.
        dns_port: UDP port of the DNS that functions ask first; None for this machine's resolver.
    """
    for name in _FOREIGN_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(settings(port=port, iam_enforced=iam_enforced, folder=folder))
    os.environ.update(of_functions(dns_port))
    tempfile.tempdir = str(folder)
