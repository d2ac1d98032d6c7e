"""The endpoints map: which loopback address stands for which host name.

The programs that play the Regions write a JSON file; the data plane only reads it:

    {"abc.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
     "*.execute-api.eu-west-1.amazonaws.com": {"addresses": ["127.0.1.2"], "aaaa": ["::1"]}}

A key that starts with `*.` stands for every name that ends with the rest; an exact name wins,
then the longest pattern. Only loopback addresses are accepted, so neither a DNS answer nor a
health check can lead to the real network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ops.route53.names import canonical_name


class EndpointsError(ValueError):
    """The endpoints file cannot be used; the message says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host.

    Attributes:
        addresses: IPv4 loopback addresses, for A answers and health checks.
        aaaa: IPv6 loopback addresses, for AAAA answers.
        port: Where the host really listens; None keeps the port a health check asks for.
    """

    addresses: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    port: int | None = None

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
            EndpointsError: The text is not an object of the documented shape, or an address
                is not a loopback address.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise EndpointsError(f"the endpoints file is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise EndpointsError(
                f"the endpoints file must hold an object, got {type(data).__name__}"
            )
        return cls({canonical_name(name): _endpoint(name, value) for name, value in data.items()})

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
        except EndpointsError as error:
            self.error = str(error)
            return False
        changed = loaded != self.current
        self.current, self.error, self._seen = loaded, None, seen
        return changed


def loopback_or_reason(address: str) -> str | None:
    """Give None for a loopback address, else the reason to refuse it."""
    try:
        return None if ip_address(address).is_loopback else f"{address} is not a loopback address"
    except ValueError:
        return f"{address!r} is not an IP address"


def _endpoint(name: str, value: Any) -> Endpoint:
    if not isinstance(value, dict):
        raise EndpointsError(f"{name}: expected an object with addresses, got {value!r}")
    port = value.get("port")
    if port is not None and (not isinstance(port, int) or not 0 < port < 65536):
        raise EndpointsError(f"{name}: port must be 1-65535, got {port!r}")
    return Endpoint(
        _addresses(name, value, "addresses", 4), _addresses(name, value, "aaaa", 6), port
    )


def _addresses(name: str, value: Mapping[str, Any], key: str, version: int) -> tuple[str, ...]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise EndpointsError(f"{name}: {key} must be a list of strings, got {found!r}")
    for address in found:
        if reason := loopback_or_reason(address):
            raise EndpointsError(f"{name}: {key}: {reason}; only loopback is allowed")
        if ip_address(address).version != version:
            raise EndpointsError(f"{name}: {key} must hold IPv{version}, got {address}")
    return tuple(found)
