"""Local AWS servers for these tests: MiniStack as it is, and with the patches."""

import io
import json
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

REPOSITORY = Path(__file__).resolve().parents[2]

_ECHO = b"""
import json, os

def handler(event, context):
    seen = {"region": os.environ["AWS_REGION"], "headers": event["headers"]}
    return {"statusCode": 200, "body": json.dumps(seen)}
"""


@dataclass
class LocalAws:
    """One running server and short ways to fill it."""

    process: subprocess.Popen[str]
    url: str
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str = "us-east-1", *, user_agent: str = "") -> Any:
        key = (service, region, user_agent)
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"max_attempts": 1}, user_agent_extra=user_agent),
            )
        return self._clients[key]

    def call(self, host: str, path: str, method: str = "GET", **options: Any) -> requests.Response:
        headers = {"Host": host, **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=20, **options)

    def call_api(self, api: str, path: str, method: str = "GET", **more: Any) -> requests.Response:
        """Call an API by its id, at the server's own name: with and without patches."""
        url = f"{self.url}/_aws/execute-api/{api}{path}"
        return requests.request(method, url, timeout=20, **more)

    def echo_function(self, region: str, code: str | None = None, **more: Any) -> str:
        """The ARN of a function that answers with its Region and the headers it saw.

        Args:
            region: Its Region.
            code: Other code, with a `handler`.
            more: More arguments of ``create_function``.
        """
        name = f"echo-{uuid.uuid4().hex[:8]}"
        made = self.client("lambda", region).create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="echo.handler",
            Role="arn:aws:iam::000000000000:role/echo",
            Code={"ZipFile": _zip("echo.py", code or _ECHO)},
            **more,
        )
        self.permit(region, name)
        return str(made["FunctionArn"])

    def permit(self, region: str, function: str, **more: Any) -> None:
        """Let every API invoke a function, or its ``Qualifier``, which also names the statement."""
        statement = {"StatementId": more.get("Qualifier", "function"), **more}
        self.client("lambda", region).add_permission(
            FunctionName=function, Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com", **statement,
        )  # fmt: skip

    def publish(self, region: str, function: str, code: str) -> str:
        """Change a function's code, and publish it; the number of the version."""
        client = self.client("lambda", region)
        client.get_waiter("function_updated_v2").wait(FunctionName=function)
        client.update_function_code(FunctionName=function, ZipFile=_zip("echo.py", code))
        client.get_waiter("function_updated_v2").wait(FunctionName=function)
        return str(client.publish_version(FunctionName=function)["Version"])

    def rest_api(self, region: str, **method: Any) -> str:
        """A REST API on stage ``v1``: ``GET`` and ``POST /thing`` answer with the Region.

        Args:
            region: Its Region.
            method: More arguments of ``put_method``; ``uri`` makes it a function's proxy.
        """
        gateway = self.client("apigateway", region)
        api = gateway.create_rest_api(name="thing", endpointConfiguration={"types": ["REGIONAL"]})
        resource = gateway.create_resource(
            restApiId=api["id"], parentId=api["rootResourceId"], pathPart="thing"
        )
        for name in ("GET", "POST"):
            place = {"restApiId": api["id"], "resourceId": resource["id"], "httpMethod": name}
            self.method(region, place, **method)
        self.deploy(region, api["id"])
        return str(api["id"])

    def deploy(self, region: str, api_id: str) -> None:
        self.client("apigateway", region).create_deployment(restApiId=api_id, stageName="v1")

    def method(
        self, region: str, place: dict[str, str], uri: str | None = None, **method: Any
    ) -> None:
        gateway = self.client("apigateway", region)
        gateway.put_method(**{"authorizationType": "NONE", **method}, **place)
        if uri:
            gateway.put_integration(
                **place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri
            )
            return
        gateway.put_integration(
            **place, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'}
        )
        gateway.put_method_response(**place, statusCode="200")
        gateway.put_integration_response(
            **place,
            statusCode="200",
            responseTemplates={"application/json": json.dumps({"region": region})},
        )

    def custom_domain(self, region: str, domain: str, api_id: str) -> dict[str, Any]:
        """Register a domain name in a Region, its base path ``v1`` mapped to the stage ``v1``."""
        gateway = self.client("apigateway", region)
        made = gateway.create_domain_name(
            domainName=domain,
            endpointConfiguration={"types": ["REGIONAL"]},
            regionalCertificateArn=f"arn:aws:acm:{region}:000000000000:certificate/x",
        )
        gateway.create_base_path_mapping(
            domainName=domain, basePath="v1", restApiId=api_id, stage="v1"
        )
        return dict(made)


def start(*flags: str, port: int = 0) -> subprocess.Popen[str]:
    """Start a server; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox.emulator", "--port", str(port), *flags],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def serving(process: subprocess.Popen[str]) -> LocalAws:
    """Wait until a started server answers."""
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://\S+", line)
    if address is None:
        raise RuntimeError(f"the server said {line!r}, then: {process.communicate()}")
    aws = LocalAws(process, address[0])
    assert requests.get(f"{aws.url}/_ministack/ready", timeout=20).ok
    return aws


def end(process: subprocess.Popen[str]) -> int:
    """End a server as its users do; its exit code."""
    process.terminate()
    process.communicate(timeout=30)
    return process.returncode


def _zip(name: str, content: bytes | str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, content)
    return archive.getvalue()


@contextmanager
def running(*flags: str) -> Iterator[LocalAws]:
    """Start a server, and end it after the block."""
    process = start(*flags)
    try:
        yield serving(process)
    finally:
        end(process)


@pytest.fixture(scope="session")
def unpatched() -> Iterator[LocalAws]:
    with running("--unpatched") as aws:
        yield aws


@pytest.fixture(scope="session")
def patched() -> Iterator[LocalAws]:
    with running() as aws:
        yield aws


@pytest.fixture(scope="session")
def emulator() -> Any:
    """``start``, ``serving``, ``end`` for tests that need a server of their own."""
    return sys.modules[__name__]
