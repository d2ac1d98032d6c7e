"""The running local API, called as customers, publishers and strangers call it."""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from repository_files import REPOSITORY

from ops.drill.speed import set_speed
from ops.errors import OpsError
from ops.http_client import signed_headers
from sandbox import lifecycle
from sandbox.workspace import Workspace

REGIONS = ("us-east-1", "us-west-2")
SPEED = 20
IDLE_SPEED = 4
"""While no test waits for health checks: at full speed they use a fifth of two cores."""
RECOVERY_SECONDS = 20.0
"""How long health checks may take to see that a fault has been cleared."""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        }
    ],
}
"""Trust policy of a role that everybody in the sandbox's account may assume."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    text: str

    @property
    def json(self):
        return json.loads(self.text)


@dataclass
class Api:
    """The API in a sandbox of its own, and the means to call it.

    Attributes:
        workspace: Where the sandbox keeps everything.
        options: Options of `up`, beside those for ports and speed.
        variables: Environment variables of `up`.
        local: What runs; another one after `replace`.
        up_output: What the last `up` printed.
    """

    workspace: Workspace
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    local: lifecycle.LocalApi = field(init=False)
    up_output: str = field(init=False)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=16))

    def up(self, *more_options):
        """Deploy, or deploy what has changed; the Regions get new certificates."""
        self.up_output = self._up(*more_options)
        self.local = lifecycle.status(self.workspace)

    def up_without_deploying(self):
        """Start the local AWS alone."""
        self._up("--no-deploy")

    def _up(self, *more_options):
        done = run_sandbox(
            "up", "--folder", str(self.workspace.folder), "--free-ports", "--speed", str(SPEED),
            *self.options, *more_options, **self.variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def down(self):
        done = run_sandbox("down", "--folder", str(self.workspace.folder))
        assert done.returncode == 0, done.stdout + done.stderr

    def replace_unless_healthy(self):
        """Another sandbox in the place of one that a test has left broken."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while problem := self._problem():
            with suppress(OpsError):
                self.set_speed(SPEED)
            if time.monotonic() > deadline:
                print(f"the sandbox is replaced: {problem}")
                self.replace()
                return
            time.sleep(0.1)

    def replace(self):
        self.down()
        # Another folder: this process remembers the certificates of the old one.
        self.workspace = Workspace(self.workspace.folder.with_name(uuid.uuid4().hex))
        self.up()

    def set_speed(self, speed):
        """Change how fast health checks and DNS run."""
        set_speed(self.local.environment, speed)

    @contextmanager
    def quota(self, region, **limits):
        """Change quotas of a Region, and restore AWS's defaults."""
        address = f"{self.local.sandbox.fault_injection_url}/capacity/{region}"

        def put(values):
            done = urllib3.request("PUT", address, json=values)
            assert done.status == 200, done.data

        put(limits)
        try:
            yield
        finally:
            put({"lambda_concurrency": 1000, "api_requests_per_second": 10_000, "api_burst": 5_000})

    def settle(self):
        """Wait until what one Region has written is in the others."""
        control = self.local.environment.fault_injection
        assert control.await_replication(RECOVERY_SECONDS), control.replication()

    def rest(self):
        """Check health seldom, until a test needs more."""
        with suppress(OpsError):
            self.set_speed(IDLE_SPEED)

    def _problem(self):
        """What is not as a test expects to find it; empty if the sandbox is healthy."""
        environment = self.local.environment
        try:
            if faults := environment.fault_injection.faults():
                return f"injected: {', '.join(map(str, faults))}"
            if environment.journal_file.exists():
                return "a drill was not finished"
            checks = environment.sandbox_status()["health_checks"]
            unhealthy = [check["id"] for check in checks if not check["healthy"]]
            return f"unhealthy: {', '.join(unhealthy)}" if unhealthy else ""
        except OpsError as error:
            return str(error)

    @property
    def outputs(self):
        return self.local.outputs

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
        url = self.outputs.region_urls[region] + path
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
            service, endpoint_url=self.local.sandbox.endpoint_url, region_name=region,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def terraform(self, *arguments):
        terraform = self.workspace.terraform(
            lifecycle.terraform_environment(self.local.sandbox)
            | lifecycle.key_variable(self.workspace)
        )
        return subprocess.run(
            ["terraform", *arguments], cwd=terraform.folder, env=terraform.environment,
            capture_output=True, text=True,
        )  # fmt: skip


def variant(folder, *, regions=REGIONS, domain=None, **keys):
    """Variables of `up` that make the environment `local` another one.

    Args:
        folder: Where its file is written.
        regions: Its Regions.
        domain: Further keys of `[domain]`.
        keys: Top-level keys of the file.
    """
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    usual = f"regions = {json.dumps(REGIONS)}"
    assert usual in text
    lines = [f"regions = {json.dumps(regions)}"]
    lines += [f"{name} = {_toml(value)}" for name, value in keys.items()]
    text = text.replace(usual, "\n".join(lines))
    further = "\n".join(f"{name} = {_toml(value)}" for name, value in (domain or {}).items())
    (folder / "local.toml").write_text(text.replace("[domain]\n", f"[domain]\n{further}\n"))
    return {"FAILOVER_ENVIRONMENTS": str(folder), "FAILOVER_ENVIRONMENT": "local"}


def _toml(value):
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value)


def left_of(workspace):
    """Processes and files of a sandbox; reports of drills are the operator's."""
    files = [file for file in workspace.folder.rglob("*") if file.is_file()]
    reports = workspace.folder / "drills"
    return [*workspace.processes(), *(file for file in files if reports not in file.parents)]


def start_ops(*arguments, **environment):
    """`python -m ops …` on the sandbox, from a folder that is not the repository's."""
    which = () if "--environment" in arguments else ("--environment", "local")
    return _start("ops", (*arguments, *which), environment)


def run_ops(*arguments, **environment):
    """The same, to its end."""
    return _completed(start_ops(*arguments, **environment))


def start_sandbox(*arguments, **environment):
    """`python -m sandbox …`, from a folder that is not the repository's."""
    return _start("sandbox", arguments, environment)


def run_sandbox(*arguments, **environment):
    """The same, to its end."""
    return _completed(start_sandbox(*arguments, **environment))


def _start(program, arguments, environment):
    return subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _completed(process):
    with process:
        output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
