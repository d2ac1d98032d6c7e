"""IAM policies: grants in, documents out that a managed policy can hold.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, TypeAlias

from ops.errors import OpsError

MAX_CHARACTERS = 6_144
"""Characters of a managed policy, without white space.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""
VERSION = "2012-10-17"
ANYWHERE = "*"
"""Resource of actions that cannot be limited to one."""
GLOBAL_SERVICES = ("iam", "route53", "sts")
"""Services whose requests have no Region that a policy could name."""

Names: TypeAlias = Mapping[str, Sequence[str]]
"""`{placeholder: values}`."""
Conditions: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""`{operator: {key: values}}`."""
Document: TypeAlias = dict[str, Any]
"""The JSON value of a policy."""


@dataclass(frozen=True)
class Grant:
    """Actions of one service on resources; texts may have placeholders.

    Attributes:
        service: Prefix of the actions.
        actions: Names of the actions, separated by white space.
        resources: ARNs without `arn:aws:`, or `ANYWHERE`. One with a placeholder that has no value
            is left out, and so is a grant without any resource.
        condition: What else must hold.
        writes: Whether anything is changed with them.
    """

    service: str
    actions: str
    resources: tuple[str, ...]
    condition: Conditions = field(default_factory=dict)
    writes: bool = False


def documents(grants: Iterable[Grant], names: Names) -> tuple[Document, ...]:
    """Make policies of grants: as few statements as possible, in as few policies as possible.

    An action that cannot be limited to a resource is limited to the environment's Regions, unless
    its service is global.

    Args:
        grants: What is granted.
        names: Values of the placeholders; `region` is one of them.

    Returns:
        The documents, each of which a managed policy can hold.

    Raises:
        OpsError: One statement is larger than a policy may be.
    """
    by_resource: dict[tuple[str, ...], set[str]] = {}
    conditions: dict[str, Conditions] = {}
    for grant in grants:
        resources = _filled(grant.resources, names)
        if not resources:
            continue
        condition = _condition(grant, names)
        key = json.dumps(condition, sort_keys=True)
        conditions[key] = condition
        actions = by_resource.setdefault((key, *resources), set())
        actions |= {f"{grant.service}:{action}" for action in grant.actions.split()}
    by_action: dict[tuple[str, ...], set[str]] = {}
    for (key, *found), actions in by_resource.items():
        by_action.setdefault((key, *sorted(actions)), set()).update(found)
    return _packed(
        _statement(actions, _uncovered(found), conditions[key])
        for (key, *actions), found in sorted(by_action.items(), key=lambda each: each[0][1:])
    )


def size(document: Document) -> int:
    """Characters of a document as AWS counts them."""
    return len(re.sub(r"\s", "", json.dumps(document)))


def _condition(grant: Grant, names: Names) -> dict[str, dict[str, list[str]]]:
    condition = {
        operator: {key: sorted(_each(values, names)) for key, values in keys.items()}
        for operator, keys in grant.condition.items()
    }
    if ANYWHERE in grant.resources and grant.service not in GLOBAL_SERVICES:
        regions = {"aws:RequestedRegion": sorted(names["region"])}
        condition["StringEquals"] = regions | condition.get("StringEquals", {})
    return condition


def _filled(resources: Iterable[str], names: Names) -> tuple[str, ...]:
    """The ARNs, without those that another one covers."""
    return _uncovered(
        each if each == ANYWHERE else f"arn:aws:{each}" for each in _each(resources, names)
    )


def _each(texts: Iterable[str], names: Names) -> set[str]:
    """The texts with each combination of values of their placeholders."""
    found = set()
    for text in texts:
        placeholders = sorted(set(re.findall(r"{(\w+)}", text)))
        for values in product(*(names.get(each, ()) for each in placeholders)):
            found.add(text.format(**dict(zip(placeholders, values, strict=True))))
    return found


def _uncovered(resources: Iterable[str]) -> tuple[str, ...]:
    found = sorted(set(resources))
    return tuple(
        each
        for each in found
        if not any(fnmatchcase(each, other) for other in found if other != each)
    )


def _statement(
    actions: Sequence[str], resources: Sequence[str], condition: Conditions
) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})


def _packed(statements: Iterable[dict[str, Any]]) -> tuple[Document, ...]:
    packed: list[Document] = []
    for statement in statements:
        alone = {"Version": VERSION, "Statement": [statement]}
        if size(alone) > MAX_CHARACTERS:
            raise OpsError(
                f"the statement of {statement['Action'][0]} is larger than a policy may be "
                f"({size(alone):,} of {MAX_CHARACTERS:,} characters)",
                next_step="report it as a bug, with the environment file",
            )
        for document in packed:
            longer = {**document, "Statement": [*document["Statement"], statement]}
            if size(longer) <= MAX_CHARACTERS:
                document["Statement"].append(statement)
                break
        else:
            packed.append(alone)
    return tuple(packed)
