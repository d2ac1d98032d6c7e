"""What a function logs: one line of JSON for a request, with its metrics in it.

The line goes to standard output; Lambda passes JSON on to CloudWatch Logs as it is, and its filter
of log levels reads `level` and `timestamp`. CloudWatch makes metrics of what `_aws` names, in the
embedded metric format. Names and units of the metrics are in `metrics.json`, for dashboards too.

A line holds what AWS or this code has named: ids, the operation, a status, times, kinds of errors.
Nothing of it comes from a path, a query, a header or a body, nor from the message of an exception,
which may quote them. The trace id, which a caller may choose, is logged only if it is one. A line
that cannot be written is given up, and the request is answered.

Reads the environment variables that Lambda sets: `AWS_LAMBDA_FUNCTION_NAME`, `AWS_REGION` and
`_X_AMZN_TRACE_ID`, which changes with every request.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import json
import os
import re
import sys
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from weather.errors import Unavailable, WritesRefused

_METRICS: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("metrics.json").read_text("utf-8")
)
_TRACE: Final = re.compile(r"\bRoot=(1-[0-9a-f]{8}-[0-9a-f]{24})\b")


class Telemetry:
    """Tells of the requests that one function serves.

    Args:
        operation: Name of the operation.
        quiet: Tell of failures and of the first request only: for operations that health checkers
            call day and night, whose successes Route 53 and API Gateway count.
    """

    def __init__(self, operation: str, *, quiet: bool) -> None:
        self._operation = operation
        self._quiet = quiet
        self._function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or operation
        self._cold = True

    def log(
        self,
        *,
        status: int,
        seconds: float,
        request_id: str,
        function_request_id: str | None,
        error: Exception | None,
    ) -> None:
        """Write the line of one request; never raises.

        Args:
            status: HTTP status of the answer.
            seconds: What the answer took, without the start of the function.
            request_id: API Gateway's id of the request.
            function_request_id: Lambda's id of the invocation, under which Lambda logs it, too.
            error: What was answered in place of a success; None for nothing.
        """
        cold, self._cold = self._cold, False
        if self._quiet and status < 500 and not cold:
            return
        with suppress(Exception):
            now = time.time()
            milliseconds = round(seconds * 1000, 3)
            line = {
                "level": "INFO" if status < 500 else "WARN" if status == 503 else "ERROR",
                "message": f"{self._operation} returned {status}",
                "operation": self._operation,
                "region": os.environ["AWS_REGION"],
                "status": status,
                "duration_ms": milliseconds,
                "cold_start": cold,
                "request_id": request_id,
                "function_request_id": function_request_id,
                "xray_trace_id": _trace_id(),
                **_error_members(error, status),
                **self._metric_members(error, status, milliseconds, cold, now),
            }
            _write(now, line)

    def _metric_members(
        self, error: Exception | None, status: int, milliseconds: float, cold: bool, now: float
    ) -> dict[str, Any]:
        """Write the metrics; a count that counts nothing is left out, and costs nothing.

        A quiet operation has no latency: that of failures and first requests alone would mislead.
        """
        values: dict[str, float] = {} if self._quiet else {"Latency": milliseconds}
        if cold:
            values["ColdStart"] = 1
        if isinstance(error, WritesRefused):
            values["WritesRefused"] = 1
        elif status == 503:
            values["TableUnavailable"] = 1
        elif status >= 500:
            values["Faults"] = 1
        return _metric_members(self._function_name, values, now)


def warn(metric: str, error: Exception) -> None:
    """Write a line about something that a request is served without; never raises.

    Args:
        metric: The metric that counts it.
        error: Why it is missing.
    """
    function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "unknown")
    with suppress(Exception):
        now = time.time()
        _write(
            now,
            {
                "level": "WARN",
                "message": metric,
                "region": os.environ["AWS_REGION"],
                "xray_trace_id": _trace_id(),
                **_error_members(error, 503),
                **_metric_members(function_name, {metric: 1}, now),
            },
        )


def _write(now: float, line: dict[str, Any]) -> None:
    timestamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    sys.stdout.write(f"{json.dumps({'timestamp': timestamp, **line})}\n")
    sys.stdout.flush()


def _metric_members(function_name: str, values: dict[str, float], now: float) -> dict[str, Any]:
    """Write metrics in the embedded metric format."""
    directive = {
        "Namespace": _METRICS["namespace"],
        "Dimensions": [[_METRICS["dimension"]]],
        "Metrics": [{"Name": name, "Unit": _METRICS["metrics"][name]} for name in values],
    }
    return {
        _METRICS["dimension"]: function_name,
        **values,
        "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
    }


def _trace_id() -> str | None:
    """The trace of X-Ray that the request belongs to, sampled or not."""
    found = _TRACE.search(os.environ.get("_X_AMZN_TRACE_ID", ""))
    return found[1] if found else None


def _error_members(error: Exception | None, status: int) -> dict[str, Any]:
    """Write what is known of an error: its type and, of a failure, its cause and where it arose."""
    if error is None:
        return {}
    members: dict[str, Any] = {"error": type(error).__name__}
    if status >= 500:
        members["notes"] = (
            [error.cause] if isinstance(error, Unavailable) else getattr(error, "__notes__", [])
        )
        members["stack"] = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return members
