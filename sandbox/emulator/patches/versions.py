"""Patches of Lambda's versions and aliases: which one is invoked, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sandbox.emulator import module, replace


@dataclass(frozen=True)
class Invoked:
    """What was invoked by a qualifier.

    Attributes:
        qualifier: Name of the alias, or number of the version.
        version: The version that executes it.
    """

    qualifier: str
    version: str


invoked: ContextVar[Invoked | None] = ContextVar("invoked", default=None)
"""What is being invoked; None for a function without a qualifier."""


def alias_routes_by_weight() -> None:
    """An alias with a weight sends that share of its invocations to the other version.

    AWS: each invocation of the alias is routed at random, by the weight.
    MiniStack 1.5.33: keeps the weights, and always takes the alias's own version.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    gateway, functions = module("services.apigateway_v1"), module("services.lambda_svc")

    def calling(original: Any) -> Any:
        async def call_lambda_raw(function_ref: str, event: Any, **scope: Any) -> Any:
            function, _, name = function_of(function_ref, scope)
            _, qualifier = functions._resolve_name_and_qualifier(function_ref)
            chosen = _chosen(function, qualifier)
            token = invoked.set(chosen)
            try:
                if chosen:
                    unqualified = function_ref.rpartition(f":{qualifier}")[0] or name
                    function_ref = f"{unqualified}:{chosen.version}"
                return await original(function_ref, event, **scope)
            finally:
                invoked.reset(token)

        return call_lambda_raw

    def invoking(original: Any) -> Any:
        async def invoke(
            name: str, event: Any, headers: Mapping[str, str],
            path_qualifier: str | None = None, query_params: Any = None,
        ) -> Any:  # fmt: skip
            qualifier = functions._qualifier_from_path_or_query(path_qualifier, query_params)
            chosen = _chosen(functions._functions.get(name), qualifier)
            token = invoked.set(chosen)
            try:
                version = chosen.version if chosen else path_qualifier
                return await original(name, event, headers, version, query_params)
            finally:
                invoked.reset(token)

        return invoke

    replace(gateway, "_call_lambda_raw", calling)
    replace(functions, "_invoke", invoking)


def alias_points_to_versions_that_exist() -> None:
    """An alias points to one or two versions that exist, are published, and have one role.

    AWS: refuses a version that does not exist, more than two, ``$LATEST`` beside another, and one
    version twice, the weights that an update leaves as they are included.
    MiniStack 1.5.33: takes anything.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    functions = module("services.lambda_svc")

    def creating(original: Any) -> Any:
        def create_alias(func_name: str, data: dict[str, Any]) -> Any:
            return _refusal(func_name, {}, data) or original(func_name, data)

        return create_alias

    def updating(original: Any) -> Any:
        def update_alias(func_name: str, alias_name: str, data: dict[str, Any]) -> Any:
            function = functions._functions.get(func_name) or {}
            alias = function.get("aliases", {}).get(alias_name)
            refused = _refusal(func_name, alias, data) if alias else None
            return refused or original(func_name, alias_name, data)

        return update_alias

    replace(functions, "_create_alias", creating)
    replace(functions, "_update_alias", updating)


def reserved_concurrency_limits_every_version() -> None:
    """The concurrency that is reserved for a function limits its versions and aliases together.

    AWS: reserved concurrency belongs to the function.
    MiniStack 1.5.33: looks for it at the version that executes, which has none.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    functions = module("services.lambda_svc")

    def limiting(original: Any) -> Any:
        def reserved_concurrency(func: Any, config: Mapping[str, Any]) -> Any:
            whole = functions._functions.get(config.get("FunctionName"))
            return original(whole or func, config)

        return reserved_concurrency

    replace(functions, "_reserved_concurrency", limiting)


def version_is_named_by_its_number() -> None:
    """A version that is published with its function is the same as one that is published later.

    AWS: the ARN of a version ends in its number, and an unchanged function is not published twice.
    MiniStack 1.5.33: the version that ``CreateFunction`` publishes has the function's ARN, and is
    published again.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
    """
    functions = module("services.lambda_svc")

    def naming(original: Any) -> Any:
        def create_function(data: dict[str, Any]) -> Any:
            answer = original(data)
            function = functions._functions.get(
                functions._resolve_name_and_qualifier(data.get("FunctionName", ""))[0]
            )
            for number, version in (function or {}).get("versions", {}).items():
                if "function_revision" not in version:
                    version["function_revision"] = function["config"]["RevisionId"]
                    version["config"]["FunctionArn"] += f":{number}"
            return answer

        return create_function

    replace(functions, "_create_function", naming)


def function_of(reference: str, scope: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Find the function that a reference names.

    Args:
        reference: Its name or ARN, with or without a qualifier.
        scope: `account_id` and `region` of who refers to it.

    Returns:
        The function, or None; its ARN with the reference's qualifier; its name.
    """
    functions = module("services.lambda_svc")
    name, qualifier = functions._resolve_name_and_qualifier(reference)
    config = functions._get_func_record_for_ref_in_scope(reference, **scope)[1]
    if config is None:
        return None, "", name
    arn = ":".join(config["FunctionArn"].split(":")[:7])
    _, _, _, region, account, *_ = arn.split(":")
    function = functions._functions.get_scoped(account, region, name)
    return function, f"{arn}:{qualifier}" if qualifier else arn, name


def _chosen(function: Any, qualifier: str | None) -> Invoked | None:
    """What an invocation executes; None without a qualifier, or with one that does not exist."""
    if not function or not qualifier:
        return None
    alias = function["aliases"].get(qualifier)
    if alias is None:
        return Invoked(qualifier, qualifier) if qualifier in function["versions"] else None
    version = str(alias["FunctionVersion"])
    for other, weight in _weights(alias).items():
        if random.random() < weight:
            version = other
    return Invoked(qualifier, version)


def _weights(alias: Mapping[str, Any]) -> Mapping[str, float]:
    return (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def _refusal(name: str, alias: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """AWS's error about an alias as it would be; None if it may be."""
    functions = module("services.lambda_svc")
    function = functions._functions.get(name)
    if function is None:
        return None
    wanted = {**alias, **{key: value for key, value in data.items() if value is not None}}
    version, weights = wanted.get("FunctionVersion", ""), _weights(wanted)
    for each in (version, *weights):
        if each != "$LATEST" and each not in function["versions"]:
            missing = f"Function not found: {functions._func_arn(name)}:{each}"
            return functions.error_response_json("ResourceNotFoundException", missing, 404)
    message = ""
    if not weights:
        return None
    if len(weights) > 1:
        message = "Number of items in AdditionalVersionWeights cannot be greater than 1"
    elif version in weights:
        message = (
            f"Invalid function version {version}. Function version {version} is already included "
            "in routing configuration."
        )
    elif version == "$LATEST":
        message = "$LATEST is not supported for an alias pointing to more than 1 version"
    elif (
        weights
        and len({function["versions"][v]["config"]["Role"] for v in (version, *weights)}) > 1
    ):
        message = "Specified versions must be associated with the same execution role"
    return message and functions.error_response_json("InvalidParameterValueException", message, 400)
