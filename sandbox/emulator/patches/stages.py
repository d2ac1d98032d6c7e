"""Patches of API Gateway's stages: their method settings, and what may be deleted or replaced."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from sandbox.emulator import module, replace

_EVERY_METHOD = "*/*"
_MAPPING_PATH = re.compile("/domainnames/([^/]+)/basepathmappings/([^/]+)")
_MAPPING_FIELDS = {"/basePath": "basePath", "/restapiId": "restApiId", "/stage": "stage"}


def settings_of_all_methods_overwrite_those_of_one() -> None:
    """Method settings of ``*/*`` end those of single methods that were set before.

    AWS: what is set for all methods replaces what a method had; settings of one method survive
    only if they are set later.
    MiniStack 1.5.33: keeps both, in any order.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/41104
    """
    gateway = module("services.apigateway_v1")

    def patching(original: Any) -> Any:
        def apply_stage_patch(stage: dict[str, Any], operations: list[dict[str, Any]]) -> None:
            original(stage, operations)
            settings = stage.get("methodSettings", {})
            paths = [operation.get("path", "") for operation in operations]
            if any(path.startswith(f"/{_EVERY_METHOD}/") for path in paths):
                for method in [name for name in settings if name != _EVERY_METHOD]:
                    del settings[method]

        return apply_stage_patch

    replace(gateway, "_apply_stage_patch", patching)


def stage_in_use_is_not_deleted() -> None:
    """A stage that base path mappings or usage plans point to cannot be deleted.

    AWS: 400 BadRequestException, until the last of them points elsewhere.
    MiniStack 1.5.33: deletes it, and the mappings and plans point to nothing.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/28774
    """
    gateway = module("services.apigateway_v1")

    def deleting(original: Any) -> Any:
        def delete_stage(api_id: str, stage_name: str) -> Any:
            if users := ", ".join(_users_of_stage(gateway, api_id, stage_name)):
                return gateway._v1_error(
                    "BadRequestException",
                    f"Cannot delete stage {stage_name!r}: remove it first from {users}",
                    400,
                )
            return original(api_id, stage_name)

        return delete_stage

    replace(gateway, "_delete_stage", deleting)


def _users_of_stage(gateway: Any, api_id: str, stage_name: str) -> Iterator[str]:
    for domain, mappings in gateway._base_path_mappings.items():
        for path, mapping in mappings.items():
            if (mapping.get("restApiId"), mapping.get("stage")) == (api_id, stage_name):
                yield f"base path mapping {path!r} of {domain}"
    for plan in gateway._usage_plans.values():
        for used in plan.get("apiStages") or []:
            if (used.get("apiId"), used.get("stage")) == (api_id, stage_name):
                yield f"usage plan {plan['name']!r}"


def names_in_use_are_refused() -> None:
    """A stage, method, domain name or base path mapping that exists is not created again.

    AWS: 409 ConflictException; a stage's name is unique in its API, a method at its path, a domain
    name in its Region, a base path in its domain name.
    MiniStack 1.5.33: puts the new one in the place of the old one, which a later deletion then
    removes.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_CreateStage.html
    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_CreateDomainName.html
    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_CreateBasePathMapping.html
    """
    gateway = module("services.apigateway_v1")

    def stage(original: Any) -> Any:
        def create_stage(api_id: str, data: dict[str, Any]) -> Any:
            if data.get("stageName") in gateway._stages_v1.get(api_id, {}):
                return _conflict(gateway, "Stage already exists")
            return original(api_id, data)

        return create_stage

    def method(original: Any) -> Any:
        def put_method(api_id: str, resource_id: str, http_method: str, data: Any) -> Any:
            resource = gateway._resources.get(api_id, {}).get(resource_id, {})
            if http_method in resource.get("resourceMethods", {}):
                return _conflict(gateway, "Method already exists for this resource")
            return original(api_id, resource_id, http_method, data)

        return put_method

    def domain(original: Any) -> Any:
        def create_domain_name(data: dict[str, Any]) -> Any:
            if data.get("domainName") in gateway._domain_names:
                return _conflict(gateway, "The domain name you provided already exists.")
            return original(data)

        return create_domain_name

    def mapping(original: Any) -> Any:
        def create_base_path_mapping(domain_name: str, data: dict[str, Any]) -> Any:
            base_path = data.get("basePath", "(none)")
            if base_path in gateway._base_path_mappings.get(domain_name, {}):
                return _conflict(gateway, "Base path already exists for this domain name")
            return original(domain_name, data)

        return create_base_path_mapping

    replace(gateway, "_create_stage", stage)
    replace(gateway, "_put_method", method)
    replace(gateway, "_create_domain_name", domain)
    replace(gateway, "_create_base_path_mapping", mapping)


def one_variable_is_in_one_place() -> None:
    """A path has one parameter in one place, whatever its name.

    AWS: 400 BadRequestException "A sibling … of this resource already has a variable path part",
    for a resource that is created as for one that is renamed.
    MiniStack 1.5.33: takes several.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/11344
    """
    gateway = module("services.apigateway_v1")

    def sibling_of(api_id: str, parent_id: str, resource_id: str, part: str) -> Any:
        for each in gateway._resources.get(api_id, {}).values():
            if (
                each.get("parentId") == parent_id
                and each["id"] != resource_id
                and part.startswith("{")
                and each.get("pathPart", "").startswith("{")
            ):
                return gateway._v1_error(
                    "BadRequestException",
                    f"A sibling ({each['id']}) of this resource already has a variable path part "
                    "-- only one is allowed",
                    400,
                )
        return None

    def creating(original: Any) -> Any:
        def create_resource(api_id: str, parent_id: str, data: dict[str, Any]) -> Any:
            part = data.get("pathPart", "")
            return sibling_of(api_id, parent_id, "", part) or original(api_id, parent_id, data)

        return create_resource

    def updating(original: Any) -> Any:
        def update_resource(api_id: str, resource_id: str, data: dict[str, Any]) -> Any:
            parent = gateway._resources.get(api_id, {}).get(resource_id, {}).get("parentId", "")
            parts = [
                operation.get("value", "")
                for operation in data.get("patchOperations", [])
                if operation.get("path") == "/pathPart"
            ]
            refused = parts and sibling_of(api_id, parent, resource_id, parts[-1])
            return refused or original(api_id, resource_id, data)

        return update_resource

    replace(gateway, "_create_resource", creating)
    replace(gateway, "_update_resource", updating)


def _conflict(gateway: Any, message: str) -> Any:
    return gateway._v1_error("ConflictException", message, 409)


def base_path_mapping_is_updated() -> None:
    """``UpdateBasePathMapping`` points a base path to another stage or API, or renames it.

    AWS: patches ``/stage``, ``/restapiId`` and ``/basePath``.
    MiniStack 1.5.33: does not know the operation.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateBasePathMapping.html
    """
    gateway = module("services.apigateway_v1")

    def handling(original: Any) -> Any:
        async def handle_request(
            method: str, path: str, headers: Any, body: bytes, query: Any
        ) -> Any:
            named = _MAPPING_PATH.fullmatch(path)
            if method != "PATCH" or named is None:
                return await original(method, path, headers, body, query)
            domain, base_path = (urllib.parse.unquote(part) for part in named.groups())
            mappings = gateway._base_path_mappings.get(domain, {})
            mapping = mappings.pop(base_path, None)
            if mapping is None:
                return gateway._v1_error(
                    "NotFoundException", "Invalid base path mapping identifier specified", 404
                )
            for operation in json.loads(body or b"{}").get("patchOperations", []):
                mapping[_MAPPING_FIELDS[operation["path"]]] = operation["value"]
            mappings[mapping["basePath"]] = mapping
            return gateway._v1_response(gateway._public_mapping(mapping))

        return handle_request

    replace(gateway, "handle_request", handling)


def usage_plan_stages_are_updated() -> None:
    """``UpdateUsagePlan`` adds stages to a plan and removes them.

    AWS: the value of ``/apiStages`` is ``{api id}:{stage}``.
    MiniStack 1.5.33: keeps that text in the place of the list, which no SDK can read.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_PatchOperation.html
    """
    gateway = module("services.apigateway_v1")

    def updating(original: Any) -> Any:
        def update_usage_plan(plan_id: str, data: dict[str, Any]) -> Any:
            plan = gateway._usage_plans.get(plan_id)
            others = []
            for operation in data.get("patchOperations", []):
                if plan is None or operation.get("path") != "/apiStages":
                    others.append(operation)
                    continue
                api_id, _, stage = operation["value"].partition(":")
                named = {"apiId": api_id, "stage": stage}
                kept = [
                    used
                    for used in plan.get("apiStages") or []
                    if (used.get("apiId"), used.get("stage")) != (api_id, stage)
                ]
                plan["apiStages"] = kept if operation.get("op") == "remove" else [*kept, named]
            return original(plan_id, {**data, "patchOperations": others})

        return update_usage_plan

    replace(gateway, "_update_usage_plan", updating)
