"""Patches of Lambda: what it counts, what it starts, and what it waits for."""

from __future__ import annotations

import time
from functools import partialmethod
from threading import Lock
from typing import Any

from sandbox.emulator import module, replace
from sandbox.emulator.patches.versions import invoked

_OUTPUT_WAIT_SECONDS = 0.005
_START_POLL_SECONDS = 0.005


def invocations_are_counted() -> None:
    """Lambda counts every invocation, whoever invokes.

    AWS: ``Invocations``, ``Errors`` and ``Throttles`` of each function, of each alias and version
    that is invoked, and of each version that an alias executes; what is throttled is no invocation.
    MiniStack 1.5.33: does not count what API Gateway invokes, nor by alias and version, counts what
    is throttled as invoked, and stores every count separately. Here a minute is one data point, so
    that an API that runs for days does not fill the memory; ``Duration`` is left out.

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


def function_without_output_is_not_waited_for() -> None:
    """A function that wrote no log line answers at once.

    AWS: ships log lines beside the answer, so a caller never waits for them.
    MiniStack 1.5.33: waits 50 ms for a first log line after each invocation. Here it is 5 ms; a
    later line is in the log stream of the next invocation.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    runtime = module("core.lambda_runtime")

    def shortening(original: Any) -> Any:
        return partialmethod(original, first_line_wait=_OUTPUT_WAIT_SECONDS)

    replace(runtime.Worker, "_drain_stderr_bounded", shortening)


def environments_of_a_function_start_one_at_a_time() -> None:
    """A request waits while another environment of its function starts, and takes a free one.

    AWS: an environment that starts takes nothing from the others.
    MiniStack 1.5.33: starts one for each request that finds none free. They are processes that
    compete for this machine's cores: a health checker that gives up and asks again is enough to
    start dozens, until none starts in time any more.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    """
    runtime, functions = module("core.lambda_runtime"), module("services.lambda_svc")
    deciding = Lock()

    def waiting(original: Any) -> Any:
        def acquire_worker(
            func_name: str, config: Any, code_zip: bytes, qualifier: str = "$LATEST", **more: Any
        ) -> Any:
            key = runtime._worker_key(func_name, config, qualifier)
            while True:
                with deciding:
                    workers = tuple(runtime._workers.get(key, ()))
                    one_is_free = not all(worker.in_use for worker in workers)
                    if one_is_free or not any(worker._cold for worker in workers):
                        return original(func_name, config, code_zip, qualifier=qualifier, **more)
                time.sleep(_START_POLL_SECONDS)

        return acquire_worker

    replace(functions, "acquire_worker", waiting)


def _count(function_name: str, metric: str, happened: bool) -> None:
    dimensions = {"FunctionName": function_name}
    record(dimensions, metric, happened)
    if what := invoked.get():
        dimensions = {**dimensions, "Resource": f"{function_name}:{what.qualifier}"}
        record(dimensions, metric, happened)
        if what.qualifier != what.version:
            record({**dimensions, "ExecutedVersion": what.version}, metric, happened)


def record(
    dimensions: dict[str, str], metric: str, value: float, namespace: str = "AWS/Lambda"
) -> None:
    """Add a value to a metric, in the Region of the request.

    Args:
        dimensions: `{name: value}`.
        metric: Its name.
        value: The value.
        namespace: Its namespace.
    """
    cloudwatch: Any = module("services.cloudwatch")
    points = cloudwatch._metric_bucket((namespace, metric, cloudwatch._dims_key(dimensions)))
    minute = time.time() // 60 * 60
    if not points or points[-1]["Timestamp"] != minute:
        points.append({"Timestamp": minute, "Unit": "Count", "Dimensions": dimensions})
    counted = points[-1].get("_stat")
    if counted is None:
        counted = {"SampleCount": 0, "Sum": 0, "Minimum": value, "Maximum": value}
    points[-1]["_stat"] = {
        "SampleCount": counted["SampleCount"] + 1,
        "Sum": counted["Sum"] + value,
        "Minimum": min(counted["Minimum"], value),
        "Maximum": max(counted["Maximum"], value),
    }
