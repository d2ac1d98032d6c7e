"""Spellings of names and values: from the API's escapes to DNS text."""

from __future__ import annotations

import re

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_END_IN_A_NAME = ("CNAME", "NS", "PTR", "MX", "SRV")
_ESCAPED_IN_DNS_TEXT = '"().;\\@$'


def canonical_name(text: str) -> str:
    r"""Give the one spelling under which a domain name is compared.

    Route 53 lower-cases names and writes unusual characters as three octal digits (a wildcard
    is `\052.example.com.`); DNS text format writes three decimal digits. The result is lower
    case, ends with a dot, and is spelt as DNS text.

    Args:
        text: A name as the API or a person wrote it, with or without the final dot.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
    """
    name = _OCTAL.sub(lambda match: _dns_text(int(match.group(1), 8)), text).lower()
    return name if name.endswith(".") else name + "."


def bare_zone_id(text: str) -> str:
    """Strip the `/hostedzone/` that the API puts before zone ids."""
    return text.rpartition("/")[2]


def dns_text_value(kind: str, value: str) -> str:
    """Give a record's value as DNS text.

    Character strings have decimal, not octal, escapes; names are fully qualified, as Route 53 takes
    them whether they end with a dot or not.

    Args:
        kind: The record type.
        value: The value as the API gives it.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
    """
    if kind in _END_IN_A_NAME and not value.endswith("."):
        return f"{value}."
    if kind not in ("TXT", "SPF"):
        return value
    return _OCTAL.sub(lambda match: f"\\{int(match.group(1), 8):03d}", value)


def _dns_text(code: int) -> str:
    character = chr(code)
    if character in _ESCAPED_IN_DNS_TEXT:
        return "\\" + character
    return character if 0x20 < code < 0x7F else f"\\{code:03d}"
