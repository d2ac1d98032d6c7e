"""What is wrong with a JSON document, in the words of the validator behind API Gateway.

API Gateway validates request bodies with a JSON schema draft-04 validator written in Java; its
messages are what callers see in ``$context.error.validationErrorString``.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

# Keywords whose meaning depends on a second one.
_COMPANIONS = {
    "minimum": ("exclusiveMinimum",),
    "maximum": ("exclusiveMaximum",),
    "additionalProperties": ("properties", "patternProperties"),
}
_NESTED = ("properties", "items")
_LOWER = "numeric instance is lower than the required"
_GREATER = "numeric instance is greater than the required"
_IGNORED = frozenset({"exclusiveMinimum", "exclusiveMaximum", *_NESTED})


def describe(schema: Any, document: Any, *, is_valid: Callable[[Any, Any, Any], bool]) -> list[str]:
    """Every fault of a document, outer ones first.

    Args:
        schema: The model's JSON schema, draft-04.
        document: The parsed request body.
        is_valid: ``is_valid(schema, value, root_schema)``, the validator that refused the document.

    Returns:
        One message per broken keyword; empty when none can be named.
    """
    return list(_faults(schema, document, schema, is_valid))


def _faults(
    schema: Any, value: Any, root: Any, is_valid: Callable[[Any, Any, Any], bool]
) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for keyword in schema:
        names = (keyword, *_COMPANIONS.get(keyword, ()))
        alone = {name: schema[name] for name in names if name in schema}
        if keyword == "additionalProperties":
            alone["properties"] = {name: {} for name in schema.get("properties", {})}
        if keyword not in _IGNORED and not is_valid(alone, value, root):
            yield _message(keyword, schema, value)
    for inner, item in _children(schema, value):
        yield from _faults(inner, item, root, is_valid)


def _children(schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name in value:
                yield inner, value[name]
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            yield schema["items"], item


def _message(keyword: str, schema: dict[str, Any], value: Any) -> str:
    limit = schema[keyword]
    match keyword:
        case "required":
            missing = sorted(name for name in limit if name not in value)
            return f"object has missing required properties ({_compact(missing)})"
        case "type":
            allowed = sorted(limit if isinstance(limit, list) else [limit])
            if allowed == ["number"]:
                allowed = ["integer", "number"]
            return (
                f"instance type ({_type_name(value)}) does not match any allowed primitive type "
                f"(allowed: {_compact(allowed)})"
            )
        case "enum":
            return (
                f"instance value ({_compact(value)}) not found in enum "
                f"(possible values: {_compact(limit)})"
            )
        case "minimum":
            return f"{_LOWER} minimum (minimum: {limit}, found: {value})"
        case "maximum":
            return f"{_GREATER} maximum (maximum: {limit}, found: {value})"
        case "minLength":
            measured = f"(length: {len(value)}, required minimum: {limit})"
            return f"string {_compact(value)} is too short {measured}"
        case "maxLength":
            measured = f"(length: {len(value)}, maximum allowed: {limit})"
            return f"string {_compact(value)} is too long {measured}"
        case "pattern":
            return f"ECMA 262 regex {_compact(limit)} does not match input string {_compact(value)}"
        case "additionalProperties":
            extra = sorted(name for name in value if name not in schema.get("properties", {}))
            return (
                "object instance has properties which are not allowed by the schema: "
                f"{_compact(extra)}"
            )
        case _:
            return f"instance does not match the schema's {keyword}: {_compact(limit)}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _type_name(value: Any) -> str:
    names = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return names.get(type(value), "null")
