"""What Route 53 answers to one DNS question: pure, given zones, health and endpoints.

Finds the zone and the name, follows aliases and CNAMEs inside the zone, and leaves the choice
among records to `routing`.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSBehavior.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sandbox.route53.endpoints import Endpoint
from sandbox.route53.model import RecordSet, Zone
from sandbox.route53.record_names import canonical_name
from sandbox.route53.routing import Router, UnsupportedRoutingError

ALIAS_TTL_SECONDS = 60
"""TTL of an answer whose alias points to an AWS resource.

Source: https://aws.amazon.com/route53/faqs/
"""

LONGEST_CHAIN = 10

Code = Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"]


@dataclass(frozen=True, slots=True)
class Records:
    """DNS records of one owner and type."""

    name: str
    type: str
    ttl_seconds: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A DNS answer before it is put on the wire.

    Attributes:
        code: The response code.
        records: The answer section, in the order in which the names were followed.
        authority: NS of the zone on success, SOA where something does not exist, NS of the
            delegated zone in a referral.
        authoritative: False for refusals and referrals.
        chosen: The record sets that the answer came from, aliases first.
        endpoint: The host name of the AWS resource behind the last alias or CNAME, if any.
        reason: Why a `SERVFAIL` is one.
    """

    code: Code
    records: tuple[Records, ...] = ()
    authority: tuple[Records, ...] = ()
    authoritative: bool = True
    chosen: tuple[RecordSet, ...] = ()
    endpoint: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Answerer:
    """Answers questions from one state of the world.

    Attributes:
        zones: The hosted zones; the longest matching name wins.
        is_healthy: Status of a health check by id.
        endpoint: Addresses of an AWS resource by host name, None when unknown.
        chance: The random source for weighted and multivalue records.
    """

    zones: Sequence[Zone]
    is_healthy: Callable[[str], bool]
    endpoint: Callable[[str], Endpoint | None]
    chance: random.Random = field(default_factory=random.Random)

    def answer(self, name: str, kind: str, client_region: str) -> Answer:
        """Answer one question.

        Args:
            name: The name asked for, in any spelling.
            kind: The type asked for, e.g. `AAAA`.
            client_region: The AWS Region nearest to the client, for latency records.

        Returns:
            `REFUSED` outside the zones; `SERVFAIL` where a record needs what is not known here
            (an unsupported routing policy, a host that no endpoint is known for); `NXDOMAIN` or
            an empty `NOERROR` with the SOA where nothing is; else the records.
        """
        asked = canonical_name(name)
        zone = max(
            (zone for zone in self.zones if zone.holds(asked)),
            key=lambda zone: len(zone.name),
            default=None,
        )
        if zone is None:
            return Answer("REFUSED", authoritative=False)
        try:
            return _Search(self, zone, kind, client_region).run(asked)
        except (UnsupportedRoutingError, _UnknownError) as error:
            return Answer("SERVFAIL", reason=str(error))

    def resolve(self, name: str, kind: str, client_region: str) -> Answer:
        """Answer one question as a customer's resolver would, which asks other zones, too.

        Route 53 answers for the hosted zones only: a CNAME record that points to an endpoint of AWS
        is its whole answer. A resolver then asks AWS's own zones for the endpoint's addresses.

        Args:
            name: The name asked for, in any spelling.
            kind: The type asked for.
            client_region: The AWS Region nearest to the client, for latency records.

        Returns:
            What `answer` gives, with the addresses of the endpoint that it ends at.
        """
        answer = self.answer(name, kind, client_region)
        if answer.code == "REFUSED":
            host = canonical_name(name)
        elif answer.records and answer.records[-1].type == "CNAME" != kind:
            host = canonical_name(answer.records[-1].values[0])
        else:
            return answer
        if (found := self.endpoint(host)) is None:
            return answer
        values = found.of_type(kind)
        addresses = (Records(host, kind, ALIAS_TTL_SECONDS, values),) if values else ()
        return replace(
            answer, code="NOERROR", records=(*answer.records, *addresses), authoritative=False
        )


class _UnknownError(LookupError):
    """The answer depends on a host that the endpoints map does not know."""


@dataclass
class _Search:
    """The way from a question to its answer in one zone."""

    world: Answerer
    zone: Zone
    kind: str
    client_region: str
    records: list[Records] = field(default_factory=list)
    chosen: list[RecordSet] = field(default_factory=list)
    endpoint: str | None = None

    def run(self, asked: str) -> Answer:
        """Follow CNAMEs from the name asked for until an answer or an end is reached."""
        router = Router(self.zone, self.world.is_healthy)
        name = asked
        for _ in range(LONGEST_CHAIN):
            if referral := self._referral(name):
                return referral
            owner = _owner(self.zone, name)
            if owner is None:
                return self._nothing("NXDOMAIN")
            wanted = self.zone.group(owner, self.kind)
            before = len(self.records)
            if group := wanted or self.zone.group(owner, "CNAME"):
                self._take(router, name, group)
            if len(self.records) == before:
                return self._nothing("NOERROR")
            if wanted:
                return self._success()
            name = canonical_name(self.records[-1].values[0])
            if not self.zone.holds(name):
                self.endpoint = name if self.world.endpoint(name) else None
                return self._success()
        return Answer("SERVFAIL", reason=f"more than {LONGEST_CHAIN} CNAME records in a row")

    def _take(self, router: Router, name: str, group: tuple[RecordSet, ...]) -> None:
        """Add the records a group answers with, through aliases.

        An alias to an AWS resource answers with the resource's addresses and a fixed TTL; an
        alias to a record of the zone answers as that record would, with that record's TTL. No way
        through more groups than the zone has comes to an end.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html
        """
        for _ in self.zone.groups:
            picked = router.choose(group, self.client_region, self.world.chance)
            self.chosen.extend(picked)
            kind, alias = picked[0].type, picked[0].alias
            if alias is None:
                values = tuple(value for record in picked for value in record.values)
                ttl = min(record.ttl_seconds or 0 for record in picked)
                self.records.append(Records(name, kind, ttl, values))
                return
            if alias.hosted_zone_id != self.zone.id:
                found = self.world.endpoint(alias.dns_name)
                if found is None:
                    raise _UnknownError(f"no endpoint is known for {alias.dns_name}")
                self.endpoint = alias.dns_name
                if values := found.of_type(kind):
                    self.records.append(Records(name, kind, ALIAS_TTL_SECONDS, values))
                return
            owner = _owner(self.zone, alias.dns_name)
            group = self.zone.group(owner, kind) if owner else ()
            if not group:
                return
        raise _UnknownError(f"the aliases from {name} are a circle")

    def _success(self) -> Answer:
        """Add the zone's name servers to an answer.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSBehavior.html
        """
        servers = self.zone.group(self.zone.name, "NS")
        asked_for_them = any(r.type == "NS" and r.name == self.zone.name for r in self.records)
        authority = () if asked_for_them else tuple(_stored(record) for record in servers[:1])
        return self._answer("NOERROR", authority)

    def _nothing(self, code: Code) -> Answer:
        """Answer with the SOA, whose TTL limits how long the absence is remembered.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
        """
        start = self.zone.group(self.zone.name, "SOA")
        return self._answer(code, tuple(_negative(record) for record in start))

    def _answer(self, code: Code, authority: tuple[Records, ...]) -> Answer:
        return Answer(
            code,
            tuple(self.records),
            authority,
            chosen=tuple(self.chosen),
            endpoint=self.endpoint,
        )

    def _referral(self, name: str) -> Answer | None:
        """Refer to the name servers of a delegated subdomain at or above the name."""
        while name != self.zone.name:
            servers = self.zone.group(name, "NS")
            if servers and not name.startswith("*."):
                authority = (_stored(servers[0]),)
                return Answer("NOERROR", tuple(self.records), authority, authoritative=False)
            name = name.partition(".")[2]
        return None


def _owner(zone: Zone, name: str) -> str | None:
    """Give the name whose records answer for a name: itself, or the wildcard that covers it.

    A wildcard covers names that do not exist, at its own level and below, as far down from the
    closest name that does exist.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
    Source: https://www.rfc-editor.org/rfc/rfc4592
    """
    if name in zone.names:
        return name
    closest = name
    while closest not in zone.names:
        closest = closest.partition(".")[2]
    wildcard = "*." + closest
    return wildcard if wildcard in zone.owners else None


def _stored(record: RecordSet) -> Records:
    return Records(record.name, record.type, record.ttl_seconds or 0, record.values)


def _negative(record: RecordSet) -> Records:
    minimum = int(record.values[0].split()[-1])
    return Records(record.name, "SOA", min(record.ttl_seconds or 0, minimum), record.values)
