"""Each Region responds in its own name: to health checks, and to customers with an API key only."""

import time
from collections.abc import Callable, Iterator

from ops.environment import Environment
from ops.http_client import Response
from ops.verify.api_gateway import Route, routes_of, stage_name
from ops.verify.finding import (
    Finding,
    failed,
    passed_unless,
    region_check,
    unknown,
    unreadable,
)
from ops.verify.reach import FIX, can_reach_a_region

API_KEY_HEADER = "x-api-key"
_FIX = (
    "see the log of the health function, and the findings of leftover.* for faults that are still "
    "injected"
)
HEALTH_TRIES = 3
"""Failures in a row that count, as for a health check: a cold start is no outage."""
HEALTH_SECONDS = 6.0
"""After these, no other try begins: a check of `verify` ends within 15 s."""


@region_check("region.url")
def url(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the Region is healthy at its own URL."""
    path = environment.outputs.health_path
    response = _until_healthy(lambda: environment.call_region(region, path))
    yield _served_by(environment, region, environment.region_url(region), response)


@region_check("region.domain")
def domain(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the Region serves the domain name, wherever DNS routes to now."""
    target = environment.outputs.domain_targets[region]
    path = environment.outputs.health_path
    response = _until_healthy(lambda: environment.call_region_domain(region, path))
    called = f"{environment.outputs.record_name} at {target}"
    yield _served_by(environment, region, called, response)


@region_check("region.api_key")
def api_key(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the Region accepts the customer's API key, and no request without one."""
    path = _path_with_key(routes_of(environment, region))
    if path is None:
        yield unknown(region, "no GET operation without path parameters requires an API key")
        return
    if not environment.outputs.customers:
        yield unknown(region, "the environment has no customers")
        return
    path = f"/{stage_name(environment, region)}{path}"
    without = environment.call_region(region, path)
    with_key = environment.call_region(region, path, headers={API_KEY_HEADER: environment.api_key})
    for response in (without, with_key):
        if not can_reach_a_region(environment, response):
            yield _out_of_reach(region, f"GET {path}", response)
            return
        if response.status == 429:
            yield unreadable(
                region,
                f"GET {path} returns 429: the limits are used up",
                "wait, or name another customer with --customer",
            )
            return
    if without.status == 403 and with_key.status == 403:
        yield failed(
            region,
            f"GET {path} rejects the customer's API key (403): a failover to this Region locks "
            "out every customer with this key",
            "see parity.api_keys; deploy again, so that every Region has every key",
        )
        return
    problems = []
    if without.status != 403:
        problems.append(f"GET {path} without an API key returns {without.summary}, not 403")
    if not with_key.ok:
        problems.append(f"GET {path} with the customer's key returns {with_key.summary}, not 200")
    yield passed_unless(
        region, problems, found=f"GET {path}: 403 without an API key, 200 with it", fix=_FIX
    )


def _until_healthy(call: Callable[[], Response]) -> Response:
    begun = time.monotonic()
    for _ in range(HEALTH_TRIES):
        response = call()
        if response.ok or response.unreachable or time.monotonic() - begun > HEALTH_SECONDS:
            break
    return response


def _served_by(environment: Environment, region: str, called: str, response: Response) -> Finding:
    if not can_reach_a_region(environment, response):
        return _out_of_reach(region, called, response)
    problems = []
    if not response.ok:
        problems.append(f"health at {called}: {response.summary}")
    elif response.region != region:
        problems.append(f"{called} is served by {response.region or 'an unnamed Region'}")
    return passed_unless(region, problems, found=f"{called} is healthy", fix=_FIX)


def _out_of_reach(region: str, called: str, response: Response) -> Finding:
    found = f"no Region can be reached from this machine; {called}: {response.summary}"
    return unreadable(region, found, FIX)


def _path_with_key(routes: dict[str, Route]) -> str | None:
    """Path of an operation that anybody with a key may call, and that changes nothing."""
    return next(
        (
            route.path
            for route in routes.values()
            if route.method == "GET" and route.key_required and "{" not in route.path
        ),
        None,
    )
