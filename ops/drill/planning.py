"""What a drill may take, read from the environment's own health checks."""

from botocore.exceptions import BotoCoreError, ClientError

from ops.drill.expectation import Expectation, expect
from ops.drill.injection import Injection
from ops.drill.outcome import Pace
from ops.environment import Environment
from ops.errors import OpsError

ALIAS_TTL_SECONDS = 60
"""Time to live of the API's DNS answers.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html
"""


def expectation_of(environment: Environment, injection: Injection) -> Expectation:
    """What a failover may take: interval x threshold, time to live, and one probe.

    Args:
        environment: The environment.
        injection: What is broken; where a share of the requests fails, checkers need longer.

    Raises:
        OpsError: Route 53 does not tell of the health check.
    """
    if injection.kind == "switch":
        check_id = environment.outputs["switch"]["health_check_id"]
    else:
        check_id = environment.outputs["endpoint_health_check_ids"][injection.region]
    try:
        check = environment.client("route53", "us-east-1").get_health_check(HealthCheckId=check_id)
    except (BotoCoreError, ClientError) as error:
        raise OpsError(
            f"Route 53 does not tell of the health check {check_id}: {error}",
            next_step="check the credentials: python -m ops verify",
        ) from error
    config = check["HealthCheck"]["HealthCheckConfig"]
    pace = Pace.at_speed(environment.speed)
    return expect(
        interval_seconds=config.get("RequestInterval", 30),
        failure_threshold=config.get("FailureThreshold", 3),
        ttl_seconds=ALIAS_TTL_SECONDS,
        probe_seconds=(pace.interval_seconds + pace.timeout_seconds) * environment.speed,
        share=injection.detail.get("share", 1.0),
    )
