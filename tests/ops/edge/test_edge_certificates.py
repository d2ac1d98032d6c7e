"""The throw-away authority and the certificates of the Regions."""

import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest

from ops.edge.certificates import prepare
from ops.edge.config import Region

pytestmark = pytest.mark.unit

REGION = Region("us-east-1", "127.0.1.1", ("abc.execute-api.us-east-1.amazonaws.com",), ("a.b",))
OTHER = Region("eu-west-1", "127.0.1.2", ("def.execute-api.eu-west-1.amazonaws.com",), ("a.b",))
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name",
    [
        "weather.example.com",
        "abc123.execute-api.us-east-1.amazonaws.com",
        "weather.example.com.execute-api.us-east-1.amazonaws.com",
        "unknown9.execute-api.us-east-1.amazonaws.com",
    ],
)
def test_every_name_of_the_region_verifies(edges, name):
    with edges.connect(name=name) as connection:
        names = connection.getpeercert()["subjectAltName"]

    assert ("DNS", "weather.example.com") in names


def test_certificate_passes_the_strict_checks_of_newer_python(edges):
    context = edges.trusting
    context.verify_flags |= ssl.VERIFY_X509_STRICT

    with (
        socket.create_connection(edges.address(), timeout=3) as plain,
        context.wrap_socket(plain, server_hostname="weather.example.com") as connection,
    ):
        assert connection.version() == "TLSv1.3"


def test_without_the_authority_verification_fails(edges):
    with (
        socket.create_connection(edges.address(), timeout=3) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="weather.example.com")


@pytest.mark.parametrize("name", ["def456.execute-api.eu-west-1.amazonaws.com", "other.example"])
def test_name_of_another_region_does_not_verify(edges, name):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        edges.connect(name=name)


def test_handshake_without_a_server_name_fails(edges):
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure|EOF"):
        edges.connect(name=None)


def test_what_is_good_is_kept(tmp_path):
    prepare(tmp_path, [REGION, OTHER], now=NOW)
    before = contents(tmp_path)

    prepare(tmp_path, [REGION, OTHER], now=NOW + timedelta(days=3))

    assert contents(tmp_path) == before
    assert set(before) == {
        "ca.pem", "ca.key", "us-east-1.pem", "us-east-1.key", "eu-west-1.pem", "eu-west-1.key"
    }  # fmt: skip


def test_changed_names_renew_that_certificate_only(tmp_path):
    prepare(tmp_path, [REGION, OTHER], now=NOW)
    before = contents(tmp_path)

    prepare(tmp_path, [Region("us-east-1", "127.0.1.1", ("x.y",)), OTHER], now=NOW)

    changed = {name for name, content in contents(tmp_path).items() if content != before[name]}
    assert changed == {"us-east-1.pem", "us-east-1.key"}


def test_near_the_end_all_are_renewed(tmp_path):
    prepare(tmp_path, [REGION], now=NOW)
    before = contents(tmp_path)

    prepare(tmp_path, [REGION], now=NOW + timedelta(days=4, hours=1))

    assert all(content != before[name] for name, content in contents(tmp_path).items())


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "us-east-1.pem", "us-east-1.key"])
def test_file_that_cannot_be_used_is_made_anew(tmp_path, name):
    prepare(tmp_path, [REGION], now=NOW)
    (tmp_path / name).write_text("not a certificate")

    files = prepare(tmp_path, [REGION], now=NOW)["us-east-1"]

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    assert b"not a" not in (tmp_path / name).read_bytes()


def test_private_keys_are_for_this_user_only(tmp_path):
    folder = tmp_path / "new"

    prepare(folder, [REGION])

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert modes == {0o600}
