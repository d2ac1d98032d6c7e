"""The stand that the local API runs on: the local AWS, an edge per Region, and Route 53.

Three programs in the background, and the live page as a fourth if it is wanted. Everything they
write stands in one folder, and so does the note of what runs, so that any later command finds them.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from ops.edge.certificates import authority_file
from ops.edge.config import Config, Region, region_address
from ops.errors import OpsError
from ops.processes import Program, start
from ops.terraform import Terraform

ENVIRONMENT = "local"
REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_FOLDER = REPOSITORY / ".local"
START_TIMEOUT_SECONDS = 30
HOST = "127.0.0.1"
PAGE = "page"


@dataclass(frozen=True)
class Ports:
    """Ports of the stand.

    Attributes:
        aws: The local AWS.
        edge: HTTPS of every Region, each on an address of its own.
        control: Faults of the edges.
        dns: Route 53's answers, UDP and TCP.
        status: Route 53's health checks.
        page: The live page.
    """

    aws: int = 4566
    edge: int = 8443
    control: int = 8444
    dns: int = 10053
    status: int = 10054
    page: int = 8445

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nothing uses now."""
        held = [socket.create_server((HOST, 0)) for _ in fields(cls)]
        try:
            return cls(*(listener.getsockname()[1] for listener in held))
        finally:
            for listener in held:
                listener.close()


@dataclass(frozen=True)
class Stand:
    """What runs.

    Attributes:
        ports: Where.
        speed: How much faster than AWS health checks and DNS run.
        programs: `{name: program}`: `aws`, once the API is deployed `edge` and `route53`, and
            `page` if it was wanted.
        iam_enforced: Whether the local AWS checks signatures and evaluates IAM policies.
    """

    ports: Ports
    speed: float
    programs: Mapping[str, Program]
    iam_enforced: bool = False

    def with_program(self, name: str, program: Program) -> "Stand":
        """The stand with one more program.

        Args:
            name: Name of the program.
            program: The program.
        """
        return replace(self, programs={**self.programs, name: program})

    @property
    def endpoint_url(self) -> str:
        """What `AWS_ENDPOINT_URL` is set to."""
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def control_url(self) -> str:
        """Where faults are injected into the edges."""
        return f"http://{HOST}:{self.ports.control}"

    @property
    def status_url(self) -> str:
        """Where the state of every health check is told."""
        return f"http://{HOST}:{self.ports.status}"

    @property
    def page_url(self) -> str:
        """Where the live page is; empty if it does not run."""
        page = self.programs.get(PAGE)
        return f"http://{HOST}:{self.ports.page}/" if page and page.process() else ""

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
class Workspace:
    """The folder that holds all that a local API leaves on the disk.

    Attributes:
        folder: The folder; made when needed.
    """

    folder: Path = DEFAULT_FOLDER

    @property
    def synthesized(self) -> Path:
        """Terraform JSON and state, as `cdktf synth` lays them out."""
        return self.folder / "terraform"

    @property
    def ca_file(self) -> Path:
        """Certificate of the throw-away authority that the edges' certificates are from."""
        return authority_file(self.folder / "certificates")

    def log_file(self, program: str) -> Path:
        """What a program prints."""
        return self.folder / f"{program}.log"

    def terraform(self, environment: Mapping[str, str]) -> Terraform:
        """Terraform in the folder of the synthesized stack."""
        return Terraform(self.synthesized / "cdktf.out" / "stacks" / ENVIRONMENT, environment)

    @property
    def _note(self) -> Path:
        return self.folder / "stand.json"

    def noted(self) -> Stand | None:
        """What was started from this folder, whether it still runs or not."""
        try:
            note = json.loads(self._note.read_text())
            return Stand(
                ports=Ports(**note["ports"]),
                speed=note["speed"],
                programs={name: Program(**program) for name, program in note["programs"].items()},
                iam_enforced=note.get("iam_enforced", False),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def running(self) -> Stand | None:
        """What runs, if at least the local AWS does."""
        stand = self.noted()
        return stand if stand and stand.programs["aws"].process() else None

    def note(self, stand: Stand) -> None:
        """Remembers what runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self._note.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(stand), indent=2))
        temporary.replace(self._note)

    def forget(self) -> None:
        """Forgets what ran."""
        self._note.unlink(missing_ok=True)


def start_aws(
    workspace: Workspace, ports: Ports, speed: float, *, iam_enforced: bool = False
) -> Stand:
    """Starts the local AWS and waits until it answers.

    Args:
        workspace: Where it is noted.
        ports: Where it shall answer, and later the other programs.
        speed: How much faster than AWS health checks and DNS shall run.
        iam_enforced: Check signatures and evaluate IAM policies.

    Returns:
        The stand with the local AWS alone.

    Raises:
        OpsError: A port is taken, or it does not start.
    """
    for name, port in asdict(ports).items():
        if name != PAGE:
            check_free(name, port)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    stand = Stand(ports, speed, {}, iam_enforced)
    return _start(
        workspace, stand, "aws",
        ["ops.emulator", "--port", str(ports.aws), *(["--iam-enforced"] if iam_enforced else [])],
        f"{stand.endpoint_url}/_ministack/ready",
    )  # fmt: skip


def start_edges(workspace: Workspace, stand: Stand, outputs: Mapping[str, Any]) -> Stand:
    """Starts an edge per Region for the deployed API, anew if they run.

    Args:
        workspace: Where they are noted.
        stand: The stand with the local AWS.
        outputs: Outputs of the deployed stack.

    Returns:
        The stand with the edges.

    Raises:
        OpsError: They do not start.
    """
    if "edge" in stand.programs:
        stand.programs["edge"].stop()
    config = Config(
        upstream_host=HOST,
        upstream_port=stand.ports.aws,
        port=stand.ports.edge,
        control_port=stand.ports.control,
        certificates=workspace.folder / "certificates",
        endpoints_file=workspace.folder / "endpoints.json",
        regions=_regions(outputs),
    )
    config_file = workspace.folder / "edge.json"
    config_file.write_text(config.to_json())
    return _start(
        workspace, stand, "edge", ["ops.edge", "--config", str(config_file)],
        f"{stand.control_url}/ready",
    )  # fmt: skip


def start_route53(workspace: Workspace, stand: Stand, outputs: Mapping[str, Any]) -> Stand:
    """Starts health checks and DNS for the deployed API, anew if they run.

    Args:
        workspace: Where they are noted.
        stand: The stand with the edges.
        outputs: Outputs of the deployed stack.

    Returns:
        The whole stand.

    Raises:
        OpsError: It does not start.
    """
    if "route53" in stand.programs:
        stand.programs["route53"].stop()
    return _start(
        workspace, stand, "route53",
        [
            *("ops.route53", "--endpoint-url", stand.endpoint_url),
            *("--zone-name", outputs["zone_name"]),
            *("--endpoints", str(workspace.folder / "endpoints.json")),
            *("--dns-port", str(stand.ports.dns), "--status-port", str(stand.ports.status)),
            # As few as AWS allows: each request is a Lambda invocation on this machine.
            *("--speed", str(stand.speed), "--checkers", "3"),
        ],
        f"{stand.status_url}/ready",
    )  # fmt: skip


def start_page(workspace: Workspace, stand: Stand, port: int | None = None) -> Stand:
    """Starts the live page, unless it runs there already.

    Args:
        workspace: Where it is noted.
        stand: The stand, whole or not.
        port: Where it shall answer; where the stand has its place for it by default.

    Returns:
        The stand with the page.

    Raises:
        OpsError: The port is taken, or it does not start.
    """
    if stand.page_url and port in (None, stand.ports.page):
        return stand
    port = port or stand.ports.page
    check_free(PAGE, port)
    if PAGE in stand.programs:
        stand.programs[PAGE].stop()
    stand = replace(stand, ports=replace(stand.ports, page=port))
    return _start(
        workspace, stand, PAGE,
        ["ops.page", "--folder", str(workspace.folder), "--port", str(port)],
        f"http://{HOST}:{port}/ready",
    )  # fmt: skip


def region_addresses(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Where the Regions' edges stand.

    Args:
        outputs: Outputs of the deployed stack.

    Returns:
        `{region: loopback address}`.
    """
    return {region: region_address(index) for index, region in enumerate(outputs["regions"])}


def stop(workspace: Workspace) -> bool:
    """Ends everything that was started from a folder.

    Args:
        workspace: The folder.

    Returns:
        Whether anything was running.

    Raises:
        OpsError: A program does not end.
    """
    stand = workspace.noted()
    ran = [program.stop() for program in reversed([*stand.programs.values()])] if stand else []
    workspace.forget()
    return any(ran)


def _regions(outputs: Mapping[str, Any]) -> tuple[Region, ...]:
    return tuple(
        Region(
            region,
            address,
            hosts=(
                f"{outputs['api_ids'][region]}.execute-api.{region}.amazonaws.com",
                outputs["domain_targets"][region],
            ),
            domains=(outputs["record_name"], *own_names(outputs, region)),
        )
        for region, address in region_addresses(outputs).items()
    )


def own_names(outputs: Mapping[str, Any], region: str) -> tuple[str, ...]:
    """The name that a Region has of its own beside the one that AWS gives its API, if any.

    Args:
        outputs: Outputs of the deployed stack.
        region: The Region.
    """
    host = urlsplit(outputs["region_urls"][region]).netloc
    return () if host.startswith(f"{outputs['api_ids'][region]}.execute-api.") else (host,)


def _start(
    workspace: Workspace, stand: Stand, name: str, module: list[str], ready_url: str
) -> Stand:
    """Starts one program, notes it, and waits until it is ready."""
    log_file = workspace.log_file(name)
    # Never with credentials of this machine: they are for a real AWS, and unknown to the local one.
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    program = start(
        [sys.executable, "-m", *module],
        folder=REPOSITORY,
        log_file=log_file,
        environment=inherited | ({} if name == "aws" else stand.variables),
    )
    stand = stand.with_program(name, program)
    workspace.note(stand)
    # Its own word comes first: what answers there could be another program's.
    if not _becomes_true(
        lambda: _READY[name] in log_file.read_text(errors="replace") and _answers(ready_url),
        program,
    ):
        program.stop()
        raise OpsError(
            f"{module[0]} did not start:\n{_last_lines(log_file)}", next_step=f"read {log_file}"
        )
    return stand


_READY = {
    "aws": "local AWS: http",
    "edge": "edges: ",
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


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def check_free(name: str, port: int) -> None:
    """Makes sure that a port can be used.

    Args:
        name: What for, as `Ports` has it.
        port: The port.

    Raises:
        OpsError: It cannot.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            option = {"aws": "--port", PAGE: "--open --page-port"}.get(name, f"--{name}-port")
            raise OpsError(
                f"port {port} on {HOST} cannot be used: {error.strerror}",
                next_step="end what uses it, or take another: python -m ops local up "
                f"{option} {port + 100}, or --free-ports",
            ) from None


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").strip().splitlines()[-20:])
