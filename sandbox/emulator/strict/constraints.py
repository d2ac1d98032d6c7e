"""The constraints of a service model: required members, lengths, ranges, patterns, enumerations.

Source: https://smithy.io/2.0/spec/constraint-traits.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.model import Shape
from moto.core.parse import UNDEFINED
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

_LENGTHS = {"list": "entries", "map": "entries", "string": "characters", "blob": "bytes"}
_NUMBERS = ("integer", "long", "float", "double", "short", "byte")


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Check a value against a shape and all that it contains.

    Args:
        shape: The shape.
        value: The value, as boto3 would take it.
        path: Where the value is.

    Yields:
        `(path, constraint)` of each constraint that does not hold.
    """
    if value is UNDEFINED:
        return
    match shape.type_name:
        case "structure":
            yield from _in_structure(shape, value, path)
        case "list":
            for number, each in enumerate(value):
                yield from violations(shape.member, each, f"{path}[{number}]")
        case "map":
            for key, each in value.items():
                yield from violations(shape.key, key, f"{path} key {key!r}")
                yield from violations(shape.value, each, f"{path}[{key!r}]")
        case "string":
            yield from _in_text(shape, value, path)
    yield from ((path, what) for what in _out_of_bounds(shape, value))


def _in_structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if shape.is_document_type or value is None:
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield _join(path, name), "is required"
    if shape.is_tagged_union and len(value) != 1:
        yield path, f"must have exactly one of {', '.join(shape.members)}"
    for name, each in value.items():
        if each is not None:
            yield from violations(shape.members[name], each, _join(path, name))


def _in_text(shape: Shape, value: str, path: str) -> Iterator[tuple[str, str]]:
    enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if enum and value not in enum:
        yield path, f"must be one of {', '.join(enum)}"
    if pattern:
        matches = matcher(pattern)
        if matches and not matches(value):
            yield path, f"must satisfy the regular expression {pattern}"


def _out_of_bounds(shape: Shape, value: Any) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is None and high is None:
        return
    if shape.type_name in _LENGTHS:
        size, what = len(value), f" {_LENGTHS[shape.type_name]}"
    elif shape.type_name in _NUMBERS:
        size, what = value, ""
    else:
        return
    if low is not None and size < low:
        yield f"must be at least {low}{what}, and is {size}"
    if high is not None and size > high:
        yield f"must be at most {high}{what}, and is {size}"


@functools.cache
def matcher(pattern: str) -> Callable[[str], bool] | None:
    """Compile a pattern of a model.

    Most are regular expressions of Python, too; those with classes of Unicode need another engine.

    Args:
        pattern: The pattern.

    Returns:
        Whether a whole text matches; None if neither engine can read the pattern.
    """
    try:
        compiled = re.compile(pattern)
    except re.error:
        try:
            validator = SchemaValidator(
                core_schema.str_schema(pattern=rf"\A(?:{pattern})\z", regex_engine="rust-regex")
            )
        except SchemaError:
            return None

        def matches(text: str) -> bool:
            try:
                validator.validate_python(text)
            except ValidationError:
                return False
            return True

        return matches
    return lambda text: compiled.fullmatch(text) is not None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
