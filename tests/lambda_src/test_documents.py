"""Rules of bodies, schemas and digests."""

import contextlib
import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weather import documents
from weather.errors import InvalidRequest

pytestmark = pytest.mark.unit

SCHEMAS = {"location": documents.LOCATION_SCHEMA, "observation": documents.OBSERVATION_SCHEMA}
NUMBERS = {
    name: st.decimals(rules["minimum"], rules["maximum"], places=6)
    for name, rules in documents.OBSERVATION_SCHEMA["properties"].items()
}
OBSERVATION_FIELDS = st.fixed_dictionaries(
    {"temperature_celsius": NUMBERS.pop("temperature_celsius")}, optional=NUMBERS
)


def faults(body: bytes | str, schema: str = "observation") -> dict[str, str]:
    """Parse a body that must be refused; the faults by field."""
    raw = body.encode() if isinstance(body, str) else body
    with pytest.raises(InvalidRequest) as caught:
        documents.parse_body(raw, SCHEMAS[schema])
    return dict(caught.value.faults)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_schemas_use_only_keywords_that_are_enforced(schema: dict) -> None:
    # GIVEN a schema that API Gateway enforces too
    # WHEN its keywords are listed
    # THEN all of them are known to the interpreter, and each type has all its bounds
    assert set(schema) == {
        *("$schema", "title", "description"),
        *("type", "required", "additionalProperties", "properties"),
    }
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(schema["properties"])
    keywords = {
        "number": {"type", "description", "minimum", "maximum"},
        "string": {"type", "description", "minLength", "maxLength", "pattern"},
    }
    for rules in schema["properties"].values():
        assert set(rules) == keywords[rules["type"]]


def test_patterns_mean_the_same_to_every_reader() -> None:
    # GIVEN the pattern of every schema
    parameters = documents.PARAMETERS_SCHEMA
    every_rule = [
        *(rules for schema in SCHEMAS.values() for rules in schema["properties"].values()),
        *parameters["properties"].values(),
        *parameters["definitions"].values(),
    ]
    # WHEN it is read
    # THEN it matches the whole text, and says nothing that only Python knows (ECMA-262 is what
    # JSON Schema means)
    for pattern in (rules["pattern"] for rules in every_rule if "pattern" in rules):
        assert re.fullmatch(r"\^[^^$]+\$", pattern.replace("[^", "["))
        assert not re.search(r"\(\?|\\[^Sswd.]", pattern)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_no_field_takes_the_name_of_a_key_or_of_what_the_path_says(schema: dict) -> None:
    # GIVEN the names that items and answers use beside the fields
    # WHEN they are compared with the fields
    # THEN none clashes
    taken = {"pk", "sk", "location", "observed_at", "observation_id", "created"}
    assert not taken & set(schema["properties"])


@given(OBSERVATION_FIELDS)
def test_numbers_are_taken_exactly_as_given(fields: dict[str, Decimal]) -> None:
    # GIVEN a valid body
    body = documents.to_json(fields).encode()
    # WHEN it is read and written again
    read = documents.parse_body(body, documents.OBSERVATION_SCHEMA)
    # THEN nothing is lost
    assert read == fields
    assert json.loads(documents.to_json(read), parse_float=Decimal, parse_int=Decimal) == fields


@given(OBSERVATION_FIELDS, st.randoms(use_true_random=False))
def test_digest_looks_at_values_not_at_how_they_are_written(fields: dict, random) -> None:
    # GIVEN one body, written with other order, white space and zeros
    names = list(fields)
    random.shuffle(names)
    other = "{ " + " , ".join(f'"{n}" : {fields[n]:.9f}' for n in names) + " }"
    # WHEN both are read
    read = documents.parse_body(other.encode(), documents.OBSERVATION_SCHEMA)
    # THEN their digests are equal
    assert documents.digest(read) == documents.digest(fields)


@pytest.mark.parametrize("number", ["20", "20.0", "2e1", "2.0E+1", "200e-1", "20.000"])
def test_digest_treats_equal_numbers_as_equal(number: str) -> None:
    # GIVEN a number written in one of many ways
    # WHEN the body is digested
    body = documents.parse_body(
        f'{{"temperature_celsius":{number}}}'.encode(), documents.OBSERVATION_SCHEMA
    )
    # THEN it is the digest of 20
    assert documents.digest(body) == documents.digest({"temperature_celsius": Decimal(20)})


def test_digest_treats_minus_zero_as_zero() -> None:
    # GIVEN zero with a sign
    # WHEN it is digested
    # THEN the sign makes no difference
    zeros = [{"temperature_celsius": Decimal(text)} for text in ("0", "-0", "-0.00")]
    assert len({documents.digest(fields) for fields in zeros}) == 1


@given(OBSERVATION_FIELDS, OBSERVATION_FIELDS)
def test_different_bodies_have_different_digests(one: dict, other: dict) -> None:
    # GIVEN two bodies
    # WHEN both are digested
    # THEN the digests are equal if and only if the bodies are
    assert (documents.digest(one) == documents.digest(other)) == (one == other)


def test_digest_stays_the_same_for_ever() -> None:
    # GIVEN a body whose digest is in keys of stored items
    fields = {"temperature_celsius": Decimal("21.5"), "humidity_percent": Decimal(40)}
    # WHEN it is digested by this version
    # THEN it is still the same
    assert documents.digest(fields) == "598d29a07c27ca0b6d067c530141d0e8"


@pytest.mark.parametrize("edge", ["minimum", "maximum"])
@pytest.mark.parametrize("name", documents.OBSERVATION_SCHEMA["properties"])
def test_bounds_are_included_and_enforced(name: str, edge: str) -> None:
    # GIVEN a number on its bound, and one a little beyond
    bound = documents.OBSERVATION_SCHEMA["properties"][name][edge]
    beyond = f"{bound + (0.001 if edge == 'maximum' else -0.001):.3f}"
    rest = {"temperature_celsius": 1, name: bound}
    # WHEN both are read
    # THEN the bound passes, the other is refused by name
    documents.parse_body(json.dumps(rest).encode(), documents.OBSERVATION_SCHEMA)
    text = json.dumps({**rest, name: 0}).replace(f'"{name}": 0', f'"{name}": {beyond}')
    assert "must be from" in faults(text)[name]


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "true", "false", "null", '"20"', "[20]", "{}"]
)
def test_only_numbers_are_numbers(value: str) -> None:
    # GIVEN a value that some JSON readers take for a number
    # WHEN it is read
    # THEN it is refused by name
    assert faults(f'{{"temperature_celsius": {value}}}') == {
        "temperature_celsius": "must be a number"
    }


@pytest.mark.parametrize("number", ["1e999999999999999999999", "1e-31", "0." + "1" * 31, "9" * 999])
def test_numbers_that_could_not_be_stored_exactly_are_rejected(number: str) -> None:
    # GIVEN a number with more digits than DynamoDB keeps
    # WHEN it is read
    # THEN it is refused by name
    assert list(faults(f'{{"temperature_celsius": {number}}}')) == ["temperature_celsius"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"[]", b"null", b"1", b'"x"', b"{}{}", b"[" * 4096],
)
def test_bodies_that_are_not_a_json_object_are_rejected(body: bytes) -> None:
    # GIVEN something else than a JSON object
    # WHEN it is read
    # THEN the body is named
    assert list(faults(body)) == ["body"]


def test_too_large_bodies_are_rejected() -> None:
    # GIVEN a body one byte too large, and one just as large as allowed
    body = b'{"temperature_celsius": 20}'
    documents.parse_body(body.ljust(documents.BODY_BYTES_MAX), documents.OBSERVATION_SCHEMA)
    # WHEN the larger one is read
    # THEN it is refused with the limit
    assert faults(body.ljust(documents.BODY_BYTES_MAX + 1)) == {
        "body": "must be at most 4096 bytes"
    }


def test_a_name_that_stands_twice_is_rejected() -> None:
    # GIVEN a body that says two things about one field
    # WHEN it is read
    # THEN it is refused by name
    body = '{"temperature_celsius": 1, "temperature_celsius": 2}'
    assert faults(body) == {"temperature_celsius": "must be given once"}


def test_all_errors_are_reported_at_once() -> None:
    # GIVEN a body with three faults
    # WHEN it is read
    # THEN each is named
    reported = faults('{"humidity_percent": 101, "colour": "red", "\\ud800": 1}')
    assert list(reported) == ["temperature_celsius", "colour", "\ud800", "humidity_percent"]


@pytest.mark.parametrize("name", ["", " x", "x ", "\\u0000", "a\\nb", "\\ud800", "x" * 101])
def test_location_names_are_short_and_printable(name: str) -> None:
    # GIVEN a name that people could not read or DynamoDB not store
    # WHEN it is read
    # THEN it is refused by name
    body = f'{{"name": "{name}", "latitude_degrees": 1, "longitude_degrees": 1}}'
    assert list(faults(body, "location")) == ["name"]


@pytest.mark.parametrize("name", ["x", "São Paulo", "x" * 100, "東京"])
def test_location_names_may_be_of_any_language(name: str) -> None:
    # GIVEN a printable name
    body = json.dumps({"name": name, "latitude_degrees": 1, "longitude_degrees": 1}).encode()
    # WHEN it is read
    # THEN it is kept as it is
    assert documents.parse_body(body, documents.LOCATION_SCHEMA)["name"] == name


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_no_body_raises_anything_but_invalid_request(body: bytes) -> None:
    # GIVEN arbitrary bytes
    # WHEN they are read
    # THEN they are valid or refused
    for schema in SCHEMAS.values():
        with contextlib.suppress(InvalidRequest):
            documents.parse_body(body, schema)


def test_json_of_unknown_types_is_a_bug() -> None:
    # GIVEN a value that has no JSON
    # WHEN it is written
    # THEN it fails loudly
    with pytest.raises(TypeError):
        documents.to_json({"x": object()})
