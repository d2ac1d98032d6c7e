"""A healthy environment whose AWS fails as a seed says: each request for itself, and repeatably."""

import functools
import json
import random
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from fake_environment import EAST, NAME, OUTPUTS, WEST, FakeEnvironment, environment
from table import TABLE

from ops.http_client import Network, Response
from ops.name_servers import DnsAnswer

FEW, MANY = 40, 300
"""Seeds of the exhaustive tests, and of `make soak`; each takes a third of a second."""
EMPTY = {"locations": [], "observations": [], "next_cursor": None}
URL = "https://aws.example"
PROVISIONED = {
    "Status": "READY",
    "RequestedProvisionedConcurrentExecutions": 2,
    "AvailableProvisionedConcurrentExecutions": 2,
}
KEY = "a-customers-key-1234567890"
HARMLESS = ("throttled", "denied", "slow", "unreachable", "broken")
"""Faults that say nothing of the environment."""
KINDS = (*HARMLESS, "lost", "empty", "malformed", "html")


def _error(code: str, status: int) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "injected"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "Injected")


_ERRORS: Mapping[str, Callable[[], Exception]] = {
    "throttled": lambda: _error("ThrottlingException", 400),
    "denied": lambda: _error("AccessDeniedException", 403),
    "expired": lambda: _error("ExpiredTokenException", 400),
    "broken": lambda: _error("InternalServerError", 500),
    "slow": lambda: ReadTimeoutError(endpoint_url=URL),
    "lost": lambda: ReadTimeoutError(endpoint_url=URL),
    "unreachable": lambda: ConnectTimeoutError(endpoint_url=URL),
    "html": lambda: ResponseParserError("the response is not JSON"),
}


def more_seeds(first: int) -> list[Any]:
    """Parameters of a test that runs with other seeds elsewhere.

    Args:
        first: The first seed.
    """
    soak = pytest.mark.soak
    return [pytest.param(seed, marks=soak if seed >= FEW else ()) for seed in range(first, MANY)]


@dataclass
class Schedule:
    """Which request fails, and how.

    Attributes:
        seed: Decides.
        share: Share of requests that fail.
        kinds: How they fail.
        begins_after: The first requests, so many, do not fail.
        expires_after: After so many requests, the credentials have expired; None for never.
        spared: Operations that never fail.
        is_over: No request fails any more.
    """

    seed: int = 0
    share: float = 0.0
    kinds: tuple[str, ...] = KINDS
    begins_after: int = 0
    expires_after: int | None = None
    spared: tuple[str, ...] = ()
    is_over: bool = False
    happened: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def fault(self, service: str, region: str, operation: str) -> str | None:
        """How the next request of an operation fails; the order of threads does not matter."""
        with self._lock:
            request = f"{service}:{region}:{operation}"
            self._counts[request] = self._counts.get(request, 0) + 1
            total = sum(self._counts.values())
        if self.is_over or operation in self.spared or total <= self.begins_after:
            return None
        if self.expires_after is not None and total > self.expires_after:
            return self._noted("expired")
        draw = random.Random(f"{self.seed}:{request}:{self._counts[request]}")
        if draw.random() < self.share:
            return self._noted(draw.choice(self.kinds))
        return None

    def _noted(self, kind: str) -> str:
        self.happened.add(kind)
        return kind


class Faulty:
    """A client whose requests fail as the schedule says."""

    def __init__(self, client: Any, schedule: Schedule, service: str, region: str) -> None:
        self._client, self._schedule = client, schedule
        self._service, self._region = service, region

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self._call(name, getattr(self._client, name), arguments)

    def get_paginator(self, operation: str) -> "_Pages":
        return _Pages(getattr(self, operation))

    def _call(self, name: str, call: Any, arguments: Mapping[str, Any]) -> Any:
        kind = self._schedule.fault(self._service, self._region, name)
        if kind in ("slow", "lost"):
            # It was done; only the response did not arrive.
            call(**arguments)
        if kind in _ERRORS:
            raise _ERRORS[kind]()
        found = call(**arguments)
        if kind == "malformed" and not name.endswith("_item"):
            return {}
        if kind == "empty":
            return {key: [] if isinstance(value, list) else value for key, value in found.items()}
        return found


class _Pages:
    def __init__(self, call: Any) -> None:
        self._call = call

    def paginate(self, **arguments: Any) -> Any:
        arguments.pop("PaginationConfig", None)
        yield self._call(**arguments)


class Model:
    """An AWS service: each operation gives a value."""

    def __init__(self, **operations: Any) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        value = self._operations[name]
        return lambda **arguments: deepcopy(value(**arguments) if callable(value) else value)


@functools.cache
def _dynamodb() -> Any:
    """A client; each one takes seconds on a busy machine, as it reads its models anew."""
    return boto3.client(
        "dynamodb", WEST, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


class Table:
    """A global table, kept by moto: what is written in one Region is there in the other at once."""

    def __init__(self) -> None:
        self.replicates, self.writes = True, 0
        self._lock = threading.RLock()
        self._client = _dynamodb()
        self._client.create_table(TableName="weather", **TABLE)

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        """The items by partition and sort key."""
        found = self._client.scan(TableName="weather")["Items"]
        return {f"{item['pk']['S']}/{item['sk']['S']}": item for item in found}

    def put(self, item: Mapping[str, Any]) -> None:
        """Write an item, without a fault."""
        self._client.put_item(TableName="weather", Item=item)

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            key = request.get("Key", {}).get("sk", {}).get("S", "")
            if operation == "get_item" and not self.replicates and key.startswith("verify#"):
                return {}
            with self._lock:
                try:
                    return getattr(self._client, operation)(**request | {"TableName": "weather"})
                finally:
                    # After it is done: whoever has seen this number has seen what it did.
                    self.writes += operation != "get_item"

        return call


class HealthyNetwork(Network):
    """Every Region responds at its address; DNS answers with the primary."""

    def __init__(self) -> None:
        super().__init__((("192.0.2.53", 53),), "example.com", ipv6=True)
        object.__setattr__(self, "statuses", {EAST: 200, WEST: 200})

    def resolve(self, name: str, kind: str = "A") -> DnsAnswer:
        return DnsAnswer(("192.0.2.1" if kind == "A" else "2001:db8::1",), 60)

    def address_of(self, host: str) -> tuple[str, int]:
        return ("192.0.2.1" if EAST in host else "192.0.2.2"), 443

    def request(
        self, method: str, url: str, *, headers: Any = None, address: str | None = None, **_: Any
    ) -> Response:
        region = WEST if address == "192.0.2.2" or WEST in url else EAST
        status = self.statuses[region]
        if "/health" in url:
            return Response(status, region)
        if not headers or headers.get("x-api-key") != KEY:
            return Response(403, region)
        return Response(status, region, body=json.dumps(EMPTY))


class Reserved(dict[str, int]):
    """The reserved concurrency of the health function in each Region, as Lambda keeps it."""

    def client(self, region: str) -> Model:
        """Lambda in one Region."""

        def get(**_: Any) -> dict[str, int]:
            return {"ReservedConcurrentExecutions": self[region]} if region in self else {}

        def put(*, ReservedConcurrentExecutions: int, **_: Any) -> dict[str, int]:  # noqa: N803
            self[region] = ReservedConcurrentExecutions
            return get()

        def delete(**_: Any) -> dict[str, Any]:
            self.pop(region, None)
            return {}

        return Model(
            get_function_configuration={"CodeSha256": "abc", "Runtime": "python3.13"},
            get_alias={"Name": "live", "FunctionVersion": "7"},
            get_account_settings={"AccountLimit": {"ConcurrentExecutions": 1000}},
            get_function_concurrency=get,
            get_provisioned_concurrency_config=PROVISIONED,
            put_function_concurrency=put,
            delete_function_concurrency=delete,
        )


def services(region: str, table: Table, reserved: Reserved) -> dict[str, Any]:
    """The services of one Region, all as they should be."""
    other = WEST if region == EAST else EAST
    key_id, api_id = OUTPUTS["api_key_ids"]["operator-1"][region], OUTPUTS["api_ids"][region]
    function = f"arn:aws:lambda:{region}:1:function:list_locations:live"
    method = {
        "authorizationType": "NONE", "apiKeyRequired": True,
        "methodIntegration": {
            "type": "AWS_PROXY",
            "uri": f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/x",
        },
    }  # fmt: skip
    plan = {
        "id": "p", "name": "standard", "throttle": {"rateLimit": 1.0},
        "apiStages": [{"apiId": api_id, "stage": "v1"}],
    }  # fmt: skip
    key = {"id": key_id, "name": "operator", "value": KEY, "enabled": True}
    schema = [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    description = {
        "TableStatus": "ACTIVE", "TableArn": OUTPUTS["table_arns"][region], "KeySchema": schema,
        "Replicas": [{"RegionName": other, "ReplicaStatus": "ACTIVE"}],
        "SSEDescription": {
            "Status": "ENABLED", "SSEType": "KMS",
            "KMSMasterKeyArn": f"arn:aws:kms:{region}:1:key/x",
        },
    }  # fmt: skip
    recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    certificate = {
        "DomainName": NAME, "Status": "ISSUED", "NotAfter": datetime.now(UTC) + timedelta(days=90),
    }  # fmt: skip
    return {
        "sts": Model(get_caller_identity={"Account": "123456789012", "Arn": "arn:aws:iam::1:u/a"}),
        "dynamodb": Model(
            put_item=table.put_item,
            get_item=table.get_item,
            delete_item=table.delete_item,
            update_item=table.update_item,
            describe_table={"Table": description},
            describe_continuous_backups={"ContinuousBackupsDescription": recovery},
            describe_time_to_live={"TimeToLiveDescription": {}},
            describe_limits={f"{each}CapacityUnits": 40000 for each in _UNITS},
        ),
        "kms": Model(describe_key={"KeyMetadata": {"KeyState": "Enabled"}}),
        "acm": Model(describe_certificate={"Certificate": certificate}),
        "lambda": reserved.client(region),
        "apigateway": Model(
            get_resources={"items": [{"path": "/locations", "resourceMethods": {"GET": method}}]},
            get_request_validators={"items": []},
            get_models={"items": []},
            get_gateway_responses={"items": []},
            get_stage={"tracingEnabled": True},
            get_account={"throttleSettings": {"rateLimit": 10000.0, "burstLimit": 5000}},
            get_rest_api={"name": "weather", "securityPolicy": "TLS_1_0"},
            get_domain_name={"securityPolicy": "TLS_1_2"},
            get_usage_plans={"items": [plan]},
            get_usage_plan_keys={"items": [{"id": key_id}]},
            get_api_keys={"items": [key]},
        ),
        "route53": Model(
            list_resource_record_sets={"ResourceRecordSets": _records()},
            get_hosted_zone={"HostedZone": {"Features": {"AcceleratedRecoveryStatus": "DISABLED"}}},
            list_query_logging_configs={"QueryLoggingConfigs": []},
            get_health_check=lambda HealthCheckId: {  # noqa: N803
                "HealthCheck": {"HealthCheckConfig": _CONFIGS[HealthCheckId]}
            },
            get_health_check_status={
                "HealthCheckObservations": [{"StatusReport": {"Status": "Success: 200"}}]
            },
        ),
        "cloudwatch": Model(
            get_metric_statistics={
                "Datapoints": [{"Timestamp": datetime.now(UTC), "Minimum": 1.0}]
            },
            get_metric_data=lambda MetricDataQueries, **_: {  # noqa: N803
                "MetricDataResults": [
                    {"Id": query["Id"], "Timestamps": [datetime.now(UTC)], "Values": [5.0]}
                    for query in MetricDataQueries
                ]
            },
        ),
    }


def _records() -> list[dict[str, Any]]:
    return [
        {
            "Name": f"{NAME}.", "Type": kind, "SetIdentifier": role, "Failover": role.upper(),
            "AliasTarget": {
                "DNSName": OUTPUTS["domain_targets"][region], "EvaluateTargetHealth": True,
            },
            "HealthCheckId": OUTPUTS["health_check_ids"][region],
        }
        for kind in ("A", "AAAA")
        for role, region in (("primary", EAST), ("secondary", WEST))
    ]  # fmt: skip


def _endpoint(region: str, path: str, **more: Any) -> dict[str, Any]:
    host = OUTPUTS["region_urls"][region].split("/")[2]
    return {
        "Type": "HTTPS", "FullyQualifiedDomainName": host, "ResourcePath": path, "Port": 443,
        "EnableSNI": True, "RequestInterval": 30, "FailureThreshold": 3,
        "Regions": ["eu-west-1", "us-east-1", "us-west-2"],
    } | more  # fmt: skip


_UNITS = ("AccountMaxRead", "AccountMaxWrite", "TableMaxRead", "TableMaxWrite")
_CONFIGS = {
    "endpoint-east": _endpoint(EAST, "/v1/health"),
    "endpoint-west": _endpoint(WEST, "/v1/health"),
    "evacuation-east": _endpoint(WEST, f"/v1/health/evacuations/{EAST}", Inverted=True),
    "evacuation-west": _endpoint(EAST, f"/v1/health/evacuations/{WEST}", Inverted=True),
    "calculated": {
        "Type": "CALCULATED", "ChildHealthChecks": ["endpoint-east", "evacuation-east"],
        "HealthThreshold": 2,
    },
    "calculated-west": {
        "Type": "CALCULATED", "ChildHealthChecks": ["endpoint-west", "evacuation-west"],
        "HealthThreshold": 2,
    },
}  # fmt: skip


@dataclass
class FaultyAws:
    """An environment, its model and the schedule of its faults.

    Attributes:
        schedule: Which request fails.
        table: The table.
        reserved: The reserved concurrency of each Region's health function.
        network: How Regions respond.
        regions: The services of each Region, to change one.
    """

    schedule: Schedule
    table: Table = field(default_factory=Table)
    reserved: Reserved = field(default_factory=Reserved)
    network: HealthyNetwork = field(default_factory=HealthyNetwork)
    regions: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.regions = {
            region: services(region, self.table, self.reserved) for region in (EAST, WEST)
        }

    def change(self, service: str, region: str, **operations: Any) -> None:
        """Let operations of a service give something else."""
        self.regions[region][service]._operations.update(operations)

    def environment(self, **changes: Any) -> FakeEnvironment:
        """The environment."""
        clients = {
            (service, region): Faulty(model, self.schedule, service, region)
            for region, found in self.regions.items()
            for service, model in found.items()
        }
        return environment(clients, network=self.network, key_values={"operator-1": KEY}, **changes)
