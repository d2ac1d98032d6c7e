"""Patches of CloudWatch: alarms as they are read back, and what they look at."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from sandbox.emulator import module, replace

_FEW_SAMPLES = "EvaluateLowSampleCountPercentile"
_ASKED = (
    "AlarmNames", "AlarmTypes", "AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken",
)  # fmt: skip


def alarm_is_described_whole() -> None:
    """``DescribeAlarms`` answers with everything that an alarm was given.

    AWS: the same members in every protocol.
    MiniStack 1.5.33: leaves out actions, dimensions, period, statistic, description and what
    missing data counts as in the query protocol, which the Terraform provider speaks; forgets what
    few samples of a percentile count as, and adds a statistic to it. Every plan wants to set them
    again.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    """
    cloudwatch = module("services.cloudwatch")

    def describing(original: Any) -> Any:
        def describe_alarms(
            params: Any, cbor_data: Any, is_cbor: bool, is_json: bool = False
        ) -> Any:
            if is_cbor or is_json:
                return original(params, cbor_data, is_cbor, is_json)
            given = _reader(cloudwatch, params, None)
            asked = {name: value for name in _ASKED if (value := given(name))}
            status, headers, body = original({}, asked, False, is_json=True)
            if status != 200:
                return status, headers, body
            found = json.loads(body)
            for alarm in found["MetricAlarms"]:
                if alarm.get("ExtendedStatistic"):
                    del alarm["Statistic"]
            return cloudwatch._xml(
                200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{_xml(found)}"
                "</DescribeAlarmsResult>",
            )  # fmt: skip

        return describe_alarms

    def putting(original: Any) -> Any:
        def put_metric_alarm(
            params: Any, cbor_data: Any, is_cbor: bool, is_json: bool = False
        ) -> Any:
            answer = original(params, cbor_data, is_cbor, is_json)
            given = _reader(cloudwatch, params, cbor_data if is_cbor or is_json else None)
            if answer[0] == 200 and (counted_as := given(_FEW_SAMPLES)):
                cloudwatch._alarms[given("AlarmName")][_FEW_SAMPLES] = counted_as
            return answer

        return put_metric_alarm

    replace(cloudwatch, "_describe_alarms", describing)
    replace(cloudwatch, "_put_metric_alarm", putting)


def _xml(value: Any) -> str:
    """A JSON value as the query protocol writes it; what is unset is left out."""
    if isinstance(value, dict):
        return "".join(
            f"<{name}>{_xml(_time(inner) if name.endswith('Timestamp') else inner)}</{name}>"
            for name, inner in value.items()
            if inner is not None
        )
    if isinstance(value, list):
        return "".join(f"<member>{_xml(inner)}</member>" for inner in value)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(str(value))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def alarm_looks_at_its_own_dimensions() -> None:
    """An alarm goes off by the metric with its dimensions, and by no other.

    AWS: each combination of dimensions is a separate metric.
    MiniStack 1.5.33: takes the metrics of that name with any dimensions, so that one unhealthy
    health check turns the alarms of all.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
    """
    cloudwatch: Any = module("services.cloudwatch")

    def evaluating(original: Any) -> Any:
        def evaluate_alarm(alarm: dict[str, Any]) -> None:
            key = cloudwatch._dims_key({d["Name"]: d["Value"] for d in alarm["Dimensions"]})
            every = cloudwatch._metrics
            own = {name: points for name, points in every.items() if name[2] == key}
            cloudwatch._metrics = own
            try:
                original(alarm)
            finally:
                cloudwatch._metrics = every

        return evaluate_alarm

    replace(cloudwatch, "_evaluate_alarm", evaluating)


_SUM = "SUM(FILL(METRICS(), 0))"


def alarm_watches_a_sum() -> None:
    """An alarm may watch what several metrics add up to.

    AWS: ``Metrics`` of ``PutMetricAlarm`` take the place of one metric, and are described again.
    MiniStack 1.5.33: drops them. Here they are kept, and looked at whenever alarms are described;
    the one thing that is known is the sum, with silence as 0, above a threshold.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
    """
    cloudwatch: Any = module("services.cloudwatch")

    def putting(original: Any) -> Any:
        def put_metric_alarm(
            params: Any, cbor_data: Any, is_cbor: bool, is_json: bool = False
        ) -> Any:
            given = _reader(cloudwatch, params, cbor_data if is_cbor or is_json else None)
            queries = given("Metrics")
            if queries and not _is_sum(queries, given("ComparisonOperator")):
                return cloudwatch._error(
                    "ValidationError",
                    f"the local AWS only knows {_SUM} of sums, above a threshold",
                    400, use_json=is_json, use_cbor=is_cbor,
                )  # fmt: skip
            answer = original(params, cbor_data, is_cbor, is_json)
            if answer[0] == 200 and queries:
                alarm = cloudwatch._alarms[given("AlarmName")]
                for of_one in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
                    del alarm[of_one]
                alarm["Metrics"] = queries
            return answer

        return put_metric_alarm

    def describing(original: Any) -> Any:
        def describe_alarms(*request: Any, **protocol: Any) -> Any:
            for alarm in cloudwatch._alarms.values():
                if "Metrics" in alarm:
                    _evaluate_sum(cloudwatch, alarm)
            return original(*request, **protocol)

        return describe_alarms

    def evaluating(original: Any) -> Any:
        def evaluate_alarm(alarm: dict[str, Any]) -> None:
            if "Metrics" not in alarm:
                original(alarm)

        return evaluate_alarm

    replace(cloudwatch, "_put_metric_alarm", putting)
    replace(cloudwatch, "_describe_alarms", describing)
    replace(cloudwatch, "_evaluate_alarm", evaluating)


def _is_sum(queries: list[dict[str, Any]], comparison: str) -> bool:
    expressions = [query["Expression"] for query in queries if "Expression" in query]
    statistics = {query["MetricStat"]["Stat"] for query in queries if "MetricStat" in query}
    return (expressions, statistics, comparison) == ([_SUM], {"Sum"}, "GreaterThanThreshold")


def _evaluate_sum(cloudwatch: Any, alarm: dict[str, Any]) -> None:
    # What each period adds up to; 0 is the present one, 1 the one before.
    sums: Counter[int] = Counter()
    for watched in (query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query):
        metric = watched["Metric"]
        dimensions = cloudwatch._dims_from_list(metric.get("Dimensions") or [])
        key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
        for point in cloudwatch._metrics.get(key, ()):
            ago = int((time.time() - point["Timestamp"]) // watched["Period"])
            sums[ago] += cloudwatch._point_stats(point)[1]
    periods = alarm["EvaluationPeriods"]
    breaching = [ago for ago in range(periods) if sums[ago] > alarm["Threshold"]]
    before = alarm["StateValue"]
    after = "ALARM" if len(breaching) >= alarm.get("DatapointsToAlarm", periods) else "OK"
    if after != before:
        reason = f"Threshold Crossed: {len(breaching)} of {periods} periods"
        alarm |= {
            "StateValue": after, "StateReason": reason, "StateUpdatedTimestamp": int(time.time()),
        }  # fmt: skip
        cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
        cloudwatch._evaluate_parent_alarms(alarm)


# --- Requests, as any protocol has them


def _reader(
    cloudwatch: Any, params: Any, structured: dict[str, Any] | None
) -> Callable[[str], Any]:
    """Reads a request's members by name: from JSON or CBOR, or else from the query protocol."""
    if structured is not None:
        return structured.get

    def given(name: str) -> Any:
        # A.member.1.B is B of the first in the list A.
        if name in params:
            value = cloudwatch._p(params, name)
            if name.endswith(".Period"):
                return int(value)
            return value == "true" if name.endswith(".ReturnData") else value
        inside = f"{name}."
        inner = {key.removeprefix(inside).split(".")[0] for key in params if key.startswith(inside)}
        if inner == {"member"}:
            members = (given(f"{inside}member.{number}") for number in itertools.count(1))
            return list(itertools.takewhile(lambda member: member is not None, members))
        return {key: given(inside + key) for key in inner} or None

    return given
