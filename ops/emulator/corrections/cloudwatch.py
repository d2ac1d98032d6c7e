"""Corrections of CloudWatch: alarms as they are read back, and what they look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from ops.emulator.corrections.replacing import module, replace

_FEW_SAMPLES = "EvaluateLowSampleCountPercentile"


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
            asked: dict[str, Any] = {
                name: value
                for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")
                if (value := cloudwatch._p(params, name))
            }
            for name in ("AlarmNames", "AlarmTypes"):
                asked[name] = list(_members(cloudwatch, params, name))
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

            def given(name: str) -> Any:
                return cbor_data.get(name) if is_cbor or is_json else cloudwatch._p(params, name)

            if answer[0] == 200 and (counted_as := given(_FEW_SAMPLES)):
                cloudwatch._alarms[given("AlarmName")][_FEW_SAMPLES] = counted_as
            return answer

        return put_metric_alarm

    replace(cloudwatch, "_describe_alarms", describing)
    replace(cloudwatch, "_put_metric_alarm", putting)


def _members(cloudwatch: Any, params: Any, name: str) -> Iterator[str]:
    number = 1
    while value := cloudwatch._p(params, f"{name}.member.{number}"):
        yield str(value)
        number += 1


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

    AWS: each combination of dimensions is a metric of its own.
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
