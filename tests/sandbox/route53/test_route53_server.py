"""Rules of the DNS server, over real UDP and TCP sockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import OpsError
from ops.name_servers import NameServers
from sandbox.route53.answers import Answer, Answerer, Records
from sandbox.route53.endpoints import Endpoint
from sandbox.route53.model import RecordSet, Zone
from sandbox.route53.server import DnsServer
from sandbox.route53.wire import respond, shortened

pytestmark = pytest.mark.unit

REGION = "d-1.execute-api.us-east-1.amazonaws.com."
SOA = "ns-1.test. hostmaster.test. 1 7200 900 1209600 86400"
MANY = tuple(f"192.0.2.{n}" for n in range(1, 61))
HUGE = tuple(f"198.51.{n // 200}.{n % 200}" for n in range(300))
ZONE = Zone(
    "Z",
    "example.com.",
    (
        RecordSet("example.com.", "SOA", ttl_seconds=900, values=(SOA,)),
        RecordSet("example.com.", "NS", ttl_seconds=9, values=("ns-1.test.", "ns-2.test.")),
        RecordSet("www.example.com.", "A", ttl_seconds=300, values=("192.0.2.1",)),
        RecordSet("many.example.com.", "A", ttl_seconds=300, values=MANY),
        RecordSet("huge.example.com.", "A", ttl_seconds=300, values=HUGE),
        RecordSet("note.example.com.", "TXT", ttl_seconds=5, values=('"one" "two"',)),
        RecordSet("mail.example.com.", "MX", ttl_seconds=5, values=("10 mx.test.",)),
        RecordSet("api.example.com.", "CNAME", ttl_seconds=10, values=(REGION,)),
        RecordSet("broken.example.com.", "A", ttl_seconds=5, values=("not an address",)),
    ),
)
ENDPOINTS = {REGION: Endpoint(("127.0.1.1",))}
ANSWERER = Answerer([ZONE], lambda _: True, ENDPOINTS.get)


def resolve(name: str, kind: str, _: str, recursion_desired: bool) -> Answer:
    answer = ANSWERER.resolve if recursion_desired else ANSWERER.answer
    return answer(name, kind, "us-east-1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server in a thread of its own."""
    started, ports, loop = threading.Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        server = DnsServer(resolve)
        await server.start("127.0.0.1", 0)
        ports.append(server.port)
        started.set()
        await stop.wait()
        await server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    started.wait(5)
    yield ports[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def udp(port: int, query: dns.message.Message) -> dns.message.Message:
    return dns.query.udp(query, "127.0.0.1", timeout=2, port=port)


def query(name: str, kind: str = "A", **options: object) -> dns.message.Message:
    return dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]


def test_an_answer_is_authoritative_and_carries_the_zones_name_servers(port: int) -> None:
    response = udp(port, query("www.example.com"))
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.RA
    assert [str(rrset) for rrset in response.answer] == ["www.example.com. 300 IN A 192.0.2.1"]
    assert response.authority[0].rdtype == dns.rdatatype.NS


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_a_name_server_answers_a_cname_and_a_resolver_the_addresses_that_there_are(
    port: int, kind: str
) -> None:
    server = udp(port, query("api.example.com", kind, flags=0))
    resolver = udp(port, query("api.example.com", kind))

    cname = f"api.example.com. 10 IN CNAME {REGION}"
    assert [str(rrset) for rrset in server.answer] == [cname]
    addresses = [f"{REGION} 60 IN A 127.0.1.1"] if kind == "A" else []
    assert [str(rrset) for rrset in resolver.answer] == [cname, *addresses]


def test_the_operators_tool_follows_a_cname_and_keeps_its_time_to_live(port: int) -> None:
    answer = NameServers(lambda: [("127.0.0.1", port)]).resolve("api.example.com", "A")

    assert (answer.addresses, answer.ttl_seconds) == (("127.0.1.1",), 10)
    assert answer.target == REGION.rstrip(".")


def test_the_question_comes_back_spelt_as_it_was_asked(port: int) -> None:
    response = udp(port, query("wWw.eXample.Com"))
    assert response.question[0].name.to_text() == "wWw.eXample.Com."
    assert response.answer[0].name.to_text() == "wWw.eXample.Com."


@pytest.mark.parametrize(
    ("name", "kind", "code", "soa"),
    [
        ("absent.example.com", "A", dns.rcode.NXDOMAIN, True),
        ("www.example.com", "AAAA", dns.rcode.NOERROR, True),
        ("example.org", "A", dns.rcode.REFUSED, False),
    ],
)
def test_what_is_not_there_has_the_right_code_and_soa(
    port: int, name: str, kind: str, code: dns.rcode.Rcode, soa: bool
) -> None:
    response = udp(port, query(name, kind))
    assert (response.rcode(), response.answer) == (code, [])
    assert [r.rdtype for r in response.authority] == ([dns.rdatatype.SOA] if soa else [])
    assert bool(response.flags & dns.flags.AA) is soa


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("note.example.com", "TXT", '"one" "two"'),
        ("mail.example.com", "MX", "10 mx.test."),
        ("example.com", "SOA", SOA),
    ],
)
def test_values_are_answered_as_stored(port: int, name: str, kind: str, text: str) -> None:
    assert udp(port, query(name, kind)).answer[0][0].to_text() == text


@pytest.mark.parametrize(
    ("name", "payload", "truncated"),
    [
        ("many.example.com", None, True),
        ("many.example.com", 512, True),
        ("many.example.com", 1232, False),
        ("huge.example.com", 4096, True),
        ("huge.example.com", 65_000, True),
        ("www.example.com", None, False),
    ],
)
def test_a_response_that_does_not_fit_is_truncated_over_udp_and_whole_over_tcp(
    port: int, name: str, payload: int | None, truncated: bool
) -> None:
    asked = query(name, use_edns=0, payload=payload) if payload else query(name)
    response = udp(port, asked)
    assert bool(response.flags & dns.flags.TC) is truncated
    assert len(response.to_wire()) <= min(max(payload or 512, 512), 4096)
    whole = dns.query.tcp(asked, "127.0.0.1", timeout=2, port=port)
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == {"many": 60, "huge": 300, "www": 1}[name[:4].strip(".")]


def test_edns_is_answered_with_edns_and_an_unknown_version_is_refused(port: int) -> None:
    assert udp(port, query("www.example.com", use_edns=0)).edns == 0
    assert udp(port, query("www.example.com")).edns == -1
    assert udp(port, query("www.example.com", use_edns=1)).rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize(
    ("kind", "code"),
    [("ANY", dns.rcode.NOTIMP), ("AXFR", dns.rcode.REFUSED), ("IXFR", dns.rcode.REFUSED)],
)
def test_questions_about_more_than_one_type_are_declined(kind: str, code: dns.rcode.Rcode) -> None:
    wire = query("example.com", kind).to_wire()
    response = respond(wire, over_udp=True, resolve=resolve)
    assert response is not None
    assert dns.message.from_wire(response).rcode() == code


def test_a_value_that_cannot_be_put_on_the_wire_is_servfail(port: int) -> None:
    assert udp(port, query("broken.example.com")).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("opcode", [dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS])
def test_other_opcodes_are_not_implemented(port: int, opcode: dns.opcode.Opcode) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(struct.pack("!6H", 7, opcode << 11, 0, 0, 0, 0), ("127.0.0.1", port))
        identifier, flags = struct.unpack("!2H", client.recv(512)[:4])
    assert (identifier, flags & 0xF, flags >> 15) == (7, dns.rcode.NOTIMP, 1)


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack("!6H", 9, 0, 1, 0, 0, 0),
        struct.pack("!6H", 9, 0, 0, 0, 0, 0),
        struct.pack("!6H", 9, 0, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01",
        struct.pack("!6H", 9, 0, 1, 0, 0, 0) + b"\x3fshort",
        struct.pack("!6H", 9, 0, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2,
        query("www.example.com").to_wire() + b"trailing",
    ],
    ids=[
        "question missing",
        "no question",
        "pointer loop",
        "short label",
        "two questions",
        "trailing",
    ],
)
def test_a_malformed_message_is_a_format_error(wire: bytes) -> None:
    response = respond(wire, over_udp=True, resolve=resolve)
    assert response is not None
    assert response[:2] == wire[:2]
    assert response[3] & 0xF == dns.rcode.FORMERR


@pytest.mark.parametrize("wire", [b"", b"short", struct.pack("!6H", 9, 0x8000, 0, 0, 0, 0)])
def test_what_has_no_header_or_is_a_response_gets_no_answer(wire: bytes) -> None:
    assert respond(wire, over_udp=True, resolve=resolve) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_the_responder_fail(wire: bytes) -> None:
    response = respond(wire, over_udp=True, resolve=resolve)
    assert response is None or response[2] & 0x80


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_no_damaged_query_makes_the_responder_fail(seed: int, damage: int) -> None:
    chance = random.Random(seed)
    wire = bytearray(query("many.example.com", use_edns=0).to_wire())
    for _ in range(damage):
        wire[chance.randrange(len(wire))] = chance.randrange(256)
    response = respond(bytes(wire), over_udp=True, resolve=resolve)
    assert response is None or (response[:2] == wire[:2] and len(response) <= 4096)


def test_garbage_leaves_the_server_answering(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for size in range(40):
            client.sendto(bytes(size), ("127.0.0.1", port))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"\xff\xff half a message")
    assert udp(port, query("www.example.com")).answer


def test_one_tcp_connection_carries_many_queries(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
        for name in ("www.example.com", "many.example.com", "absent.example.com"):
            dns.query.send_tcp(client, query(name))
        codes = [dns.query.receive_tcp(client)[0].rcode() for _ in range(3)]
    assert codes == [dns.rcode.NOERROR, dns.rcode.NOERROR, dns.rcode.NXDOMAIN]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE"])
def test_a_web_page_gets_nothing_and_keeps_no_connection_open(port: int, method: bytes) -> None:
    """The first two letters are the length of a DNS message that nobody sends."""
    query = dns.message.make_query("www.example.com", "A").to_wire()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as page:
        page.sendall(method + b" / HTTP/1.1\r\n\r\n" + len(query).to_bytes(2) + query)

        with contextlib.suppress(ConnectionResetError):
            assert page.recv(1000) == b""


def test_a_taken_port_is_named(port: int) -> None:
    with pytest.raises(OpsError, match=f"127.0.0.1:{port} cannot be used"):
        asyncio.run(DnsServer(resolve).start("127.0.0.1", port))


@pytest.mark.parametrize(
    ("ttl", "speed", "expected"), [(60, 1, 60), (60, 10, 6), (60, 100, 1), (0, 10, 0), (1, 5, 1)]
)
def test_ttls_shrink_with_the_speed_but_not_below_one(
    ttl: int, speed: float, expected: int
) -> None:
    records = (Records("a.", "A", ttl, ("192.0.2.1",)),)
    answer = shortened(Answer("NOERROR", records, records), speed)
    assert answer.records[0].ttl_seconds == expected
    assert answer.authority[0].ttl_seconds == expected


def test_a_client_subnet_is_answered_for_that_address_and_returned_as_the_scope() -> None:
    asked = []

    def located(name: str, kind: str, client: str, recursion_desired: bool) -> Answer:
        asked.append((name, kind, client))
        return resolve(name, kind, client, recursion_desired)

    subnet = dns.edns.ECSOption("127.0.1.2", 32)
    query = dns.message.make_query("www.example.com", "A", options=[subnet])

    response = respond(query.to_wire(), over_udp=True, resolve=located)

    assert response is not None
    assert asked == [("www.example.com.", "A", "127.0.1.2")]
    [option] = dns.message.from_wire(response).options
    assert isinstance(option, dns.edns.ECSOption)
    assert (option.address, option.srclen, option.scopelen) == ("127.0.1.2", 32, 32)
