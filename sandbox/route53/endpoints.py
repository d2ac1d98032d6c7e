"""The endpoints map: the loopback addresses of host names.

The programs that play the Regions write a JSON file; the data plane only reads it:

    {"abc.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
     "*.execute-api.eu-west-1.amazonaws.com": {"addresses": ["127.0.1.2"], "aaaa": ["::1"]}}

A key that starts with `*.` matches every name that ends with the rest; an exact name wins,
then the longest pattern. Only loopback addresses are accepted, so neither a DNS answer nor a
health check can reach the real network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from ipaddress import ip_address
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sandbox.route53.record_names import canonical_name
from sandbox.validation import LoopbackIpv4, LoopbackIpv6, Port, reasons

_REGION = re.compile(r"\.([a-z]{2}-[a-z]+-\d)\.amazonaws\.com")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host.

    Attributes:
        addresses: IPv4 loopback addresses, for A answers and health checks.
        aaaa: IPv6 loopback addresses, for AAAA answers.
        port: Where the host really listens; None keeps the port a health check asks for.
    """

    addresses: tuple[LoopbackIpv4, ...] = ()
    aaaa: tuple[LoopbackIpv6, ...] = ()
    port: Port | None = None

    def of_type(self, kind: str) -> tuple[str, ...]:
        """Give the addresses for an `A` or `AAAA` query; none for any other type."""
        return {"A": self.addresses, "AAAA": self.aaaa}.get(kind, ())


@dataclass(frozen=True)
class EndpointsMap:
    """Host names and patterns, canonical, with their endpoints."""

    hosts: Mapping[str, Endpoint] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> EndpointsMap:
        """Parse the file's text.

        Raises:
            ValidationError: It is not an object of the documented shape, or an address is not a
                loopback address.
        """
        endpoints = TypeAdapter(dict[str, Endpoint]).validate_json(text)
        return cls({canonical_name(name): endpoint for name, endpoint in endpoints.items()})

    def region_at(self, address: str) -> str | None:
        """Find the Region of an address, by the host name in AWS that it belongs to.

        Args:
            address: An address.
        """
        names = (n for n, e in self.hosts.items() if address in (*e.addresses, *e.aaaa))
        return next((found[1] for name in names if (found := _REGION.search(name))), None)

    def find(self, name: str) -> Endpoint | None:
        """Look up a host name: exactly, then by the longest `*.` pattern.

        Args:
            name: Any spelling of a host name.

        Returns:
            The endpoint, or None when no entry matches.
        """
        wanted = canonical_name(name)
        if wanted in self.hosts:
            return self.hosts[wanted]
        rest = wanted
        while rest := rest.partition(".")[2]:
            if found := self.hosts.get("*." + rest):
                return found
        return None


class EndpointsFile:
    """The file on disk, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is read until `refresh`."""
        self.path = path
        self.current = EndpointsMap()
        self.error: str | None = "the endpoints file has not been read yet"
        self._seen: tuple[int, int, int] | None = None

    def find(self, name: str) -> Endpoint | None:
        """Look up a host name in the map as last read."""
        return self.current.find(name)

    def refresh(self) -> bool:
        """Read the file if it changed; keep the last good map when it is missing or wrong.

        Returns:
            Whether the map changed.
        """
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return False
            loaded = EndpointsMap.from_json(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            self.error = f"cannot read the endpoints file: {error.strerror}"
            self._seen = None
            return False
        except ValidationError as error:
            self.error = reasons(error)
            return False
        changed = loaded != self.current
        self.current, self.error, self._seen = loaded, None, seen
        return changed


def is_loopback(address: str) -> bool:
    """Check whether a text is a loopback address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
