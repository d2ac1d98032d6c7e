"""The switch on a laptop that has a descriptor and the packages of the tool, and nothing else."""

import json
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from threading import Thread

import pytest
from fake_environment import OUTPUTS, outputs
from repository_files import REPOSITORY

from ops.descriptor import Descriptor, write

pytestmark = pytest.mark.program

INFRASTRUCTURE = {
    *("cdktf", "constructs", "jsii", "cdktf_cdktf_provider_aws", "pydantic"),
    *("sandbox", "cdktf_bindings", "weather_api", "main"),
}
PROGRAM = """
import importlib.abc, runpy, sys
class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"{name} is not installed on a laptop")
REFUSED = set(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Refusing())
sys.argv[0] = "ops"
runpy.run_module("ops", run_name="__main__", alter_sys=True)
"""


def not_installed():
    """Modules that development packages alone bring, and those of the infrastructure."""
    lock = json.loads((REPOSITORY / "Pipfile.lock").read_text())
    installed = {name.replace("_", "-").lower() for name in lock["default"]}
    # dnspython asks the metadata of idna, and imports it if it is installed.
    return INFRASTRUCTURE | {
        module
        for module, distributions in packages_distributions().items()
        if module != "idna"
        and not {name.replace("_", "-").lower() for name in distributions} & installed
    }


class Table(BaseHTTPRequestHandler):
    """DynamoDB, as far as the switch needs it; Route 53, STS and everything else fail."""

    item = None

    def do_POST(self):
        operation = (self.headers.get("X-Amz-Target") or "").partition(".")[2]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"Attributes": Table.item} if Table.item else {}
        if operation == "PutItem":
            if Table.item:
                return self.respond(400, {"__type": "ConditionalCheckFailedException"})
            Table.item = request["Item"]
        elif operation == "DeleteItem":
            Table.item = None
        elif operation == "GetItem":
            found = {"Item": Table.item} if Table.item else {}
        elif operation == "DescribeTable":
            found = {"Table": {"TableArn": OUTPUTS["table_arns"]["us-west-2"]}}
        elif not operation:
            return self.respond(400, {"__type": "AccessDenied"})
        return self.respond(200, found)

    def do_GET(self):
        self.respond(400, {"__type": "AccessDenied"})

    def respond(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Table)
    Table.item = None
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def laptop(tmp_path, endpoint_url):
    """Runs `ops` in a folder that holds a descriptor and nothing else, without Terraform."""
    descriptor = Descriptor.on_aws(outputs())
    write(tmp_path / "production.json", replace(descriptor, endpoint_url=endpoint_url))
    (tmp_path / "bin").mkdir()
    refused = ",".join(not_installed())

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, refused, *arguments, "--descriptor", "production.json"],
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(REPOSITORY), "PATH": str(tmp_path / "bin"), "HOME": str(tmp_path),
                "TF_VAR_api_keys": "not JSON", "FAILOVER_ENVIRONMENTS": "/nowhere",
            },
            capture_output=True,
            text=True,
        )  # fmt: skip

    return run


def test_the_switch_needs_a_descriptor_and_nothing_else(laptop):
    engaged = laptop("switch", "engage", "--yes", "--reason", "us-east-1 is down")
    status = laptop("switch", "status")
    released = laptop("switch", "release", "--yes")
    after = laptop("switch", "status")

    for done in (engaged, status, released, after):
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        who = done.stdout.splitlines()[0]
        assert who.startswith("environment production · account 123456789012 · caller unknown")
    assert "us-east-1 of production is evacuated since" in engaged.stdout
    assert "switch restore us-east-1 --descriptor production.json" in engaged.stdout
    assert "reason: us-east-1 is down" in status.stdout
    assert "us-east-1 of production is restored" in released.stdout
    assert "us-east-1 of production is not evacuated" in after.stdout


def test_what_is_refused_is_what_a_laptop_lacks():
    refused = not_installed()

    assert {"sandbox", "cryptography", "moto", "pytest"} <= refused
    assert not {"boto3", "botocore", "dns", "rich", "psutil", "urllib3"} & refused
