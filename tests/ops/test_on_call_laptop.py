"""The switch on a laptop that has a descriptor and the packages of the tool, and nothing else."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from threading import Thread

import pytest
import trustme
from fake_environment import OUTPUTS, outputs
from loopback_aws import AwsByName
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
SEVERAL = PROGRAM.replace(
    'runpy.run_module("ops", run_name="__main__", alter_sys=True)',
    """
import json, ops.__main__
for words in json.loads(sys.argv[1]):
    print("RESULT", ops.__main__.main(words), flush=True)
""",
)
"""Several commands in one process, which starts once."""


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


# --- three Regions, and what is unreachable by its name --------------------------------------

REGIONS = PRIMARY, SECONDARY, THIRD = ("us-east-1", "us-west-2", "eu-west-1")
UNREACHABLE = {
    "everything in the primary Region": r".*\.us-east-1\.amazonaws\.com",
    "STS of us-east-1, and the global one": r"sts\.(us-east-1\.)?amazonaws\.com",
    "IAM": r"iam\.amazonaws\.com",
    "Route 53's control plane": r"route53\.amazonaws\.com",
    "the bucket of the state": r"(.*\.)?s3[.-].*amazonaws\.com",
    "CloudWatch in us-east-1": r"monitoring\.us-east-1\.amazonaws\.com",
    "all of these": r"(.*\.us-east-1|sts|iam|route53|(.*\.)?s3[.-].*)\.amazonaws\.com",
}
"""`{what: pattern of its host names}`."""


def three_regions():
    """Outputs of an environment with three Regions."""
    others = {region: [r for r in REGIONS if r != region][:2] for region in REGIONS}
    return outputs(
        regions=[*REGIONS],
        table_arns={r: f"arn:aws:dynamodb:{r}:123456789012:table/weather" for r in REGIONS},
        health_check_ids={region: f"record-{region}" for region in REGIONS},
        endpoint_health_check_ids={region: f"endpoint-{region}" for region in REGIONS},
        evacuation={
            **OUTPUTS["evacuation"],
            "health_check_ids": {r: {o: f"{r}-in-{o}" for o in others[r]} for r in REGIONS},
        },
    )


@pytest.fixture(params=["refused", "black hole"])
def by_name(request, tmp_path):
    """Runs `ops` commands where AWS is reached by its own names, and some are unreachable."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    write(tmp_path / "production.json", Descriptor.on_aws(three_regions()))
    # Credentials of a role, as people have: STS gives them.
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/on-call\n"
        "source_profile = ada\n[profile ada]\n"
        "aws_access_key_id = AKIAADA\naws_secret_access_key = secret\n"
    )
    refused = ",".join(not_installed() - {"trustme"})
    started = []

    def run(pattern, *commands):
        aws = AwsByName(
            authority, REGIONS, re.compile(pattern), is_black_hole=request.param == "black hole"
        )
        started.append(aws)
        at = ["--descriptor", "production.json"]
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, refused, json.dumps([[*c, *at] for c in commands])],
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(REPOSITORY), "PATH": "/nowhere", "HOME": str(tmp_path),
                "HTTPS_PROXY": aws.url, "AWS_CA_BUNDLE": str(tmp_path / "authority.pem"),
                "FAILOVER_ENVIRONMENTS": "/nowhere", "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        codes = re.findall(r"^RESULT (\d+)$", done.stdout, re.MULTILINE)
        return [int(code) for code in codes], done.stdout + done.stderr, aws

    yield run
    for aws in started:
        aws.close()


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=[] if what == "all of these" else pytest.mark.exhaustive)
        for what in UNREACHABLE
    ],
)
def test_a_region_is_evacuated_and_restored_whatever_of_these_is_unreachable(by_name, what):
    codes, printed, aws = by_name(
        UNREACHABLE[what],
        ["switch", "evacuate", PRIMARY, "--yes", "--reason", "it is down"],
        ["switch", "status"],
        ["switch", "restore", PRIMARY, "--yes"],
        ["switch", "status"],
    )

    assert codes == [0, 0, 0, 0], printed
    # Credentials are those of the role, from STS of a Region that is not the primary.
    who = "account 123456789012 · caller arn:aws:sts::123456789012:assumed-role/on-call/ada"
    assert printed.count(who) == 4, printed
    assert f"{PRIMARY} of production is evacuated since" in printed
    assert "reason: it is down (in " in printed
    assert f"{PRIMARY} of production is restored" in printed
    assert f"{PRIMARY} of production is not evacuated." in printed
    # AND what was given up, the command's own time limits gave up, and its output says so
    for host in aws.unreachable:
        assert re.fullmatch(UNREACHABLE[what], host)
    assert not any(host.startswith(("iam.", "s3.", "sts.amazonaws")) for host in aws.called)


def test_what_does_not_respond_is_named_and_not_waited_for(by_name, request):
    codes, printed, aws = by_name(
        UNREACHABLE["all of these"],
        ["switch", "evacuate", THIRD, "--yes"],
        ["switch", "status"],
        ["switch", "restore", THIRD, "--yes"],
    )

    assert codes == [0, 0, 0], printed
    assert f"dynamodb.{PRIMARY}.amazonaws.com" in aws.unreachable
    assert f"The replica in {PRIMARY} has not responded: " in printed
    assert "Route 53's API, which the switch does not need, did not respond" in printed
    if request.node.callspec.params["by_name"] == "black hole":
        # The limits of `switch`, in its own words: no test waits for them by the clock.
        assert (
            f"The replica in {PRIMARY} has not responded: TimeoutError: no response within 2 s"
            in printed
        )
        assert "did not respond: TimeoutError: no result within 3 s" in printed


def test_credentials_come_from_another_region_where_sts_of_the_next_one_is_lost(by_name):
    codes, printed, aws = by_name(
        rf"sts\.({SECONDARY}\.)?amazonaws\.com", ["switch", "evacuate", PRIMARY, "--yes"]
    )

    assert codes == [0], printed
    assert f"sts.{SECONDARY}.amazonaws.com" in aws.unreachable
    assert f"sts.{THIRD}.amazonaws.com" in aws.called
    assert f"sts.{PRIMARY}.amazonaws.com" not in aws.called
