"""`ops local`: the whole API on this machine.

Starts the local AWS, synthesizes the environment `local`, applies the unmodified JSON with the real
Terraform and the real AWS provider, and registers a few locations through the API itself.
Everything it writes stands in one folder, `.local/` unless told otherwise.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ops.errors import ExitCode, OpsError
from ops.terraform import Progress, Terraform

ENVIRONMENT = "local"
REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_FOLDER = REPOSITORY / ".local"
DEFAULT_PORT = 4566
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 10

LOCATIONS: dict[str, dict[str, Any]] = {
    "amsterdam": {"name": "Amsterdam", "latitude_degrees": 52.37, "longitude_degrees": 4.9},
    "nairobi": {"name": "Nairobi", "latitude_degrees": -1.29, "longitude_degrees": 36.82},
    "quito": {"name": "Quito", "latitude_degrees": -0.18, "longitude_degrees": -78.47},
}
OBSERVATIONS: dict[str, dict[str, Any]] = {
    "amsterdam": {"temperature_celsius": 11.5, "wind_speed_meters_per_second": 7.2},
    "nairobi": {"temperature_celsius": 22.0, "humidity_percent": 61},
    "quito": {"temperature_celsius": 14.5, "precipitation_millimeters": 1.5},
}
"""What a new local API knows, each observed at `OBSERVED_AT`."""
OBSERVED_AT = "2026-01-01T12:00:00Z"


@dataclass(frozen=True)
class LocalAws:
    """The running local AWS.

    Attributes:
        pid: Its process.
        started_at: When that process started, in seconds since the epoch: numbers are used again.
        port: Its port on 127.0.0.1.
    """

    pid: int
    started_at: float
    port: int

    @property
    def endpoint_url(self) -> str:
        """What `AWS_ENDPOINT_URL` is set to."""
        return f"http://127.0.0.1:{self.port}"

    def process(self) -> psutil.Process | None:
        """Its process while it lives."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.started_at and (
                process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that lead boto3 and the AWS provider here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class LocalApi:
    """The API as it answers on this machine.

    Attributes:
        aws: The local AWS that serves it.
        api_key: Value of the customers' API key.
        region_urls: `{region: URL}`, each without a trailing slash, as they answer from a shell.
        outputs: The stack's outputs, as Terraform knows them.
    """

    aws: LocalAws
    api_key: str
    region_urls: dict[str, str]
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Workspace:
    """The folder that holds all that a local API leaves on the disk.

    Attributes:
        folder: The folder; made when needed.
    """

    folder: Path = DEFAULT_FOLDER

    @property
    def process_file(self) -> Path:
        """Process id and port of the running local AWS."""
        return self.folder / "aws.json"

    @property
    def log_file(self) -> Path:
        """What the local AWS logs."""
        return self.folder / "aws.log"

    @property
    def synthesized(self) -> Path:
        """Terraform JSON and state, as `cdktf synth` lays them out."""
        return self.folder / "terraform"

    def terraform(self, environment: Mapping[str, str]) -> Terraform:
        """Terraform in the folder of the synthesized stack."""
        return Terraform(self.synthesized / "cdktf.out" / "stacks" / ENVIRONMENT, environment)

    def running_aws(self) -> LocalAws | None:
        """The local AWS started from this folder, if its process still lives."""
        try:
            aws = LocalAws(**json.loads(self.process_file.read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return None
        return aws if aws.process() else None

    def api_key(self) -> str:
        """Value of the customers' API key: made once, readable by this user only."""
        path = self.folder / "api-key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(20))
        return path.read_text()


def up(
    workspace: Workspace,
    *,
    port: int = DEFAULT_PORT,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LocalApi:
    """Brings the API up, or brings one that runs up to date.

    Args:
        workspace: Where everything is kept.
        port: Port of the local AWS on 127.0.0.1; one that runs already keeps its own.
        on_step: Called with a line before every step.
        on_progress: Called while Terraform applies.

    Returns:
        The API, answering in every Region.

    Raises:
        OpsError: Terraform, the provider or the port is not to be had, or a step failed.
    """
    Terraform(REPOSITORY, os.environ).check_version()
    workspace.folder.mkdir(parents=True, exist_ok=True)
    aws = workspace.running_aws()
    if aws is None:
        on_step(f"Starting the local AWS on 127.0.0.1:{port}")
        # State of an AWS that is gone would only be refreshed to nothing.
        shutil.rmtree(workspace.synthesized, ignore_errors=True)
        aws = start_aws(workspace, port)

    on_step("Synthesizing Terraform JSON for the environment local")
    _synthesize(workspace)
    environment = terraform_environment(aws, workspace)
    terraform = workspace.terraform(environment)
    on_step("Initializing Terraform with the AWS provider")
    terraform.init()
    on_step("Applying with Terraform: about 190 resources, a minute or two")
    terraform.apply(on_progress)

    api = _local_api(workspace, aws, terraform.outputs())
    on_step(f"Registering {len(LOCATIONS)} locations through the API")
    _seed(api)
    return api


def status(workspace: Workspace) -> LocalApi:
    """The running API.

    Args:
        workspace: Where it is kept.

    Returns:
        The API.

    Raises:
        OpsError: It does not run, or was not deployed to the end.
    """
    aws = workspace.running_aws()
    if aws is None:
        raise OpsError(
            "the local API does not run", next_step="start it with: python -m ops local up"
        )
    terraform = workspace.terraform(terraform_environment(aws, workspace))
    outputs = terraform.outputs() if terraform.folder.exists() else {}
    if "api_ids" not in outputs:
        raise OpsError(
            "the local AWS runs, but the API is not deployed",
            next_step="deploy it with: python -m ops local up",
        )
    return _local_api(workspace, aws, outputs)


def down(workspace: Workspace) -> bool:
    """Ends the local AWS and forgets what was deployed to it; its log stays.

    Args:
        workspace: Where it is kept.

    Returns:
        Whether it was running.

    Raises:
        OpsError: The process does not end.
    """
    aws = workspace.running_aws()
    process = aws.process() if aws else None
    if process:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except psutil.TimeoutExpired:
            raise OpsError(
                f"the local AWS (process {process.pid}) does not end",
                next_step=f"kill -9 {process.pid}",
            ) from None
    workspace.process_file.unlink(missing_ok=True)
    shutil.rmtree(workspace.synthesized, ignore_errors=True)
    return aws is not None


def terraform_environment(aws: LocalAws, workspace: Workspace) -> dict[str, str]:
    """The environment in which Terraform works on the local AWS.

    Args:
        aws: The local AWS.
        workspace: Where the API key is kept.

    Returns:
        This process's environment, without any credentials or Region of its own.
    """
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    return (
        inherited
        | aws.variables
        | {
            "TF_VAR_api_key_value": workspace.api_key(),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
    )


def start_aws(workspace: Workspace, port: int) -> LocalAws:
    """Starts the local AWS and waits until it answers.

    Args:
        workspace: Where its process and its log are noted.
        port: Its port on 127.0.0.1; 0 takes a free one.

    Returns:
        The running local AWS.

    Raises:
        OpsError: The port is taken, or it does not start.
    """
    port = _free_port(port)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    # Through a shell that ends at once, so that it outlives this command as nobody's child; in a
    # session of its own, so that Ctrl-C in this terminal is not for it.
    shell = subprocess.run(
        [
            *("sh", "-c", 'log=$1; shift; "$@" </dev/null >"$log" 2>&1 & echo $!', "sh"),
            *(str(workspace.log_file), sys.executable, "-m", "ops.emulator", "--port", str(port)),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
    )
    process = psutil.Process(int(shell.stdout))
    aws = LocalAws(process.pid, process.create_time(), port)
    workspace.process_file.write_text(json.dumps(asdict(aws)))
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and aws.process():
        try:
            urllib3.request("GET", f"{aws.endpoint_url}/_ministack/ready", retries=False)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
        else:
            return aws
    down(workspace)
    raise OpsError(
        f"the local AWS did not start:\n{_last_lines(workspace.log_file.read_text())}",
        next_step=f"read {workspace.log_file}",
    )


def _free_port(port: int) -> int:
    """The port itself if nothing listens there; for 0, one that the system gives."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OpsError(
                f"port {port} on 127.0.0.1 cannot be used: {error.strerror}",
                next_step="end what uses it, or take another: python -m ops local up --port 4570",
            ) from None
        bound: int = probe.getsockname()[1]
        return bound


def _synthesize(workspace: Workspace) -> None:
    workspace.synthesized.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "FAILOVER_ENVIRONMENT": ENVIRONMENT,
            "CDKTF_OUTDIR": str(workspace.synthesized / "cdktf.out"),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise OpsError(
            f"python main.py failed:\n{_last_lines(done.stderr)}",
            next_step="mend what it names",
            exit_code=ExitCode.USAGE if done.returncode == 2 else ExitCode.SURROUNDINGS,
        )


def _local_api(workspace: Workspace, aws: LocalAws, outputs: dict[str, Any]) -> LocalApi:
    stages = {region: url.rpartition("/")[2] for region, url in outputs["region_urls"].items()}
    return LocalApi(
        aws=aws,
        api_key=workspace.api_key(),
        region_urls={
            region: f"{aws.endpoint_url}/_aws/execute-api/{api_id}/{stages[region]}"
            for region, api_id in outputs["api_ids"].items()
        },
        outputs=outputs,
    )


def _seed(api: LocalApi) -> None:
    """Registers the locations and one observation each: in one Region, for all."""
    region, url = next(iter(api.region_urls.items()))
    for location, body in LOCATIONS.items():
        _put(f"{url}/locations/{location}", body, region)
    for location, body in OBSERVATIONS.items():
        _put(f"{url}/weather/{location}/observations/{OBSERVED_AT}", body, region)


def _put(url: str, body: Mapping[str, Any], region: str) -> None:
    request = AWSRequest(
        "PUT", url, headers={"Content-Type": "application/json"}, data=json.dumps(body)
    )
    SigV4Auth(Credentials("test", "test"), "execute-api", region).add_auth(request)
    answer = urllib3.request(
        "PUT", url, headers=dict(request.headers.items()), body=request.data, timeout=30
    )
    if answer.status not in (200, 201):
        raise OpsError(
            f"PUT {url} answered {answer.status}: {answer.data[:300].decode(errors='replace')}",
            next_step="read .local/aws.log, then: python -m ops local down; python -m ops local up",
        )


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-20:])
