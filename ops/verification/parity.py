"""The Regions are alike: what one serves, the others serve, in the same way."""

from collections.abc import Iterator
from typing import Any

from ops.environment import Environment
from ops.verification.comparison import Hidden, Settings, compared
from ops.verification.finding import Finding, check
from ops.verification.reaching import client
from ops.verification.routes import routes_of

_FIX = "deploy the stack again: it makes the Regions alike"


@check("parity.routes")
def routes(environment: Environment) -> Iterator[Finding]:
    """The same routes, authorization, validation and refusals."""
    yield from compared(environment, _routes, alike="{count} settings of routes alike", fix=_FIX)


@check("parity.functions")
def functions(environment: Environment) -> Iterator[Finding]:
    """The same code, runtime, limits and environment behind every route."""
    yield from compared(
        environment, _functions, alike="{count} settings of functions alike", fix=_FIX
    )


@check("parity.stage")
def stage(environment: Environment) -> Iterator[Finding]:
    """The same throttling, logs and traces."""
    yield from compared(environment, _stage, alike="{count} settings of the stage alike", fix=_FIX)


def _routes(environment: Environment, region: str) -> Settings:
    settings: dict[str, object] = {
        f"{name}, {setting}": value
        for name, route in routes_of(environment, region).items()
        for setting, value in {"exists": True, **route.settings}.items()
    }
    pages = (
        client(environment, "apigateway", region)
        .get_paginator("get_gateway_responses")
        .paginate(restApiId=environment.outputs["api_ids"][region])
    )
    for response in (response for page in pages for response in page["items"]):
        # Those that API Gateway makes by itself are alike anyway.
        if not response.get("defaultResponse"):
            kind = f"refusal {response['responseType']}"
            settings[f"{kind}, status"] = response.get("statusCode")
            settings[f"{kind}, headers"] = response.get("responseParameters")
            settings[f"{kind}, body"] = response.get("responseTemplates")
    return settings


def _functions(environment: Environment, region: str) -> Settings:
    functions = client(environment, "lambda", region)
    settings: dict[str, object] = {}
    for name, route in routes_of(environment, region).items():
        if route.function is None:
            continue
        found = functions.get_function_configuration(FunctionName=route.function)
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
        variables = found.get("Environment", {}).get("Variables", {})
        # A variable may hold a secret.
        values |= {f"variable {key}": Hidden(value) for key, value in variables.items()}
        settings |= {f"{name}, {setting}": value for setting, value in values.items()}
    return settings


def _stage(environment: Environment, region: str) -> Settings:
    found: dict[str, Any] = client(environment, "apigateway", region).get_stage(
        restApiId=environment.outputs["api_ids"][region],
        stageName=environment.region_url(region).rpartition("/")[2],
    )
    settings: dict[str, object] = {
        "tracing": bool(found.get("tracingEnabled")),
        "cache": bool(found.get("cacheClusterEnabled")),
        "access log format": found.get("accessLogSettings", {}).get("format", "no access log"),
        "web ACL": "attached" if found.get("webAclArn") else "none",
    }
    settings |= {
        f"variable {key}": Hidden(value) for key, value in (found.get("variables") or {}).items()
    }
    for method, values in (found.get("methodSettings") or {}).items():
        settings |= {f"{method}, {setting}": value for setting, value in values.items()}
    return settings
