"""An alarm on customers whom the standby serves: a failover, told by the Region that took over.

The alarms on health checks need us-east-1, and are silent when it is lost. This one needs nothing
but the standby.
"""

from collections.abc import Mapping

from constructs_lib.cloudwatch.alarm_topic import MAX_SUMMED_METRICS, AlarmTopic

EVALUATED_PERIODS = 10
"""More minutes than other alarms look at: with few customers it shall not come and go."""


def add_standby_alarm(topic: AlarmTopic, *, region: str, functions: Mapping[str, str]) -> None:
    """Adds the alarm. It goes off when customers were served in three minutes of ten.

    API Gateway's own count would hold Route 53's checkers, and strangers, whom it turns away before
    a function runs.

    Args:
        topic: A topic in the standby Region.
        region: The Region, for the text.
        functions: `{operation: name of the function}` of what only customers can call. An alarm
            takes `MAX_SUMMED_METRICS` of them: for more there are more alarms.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    watched = list(functions.items())
    for number, first in enumerate(range(0, len(watched), MAX_SUMMED_METRICS), start=1):
        topic.alarm_on_sum(
            "standby_serves" if number == 1 else f"standby_serves_{number}",
            description=f"{region}, the standby, serves customers: Route 53 has failed over, the "
            "switch is engaged, or somebody calls the Region itself. See docs/runbooks/"
            "failover-and-failback.md.",
            namespace="AWS/Lambda",
            metric="Invocations",
            dimension="FunctionName",
            values=dict(watched[first : first + MAX_SUMMED_METRICS]),
            threshold=0,
            evaluated_periods=EVALUATED_PERIODS,
        )
