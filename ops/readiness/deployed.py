"""What is deployed, in a form that shows later whether it is still the same.

The release of each Region, as far as `ops deploy` knows it, and digests of what the Regions serve
with: whoever deploys by other means changes these. Values themselves are not kept.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from ops.deploy.record import History
from ops.deploy.shelf import Shelf
from ops.environment import Environment
from ops.errors import explain
from ops.readiness.record import canonical, sha256
from ops.verify import parity
from ops.verify.comparison import Settings, text_of
from ops.verify.releases import release_of

ROUTING = "routing"
UNKNOWN = "unknown: "
"""What a value begins with that could not be read."""
_ROUTING_OUTPUTS = (
    *("regions", "routing_policy", "weights", "record_name", "ttl_seconds", "failback"),
)
_CHECK_KEYS = ("RequestInterval", "FailureThreshold", "ResourcePath", "Inverted", "Type")


def deployed_now(environment: Environment, shelf: Shelf) -> dict[str, dict[str, str]]:
    """Find out what is deployed.

    Args:
        environment: The environment.
        shelf: Where its releases are.

    Returns:
        `{Region: {release, routes, functions, stage}}` and `{routing: {settings}}`; what could not
        be read begins with `UNKNOWN`, and a release that nobody has kept is empty.
    """
    found: dict[str, dict[str, str]] = {}
    for region in environment.regions:
        found[region] = {
            "release": _known(partial(_release, environment, shelf, region)),
            **{
                name: _known(partial(_digest, partial(read, environment, region)))
                for name, read in parity.SERVED_WITH.items()
            },
        }
    found[ROUTING] = {"settings": _known(partial(_digest, partial(_routing, environment)))}
    return found


def drift(
    then: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> tuple[list[str], list[str], list[str]]:
    """Compare what was deployed with what is.

    Args:
        then: What was deployed, as `deployed_now` gave it.
        now: What is deployed.

    Returns:
        What differs, what was unknown then, and what cannot be read now, in words.
    """
    differs, unknown, unread = [], [], []
    for place, what, before, after in _pairs(then, now):
        if after.startswith(UNKNOWN):
            unread.append(f"{what} in {place} ({after.removeprefix(UNKNOWN)})")
        elif before.startswith(UNKNOWN):
            unknown.append(f"{what} in {place} ({before.removeprefix(UNKNOWN)})")
        elif before != after and what == "release":
            differs.append(
                f"{place} had the release {before or 'unknown'}, and has {after or 'unknown'}"
            )
        elif before != after:
            differs.append(f"{what} of {place}" if place != ROUTING else "the routing")
    return differs, unknown, unread


def _pairs(
    then: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    for place in [*now, *(each for each in then if each not in now)]:
        before, after = then.get(place, {}), now.get(place, {})
        for what in [*after, *(each for each in before if each not in after)]:
            yield place, what, str(before.get(what, "")), str(after.get(what, ""))


def _release(environment: Environment, shelf: Shelf, region: str) -> str:
    return release_of(History.read(shelf), region, environment)


def _routing(environment: Environment) -> Settings:
    route53 = environment.client("route53", environment.primary)
    outputs = environment.outputs.to_json()
    settings: dict[str, object] = {name: outputs.get(name) for name in _ROUTING_OUTPUTS}
    for region, id in environment.outputs.endpoint_health_check_ids.items():
        config = route53.get_health_check(HealthCheckId=id)["HealthCheck"]["HealthCheckConfig"]
        settings |= {f"{region}, {key}": config.get(key) for key in _CHECK_KEYS}
    return settings


def _digest(read: Callable[[], Settings]) -> str:
    return sha256(canonical({name: text_of(value) for name, value in read().items()}))


def _known(read: Callable[[], str]) -> str:
    try:
        return read()
    except Exception as error:  # a malformed response, too
        return f"{UNKNOWN}{explain(error)}"
