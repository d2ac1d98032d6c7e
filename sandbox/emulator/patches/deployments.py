"""Patches of API Gateway's deployments: what they hold, and which may be deleted."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sandbox.emulator import module, replace

_served: ContextVar[dict[str, Any] | None] = ContextVar("served", default=None)
"""The resources that serve the request at hand; None to look at those of the API."""


def stage_serves_what_was_deployed() -> None:
    """A stage serves resources, methods and integrations as they were at its deployment.

    AWS: a change of them has no effect on a stage until the API is deployed again.
    MiniStack 1.5.33: serves them as they are now, and so a rename or a deletion at once.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html
    """
    gateway = module("services.apigateway_v1")
    deployed: dict[tuple[str, str], dict[str, Any]] = {}

    def reading(original: Any) -> Any:
        def get(resources: Any, key: str, default: Any = None) -> Any:
            served = _served.get()
            return original(resources, key, default) if served is None else served

        return get

    @contextmanager
    def serving(api_id: str, stage_name: str) -> Iterator[None]:
        stage = gateway._stages_v1.get(api_id, {}).get(stage_name, {})
        token = _served.set(deployed.get((api_id, stage.get("deploymentId"))))
        try:
            yield
        finally:
            _served.reset(token)

    def creating(original: Any) -> Any:
        def create_deployment(api_id: str, data: dict[str, Any]) -> Any:
            response = original(api_id, data)
            if created := json.loads(response[2]).get("id"):
                resources = gateway._resources.get(api_id, {})
                deployed[api_id, created] = copy.deepcopy(resources)
            return response

        return create_deployment

    def deleting(original: Any) -> Any:
        def delete_deployment(api_id: str, deployment_id: str) -> Any:
            response = original(api_id, deployment_id)
            if deployment_id not in gateway._deployments_v1.get(api_id, {}):
                deployed.pop((api_id, deployment_id), None)
            return response

        return delete_deployment

    def executing(original: Any) -> Any:
        async def execute(request: Any, api_id: str, stage_name: str, *given: Any) -> Any:
            with serving(api_id, stage_name):
                return await original(request, api_id, stage_name, *given)

        return execute

    def authorizing(original: Any) -> Any:
        def method_authorization_type(api_id: str, stage_name: str, *given: Any) -> Any:
            scope = gateway.find_api_scope(api_id)
            if scope is None:
                return None
            with gateway.request_scope(*scope), serving(api_id, stage_name):
                return original(api_id, stage_name, *given)

        return method_authorization_type

    # A class of its own: the stores of everything else are of the same one.
    store = type("Resources", (type(gateway._resources),), {"__slots__": ()})
    replace(store, "get", reading)
    gateway._resources.__class__ = store
    replace(gateway, "_create_deployment", creating)
    replace(gateway, "_delete_deployment", deleting)
    replace(gateway, "_execute_in_scope", executing)
    replace(gateway, "method_authorization_type", authorizing)


def deployment_of_a_stage_is_not_deleted() -> None:
    """A deployment that a stage serves cannot be deleted.

    AWS: 400 "Active stages pointing to this deployment must be moved or deleted".
    MiniStack 1.5.33: deletes it.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/19805
    """
    gateway = module("services.apigateway_v1")

    def deleting(original: Any) -> Any:
        def delete_deployment(api_id: str, deployment_id: str) -> Any:
            stages = gateway._stages_v1.get(api_id, {}).values()
            if any(stage.get("deploymentId") == deployment_id for stage in stages):
                return gateway._v1_error(
                    "BadRequestException",
                    "Active stages pointing to this deployment must be moved or deleted",
                    400,
                )
            return original(api_id, deployment_id)

        return delete_deployment

    replace(gateway, "_delete_deployment", deleting)
