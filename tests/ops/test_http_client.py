"""Where DNS or direct HTTPS is closed: somebody else is asked, and the result says so."""

import socket
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dns.message
import dns.rcode
import dns.rrset
import pytest

from ops import http_client, name_servers
from ops.http_client import Network
from ops.name_servers import SYSTEM, DnsAnswer, NameServers, SilentServerError, ask

pytestmark = pytest.mark.unit

NAME = "api.example.com"
FOUND = DnsAnswer(("192.0.2.1",), 60)
SERVFAIL = DnsAnswer(error="SERVFAIL, no A record", is_known=False)
SILENT = SilentServerError("192.0.2.53 port 53 does not answer: timed out")
CACHED = DnsAnswer(("192.0.2.9",), source=SYSTEM)


@pytest.fixture
def servers(monkeypatch):
    """Name servers by their answers, and how often each was asked."""
    asked = []

    def servers(*answers, system=None, clock=lambda: 0.0):
        def instead(server, name, kind, *_):
            asked.append(server[1])
            answer = answers[server[1]]
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(name_servers, "ask", instead)
        found = NameServers(
            lambda: [("192.0.2.53", number) for number in range(len(answers))],
            None if system is None else lambda *_: system,
            clock,
        )
        return found, asked

    return servers


@pytest.mark.parametrize("bad", [SERVFAIL, SILENT], ids=["servfail", "silent"])
def test_one_bad_server_does_not_end_the_search(servers, bad):
    found, asked = servers(bad, FOUND, bad)

    assert found.resolve(NAME, "A") == FOUND
    assert asked[0] == 0


def test_who_knows_that_there_is_none_is_believed(servers):
    none = DnsAnswer(error="NXDOMAIN, no A record")
    found, asked = servers(none, FOUND, system=CACHED)

    assert found.resolve(NAME, "A") == none
    assert asked == [0]


@pytest.mark.parametrize("bad", [SERVFAIL, SILENT], ids=["servfail", "silent"])
def test_the_systems_resolver_is_asked_last_and_named(servers, bad):
    found, _ = servers(bad, bad, system=CACHED)

    assert found.resolve(NAME, "A").source == SYSTEM


def test_a_sandboxs_names_are_asked_of_nobody_else(servers):
    found, _ = servers(SILENT)

    answer = found.resolve(NAME, "A")

    assert not answer.is_known
    assert "192.0.2.53 port 53 does not answer" in answer.error
    assert Network((("127.0.0.1", 1),), "example.com")._name_servers.ask_system is None


def test_silent_servers_are_left_alone_for_a_while(servers):
    now = [0.0]
    found, asked = servers(SILENT, SILENT, system=CACHED, clock=lambda: now[0])

    found.resolve(NAME, "A")
    found.resolve(NAME, "A")
    assert sorted(asked) == [0, 1]
    now[0] = name_servers.SILENCE_SECONDS
    found.resolve(NAME, "A")
    assert sorted(asked) == [0, 0, 1, 1]


def test_when_nobody_answers_all_reasons_are_named(servers):
    found, _ = servers(SILENT, system=DnsAnswer(error="it is dark", is_known=False))

    answer = found.resolve(NAME, "A")

    assert not answer.is_known
    assert answer.error.endswith("timed out; it is dark")


@pytest.fixture
def server():
    """A name server that answers with the codes that it is given."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        codes: Future = Future()

        def answer():
            data, sender = listening.recvfrom(4096)
            codes.query = query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            response.set_rcode(codes.result())
            if codes.result() == dns.rcode.NOERROR:
                response.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", "192.0.2.1"))
            listening.sendto(response.to_wire(), sender)

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname(), codes


@pytest.mark.parametrize(
    ("code", "is_known"),
    [(dns.rcode.NXDOMAIN, True), (dns.rcode.SERVFAIL, False), (dns.rcode.REFUSED, False)],
)
def test_a_server_that_fails_or_refuses_does_not_know(server, code, is_known):
    address, codes = server
    codes.set_result(code)

    answer = ask(address, NAME, "A")

    assert answer.is_known is is_known
    assert answer.error == f"{dns.rcode.to_text(code)}, no A record"


def test_an_answer_has_addresses_and_a_time_to_live(server):
    address, codes = server
    codes.set_result(dns.rcode.NOERROR)

    assert ask(address, NAME, "A") == FOUND


@pytest.mark.parametrize(("client", "subnets"), [("127.0.1.2", [("127.0.1.2", 32)]), ("", [])])
def test_a_question_for_a_customer_elsewhere_has_the_whole_address(server, client, subnets):
    address, codes = server
    codes.set_result(dns.rcode.NOERROR)

    assert ask(address, NAME, "A", client) == FOUND
    assert [(each.address, each.srclen) for each in codes.query.options] == subnets


def test_this_machines_resolver_is_not_asked_for_a_customer_elsewhere(servers):
    """It would answer for this machine: nothing follows from that."""
    found, _ = servers(SILENT, system=FOUND)

    answer = found.resolve(NAME, "A", "127.0.1.2")

    assert not answer.is_known
    assert "cannot ask for a customer at 127.0.1.2" in answer.error


def test_a_look_up_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(name_servers, "SYSTEM_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: threading.Event().wait(60))

    with pytest.raises(OSError, match=r"no result within 0\.01 s"):
        Network(None, "example.com").address_of("east.example.org")


class Proxy(BaseHTTPRequestHandler):
    """A proxy that refuses, and remembers what it was asked for."""

    asked: list

    def do_CONNECT(self):
        self.asked.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_error(403)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(monkeypatch):
    Proxy.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://ada:secret@127.0.0.1:{server.server_port}"
        monkeypatch.setenv("https_proxy", url)
        monkeypatch.setenv("no_proxy", "")
        yield Proxy.asked
        server.shutdown()


def test_https_goes_through_the_proxy_of_this_machine(proxy):
    response = Network(None, "example.com").request(
        "GET", f"https://{NAME}/v1/health", address="192.0.2.1"
    )

    assert [path for path, _ in proxy] == ["192.0.2.1:443"]
    assert proxy[0][1].startswith("Basic ")
    assert response.unreachable
    assert "secret" not in response.error


def test_a_name_that_only_the_proxy_resolves_is_left_to_it(proxy, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)

    assert Network(None, "example.com").address_of("east.example.org") == ("east.example.org", 443)
    monkeypatch.setenv("no_proxy", "example.org")
    with pytest.raises(OSError, match="does not resolve"):
        Network(None, "example.com").address_of("east.example.org")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.2", "::1"])
def test_a_sandbox_is_never_behind_a_proxy(proxy, address):
    assert http_client.is_loopback(address)
    Network((), "example.com", https_port=9).request("GET", f"https://{NAME}/", address=address)
    assert not proxy


def test_a_connection_that_does_not_come_about_says_nothing_of_the_region():
    closed = Network((), "example.com", https_port=9)

    assert closed.request("GET", f"https://{NAME}/", address="127.0.0.1").unreachable
    assert closed.request("GET", f"https://{NAME}/").unreachable


CNAME = DnsAnswer(ttl_seconds=10, target="d-1.execute-api.us-east-1.amazonaws.com")


def test_the_host_that_a_cname_points_to_is_asked_of_the_system_and_lives_as_the_record(servers):
    found, _ = servers(CNAME, system=DnsAnswer(("192.0.2.9",), source=SYSTEM))

    answer = found.resolve("api.example.com", "A")

    # Who names the Region is a server of the zone: nothing of that may be cached.
    assert (answer.addresses, answer.ttl_seconds, answer.source) == (("192.0.2.9",), 10, "")
    assert answer.target == CNAME.target


def test_a_host_that_the_system_does_not_know_is_named(servers):
    found, _ = servers(CNAME, system=DnsAnswer(error="no such host", is_known=False))

    answer = found.resolve("api.example.com", "A")

    assert (answer.addresses, answer.is_known) == ((), False)
    assert answer.error == f"{CNAME.target}: no such host"
