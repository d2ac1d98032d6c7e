"""The folder of a sandbox: what runs is noted there, and everything that it writes is there.

So any later command finds it, also one that comes after a crash.
"""

import errno
import fcntl
import json
import os
import random
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO

import psutil

from ops.descriptor import descriptor_file
from ops.errors import OpsError
from ops.folders import DEFAULT_FOLDER, journal_file, releases_folder, replace_file
from ops.processes import Program, with_variable
from ops.stacks import stacks_of
from ops.terraform import Terraform
from sandbox.listener import HOST
from sandbox.region_endpoints.certificates import authority_file
from sandbox.replication.lag import DEFAULT_MEDIAN_SECONDS

ENVIRONMENT = "local"
PAGE = "page"
TERRAFORM = "terraform"
"""Noted among the programs while it applies, so that `down` ends it, too."""
PROGRAMS = ("aws", "endpoints", "route53", PAGE)
VARIABLE = "_FAILOVER_SANDBOX"
"""Environment variable of every process of a sandbox: its folder."""


@dataclass(frozen=True)
class Ports:
    """Ports of the sandbox.

    Attributes:
        aws: The emulator of AWS.
        https: HTTPS of every Region, each on its own address.
        faults: The fault-injection API.
        dns: Route 53's answers, UDP and TCP.
        status: Status of Route 53's health checks.
        page: The live page.
    """

    aws: int = 4566
    https: int = 8443
    faults: int = 8444
    dns: int = 10053
    status: int = 10054
    page: int = 8445

    @classmethod
    def free(cls) -> "Ports":
        """Choose ports in a row that nothing uses now.

        Programs bind them later. They are below the ports that Linux and macOS give to a program
        that asks for any, so that none takes one meanwhile.
        """
        while True:
            first = random.randrange(20_000, 32_000, len(fields(cls)))
            ports = range(first, first + len(fields(cls)))
            try:
                with ExitStack() as listeners:
                    for port in ports:
                        listeners.enter_context(socket.create_server((HOST, port)))
                return cls(*ports)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise


@dataclass(frozen=True)
class Sandbox:
    """What runs.

    Attributes:
        ports: Where.
        speed: How much faster than AWS health checks and DNS run.
        programs: `{name: program}`: `aws`, once the API is deployed `endpoints` and `route53`, and
            `page` if it was asked for.
        emulator_options: Options that the emulator of AWS was started with.
        replication_lag: Median seconds that a write takes to another Region, at the speed of AWS.
    """

    ports: Ports
    speed: float
    programs: Mapping[str, Program]
    emulator_options: tuple[str, ...] = ()
    replication_lag: float = DEFAULT_MEDIAN_SECONDS

    def with_program(self, name: str, program: Program) -> "Sandbox":
        """The same with one more program.

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
    def fault_injection_url(self) -> str:
        """Address of the fault-injection API."""
        return f"http://{HOST}:{self.ports.faults}"

    @property
    def health_status_url(self) -> str:
        """Address of the status server of Route 53's health checks."""
        return f"http://{HOST}:{self.ports.status}"

    @property
    def page_url(self) -> str:
        """Address of the live page; empty if it does not run."""
        page = self.programs.get(PAGE)
        return f"http://{HOST}:{self.ports.page}/" if page and page.process() else ""

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that direct boto3 and the AWS provider here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class Workspace:
    """The folder of everything that a sandbox writes.

    Attributes:
        folder: The folder; made when needed.
    """

    folder: Path = DEFAULT_FOLDER

    @property
    def synthesized(self) -> Path:
        """Terraform JSON and state, as `cdktf synth` lays them out."""
        return self.folder / "terraform"

    @property
    def output(self) -> Path:
        """Terraform JSON alone."""
        return self.synthesized / "cdktf.out"

    @property
    def temporary(self) -> Path:
        """Temporary files of its programs."""
        return self.folder / "temporary"

    @property
    def certificates(self) -> Path:
        """The throw-away authority that issues the Regions' certificates."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> Path:
        """Certificate of that authority."""
        return authority_file(self.certificates)

    @property
    def descriptor_file(self) -> Path:
        """The environment descriptor."""
        return descriptor_file(self.folder, ENVIRONMENT)

    @property
    def key_file(self) -> Path:
        """Values of the API keys."""
        return self.folder / "api-keys.tfvars.json"

    @property
    def endpoints_file(self) -> Path:
        """Addresses of the Region endpoints, for Route 53."""
        return self.folder / "endpoints.json"

    @property
    def endpoints_config_file(self) -> Path:
        """Configuration of the Region endpoints."""
        return self.folder / "endpoints.config.json"

    def log_file(self, program: str) -> Path:
        """What a program prints."""
        return self.folder / f"{program}.log"

    def terraforms(self, environment: Mapping[str, str]) -> tuple[Terraform, ...]:
        """Terraform in the folder of each synthesized stack, in the order of deployment."""
        variables = {**environment, VARIABLE: str(self.folder)}
        folders = stacks_of(ENVIRONMENT, self.output)
        return tuple(Terraform(folder, variables) for folder in folders)

    def terraform(self, environment: Mapping[str, str]) -> Terraform:
        """Terraform in the folder of the stack that has the outputs: of several, the last."""
        return self.terraforms(environment)[-1]

    @property
    def _lock(self) -> Path:
        return self.folder / ".up.lock"

    @property
    def _note(self) -> Path:
        return self.folder / "sandbox.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other `up` or `down` work in the folder for as long as the block runs.

        The file of the lock is removed if nothing is left in the folder that it protects.

        Raises:
            OpsError: Another one does, or the folder cannot be written.
        """
        is_new = not self.folder.exists()
        try:
            lock = self._open_lock()
        except OSError as error:
            raise OpsError(
                f"the folder {self.folder} cannot be used: {error.strerror}",
                next_step="make it writable, with free space; for another sandbox, name another "
                "folder with --folder",
            ) from error
        with lock:
            try:
                yield
            finally:
                if not self._note.exists():
                    self._lock.unlink(missing_ok=True)
                    if is_new:
                        with suppress(OSError):
                            self.folder.rmdir()

    def _open_lock(self) -> IO[str]:
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Its last owner may remove the folder or the file in between.
            with suppress(FileNotFoundError), ExitStack() as opened:
                lock = opened.enter_context(self._lock.open("a"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise OpsError(
                        f"another up or down is working in {self.folder}",
                        next_step="wait for it, end it with Ctrl-C, or use another folder: "
                        "--folder FOLDER --free-ports",
                    ) from None
                if os.path.samestat(os.fstat(lock.fileno()), self._lock.stat()):
                    opened.pop_all()
                    return lock

    def noted(self) -> Sandbox | None:
        """What was started from this folder, whether it still runs or not."""
        try:
            note = json.loads(self._note.read_text())
            return Sandbox(
                ports=Ports(**note["ports"]),
                speed=note["speed"],
                programs={name: Program(**program) for name, program in note["programs"].items()},
                emulator_options=tuple(note.get("emulator_options", ())),
                # Before there was a lag, there was none.
                replication_lag=note.get("replication_lag", 0.0),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def running(self) -> Sandbox | None:
        """What runs, if at least the local AWS does."""
        sandbox = self.noted()
        return sandbox if sandbox and sandbox.programs["aws"].process() else None

    def note(self, sandbox: Sandbox) -> None:
        """Remember what runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._note, json.dumps(asdict(sandbox), indent=2), mode=0o644)

    def processes(self) -> list[psutil.Process]:
        """Find every process of the sandbox, noted or not: what a crash has left, too."""
        return with_variable(VARIABLE, str(self.folder))

    def clear(self) -> None:
        """Remove everything that the sandbox has written; reports of drills stay."""
        for file in self._files:
            file.unlink(missing_ok=True)
        # What was deployed is gone, so nothing can return to a release of it.
        releases = releases_folder(self.folder, ENVIRONMENT)
        for folder in (self.synthesized, self.temporary, releases):
            shutil.rmtree(folder, ignore_errors=True)
        for empty in (self.certificates, releases.parent):
            with suppress(OSError):
                empty.rmdir()
        # With what a drill has injected, its journal is void.
        journal_file(self.folder, ENVIRONMENT).unlink(missing_ok=True)

    @property
    def _files(self) -> Iterator[Path]:
        written = (
            *(self.descriptor_file, self.key_file, self.endpoints_file, self.endpoints_config_file),
            *(self.certificates / name for name in ("ca.pem", "ca.key")),
            *map(self.log_file, PROGRAMS),
            # The last one: while it is there, `down` finds the rest.
            self._note,
        )
        for file in written:
            yield file
            # Drafts and locks of one that was being written.
            yield from file.parent.glob(f".{file.name}.*")


def without_aws_variables() -> dict[str, str]:
    """This process's environment without AWS variables: they are for a real AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
