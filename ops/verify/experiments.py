"""The experiment templates of drills: present, equal in every Region, and none of them running."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ops import lock as locks
from ops.drill.fis_faults import RUN_TAG, active_experiments
from ops.drill.journal import known, restore_command
from ops.environment import Environment
from ops.verify.comparison import Settings, compared
from ops.verify.finding import Finding, check, passed_unless, region_check, unknown
from ops.verify.leftovers import is_held

_FIX = "deploy again: it creates the same templates in every Region"
_PRINCIPAL = "fis.amazonaws.com"


@check("experiment.templates")
def templates(environment: Environment) -> Iterator[Finding]:
    """Check that every Region has the same experiment templates, each of its own replica."""
    if environment.outputs.experiment_template_ids:
        yield from compared(environment, _templates, subject="experiment templates", fix=_FIX)


@region_check("experiment.role")
def role(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that AWS Fault Injection Service may assume the role of every template."""
    for fault, id in _ids(environment, region).items():
        arn = _described(environment, region, id)["roleArn"]
        found = environment.client("iam", region).get_role(RoleName=arn.rpartition("/")[2])
        trust = _document(found["Role"]["AssumeRolePolicyDocument"])
        trusting = [
            each
            for each in trust["Statement"]
            if each["Effect"] == "Allow" and _PRINCIPAL in _listed(each["Principal"].get("Service"))
        ]
        yield passed_unless(
            region,
            [] if trusting else [f"{arn} does not trust {_PRINCIPAL}: no experiment can run"],
            found=f"{fault}: {_PRINCIPAL} may assume {arn.rpartition('/')[2]}",
            fix=_FIX,
        )


@region_check("leftover.experiment")
def running(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that no experiment of a drill runs."""
    for fault, id in _ids(environment, region).items():
        left = active_experiments(environment, region, id)
        state = locks.read(environment) if left else None
        if state and is_held(state):
            yield unknown(region, f"an experiment for {fault} runs: {state}")
            continue
        yield passed_unless(
            region,
            [f"the experiment {each['id']} for {fault} is {each['state']['status']}"
             for each in left],
            found=f"no experiment for {fault} runs",
            fix="; ".join(_stop(environment, region, each) for each in left),
        )  # fmt: skip


def _stop(environment: Environment, region: str, experiment: Mapping[str, Any]) -> str:
    ids = {fault.id for journal in known(environment) for fault in journal.faults}
    if experiment.get("tags", {}).get(RUN_TAG) in ids:
        return restore_command(environment)
    return f"aws fis stop-experiment --region {region} --id {experiment['id']}"


def _ids(environment: Environment, region: str) -> dict[str, str]:
    """`{fault: id}` of the templates of a Region."""
    ids = environment.outputs.experiment_template_ids or {}
    return {fault: each[region] for fault, each in ids.items() if region in each}


def _templates(environment: Environment, region: str) -> Settings:
    settings: dict[str, object] = {}
    for fault, id in _ids(environment, region).items():
        template = _described(environment, region, id)
        for name, action in template["actions"].items():
            settings[f"{fault}, action {name}"] = action["actionId"]
            for parameter, value in action["parameters"].items():
                settings[f"{fault}, {parameter} of {name}"] = value
        alarms = sorted(each.get("value", each["source"]) for each in template["stopConditions"])
        settings[f"{fault}, stopped by"] = ", ".join(alarms)
        targets = [arn for each in template["targets"].values() for arn in each["resourceArns"]]
        settings[f"{fault}, target"] = (
            "the replica of the Region"
            if targets == [environment.outputs.table_arns[region]]
            else ", ".join(targets)
        )
    return settings


def _described(environment: Environment, region: str, id: str) -> Mapping[str, Any]:
    found = environment.client("fis", region).get_experiment_template(id=id)
    template: Mapping[str, Any] = found["experimentTemplate"]
    return template


def _document(given: Any) -> Mapping[str, Any]:
    """A policy, which boto3 gives decoded."""
    document: Mapping[str, Any] = (
        given if isinstance(given, Mapping) else json.loads(unquote(given))
    )
    return document


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
