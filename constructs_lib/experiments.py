"""The experiments that drills on AWS start, if the environment has them."""

from collections.abc import Mapping

from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.fis.replication_pause import ReplicationPause
from constructs_lib.layout import Layout
from constructs_lib.settings import Settings

REPLICATION_PAUSED = "replication-paused"
"""The fault of a drill that pauses replication."""
STOPPING_ALARMS = ("server_errors", "latency")
"""The alarms that stop an experiment: what customers of the Region notice.

A paused replication makes no request fail, so they mean a second failure, while a failover would
lose what has not been replicated. The alarms on replication are no stop conditions: the drill is to
raise them.
"""


def add_experiments(
    settings: Settings,
    *,
    name: str,
    layout: Layout,
    table_arns: Mapping[str, str],
    topics: Mapping[str, AlarmTopic],
    key_arns: Mapping[str, str],
) -> dict[str, dict[str, ReplicationPause]]:
    """Create in each Region what its experiments need, where its API is.

    Args:
        settings: The environment.
        name: Prefix of the names of what is created.
        layout: Where its parts are.
        table_arns: `{region: ARN}` of the table's replicas.
        topics: `{region: topic}` with the Region's alarms.
        key_arns: `{region: ARN}` of the key that encrypts logs; empty for none.

    Returns:
        `{fault of a drill: {region: what injects it}}`; empty without experiments.
    """
    if not settings.drills.fault_injection_service:
        return {}
    return {
        REPLICATION_PAUSED: {
            region: ReplicationPause(
                place.stack,
                f"{place.providers[region].alias}_replication_pause",
                provider=place.providers[region],
                region=region,
                name=name,
                table_arn=table_arns[region],
                alarm_arns=[topics[region].alarms[id].arn for id in STOPPING_ALARMS],
                minutes=settings.drills.experiment_minutes,
                retention_days=settings.api.log_retention_days,
                kms_key_arn=key_arns.get(region),
            )
            for region, place in layout.regions.items()
        }
    }
