"""The JSON of the domain: bodies checked against their schemas, numbers kept exact, digests.

Which fields a body has, which are required and their bounds are in `location.schema.json` and
`observation.schema.json` beside this module (JSON Schema draft 4, the dialect of API Gateway's
models). API Gateway reads the same files, so there is one place to change a field. What paths and
queries may hold is in `parameters.schema.json`. The OpenAPI document is made of all three.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from weather.errors import Fault, InvalidRequest

BODY_BYTES_MAX: Final = 4096
DECIMAL_PLACES_MAX: Final = 30
"""Keeps every number within the 38 digits that DynamoDB stores exactly.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

Fields = Mapping[str, Decimal | str]
"""The body of a location or an observation, as its schema allows it."""


def parse_body(body: bytes, schema: Mapping[str, Any]) -> dict[str, Decimal | str]:
    """Read a JSON body and check it against a schema.

    Args:
        body: UTF-8 JSON of at most 4096 bytes: one object, no name twice in it.
        schema: `LOCATION_SCHEMA` or `OBSERVATION_SCHEMA`.

    Returns:
        The fields in the order of the schema, numbers exactly as given.

    Raises:
        InvalidRequest: With every fault of the body.
    """
    if len(body) > BODY_BYTES_MAX:
        raise InvalidRequest(Fault("body", f"must be at most {BODY_BYTES_MAX} bytes"))
    try:
        document = json.loads(
            body.decode(),
            parse_int=_number,
            parse_float=_number,
            parse_constant=float,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError):
        raise InvalidRequest(Fault("body", "must be JSON in UTF-8")) from None
    if not isinstance(document, dict):
        raise InvalidRequest(Fault("body", "must be a JSON object"))
    properties = schema["properties"]
    faults = [
        *(Fault(name, "is required") for name in schema["required"] if name not in document),
        *(Fault(name, "is not a known field") for name in document if name not in properties),
    ]
    for name in properties:
        if name in document and (detail := _fault_of(document[name], properties[name])):
            faults.append(Fault(name, detail))
    if faults:
        raise InvalidRequest(*faults)
    return {name: document[name] for name in properties if name in document}


def digest(fields: Fields) -> str:
    """Digest a body, so that equal bodies have equal digests however they were written.

    Order, white space and the way a number is written (`20`, `20.0`, `2e1`) make no difference.

    Args:
        fields: A valid body.

    Returns:
        The first 32 hexadecimal digits of the SHA-256 of the canonical JSON.
    """
    return hashlib.sha256(to_json(dict(sorted(fields.items()))).encode()).hexdigest()[:32]


def to_json(value: object) -> str:
    """Write JSON with every decimal number exact, which `json.dumps` cannot do.

    Args:
        value: None, bool, int, Decimal, str, or a list, tuple or mapping of those.

    Returns:
        Compact JSON in ASCII; mappings keep their order.

    Raises:
        TypeError: For any other type.
    """
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(k)}:{to_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value)


def number_text(number: Decimal) -> str:
    """Write a number in the one way that equal numbers share.

    Args:
        number: A finite number with few digits, as `parse_body` lets pass.

    Returns:
        Digits without exponent, without zeros at the end of a fraction, and no minus before zero.
    """
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(text: str) -> Decimal | float:
    """Read a JSON number exactly; one beyond all bounds becomes a float, which no schema allows."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return float("inf")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build a JSON object, refusing duplicate names."""
    names = [name for name, _ in pairs]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InvalidRequest(*(Fault(name, "must be given once") for name in twice))
    return dict(pairs)


def _fault_of(value: object, rules: Mapping[str, Any]) -> str | None:
    """Say what is wrong with one field, or None. Knows just the keywords that the schemas use."""
    if rules["type"] == "number":
        return _fault_of_number(value, rules["minimum"], rules["maximum"])
    return _fault_of_string(value, rules["minLength"], rules["maxLength"], rules["pattern"])


def _fault_of_number(value: object, minimum: float, maximum: float) -> str | None:
    """Say what is wrong with a number, or None."""
    if not isinstance(value, Decimal):
        return "must be a number"
    if not minimum <= value <= maximum:
        return f"must be from {minimum} to {maximum}"
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMAL_PLACES_MAX:
        return f"must have at most {DECIMAL_PLACES_MAX} decimal places"
    return None


def _fault_of_string(value: object, shortest: int, longest: int, pattern: str) -> str | None:
    """Say what is wrong with a string, or None."""
    if not isinstance(value, str):
        return "must be a string"
    if not shortest <= len(value) <= longest:
        return f"must have from {shortest} to {longest} characters"
    if not value.isprintable() or not re.search(pattern, value):
        return f"must be printable characters that match {pattern}"
    return None


def _read_schema(name: str) -> dict[str, Any]:
    """Read a schema from the folder of this module."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text("utf-8"))
    return schema


LOCATION_SCHEMA: Final = _read_schema("location.schema.json")
OBSERVATION_SCHEMA: Final = _read_schema("observation.schema.json")
PARAMETERS_SCHEMA: Final = _read_schema("parameters.schema.json")
