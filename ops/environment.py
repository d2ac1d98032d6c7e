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
from ops.key_values import VARIABLE, KeyFile, default_file, given
from ops.stand import ENVIRONMENT, REPOSITORY, Workspace
from ops.terraform import Terraform

_MAKING_CLIENTS = Lock()


@dataclass(frozen=True)
class Environment:
    """A deployed environment.

    Attributes:
        name: Its name, that of the environment file.
        outputs: The stack's outputs, as Terraform knows them.
        key_values: `{name of API key: value}` of the keys that this machine knows.
        session: AWS session of the operator.
        network: Where its names lead.
        endpoint_url: Where the local AWS answers; None on AWS.
        speed: How much faster than AWS its health checks and DNS run; 1 on AWS.
        edge: Breaks and mends the local Regions; None on AWS.
        status_url: Where the local data plane tells its health checks' states; None on AWS.
        customer: Name of the customer that the tools play; None for the first one.
    """

    name: str
    outputs: Mapping[str, Any]
    key_values: Mapping[str, str]
    session: boto3.Session
    network: Network
    endpoint_url: str | None = None
    speed: float = 1.0
    edge: EdgeControl | None = None
    status_url: str | None = None
    customer: str | None = None

    @property
    def api_key(self) -> str:
        """Value of the API key of the customer that the tools play.

        Raises:
            OpsError: There is no such customer, or the value of its key is not known here; only
                calls as a customer need one.
        """
        customers = self.outputs["customers"]
        names = [customer["name"] for customer in customers]
        if not names or self.customer not in (None, *names):
            raise OpsError(
                f"the environment {self.name} has no customer {self.customer or 'at all'}",
                next_step=f"name one of them: {', '.join(names)}"
                if names
                else f"add one: python -m ops customers issue NAME --plan PLAN --environment "
                f"{self.name}, and deploy",
                exit_code=ExitCode.USAGE,
            )
        played = customers[names.index(self.customer) if self.customer else 0]
        for key in played["keys"]:
            if value := self.key_values.get(key):
                return value
        raise OpsError(
            f"the value of the key {played['keys'][0]} is not known on this machine",
            next_step=f"read it from AWS: python -m ops customers pull --environment {self.name}; "
            f"or set {VARIABLE} as for the deployment",
            exit_code=ExitCode.USAGE,
        )

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
    name: str,
    *,
    workspace: Workspace | None = None,
    stack_folder: Path | None = None,
    customer: str | None = None,
) -> Environment:
    """Opens a deployed environment.

    Args:
        name: Its name; `local` is the one on this machine.
        workspace: Where the local one is kept.
        stack_folder: Where Terraform knows the state of one on AWS; `cdktf.out/stacks/<name>` by
            default.
        customer: Name of the customer that the tools play; the first one by default.

    Returns:
        The environment.

    Raises:
        OpsError: It does not run, is not deployed, or its state cannot be read.
    """
    if name == ENVIRONMENT:
        return _open_local(workspace or Workspace(), customer)
    return _open_on_aws(name, stack_folder or default_stack_folder(name), customer)


def default_stack_folder(name: str) -> Path:
    """Where Terraform knows the state of an environment on AWS, unless told otherwise.

    Args:
        name: Name of the environment.
    """
    return REPOSITORY / "cdktf.out" / "stacks" / name


def _open_local(workspace: Workspace, customer: str | None) -> Environment:
    api = local.status(workspace)
    return Environment(
        name=ENVIRONMENT,
        outputs=api.outputs,
        key_values=api.key_values,
        session=boto3.Session("test", "test", region_name=api.outputs["regions"][0]),
        network=api.network,
        endpoint_url=api.stand.endpoint_url,
        speed=api.stand.speed,
        edge=EdgeControl(api.stand.control_url),
        status_url=api.stand.status_url,
        customer=customer,
    )


def outputs_of(folder: Path, name: str) -> dict[str, Any]:
    """What Terraform knows of an environment on AWS.

    Args:
        folder: Where Terraform knows its state.
        name: Name of the environment.

    Returns:
        The stack's outputs; empty if nothing is deployed.

    Raises:
        OpsError: The folder does not exist, or the state cannot be read.
    """
    if not folder.is_dir():
        raise OpsError(
            f"{folder} does not exist",
            next_step=f"synthesize it: FAILOVER_ENVIRONMENT={name} pipenv run synth; then run "
            "terraform init there",
            exit_code=ExitCode.USAGE,
        )
    return Terraform(folder, os.environ).outputs()


def _open_on_aws(name: str, folder: Path, customer: str | None) -> Environment:
    outputs = outputs_of(folder, name)
    if "regions" not in outputs:
        raise OpsError(
            f"the environment {name} is not deployed, or by an older version",
            next_step=f"deploy it: pipenv run cdktf deploy {name}",
        )
    return Environment(
        name=name,
        outputs=outputs,
        key_values=given(os.environ, name) | KeyFile(default_file(name), name).values(),
        session=boto3.Session(region_name=outputs["regions"][0]),
        network=Network(_addresses_of(outputs["name_servers"]), outputs["zone_name"]),
        customer=customer,
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
