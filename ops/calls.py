"""How the tools reach the API: names resolved by the zone's own servers, fresh connections, TLS.

A customer's resolver may cache and a customer's client may keep connections; the tools do neither,
so that what they see is what DNS and the Regions answer now.
"""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HTTPS_PORT = 443
DNS_TIMEOUT_SECONDS = 2.0
REQUEST_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class DnsAnswer:
    """What a name server answered.

    Attributes:
        addresses: The addresses; empty where there is none.
        ttl_seconds: Time to live of the answer; 0 without one.
        error: Why there is no address, in words; empty if there is one.
    """

    addresses: tuple[str, ...] = ()
    ttl_seconds: int = 0
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        status: HTTP status; None if no answer came.
        region: Region that served it, as its header says; None without.
        body: The body, decoded.
        error: Why no answer came, in words; empty if one came.
        address: Address that was called.
        seconds: From the name's look-up to the end of the answer.
        headers: Response headers, names in lower case.
    """

    status: int | None
    region: str | None = None
    body: str = ""
    error: str = ""
    address: str = ""
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded (2xx)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True)
class Network:
    """Where names lead.

    Attributes:
        dns_servers: `(address, port)` of the zone's name servers, asked in turn.
        zone_name: The zone that those servers answer for; other names are left to the system.
        hosts: `{host name: (address, port)}` of Region endpoints that stand somewhere else than
            public DNS says: the local Regions. Empty on AWS.
        port: Port of HTTPS behind the domain name.
        ca_file: Certificates to trust; None for the system's.
    """

    dns_servers: tuple[tuple[str, int], ...]
    zone_name: str
    hosts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    port: int = HTTPS_PORT
    ca_file: Path | None = None

    def resolve(self, name: str, kind: str = "A") -> DnsAnswer:
        """Asks the zone's servers, without a cache.

        Args:
            name: Fully qualified name.
            kind: `A` or `AAAA`.

        Returns:
            The answer of the first server that gives one.
        """
        error = "no name server is known"
        for address, port in self.dns_servers:
            query = dns.message.make_query(name, kind)
            try:
                response, _ = dns.query.udp_with_fallback(
                    query, address, timeout=DNS_TIMEOUT_SECONDS, port=port
                )
            except (OSError, dns.exception.DNSException) as failure:
                error = (
                    f"{address} port {port} does not answer: {failure or type(failure).__name__}"
                )
                continue
            found = [
                (record.address, rrset.ttl)
                for rrset in response.answer
                if rrset.rdtype == dns.rdatatype.from_text(kind)
                for record in rrset
            ]
            if found:
                return DnsAnswer(tuple(a for a, _ in found), min(ttl for _, ttl in found))
            return DnsAnswer(error=f"{dns.rcode.to_text(response.rcode())}, no {kind} record")
        return DnsAnswer(error=error)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        address: str | None = None,
    ) -> Answer:
        """Sends one request over a new connection; failures are answers, too.

        Args:
            method: HTTP method.
            url: The URL; its host is resolved by `hosts`, else by the zone's servers.
            headers: Request headers.
            body: Request body.
            timeout_seconds: Longest wait for the connection, and for the answer.
            address: Address to call instead of the one that the name resolves to.

        Returns:
            What became of it.
        """
        begun = time.monotonic()
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or self.port
        if address is None:
            address, port, error = self._locate(host, port)
            if error:
                return Answer(None, error=error, seconds=time.monotonic() - begun)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        pool = urllib3.HTTPSConnectionPool(
            address,
            port,
            maxsize=1,
            ssl_context=self._tls(),
            server_hostname=host,
            assert_hostname=host,
            timeout=timeout_seconds,
            retries=False,
        )
        try:
            response = pool.request(
                method, path, headers={**(headers or {}), "Host": host}, body=body
            )
        except urllib3.exceptions.HTTPError as failure:
            return Answer(
                None,
                error=_in_words(failure),
                address=address,
                seconds=time.monotonic() - begun,
            )
        finally:
            pool.close()
        return Answer(
            response.status,
            region=response.headers.get("X-Served-By-Region"),
            body=response.data.decode(errors="replace"),
            address=address,
            seconds=time.monotonic() - begun,
            headers={name.lower(): value for name, value in response.headers.items()},
        )

    def _locate(self, host: str, port: int) -> tuple[str, int, str]:
        if host in self.hosts:
            address, port = self.hosts[host]
            return address, port, ""
        if not f".{host}".endswith(f".{self.zone_name}"):
            return host, port, ""
        answer = self.resolve(host)
        return (answer.addresses[0] if answer.addresses else ""), port, answer.error

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)


def signed_headers(
    method: str, url: str, *, region: str, credentials: Credentials, body: Any = None
) -> tuple[dict[str, str], bytes | None]:
    """Signs a request to an operation with IAM authorization.

    Args:
        method: HTTP method.
        url: The URL that is called; its host is part of the signature.
        region: Region whose API will answer.
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
