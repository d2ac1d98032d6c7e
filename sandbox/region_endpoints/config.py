"""The configuration of the Region endpoints: a JSON file, validated before anything starts."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ops.errors import UsageError
from sandbox.validation import LoopbackIpv4, Port, reasons

DEFAULT_PORT = 8443

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Region:
    """One Region endpoint.

    Attributes:
        name: The Region, like `us-east-1`.
        address: Its own IPv4 loopback address.
        hosts: Names of this Region only: `{api}.execute-api.{region}.amazonaws.com`
            and the regional target host names of custom domains.
        domains: Custom domain names it serves, as other Regions may too.
    """

    name: str
    address: LoopbackIpv4
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def wildcard(self) -> str:
        """Pattern of its `execute-api` names, as DNS and its certificate have it."""
        return f"*.execute-api.{self.name}.amazonaws.com"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of its certificate."""
        return tuple(dict.fromkeys((self.wildcard, *self.hosts, *self.domains)))

    def serves(self, host: str) -> bool:
        """Check whether the Region serves a host.

        Args:
            host: A host name in any case, without a port.
        """
        return host.lower().removesuffix(".") in {*self.hosts, *self.domains}


@dataclass(frozen=True, config=_STRICT)
class Config:
    """All Region endpoints of one process.

    Attributes:
        upstream_host: Loopback host of the local AWS.
        upstream_port: Its port, plain HTTP.
        certificates: Folder for the certificate of the temporary CA.
        regions: The Regions, in order.
        port: Port of every Region on its own address; 0 takes one that is free.
        faults_port: Port of the fault-injection API on 127.0.0.1; 0 takes one that is free.
        endpoints_file: Where to write the endpoints map; None writes none.
    """

    upstream_host: LoopbackIpv4
    upstream_port: Port
    certificates: Path
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    port: Port = DEFAULT_PORT
    faults_port: Port = 0
    endpoints_file: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read the file.

        Args:
            path: The JSON file.

        Raises:
            UsageError: It cannot be read, or is invalid; every error is named.
        """
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except OSError as error:
            reason = error.strerror or str(error)
        except ValidationError as error:
            reason = reasons(error)
        raise UsageError(
            f"{path} cannot be used: {reason}",
            next_step="fix the file and start again",
        )

    def to_json(self) -> str:
        """Write the text of a file that `read` reads."""
        return TypeAdapter(Config).dump_json(self, indent=2).decode()


def region_address(index: int) -> str:
    """Give the loopback address of the Region at an index, counted from 0: 127.0.1.1, 127.0.1.2."""
    return str(IPv4Address("127.0.1.1") + index)
