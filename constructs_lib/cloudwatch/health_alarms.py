"""Alarms on Route 53's health checks: a Region counts as lost, or the switch is engaged.

The metrics of health checks, and so their alarms and the topic, exist in us-east-1 only.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html
"""

from collections.abc import Mapping

from constructs_lib.cloudwatch.alarm_topic import AlarmTopic

HEALTH_METRICS_REGION = "us-east-1"


def add_health_alarms(topic: AlarmTopic, health_checks: Mapping[str, tuple[str, str]]) -> None:
    """Adds an alarm for each health check.

    Args:
        topic: A topic in `HEALTH_METRICS_REGION`.
        health_checks: `{name: (id of the health check, what it means when unhealthy)}`.
    """
    for name, (health_check_id, meaning) in health_checks.items():
        topic.alarm(
            f"health_{name}",
            description=meaning,
            namespace="AWS/Route53",
            metric="HealthCheckStatus",
            dimensions={"HealthCheckId": health_check_id},
            statistic="Minimum",
            threshold=1,
            comparison="LessThanThreshold",
            # Route 53 has decided already: no need to wait longer. No data is no good news.
            missing="breaching",
            evaluated_periods=1,
            breaching_periods=1,
        )
