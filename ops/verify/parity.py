"""Parity of the Regions: what one serves, the others serve, in the same way and to the same keys.

Values of API keys and of variables are compared and never shown.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.environment import Environment
from ops.verify.api_gateway import listed, routes_of, stage_name
from ops.verify.comparison import Hidden, Settings, compared
from ops.verify.finding import Finding, check, passed_unless, read_regions

_FIX = "deploy again: it deploys the same to every Region"


@dataclass(frozen=True)
class ApiKey:
    """An API key of one Region.

    Attributes:
        name: Its name.
        id: Its id.
        fingerprint: SHA-256 of its value.
        enabled: Whether it is accepted now.
    """

    name: str
    id: str
    fingerprint: str
    enabled: bool


@check("parity.routes")
def routes(environment: Environment) -> Iterator[Finding]:
    """Check for the same routes, authorization, validation and gateway responses."""
    yield from compared(environment, _routes, subject="routes", fix=_FIX)


@check("parity.functions")
def functions(environment: Environment) -> Iterator[Finding]:
    """Check for the same code, runtime, limits and environment of what serves every route."""
    yield from compared(environment, _functions, subject="functions", fix=_FIX)


@check("parity.stage")
def stage(environment: Environment) -> Iterator[Finding]:
    """Check for the same throttling, logs and traces."""
    yield from compared(environment, _stage, subject="the stage", fix=_FIX)


@check("parity.api_keys")
def api_keys(environment: Environment) -> Iterator[Finding]:
    """Check that every key that is enabled in one Region is enabled in all."""
    keys_of = yield from read_regions(environment, _api_keys)
    for region, keys in keys_of.items():
        enabled = len([key for key in keys.values() if key.enabled])
        elsewhere = {other: each for other, each in keys_of.items() if other != region}
        problems = [*_missing(keys, elsewhere)]
        ids = {key.id for key in keys.values()}
        by_name = environment.outputs.api_key_ids.items()
        if lost := [name for name, deployed in by_name if deployed.get(region) not in ids]:
            problems.append(
                f"{len(lost)} of the keys that were deployed are missing, such as {lost[0]}, if "
                "the descriptor is not older than the last deployment"
            )
        yield passed_unless(
            region,
            problems,
            found=f"{enabled} enabled {'key' if enabled == 1 else 'keys'}, as elsewhere",
            fix=_FIX,
        )


@check("parity.usage_plans")
def usage_plans(environment: Environment) -> Iterator[Finding]:
    """Check for the same rates, bursts and quotas in the same plans."""
    yield from compared(
        environment,
        _limits,
        subject="usage plans",
        fix=_FIX,
        may_be_empty=not environment.outputs.customers,
    )


def _routes(environment: Environment, region: str) -> Settings:
    settings: dict[str, object] = {
        f"{name}, {setting}": value
        for name, route in routes_of(environment, region).items()
        for setting, value in {"exists": True, **route.settings}.items()
    }
    api_id = environment.outputs.api_ids[region]
    for response in listed(environment, region, "get_gateway_responses", restApiId=api_id):
        # API Gateway's defaults are identical anyway.
        if not response.get("defaultResponse"):
            kind = f"gateway response {response['responseType']}"
            settings[f"{kind}, status"] = response.get("statusCode")
            settings[f"{kind}, headers"] = response.get("responseParameters")
            settings[f"{kind}, body"] = response.get("responseTemplates")
    return settings


def _functions(environment: Environment, region: str) -> Settings:
    functions = environment.client("lambda", region)
    settings: dict[str, object] = {}
    for name, route in routes_of(environment, region).items():
        if route.function is None:
            continue
        # What serves is the version that the alias points to.
        qualifier = {"Qualifier": route.alias} if route.alias else {}
        found = functions.get_function_configuration(FunctionName=route.function, **qualifier)
        reserved = functions.get_function_concurrency(FunctionName=route.function)
        values = {
            "code SHA-256": found["CodeSha256"],
            "runtime": found.get("Runtime"),
            "architectures": found.get("Architectures"),
            "handler": found.get("Handler"),
            "timeout s": found.get("Timeout"),
            "memory MB": found.get("MemorySize"),
            "layers": [layer["Arn"] for layer in found.get("Layers", ())],
            "tracing": found.get("TracingConfig", {}).get("Mode"),
            "reserved concurrency": reserved.get("ReservedConcurrentExecutions", "none"),
        }
        # A variable may hold a secret.
        values |= _variables(found.get("Environment", {}).get("Variables"))
        settings |= {f"{name}, {setting}": value for setting, value in values.items()}
    return settings


def _stage(environment: Environment, region: str) -> Settings:
    found: dict[str, Any] = environment.client("apigateway", region).get_stage(
        restApiId=environment.outputs.api_ids[region], stageName=stage_name(environment, region)
    )
    settings: dict[str, object] = {
        "tracing": bool(found.get("tracingEnabled")),
        "cache": bool(found.get("cacheClusterEnabled")),
        "access log format": found.get("accessLogSettings", {}).get("format", "no access log"),
        "web ACL": "attached" if found.get("webAclArn") else "none",
        **_variables(found.get("variables")),
    }
    for method, values in (found.get("methodSettings") or {}).items():
        settings |= {f"{method}, {setting}": value for setting, value in values.items()}
    return settings


SERVED_WITH = {"routes": _routes, "functions": _functions, "stage": _stage}
"""What reads the settings of one Region that decide how it serves, by what they belong to."""


def _variables(values: dict[str, str] | None) -> dict[str, object]:
    return {f"variable {name}": Hidden(value) for name, value in (values or {}).items()}


def _usage_plans(environment: Environment, region: str) -> list[dict[str, Any]]:
    """The usage plans of the API's stage, ordered by name."""
    stage = {"apiId": environment.outputs.api_ids[region], "stage": stage_name(environment, region)}
    plans = [
        plan
        for plan in listed(environment, region, "get_usage_plans")
        if any(stage.items() <= each.items() for each in plan.get("apiStages", ()))
    ]
    return sorted(plans, key=lambda plan: str(plan["name"]))


def _api_keys(environment: Environment, region: str) -> dict[str, ApiKey]:
    """`{fingerprint: key}` of the keys in the API's usage plans."""
    members = {
        member["id"]
        for plan in _usage_plans(environment, region)
        for member in listed(environment, region, "get_usage_plan_keys", usagePlanId=plan["id"])
    }
    keys = [
        ApiKey(
            key["name"],
            key["id"],
            hashlib.sha256(key["value"].encode()).hexdigest(),
            bool(key.get("enabled")),
        )
        for key in listed(environment, region, "get_api_keys", includeValues=True)
        if key["id"] in members
    ]
    return {key.fingerprint: key for key in keys}


def _missing(keys: dict[str, ApiKey], elsewhere: dict[str, dict[str, ApiKey]]) -> Iterator[str]:
    """What another Region accepts and this one does not."""
    names = {key.name for key in keys.values()}
    for region, other_keys in elsewhere.items():
        for fingerprint, other in other_keys.items():
            key = keys.get(fingerprint)
            if other.enabled and key is None:
                how = "has another value" if other.name in names else "is missing"
                yield f"the key {other.name} of {region} {how} here"
            elif other.enabled and key is not None and not key.enabled:
                yield f"the key {key.name} is disabled here, and enabled in {region}"


def _limits(environment: Environment, region: str) -> Settings:
    settings: dict[str, object] = {}
    for plan in _usage_plans(environment, region):
        for kind in ("throttle", "quota"):
            for name, value in (plan.get(kind) or {"limit": "none"}).items():
                settings[f"plan {plan['name']}, {kind} {name}"] = value
        for stage in plan["apiStages"]:
            if stage["apiId"] == environment.outputs.api_ids[region]:
                for method, throttle in (stage.get("throttle") or {}).items():
                    settings[f"plan {plan['name']}, throttle of {method}"] = throttle
    return settings
