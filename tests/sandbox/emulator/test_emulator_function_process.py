"""Functions resolve names of the sandbox's zone by its own DNS, and others as the machine does."""

import os
import socket
import subprocess
import sys
from threading import Thread

import dns.message
import dns.rcode
import dns.rrset
import pytest

from sandbox.emulator import process_environment

pytestmark = pytest.mark.unit


@pytest.fixture
def server():
    """A DNS server: `{name: records or code}` that it answers with, and its port."""
    answers = {}
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))

    def serve():
        while True:
            query, address = listener.recvfrom(4096)
            if not query:
                return
            message = dns.message.from_wire(query)
            response = dns.message.make_response(message)
            found = answers[str(message.question[0].name)]
            if isinstance(found, dns.rcode.Rcode):
                response.set_rcode(found)
            else:
                response.answer += found
            listener.sendto(response.to_wire(), address)

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield answers, listener.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.sendto(b"", ("127.0.0.1", listener.getsockname()[1]))
    thread.join()
    listener.close()


def resolved(server, name):
    """What a process of a function gets: the address, or the kind of error."""
    _, port = server
    program = (
        "import socket\n"
        "try:\n"
        f"    print(socket.gethostbyname({name!r}))\n"
        "except socket.gaierror as error:\n"
        "    print(type(error).__name__)\n"
    )
    environment = {**os.environ, **process_environment.of_functions(port)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def records(*lines):
    return [dns.rrset.from_text(*line.split(maxsplit=4)) for line in lines]


def test_a_name_of_the_zone_is_answered_by_the_sandbox(server):
    server[0]["serving.example.com."] = records("serving.example.com. 2 IN A 192.0.2.2")

    assert resolved(server, "serving.example.com.") == "192.0.2.2"


def test_an_alias_by_name_is_followed_to_its_address(server):
    server[0]["a.example.com."] = records(
        "a.example.com. 2 IN CNAME b.example.com.", "b.example.com. 2 IN A 192.0.2.1"
    )

    assert resolved(server, "a.example.com") == "192.0.2.1"


@pytest.mark.parametrize("answer", [dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, []])
def test_a_name_without_an_address_is_an_error_as_elsewhere(server, answer):
    server[0]["c.example.com."] = answer

    assert resolved(server, "c.example.com") == "gaierror"


def test_the_machine_resolves_what_the_sandbox_refuses(server):
    server[0]["localhost."] = dns.rcode.REFUSED

    assert resolved(server, "localhost") == "127.0.0.1"


def test_without_a_dns_port_functions_resolve_as_the_machine_does():
    assert process_environment.of_functions(None) == {}


def test_the_sdk_cannot_connect_where_the_name_of_its_endpoint_does_not_resolve(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("SANDBOX_UNRESOLVED", str(tmp_path / "unresolved"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    program = (
        "import socket\n"
        "try:\n"
        "    print(socket.getaddrinfo('127.0.0.1', 1)[0][4][0])\n"
        "except socket.gaierror as error:\n"
        "    print(error.strerror)\n"
        "print(socket.getaddrinfo('127.0.0.2', 1)[0][4][0])\n"
    )

    def lookups(region):
        environment = {**os.environ, **process_environment.of_functions(server[1])}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={**environment, "AWS_REGION": region},
        )  # fmt: skip
        return done.stdout.split("\n")[:2]

    process_environment.set_unresolved({"us-east-1"})
    assert lookups("us-east-1") == ["Name or service not known", "127.0.0.2"]
    assert lookups("us-west-2") == ["127.0.0.1", "127.0.0.2"]
    process_environment.set_unresolved(set())
    assert lookups("us-east-1") == ["127.0.0.1", "127.0.0.2"]
