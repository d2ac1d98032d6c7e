"""Each Region answers as itself: to health checks, to customers with a key, and to nobody else."""

from collections.abc import Iterator

from ops.calls import Answer
from ops.environment import Environment
from ops.verification.finding import Finding, failed, judged, region_check, unknown
from ops.verification.reaching import address_of, get_by_domain, get_by_region, got
from ops.verification.routes import Route, routes_of

API_KEY_HEADER = "x-api-key"
_FIX = (
    "see the log of the health function, and the findings of leftover.* for what was broken on "
    "purpose"
)


@region_check("region.own_url")
def own_url(environment: Environment, region: str) -> Iterator[Finding]:
    """The Region is healthy at its own URL, and says its own name."""
    answer = get_by_region(environment, region, environment.outputs["health_path"])
    yield _served_by(region, f"{environment.region_url(region)}", answer)


@region_check("region.domain")
def domain(environment: Environment, region: str) -> Iterator[Finding]:
    """The Region answers to the domain name, even while DNS leads elsewhere."""
    target = environment.outputs["domain_targets"][region]
    address, _ = address_of(environment, target)
    answer = get_by_domain(environment, address, environment.outputs["health_path"])
    yield _served_by(region, f"{environment.outputs['record_name']} at {target}", answer)


@region_check("region.key")
def key(environment: Environment, region: str) -> Iterator[Finding]:
    """Without an API key the Region refuses, with the customer's it serves."""
    path = _path_with_key(routes_of(environment, region))
    if path is None:
        yield unknown(region, "no GET operation without path parameters asks for an API key")
        return
    if not environment.outputs["customers"]:
        yield unknown(region, "the environment has no customer to play")
        return
    path = f"/{environment.region_url(region).rpartition('/')[2]}{path}"
    without = get_by_region(environment, region, path)
    with_key = get_by_region(
        environment, region, path, headers={API_KEY_HEADER: environment.api_key}
    )
    if without.status == 403 and with_key.status == 403:
        yield failed(
            region,
            f"GET {path} refuses the customer's key (403): after a failover to this Region every "
            "customer with this key is locked out",
            "see parity.keys; deploy the stack again, so that every Region has every key",
        )
        return
    problems = []
    if without.status != 403:
        problems.append(f"GET {path} without a key gets {got(without)}, not 403")
    if not with_key.ok:
        problems.append(f"GET {path} with the customer's key gets {got(with_key)}, not 200")
    yield judged(
        region, problems, otherwise=f"GET {path}: 403 without a key, 200 with it", fix=_FIX
    )


def _served_by(region: str, called: str, answer: Answer) -> Finding:
    problems = []
    if not answer.ok:
        problems.append(f"health at {called}: {got(answer)}")
    elif answer.region != region:
        problems.append(f"{called} is answered by {answer.region or 'a Region that says no name'}")
    return judged(region, problems, otherwise=f"{called} is healthy", fix=_FIX)


def _path_with_key(routes: dict[str, Route]) -> str | None:
    """Path of an operation that anybody with a key may call, and that changes nothing."""
    return next(
        (
            route.path
            for route in routes.values()
            if route.method == "GET" and route.asks_for_key and "{" not in route.path
        ),
        None,
    )
