"""What DNS answers, and where that leads."""

from collections.abc import Iterator

from ops.environment import Environment
from ops.verification.finding import Finding, check, failed, guarded, passed, unknown
from ops.verification.health_states import health_states, local_report, regions_to_serve
from ops.verification.reaching import get_by_domain, got
from ops.verification.records import set_identifiers

_FIX = "see the findings of dns.records and health_check.state"


@check("dns.answer")
def answers(environment: Environment) -> Iterator[Finding]:
    """The zone's servers lead the API's name to the Region that should serve now."""
    expected = regions_to_serve(environment, health_states(environment))
    name = environment.outputs["record_name"]
    yield from guarded(f"{name} A", lambda: _ipv4(environment, f"{name} A", expected))
    yield from guarded(f"{name} AAAA", lambda: _ipv6(environment, f"{name} AAAA", expected))


def _ipv4(environment: Environment, subject: str, expected: tuple[str, ...]) -> Iterator[Finding]:
    answer = environment.network.resolve(environment.outputs["record_name"])
    if not answer.addresses:
        yield failed(subject, f"no answer: {answer.error}", _FIX)
        return
    address = answer.addresses[0]
    served = get_by_domain(environment, address, environment.outputs["health_path"])
    leads = f"leads to {address}, TTL {answer.ttl_seconds} s"
    if served.region is None:
        yield failed(
            subject,
            f"{leads}, where the health path gets {got(served)}; it should lead to "
            f"{' or '.join(expected)}",
            _FIX,
        )
    else:
        yield _judged(subject, leads, served.region, expected)


def _ipv6(environment: Environment, subject: str, expected: tuple[str, ...]) -> Iterator[Finding]:
    name = environment.outputs["record_name"]
    answer = environment.network.resolve(name, "AAAA")
    if answer.addresses:
        address = answer.addresses[0]
        served = get_by_domain(environment, address, environment.outputs["health_path"])
        leads = f"leads to {address}, TTL {answer.ttl_seconds} s"
        if served.region is None:
            yield unknown(subject, f"{leads}; from this machine: {got(served)}")
        else:
            yield _judged(subject, leads, served.region, expected)
    elif environment.is_local:
        # Local Regions stand on IPv4 addresses: the record is chosen, and has no address.
        chosen = _chosen_locally(environment, name)
        if chosen is None:
            yield failed(subject, f"no record answers: {answer.error}", _FIX)
        else:
            yield _judged(subject, "no IPv6 on this machine; the record", chosen, expected)
    else:
        yield failed(subject, f"no answer: {answer.error}", _FIX)


def _chosen_locally(environment: Environment, name: str) -> str | None:
    by_identifier = {identifier: r for r, identifier in set_identifiers(environment).items()}
    for group in local_report(environment)["records"]:
        if group["name"].rstrip(".") == name and group["type"] == "AAAA":
            return next((by_identifier.get(each) for each in group["in_service"]), None)
    return None


def _judged(subject: str, leads: str, region: str, expected: tuple[str, ...]) -> Finding:
    if region in expected:
        return passed(subject, f"{leads}: {region}")
    return failed(
        subject,
        f"{leads}: {region}, and by the health checks {' or '.join(expected)} should serve",
        _FIX,
    )
