"""How a customer finds the API: a resolver that caches, and which Region an address belongs to."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import dns.exception
import dns.resolver

from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.http_client import DnsAnswer

REFRESH_SECONDS = 10.0


class CachingResolver:
    """A stub resolver: answers are used until their time to live is over, failures are not cached.

    Args:
        resolve: Asks the zone's name servers.
        clock: Gives seconds that only ever rise.

    Source: https://www.rfc-editor.org/rfc/rfc1035#section-3.2.1
    """

    def __init__(
        self,
        resolve: Callable[[str], DnsAnswer],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._cached: dict[str, tuple[float, DnsAnswer]] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str) -> DnsAnswer:
        """Resolve a name, by the cache if it knows it.

        Nobody waits for the look-up of somebody else, which may take until a time-out.

        Args:
            name: Fully qualified name.
        """
        begun = self._clock()
        asked, answer = self._cached.get(name, (begun, DnsAnswer()))
        if answer.addresses and begun < asked + answer.ttl_seconds:
            return answer
        answer = self._resolve(name)
        with self._lock:
            # One that was asked for earlier may arrive later, and is older.
            if answer.addresses and begun >= self._cached.get(name, (begun, answer))[0]:
                self._cached[name] = (begun, answer)
        return answer


class RegionMap:
    """Which Region an address belongs to.

    A publisher signs for the Region that it calls and has to know it before it gets a response. The
    target host names of the Regions say so; their addresses change on AWS, so that every response,
    which names its Region, is learned from, too.

    Args:
        targets: Gives `{address: Region}` of the target host names as they resolve now.
        clock: Gives seconds that only ever rise.
    """

    def __init__(
        self,
        targets: Callable[[], Mapping[str, str]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._targets = targets
        self._clock = clock
        self._known: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._lock = threading.Lock()

    def learn(self, address: str, region: str | None) -> None:
        """Learn from a response.

        Args:
            address: Where it came from.
            region: The Region it named; None is no news.
        """
        if address and region:
            with self._lock:
                self._known[address] = region

    def region_of(self, address: str) -> str | None:
        """The Region of an address, None if unknown.

        Args:
            address: An IP address.
        """
        with self._lock:
            now = self._clock()
            is_due = address not in self._known and now >= self._asked_at + REFRESH_SECONDS
            if is_due:
                self._asked_at = now
        if is_due:
            targets = self._targets()
            with self._lock:
                self._known = {**targets, **self._known}
        return self._known.get(address)


def addresses_next_to(environment: Environment, regions: Sequence[str]) -> dict[str, str]:
    """Find the addresses of customers next to Regions: those of the Regions' own endpoints.

    Args:
        environment: The environment.
        regions: The Regions; empty for customers whose place does not matter.

    Returns:
        `{Region or empty: address}`; the address is empty for an empty one.

    Raises:
        OpsError: The address of a Region is not known on this machine.
    """
    known = {region: address for address, region in target_addresses(environment).items()}
    if missing := [region for region in regions if region and region not in known]:
        hosts = ", ".join(environment.outputs.domain_targets[region] for region in missing)
        raise OpsError(
            f"customers next to {' and '.join(missing)} cannot be played: {hosts} does not resolve "
            "on this machine",
            next_step="check this machine's resolver",
            exit_code=ExitCode.PREREQUISITE,
        )
    return {region: known.get(region, "") for region in regions}


def target_addresses(environment: Environment) -> dict[str, str]:
    """Resolve the Regions' target host names.

    Args:
        environment: The environment.

    Returns:
        `{address: Region}`; on AWS by this machine's resolver, for they are not in the zone.
    """
    found = {}
    for region, host in environment.outputs.domain_targets.items():
        if host in environment.network.hosts:
            found[environment.network.hosts[host][0]] = region
            continue
        try:
            answer = dns.resolver.resolve(host, "A", lifetime=3)
        except (dns.exception.DNSException, OSError):
            continue
        found |= {record.address: region for record in answer}
    return found
