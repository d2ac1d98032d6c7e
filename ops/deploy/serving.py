"""Which Region serves customers now, and which ones a stack serves."""

from dataclasses import dataclass

from ops.environment import Environment


@dataclass(frozen=True)
class Serving:
    """What a request to the domain name got.

    Attributes:
        region: Region that served it; None if no response names one.
        found: What was found, for people.
    """

    region: str | None
    found: str


def serving(environment: Environment) -> Serving:
    """Call the domain name as customers do.

    Args:
        environment: The environment.
    """
    outputs = environment.outputs
    url = f"https://{outputs.record_name}{outputs.health_path}"
    response = environment.network.request("GET", url)
    if response.ok and response.region:
        role = outputs.roles.get(response.region)
        named = f"{response.region} ({role})" if role else response.region
        return Serving(response.region, f"{named} serves customers now")
    return Serving(None, f"unknown which Region serves customers: GET {url}: {response.summary}")


def regions_of(environment: Environment, stack: str) -> tuple[str, ...]:
    """Regions that serve from a stack.

    Args:
        environment: The environment.
        stack: Name of the stack.
    """
    if stack == environment.name:
        return environment.regions
    return tuple(
        region for region in environment.regions if stack == f"{environment.name}-{region}"
    )
