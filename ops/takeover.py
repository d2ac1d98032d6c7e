"""Which Regions would serve if one is evacuated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ops.deadline import gathered
from ops.environment import Environment
from ops.errors import explain
from ops.switch import GRACE_SECONDS, others, statuses
from ops.verify.health_states import endpoint_states


@dataclass(frozen=True)
class Takeover:
    """The other Regions.

    Attributes:
        fit: Those that are healthy, and not evacuated.
        unfit: `{region: why it would not serve}`.
        unknown: `{region: what is not known of it}`.
    """

    fit: tuple[str, ...]
    unfit: Mapping[str, str]
    unknown: Mapping[str, str]

    @property
    def is_possible(self) -> bool:
        """Whether a Region takes over, for all that is known."""
        return bool(self.fit or self.unknown)


def takeover(environment: Environment, region: str) -> Takeover:
    """Find out which Regions would serve if one is evacuated.

    What does not respond is not waited for when the rest is known.

    Args:
        environment: The environment.
        region: The Region to evacuate.
    """
    reading: dict[str, Callable[[], Any]] = {
        "evacuations": partial(statuses, environment),
        "health": partial(endpoint_states, environment),
    }
    asked, errors = gathered(reading, GRACE_SECONDS * environment.patience)
    evacuations, silent = asked.get("evacuations", ({}, {}))
    health, ids = asked.get("health", {}), environment.outputs.endpoint_health_check_ids
    fit, unfit, unknown = [], dict[str, str](), dict[str, str]()
    for other in others(environment, region):
        evacuation, state = evacuations.get(other), health.get(ids[other])
        gaps = []
        if evacuation is None:
            why = silent.get(other) or errors["evacuations"]
            gaps.append(f"whether it is evacuated ({explain(why)})")
        if state is None or state.healthy is None:
            why_not = state.found if state else _explained(errors.get("health"))
            gaps.append(f"whether it is healthy ({why_not})")
        if evacuation and evacuation.evacuated:
            unfit[other] = str(evacuation)
        elif state and state.healthy is False:
            unfit[other] = f"unhealthy: {state.found}"
        elif gaps:
            unknown[other] = " and ".join(gaps)
        else:
            fit.append(other)
    return Takeover(tuple(fit), unfit, unknown)


def _explained(error: Exception | None) -> str:
    return explain(error) if error else "it has no state yet"
