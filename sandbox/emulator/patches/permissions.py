"""Patches of Lambda's resource policies: what is in them, and what API Gateway needs of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from sandbox.emulator import module, replace
from sandbox.emulator.patches.versions import function_of

_GATEWAY = "apigateway.amazonaws.com"
_NO_POLICY = "The resource you requested does not exist."


def each_qualifier_has_its_policy() -> None:
    """A permission on an alias or a version is in that one's policy, and in no other.

    AWS: the function, each version and each alias have a policy each, which goes with it; statement
    ids are unique in one policy.
    MiniStack 1.5.33: has one policy, so that an id exists once for all, a permission is removed
    from all and outlives its alias, and the function's policy lists those of its aliases.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
    """
    functions = module("services.lambda_svc")

    def separating(original: Any) -> Any:
        def on_policy(func_name: str, *request: Any) -> Any:
            # The last two are the query and the qualifier of the path.
            qualifier = functions._qualifier_from_path_or_query(request[-1], request[-2])
            with _own_statements(func_name, qualifier):
                return original(func_name, *request)

        return on_policy

    def reading(original: Any) -> Any:
        def get_policy(func_name: str, *request: Any) -> Any:
            function = functions._functions.get(func_name)
            if function is not None and not function["policy"]["Statement"]:
                return functions.error_response_json("ResourceNotFoundException", _NO_POLICY, 404)
            return original(func_name, *request)

        return get_policy

    def deleting(original: Any) -> Any:
        def delete_alias(func_name: str, alias_name: str) -> Any:
            answer = original(func_name, alias_name)
            if answer[0] == 204:
                with _own_statements(func_name, alias_name) as policy:
                    policy["Statement"] = []
            return answer

        return delete_alias

    replace(functions, "_delete_alias", deleting)
    replace(functions, "_get_policy", reading)
    for name in ("_get_policy", "_add_permission", "_remove_permission"):
        replace(functions, name, separating)


def api_gateway_needs_permission() -> None:
    """API Gateway invokes what a policy of exactly that function, version or alias lets it invoke.

    AWS: answers 500 otherwise, and the function does not run.
    MiniStack 1.5.33: invokes every function. Roles of integrations are not known here.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/getting-started-with-lambda-integration.html
    """
    gateway = module("services.apigateway_v1")

    def asking(original: Any) -> Any:
        async def call_lambda_raw(function_ref: str, event: Any, **scope: Any) -> Any:
            function, arn, _ = function_of(function_ref, scope)
            if function is not None and not _may_invoke(function["policy"], arn, event):
                return None, f"Invalid permissions on Lambda function {arn}"
            return await original(function_ref, event, **scope)

        return call_lambda_raw

    replace(gateway, "_call_lambda_raw", asking)


@contextmanager
def _own_statements(name: str, qualifier: str | None) -> Iterator[dict[str, Any]]:
    """Set aside what belongs to other qualifiers."""
    functions = module("services.lambda_svc")
    function = functions._functions.get(name)
    policy = function["policy"] if function else {"Statement": []}
    own = functions._policy_resource_arn(name, qualifier)
    others = [each for each in policy["Statement"] if each["Resource"] != own]
    policy["Statement"] = [each for each in policy["Statement"] if each["Resource"] == own]
    try:
        yield policy
    finally:
        policy["Statement"] = others + policy["Statement"]


def _may_invoke(policy: Mapping[str, Any], arn: str, event: Mapping[str, Any]) -> bool:
    _, _, _, region, account, *_ = arn.split(":")
    context = event["requestContext"]
    caller = (
        f"arn:aws:execute-api:{region}:{account}:{context['apiId']}/{context['stage']}/"
        f"{context['httpMethod']}{context['resourcePath']}"
    )
    return any(
        statement["Resource"] == arn
        and statement["Action"] in ("lambda:InvokeFunction", "lambda:*", "*")
        and statement["Principal"] in ("*", {"Service": _GATEWAY})
        and _holds(statement.get("Condition", {}), caller, account)
        for statement in policy["Statement"]
    )


def _holds(conditions: Mapping[str, Mapping[str, str]], caller: str, account: str) -> bool:
    pattern = conditions.get("ArnLike", {}).get("AWS:SourceArn", "*")
    owner = conditions.get("StringEquals", {}).get("AWS:SourceAccount", account)
    # Brackets are no pattern in ARNs, and none are in paths.
    return owner == account and fnmatchcase(caller, pattern)
