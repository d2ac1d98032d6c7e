"""How long DNS takes to follow the switch, as the health check in Route 53 says."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from ops.deadline import Limit
from ops.environment import Environment
from ops.errors import explain
from ops.switch import require

DEFAULT_INTERVAL_SECONDS = 30
DEFAULT_FAILURE_THRESHOLD = 3
"""Route 53's defaults of a health check.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
"""
TIMING_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Timing:
    """How long DNS takes to follow the switch.

    Attributes:
        interval_seconds: Between two requests of one health checker.
        failure_threshold: Results in a row that change its state.
        ttl_seconds: Time to live of the DNS answers.
        speed: How much faster than on AWS the environment runs.
        assumed: Why these are Route 53's defaults and not the health check's own; empty if they are
            its own.
    """

    interval_seconds: int
    failure_threshold: int
    ttl_seconds: int
    speed: float = 1.0
    assumed: str = ""

    @property
    def route53_seconds(self) -> int:
        """Until Route 53 has seen it, on AWS."""
        return self.interval_seconds * self.failure_threshold

    @property
    def customers_seconds(self) -> int:
        """Until the last customer's resolver has asked again, on AWS."""
        return self.route53_seconds + self.ttl_seconds

    @property
    def here_seconds(self) -> tuple[float, float]:
        """Both at the environment's speed."""
        return self.route53_seconds / self.speed, self.customers_seconds / self.speed


def timing_of(environment: Environment, region: str, *, limit: Limit | None = None) -> Timing:
    """Find out how long DNS takes to follow, for the operator to know.

    It asks Route 53's control plane, which the switch itself does not need.

    Args:
        environment: An environment with a switch.
        region: The Region that is evacuated or restored.
        limit: What is left of the command's time.

    Returns:
        The health check's own values, or Route 53's defaults and why.
    """
    id = next(iter(require(environment, region).health_check_ids[region].values()))
    config, assumed = {}, ""
    try:
        config = (limit or Limit(TIMING_TIMEOUT_SECONDS)).within(
            partial(_health_check, environment, id), at_most=TIMING_TIMEOUT_SECONDS
        )
    except Exception as error:
        # Whatever it is, it must not hide what the switch has done.
        reason = explain(error)
        assumed = f"Route 53's API, which the switch does not need, did not respond: {reason}"
    return Timing(
        config.get("RequestInterval", DEFAULT_INTERVAL_SECONDS),
        config.get("FailureThreshold", DEFAULT_FAILURE_THRESHOLD),
        environment.outputs.answer_ttl_seconds,
        environment.speed,
        assumed,
    )


def _health_check(environment: Environment, id: str) -> dict[str, Any]:
    # A global service: whichever Region its client is for, it is the same.
    found = environment.client("route53", environment.secondary).get_health_check(HealthCheckId=id)
    return dict(found["HealthCheck"]["HealthCheckConfig"])
