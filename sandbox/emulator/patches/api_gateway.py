"""Patches of API Gateway's REST APIs: what is refused, and what is read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.emulator import module, replace
from sandbox.emulator.patches import schema_violations

_METHOD_SWITCHES = ("/apiKeyRequired", "/requestParameters/")
_LIMITS: dict[str, Callable[[str], float]] = {
    "throttle/rateLimit": float,
    "throttle/burstLimit": int,
    "quota/limit": int,
    "quota/offset": int,
}
_UNSET_STRUCTURES = ("accessLogSettings", "mutualTlsAuthentication", "quota", "throttle")


def api_key_is_looked_up_in_its_region() -> None:
    """An API key is valid for the APIs of its account and Region only.

    AWS: keys are regional; the same value may exist in two Regions, and each is found in its own.
    MiniStack 1.5.33: takes the first key with that value in any Region, so the other Region
    answers 403.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
    """
    gateway = module("services.apigateway_v1")
    responses = module("core.responses")

    def resolving(_original: Any) -> Any:
        def resolve_api_key(value: str) -> Any:
            here = (responses.get_account_id(), responses.get_region())
            for scope, key in gateway._api_keys.all_items():
                if value and scope[:2] == here and key.get("value") == value:
                    return key if key.get("enabled", True) else None
            return None

        return resolve_api_key

    replace(gateway, "_resolve_api_key", resolving)


def api_key_value_exists_once() -> None:
    """A value belongs to one API key of an account and Region.

    AWS: 409, ConflictException, "API Key already exists"; in another Region the value is free.
    MiniStack 1.5.33: accepts it, and finds one of the two keys.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/17130
    """
    gateway = module("services.apigateway_v1")

    def creating(original: Any) -> Any:
        def create_api_key(data: dict[str, Any]) -> Any:
            value = data.get("value")
            if value and any(key.get("value") == value for key in gateway._api_keys.values()):
                return gateway._v1_error("ConflictException", "API Key already exists", 409)
            return original(data)

        return create_api_key

    replace(gateway, "_create_api_key", creating)


def unset_structures_are_left_out() -> None:
    """A structure that was never set is absent from an answer.

    AWS: leaves out ``throttle`` and ``quota`` of a usage plan, ``accessLogSettings`` of a stage and
    ``mutualTlsAuthentication`` of a domain name until they are set.
    MiniStack 1.5.33: answers with ``{}``, which Terraform reads as a block to remove, in every
    plan.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_UsagePlan.html
    """
    gateway = module("services.apigateway_v1")

    def responding(original: Any) -> Any:
        def v1_response(data: Any, status: int = 200) -> Any:
            return original(_without_unset(data), status)

        return v1_response

    replace(gateway, "_v1_response", responding)


def _without_unset(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_unset(item) for item in data]
    if not isinstance(data, dict):
        return data
    kept = {k: v for k, v in data.items() if not (k in _UNSET_STRUCTURES and v in ({}, None))}
    return {k: _without_unset(v) if k in ("item", "items") else v for k, v in kept.items()}


def method_settings_are_named_with_escaped_slashes() -> None:
    """A stage names its method settings as they were set, with ``~1`` for a slash of the path.

    AWS: answers with ``~1pets~1{petId}/GET``.
    MiniStack 1.5.33: answers with ``/pets/{petId}/GET``, which Terraform does not find again.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_Stage.html
    """
    gateway = module("services.apigateway_v1")

    def responding(original: Any) -> Any:
        def v1_response(data: Any, status: int = 200) -> Any:
            if isinstance(data, dict) and isinstance(data.get("methodSettings"), dict):
                named = {_escaped(k): v for k, v in data["methodSettings"].items()}
                data = {**data, "methodSettings": named}
            return original(data, status)

        return v1_response

    replace(gateway, "_v1_response", responding)


def _escaped(method_path: str) -> str:
    path, _, method = method_path.rpartition("/")
    return f"{path.replace('/', '~1')}/{method}"


def updated_limits_are_numbers() -> None:
    """The limits of a usage plan stay numbers when they are updated.

    AWS: a patch brings every value as text, and answers with numbers.
    MiniStack 1.5.33: keeps the text, which no SDK can read: every later plan fails.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_PatchOperation.html
    """
    gateway = module("services.apigateway_v1")

    def updating(original: Any) -> Any:
        def update_usage_plan(plan_id: str, data: dict[str, Any]) -> Any:
            for operation in data.get("patchOperations", []):
                number = _LIMITS.get(operation.get("path", "").lstrip("/"))
                if number and "value" in operation:
                    operation["value"] = number(operation["value"])
            return original(plan_id, data)

        return update_usage_plan

    replace(gateway, "_update_usage_plan", updating)


def updated_method_has_booleans() -> None:
    """What a method requires stays a boolean when it is updated.

    AWS: a patch brings every value as text, and answers with booleans.
    MiniStack 1.5.33: keeps the text, which Terraform cannot read: every later plan fails.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateMethod.html
    """
    gateway = module("services.apigateway_v1")

    def updating(original: Any) -> Any:
        def update_method(api_id: str, resource_id: str, method: str, data: dict[str, Any]) -> Any:
            for operation in data.get("patchOperations", []):
                switch = operation.get("path", "").startswith(_METHOD_SWITCHES)
                if switch and "value" in operation:
                    operation["value"] = str(operation["value"]).lower() == "true"
            return original(api_id, resource_id, method, data)

        return update_method

    replace(gateway, "_update_method", updating)


def disabled_api_key_stays_disabled() -> None:
    """A key that an update disables opens nothing.

    AWS: a patch brings ``enabled`` as text, and the key is refused from then on.
    MiniStack 1.5.33: keeps the text ``false``, which counts as true.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateApiKey.html
    """
    gateway = module("services.apigateway_v1")

    def updating(original: Any) -> Any:
        def update_api_key(key_id: str, data: dict[str, Any]) -> Any:
            for operation in data.get("patchOperations", []):
                if operation.get("path") == "/enabled" and "value" in operation:
                    operation["value"] = str(operation["value"]).lower() == "true"
            return original(key_id, data)

        return update_api_key

    replace(gateway, "_update_api_key", updating)


def iam_method_refuses_what_is_no_signature() -> None:
    """A method with AWS_IAM refuses an Authorization header that is not a Signature Version 4.

    AWS: 403, IncompleteSignatureException. (A request without the header gets "Missing
    Authentication Token" from both.)
    MiniStack 1.5.33: without IAM enforcement any header passes, ``Bearer x`` too. With this
    patch the header must have the form of a signature; the signature itself is verified with
    ``--iam-enforced``.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
    """
    gateway = module("services.apigateway_v1")
    sigv4 = module("core.sigv4")

    def authorizing(original: Any) -> Any:
        async def authorize_request(
            api_id: str, stage_name: str, method_obj: dict[str, Any], *rest: Any, **named: Any
        ) -> Any:
            error, context = await original(api_id, stage_name, method_obj, *rest, **named)
            if error is None and method_obj.get("authorizationType", "").upper() == "AWS_IAM":
                # After the method's name, path and resource: the request's headers.
                error = _signature_fault(gateway, sigv4, rest[3])
            return error, context

        return authorize_request

    replace(gateway, "_authorize_request_v1", authorizing)


def _signature_fault(gateway: Any, sigv4: Any, headers: dict[str, str]) -> Any:
    authorization = headers.get("authorization", "")
    if not authorization:
        return None
    if authorization.startswith("AWS4-HMAC-SHA256 "):
        parsed = sigv4.parse_header_signature(headers)
        fault = parsed if isinstance(parsed, tuple) else None
    else:
        fault = sigv4.foreign_authorization_failure(headers)
    if fault is None:
        return None
    return gateway._GatewayError("DEFAULT_4XX", fault[1], "IncompleteSignatureException")


def validation_error_is_described() -> None:
    """``$context.error.validationErrorString`` says what is wrong with a request body.

    AWS: fills the variable with the faults the request validator found, and leaves it empty
    elsewhere.
    MiniStack 1.5.33: leaves the name of the variable in the answer.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    gateway = module("services.apigateway_v1")

    def checking(original: Any) -> Any:
        def check_request_validation(
            method_obj: Any, api_id: str, request: Any, headers: Any, body: Any, query: Any
        ) -> Any:
            error = original(method_obj, api_id, request, headers, body, query)
            if error is not None and error.response_type == "BAD_REQUEST_BODY":
                error.validation_error = _body_faults(gateway, api_id, method_obj, headers, body)
            return error

        return check_request_validation

    def rendering(original: Any) -> Any:
        def gateway_error_response(error: Any, request: Any) -> Any:
            status, headers, body = original(error, request)
            described = json.dumps(getattr(error, "validation_error", ""))[1:-1].encode()
            for name in (
                b"$context.error.validationErrorString",
                b"${context.error.validationErrorString}",
            ):
                body = body.replace(name, described)
            return status, headers, body

        return gateway_error_response

    replace(gateway, "_check_request_validation", checking)
    replace(gateway, "_gateway_error_response", rendering)


def _body_faults(gateway: Any, api_id: str, method_obj: Any, headers: Any, body: Any) -> str:
    models = method_obj.get("requestModels") or {}
    content_type = (
        (gateway._header_ci(headers, "content-type") or "application/json").split(";")[0].strip()
    )
    schema = gateway._model_schema(
        api_id, models.get(content_type) or models.get("application/json")
    )
    try:
        document = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return "Could not parse request body into json"
    try:
        faults = schema_violations.describe(schema, document, is_valid=gateway._json_schema_valid)
    except (RecursionError, gateway._SchemaLoop):
        return ""
    return f"[{', '.join(faults)}]"
