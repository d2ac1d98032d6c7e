"""The life of a sandbox: up, status, down.

`up` starts the programs, synthesizes the environment `local`, applies the unmodified JSON with the
real Terraform and the real AWS provider, registers a few locations through the API itself, and
writes the environment descriptor with which the operator's tool works.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from constructs_lib.outputs import Outputs
from ops.descriptor import Descriptor, SandboxAccess, read, write
from ops.environment import Environment
from ops.environment_file import EnvironmentFile, environments_folder
from ops.errors import OpsError, program_failure
from ops.fault_injection import FaultInjection
from ops.folders import DEFAULT_FOLDER, REPOSITORY
from ops.http_client import Network, signed_headers
from ops.key_values import KeyFile, as_variable
from ops.processes import program
from ops.synthesis import synthesize
from ops.terraform import Progress, Terraform
from sandbox import programs
from sandbox.interrupts import Interrupts
from sandbox.listener import HOST
from sandbox.replication.lag import DEFAULT_MEDIAN_SECONDS
from sandbox.unsupported import refuse_unsupported
from sandbox.workspace import (
    ENVIRONMENT,
    TERRAFORM,
    Ports,
    Sandbox,
    Workspace,
    without_aws_variables,
)

DEFAULT_SPEED = 10.0
HEALTH_TIMEOUT_SECONDS = 30
TERRAFORM_VARIABLES = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}

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
    """The API in a sandbox.

    Attributes:
        sandbox: What runs.
        environment: The deployed environment, as its descriptor has it.
        region_urls: `{region: URL}`, each without a trailing slash, that need neither DNS nor TLS;
            a Region with a name of its own has that one.
    """

    sandbox: Sandbox
    environment: Environment
    region_urls: Mapping[str, str]

    @property
    def outputs(self) -> Outputs:
        """The outputs of the stack."""
        return self.environment.outputs

    @property
    def network(self) -> Network:
        """How the names of the API resolve."""
        return self.environment.network

    @property
    def api_key(self) -> str:
        """Value of the first customer's API key; empty without customers."""
        return self.environment.api_key if self.outputs.customers else ""


def up(
    workspace: Workspace,
    *,
    ports: Ports | None = None,
    speed: float = DEFAULT_SPEED,
    emulator_options: tuple[str, ...] = (),
    replication_lag: float = DEFAULT_MEDIAN_SECONDS,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LocalApi:
    """Bring the API up, or brings one that runs up to date.

    Args:
        workspace: Where everything is kept; locked.
        ports: Ports; one that runs already keeps its own.
        speed: How much faster than AWS replication, health checks and DNS run; one that runs keeps
            its own.
        emulator_options: Options of the emulator of AWS; one that runs stays as it is.
        replication_lag: Median seconds that a write takes to another Region on AWS, 0 for none; one
            that runs keeps its own.
        on_step: Called with a line before every step.
        on_progress: Called while Terraform applies.

    Returns:
        The API, healthy in every Region.

    Raises:
        OpsError: The environment needs what a sandbox does not have; Terraform, the provider or a
            port is not available, or a step failed.
    """
    refuse_unsupported(environments_folder() / f"{ENVIRONMENT}.toml")
    Terraform(REPOSITORY, os.environ).check_version()
    begin = partial(
        start,
        workspace,
        ports=ports,
        speed=speed,
        emulator_options=emulator_options,
        replication_lag=replication_lag,
        on_step=on_step,
    )
    found = usable(workspace)
    if found is None:
        down(workspace)
    else:
        programs.end_strays(workspace)
    try:
        running, terraform = _deploy(workspace, begin, on_step, on_progress)
    except OpsError as error:
        if found or not re.search(r"StatusCode: 409|AlreadyExists|already exist", str(error)):
            raise
        # Where responses are cut off, a busy machine's provider now and then sends a creation
        # twice, and nothing but that can exist already: what was new is created again, once.
        on_step("Something was created twice; once more in a new sandbox")
        down(workspace)
        running, terraform = _deploy(workspace, begin, on_step, on_progress)

    on_step("Starting an endpoint for every Region")
    outputs = Outputs.from_json({"environment": ENVIRONMENT} | terraform.outputs())
    running = programs.start_endpoints(workspace, running, outputs)
    api = _local_api(workspace, running, _described(workspace, running, outputs))
    on_step(f"Registering {len(LOCATIONS)} locations through the API")
    _seed(workspace, api)
    on_step("Calling every Region until it is healthy")
    _await_health(workspace, api)
    # Unless that takes very long: it is no reason to fail.
    FaultInjection(running.fault_injection_url).await_replication(HEALTH_TIMEOUT_SECONDS)
    on_step("Starting Route 53: health checks and DNS")
    running = programs.start_route53(workspace, running, outputs)
    write(workspace.descriptor_file, api.environment.descriptor)
    _await_health_checks(api)
    return replace(api, sandbox=running)


@contextmanager
def whole_or_nothing(workspace: Workspace, interrupts: Interrupts) -> Iterator[None]:
    """Leave no process and no file of a sandbox that the block begins and does not complete.

    A sandbox that ran before continues to run, and keeps its files.

    Args:
        workspace: Where it is kept; locked.
        interrupts: Interrupt the block, and no clean-up.
    """
    before = usable(workspace)
    try:
        try:
            interrupts.allow()
            yield
        finally:
            interrupts.defer()
    except BaseException:
        if before is None:
            down(workspace)
        raise


def usable(workspace: Workspace) -> Sandbox | None:
    """What runs and can be brought up to date.

    Args:
        workspace: Where it is noted.

    Returns:
        The sandbox; None if it died, or if an apply was killed, whose state is incomplete.
    """
    found = workspace.running()
    return None if found and TERRAFORM in found.programs else found


def start(
    workspace: Workspace,
    *,
    ports: Ports | None = None,
    speed: float = DEFAULT_SPEED,
    emulator_options: tuple[str, ...] = (),
    replication_lag: float = DEFAULT_MEDIAN_SECONDS,
    on_step: Callable[[str], None] = lambda _: None,
) -> Sandbox:
    """Start the local AWS alone, for Terraform or cdktf to deploy to.

    Args:
        workspace: Where everything is kept; locked.
        ports: Ports of the sandbox.
        speed: How much faster than AWS replication runs, and health checks and DNS once they do.
        emulator_options: Options of the emulator of AWS.
        replication_lag: Median seconds that a write takes to another Region on AWS.
        on_step: Called with a line before it starts.

    Returns:
        What runs.

    Raises:
        OpsError: A port is not available, or it does not start.
    """
    if running := workspace.running():
        return running
    ports = ports or Ports()
    on_step(f"Starting the local AWS on {HOST}:{ports.aws}")
    return programs.start_aws(
        workspace,
        ports,
        speed,
        emulator_options=emulator_options,
        replication_lag=replication_lag,
    )


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
            "the local API does not run", next_step="start it with: python -m sandbox up"
        )
    dead = [n for n in ("endpoints", "route53") if n not in running.programs
            or not running.programs[n].process()]  # fmt: skip
    if dead:
        raise OpsError(
            f"the local API is not whole: {' and '.join(dead)} does not run",
            next_step="complete it with: python -m sandbox up",
        )
    return _local_api(workspace, running, read(workspace.descriptor_file))


def whole(workspace: Workspace) -> LocalApi | None:
    """The running API; None if it does not run, or was not deployed to the end.

    Args:
        workspace: Where it is kept.
    """
    if usable(workspace) is None:
        return None
    try:
        return status(workspace)
    except OpsError:
        return None


def open_page(workspace: Workspace, api: LocalApi, port: int | None = None) -> LocalApi:
    """Start the live page beside the API, unless it runs already.

    Args:
        workspace: Where everything is kept.
        api: The API.
        port: Port of the page; one that runs keeps its own by default.

    Returns:
        The API, with the page.

    Raises:
        OpsError: The port is taken, or it does not start.
    """
    return replace(api, sandbox=programs.start_page(workspace, api.sandbox, port))


def down(workspace: Workspace) -> bool:
    """End everything, and remove all that it has written; reports of drills stay.

    Args:
        workspace: Where it is kept; locked.

    Returns:
        Whether anything was running.

    Raises:
        OpsError: A program does not end.
    """
    ran = programs.stop(workspace)
    workspace.clear()
    return ran


def key_file(workspace: Workspace) -> KeyFile:
    """Where the values of the local API's keys are kept.

    Args:
        workspace: Where everything is kept.
    """
    return KeyFile(workspace.key_file, ENVIRONMENT)


def key_variable(workspace: Workspace) -> dict[str, str]:
    """Terraform's variable with the values of all keys, made where they are missing.

    Args:
        workspace: Where they are kept.

    Returns:
        `{name of the environment variable: value}`.
    """
    file, keys = EnvironmentFile.of(ENVIRONMENT), key_file(workspace)
    with keys.locked():
        keys.create(name for customer in file.customers for name in customer.keys)
    return as_variable(ENVIRONMENT, keys.values())


def terraform_environment(running: Sandbox) -> dict[str, str]:
    """The environment in which Terraform works on the local AWS.

    Args:
        running: What runs.

    Returns:
        This process's environment, without any credentials or Region of its own.
    """
    return without_aws_variables() | running.variables | TERRAFORM_VARIABLES


def _deploy(
    workspace: Workspace,
    begin: Callable[[], Sandbox],
    on_step: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> tuple[Sandbox, Terraform]:
    """Start the emulator, synthesize meanwhile, and apply."""
    on_step(f"Synthesizing the environment {ENVIRONMENT}, and initializing Terraform")
    with ThreadPoolExecutor(1) as pool:
        prepared = pool.submit(_prepare, workspace)
        running = begin()
        prepared.result()
    stacks = workspace.terraforms(terraform_environment(running) | key_variable(workspace))
    for terraform in stacks:
        which = f" the stack {terraform.folder.name}" if len(stacks) > 1 else ""
        on_step(f"Applying{which} with Terraform: half a minute at first")
        terraform.apply(
            on_progress,
            on_start=lambda pid: workspace.note(running.with_program(TERRAFORM, program(pid))),
        )
    workspace.note(running)
    return running, terraform


def _prepare(workspace: Workspace) -> None:
    workspace.synthesized.mkdir(parents=True, exist_ok=True)
    synthesize(ENVIRONMENT, workspace.output)
    for terraform in workspace.terraforms(without_aws_variables() | TERRAFORM_VARIABLES):
        terraform.init()


def _described(workspace: Workspace, running: Sandbox, outputs: Outputs) -> Descriptor:
    addresses = programs.region_addresses(outputs)
    return Descriptor(
        outputs=outputs,
        network=Network(
            dns_servers=((HOST, running.ports.dns),),
            zone_name=outputs.zone_name,
            name_servers=outputs.name_servers,
            hosts={
                host: (address, running.ports.https)
                for region, address in addresses.items()
                for host in (
                    f"{outputs.api_ids[region]}.execute-api.{region}.amazonaws.com",
                    outputs.domain_targets[region],
                    *programs.own_names(outputs, region),
                )
            },
            https_port=running.ports.https,
            ca_file=workspace.ca_file,
            ipv6=False,
        ),
        endpoint_url=running.endpoint_url,
        sandbox=SandboxAccess(
            fault_injection_url=running.fault_injection_url,
            health_status_url=running.health_status_url,
            speed=running.speed,
            api_keys_file=key_file(workspace).path,
            synthesized=workspace.output,
        ),
    )


def _local_api(workspace: Workspace, running: Sandbox, descriptor: Descriptor) -> LocalApi:
    outputs = descriptor.outputs
    stage = outputs.api_url.rpartition("/")[2]
    folder = "" if workspace.folder == DEFAULT_FOLDER else f" --folder {workspace.folder}"
    return LocalApi(
        sandbox=running,
        environment=Environment(
            descriptor,
            given_selector=f"--environment {ENVIRONMENT}{folder}",
            folder=workspace.folder,
        ),
        region_urls={
            region: outputs.region_urls[region]
            if programs.own_names(outputs, region)
            else f"{running.endpoint_url}/_aws/execute-api/{outputs.api_ids[region]}/{stage}"
            for region in outputs.regions
        },
    )


def _seed(workspace: Workspace, api: LocalApi) -> None:
    """Register the locations and one observation each: in one Region, for all."""
    region = api.outputs.regions[0]
    url = api.outputs.region_urls[region]
    for location, body in LOCATIONS.items():
        _put(workspace, api, f"{url}/locations/{location}", body, region)
    for location, body in OBSERVATIONS.items():
        _put(workspace, api, f"{url}/weather/{location}/observations/{OBSERVED_AT}", body, region)


def _await_health(workspace: Workspace, api: LocalApi) -> None:
    """Wait for the functions that health checks call: a first call starts a process for each.

    Health checkers would find a Region that is still starting unhealthy.
    """
    paths = [(api.outputs.health_path, 200)]
    if evacuation := api.outputs.evacuation:
        paths.append((evacuation.path_of(api.outputs.primary), 404))
    deadline = time.monotonic() + HEALTH_TIMEOUT_SECONDS
    for region in api.outputs.regions:
        host = urlsplit(api.outputs.region_urls[region]).netloc
        for path, expected in paths:
            while (
                response := api.network.request("GET", f"https://{host}{path}")
            ).status != expected:
                if time.monotonic() > deadline:
                    raise _failed(workspace, f"GET {path} in {region} got {response.summary}")
                time.sleep(0.2)


def _await_health_checks(api: LocalApi) -> None:
    """Wait until every Region's record is healthy: health checks have no results for a moment.

    If one stays unhealthy, `verify` reports why: no reason to fail here.
    """
    ids = {*api.outputs.health_check_ids.values()}
    deadline = time.monotonic() + HEALTH_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        checks = api.environment.sandbox_status()["health_checks"]
        if all(check["healthy"] for check in checks if check["id"] in ids):
            return
        time.sleep(0.1)


def _put(
    workspace: Workspace, api: LocalApi, url: str, body: Mapping[str, Any], region: str
) -> None:
    headers, data = signed_headers(
        "PUT", url, region=region, credentials=Credentials("test", "test"), body=body
    )
    response = api.network.request("PUT", url, headers=headers, body=data, timeout_seconds=30)
    if not response.ok:
        raise _failed(workspace, f"PUT {url} got {response.summary}: {response.body[:300]}")


def _failed(workspace: Workspace, what: str) -> OpsError:
    # Its log is removed with the sandbox.
    log = workspace.log_file("aws").read_text(errors="replace")
    return program_failure(
        f"{what}; the emulator's log ends with", log, next_step="run the command again"
    )
