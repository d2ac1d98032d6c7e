"""Answers as DNS messages: from the bytes of a query to the bytes of its response.

dnspython does the wire format: it is typed, maintained, follows the RFCs closely and fails with
its own exceptions on malformed input.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSBehavior.html
Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-edns0.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from sandbox.route53.answers import Answer, Records

PLAIN_UDP_BYTES = 512
EDNS_UDP_BYTES = 4096
"""Largest UDP responses without and with EDNS0.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSBehavior.html
"""

HEADER_BYTES = 12

Resolve = Callable[[str, str, str, bool], Answer]
"""(name, type, address of the client's subnet or "", whether recursion is desired) -> answer."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a response holds beside the question."""

    code: dns.rcode.Rcode
    records: tuple[Records, ...] = ()
    authority: tuple[Records, ...] = ()
    authoritative: bool = False


def respond(query: bytes, *, over_udp: bool, resolve: Resolve) -> bytes | None:
    """Answer one message, whatever it holds.

    Args:
        query: The bytes as received.
        over_udp: Whether the size of the response is limited.
        resolve: Gives the answer to a well-formed question.

    Returns:
        The response; None for what must not be answered (too short to have a header, or itself
        a response).
    """
    if len(query) < HEADER_BYTES or query[2] & 0x80:
        return None
    opcode = query[2] >> 3 & 0xF
    if opcode != dns.opcode.QUERY:
        return _bare(query, dns.rcode.NOTIMP)
    try:
        message = _parsed(query[2:])
    except Exception:
        return _bare(query, dns.rcode.FORMERR)
    try:
        content = _content(message, resolve)
        return query[:2] + _rendered(query[2:], over_udp, content)
    except Exception:
        return _bare(query, dns.rcode.SERVFAIL)


@lru_cache(maxsize=4096)
def _parsed(query_after_id: bytes) -> dns.message.Message:
    """Parse a query once, whatever its identifier; the message is only read afterwards."""
    return dns.message.from_wire(b"\0\0" + query_after_id)


def _content(query: dns.message.Message, resolve: Resolve) -> _Content:
    """Decide what the response to a query holds."""
    if len(query.question) != 1:
        return _Content(dns.rcode.FORMERR)
    if query.edns > 0:
        return _Content(dns.rcode.BADVERS)
    question = query.question[0]
    transfer = question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
    if question.rdclass != dns.rdataclass.IN or transfer:
        return _Content(dns.rcode.REFUSED)
    if question.rdtype == dns.rdatatype.ANY:
        return _Content(dns.rcode.NOTIMP)
    answer = resolve(
        question.name.to_text(),
        dns.rdatatype.to_text(question.rdtype),
        next((subnet.address for subnet in _client_subnets(query)), ""),
        bool(query.flags & dns.flags.RD),
    )
    code = dns.rcode.from_text(answer.code)
    return _Content(code, answer.records, answer.authority, answer.authoritative)


@lru_cache(maxsize=4096)
def _rendered(query_after_id: bytes, over_udp: bool, content: _Content) -> bytes:
    """Render a response without its identifier; equal answers to equal queries are kept."""
    query = _parsed(query_after_id)
    response = dns.message.make_response(query, our_payload=EDNS_UDP_BYTES)
    if subnets := _client_subnets(query):
        response.use_edns(payload=EDNS_UDP_BYTES, options=[*map(_in_scope, subnets)])
    response.set_rcode(content.code)
    if content.authoritative:
        response.flags |= dns.flags.AA
    response.answer = [_rrset(records) for records in content.records]
    response.authority = [_rrset(records) for records in content.authority]
    return _fit(response, _room(query, over_udp))[2:]


def _client_subnets(query: dns.message.Message) -> list[dns.edns.ECSOption]:
    """Give the client subnet of a query (RFC 7871): one, or none."""
    return [each for each in query.options if isinstance(each, dns.edns.ECSOption)][:1]


def _in_scope(subnet: dns.edns.ECSOption) -> dns.edns.ECSOption:
    """Say that an answer is for the whole subnet, and for no larger one."""
    return dns.edns.ECSOption(subnet.address, subnet.srclen, subnet.srclen)


def _room(query: dns.message.Message, over_udp: bool) -> int:
    if not over_udp:
        return 65_535
    if query.edns < 0:
        return PLAIN_UDP_BYTES
    return min(max(query.payload, PLAIN_UDP_BYTES), EDNS_UDP_BYTES)


def _fit(response: dns.message.Message, room: int) -> bytes:
    """Render within a size: first without the optional name servers, then truncated."""
    try:
        return response.to_wire(max_size=room)
    except dns.exception.TooBig:
        if response.answer:
            response.authority = []
        return response.to_wire(max_size=room, prefer_truncation=True)


def _rrset(records: Records) -> dns.rrset.RRset:
    """Build records; compression makes their owner be spelt as in the question."""
    return dns.rrset.from_text(
        records.name, records.ttl_seconds, "IN", records.type, *records.values
    )


def _bare(query: bytes, code: dns.rcode.Rcode) -> bytes:
    """Answer with a header alone, for messages whose question cannot be used."""
    flags = bytes([0x80 | query[2] & 0x79, int(code) & 0x0F])
    return query[:2] + flags + bytes(8)


def shortened(answer: Answer, speed: float) -> Answer:
    """Divide the TTLs of an answer for a sped-up run.

    Args:
        answer: The answer at normal speed.
        speed: Factor, 1 or more; a TTL above zero stays at least 1.
    """
    if speed == 1:
        return answer
    return replace(
        answer,
        records=tuple(_sooner(records, speed) for records in answer.records),
        authority=tuple(_sooner(records, speed) for records in answer.authority),
    )


def _sooner(records: Records, speed: float) -> Records:
    ttl = records.ttl_seconds
    return replace(records, ttl_seconds=max(1, round(ttl / speed)) if ttl else 0)
