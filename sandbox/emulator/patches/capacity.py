"""Patches of what a Region serves at once: concurrency, cold starts and the account's throttle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

from sandbox.emulator import module, replace
from sandbox.emulator.capacity import (
    ALLOCATED_PER_SECOND,
    ALLOCATION_SECONDS,
    UNRESERVED_AT_LEAST,
    Function,
    Reason,
    in_use,
)
from sandbox.emulator.patches.functions import record
from sandbox.emulator.patches.versions import invoked

_PROVISIONED = "provisioned_concurrency"
_STARTED_PROCESSES = 8
"""Processes that are started for the provisioned environments of an alias, at most. More start when
they are needed."""
_FAILED = "FUNCTION_ERROR_INIT_FAILURE"


def invocations_use_the_capacity_of_their_region() -> None:
    """A Region runs as many invocations at once as its account may, and new environments are cold.

    AWS: counts for each Region what runs; keeps what is reserved and provisioned for its function;
    throttles what is over it, or faster than ten requests a second for each unit of concurrency.
    MiniStack 1.5.33: counts all Regions together, up to what the memory of this machine takes,
    which stays as a guard.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    """
    functions = module("services.lambda_svc")

    def executing(original: Any) -> Any:
        def execute_function(func: Any, event: Any) -> Any:
            config = func.get("config") or func
            if functions._function_config_scope_mismatch(config):
                # Comes back in its scope.
                return original(func, event)
            name = config.get("FunctionName", "")
            whole = functions._functions.get(name) or func
            function, version = _function(name, whole), str(config.get("Version", "$LATEST"))
            admitted = in_use.enter(
                function, version, provisioned=_ready(whole, version), kept=_kept(but="")
            )
            if isinstance(admitted, Reason):
                functions._emit_lambda_metrics(name, duration_ms=0.0, error=False, throttle=True)
                return functions._throttle_response(admitted.value, "Rate Exceeded.")
            try:
                _record_concurrency(name, admitted.running, admitted.running_of_function)
                if admitted.is_cold and in_use.cold_start_seconds:
                    time.sleep(in_use.cold_start_seconds / in_use.speed)
                return original(func, event)
            finally:
                in_use.leave(admitted)

        return execute_function

    replace(functions, "_execute_function", executing)


def account_settings_are_those_of_the_region() -> None:
    """``GetAccountSettings`` answers with the quota of its Region.

    AWS: each Region has its own quota.
    MiniStack 1.5.33: answers with what the memory of this machine takes.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_AccountLimit.html
    """
    functions, responses = module("services.lambda_svc"), module("core.responses")

    def getting(original: Any) -> Any:
        def get_account_settings() -> Any:
            status, _, body = original()
            limit = in_use.limits(responses.get_region()).lambda_concurrency
            reserved = sum(each.get("concurrency") or 0 for each in functions._functions.values())
            found = json.loads(body)
            found["AccountLimit"]["ConcurrentExecutions"] = limit
            found["AccountLimit"]["UnreservedConcurrentExecutions"] = max(0, limit - reserved)
            return responses.json_response(found, status)

        return get_account_settings

    replace(functions, "_get_account_settings", getting)


def reserved_concurrency_leaves_a_minimum() -> None:
    """Reserved concurrency leaves 100 executions for the functions that reserve none.

    AWS: 400 InvalidParameterValueException; the function that it was for exists by then. It is not
    less than what is provisioned for the function.
    MiniStack 1.5.33: reserves any number.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    functions = module("services.lambda_svc")

    def reserving(original: Any) -> Any:
        def put_function_concurrency(name: str, data: dict[str, Any]) -> Any:
            wanted = data.get("ReservedConcurrentExecutions", 0)
            function = functions._functions.get(name)
            if function and wanted < (provisioned := _provisioned(function)):
                return _refused(
                    "ReservedConcurrentExecutions of function should not be lower than function's "
                    f"total provisioned concurrency [{provisioned}]"
                )
            if wanted and _kept(but=name) + wanted > _most_kept():
                return _refused(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of "
                    f"[{UNRESERVED_AT_LEAST}]."
                )
            return original(name, data)

        return put_function_concurrency

    replace(functions, "_put_function_concurrency", reserving)


def provisioned_concurrency_is_allocated_in_time() -> None:
    """Provisioned concurrency is in progress at first, and moves with its alias.

    AWS: takes a minute or two; takes it from the account's concurrency, or from what is reserved
    for the function. An alias with weights can have none. When its alias is pointed to another
    version, Lambda gives that one no requests until its environments are ready: until then the
    alias has a weight of 1 on the version before.
    MiniStack 1.5.33: any number is ready at once, for whatever version.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
    Source: https://github.com/hashicorp/terraform/issues/24957
    Source: https://github.com/hashicorp/terraform-provider-aws/pull/48116
    """
    functions = module("services.lambda_svc")

    def getting(original: Any) -> Any:
        def get_provisioned_concurrency(name: str, qualifier: str) -> Any:
            function = functions._functions.get(name)
            config = function and function[_PROVISIONED].get(qualifier)
            return functions.json_response(_described(config)) if config else original(
                name, qualifier
            )  # fmt: skip

        return get_provisioned_concurrency

    def putting(original: Any) -> Any:
        def put_provisioned_concurrency(name: str, qualifier: str, data: dict[str, Any]) -> Any:
            function = functions._functions.get(name)
            wanted = int(data.get("ProvisionedConcurrentExecutions", 0))
            if function is None or functions._validate_function_qualifier_exists(name, qualifier):
                return original(name, qualifier, data)
            if problem := _unprovisionable(name, function, qualifier, wanted):
                return _refused(problem)
            alias = function["aliases"].get(qualifier)
            version = str(alias["FunctionVersion"]) if alias else qualifier
            config = {
                "requested": wanted,
                "modified": functions._now_iso(),
                "ready": (function[_PROVISIONED].get(qualifier) or {}).get("ready", {}),
            }
            function[_PROVISIONED][qualifier] = config
            _allocate(function, qualifier, config, version)
            return functions.json_response(_described(config), 202)

        return put_provisioned_concurrency

    def updating(original: Any) -> Any:
        def update_alias(name: str, alias_name: str, data: dict[str, Any]) -> Any:
            function = functions._functions.get(name)
            config = function and function[_PROVISIONED].get(alias_name)
            alias = function and function["aliases"].get(alias_name)
            if not (config and alias):
                return original(name, alias_name, data)
            before = str(alias["FunctionVersion"])
            after = str(data.get("FunctionVersion") or before)
            cleared = "RoutingConfig" in data
            wanted = (data.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
            if wanted or (after != before and "RoutingConfig" in alias and not cleared):
                return _refused("Invalid alias configuration for Provisioned Concurrency")
            # While an allocation is in progress, another version than its own serves.
            serving = next(iter(config["ready"]), before)
            response = original(name, alias_name, data)
            if response[0] == 200 and after != before:
                if after != serving:
                    alias["RoutingConfig"] = {"AdditionalVersionWeights": {serving: 1.0}}
                _allocate(function, alias_name, config, after)
                return functions.json_response(alias)
            return response

        return update_alias

    def deleting(original: Any) -> Any:
        def delete_provisioned_concurrency(name: str, qualifier: str) -> Any:
            function = functions._functions.get(name) or {_PROVISIONED: {}, "aliases": {}}
            if function[_PROVISIONED].get(qualifier):
                function["aliases"].get(qualifier, {}).pop("RoutingConfig", None)
            return original(name, qualifier)

        return delete_provisioned_concurrency

    replace(functions, "_get_provisioned_concurrency", getting)
    replace(functions, "_put_provisioned_concurrency", putting)
    replace(functions, "_delete_provisioned_concurrency", deleting)
    replace(functions, "_update_alias", updating)


def throttled_function_is_an_error_of_the_api() -> None:
    """A proxy integration whose function is throttled gets 500, like any invocation that fails.

    AWS: "If the Lambda API rejects the invocation request, API Gateway returns a 500 error code";
    callers do not learn that it was throttled.
    MiniStack 1.5.33: answers with Lambda's 429 and its error.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
    """
    gateway = module("services.apigateway_v1")

    def calling(original: Any) -> Any:
        async def call_lambda_raw(function_ref: str, event: Any, **scope: Any) -> Any:
            result, error = await original(function_ref, event, **scope)
            if error is None and result.get("throttle"):
                # As for a function that may not be invoked.
                return None, "Rate Exceeded."
            return result, error

        return call_lambda_raw

    replace(gateway, "_call_lambda_raw", calling)


def api_throttles_have_an_account_behind_them() -> None:
    """All APIs of a Region share the throttle of the account.

    AWS: 429 for what is over the rate and burst of the account in the Region, after the limits of
    usage plan and stage; ``GetAccount`` answers with them.
    MiniStack 1.5.33: has no limit of the account, and answers with the largest default.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
    """
    gateway, responses = module("services.apigateway_v1"), module("core.responses")

    def checking(original: Any) -> Any:
        def check_throttle(*request: Any) -> Any:
            error = original(*request)
            if error is None and not in_use.take_api_request(
                responses.get_account_id(), responses.get_region()
            ):
                return gateway._gw_error("THROTTLED", gateway._GATEWAY_ERROR_MESSAGES["THROTTLED"])
            return error

        return check_throttle

    def getting(original: Any) -> Any:
        def get_account() -> Any:
            status, _, body = original()
            limits = in_use.limits(responses.get_region())
            found = json.loads(body)
            found["throttleSettings"] = {
                "rateLimit": limits.api_requests_per_second, "burstLimit": limits.api_burst,
            }  # fmt: skip
            return gateway._v1_response(found, status)

        return get_account

    replace(gateway, "_check_throttle", checking)
    replace(gateway, "_get_account", getting)


def requests_of_an_api_are_counted() -> None:
    """API Gateway counts the requests to a stage, and those that it or a function refuses.

    AWS: ``Count``, ``4XXError``, ``5XXError`` and times, for each stage.
    MiniStack 1.5.33: counts nothing. Here all but the times, a minute in one data point. What a
    Region's endpoint refuses or fails because of an injected fault does not come so far.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    """
    gateway = module("services.apigateway_v1")

    def executing(original: Any) -> Any:
        async def execute_in_scope(
            request: Any, api_id: str, stage_name: str, *rest: Any, **named: Any
        ) -> Any:
            response = await original(request, api_id, stage_name, *rest, **named)
            if request["stage"] is not None:
                failed = isinstance(response, gateway._GatewayError)
                status = _status_of(response.response_type) if failed else response[0]
                api = {"ApiName": gateway._rest_apis[api_id]["name"], "Stage": stage_name}
                record(api, "Count", 1, "AWS/ApiGateway")
                record(api, "4XXError", 400 <= status < 500, "AWS/ApiGateway")
                record(api, "5XXError", status >= 500, "AWS/ApiGateway")
            return response

        return execute_in_scope

    def _status_of(response_type: str) -> int:
        default = 403 if response_type == "DEFAULT_4XX" else 500
        return int(gateway._DEFAULT_GATEWAY_RESPONSE_STATUS_CODES.get(response_type) or default)

    replace(gateway, "_execute_in_scope", executing)


# --- What is kept for functions


def _function(name: str, function: Mapping[str, Any]) -> Function:
    responses = module("core.responses")
    return Function(
        (responses.get_account_id(), responses.get_region()),
        name,
        function.get("concurrency"),
        _provisioned(function),
    )


def _provisioned(function: Mapping[str, Any]) -> int:
    configs = function.get(_PROVISIONED)
    return sum(each["requested"] for each in configs.values()) if configs else 0


def _kept(*, but: str) -> int:
    """What is kept in the Region of the request for single functions, without one of them."""
    kept = 0
    for name, function in module("services.lambda_svc")._functions.items():
        reserved = function.get("concurrency")
        if name != but:
            kept += _provisioned(function) if reserved is None else reserved
    return kept


def _most_kept() -> int:
    region = module("core.responses").get_region()
    return in_use.limits(region).lambda_concurrency - UNRESERVED_AT_LEAST


def _ready(function: Mapping[str, Any], version: str) -> int:
    """What is provisioned for the version that what is invoked executes."""
    configs, what = function.get(_PROVISIONED), invoked.get()
    if not configs or what is None:
        return 0
    return sum(
        configs[qualifier]["ready"].get(version, 0)
        for qualifier in {what.qualifier, version} & configs.keys()
    )


# --- Allocation of provisioned concurrency


def _unprovisionable(name: str, function: Mapping[str, Any], qualifier: str, wanted: int) -> str:
    """AWS's error about provisioned concurrency; empty if it may be."""
    if qualifier in ("", "$LATEST"):
        return "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    if (function["aliases"].get(qualifier) or {}).get("RoutingConfig"):
        return "Alias with weights can not be used with Provisioned Concurrency"
    present = (function[_PROVISIONED].get(qualifier) or {}).get("requested", 0)
    wanted_in_all = _provisioned(function) - present + wanted
    if (reserved := function.get("concurrency")) is not None:
        if wanted_in_all > reserved:
            return (
                "Requested Provisioned Concurrency should not be greater than the "
                "reservedConcurrentExecution for function"
            )
    elif _kept(but=name) + wanted_in_all > _most_kept():
        return (
            "Specified ConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_AT_LEAST}]."
        )
    return ""


def _allocate(function: Any, qualifier: str, config: dict[str, Any], version: str) -> None:
    """Prepare environments of a version, in the background; the last allocation wins."""
    config["allocation"] = allocation = object()
    config["failed"] = ""
    seconds = ALLOCATION_SECONDS + config["requested"] / ALLOCATED_PER_SECOND

    def prepare() -> None:
        begun, failed = time.monotonic(), ""
        try:
            _start_processes(function, version, config["requested"])
        except Exception as error:
            failed = f"{_FAILED}: {error}"
        time.sleep(max(0.0, seconds / in_use.speed - (time.monotonic() - begun)))
        if config.get("allocation") is not allocation:
            return
        config["allocation"], config["failed"] = None, failed
        if not failed:
            config["ready"] = {version: config["requested"]}
            function["aliases"].get(qualifier, {}).pop("RoutingConfig", None)

    threading.Thread(target=copy_context().run, args=(prepare,), daemon=True).start()


def _start_processes(function: Mapping[str, Any], version: str, wanted: int) -> None:
    runtime = module("core.lambda_runtime")
    published = function["versions"][version]
    config = published["config"]
    if not published.get("code_zip") or not str(config.get("Runtime")).startswith("python"):
        return
    workers = []
    try:
        for _ in range(min(wanted, _STARTED_PROCESSES)):
            worker, _ = runtime.acquire_worker(
                config["FunctionName"], config, published["code_zip"], qualifier=version
            )
            workers.append(worker)
            runtime.ensure_spawned(worker)
    finally:
        for worker in workers:
            runtime.release_worker(worker)


def _described(config: Mapping[str, Any]) -> dict[str, Any]:
    ready = sum(config["ready"].values())
    status = "FAILED" if config["failed"] else "IN_PROGRESS" if config["allocation"] else "READY"
    return {
        "RequestedProvisionedConcurrentExecutions": config["requested"],
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "Status": status,
        **({"StatusReason": config["failed"]} if config["failed"] else {}),
        "LastModified": config["modified"],
    }


def _refused(message: str) -> Any:
    responses = module("core.responses")
    return responses.error_response_json("InvalidParameterValueException", message, 400)


def _record_concurrency(name: str, running: int, of_function: int) -> None:
    record({}, "ConcurrentExecutions", running)
    record({"FunctionName": name}, "ConcurrentExecutions", of_function)
