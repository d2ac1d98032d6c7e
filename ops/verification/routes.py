"""What a Region's API serves, as API Gateway defines it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.environment import Environment
from ops.verification.reaching import client


@dataclass(frozen=True)
class Route:
    """One method of one path.

    Attributes:
        method: HTTP method.
        path: Path below the stage.
        asks_for_key: Whether it asks for an API key.
        function: Name of the Lambda function behind it; None without.
        settings: `{setting: value}` of all that must be alike in every Region.
    """

    method: str
    path: str
    asks_for_key: bool
    function: str | None
    settings: Mapping[str, object] = field(default_factory=dict)


def routes_of(environment: Environment, region: str) -> dict[str, Route]:
    """The routes of a Region's API: `{"GET /path": route}`, in the order of that name.

    Args:
        environment: The environment.
        region: The Region.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetResources.html
    """
    gateway = client(environment, "apigateway", region)
    api_id = environment.outputs["api_ids"][region]
    validators = {
        validator["id"]: validator
        for page in gateway.get_paginator("get_request_validators").paginate(restApiId=api_id)
        for validator in page["items"]
    }
    models = {
        model["name"]: model.get("schema")
        for page in gateway.get_paginator("get_models").paginate(restApiId=api_id)
        for model in page["items"]
    }
    found = [
        _route(resource["path"], name, method, validators, models)
        for page in gateway.get_paginator("get_resources").paginate(
            restApiId=api_id, embed=["methods"]
        )
        for resource in page["items"]
        for name, method in resource.get("resourceMethods", {}).items()
    ]
    return {
        f"{route.method} {route.path}": route
        for route in sorted(found, key=lambda route: (route.path, route.method))
    }


def _route(
    path: str,
    name: str,
    method: Mapping[str, Any],
    validators: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, object],
) -> Route:
    integration = method.get("methodIntegration", {})
    function = re.search(r":function:([^:/]+)", integration.get("uri", ""))
    validator = validators.get(method.get("requestValidatorId", ""), {})
    settings = {
        "authorization": method["authorizationType"],
        "API key required": bool(method.get("apiKeyRequired")),
        "validates body": bool(validator.get("validateRequestBody")),
        "validates parameters": bool(validator.get("validateRequestParameters")),
        "integration": integration.get("type"),
        "integration timeout ms": integration.get("timeoutInMillis"),
    }
    settings |= dict(_parts("parameter", method.get("requestParameters")))
    for content_type, model in (method.get("requestModels") or {}).items():
        settings[f"model of {content_type}"] = models.get(model)
    return Route(
        method=name,
        path=path,
        asks_for_key=settings["API key required"] is True,
        function=function[1] if function else None,
        settings=settings,
    )


def _parts(what: str, values: Mapping[str, object] | None) -> Iterator[tuple[str, object]]:
    for name, value in (values or {}).items():
        yield f"{what} {name}", value
