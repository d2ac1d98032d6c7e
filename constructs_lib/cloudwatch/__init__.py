"""Alarms and the dashboard: what tells people of a failover. Failover itself depends on neither."""

from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.cloudwatch.dashboard import Dashboard, WatchedRegion
from constructs_lib.cloudwatch.failure_metric import FailureMetric
from constructs_lib.cloudwatch.health_alarms import HEALTH_METRICS_REGION, add_health_alarms
from constructs_lib.cloudwatch.regional_alarms import add_regional_alarms
from constructs_lib.cloudwatch.standby_alarm import add_standby_alarm

__all__ = [
    "HEALTH_METRICS_REGION",
    "AlarmTopic",
    "Dashboard",
    "FailureMetric",
    "WatchedRegion",
    "add_health_alarms",
    "add_regional_alarms",
    "add_standby_alarm",
]
