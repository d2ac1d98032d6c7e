"""Items and keys: compared as DynamoDB compares them, and written as JSON.

An item is as DynamoDB's low-level interface shows it, `{attribute: {type: value}}`; in JSON, binary
values are base64, as on the wire.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias

from ops.errors import OpsError

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
_NUMBERS = Context(prec=50)
"""DynamoDB keeps 38 digits."""
_SETS = ("SS", "NS", "BS")


def key_text(key: Item) -> str:
    """A key as one line of text: the same for two keys exactly if DynamoDB takes them for one.

    Args:
        key: The key attributes alone.
    """
    return json.dumps(_canonical_map(key), separators=(",", ":"))


def key_from(text: str) -> dict[str, Any]:
    """Read what `key_text` gave.

    Args:
        text: The text.
    """
    return {
        name: {kind: base64.b64decode(content) if kind == "B" else content}
        for name, (kind, content) in json.loads(text)
    }


def digest(item: Item | None) -> str:
    """A text that is the same for two items exactly if they are equal; empty for no item.

    Numbers are equal by their value, sets whatever their order.

    Args:
        item: The item.
    """
    if item is None:
        return ""
    text = json.dumps(_canonical_map(item), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(item: Item, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The key of an item.

    Args:
        item: The item.
        names: Names of the key attributes, the partition key first.

    Raises:
        OpsError: It has none: what came was not an item of this table.
    """
    try:
        return {name: item[name] for name in names}
    except (KeyError, TypeError) as error:
        raise OpsError(
            f"DynamoDB returned an item without its key: {sorted(item)}",
            next_step="run the command again",
        ) from error


def to_json(item: Item | None) -> Any:
    """An item as JSON values.

    Args:
        item: The item; None for no item.
    """
    return None if item is None else {name: _encoded(value) for name, value in item.items()}


def from_json(data: Any) -> Any:
    """Read what `to_json` gave.

    Args:
        data: Decoded JSON.

    Raises:
        ValueError: It is not an item.
    """
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise ValueError(f"expected an item, {{attribute: {{type: value}}}}, or null, got {data!r}")
    return {name: _decoded(value) for name, value in data.items()}


def _canonical_map(item: Item) -> list[Any]:
    return [[name, _canonical(item[name])] for name in sorted(item)]


def _canonical(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind in _SETS:
        return [kind, sorted(_scalar(kind[0], each) for each in content)]
    if kind == "M":
        return [kind, _canonical_map(content)]
    if kind == "L":
        return [kind, [_canonical(each) for each in content]]
    return [kind, _scalar(kind, content)]


def _scalar(kind: str, content: Any) -> Any:
    if kind == "B":
        return base64.b64encode(bytes(content)).decode()
    return _number(content) if kind == "N" else content


def _number(text: str) -> str:
    try:
        number = _NUMBERS.create_decimal(text)
    except InvalidOperation:
        return str(text)
    # 0, -0 and 0.00 are one number; so are 1, 1.0 and 1E0.
    return str(_NUMBERS.normalize(number)) if number else str(Decimal(0))


def _encoded(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: {name: _encoded(each) for name, each in content.items()}}
    if kind == "L":
        return {kind: [_encoded(each) for each in content]}
    if kind == "B":
        return {kind: _scalar("B", content)}
    if kind in _SETS:
        return {kind: [_scalar("B", each) if kind == "BS" else each for each in sorted(content)]}
    return {kind: content}


def _decoded(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(f"expected one type and its value, like {{'S': 'text'}}, got {value!r}")
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: {name: _decoded(each) for name, each in content.items()}}
    if kind == "L":
        return {kind: [_decoded(each) for each in content]}
    if kind == "B":
        return {kind: base64.b64decode(content, validate=True)}
    if kind == "BS":
        return {kind: [base64.b64decode(each, validate=True) for each in content]}
    if kind not in ("S", "N", "BOOL", "NULL", "SS", "NS"):
        raise ValueError(f"DynamoDB has no type {kind!r}")
    return {kind: content}
