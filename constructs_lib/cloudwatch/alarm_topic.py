"""The SNS topic for the alarms of one Region, with e-mail subscribers.

An alarm acts in its own Region only, so each Region with alarms has a topic.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

PERIOD_SECONDS = 60
EVALUATED_PERIODS = 5
BREACHING_PERIODS = 3
"""An alarm fires when so many of the evaluated periods breach: one bad minute wakes nobody."""

MAX_SUMMED_METRICS = 10
"""How many metrics CloudWatch lets one alarm take together."""


class AlarmTopic(Construct):
    """A topic of one Region, and the alarms that publish to it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        emails: Sequence[str] = (),
        kms_key_arn: str | None = None,
        topic_arn: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the topic and its subscriptions.

        Args:
            scope: The construct that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            name: Name of the topic, and prefix of the alarms' names.
            emails: Who is notified; each confirms a mail that AWS sends first.
            kms_key_arn: Key in the Region that encrypts messages, which CloudWatch may use; None
                for no key.
            topic_arn: A topic of the Region that another stack has created with the rest; None
                creates one.
            tags: Tags of the topic and the alarms.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
        """
        super().__init__(scope, id)
        self._provider, self._name, self._tags = provider, name, dict(tags or {})
        self.alarms: dict[str, CloudwatchMetricAlarm] = {}
        """`{id: alarm}` of the alarms that were added."""
        self.arn = topic_arn or ""
        """ARN of the topic; a token."""
        if topic_arn:
            return
        topic = SnsTopic(
            self,
            "topic",
            provider=provider,
            name=f"{name}-alarms",
            kms_master_key_id=kms_key_arn,
            tags=self._tags,
        )
        self.arn = topic.arn
        for number, email in enumerate(emails):
            SnsTopicSubscription(
                self,
                f"email_{number}",
                provider=provider,
                topic_arn=self.arn,
                protocol="email",
                endpoint=email,
            )

    def alarm(
        self,
        id: str,
        *,
        description: str,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        threshold: float,
        statistic: str,
        comparison: str = "GreaterThanThreshold",
        missing: str = "notBreaching",
        period_seconds: int = PERIOD_SECONDS,
        evaluated_periods: int = EVALUATED_PERIODS,
        breaching_periods: int = BREACHING_PERIODS,
    ) -> CloudwatchMetricAlarm:
        """Add an alarm that publishes to the topic when it fires and when it clears.

        Args:
            id: Unique within the topic; part of the alarm's name.
            description: What it means, and where to look: the text of the mail.
            namespace: Namespace of the metric.
            metric: Name of the metric.
            dimensions: `{name: value}` of the metric.
            threshold: What a period's value is compared with.
            statistic: `Sum`, `Average`, `Minimum`, `Maximum`, or a percentile such as `p99`.
            comparison: CloudWatch's name of the comparison.
            missing: What a period without data counts as.
            period_seconds: Length of a period: 60, or a multiple of it up to a day.
            evaluated_periods: How many periods are looked at.
            breaching_periods: How many of them must breach.

        Returns:
            The alarm.
        """
        percentile = statistic.startswith("p")
        return self._alarm(
            id,
            description=description,
            namespace=namespace,
            metric_name=metric,
            dimensions=dict(dimensions),
            statistic=None if percentile else statistic,
            extended_statistic=statistic if percentile else None,
            # With few requests a percentile is one request: it is not worth waking anybody.
            evaluate_low_sample_count_percentiles="ignore" if percentile else None,
            period=period_seconds,
            evaluation_periods=evaluated_periods,
            datapoints_to_alarm=breaching_periods,
            threshold=threshold,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )

    def alarm_on_sum(
        self,
        id: str,
        *,
        description: str,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, Mapping[str, str]],
        threshold: float,
        evaluated_periods: int = EVALUATED_PERIODS,
        breaching_periods: int = BREACHING_PERIODS,
    ) -> CloudwatchMetricAlarm:
        """Add an alarm on what metrics that differ in their dimensions add up to.

        Args:
            id: Unique within the topic; part of the alarm's name.
            description: What it means, and where to look: the text of the mail.
            namespace: Namespace of the metrics.
            metric: Name of the metrics; the sum of each is taken.
            dimensions: `{what the metric is called: its dimensions}`, `MAX_SUMMED_METRICS` at most;
                names consist of letters, digits and underscores.
            threshold: The alarm fires above it.
            evaluated_periods: How many minutes are looked at; of the newest one, CloudWatch may
                not have all metrics yet.
            breaching_periods: How many of them must breach.

        Returns:
            The alarm.

        Raises:
            ValueError: There are no metrics, or too many for one alarm.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
        """
        if not 1 <= len(dimensions) <= MAX_SUMMED_METRICS:
            raise ValueError(
                f"{len(dimensions)} metrics cannot be one alarm, {id}: "
                f"take 1 to {MAX_SUMMED_METRICS}"
            )
        return self._alarm(
            id,
            description=description,
            metric_query=[
                CloudwatchMetricAlarmMetricQuery(
                    id="sum",
                    # Missing data counts as 0: a minute without requests is evaluated, instead
                    # of an older one.
                    expression="SUM(FILL(METRICS(), 0))",
                    label=f"{metric}, together",
                    return_data=True,
                ),
                *(
                    CloudwatchMetricAlarmMetricQuery(
                        id=f"of_{name}",
                        return_data=False,
                        metric=CloudwatchMetricAlarmMetricQueryMetric(
                            namespace=namespace,
                            metric_name=metric,
                            dimensions=dict(each),
                            period=PERIOD_SECONDS,
                            stat="Sum",
                        ),
                    )
                    for name, each in dimensions.items()
                ),
            ],
            evaluation_periods=evaluated_periods,
            datapoints_to_alarm=breaching_periods,
            threshold=threshold,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
        )

    def _alarm(self, id: str, *, description: str, **watched: Any) -> CloudwatchMetricAlarm:
        alarm = self.alarms[id] = CloudwatchMetricAlarm(
            self,
            id,
            provider=self._provider,
            alarm_name=f"{self._name}-{id.replace('_', '-')}",
            alarm_description=description,
            alarm_actions=[self.arn],
            ok_actions=[self.arn],
            tags=self._tags,
            **watched,
        )
        return alarm
