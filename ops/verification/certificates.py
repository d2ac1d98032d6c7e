"""The domain's certificates: issued in every Region, served, and not about to end."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ops.environment import Environment
from ops.verification.finding import Finding, failed, judged, region_check
from ops.verification.reaching import address_of, client

REMAINING = timedelta(days=21)
"""ACM renews 60 days before the end; with less than this left, renewal has failed for weeks.

Source: https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
"""
TIMEOUT_SECONDS = 5.0
_FIX = (
    "see why ACM did not issue or renew it: its validation record must stand in the hosted zone, "
    "and the zone must be delegated to its name servers"
)


@region_check("certificate.issued")
def issued(environment: Environment, region: str) -> Iterator[Finding]:
    """ACM has issued the Region's certificate for the domain, for weeks to come."""
    certificate = client(environment, "acm", region).describe_certificate(
        CertificateArn=environment.outputs["certificate_arns"][region]
    )["Certificate"]
    name = environment.outputs["record_name"]
    names = {certificate["DomainName"], *certificate.get("SubjectAlternativeNames", ())}
    problems = []
    if certificate["Status"] != "ISSUED":
        problems.append(f"its status is {certificate['Status']}, not ISSUED")
    if not any(covers(pattern, name) for pattern in names):
        problems.append(f"it is for {', '.join(sorted(names))}, not for {name}")
    ends = certificate.get("NotAfter")
    if ends is not None:
        problems += _age_problems(ends, REMAINING)
    yield judged(
        region, problems, otherwise=f"issued for {name}, {_days(ends)} days left", fix=_FIX
    )


@region_check("certificate.served")
def served(environment: Environment, region: str) -> Iterator[Finding]:
    """The Region serves a certificate for the domain that this machine trusts."""
    name = environment.outputs["record_name"]
    place = address_of(environment, environment.outputs["domain_targets"][region])
    ca_file = environment.network.ca_file
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    try:
        with (
            socket.create_connection(place, TIMEOUT_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name) as tls,
        ):
            ends_text = str((tls.getpeercert() or {})["notAfter"])
    except ssl.SSLCertVerificationError as error:
        yield failed(region, f"its certificate is not trusted: {error.verify_message}", _FIX)
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends_text), UTC)
    # The local authority makes them for a few days at a time.
    remaining = timedelta() if environment.is_local else REMAINING
    yield judged(
        region,
        _age_problems(ends, remaining),
        otherwise=f"served for {name}, trusted, {_days(ends)} days left",
        fix=_FIX,
    )


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name is for a host name; `*` stands for one label.

    Args:
        pattern: A name of the certificate.
        name: The host name.
    """
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return pattern.lower() == name.lower()


def _age_problems(ends: datetime, remaining: timedelta) -> list[str]:
    if ends - datetime.now(UTC) > remaining:
        return []
    return [
        f"it ends at {ends.astimezone(UTC).isoformat(timespec='minutes')}, in {_days(ends)} days; "
        f"more than {remaining.days} are asked for"
    ]


def _days(ends: datetime | None) -> str:
    return "unknown" if ends is None else str((ends - datetime.now(UTC)).days)
