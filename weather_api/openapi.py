"""The OpenAPI document of the weather API, composed of what the API itself is made of.

Methods, paths, parameters and who may call come from the operations; texts and statuses from the
docstrings of their modules, where what follows the statuses is for developers only; bodies and
parameters from the schemas that the functions validate with. Defined here is which schema a
function answers with, and what API Gateway responds itself. `python -m scripts.openapi` writes
the document to where `get_openapi` reads it.

Source: https://spec.openapis.org/oas/v3.0.3
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib import Authorization, Operation
from constructs_lib.api.gateway_responses import SERVED_BY_HEADER
from weather_api.operations import FUNCTIONS

Json = dict[str, Any]

_INFO: Json = {
    "title": "Weather API",
    "version": "1.0.0",
    "description": (
        "Weather observations at registered locations, served by several AWS Regions under one "
        f"name. Every response names the Region that served it in `{SERVED_BY_HEADER}`.\n\n"
        "All operations are idempotent, in any Region: retry a request that got 500, 502, 503 or "
        "504, or no response. Resolve the name again before a retry, since it resolves to another "
        "Region after a failover; or, if `servers` has the Regions' own names, retry at that of "
        "another Region.\n\n"
        "A path that does not exist gets a 403, and one outside of the base path a 403 without "
        "that header.\n\n"
        "Errors are problem documents (RFC 9457). Use `status`, or the status of the response, in "
        "programs; `detail` is for people."
    ),
}
_SERVERS = [
    {
        "url": "https://weather.example.com/v1",
        "description": "A placeholder: the API serves this document with its own URLs.",
    }
]
_TAGS = {
    "health": "Whether a Region serves, for Route 53.",
    "openapi": "OpenAPI description.",
    "locations": "Locations with weather observations.",
    "weather": "Weather observations.",
}
"""Tags of operations, by the first segment of their paths."""

_SECURITY: Mapping[Authorization, tuple[str, Json]] = {
    Authorization.API_KEY: (
        "api_key",
        {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "A customer's API key; it is valid in every Region.",
        },
    ),
    Authorization.IAM: (
        "aws_signature",
        {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "x-amazon-apigateway-authtype": "awsSigv4",
            "description": (
                "A signature of an AWS principal that may call `execute-api:Invoke`. Signature "
                "Version 4 is valid in one Region: sign with Version 4A (`SigV4a`, Region set "
                "`*`), or sign for the Region that the name resolves to and re-sign after a 403: "
                f"its `{SERVED_BY_HEADER}` names the Region. A `:` in a path is `%3A` in what is "
                "signed."
            ),
        },
    ),
}

_RESPONSES: Mapping[str, Mapping[int, tuple[str | None, str]]] = {
    "get_health": {
        200: ("Health", "The Region serves."),
        503: ("Health", "The Region does not serve."),
    },
    "get_evacuation": {
        200: ("Evacuation", "The Region is evacuated."),
        404: (None, "The Region is not evacuated."),
    },
    "get_openapi": {200: ("OpenApiDocument", "The document.")},
    "list_locations": {200: ("LocationPage", "A page of locations.")},
    "put_location": {
        200: ("WrittenLocation", "The location; it replaced an earlier one."),
        201: ("WrittenLocation", "The location, which is new in this Region."),
    },
    "get_weather": {200: ("Observation", "The latest observation.")},
    "list_observations": {200: ("ObservationPage", "A page of observations.")},
    "put_observation": {
        200: ("WrittenObservation", "The observation, which already existed."),
        201: ("WrittenObservation", "The observation, which is new in this Region."),
    },
    "delete_observation": {204: (None, "This Region holds no observation of that time any more.")},
}
"""Responses of success: `{operation: {status: (schema, text)}}`."""

_PROBLEMS = {
    400: (
        "InvalidRequest",
        "The request is invalid; a retry does not help. `errors` lists every invalid field, "
        "except if API Gateway rejects a body with missing or unknown members: then `detail` "
        "names them.",
    ),
    403: (
        "Forbidden",
        "The API key or signature is missing or not valid here; a new key takes some seconds. Or "
        "the web ACL refused the request: one address sent too many, or `User-Agent` is missing.",
    ),
    404: (
        "NotFound",
        "Location or observation not found, or not yet replicated to this Region; see `detail`.",
    ),
    409: ("Conflict", "A different observation already exists for that location and time."),
    413: ("TooLarge", "The body is larger than 10 MB."),
    415: ("UnsupportedMediaType", "The Content-Type is not JSON."),
    429: (
        "TooManyRequests",
        "A limit or quota is exceeded: wait for the time in `Retry-After`. Both are counted in "
        "each Region, on a best-effort basis.",
    ),
    500: ("InternalError", "The request could not be served. Quote `instance` to report it."),
    502: ("BadGateway", "The function failed, or its time limit was exceeded."),
    503: ("Unavailable", "The data is temporarily unavailable: retry the request."),
    504: ("GatewayTimeout", "The function could not be reached in time."),
}
"""Error responses that operations share: `{status: (response, text)}`."""

_WRITE_UNAVAILABLE = (
    "WriteUnavailable",
    "The data is temporarily unavailable, or this Region is out of service and accepts no writes: "
    "retry the request in another Region at once, or after `Retry-After` at the name that resolves "
    "to the Region in service. With the `type` `urn:weather:problem:writes-refused`, nothing was "
    "written.",
)
"""The 503 of operations that write: `(response, text)`."""
_RETRY_AFTER_STATUSES = {429, 503}
_BODY = "JSON in UTF-8, at most 4096 bytes; numbers with at most 30 decimal places, kept exactly."


def document(operations: Sequence[Operation]) -> Json:
    """Compose the document.

    Args:
        operations: What the API serves, each with a module in `lambda_src/`.

    Returns:
        The document, in the order of the operations.

    Raises:
        ValueError: The docstring of an operation's module contradicts the operation or lacks a
            part, or a status of it is described nowhere; the message names the fix.
    """
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.0.3",
        "info": _INFO,
        "servers": _SERVERS,
        "tags": [
            {"name": tag, "description": _TAGS[tag]}
            for tag in dict.fromkeys(_tag(operation) for operation in operations)
        ],
        "paths": paths,
        "components": {
            "securitySchemes": dict(_SECURITY.values()),
            "parameters": _parameters(operations),
            "headers": _headers(),
            "responses": {
                name: _response(text, _problem(status), retry_after=status in _RETRY_AFTER_STATUSES)
                for status, (name, text) in (*_PROBLEMS.items(), (503, _WRITE_UNAVAILABLE))
            },
            "schemas": _schemas(),
        },
    }


@dataclass(frozen=True)
class _Documentation:
    """Read the docstring of an operation's module.

    Attributes:
        summary: One line.
        description: Further paragraphs, in CommonMark.
        statuses: What the function answers.
    """

    summary: str
    description: str
    statuses: frozenset[int]


def _documentation(operation: Operation) -> _Documentation:
    path = FUNCTIONS / f"{operation.name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    call = f"{operation.method} {operation.path}"
    if operation.query_parameters:
        call += f"?{'&'.join(operation.query_parameters)}"
    match = re.fullmatch(
        rf"`{re.escape(call)}`: (?P<summary>[^\n]+)\.\n\n"
        r"(?P<description>.*?)\n*^Statuses: (?P<statuses>[0-9, ]+)\.$.*",
        docstring,
        re.DOTALL | re.MULTILINE,
    )
    if not match:
        raise ValueError(
            f"{path}: the docstring does not describe the operation for customers: begin it with "
            f"'`{call}`: what it does.', and end it with a line such as 'Statuses: 200, 400.'"
        )
    return _Documentation(
        summary=match["summary"][:1].upper() + match["summary"][1:],
        description=match["description"],
        statuses=frozenset(map(int, match["statuses"].split(","))),
    )


def _operation(operation: Operation) -> Json:
    documentation = _documentation(operation)
    described: Json = {
        "operationId": operation.name,
        "tags": [_tag(operation)],
        "summary": documentation.summary,
        "description": f"{documentation.description}\n\n{_time_limit(operation)}".lstrip(),
        "security": [],
    }
    if operation.authorization is not Authorization.NONE:
        described["security"] = [{_SECURITY[operation.authorization][0]: []}]
    if parameters := [*operation.path_parameters, *operation.query_parameters]:
        described["parameters"] = [_reference("parameters", name) for name in parameters]
    if operation.request_model is not None:
        described["requestBody"] = {
            "required": True,
            "description": _BODY,
            "content": _content({"application/json": f"{operation.request_model['title']}Fields"}),
        }
    statuses = documentation.statuses | _gateway_statuses(operation)
    described["responses"] = {
        str(status): _answer(operation, status) for status in sorted(statuses)
    }
    return described


def _time_limit(operation: Operation) -> str:
    """What API Gateway makes of a function that takes too long: it waits longer than any may."""
    return f"The time limit is {operation.timeout_seconds} s; after that, the response is a 502."


def _gateway_statuses(operation: Operation) -> set[int]:
    """What API Gateway or its web ACL may respond, whatever the function does."""
    return {403, 429, 500, 502, 503, 504} | ({400, 413} if operation.request_model else set())


def _answer(operation: Operation, status: int) -> Json:
    answers = _RESPONSES.get(operation.name, {})
    if status not in answers:
        if status not in _PROBLEMS:
            raise ValueError(
                f"operation {operation.name!r}: status {status} has no description: add it to "
                "_RESPONSES or _PROBLEMS in weather_api/openapi.py, or take it out of the docstring"
            )
        name, _ = _WRITE_UNAVAILABLE if status == 503 and operation.is_write else _PROBLEMS[status]
        return _reference("responses", name)
    schema, text = answers[status]
    schemas = {"application/json": schema} if schema else {}
    # API Gateway may respond with an error that is not a problem document.
    return _response(text, schemas | (_problem(status) if status in _PROBLEMS else {}))


def _problem(status: int) -> dict[str, str]:
    return {"application/problem+json": "InvalidRequestProblem" if status == 400 else "Problem"}


def _response(text: str, schemas: Mapping[str, str], *, retry_after: bool = False) -> Json:
    """A response with a body of one of the schemas, `{media type: schema}`, or with none."""
    headers = [SERVED_BY_HEADER, *(["Retry-After"] if retry_after else [])]
    response: Json = {
        "description": text,
        "headers": {name: _reference("headers", name) for name in headers},
    }
    if schemas:
        response["content"] = _content(schemas)
    return response


def _parameters(operations: Sequence[Operation]) -> Json:
    parameters: Json = {}
    for operation in operations:
        for name, place, required in (
            *((name, "path", True) for name in operation.path_parameters),
            *((name, "query", required) for name, required in operation.query_parameters.items()),
        ):
            rules = _rules(name)
            parameters[name] = {
                "name": name,
                "in": place,
                "required": required,
                "description": rules.pop("description"),
                "schema": rules,
            }
    return parameters


def _headers() -> Json:
    return {
        SERVED_BY_HEADER: {
            "description": "The Region that served the request.",
            "required": True,
            "schema": {"type": "string", "example": "us-east-1"},
        },
        "Retry-After": {
            "description": "Seconds to wait before a retry.",
            "schema": {"type": "integer", "minimum": 0},
        },
    }


def _schemas() -> Json:
    location, observation = _read("location"), _read("observation")
    where = {"location": _rules("location")}
    which = where | {name: _rules(name) for name in ("observed_at", "observation_id")}
    created = {
        "created": {
            "type": "boolean",
            "description": "Whether this request created it in this Region.",
        }
    }
    return {
        "LocationFields": _record(location),
        "Location": _record(location, where),
        "WrittenLocation": _record(location, where, created),
        "LocationPage": _page("locations", "Location", "by id"),
        "ObservationFields": _record(observation),
        "Observation": _record(observation, which),
        "WrittenObservation": _record(observation, which, created),
        "ObservationPage": _page("observations", "Observation", "oldest first"),
        **_read("answers")["definitions"],
    }


def _record(body: Json, before: Json | None = None, after: Json | None = None) -> Json:
    """A body, with what responses hold before and after its members."""
    before, after = before or {}, after or {}
    return {
        "description": body["description"],
        "type": "object",
        "required": [*before, *body["required"], *after],
        "additionalProperties": False,
        "properties": {**before, **body["properties"], **after},
    }


def _page(name: str, schema: str, order: str) -> Json:
    next_cursor = {"description": "The next page's `cursor`; null on the last page."}
    return {
        "description": f"A page of {name}, {order}.",
        "type": "object",
        "required": [name, "next_cursor"],
        "additionalProperties": False,
        "properties": {
            name: {
                "type": "array",
                "items": _reference("schemas", schema),
                "maxItems": _rules("limit")["maximum"],
            },
            "next_cursor": _rules("cursor") | next_cursor | {"nullable": True},
        },
    }


def _rules(name: str) -> Json:
    """The schema of a parameter, or of a response field of its form."""
    schema = _read("parameters")
    rules: Json = dict(schema["properties"].get(name) or schema["definitions"][name])
    if reference := rules.pop("$ref", None):
        rules = schema["definitions"][reference.rpartition("/")[2]] | rules
    return rules


def _read(name: str) -> Json:
    """A schema of the functions; it refers to its own definitions as components."""
    text = (FUNCTIONS / "weather" / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: Json = json.loads(text.replace("#/definitions/", "#/components/schemas/"))
    return schema


def _tag(operation: Operation) -> str:
    return operation.path.split("/")[1].removesuffix(".json")


def _content(schemas: Mapping[str, str]) -> Json:
    return {
        media_type: {"schema": _reference("schemas", name)} for media_type, name in schemas.items()
    }


def _reference(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
