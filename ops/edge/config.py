"""The configuration of the edges: a JSON file, checked whole before anything starts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops.errors import ExitCode, OpsError

DEFAULT_PORT = 8443
CONTROL_HOST = "127.0.0.1"

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}")
_KEYS = {"upstream", "port", "control_port", "certificates", "endpoints_file", "regions"}
_REGION_KEYS = {"address", "hosts", "domains"}


@dataclass(frozen=True)
class Region:
    """One Region's edge.

    Attributes:
        name: The Region, like `us-east-1`.
        address: IPv4 loopback address of its own.
        hosts: Names that stand for this Region only: `{api}.execute-api.{region}.amazonaws.com`
            and the regional target host names of custom domains.
        domains: Custom domain names it serves, as other Regions may too.
    """

    name: str
    address: str
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def wildcard(self) -> str:
        """The name under which the Region serves any API, as its DNS and certificate have it."""
        return f"*.execute-api.{self.name}.amazonaws.com"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of its certificate."""
        return tuple(dict.fromkeys((self.wildcard, *self.hosts, *self.domains)))

    def serves(self, host: str) -> bool:
        """Tells whether a request for a host is this Region's.

        Args:
            host: A host name in any case, without a port.
        """
        return host.lower().removesuffix(".") in {*self.hosts, *self.domains}


@dataclass(frozen=True)
class Config:
    """All edges of one process.

    Attributes:
        upstream_host: Loopback host of the local AWS.
        upstream_port: Its port, plain HTTP.
        certificates: Folder of the throw-away CA and the certificates.
        regions: The Regions, in order.
        port: Port of every Region on its own address; 0 takes one that is free.
        control_port: Port of the control API on 127.0.0.1; 0 takes one that is free.
        endpoints_file: Where to write the endpoints map; None writes none.
    """

    upstream_host: str
    upstream_port: int
    certificates: Path
    regions: tuple[Region, ...]
    port: int = DEFAULT_PORT
    control_port: int = 0
    endpoints_file: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Config:
        """Reads the file; paths in it are relative to its folder.

        Args:
            path: The JSON file.

        Raises:
            OpsError: It cannot be read, or does not hold what it should; every fault is named.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise _unusable(path, [f"it cannot be read: {error.strerror}"]) from error
        except ValueError as error:
            raise _unusable(path, [f"it is not JSON: {error}"]) from error
        if not isinstance(data, dict):
            raise _unusable(path, [f"expected an object, got {type(data).__name__}"])
        faults: list[str] = []
        config = _config(data, path.resolve().parent, faults.append)
        if faults or config is None:
            raise _unusable(path, faults)
        return config

    def to_json(self) -> str:
        """The text of a file that `read` reads."""
        data: dict[str, Any] = {
            "upstream": f"http://{self.upstream_host}:{self.upstream_port}",
            "port": self.port,
            "control_port": self.control_port,
            "certificates": str(self.certificates),
            "regions": {
                region.name: {
                    "address": region.address,
                    "hosts": list(region.hosts),
                    "domains": list(region.domains),
                }
                for region in self.regions
            },
        }
        if self.endpoints_file:
            data["endpoints_file"] = str(self.endpoints_file)
        return json.dumps(data, indent=2) + "\n"


def region_address(index: int) -> str:
    """The loopback address of the Region at an index, counted from 0: 127.0.1.1, 127.0.1.2."""
    return str(IPv4Address("127.0.1.1") + index)


def _config(data: dict[str, Any], folder: Path, fault: Callable[[str], None]) -> Config | None:
    for key in sorted(data.keys() - _KEYS):
        fault(f"{key}: unknown; allowed are {', '.join(sorted(_KEYS))}")
    upstream = _upstream(data.get("upstream"), fault)
    certificates = data.get("certificates")
    if not isinstance(certificates, str) or not certificates:
        fault(f"certificates: expected the path of a folder, got {certificates!r}")
        certificates = "."
    endpoints_file = data.get("endpoints_file")
    if endpoints_file is not None and (not isinstance(endpoints_file, str) or not endpoints_file):
        fault(f"endpoints_file: expected the path of a file, got {endpoints_file!r}")
        endpoints_file = None
    port = _port("port", data.get("port", DEFAULT_PORT), fault)
    control_port = _port("control_port", data.get("control_port"), fault)
    regions = _regions(data.get("regions"), fault)
    if upstream is None:
        return None
    return Config(
        upstream_host=upstream[0],
        upstream_port=upstream[1],
        certificates=folder / certificates,
        regions=regions,
        port=port,
        control_port=control_port,
        endpoints_file=folder / endpoints_file if endpoints_file else None,
    )


def _upstream(value: Any, fault: Callable[[str], None]) -> tuple[str, int] | None:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host, port = parts.hostname or "", parts.port
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback, port = False, None
    if not loopback or port is None or parts.scheme != "http" or parts.path.strip("/"):
        fault(f"upstream: expected a URL like http://127.0.0.1:4566, got {value!r}")
        return None
    return host, port


def _port(key: str, value: Any, fault: Callable[[str], None]) -> int:
    if type(value) is not int or not 0 <= value <= 65535:
        fault(f"{key}: expected a number from 0 to 65535, got {value!r}")
        return 0
    return value


def _regions(value: Any, fault: Callable[[str], None]) -> tuple[Region, ...]:
    if not isinstance(value, dict) or not value:
        fault(f"regions: expected an object with at least one Region, got {value!r}")
        return ()
    regions = tuple(_region(name, entry, fault) for name, entry in value.items())
    taken: dict[str, str] = {}
    for region in regions:
        other = taken.setdefault(region.address, region.name)
        if region.address and other != region.name:
            fault(f"regions.{region.name}.address: {region.address} is {other}'s already")
    return regions


def _region(name: str, entry: Any, fault: Callable[[str], None]) -> Region:
    place = f"regions.{name}"
    if not _REGION.fullmatch(name):
        fault(f"{place}: expected the name of a Region, like us-east-1")
    if not isinstance(entry, dict):
        fault(f"{place}: expected an object with address, hosts, domains, got {entry!r}")
        return Region(name, "")
    for key in sorted(entry.keys() - _REGION_KEYS):
        fault(f"{place}.{key}: unknown; allowed are {', '.join(sorted(_REGION_KEYS))}")
    address = entry.get("address")
    if not _is_ipv4_loopback(address):
        fault(f"{place}.address: expected an IPv4 address in 127.0.0.0/8, got {address!r}")
    return Region(
        name,
        str(address or ""),
        _names(f"{place}.hosts", entry.get("hosts", []), fault),
        _names(f"{place}.domains", entry.get("domains", []), fault),
    )


def _is_ipv4_loopback(address: Any) -> bool:
    try:
        return isinstance(address, str) and IPv4Address(address).is_loopback
    except ValueError:
        return False


def _names(place: str, value: Any, fault: Callable[[str], None]) -> tuple[str, ...]:
    if not isinstance(value, list):
        fault(f"{place}: expected a list of host names, got {value!r}")
        return ()
    names = []
    for item in value:
        name = item.lower().removesuffix(".") if isinstance(item, str) else ""
        if _HOST_NAME.fullmatch(name):
            names.append(name)
        else:
            fault(f"{place}: {item!r} is not a host name")
    return tuple(names)


def _unusable(path: Path, faults: list[str]) -> OpsError:
    return OpsError(
        f"{path} cannot be used: {'; '.join(faults)}",
        next_step="mend the file and start again",
        exit_code=ExitCode.USAGE,
    )
