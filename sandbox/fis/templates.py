"""Experiment templates: what AWS refuses beyond its service model.

One action is known, the one that drills use. Others are refused by name.

Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
Source: https://docs.aws.amazon.com/fis/latest/userguide/action-sequence.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LEAST_SECONDS, MOST_SECONDS = 60, 12 * 3600
"""Duration of an action."""
MOST_ACTIONS = 20
MOST_STOP_CONDITIONS = 5
"""Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html"""
ALARM = "aws:cloudwatch:alarm"

_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_SELECTION = re.compile(r"ALL|COUNT\([1-9]\d*\)|PERCENT\(([1-9]\d?|100)\)")


class RefusedError(Exception):
    """A request that AWS refuses.

    Args:
        message: Why.
        code: The error of the service.
    """

    def __init__(self, message: str, code: str = "ValidationException") -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Action:
    """An action that the local AWS can carry out.

    Attributes:
        targets: `{name of the target in the action: resource type}`.
        permissions: IAM actions that the role needs on each target.
        arn: ARN of such a target, a regular expression with `{region}` and `{account}`.
    """

    targets: Mapping[str, str]
    permissions: tuple[str, ...]
    arn: str


PAUSE_REPLICATION = "aws:dynamodb:global-table-pause-replication"
ACTIONS: Mapping[str, Action] = {
    PAUSE_REPLICATION: Action(
        targets={"Tables": "aws:dynamodb:global-table"},
        permissions=(
            *("dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"),
            *("dynamodb:GetResourcePolicy", "dynamodb:DescribeTable"),
        ),
        arn=r"arn:aws:dynamodb:{region}:{account}:table/[\w.-]+",
    )
}


def duration_seconds(text: str) -> float:
    """Read the duration of an action.

    Args:
        text: ISO 8601, such as `PT10M`.

    Raises:
        RefusedError: It is something else, or too short or long.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise RefusedError(f"duration: {text!r} is not a duration in ISO 8601, such as PT10M")
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not LEAST_SECONDS <= total <= MOST_SECONDS:
        raise RefusedError(f"duration: {text} must be from PT1M to PT12H")
    return total


def check(
    template: Mapping[str, Any],
    *,
    region: str,
    account: str,
    has_alarm: Callable[[str], bool],
) -> None:
    """Check a template beyond its service model.

    Args:
        template: The template, as it would be described.
        region: Its Region.
        account: Its account.
        has_alarm: Whether the Region has the alarm with an ARN.

    Raises:
        RefusedError: AWS would refuse it; the message names everything that is wrong.
    """
    problems = [
        *_of_actions(template),
        *_of_targets(template, region, account),
        *_of_stop_conditions(template, has_alarm),
    ]
    role = str(template.get("roleArn", ""))
    if not re.fullmatch(rf"arn:aws:iam::{account}:role/[\w+=,.@/-]+", role):
        problems.append(f"roleArn: {role!r} is not the ARN of a role of account {account}")
    if problems:
        raise RefusedError("; ".join(problems))


def _of_actions(template: Mapping[str, Any]) -> Iterator[str]:
    actions, targets = template.get("actions") or {}, template.get("targets") or {}
    if not 1 <= len(actions) <= MOST_ACTIONS:
        yield f"actions: {len(actions)} are given, 1 to {MOST_ACTIONS} are allowed"
    for name, action in actions.items():
        where, known = f"actions.{name}", ACTIONS.get(action["actionId"])
        if known is None:
            yield f"{where}: the local AWS has no action {action['actionId']}, only " + ", ".join(
                ACTIONS
            )
            continue
        parameters = action.get("parameters") or {}
        if unknown := sorted(parameters.keys() - {"duration"}):
            yield f"{where}.parameters: unknown: {', '.join(unknown)}"
        try:
            duration_seconds(parameters.get("duration", ""))
        except RefusedError as error:
            yield f"{where}.parameters.{error}"
        given = action.get("targets") or {}
        if given.keys() != known.targets.keys():
            yield f"{where}.targets: expected {', '.join(known.targets)}, got {', '.join(given)}"
            continue
        for key, target in given.items():
            type = targets.get(target, {}).get("resourceType")
            if type != known.targets[key]:
                yield f"{where}.targets.{key}: {target} is not a target of {known.targets[key]}"
        if action.get("startAfter"):
            yield f"{where}.startAfter: the local AWS starts all actions at once"


def _of_targets(template: Mapping[str, Any], region: str, account: str) -> Iterator[str]:
    arns = {
        type: action.arn.format(region=region, account=account)
        for action in ACTIONS.values()
        for type in action.targets.values()
    }
    used = {
        target
        for action in (template.get("actions") or {}).values()
        for target in (action.get("targets") or {}).values()
    }
    for name, target in (template.get("targets") or {}).items():
        where, type = f"targets.{name}", target["resourceType"]
        if name not in used:
            yield f"{where}: no action uses it"
        if type not in arns:
            yield f"{where}.resourceType: the local AWS has no {type}"
            continue
        if not _SELECTION.fullmatch(target["selectionMode"]):
            yield f"{where}.selectionMode: expected ALL, COUNT(n) or PERCENT(n)"
        if not target.get("resourceArns") or target.get("resourceTags") or target.get("filters"):
            yield f"{where}: the local AWS finds targets by resourceArns only"
        for arn in target.get("resourceArns") or ():
            if not re.fullmatch(arns[type], arn):
                yield f"{where}.resourceArns: {arn} is not a {type} of {account} in {region}"


def _of_stop_conditions(
    template: Mapping[str, Any], has_alarm: Callable[[str], bool]
) -> Iterator[str]:
    conditions = template.get("stopConditions") or ()
    if not 1 <= len(conditions) <= MOST_STOP_CONDITIONS:
        yield (
            f"stopConditions: {len(conditions)} are given, 1 to {MOST_STOP_CONDITIONS} are allowed"
        )
    for condition in conditions:
        source, value = condition["source"], condition.get("value")
        if source == ALARM:
            if not value or not has_alarm(value):
                yield f"stopConditions: {value} is not an alarm of this Region"
        elif source != "none":
            yield f"stopConditions: source must be {ALARM} or none, not {source}"
        elif value or len(conditions) > 1:
            yield "stopConditions: none takes no value, and no other condition beside it"


def alarms_of(template: Mapping[str, Any]) -> tuple[str, ...]:
    """ARNs of the alarms that stop an experiment.

    Args:
        template: A valid template, or an experiment of one.
    """
    return tuple(each["value"] for each in template["stopConditions"] if each["source"] == ALARM)
