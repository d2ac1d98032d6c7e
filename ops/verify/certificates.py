"""The domain's certificates: issued in every Region, served, and not about to expire."""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ops.environment import Environment
from ops.verify.finding import Finding, failed, guarded, passed_unless, region_check
from ops.verify.handshake import handshake, not_connected

MIN_REMAINING = timedelta(days=30)
"""What a certificate is valid for at least, unless its renewal is overdue.

ACM begins to renew 45 days before the end, so with less than this left it has failed for more than
two weeks, and a month remains to find out why. The alarm on certificates has the same threshold.

Source: https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
"""
RENEWAL_PROBLEMS = ("FAILED", "PENDING_VALIDATION")
"""States of a renewal that does not go on without the owner.

Source: https://docs.aws.amazon.com/acm/latest/userguide/check-certificate-renewal-status.html
"""
_FIX = (
    "find out why ACM did not issue or renew it: its validation record must be in the hosted zone, "
    "and the zone must be delegated to its name servers"
)


@region_check("certificate.issued")
def issued(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that ACM has issued the Region's certificate for the domain, and keeps it renewed."""
    certificate = environment.client("acm", region).describe_certificate(
        CertificateArn=environment.outputs.certificate_arns[region]
    )["Certificate"]
    name = environment.outputs.record_name
    names = {certificate["DomainName"], *certificate.get("SubjectAlternativeNames", ())}
    status, expiry = certificate["Status"], certificate.get("NotAfter")
    problems = _expiry_problems(expiry, MIN_REMAINING) if expiry else []
    if status != "ISSUED":
        problems.append(f"its status is {status}, not ISSUED")
    problems += _renewal_problems(certificate.get("RenewalSummary", {}))
    if not any(_covers(pattern, name) for pattern in names):
        problems.append(f"it is for {', '.join(sorted(names))}, not for {name}")
    yield passed_unless(
        region, problems, found=f"issued for {name}, {_days(expiry)} days left", fix=_FIX
    )


@region_check("certificate.served")
def served(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the Region serves a trusted certificate for the domain, and for its own name.

    Health checks validate no certificate, so nothing else notices one that customers refuse.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
    """
    target, name = environment.outputs.domain_targets[region], environment.outputs.record_name
    yield from guarded(region, partial(_served, environment, region, target, name))
    own = environment.region_host(region)
    # Any other host name is of AWS, which renews its certificate.
    if own.endswith(f".{environment.outputs.zone_name}"):
        yield from guarded(region, partial(_served, environment, region, own, own))


def _served(environment: Environment, region: str, host: str, name: str) -> Iterator[Finding]:
    try:
        with handshake(environment, host, name, environment.network.tls) as connection:
            expiry_text = str((connection.getpeercert() or {})["notAfter"])
    except ssl.SSLCertVerificationError as error:
        found = f"the certificate served for {name} is not trusted: {error.verify_message}"
        yield failed(region, found, _FIX)
        return
    except ssl.SSLError:
        raise
    except OSError as error:
        yield not_connected(environment, region, host, error)
        return
    expiry = datetime.fromtimestamp(ssl.cert_time_to_seconds(expiry_text), UTC)
    # An authority other than the system's issues certificates for a few days at a time.
    min_remaining = timedelta() if environment.network.ca_file else MIN_REMAINING
    yield passed_unless(
        region,
        _expiry_problems(expiry, min_remaining),
        found=f"served for {name}, trusted, {_days(expiry)} days left",
        fix=_FIX,
    )


def _covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate matches a host name; `*` matches one label."""
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return pattern.lower() == name.lower()


def _renewal_problems(renewal: Mapping[str, Any]) -> list[str]:
    status = renewal.get("RenewalStatus")
    if status not in RENEWAL_PROBLEMS:
        return []
    reason = renewal.get("RenewalStatusReason")
    return [f"its renewal is {status}{f': {reason}' if reason else ''}"]


def _expiry_problems(expiry: datetime, min_remaining: timedelta) -> list[str]:
    if expiry - datetime.now(UTC) > min_remaining:
        return []
    return [
        f"it expires at {expiry.astimezone(UTC).isoformat(timespec='minutes')}, in "
        f"{_days(expiry)} days; more than {min_remaining.days} are required"
    ]


def _days(expiry: datetime | None) -> str:
    return "unknown" if expiry is None else str((expiry - datetime.now(UTC)).days)
