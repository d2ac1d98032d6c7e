"""A deployed environment whose AWS is what the test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3

from ops.calls import Network
from ops.environment import Environment

EAST, WEST = "us-east-1", "us-west-2"
NAME = "weather.example.com"
OUTPUTS: dict[str, Any] = {
    "regions": [EAST, WEST],
    "api_url": f"https://{NAME}/v1",
    "record_name": NAME,
    "routing_policy": "failover",
    "health_path": "/v1/health",
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
    "zone_id": "Z1",
    "health_check_ids": {EAST: "calculated", WEST: "endpoint-west"},
    "endpoint_health_check_ids": {EAST: "endpoint-east", WEST: "endpoint-west"},
    "switch": {
        "region": WEST,
        "path": "/v1/health/switch",
        "item": {"pk": "control", "sk": "switch"},
        "health_check_id": "switch",
    },
}


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


@dataclass(frozen=True)
class FakeEnvironment(Environment):
    """Clients by service and Region; an exception in the place of one is raised."""

    clients: Mapping[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str) -> Any:
        if (service, region) not in self.clients:
            return super().client(service, region)
        found = self.clients[service, region]
        if isinstance(found, Exception):
            raise found
        return found


@cache
def _session() -> boto3.Session:
    """One for all tests: a session reads megabytes of endpoints and models."""
    return boto3.Session("testing", "testing", region_name=EAST)


def environment(
    clients: Mapping[tuple[str, str], Any] | None = None, **changes: Any
) -> FakeEnvironment:
    """An environment on AWS; `outputs` are added to the usual ones, None takes one away."""
    outputs = OUTPUTS | changes.pop("outputs", {})
    values: dict[str, Any] = {
        "name": "production",
        "outputs": {name: value for name, value in outputs.items() if value is not None},
        "key_values": {"operator-1": "a-customers-key-1234567890"},
        "session": _session(),
        "network": Network((), "example.com"),
        "clients": clients or {},
    }
    return FakeEnvironment(**(values | changes))
