"""Corrections of Lambda: what it counts."""

from __future__ import annotations

import time
from typing import Any

from ops.emulator.corrections.replacing import module, replace


def invocations_are_counted() -> None:
    """Lambda counts every invocation, whoever invokes.

    AWS: ``Invocations``, ``Errors`` and ``Throttles`` of each function; what is throttled is no
    invocation.
    MiniStack 1.5.33: does not count what API Gateway invokes, counts what is throttled as invoked,
    and keeps each count by itself. Here a minute is one data point, so that an API that runs for
    days does not fill the memory; ``Duration`` is left out.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    gateway = module("services.apigateway_v1")
    functions = module("services.lambda_svc")

    def calling(original: Any) -> Any:
        async def call_lambda_raw(function_ref: str, event: Any, **scope: Any) -> Any:
            _, config, name = functions._get_func_record_for_ref_in_scope(function_ref, **scope)
            result, error = await original(function_ref, event, **scope)
            # What is throttled has been counted already.
            if error is None and config is not None and not result.get("throttle"):
                functions._run_with_function_config_scope(
                    config, functions._emit_lambda_metrics, name,
                    duration_ms=0, error=bool(result.get("error")), throttle=False,
                )  # fmt: skip
            return result, error

        return call_lambda_raw

    def counting(_original: Any) -> Any:
        def emit_lambda_metrics(
            function_name: str, *, error: bool, throttle: bool, **_unused: Any
        ) -> None:
            _count(function_name, "Throttles", throttle)
            if not throttle:
                _count(function_name, "Invocations", True)
                _count(function_name, "Errors", error)

        return emit_lambda_metrics

    replace(gateway, "_call_lambda_raw", calling)
    replace(functions, "_emit_lambda_metrics", counting)


def _count(function_name: str, metric: str, happened: bool) -> None:
    cloudwatch: Any = module("services.cloudwatch")
    dimensions = {"FunctionName": function_name}
    points = cloudwatch._metric_bucket(("AWS/Lambda", metric, cloudwatch._dims_key(dimensions)))
    minute = time.time() // 60 * 60
    if not points or points[-1]["Timestamp"] != minute:
        points.append({"Timestamp": minute, "Unit": "Count", "Dimensions": dimensions})
    counted = points[-1].get("_stat", {"SampleCount": 0, "Sum": 0, "Minimum": 1, "Maximum": 0})
    points[-1]["_stat"] = {
        "SampleCount": counted["SampleCount"] + 1,
        "Sum": counted["Sum"] + happened,
        "Minimum": min(counted["Minimum"], happened),
        "Maximum": max(counted["Maximum"], happened),
    }
