"""How long a failover may take, by the environment's own health checks and Route 53's documents.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from dataclasses import dataclass, replace

from ops.drill.fault import DrillFault
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.switch_timing import DEFAULT_FAILURE_THRESHOLD, DEFAULT_INTERVAL_SECONDS

CHECKER_CONFIDENCE = 0.999
"""Share of the checkers that a partial failure must have convinced."""


@dataclass(frozen=True)
class Pace:
    """Times of the customers' requests, in seconds on this machine's clock.

    Attributes:
        interval_seconds: Between two rounds.
        timeout_seconds: When a request is given up.
    """

    interval_seconds: float
    timeout_seconds: float

    @classmethod
    def at_speed(cls, speed: float, customers: int = 1) -> "Pace":
        """A round a second and a time-out of five seconds, on AWS.

        Args:
            speed: How much faster than on AWS the environment runs; the requests themselves do not,
                hence the floors.
            customers: How many kinds of customers send a round each: one machine has to follow.
        """
        return cls(max(0.2 * customers, 1 / speed), max(1.0, 5 / speed))

    @classmethod
    def of(cls, environment: Environment) -> "Pace":
        """The pace of an environment: with latency routing, each Region has customers.

        Args:
            environment: The environment at the speed of the drill.
        """
        return cls.at_speed(environment.speed, kinds_of_customers(environment))


@dataclass(frozen=True)
class Expectation:
    """The parts of the time that customers wait for a failover, in seconds on AWS.

    Attributes:
        interval_seconds: Time between two requests of a checker.
        failures: Requests it takes until nearly every checker believes in the failure.
        ttl_seconds: Time to live of the DNS answers.
        probe_seconds: One probe: the time to the next one and until it is given up.
        preceding_seconds: What precedes the fault, which nobody waits for but the drill.
    """

    interval_seconds: float
    failures: int
    ttl_seconds: float
    probe_seconds: float
    preceding_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.interval_seconds * self.failures + self.ttl_seconds + self.probe_seconds

    def __str__(self) -> str:
        return (
            f"{self.seconds:g} s = {self.interval_seconds:g} s interval x {self.failures} checks + "
            f"{self.ttl_seconds:g} s time to live + {self.probe_seconds:g} s for one probe"
        )


def kinds_of_customers(environment: Environment) -> int:
    """Count the places of customers whom DNS answers differently.

    Args:
        environment: The environment.
    """
    return len(environment.regions) if environment.outputs.routing_policy == "latency" else 1


def checks_until_detected(failure_threshold: int, share: float = 1.0) -> int:
    """Count the requests of a checker until it has seen enough failures in a row.

    Args:
        failure_threshold: Failures in a row that convince a checker.
        share: Share of the requests that fail, more than 0 and at most 1.

    Returns:
        The threshold if all fail; else so many that `CHECKER_CONFIDENCE` of the checkers, or more,
        have had such a run.
    """
    # Chance of a run of i failures so far and none of the full length before.
    chances = [1.0] + [0.0] * (failure_threshold - 1)
    detected, checks = 0.0, 0
    while detected < CHECKER_CONFIDENCE:
        detected += chances[-1] * share
        chances = [sum(chances) * (1 - share), *(chance * share for chance in chances[:-1])]
        checks += 1
    return checks


def expect(
    *,
    interval_seconds: float,
    failure_threshold: int,
    ttl_seconds: float,
    probe_seconds: float,
    share: float = 1.0,
) -> Expectation:
    """Add up how long a failover may take.

    Args:
        interval_seconds: Time between two requests of a checker.
        failure_threshold: Failures in a row that convince a checker.
        ttl_seconds: Time to live of the DNS answers, on AWS.
        probe_seconds: Time to the next probe and until it is given up, on AWS.
        share: Share of the requests that fail.
    """
    checks = checks_until_detected(failure_threshold, share)
    return Expectation(interval_seconds, checks, ttl_seconds, probe_seconds)


def expectation_of(environment: Environment, fault: DrillFault) -> Expectation:
    """Add up how long a failover may take: interval x threshold, time to live, and one probe.

    Args:
        environment: The environment.
        fault: The fault; where a share of the requests fails, checkers need longer.

    Raises:
        OpsError: Route 53 does not describe the health check.
    """
    check_id = fault.health_check_id(environment)
    try:
        check = environment.client("route53", environment.primary).get_health_check(
            HealthCheckId=check_id
        )
        config = check["HealthCheck"]["HealthCheckConfig"]
    except Exception as error:  # a malformed response, too
        raise OpsError(
            f"Route 53 does not describe the health check {check_id}: {explain(error)}",
            next_step=f"check the credentials: python -m ops verify {environment.selector}",
        ) from error
    pace = Pace.of(environment)
    expectation = expect(
        interval_seconds=config.get("RequestInterval", DEFAULT_INTERVAL_SECONDS),
        failure_threshold=config.get("FailureThreshold", DEFAULT_FAILURE_THRESHOLD),
        ttl_seconds=environment.outputs.answer_ttl_seconds,
        probe_seconds=(pace.interval_seconds + pace.timeout_seconds) * environment.speed,
        share=fault.share,
    )
    return replace(expectation, preceding_seconds=fault.preceding_seconds(environment))
