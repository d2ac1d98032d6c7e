"""The throw-away authority and the certificates of the Regions."""

import socket
import ssl
import stat

import pytest

from sandbox.region_endpoints.certificates import authority_file, server_contexts
from sandbox.region_endpoints.config import Region

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "name",
    [
        "weather.example.com",
        "abc123.execute-api.us-east-1.amazonaws.com",
        "weather.example.com.execute-api.us-east-1.amazonaws.com",
        "unknown9.execute-api.us-east-1.amazonaws.com",
    ],
)
def test_every_name_of_the_region_verifies(endpoints, name):
    with endpoints.connect(name=name) as connection:
        names = connection.getpeercert()["subjectAltName"]

    assert ("DNS", "weather.example.com") in names


def test_certificate_passes_the_strict_checks_of_newer_python(endpoints):
    context = endpoints.trusting
    context.verify_flags |= ssl.VERIFY_X509_STRICT

    with (
        socket.create_connection(endpoints.address(), timeout=3) as plain,
        context.wrap_socket(plain, server_hostname="weather.example.com") as connection,
    ):
        assert connection.version() == "TLSv1.3"


def test_without_the_authority_verification_fails(endpoints):
    with (
        socket.create_connection(endpoints.address(), timeout=3) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="weather.example.com")


@pytest.mark.parametrize("name", ["def456.execute-api.eu-west-1.amazonaws.com", "other.example"])
def test_name_of_another_region_does_not_verify(endpoints, name):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        endpoints.connect(name=name)


def test_handshake_without_a_server_name_fails(endpoints):
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure|EOF"):
        endpoints.connect(name=None)


def test_the_authority_is_kept_and_its_key_is_for_this_user_only(tmp_path):
    region = Region("us-east-1", "127.0.1.1")
    folder = tmp_path / "new"

    server_contexts(folder, [region])
    first = authority_file(folder).read_bytes()
    server_contexts(folder, [region])

    assert authority_file(folder).read_bytes() == first
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    assert b"PRIVATE" not in first


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_an_authority_that_cannot_be_used_is_replaced(tmp_path, name):
    region = Region("us-east-1", "127.0.1.1")
    server_contexts(tmp_path, [region])
    (tmp_path / name).write_text("not PEM")

    server_contexts(tmp_path, [region])

    assert b"not PEM" not in (tmp_path / name).read_bytes()
