"""One deployed environment: clients of its AWS services and of its API.

What can be done with it follows from its descriptor; nothing asks whether it is a sandbox.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
from botocore.credentials import Credentials

from constructs_lib.outputs import Outputs
from ops.aws import READ_TIMEOUT_SECONDS, client_of, session_for
from ops.descriptor import Descriptor
from ops.errors import SIGN_IN, OpsError, UsageError
from ops.fault_injection import FaultInjection
from ops.folders import DEFAULT_FOLDER, drills_folder, journal_file
from ops.http_client import Network, Response
from ops.identity import Identity, identify
from ops.key_values import VARIABLE, KeyFile, default_file, given
from ops.sandbox_client import START, call_sandbox

STATUS_TIMEOUT_SECONDS = 10.0
_MAKING_CLIENTS = Lock()


@dataclass(frozen=True)
class Environment:
    """A deployed environment.

    Attributes:
        descriptor: Its outputs, and how to reach it.
        customer: Name of the customer in whose name the API is called; None for the first one.
        given_selector: The options that choose it on a command line, as they were typed.
        folder: Folder of journals and reports.
        stack_folder: Folder in which Terraform works; None where only the descriptor is known.
    """

    descriptor: Descriptor
    customer: str | None = None
    given_selector: str = ""
    folder: Path = DEFAULT_FOLDER
    stack_folder: Path | None = None

    @property
    def selector(self) -> str:
        """The options that choose it on a command line."""
        return self.given_selector or f"--environment {self.name}"

    @property
    def name(self) -> str:
        """Its name, that of the environment file."""
        return self.descriptor.environment

    @property
    def outputs(self) -> Outputs:
        """The outputs of its stack."""
        return self.descriptor.outputs

    @property
    def network(self) -> Network:
        """How its names resolve."""
        return self.descriptor.network

    @property
    def drills_folder(self) -> Path:
        """Folder of the journals and reports of drills."""
        return drills_folder(self.folder)

    @property
    def journal_file(self) -> Path:
        """File of the journal of its drill."""
        return journal_file(self.folder, self.name)

    @property
    def regions(self) -> tuple[str, ...]:
        """Its Regions in order, the primary first."""
        return self.outputs.regions

    @property
    def primary(self) -> str:
        """The Region that serves while it is healthy."""
        return self.outputs.primary

    @property
    def secondary(self) -> str:
        """The Region that takes over."""
        return self.outputs.secondary

    @property
    def speed(self) -> float:
        """How much faster than on AWS its health checks and DNS run; 1 on AWS."""
        return self.descriptor.sandbox.speed if self.descriptor.sandbox else 1.0

    @property
    def patience(self) -> float:
        """How much longer than on AWS to wait: the one machine of a sandbox may be busy."""
        return 6.0 if self.descriptor.sandbox else 1.0

    @cached_property
    def fault_injection(self) -> FaultInjection | None:
        """Client of a sandbox's fault-injection API; None on AWS."""
        sandbox = self.descriptor.sandbox
        return FaultInjection(sandbox.fault_injection_url) if sandbox else None

    @cached_property
    def session(self) -> boto3.Session:
        """AWS session of the operator; the primary, which may be lost, gives credentials last."""
        first, *others = (*self.regions[1:], self.primary)
        return session_for(self.descriptor.endpoint_url, first, otherwise=others)

    def identify(self) -> Identity:
        """Find out whose credentials these are, and that they are of this environment's account.

        Raises:
            OpsError: They are of another account, or there are no valid ones.
        """
        return identify(self)

    def table(self, region: str) -> str:
        """What DynamoDB's requests take as name of the table: its ARN.

        A table of the same name in another account is never meant then.

        Args:
            region: The Region.
        """
        return self.outputs.table_arns[region]

    @cached_property
    def key_values(self) -> Mapping[str, str]:
        """`{name of API key: value}` of the keys that this machine knows.

        Raises:
            OpsError: The file of values or Terraform's variable is malformed.
        """
        if self.descriptor.sandbox:
            return KeyFile(self.descriptor.sandbox.api_keys_file, self.name).values()
        return given(os.environ, self.name) | KeyFile(default_file(self.name), self.name).values()

    @property
    def customer_name(self) -> str:
        """Name of the customer in whose name the API is called; empty if there is none."""
        return self.customer or next((each.name for each in self.outputs.customers), "")

    @property
    def api_key_name(self) -> str:
        """Name of the customer's API key: of several, the newest whose value is known.

        The older one is about to end.

        Raises:
            OpsError: There is no such customer, or no value is known on this machine.
        """
        customers = {customer.name: customer for customer in self.outputs.customers}
        customer = customers.get(self.customer_name)
        if customer is None:
            raise UsageError(
                f"the environment {self.name} has no customer {self.customer or 'at all'}",
                next_step=f"name one of them: {', '.join(customers)}"
                if customers
                else f"add one: python -m ops customers issue NAME --plan PLAN --environment "
                f"{self.name}, and deploy",
            )
        for key in reversed(customer.keys):
            if self.key_values.get(key):
                return key
        raise UsageError(
            f"the value of the key {customer.keys[0]} is not known on this machine",
            next_step=f"read it from AWS: python -m ops customers pull --environment {self.name}; "
            f"or set {VARIABLE} as for the deployment",
        )

    @property
    def api_key(self) -> str:
        """Value of the customer's API key.

        Raises:
            OpsError: There is no such customer, or the value is not known on this machine.
        """
        return self.key_values[self.api_key_name]

    def at_speed(self, speed: float) -> "Environment":
        """The same sandbox at another speed.

        Args:
            speed: How much faster than on AWS its health checks and DNS run.
        """
        assert self.descriptor.sandbox is not None
        sandbox = replace(self.descriptor.sandbox, speed=speed)
        return replace(self, descriptor=replace(self.descriptor, sandbox=sandbox))

    def region_url(self, region: str) -> str:
        """URL of one Region alone, without a trailing slash."""
        return self.outputs.region_urls[region]

    def region_host(self, region: str) -> str:
        """Host name of one Region's API alone."""
        return urlsplit(self.region_url(region)).hostname or ""

    def call_region(
        self, region: str, path: str, *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a GET request to one Region by its own name.

        Args:
            region: The Region.
            path: Path of the request, with the stage.
            headers: Request headers.
        """
        host = self.region_host(region)
        return self._call(host, f"https://{host}{path}", headers)

    def call_region_domain(self, region: str, path: str) -> Response:
        """Send a GET request to the domain name in one Region, wherever DNS routes to.

        Args:
            region: The Region.
            path: Path of the request, with the base path.
        """
        target = self.outputs.domain_targets[region]
        return self._call(target, f"https://{self.outputs.record_name}{path}")

    def _call(self, place: str, url: str, headers: Mapping[str, str] | None = None) -> Response:
        try:
            address, _ = self.network.address_of(place)
        except OSError as error:
            return Response(None, error=str(error), unreachable=True)
        return self.network.request("GET", url, headers=headers, address=address)

    def call_domain(self, address: str, path: str) -> Response:
        """Send a GET request to the domain name at an address, whatever DNS says of the name.

        Args:
            address: The address.
            path: Path of the request, with the base path.
        """
        url = f"https://{self.outputs.record_name}{path}"
        return self.network.request("GET", url, address=address)

    def sandbox_status(
        self, method: str = "GET", path: str = "/status", body: Any = None
    ) -> dict[str, Any]:
        """Call the status server of a sandbox's Route 53.

        Args:
            method: HTTP method.
            path: Path; by default that of the report of all health checks and records.
            body: JSON value of the body.

        Returns:
            The body of the response.

        Raises:
            OpsError: It does not respond.
        """
        assert self.descriptor.sandbox is not None
        what, url = "the sandbox's Route 53", f"{self.descriptor.sandbox.health_status_url}{path}"
        status, found = call_sandbox(what, method, url, body, STATUS_TIMEOUT_SECONDS)
        if status >= 300:
            raise OpsError(
                f"{what} at {url} does not respond: {status} {str(found)[:200]}", next_step=START
            )
        return found

    def client(self, service: str, region: str) -> Any:
        """A boto3 client with short time limits.

        Args:
            service: Name of the service, as boto3 spells it.
            region: The Region.
        """
        key = service, region
        # A session makes one client at a time.
        with _MAKING_CLIENTS:
            if key not in self._clients:
                timeout = READ_TIMEOUT_SECONDS * self.patience
                self._clients[key] = client_of(
                    self.session, *key, self.descriptor.endpoint_url, read_timeout_seconds=timeout
                )
            return self._clients[key]

    @cached_property
    def _clients(self) -> dict[tuple[str, str], Any]:
        return {}

    def credentials(self) -> Credentials:
        """The operator's credentials, to sign requests with.

        Raises:
            OpsError: There are none.
        """
        credentials = self.session.get_credentials()
        if credentials is None:
            raise OpsError("no AWS credentials are set", next_step=SIGN_IN)
        return cast(Credentials, credentials.get_frozen_credentials())
