"""Reads a Region's API from API Gateway."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.environment import Environment

PAGE_SIZE = 500
"""API Gateway's largest; its default of 25 is forty requests for a thousand keys.

Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetApiKeys.html
"""


@dataclass(frozen=True)
class Route:
    """One method of one path.

    Attributes:
        method: HTTP method.
        path: Path below the stage.
        key_required: Whether it requires an API key.
        function: Name of the Lambda function behind it; None without.
        alias: Alias of the function that is called; None for the function itself.
        settings: `{setting: value}` of all that must be identical in every Region.
    """

    method: str
    path: str
    key_required: bool
    function: str | None
    alias: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


def stage_name(environment: Environment, region: str) -> str:
    """Name of the API's stage in a Region.

    Args:
        environment: The environment.
        region: The Region.
    """
    return environment.region_url(region).rpartition("/")[2]


def listed(
    environment: Environment, region: str, operation: str, **arguments: Any
) -> Iterator[dict[str, Any]]:
    """List the items of all pages of an operation of API Gateway.

    Args:
        environment: The environment.
        region: The Region.
        operation: Its name in boto3, such as `get_resources`.
        arguments: Its arguments.
    """
    paginator = environment.client("apigateway", region).get_paginator(operation)
    pages = paginator.paginate(**arguments, PaginationConfig={"PageSize": PAGE_SIZE})
    for page in pages:
        # A page without items has no member of that name.
        yield from page.get("items", ())


def routes_of(environment: Environment, region: str) -> dict[str, Route]:
    """Read the routes of a Region's API: `{"GET /path": route}`, ordered by path and method.

    Args:
        environment: The environment.
        region: The Region.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetResources.html
    """
    api = {"restApiId": environment.outputs.api_ids[region]}
    validators = {
        validator["id"]: validator
        for validator in listed(environment, region, "get_request_validators", **api)
    }
    models = {
        model["name"]: model.get("schema")
        for model in listed(environment, region, "get_models", **api)
    }
    found = [
        _route(resource["path"], name, method, validators, models)
        for resource in listed(environment, region, "get_resources", **api, embed=["methods"])
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
    called = re.search(r":function:([^:/]+)(?::([^:/]+))?", integration.get("uri", ""))
    function, alias = called.groups() if called else (None, None)
    validator = validators.get(method.get("requestValidatorId", ""), {})
    settings = {
        "authorization": method["authorizationType"],
        "API key required": bool(method.get("apiKeyRequired")),
        "validates body": bool(validator.get("validateRequestBody")),
        "validates parameters": bool(validator.get("validateRequestParameters")),
        "integration": integration.get("type"),
        "alias": alias or "none",
        "integration timeout ms": integration.get("timeoutInMillis"),
    }
    for parameter, required in (method.get("requestParameters") or {}).items():
        settings[f"parameter {parameter}"] = required
    for content_type, model in (method.get("requestModels") or {}).items():
        settings[f"model of {content_type}"] = models.get(model)
    return Route(
        method=name,
        path=path,
        key_required=bool(method.get("apiKeyRequired")),
        function=function,
        alias=alias,
        settings=settings,
    )
