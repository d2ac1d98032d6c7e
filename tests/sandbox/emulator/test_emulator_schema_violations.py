"""The words for what is wrong with a request body."""

import pytest

from sandbox.emulator.patches import schema_violations

pytestmark = pytest.mark.unit


def is_valid(schema, value, _root):
    """A fake of MiniStack's validator, for the keywords used here."""
    checks = {
        "required": lambda names: not isinstance(value, dict) or set(names) <= value.keys(),
        "type": lambda name: isinstance(
            value, {"number": (int, float), "string": str, "object": dict, "array": list}[name]
        ),
        "enum": lambda allowed: value in allowed,
        "minimum": lambda limit: not isinstance(value, int | float) or value >= limit,
        "maximum": lambda limit: not isinstance(value, int | float) or value <= limit,
        "maxLength": lambda limit: not isinstance(value, str) or len(value) <= limit,
        "minLength": lambda limit: not isinstance(value, str) or len(value) >= limit,
        "additionalProperties": lambda allowed: (
            allowed or not isinstance(value, dict) or value.keys() <= schema["properties"].keys()
        ),
    }
    return all(checks[word](limit) for word, limit in schema.items() if word in checks)


@pytest.mark.parametrize(
    ("schema", "document", "fault"),
    [
        (
            {"required": ["b", "a", "c"]},
            {"c": 1},
            'object has missing required properties (["a","b"])',
        ),
        (
            {"type": "number"},
            "hot",
            "instance type (string) does not match any allowed primitive type "
            '(allowed: ["integer","number"])',
        ),
        (
            {"enum": ["C", "F"]},
            "K",
            'instance value ("K") not found in enum (possible values: ["C","F"])',
        ),
        (
            {"minimum": 0},
            -1,
            "numeric instance is lower than the required minimum (minimum: 0, found: -1)",
        ),
        (
            {"maximum": 9},
            10,
            "numeric instance is greater than the required maximum (maximum: 9, found: 10)",
        ),
        (
            {"minLength": 1},
            "",
            'string "" is too short (length: 0, required minimum: 1)',
        ),
        (
            {"maxLength": 2},
            "abc",
            'string "abc" is too long (length: 3, maximum allowed: 2)',
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "b": 2},
            'object instance has properties which are not allowed by the schema: ["b"]',
        ),
    ],
)
def test_a_broken_keyword_is_named(schema, document, fault):
    assert schema_violations.describe(schema, document, is_valid=is_valid) == [fault]


def test_faults_of_inner_values_are_found():
    schema = {
        "type": "object",
        "properties": {"readings": {"items": {"required": ["at"], "properties": {"at": {}}}}},
    }

    faults = schema_violations.describe(schema, {"readings": [{"at": 1}, {}]}, is_valid=is_valid)

    assert faults == ['object has missing required properties (["at"])']


def test_a_valid_document_has_no_violations():
    assert schema_violations.describe({"type": "object"}, {}, is_valid=is_valid) == []
