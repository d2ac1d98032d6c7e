"""`ops local`: the whole API on this machine.

Starts the stand, synthesizes the environment `local`, applies the unmodified JSON with the real
Terraform and the real AWS provider, and registers a few locations through the API itself.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from ops import stand
from ops.calls import Network, signed_headers
from ops.environment_file import EnvironmentFile
from ops.errors import OpsError
from ops.key_values import KeyFile, as_variable
from ops.processes import program
from ops.stand import ENVIRONMENT, REPOSITORY, Ports, Stand, Workspace
from ops.synthesis import synthesize
from ops.terraform import Progress, Terraform

DEFAULT_SPEED = 10.0
HEALTH_TIMEOUT_SECONDS = 30
TERRAFORM = "terraform"
"""Noted among the programs while it applies, so that `down` ends it, too."""

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
class LocalApi:
    """The API as it answers on this machine.

    Attributes:
        stand: What serves it.
        key_values: `{name of API key: value}`.
        region_urls: `{region: URL}`, each without a trailing slash, as they answer from a shell;
            where the Regions have names of their own, those, which `network` leads to.
        outputs: The stack's outputs, as Terraform knows them.
        network: Where its real names lead.
    """

    stand: Stand
    key_values: Mapping[str, str]
    region_urls: dict[str, str]
    outputs: dict[str, Any]
    network: Network

    @property
    def api_key(self) -> str:
        """Value of the first customer's newest key; empty without customers."""
        customers = self.outputs["customers"]
        return self.key_values[customers[0]["keys"][-1]] if customers else ""


def up(
    workspace: Workspace,
    *,
    ports: Ports | None = None,
    speed: float = DEFAULT_SPEED,
    iam_enforced: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LocalApi:
    """Brings the API up, or brings one that runs up to date.

    Args:
        workspace: Where everything is kept.
        ports: Where the stand answers; one that runs already keeps its own.
        speed: How much faster than AWS health checks and DNS run; one that runs keeps its own.
        iam_enforced: Check signatures and evaluate IAM policies; one that runs stays as it is.
        on_step: Called with a line before every step.
        on_progress: Called while Terraform applies.

    Returns:
        The API, answering in every Region.

    Raises:
        OpsError: Terraform, the provider or a port is not to be had, or a step failed.
    """
    Terraform(REPOSITORY, os.environ).check_version()
    found = workspace.running()
    if found is None or TERRAFORM in found.programs:
        # Left-overs of a stand that died, or of an apply that was killed: its state is not whole.
        down(workspace)
        found = None
    begin = partial(
        start, workspace, ports=ports, speed=speed, iam_enforced=iam_enforced, on_step=on_step
    )
    running = begin()
    on_step("Synthesizing Terraform JSON for the environment local")
    _synthesize(workspace)
    try:
        terraform = _apply(workspace, running, on_step, on_progress)
    except OpsError as error:
        if found or not re.search(r"StatusCode: 409|AlreadyExists|already exist", str(error)):
            raise
        # Where answers do not come whole, a busy machine's provider now and then sends a creation
        # twice, and nothing but that can be there already: what was new is made anew, once.
        on_step("Something was created twice; once more on a new local AWS")
        down(workspace)
        running = begin()
        _synthesize(workspace)
        terraform = _apply(workspace, running, on_step, on_progress)

    on_step("Starting an edge for every Region")
    outputs = terraform.outputs()
    running = stand.start_edges(workspace, running, outputs)
    on_step(f"Registering {len(LOCATIONS)} locations through the API")
    _seed(_local_api(workspace, running, outputs))
    on_step("Calling every Region until it is healthy")
    _await_health(_local_api(workspace, running, outputs))
    on_step("Starting Route 53: health checks and DNS")
    running = stand.start_route53(workspace, running, outputs)
    api = _local_api(workspace, running, outputs)
    _await_dns(api)
    return api


def start(
    workspace: Workspace,
    *,
    ports: Ports | None = None,
    speed: float = DEFAULT_SPEED,
    iam_enforced: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> Stand:
    """Starts the local AWS alone, for Terraform or cdktf to deploy to.

    Args:
        workspace: Where everything is kept.
        ports: Where it answers.
        speed: How much faster than AWS health checks and DNS run, once they do.
        iam_enforced: Check signatures and evaluate IAM policies.
        on_step: Called with a line before it starts.

    Returns:
        What runs.

    Raises:
        OpsError: A port is not to be had, or it does not start.
    """
    if running := workspace.running():
        return running
    ports = ports or Ports()
    on_step(f"Starting the local AWS on {stand.HOST}:{ports.aws}")
    return stand.start_aws(workspace, ports, speed, iam_enforced=iam_enforced)


def status(workspace: Workspace) -> LocalApi:
    """The running API.

    Args:
        workspace: Where it is kept.

    Returns:
        The API.

    Raises:
        OpsError: It does not run, or was not deployed to the end.
    """
    running = workspace.running()
    if running is None:
        raise OpsError(
            "the local API does not run", next_step="start it with: python -m ops local up"
        )
    dead = [n for n in ("edge", "route53") if n not in running.programs
            or not running.programs[n].process()]  # fmt: skip
    if dead:
        raise OpsError(
            f"the local API is not whole: {' and '.join(dead)} does not run",
            next_step="complete it with: python -m ops local up",
        )
    terraform = workspace.terraform(terraform_environment(running))
    return _local_api(workspace, running, terraform.outputs())


def whole(workspace: Workspace) -> LocalApi | None:
    """The running API; None if it does not run, or was not deployed to the end.

    Args:
        workspace: Where it is kept.
    """
    running = workspace.running()
    if running is None or TERRAFORM in running.programs:
        return None
    try:
        return status(workspace)
    except OpsError:
        return None


def open_page(workspace: Workspace, api: LocalApi, port: int | None = None) -> LocalApi:
    """Starts the live page beside the API, unless it runs already.

    Args:
        workspace: Where everything is kept.
        api: The API.
        port: Where the page shall answer; one that runs stays there by default.

    Returns:
        The API, whose stand has the page.

    Raises:
        OpsError: The port is taken, or it does not start.
    """
    return replace(api, stand=stand.start_page(workspace, api.stand, port))


def outputs(workspace: Workspace) -> dict[str, Any]:
    """Outputs of what is deployed on the local AWS; empty before a deployment.

    Args:
        workspace: Where it is kept.

    Raises:
        OpsError: The local AWS does not run, or Terraform cannot read the state.
    """
    running = workspace.running()
    if running is None or not workspace.synthesized.is_dir():
        return {}
    return workspace.terraform(terraform_environment(running)).outputs()


def down(workspace: Workspace) -> bool:
    """Ends everything and forgets what was deployed; the logs stay.

    Args:
        workspace: Where it is kept.

    Returns:
        Whether anything was running.

    Raises:
        OpsError: A program does not end.
    """
    ran = stand.stop(workspace)
    shutil.rmtree(workspace.synthesized, ignore_errors=True)
    return ran


def key_file(workspace: Workspace) -> KeyFile:
    """Where the values of the local API's keys are kept.

    Args:
        workspace: Where everything is kept.
    """
    return KeyFile(workspace.folder / "api-keys.tfvars.json", ENVIRONMENT)


def key_variable(workspace: Workspace) -> dict[str, str]:
    """Terraform's variable with the values of all keys, made where they are missing.

    Args:
        workspace: Where they are kept.

    Returns:
        `{name of the environment variable: value}`.
    """
    file, keys = EnvironmentFile.of(ENVIRONMENT), key_file(workspace)
    with keys.locked():
        keys.make(name for customer in file.customers for name in customer.keys)
    return as_variable(ENVIRONMENT, keys.values())


def terraform_environment(running: Stand) -> dict[str, str]:
    """The environment in which Terraform works on the local AWS.

    Args:
        running: What runs.

    Returns:
        This process's environment, without any credentials or Region of its own.
    """
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    return inherited | running.variables | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


def _apply(
    workspace: Workspace,
    running: Stand,
    on_step: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> Terraform:
    terraform = workspace.terraform(terraform_environment(running) | key_variable(workspace))
    on_step("Initializing Terraform with the AWS provider")
    terraform.init()
    on_step("Applying with Terraform: half a minute at first")
    terraform.apply(
        on_progress,
        on_start=lambda pid: workspace.note(running.with_program(TERRAFORM, program(pid))),
    )
    workspace.note(running)
    return terraform


def _synthesize(workspace: Workspace) -> None:
    workspace.synthesized.mkdir(parents=True, exist_ok=True)
    synthesize(ENVIRONMENT, workspace.synthesized / "cdktf.out")


def _local_api(workspace: Workspace, running: Stand, outputs: dict[str, Any]) -> LocalApi:
    stage = outputs["api_url"].rpartition("/")[2]
    addresses = stand.region_addresses(outputs)
    return LocalApi(
        stand=running,
        key_values=key_file(workspace).values(),
        region_urls={
            region: outputs["region_urls"][region]
            if stand.own_names(outputs, region)
            else f"{running.endpoint_url}/_aws/execute-api/{outputs['api_ids'][region]}/{stage}"
            for region in outputs["regions"]
        },
        outputs=outputs,
        network=Network(
            dns_servers=((stand.HOST, running.ports.dns),),
            zone_name=outputs["zone_name"],
            hosts={
                host: (address, running.ports.edge)
                for region, address in addresses.items()
                for host in (
                    f"{outputs['api_ids'][region]}.execute-api.{region}.amazonaws.com",
                    outputs["domain_targets"][region],
                    *stand.own_names(outputs, region),
                )
            },
            port=running.ports.edge,
            ca_file=workspace.ca_file,
        ),
    )


def _seed(api: LocalApi) -> None:
    """Registers the locations and one observation each: in one Region, for all."""
    region = api.outputs["regions"][0]
    url = api.outputs["region_urls"][region]
    for location, body in LOCATIONS.items():
        _put(api, f"{url}/locations/{location}", body, region)
    for location, body in OBSERVATIONS.items():
        _put(api, f"{url}/weather/{location}/observations/{OBSERVED_AT}", body, region)


def _await_health(api: LocalApi) -> None:
    """Waits for the functions that health checks call: a first call starts a process for each.

    Health checkers would find a Region that is still starting unhealthy.
    """
    paths = [(api.outputs["health_path"], 200)]
    if switch := api.outputs.get("switch"):
        paths.append((switch["path"], 404))
    deadline = time.monotonic() + HEALTH_TIMEOUT_SECONDS
    for region in api.outputs["regions"]:
        host = urlsplit(api.outputs["region_urls"][region]).netloc
        for path, expected in paths:
            while (
                answer := api.network.request("GET", f"https://{host}{path}")
            ).status != expected:
                if time.monotonic() > deadline:
                    raise OpsError(
                        f"GET {path} in {region} got {answer.status or answer.error}",
                        next_step="read the logs in .local, then: python -m ops local down, and "
                        "up again",
                    )
                time.sleep(0.2)


def _await_dns(api: LocalApi) -> None:
    """Waits until DNS leads to the primary: new health checks count as unhealthy for a moment.

    If it does not, something is unhealthy, and `verify` tells what: no reason to fail here.
    """
    primary = api.outputs["regions"][0]
    address = stand.region_addresses(api.outputs)[primary]
    deadline = time.monotonic() + HEALTH_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if address in api.network.resolve(api.outputs["record_name"]).addresses:
            return
        time.sleep(0.1)


def _put(api: LocalApi, url: str, body: Mapping[str, Any], region: str) -> None:
    headers, data = signed_headers(
        "PUT", url, region=region, credentials=Credentials("test", "test"), body=body
    )
    answer = api.network.request("PUT", url, headers=headers, body=data, timeout_seconds=30)
    if not answer.ok:
        raise OpsError(
            f"PUT {url} got {answer.status or answer.error}: {answer.body[:300]}",
            next_step="read the logs in .local, then: python -m ops local down, and up again",
        )
