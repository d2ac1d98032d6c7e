"""The environment descriptor: everything that the operator's tool knows of an environment.

A small JSON document: the outputs of the stack, and how to reach them. It holds no secret. With it
a command needs neither Terraform nor the state nor the repository.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from constructs_lib.outputs import Outputs, OutputsError
from ops.errors import OpsError, UsageError
from ops.http_client import Network

VERSION = 1


@dataclass(frozen=True)
class SandboxAccess:
    """What a sandbox has and AWS has not.

    Attributes:
        fault_injection_url: Address of its fault-injection API.
        health_status_url: Address of its Route 53 health checks' status server.
        speed: How much faster than on AWS its health checks and DNS run.
        api_keys_file: File with the values of its API keys.
        synthesized: Folder that its stacks were synthesized to; None if that is not known.
    """

    fault_injection_url: str
    health_status_url: str
    speed: float
    api_keys_file: Path
    synthesized: Path | None = None


@dataclass(frozen=True)
class Descriptor:
    """One deployed environment and how to reach it.

    Attributes:
        outputs: Outputs of its stack.
        network: How its names resolve, and what is trusted.
        endpoint_url: URL of every AWS service; None for AWS's own.
        sandbox: What a sandbox has; None on AWS.
    """

    outputs: Outputs
    network: Network
    endpoint_url: str | None = None
    sandbox: SandboxAccess | None = None

    @classmethod
    def on_aws(cls, outputs: Outputs) -> "Descriptor":
        """Describe an environment on AWS, from its outputs alone.

        Args:
            outputs: Outputs of its stack.
        """
        return cls(outputs, Network(None, outputs.zone_name, name_servers=outputs.name_servers))

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.outputs.environment

    @classmethod
    def from_json(cls, document: Any) -> "Descriptor":
        """Read what `to_json` gave.

        Args:
            document: JSON values.

        Raises:
            ValueError: It is not a descriptor of this version; the message names the reason.
        """
        if not isinstance(document, Mapping) or "version" not in document:
            raise ValueError("it is not an environment descriptor")
        if document["version"] != VERSION:
            raise ValueError(f"its version is {document['version']}, and {VERSION} is supported")
        try:
            network, sandbox = document["network"], document["sandbox"]
            outputs = Outputs.from_json(document["outputs"])
            servers = network["dns_servers"]
            return cls(
                outputs=outputs,
                network=Network(
                    None if servers is None else tuple((str(h), int(p)) for h, p in servers),
                    outputs.zone_name,
                    name_servers=outputs.name_servers,
                    hosts={name: (str(a), int(p)) for name, (a, p) in network["hosts"].items()},
                    https_port=int(network["https_port"]),
                    ca_file=Path(network["ca_file"]) if network["ca_file"] else None,
                    ipv6=bool(network["ipv6"]),
                ),
                endpoint_url=document["aws"]["endpoint_url"],
                sandbox=sandbox
                and SandboxAccess(
                    fault_injection_url=str(sandbox["fault_injection_url"]),
                    health_status_url=str(sandbox["health_status_url"]),
                    speed=float(sandbox["speed"]),
                    api_keys_file=Path(sandbox["api_keys_file"]),
                    synthesized=Path(folder) if (folder := sandbox.get("synthesized")) else None,
                ),
            )
        except OutputsError:
            raise
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"a member is missing or has another form: {error!r}") from error

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        network, sandbox = self.network, self.sandbox
        return {
            "version": VERSION,
            "environment": self.environment,
            "outputs": self.outputs.to_json(),
            "aws": {"endpoint_url": self.endpoint_url},
            "network": {
                "dns_servers": None
                if network.dns_servers is None
                else [list(server) for server in network.dns_servers],
                "hosts": {host: list(place) for host, place in network.hosts.items()},
                "https_port": network.https_port,
                "ca_file": str(network.ca_file) if network.ca_file else None,
                "ipv6": network.ipv6,
            },
            "sandbox": sandbox
            and {n: str(v) if isinstance(v, Path) else v for n, v in asdict(sandbox).items()},
        }


def descriptor_file(folder: Path, environment: str) -> Path:
    """Default file of an environment's descriptor.

    Args:
        folder: Folder of descriptors.
        environment: Name of the environment.
    """
    return folder / f"{environment}.environment.json"


def read(path: Path) -> Descriptor:
    """Read a descriptor.

    Args:
        path: Its file.

    Raises:
        OpsError: There is no such file, or it is not a descriptor.
    """
    try:
        return Descriptor.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{path} cannot be read as an environment descriptor: {reason}",
            next_step="write it again: python -m ops export --environment NAME, or for a sandbox: "
            "python -m sandbox up",
        ) from error


def write(path: Path, descriptor: Descriptor) -> None:
    """Write a descriptor, in one step.

    Args:
        path: Its file; its folder is made.
        descriptor: The descriptor.

    Raises:
        OpsError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(descriptor.to_json(), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OpsError(
            f"{path} cannot be written: {error.strerror}",
            next_step="make its folder writable, with free space, or name another file",
        ) from error
