"""One deployed environment, as the tools meet it: its outputs, its AWS, its network.

The local environment and one on AWS differ here and nowhere else.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, cast

import boto3
import dns.exception
import dns.resolver
from botocore.config import Config
from botocore.credentials import Credentials

from ops import local
from ops.calls import Network
from ops.edge.control import EdgeControl
from ops.errors import ExitCode, OpsError
from ops.stand import ENVIRONMENT, REPOSITORY, Workspace
from ops.terraform import Terraform

API_KEY_VARIABLE = "TF_VAR_api_key_value"
_MAKING_CLIENTS = Lock()


@dataclass(frozen=True)
class Environment:
    """A deployed environment.

    Attributes:
        name: Its name, that of the environment file.
        outputs: The stack's outputs, as Terraform knows them.
        given_api_key: Value of a customer's API key, if one was given.
        session: AWS session of the operator.
        network: Where its names lead.
        endpoint_url: Where the local AWS answers; None on AWS.
        speed: How much faster than AWS its health checks and DNS run; 1 on AWS.
        edge: Breaks and mends the local Regions; None on AWS.
        status_url: Where the local data plane tells its health checks' states; None on AWS.
    """

    name: str
    outputs: Mapping[str, Any]
    given_api_key: str | None
    session: boto3.Session
    network: Network
    endpoint_url: str | None = None
    speed: float = 1.0
    edge: EdgeControl | None = None
    status_url: str | None = None

    @property
    def api_key(self) -> str:
        """Value of a customer's API key.

        Raises:
            OpsError: None was given; only calls as a customer need one.
        """
        if not self.given_api_key:
            raise OpsError(
                f"{API_KEY_VARIABLE} is not set",
                next_step="set it to the value that the environment was deployed with",
                exit_code=ExitCode.USAGE,
            )
        return self.given_api_key

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, where anything may be broken."""
        return self.endpoint_url is not None

    @property
    def regions(self) -> tuple[str, ...]:
        """Its Regions in order, the primary first."""
        return tuple(self.outputs["regions"])

    @property
    def primary(self) -> str:
        """The Region that serves while it is healthy."""
        return self.regions[0]

    @property
    def standby(self) -> str:
        """The Region that takes over."""
        return self.regions[1]

    @property
    def api_url(self) -> str:
        """URL that customers call, without a trailing slash."""
        return str(self.outputs["api_url"])

    def region_url(self, region: str) -> str:
        """URL of one Region alone, without a trailing slash."""
        return str(self.outputs["region_urls"][region])

    def client(self, service: str, region: str) -> Any:
        """A boto3 client with short time limits.

        Args:
            service: Name of the service, as boto3 spells it.
            region: The Region.
        """
        # A session makes one client at a time.
        with _MAKING_CLIENTS:
            return self.session.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint_url,
                config=Config(
                    connect_timeout=3,
                    read_timeout=10,
                    retries={"mode": "standard", "total_max_attempts": 3},
                ),
            )

    def credentials(self) -> Credentials:
        """The operator's credentials, to sign requests with.

        Raises:
            OpsError: There are none.
        """
        credentials = self.session.get_credentials()
        if credentials is None:
            raise OpsError(
                "no AWS credentials are set",
                next_step="sign in, for example with aws sso login, or set AWS_PROFILE",
            )
        return cast(Credentials, credentials.get_frozen_credentials())


def open_environment(
    name: str, *, workspace: Workspace | None = None, stack_folder: Path | None = None
) -> Environment:
    """Opens a deployed environment.

    Args:
        name: Its name; `local` is the one on this machine.
        workspace: Where the local one is kept.
        stack_folder: Where Terraform knows the state of one on AWS; `cdktf.out/stacks/<name>` by
            default.

    Returns:
        The environment.

    Raises:
        OpsError: It does not run, is not deployed, or its state cannot be read.
    """
    if name == ENVIRONMENT:
        return _open_local(workspace or Workspace())
    return _open_on_aws(name, stack_folder or REPOSITORY / "cdktf.out" / "stacks" / name)


def _open_local(workspace: Workspace) -> Environment:
    api = local.status(workspace)
    return Environment(
        name=ENVIRONMENT,
        outputs=api.outputs,
        given_api_key=api.api_key,
        session=boto3.Session("test", "test", region_name=api.outputs["regions"][0]),
        network=api.network,
        endpoint_url=api.stand.endpoint_url,
        speed=api.stand.speed,
        edge=EdgeControl(api.stand.control_url),
        status_url=api.stand.status_url,
    )


def _open_on_aws(name: str, folder: Path) -> Environment:
    if not folder.is_dir():
        raise OpsError(
            f"{folder} does not exist",
            next_step=f"synthesize it: FAILOVER_ENVIRONMENT={name} pipenv run synth; then run "
            "terraform init there",
            exit_code=ExitCode.USAGE,
        )
    outputs = Terraform(folder, os.environ).outputs()
    if "regions" not in outputs:
        raise OpsError(
            f"the environment {name} is not deployed, or by an older version",
            next_step=f"deploy it: pipenv run cdktf deploy {name}",
        )
    return Environment(
        name=name,
        outputs=outputs,
        given_api_key=os.environ.get(API_KEY_VARIABLE),
        session=boto3.Session(region_name=outputs["regions"][0]),
        network=Network(_addresses_of(outputs["name_servers"]), outputs["zone_name"]),
    )


def _addresses_of(name_servers: list[str]) -> tuple[tuple[str, int], ...]:
    """Where the zone's own servers stand: they are asked, not somebody's cache.

    None is found without DNS; then look-ups fail, but the switch still works.
    """
    addresses = []
    for server in name_servers:
        try:
            addresses += [(record.address, 53) for record in dns.resolver.resolve(server, "A")]
        except (dns.exception.DNSException, OSError):
            continue
    return tuple(addresses)
