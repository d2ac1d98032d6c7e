"""The running local API, called as customers, publishers and strangers call it."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from repository_files import REPOSITORY

from ops import local
from ops.calls import signed_headers
from ops.stand import Workspace

REGIONS = ("us-east-1", "us-west-2")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    text: str

    @property
    def json(self):
        return json.loads(self.text)


@dataclass(frozen=True)
class Api:
    """A deployed local API and the means to call it."""

    workspace: Workspace
    local: local.LocalApi
    up_output: str
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=16))

    def url(self, region, path):
        return self.local.region_urls[region] + path

    def send(self, method, url, headers=None, body=None):
        answer = self.http.request(
            method, url, headers=headers or {}, body=body, timeout=30, retries=False
        )
        return Answer(answer.status, answer.headers, answer.data.decode())

    def get(self, region, path):
        """As a customer, with the API key."""
        return self.send("GET", self.url(region, path), {"x-api-key": self.local.api_key})

    def signed(self, method, region, path, body=None, content_type="application/json"):
        """As a publisher, signed."""
        data = body if isinstance(body, str | None) else json.dumps(body)
        request = AWSRequest(
            method, self.url(region, path), headers={"Content-Type": content_type}, data=data
        )
        SigV4Auth(Credentials("test", "test"), "execute-api", region).add_auth(request)
        return self.send(method, request.url, dict(request.headers.items()), request.data)

    def by_name(self, method, region, path, headers=None, body=None, credentials=None):
        """At the Region's name that the stack gives, over TLS; signed if credentials are given."""
        url = self.local.outputs["region_urls"][region] + path
        headers, data = dict(headers or {}), json.dumps(body).encode() if body else None
        if data:
            headers["Content-Type"] = "application/json"
        if credentials:
            signed, data = signed_headers(
                method, url, region=region, credentials=credentials, body=body
            )
            headers |= signed
        return self.local.network.request(
            method, url, headers=headers, body=data, timeout_seconds=30
        )

    def put(self, region, path, body):
        return self.signed("PUT", region, path, body)

    def client(self, service, region):
        return boto3.client(
            service, endpoint_url=self.local.stand.endpoint_url, region_name=region,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def terraform(self, *arguments):
        terraform = self.workspace.terraform(
            local.terraform_environment(self.local.stand) | local.key_variable(self.workspace)
        )
        return subprocess.run(
            ["terraform", *arguments], cwd=terraform.folder, env=terraform.environment,
            capture_output=True, text=True,
        )  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_ops(*arguments, **environment):
    """`python -m ops …`, from a folder that is not the repository's."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops", *arguments],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_ops(*arguments, **environment):
    """The same, to its end."""
    with start_ops(*arguments, **environment) as program:
        output, errors = program.communicate()
    return subprocess.CompletedProcess(arguments, program.returncode, output, errors)
