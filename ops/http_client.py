"""An HTTP client that resolves names with the zone's own servers, and never reuses connections.

A customer's resolver may cache and a customer's client may keep connections; this one does neither,
so that the result shows the current state of DNS and of the Regions.
"""

import ipaddress
import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ops.errors import OpsError
from ops.name_servers import DnsAnswer as DnsAnswer
from ops.name_servers import NameServers, ask_system, servers_of

HTTPS_PORT = 443
CONNECT_TIMEOUT_SECONDS = 3.0
REQUEST_TIMEOUT_SECONDS = 5.0
_NO_WAY = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
)
"""What fails before a request is sent."""


@dataclass(frozen=True)
class Response:
    """The result of one request.

    Attributes:
        status: HTTP status; None without a response.
        region: Region that served it, as its header says; None without.
        body: The body, decoded.
        error: Why there is no response; empty if there is one.
        address: Address that was called.
        seconds: From the name's look-up to the end of the response.
        headers: Response headers, names in lower case.
        unreachable: Whether no connection came about; nothing follows about who would respond.
    """

    status: int | None
    region: str | None = None
    body: str = ""
    error: str = ""
    address: str = ""
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    unreachable: bool = False

    @property
    def ok(self) -> bool:
        """Whether the request succeeded (2xx)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.body)

    @property
    def summary(self) -> str:
        """The status, or why there is none."""
        return str(self.status) if self.status is not None else f"no response ({self.error})"


@dataclass(frozen=True)
class Network:
    """How names resolve, and which certificates are trusted.

    Attributes:
        dns_servers: `(address, port)` of the zone's name servers, asked in turn; None for
            `name_servers` on port 53.
        zone_name: The zone that those servers answer for; other names are left to the system.
        name_servers: Host names of the zone's name servers.
        hosts: `{host name: (address, port)}` of Region endpoints that public DNS does not know:
            those of a sandbox. Empty on AWS.
        https_port: Port of HTTPS behind the domain name.
        ca_file: Certificates to trust; None for the system's.
        ipv6: Whether the Regions have IPv6 addresses.
    """

    dns_servers: tuple[tuple[str, int], ...] | None
    zone_name: str
    name_servers: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    https_port: int = HTTPS_PORT
    ca_file: Path | None = None
    ipv6: bool = True

    @cached_property
    def _name_servers(self) -> NameServers:
        if self.dns_servers is not None:
            # A sandbox's: nobody else knows its names.
            given = self.dns_servers
            return NameServers(lambda: given)
        return NameServers(cache(partial(servers_of, self.name_servers)), ask_system)

    def resolve(self, name: str, kind: str = "A", client: str = "") -> DnsAnswer:
        """Ask the zone's servers, and if none of them knows, this machine's resolver.

        Args:
            name: Fully qualified name.
            kind: `A` or `AAAA`.
            client: Address of the customer for whom they are asked; empty for this machine's.

        Returns:
            The answer of the first who knows.
        """
        return self._name_servers.resolve(name, kind, client)

    def address_of(self, host: str) -> tuple[str, int]:
        """Find the address of a host name of AWS, which the zone's servers do not know.

        Args:
            host: A Region's own host name, or the target of its domain.

        Returns:
            IPv4 address and port: those of `hosts`, or what the system's resolver says.

        Raises:
            OSError: The name does not resolve.
        """
        if host in self.hosts:
            return self.hosts[host]
        answer = ask_system(host)
        if answer.addresses:
            return answer.addresses[0], self.https_port
        if proxy_for(host):
            # It resolves names itself, where this machine may not.
            return host, self.https_port
        raise OSError(f"{host} does not resolve: {answer.error}")

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Settings of TLS connections: they trust `ca_file`.

        Raises:
            OpsError: The file cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as error:
            raise OpsError(
                f"the certificates in {self.ca_file} cannot be read: {error.strerror}",
                next_step="for a sandbox: python -m sandbox up",
            ) from error

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        address: str | None = None,
    ) -> Response:
        """Send one request over a new connection.

        Args:
            method: HTTP method.
            url: The URL; its host is resolved by `hosts`, else by the zone's servers.
            headers: Request headers.
            body: Request body.
            timeout_seconds: Longest wait for the connection, and for the response.
            address: Address to call instead of the one that the name resolves to.

        Returns:
            Its result; a failure is one, too.
        """
        begun = time.monotonic()
        parts = urlsplit(url)
        host = parts.hostname or ""
        port, error = parts.port or self.https_port, ""
        if address is None:
            address, port, error = self._locate(host, port)
        if error:
            response = Response(None, error=error, unreachable=True)
        else:
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            sent = {**(headers or {}), "Host": host}
            with self._pool(host, address, port, timeout_seconds) as pool:
                try:
                    received = pool.urlopen(method, path, headers=sent, body=body)
                    response = Response(
                        received.status,
                        region=received.headers.get("X-Served-By-Region"),
                        body=received.data.decode(errors="replace"),
                        headers={name.lower(): value for name, value in received.headers.items()},
                    )
                except urllib3.exceptions.HTTPError as failure:
                    response = Response(
                        None, error=_in_words(failure), unreachable=isinstance(failure, _NO_WAY)
                    )
        return replace(response, address=address, seconds=time.monotonic() - begun)

    def _pool(
        self, host: str, address: str, port: int, timeout_seconds: float
    ) -> urllib3.HTTPSConnectionPool:
        options: dict[str, Any] = {
            "maxsize": 1,
            "ssl_context": self.tls,
            "server_hostname": host,
            "assert_hostname": host,
            "timeout": urllib3.Timeout(
                connect=min(timeout_seconds, CONNECT_TIMEOUT_SECONDS), read=timeout_seconds
            ),
            "retries": False,
        }
        proxy = None if host in self.hosts or is_loopback(address) else proxy_for(host)
        if proxy is None:
            return urllib3.HTTPSConnectionPool(address, port, **options)
        login = urlsplit(proxy)
        credentials = f"{login.username}:{login.password or ''}" if login.username else None
        manager = urllib3.ProxyManager(
            proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=credentials), **options
        )
        pool = manager.connection_from_host(address, port, "https")
        assert isinstance(pool, urllib3.HTTPSConnectionPool)
        return pool

    def _locate(self, host: str, port: int) -> tuple[str, int, str]:
        if host in self.hosts:
            address, port = self.hosts[host]
            return address, port, ""
        if not f".{host}".endswith(f".{self.zone_name}"):
            return host, port, ""
        answer = self.resolve(host)
        return (answer.addresses[0] if answer.addresses else ""), port, answer.error


def proxy_for(host: str) -> str | None:
    """URL of the proxy that this machine's variables name for HTTPS to a host; None without one.

    Args:
        host: Host name.
    """
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine.

    Args:
        address: An address or a host name.
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def signed_headers(
    method: str, url: str, *, region: str, credentials: Credentials, body: Any = None
) -> tuple[dict[str, str], bytes | None]:
    """Sign a request to an operation with IAM authorization.

    Args:
        method: HTTP method.
        url: The URL that is called; its host is part of the signature.
        region: Region whose API is called.
        credentials: Whose request it is.
        body: JSON value of the body; None for no body.

    Returns:
        Headers and encoded body, for `Network.request`.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """
    data = None if body is None else json.dumps(body).encode()
    request = AWSRequest(method, url, headers={"Content-Type": "application/json"}, data=data)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return dict(request.headers.items()), data


def _in_words(failure: Exception) -> str:
    cause = getattr(failure, "reason", None) or failure.__cause__ or failure
    return f"{type(cause).__name__}: {cause}"[:200]
