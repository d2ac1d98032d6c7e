"""DNS: asks the zone's own servers, and this machine's resolver where they cannot be asked.

A customer's resolver may cache; a zone's own server does not. Where UDP port 53 is closed, what
this machine's resolver says is better than nothing, and the answer names where it came from.
"""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from functools import partial

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from ops.deadline import started, within

DNS_PORT = 53
DNS_TIMEOUT_SECONDS = 2.0
SYSTEM_TIMEOUT_SECONDS = 3.0
ADDRESS_BITS = 32
"""Of a customer's IPv4 address, all are sent: it is of a Region, not of a person."""
SILENCE_SECONDS = 30.0
"""So long, servers that have not answered are not asked again, if there is somebody else to ask."""
SYSTEM = "this machine's resolver, which may cache"
_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}

Server = tuple[str, int]


class SilentServerError(Exception):
    """A server does not answer."""


@dataclass(frozen=True)
class DnsAnswer:
    """An answer to a question of DNS.

    Attributes:
        addresses: The addresses; may be empty.
        ttl_seconds: Time to live of the answer; 0 without one, or if it is unknown.
        error: Why there is no address; empty if there is one.
        source: Where it comes from, if not from a server of the zone.
        is_known: Whether somebody who knows has answered: if not, nothing follows from it.
        target: Host name outside of the zone that a CNAME record points to; empty for none. The
            time to live is that of the record.
    """

    addresses: tuple[str, ...] = ()
    ttl_seconds: int = 0
    error: str = ""
    source: str = ""
    is_known: bool = True
    target: str = ""


@dataclass
class NameServers:
    """The servers of a zone.

    Attributes:
        find: Gives `(address, port)` of the servers, in the order in which they are asked.
        ask_system: Asks this machine's resolver when none of them answers; None to ask nobody.
        clock: Gives seconds that only ever rise.
    """

    find: Callable[[], Sequence[Server]]
    ask_system: Callable[[str, str], DnsAnswer] | None = None
    clock: Callable[[], float] = time.monotonic
    _silent_until: float = field(default=float("-inf"), init=False)

    def resolve(self, name: str, kind: str, client: str = "") -> DnsAnswer:
        """Ask the first server, then all others, then this machine's resolver.

        Args:
            name: Fully qualified name.
            kind: `A` or `AAAA`.
            client: Address of the customer for whom it is asked; empty for this machine's, which
                is all that its resolver can ask for.

        Returns:
            The answer of the first who knows. The addresses of a host outside of the zone that a
            CNAME record points to are those that this machine's resolver gives.
        """
        if self.ask_system is None:
            return self._followed(self._ask_servers(name, kind, client), kind)
        errors = []
        if self.clock() >= self._silent_until:
            answer = self._ask_servers(name, kind, client)
            if answer.is_known:
                return self._followed(answer, kind)
            errors.append(answer.error)
        if client:
            errors.append(f"{SYSTEM}, cannot ask for a customer at {client}")
            return DnsAnswer(error="; ".join(errors), is_known=False)
        found = self.ask_system(name, kind)
        if found.is_known:
            return found
        return DnsAnswer(error="; ".join([*errors, found.error]), is_known=False)

    def _followed(self, answer: DnsAnswer, kind: str) -> DnsAnswer:
        if not answer.target:
            return answer
        # The servers of a sandbox resolve the endpoints' host names, too.
        resolve = self.ask_system or partial(self._ask_servers, recursion_desired=True)
        found = resolve(answer.target, kind)
        error = f"{answer.target}: {found.error}" if found.error else ""
        return replace(answer, addresses=found.addresses, error=error, is_known=found.is_known)

    def _ask_servers(
        self, name: str, kind: str, client: str = "", *, recursion_desired: bool = False
    ) -> DnsAnswer:
        servers = self.find()
        answer, error = None, "no name server is known"
        for group in (servers[:1], servers[1:]):
            asked = [
                started(partial(ask, server, name, kind, client, recursion_desired))
                for server in group
            ]
            for future in as_completed(asked):
                try:
                    answer = future.result()
                except SilentServerError as silent:
                    error = str(silent)
                    continue
                if answer.is_known:
                    return answer
        if answer is None:
            self._silent_until = self.clock() + SILENCE_SECONDS
        return answer or DnsAnswer(error=error, is_known=False)


def ask(
    server: Server, name: str, kind: str, client: str = "", recursion_desired: bool = False
) -> DnsAnswer:
    """Ask one server, without a cache.

    Args:
        server: Its address and port.
        name: Fully qualified name.
        kind: `A` or `AAAA`.
        client: Address of the customer for whom it is asked; empty for this machine's. Route 53
            answers by it, as for a resolver that sends its customers' subnets.
        recursion_desired: Ask it as a resolver, not as a server of its own zones.

    Raises:
        SilentServerError: It does not answer in time.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-edns0.html
    """
    address, port = server
    options: list[dns.edns.Option] = [dns.edns.ECSOption(client, ADDRESS_BITS)] if client else []
    flags = dns.flags.RD if recursion_desired else 0
    query = dns.message.make_query(name, kind, flags=flags, options=options or None)
    try:
        response, _ = dns.query.udp_with_fallback(
            query, address, timeout=DNS_TIMEOUT_SECONDS, port=port
        )
    except (OSError, dns.exception.DNSException) as failure:
        reason = failure or type(failure).__name__
        raise SilentServerError(f"{address} port {port} does not answer: {reason}") from failure
    found = [
        (record.address, rrset.ttl)
        for rrset in response.answer
        if rrset.rdtype == dns.rdatatype.from_text(kind)
        for record in rrset
    ]
    if found:
        return DnsAnswer(tuple(a for a, _ in found), min(ttl for _, ttl in found))
    if aliases := [rrset for rrset in response.answer if rrset.rdtype == dns.rdatatype.CNAME]:
        target = aliases[-1][0].target.to_text(omit_final_dot=True)
        return DnsAnswer(ttl_seconds=min(rrset.ttl for rrset in aliases), target=target)
    code = response.rcode()
    return DnsAnswer(
        error=f"{dns.rcode.to_text(code)}, no {kind} record",
        # A server that fails or refuses does not know; another one may.
        is_known=code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN),
    )


def ask_system(name: str, kind: str = "A") -> DnsAnswer:
    """Ask this machine's resolver.

    Args:
        name: A host name.
        kind: `A` or `AAAA`.
    """
    look_up = partial(socket.getaddrinfo, name, None, _FAMILIES[kind], socket.SOCK_STREAM)
    try:
        found = within(SYSTEM_TIMEOUT_SECONDS, look_up)
    except OSError as error:
        return DnsAnswer(error=f"{SYSTEM}: {error}", is_known=False)
    return DnsAnswer(tuple(dict.fromkeys(str(each[4][0]) for each in found)), source=SYSTEM)


def servers_of(host_names: Iterable[str]) -> tuple[Server, ...]:
    """Look up name servers by this machine's resolver, all at once.

    Args:
        host_names: Their host names.

    Returns:
        Addresses and ports of those that were found.
    """
    looked_up = [started(partial(ask_system, name)) for name in host_names]
    return tuple(
        (address, DNS_PORT) for future in looked_up for address in future.result().addresses
    )
