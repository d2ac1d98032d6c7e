"""How long DNS takes to follow the failover switch.

Only for the operator to know: it asks Route 53's control plane, which the switch does not need.
"""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from ops.environment import Environment

DEFAULT_INTERVAL_SECONDS = 30
DEFAULT_FAILURE_THRESHOLD = 3
"""What Route 53 takes for a health check that says nothing else.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
"""
ALIAS_TTL_SECONDS = 60
"""Time to live of the API's DNS answers.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html
"""


@dataclass(frozen=True)
class Timing:
    """How long DNS takes to follow the switch, at AWS's pace and on the clock.

    Attributes:
        interval_seconds: Between two requests of one health checker.
        failure_threshold: Results in a row that change its mind.
        speed: How much faster than AWS the environment runs.
        assumed: Why these are Route 53's defaults and not the health check's own; empty if they are
            its own.
    """

    interval_seconds: int
    failure_threshold: int
    speed: float = 1.0
    assumed: str = ""

    @property
    def route53_seconds(self) -> int:
        """Until Route 53 has seen it, on AWS."""
        return self.interval_seconds * self.failure_threshold

    @property
    def customers_seconds(self) -> int:
        """Until the last customer's resolver has asked again, on AWS."""
        return self.route53_seconds + ALIAS_TTL_SECONDS

    @property
    def here_seconds(self) -> tuple[float, float]:
        """Both at the environment's own pace."""
        return self.route53_seconds / self.speed, self.customers_seconds / self.speed


def timing(environment: Environment) -> Timing:
    """How long DNS takes to follow, from the switch's health check if Route 53's API answers.

    Args:
        environment: An environment with a switch.

    Returns:
        The health check's own values, or Route 53's defaults and why.
    """
    switch = environment.outputs["switch"]
    try:
        check = environment.client("route53", switch["region"]).get_health_check(
            HealthCheckId=switch["health_check_id"]
        )["HealthCheck"]["HealthCheckConfig"]
    except (BotoCoreError, ClientError) as error:
        return Timing(
            DEFAULT_INTERVAL_SECONDS,
            DEFAULT_FAILURE_THRESHOLD,
            environment.speed,
            assumed=f"Route 53's API, which the switch does not need, did not answer: {error}",
        )
    return Timing(
        check.get("RequestInterval", DEFAULT_INTERVAL_SECONDS),
        check.get("FailureThreshold", DEFAULT_FAILURE_THRESHOLD),
        environment.speed,
    )
