"""Handshakes in the customers' name with every Region: versions, policies and certificates."""

import socket
import ssl
import threading
import warnings
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from fake_environment import EAST, NAME, OUTPUTS, WEST, Canned, environment

from ops.http_client import Network, Response
from ops.verify import certificates, tls
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

V = ssl.TLSVersion
AUTHORITY = trustme.CA()
OWN_NAME = "west.example.com"


class Reachable(Network):
    """Some Region always responds to this machine."""

    def request(self, *_, **__):
        return Response(200, EAST)


@contextmanager
def server(lowest=V.TLSv1_2, highest=V.TLSv1_3, *, names=(NAME,), days=90, authority=AUTHORITY):
    """Accepts handshakes of some versions, with a certificate; gives its address and port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    authority.issue_cert(*names, not_after=ends).configure_cert(context)
    context.set_ciphers(tls.LOWEST_CIPHERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as each:
                    each.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def regions():
    """Makes an environment of two Regions, each a server with the options given."""
    with ExitStack() as stack:

        def made(east=None, west=None, own=None, clients=None):
            addresses = [
                stack.enter_context(server(**options or {})) for options in (east, west, own)
            ]
            targets = OUTPUTS["domain_targets"]
            network = Reachable(
                (),
                "example.com",
                hosts=dict(zip((targets[EAST], targets[WEST], OWN_NAME), addresses, strict=True)),
            )
            trusting = ssl.create_default_context()
            AUTHORITY.configure_trust(trusting)
            # As if the system trusted it: a file of certificates is a sandbox's.
            network.__dict__["tls"] = trusting
            urls = OUTPUTS["region_urls"]
            if own is not None:
                urls = urls | {WEST: f"https://{OWN_NAME}/v1"}
            return environment(clients or {}, network=network, outputs={"region_urls": urls})

        yield made


FROM_1_0 = {"lowest": V.TLSv1}


def test_the_versions_that_every_region_accepts_are_reported(regions):
    found = tls.version.run(regions(FROM_1_0, FROM_1_0))

    assert [(each.subject, each.outcome, each.found) for each in found] == [
        (region, Outcome.PASSED, "accepts TLS 1.0, 1.1, 1.2, 1.3") for region in (EAST, WEST)
    ]
    assert found[0].measured == {"lowest_tls_version": 1.0}


def test_a_region_that_refuses_what_the_other_accepts_is_named(regions):
    east, west = tls.version.run(regions(FROM_1_0))

    assert east.outcome is Outcome.PASSED
    assert west.outcome is Outcome.FAILED
    assert west.found.startswith("accepts TLS 1.2, 1.3; refuses TLS 1.0, which us-east-1 accepts")
    assert "security policy" in west.fix


def test_a_version_that_this_machine_cannot_offer_is_not_called_refused(regions, monkeypatch):
    monkeypatch.setattr(tls, "CONTEXTS", tls.CONTEXTS | {"1.0": _offering_nothing()})

    east, _ = tls.version.run(regions(FROM_1_0, FROM_1_0))

    assert east.found == "accepts TLS 1.1, 1.2, 1.3; this machine cannot offer 1.0"


def _offering_nothing():
    """Offers TLS 1.1 only, with a cipher that it does not have."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = V.TLSv1_1
    return context


def test_a_region_without_a_connection_fails_alone(regions):
    given = regions()
    given.network.hosts[OUTPUTS["domain_targets"][WEST]] = ("127.0.0.1", 1)
    given.network.hosts[given.region_host(EAST)] = ("127.0.0.1", 443)

    found = {each.subject: each for each in tls.version.run(given)}

    assert found[EAST].outcome is Outcome.PASSED
    assert found[WEST].outcome is Outcome.FAILED
    assert "no connection to d-west" in found[WEST].found


def test_a_region_that_completes_no_handshake_is_named(regions):
    given = regions()
    with socket.create_server(("127.0.0.1", 0)) as closing:

        def close():
            with suppress(OSError):
                while True:
                    closing.accept()[0].close()

        thread = threading.Thread(target=close)
        thread.start()
        given.network.hosts[OUTPUTS["domain_targets"][EAST]] = closing.getsockname()
        east, west = tls.version.run(given)
        closing.shutdown(socket.SHUT_RDWR)
    thread.join()

    assert east.outcome is Outcome.FAILED
    assert east.found.startswith("completes no TLS handshake; refuses TLS 1.2, which us-west-2")
    assert west.outcome is Outcome.PASSED


def policies(api, name="TLS_1_2"):
    returned = {} if api is None else {"securityPolicy": api}
    return Canned(get_rest_api=returned, get_domain_name={"securityPolicy": name})


STRONG = "SecurityPolicy_TLS13_1_2_2021_06"


@pytest.mark.parametrize(
    ("east", "west", "outcome", "found"),
    [
        (policies("TLS_1_0"), policies("TLS_1_0"), Outcome.PASSED, "API: TLS_1_0, domain name: "),
        (policies(None), policies(None), Outcome.UNKNOWN, "was not returned: see tls.version"),
        (policies("TLS_1_0"), policies(STRONG), Outcome.FAILED, f"us-west-2: API: {STRONG}"),
        (
            policies(STRONG),
            policies(STRONG, "TLS_1_0"),
            Outcome.FAILED,
            f"us-west-2: API: {STRONG}, domain name: TLS_1_0",
        ),
    ],
)
def test_the_policies_of_api_and_name_are_reported_and_compared(east, west, outcome, found):
    given = environment({("apigateway", EAST): east, ("apigateway", WEST): west})

    first, _ = tls.policy.run(given)

    assert first.outcome is outcome
    assert found in first.found


def test_certificates_are_checked_by_a_handshake_with_every_region(regions):
    found = certificates.served.run(regions(own={"names": (OWN_NAME,)}))

    assert [(each.subject, each.outcome, each.found) for each in found] == [
        (EAST, Outcome.PASSED, f"served for {NAME}, trusted, 90 days left"),
        (WEST, Outcome.PASSED, f"served for {NAME}, trusted, 90 days left"),
        (WEST, Outcome.PASSED, f"served for {OWN_NAME}, trusted, 90 days left"),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"days": 29}, "in 29 days; more than 30 are required"),
        ({"names": ("other.example.com",)}, "Hostname mismatch"),
        ({"authority": trustme.CA()}, "is not trusted: unable to get local issuer certificate"),
    ],
    ids=["expiring", "wrong name", "untrusted"],
)
@pytest.mark.parametrize("of", ["customers", "health checks"])
def test_a_certificate_that_customers_refuse_is_named(regions, of, options, expected):
    if of == "customers":
        *others, bad = certificates.served.run(regions(west=options))
    else:
        *others, bad = certificates.served.run(regions(own={"names": (OWN_NAME,)} | options))

    assert all(each.outcome is Outcome.PASSED for each in others)
    assert bad.subject == WEST
    assert bad.outcome is Outcome.FAILED
    assert expected in bad.found
    assert (NAME if of == "customers" else OWN_NAME) in bad.found or "expires" in bad.found
