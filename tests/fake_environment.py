"""A deployed environment whose AWS is what the test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from constructs_lib.outputs import Outputs
from ops.aws import made_robust
from ops.descriptor import Descriptor, SandboxAccess
from ops.environment import Environment
from ops.http_client import Network

EAST, WEST = "us-east-1", "us-west-2"
NAME = "weather.example.com"
OUTPUTS: dict[str, Any] = {
    "environment": "production",
    "regions": [EAST, WEST],
    "api_url": f"https://{NAME}/v1",
    "record_name": NAME,
    "routing_policy": "failover",
    "health_path": "/v1/health",
    "primary_api_endpoint": f"https://east.execute-api.{EAST}.amazonaws.com/v1",
    "secondary_api_endpoint": f"https://west.execute-api.{WEST}.amazonaws.com/v1",
    "region_urls": {
        EAST: f"https://east.execute-api.{EAST}.amazonaws.com/v1",
        WEST: f"https://west.execute-api.{WEST}.amazonaws.com/v1",
    },
    "api_ids": {EAST: "east", WEST: "west"},
    "domain_targets": {
        EAST: f"d-east.execute-api.{EAST}.amazonaws.com",
        WEST: f"d-west.execute-api.{WEST}.amazonaws.com",
    },
    "certificate_arns": {EAST: "arn:east", WEST: "arn:west"},
    "health_functions": {EAST: "get_health", WEST: "get_health"},
    "customers": [{"name": "operator", "plan": "standard", "keys": ["operator-1"]}],
    "api_key_ids": {"operator-1": {EAST: "key-east", WEST: "key-west"}},
    "table_name": "weather",
    "table_arns": {
        region: f"arn:aws:dynamodb:{region}:123456789012:table/weather" for region in (EAST, WEST)
    },
    "zone_name": "example.com",
    "zone_id": "Z1",
    "name_servers": ["ns-1.example.org"],
    "health_check_ids": {EAST: "calculated", WEST: "calculated-west"},
    "endpoint_health_check_ids": {EAST: "endpoint-east", WEST: "endpoint-west"},
    "evacuation": {
        "path": "/v1/health/evacuations/{region}",
        "item": {"pk": "control", "sk": "evacuation-{region}"},
        "health_check_ids": {EAST: {WEST: "evacuation-east"}, WEST: {EAST: "evacuation-west"}},
    },
}

SERVING = f"serving.{NAME}"
FAILBACK: dict[str, Any] = {
    "names": [SERVING, f"failover-2.{SERVING}"],
    "addresses": {EAST: "192.0.2.1", WEST: "192.0.2.2"},
    "none_healthy": "192.0.2.0",
    "ttl_seconds": 2,
    "mark": {"pk": "control", "sk": "serving-{region}"},
}
"""The output of an environment with manual failback."""


class Canned:
    """An AWS client: each operation gives a value, raises an exception, or calls a function."""

    def __init__(self, **operations: Any) -> None:
        self._operations = operations
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            given = self._operations[name]
            if isinstance(given, Exception):
                raise given
            return given(**arguments) if callable(given) else given

        return call

    def get_paginator(self, operation: str) -> "_OnePage":
        return _OnePage(getattr(self, operation))


@dataclass(frozen=True)
class _OnePage:
    call: Any

    def paginate(self, **arguments: Any) -> list[Any]:
        return [self.call(**arguments)]


@cache
def _session() -> boto3.Session:
    """One for all tests: a session reads megabytes of endpoints and models."""
    return made_robust(boto3.Session("testing", "testing", region_name=EAST))


@dataclass(frozen=True)
class FakeEnvironment(Environment):
    """Clients by service and Region; an exception in the place of one is raised."""

    clients: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    key_values: Mapping[str, str] = field(
        default_factory=lambda: {"operator-1": "a-customers-key-1234567890"}
    )
    session: Any = field(default_factory=_session)
    fault_injection: Any = None

    def client(self, service: str, region: str) -> Any:
        if (service, region) not in self.clients:
            return super().client(service, region)
        found = self.clients[service, region]
        if isinstance(found, Exception):
            raise found
        return found


def outputs(**changes: Any) -> Outputs:
    """The usual outputs, some of them changed; None removes one."""
    return Outputs.from_json(OUTPUTS | changes)


def sandbox_access(speed: float = 20.0) -> SandboxAccess:
    """Addresses at which nothing responds."""
    return SandboxAccess(
        "http://127.0.0.1:1", "http://127.0.0.1:1", speed, Path("api-keys.tfvars.json")
    )


def environment(
    clients: Mapping[tuple[str, str], Any] | None = None,
    *,
    outputs: Mapping[str, Any] = OUTPUTS,
    network: Network | None = None,
    endpoint_url: str | None = None,
    sandbox: SandboxAccess | None = None,
    **changes: Any,
) -> FakeEnvironment:
    """An environment on AWS; `outputs` are added to the usual ones, None takes one away."""
    descriptor = Descriptor(
        Outputs.from_json(OUTPUTS | dict(outputs)),
        network or Network((), "example.com"),
        endpoint_url,
        sandbox,
    )
    return FakeEnvironment(descriptor, clients=clients or {}, **changes)
