"""The programs of the sandbox: the emulator of AWS, the Region endpoints, Route 53, the live page.

They run in the background. Everything they write is in one folder, and so is the note of what runs,
so that any later command finds them.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import urllib3

from constructs_lib.outputs import Outputs
from ops.errors import OpsError, program_failure
from ops.folders import REPOSITORY
from ops.processes import Program, end, start
from sandbox.emulator.capacity import COLD_START_SECONDS
from sandbox.listener import HOST, listen
from sandbox.region_endpoints.config import Config, Region, region_address
from sandbox.replication.lag import DEFAULT_MEDIAN_SECONDS
from sandbox.workspace import PAGE, VARIABLE, Ports, Sandbox, Workspace, without_aws_variables

START_TIMEOUT_SECONDS = 30
STRAY_TIMEOUT_SECONDS = 5


def start_aws(
    workspace: Workspace,
    ports: Ports,
    speed: float,
    *,
    emulator_options: tuple[str, ...] = (),
    replication_lag: float = DEFAULT_MEDIAN_SECONDS,
) -> Sandbox:
    """Start the emulator of AWS and wait until it is ready.

    Args:
        workspace: Where it is noted.
        ports: Its port, and those of the other programs.
        speed: How much faster than AWS replication, health checks and DNS shall run.
        emulator_options: More options of its command line, which win over what is set here.
        replication_lag: Median seconds that a write takes to another Region on AWS.

    Returns:
        The sandbox with the emulator alone.

    Raises:
        OpsError: A port is taken, or it does not start.
    """
    for name, port in asdict(ports).items():
        if name != PAGE:
            check_free(name, port)
    sandbox = Sandbox(ports, speed, {}, emulator_options, replication_lag)
    return _start(
        workspace, sandbox, "aws",
        [
            *("sandbox.emulator", "--port", str(ports.aws), "--dns-port", str(ports.dns)),
            *("--replication-lag", str(replication_lag), "--speed", str(speed)),
            *("--cold-start", str(COLD_START_SECONDS), *emulator_options),
        ],
        f"{sandbox.endpoint_url}/_ministack/ready",
    )  # fmt: skip


def start_endpoints(workspace: Workspace, sandbox: Sandbox, outputs: Outputs) -> Sandbox:
    """Start an endpoint per Region for the deployed API, again if they run.

    Args:
        workspace: Where they are noted.
        sandbox: The sandbox with the local AWS.
        outputs: Outputs of the deployed stack.

    Returns:
        The sandbox with the Region endpoints.

    Raises:
        OpsError: They do not start.
    """
    if "endpoints" in sandbox.programs:
        sandbox.programs["endpoints"].stop()
    config = Config(
        upstream_host=HOST,
        upstream_port=sandbox.ports.aws,
        port=sandbox.ports.https,
        faults_port=sandbox.ports.faults,
        certificates=workspace.certificates,
        endpoints_file=workspace.endpoints_file,
        regions=_regions(outputs),
    )
    config_file = workspace.endpoints_config_file
    config_file.write_text(config.to_json())
    return _start(
        workspace, sandbox, "endpoints", ["sandbox.region_endpoints", "--config", str(config_file)],
        f"{sandbox.fault_injection_url}/ready",
    )  # fmt: skip


def start_route53(workspace: Workspace, sandbox: Sandbox, outputs: Outputs) -> Sandbox:
    """Start health checks and DNS for the deployed API, again if they run.

    Args:
        workspace: Where they are noted.
        sandbox: The sandbox with the Region endpoints.
        outputs: Outputs of the deployed stack.

    Returns:
        The whole sandbox.

    Raises:
        OpsError: It does not start.
    """
    if "route53" in sandbox.programs:
        sandbox.programs["route53"].stop()
    return _start(
        workspace, sandbox, "route53",
        [
            *("sandbox.route53", "--endpoint-url", sandbox.endpoint_url),
            *("--zone-name", outputs.zone_name),
            *("--endpoints", str(workspace.endpoints_file)),
            *("--dns-port", str(sandbox.ports.dns), "--status-port", str(sandbox.ports.status)),
            # As few as AWS allows: each request is a Lambda invocation on this machine.
            *("--speed", str(sandbox.speed), "--checkers", "3"),
        ],
        f"{sandbox.health_status_url}/ready",
    )  # fmt: skip


def start_page(workspace: Workspace, sandbox: Sandbox, port: int | None = None) -> Sandbox:
    """Start the live page, unless it runs there already.

    Args:
        workspace: Where it is noted.
        sandbox: The sandbox, whole or not.
        port: Its port; that of the sandbox by default.

    Returns:
        The sandbox with the page.

    Raises:
        OpsError: The port is taken, or it does not start.
    """
    if sandbox.page_url and port in (None, sandbox.ports.page):
        return sandbox
    port = port or sandbox.ports.page
    check_free(PAGE, port)
    if PAGE in sandbox.programs:
        sandbox.programs[PAGE].stop()
    sandbox = replace(sandbox, ports=replace(sandbox.ports, page=port))
    return _start(
        workspace, sandbox, PAGE,
        [
            *("sandbox.page", "--port", str(port)),
            *("--descriptor", str(workspace.descriptor_file)),
        ],
        f"http://{HOST}:{port}/ready",
    )  # fmt: skip


def region_addresses(outputs: Outputs) -> dict[str, str]:
    """Assign a loopback address to every Region.

    Args:
        outputs: Outputs of the deployed stack.

    Returns:
        `{region: loopback address}`.
    """
    return {region: region_address(index) for index, region in enumerate(outputs.regions)}


def stop(workspace: Workspace) -> bool:
    """End everything that was started from a folder, and what a crash has left.

    Args:
        workspace: The folder.

    Returns:
        Whether anything was running.

    Raises:
        OpsError: A program does not end.
    """
    sandbox = workspace.noted()
    # The last one first: each needs those before it until it has ended.
    ran = [program.stop() for program in reversed([*sandbox.programs.values()])] if sandbox else []
    return end_strays(workspace) or any(ran)


def end_strays(workspace: Workspace) -> bool:
    """End the processes of a sandbox that belong to none of its programs: a crash has left them.

    Args:
        workspace: The folder.

    Returns:
        Whether there were any.

    Raises:
        OpsError: One does not end.
    """
    sandbox = workspace.noted()
    programs = [program.process() for program in sandbox.programs.values()] if sandbox else []
    known = {
        each.pid
        for process in programs
        if process
        for each in (process, *process.children(recursive=True))
    }
    strays = [process for process in workspace.processes() if process.pid not in known]
    end(strays, STRAY_TIMEOUT_SECONDS)
    return bool(strays)


def _regions(outputs: Outputs) -> tuple[Region, ...]:
    return tuple(
        Region(
            region,
            address,
            hosts=(
                f"{outputs.api_ids[region]}.execute-api.{region}.amazonaws.com",
                outputs.domain_targets[region],
            ),
            domains=(outputs.record_name, *own_names(outputs, region)),
        )
        for region, address in region_addresses(outputs).items()
    )


def own_names(outputs: Outputs, region: str) -> tuple[str, ...]:
    """The name that a Region has of its own beside the one that AWS gives its API, if any.

    Args:
        outputs: Outputs of the deployed stack.
        region: The Region.
    """
    host = urlsplit(outputs.region_urls[region]).netloc
    return () if host.startswith(f"{outputs.api_ids[region]}.execute-api.") else (host,)


def _start(
    workspace: Workspace, sandbox: Sandbox, name: str, module: list[str], ready_url: str
) -> Sandbox:
    """Start one program, notes it, and waits until it is ready."""
    log_file = workspace.log_file(name)
    workspace.temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = start(
        [sys.executable, "-m", *module],
        folder=REPOSITORY,
        log_file=log_file,
        environment=without_aws_variables()
        | ({} if name == "aws" else sandbox.variables)
        | {VARIABLE: str(workspace.folder), "TMPDIR": str(workspace.temporary)},
    )
    sandbox = sandbox.with_program(name, program)
    workspace.note(sandbox)
    # Its own output comes first: what responds there could be another program.
    if not _becomes_true(
        lambda: _READY[name] in log_file.read_text(errors="replace") and _responds(ready_url),
        program,
    ):
        program.stop()
        raise program_failure(
            f"{module[0]} did not start",
            log_file.read_text(errors="replace"),
            next_step="fix what is named above, and run the command again",
        )
    return sandbox


_READY = {
    "aws": "local AWS: http",
    "endpoints": "Region endpoints: ",
    "route53": "route53 data plane: dns",
    PAGE: "live page: http",
}
"""What each program prints when it has its ports."""


def _becomes_true(condition: Callable[[], bool], program: Program) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and program.process():
        if condition():
            return True
        time.sleep(0.05)
    return False


def _responds(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def check_free(name: str, port: int) -> None:
    """Make sure that a port can be used.

    Args:
        name: What for, as `Ports` has it.
        port: The port.

    Raises:
        OpsError: It cannot.
    """
    try:
        listen(HOST, port).close()
    except OpsError as error:
        option = {"aws": "--port", PAGE: "--open --page-port"}.get(name, f"--{name}-port")
        raise OpsError(
            str(error.args[0]),
            next_step="end what uses it, or take another: python -m sandbox up "
            f"{option} {port + 100}, or --free-ports",
        ) from None
