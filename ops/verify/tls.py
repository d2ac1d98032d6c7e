"""TLS versions at the customers' name: the same in every Region, and the policies that decide."""

import ssl
import warnings
from collections.abc import Iterator, Mapping
from functools import partial

from ops.deadline import started
from ops.environment import Environment
from ops.verify.finding import Finding, check, failed, passed, read_regions, unknown
from ops.verify.handshake import handshake, not_connected

LOWEST_CIPHERS = "ALL:@SECLEVEL=0"
"""Without the security level 0, OpenSSL offers nothing below TLS 1.2."""
_FIX = (
    "give the APIs of all Regions the same security policy and deploy each again; a change takes "
    "15 minutes: https://docs.aws.amazon.com/apigateway/latest/developerguide/"
    "apigateway-security-policies-update.html"
)


def _contexts() -> dict[str, ssl.SSLContext]:
    """`{version: what offers this one only}`."""
    contexts = {}
    # Python warns of versions that nobody should offer; here they are offered to be refused.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, version in {
            "1.0": ssl.TLSVersion.TLSv1,
            "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3,
        }.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # Nothing is sent, and certificate.served checks the certificate.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers(LOWEST_CIPHERS)
            context.minimum_version = context.maximum_version = version
            contexts[name] = context
    return contexts


CONTEXTS = _contexts()
"""`{version: what offers this one only}`, the lowest version first.

Made before there are threads, which ignoring warnings would disturb.
"""


@check("tls.version")
def version(environment: Environment) -> Iterator[Finding]:
    """Check by handshakes that every Region accepts the same TLS versions at the customers' name.

    The lowest one is reported and fails nothing: the security policy of the REST API decides, and
    that of a Regional API is TLS 1.0 until somebody changes it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-update.html
    """
    asked = {
        region: started(partial(_accepted, environment, region)) for region in environment.regions
    }
    accepted: dict[str, tuple[str, ...]] = {}
    for region, future in asked.items():
        try:
            accepted[region] = future.result()
        except OSError as error:
            target = environment.outputs.domain_targets[region]
            yield not_connected(environment, region, target, error)
    untried = [each for each, context in CONTEXTS.items() if not _can_offer(context)]
    for region, versions in accepted.items():
        problems = _version_problems(region, accepted)
        found = f"accepts TLS {', '.join(versions)}" if versions else "completes no TLS handshake"
        if untried:
            found += f"; this machine cannot offer {', '.join(untried)}"
        if problems or not versions:
            yield failed(region, "; ".join([found, *problems]), _FIX)
        else:
            yield passed(region, found, lowest_tls_version=float(versions[0]))


@check("tls.policy")
def policy(environment: Environment) -> Iterator[Finding]:
    """Check that all Regions have the same TLS policies: the API's, which decides, and the name's.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html
    """
    policies_of = yield from read_regions(environment, _policies)
    for region, policies in policies_of.items():
        others = {other: theirs for other, theirs in policies_of.items() if theirs != policies}
        found = _policies_shown(policies)
        if others:
            differ = [f"{other}: {_policies_shown(theirs)}" for other, theirs in others.items()]
            yield failed(region, "; ".join([found, *differ]), _FIX)
        elif policies["API"] is None:
            # An older boto3, or the sandbox.
            yield unknown(
                region, f"{found}; the API's, which decides, was not returned: see tls.version"
            )
        else:
            yield passed(region, f"{found}; the API's decides")


def _accepted(environment: Environment, region: str) -> tuple[str, ...]:
    """Versions that a Region accepts at the customers' name, the lowest first.

    Raises:
        OSError: There is no connection.
    """
    target, name = environment.outputs.domain_targets[region], environment.outputs.record_name
    versions = []
    for version, context in CONTEXTS.items():
        try:
            with handshake(environment, target, name, context):
                versions.append(version)
        except (ssl.SSLError, ConnectionResetError):
            # Servers refuse a version by an alert, or by closing the connection.
            continue
    return tuple(versions)


def _version_problems(region: str, accepted: Mapping[str, tuple[str, ...]]) -> list[str]:
    versions = accepted[region]
    return [
        f"refuses TLS {each}, which {other} accepts: a failover locks out who offers no other"
        for other, theirs in accepted.items()
        for each in theirs
        if each not in versions
    ]


def _can_offer(context: ssl.SSLContext) -> bool:
    """Whether this machine's OpenSSL begins a handshake with what the context offers."""
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="none").do_handshake()
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        return False
    raise AssertionError("a handshake with nobody succeeded")


def _policies(environment: Environment, region: str) -> dict[str, str | None]:
    """`{"API": policy, "domain name": policy}`; None for what API Gateway does not return."""
    gateway = environment.client("apigateway", region)
    api = gateway.get_rest_api(restApiId=environment.outputs.api_ids[region])
    domain = gateway.get_domain_name(domainName=environment.outputs.record_name)
    return {"API": api.get("securityPolicy"), "domain name": domain.get("securityPolicy")}


def _policies_shown(policies: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name}: {value or 'unknown'}" for name, value in policies.items())
