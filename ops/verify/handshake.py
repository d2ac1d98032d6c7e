"""TLS handshakes with one Region in the customers' name, wherever DNS routes to."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from ops.environment import Environment
from ops.errors import explain
from ops.http_client import Response, proxy_for
from ops.verify.finding import Finding, failed, unreadable
from ops.verify.reach import FIX, can_reach_a_region

TIMEOUT_SECONDS = 3.0


@contextmanager
def handshake(
    environment: Environment, host: str, name: str, context: ssl.SSLContext
) -> Iterator[ssl.SSLSocket]:
    """Connect to a host and ask for a name (SNI).

    Args:
        environment: The environment.
        host: Host name to connect to, such as the target of a Region's domain.
        name: Name to ask for.
        context: Versions to offer, and certificates to trust.

    Raises:
        OSError: There is no connection, or the handshake fails (`ssl.SSLError`).
    """
    with (
        socket.create_connection(environment.network.address_of(host), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def not_connected(environment: Environment, subject: str, host: str, error: OSError) -> Finding:
    """Make the finding of a connection that did not come about.

    Args:
        environment: The environment.
        subject: What was to be checked.
        host: Host name that was to be connected to.
        error: Why there is no connection.

    Returns:
        A failure if another Region can be reached; else the reason may be on this machine.
    """
    found = f"no connection to {host}: {explain(error)}"
    if proxy_for(host):
        # A handshake with the Region itself takes a direct connection.
        return unreadable(subject, f"{found}; this machine uses a proxy", FIX)
    if not can_reach_a_region(environment, Response(None, unreachable=True)):
        return unreadable(subject, f"no Region can be reached from this machine; {found}", FIX)
    return failed(subject, found, "check that the Region responds")
