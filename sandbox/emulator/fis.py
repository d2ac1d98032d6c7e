"""AWS Fault Injection Service in the local AWS: MiniStack has no such service.

Requests are read by botocore's model of the service, whether or not the checks are on. What is
valid beyond it, and what becomes of an experiment, is in `sandbox.fis`. An experiment that runs
pauses replication from and to its Region, as AWS does by denying the replication role its requests
to the replica there; here at once, on AWS within five minutes. It ends after its duration, which
passes at the sandbox's speed, when it is stopped, or when one of its alarms fires.

The role must exist and trust FIS; with `--iam-enforced`, its policies must allow what the action
does. Otherwise the experiment fails, as on AWS.

Source: https://docs.aws.amazon.com/fis/latest/userguide/what-is.html
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from sandbox.emulator import module
from sandbox.emulator.replication import ReplicatedTables
from sandbox.emulator.strict import current_call
from sandbox.emulator.strict.requests import Call, read
from sandbox.fis.experiments import Experiment, RegionalExperiments
from sandbox.fis.templates import ACTIONS, PAUSE_REPLICATION, RefusedError, check

SERVICE, PRINCIPAL = "fis", "fis.amazonaws.com"
POLL_SECONDS = 0.1
_STATUS = {
    "ConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
}
Response = tuple[int, dict[str, str], bytes]


class FaultInjectionService:
    """The service, as MiniStack's modules are: `handle_request` and `reset`.

    Args:
        tables: The global tables whose replication is paused, and whose time an experiment has.
        iam_enforced: Whether the role's policies are evaluated.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        tables: ReplicatedTables,
        *,
        iam_enforced: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tables, self._clock = tables, clock
        self._iam_enforced = iam_enforced
        self._regions: dict[tuple[str, str], RegionalExperiments] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._responses: Any = module("core.responses")

    def install(self) -> None:
        """Add the service to MiniStack, before it serves its first request."""
        app, router, actions = module("app"), module("core.router"), module("core.iam_actions")
        app._loaded_modules[SERVICE] = self
        app.SERVICE_REGISTRY[SERVICE] = {"module": SERVICE}
        app.SERVICE_HANDLERS[SERVICE] = self.handle_request
        router.SERVICE_PATTERNS[SERVICE] = {"host_patterns": [r"fis\."], "credential_scope": "fis"}
        actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
        actions._BOTOCORE_SERVICE_MAP[SERVICE] = [SERVICE]
        module("services.tagging")._RESOURCE_TAG_COLLECTORS[SERVICE] = self._tagged

    async def handle_request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Response:
        """Serve one request; MiniStack has authorized it."""
        target = path + ("?" + urlencode(query_params, doseq=True) if query_params else "")
        call = current_call.get() or read(SERVICE, method, target, headers, body)
        if call is None:
            return _response(404, {"message": f"no {method} {path}"}, "UnknownOperationException")
        account, region = self._responses.get_account_id(), self._responses.get_region()
        try:
            return _response(200, self._respond(call, account, region))
        except RefusedError as error:
            return _response(_STATUS[error.code], {"message": str(error)}, error.code)

    def reset(self) -> None:
        """Forget everything; experiments that run end."""
        for regional in self._regions.values():
            for experiment in regional.experiments.values():
                experiment.is_stopping = True
                self._tables.resume(experiment.id)
        self._regions.clear()

    def _tagged(self) -> Iterator[tuple[str, list[dict[str, str]]]]:
        """Every ARN with its tags, for conditions of policies."""
        for here in self._regions.values():
            for each in (*here.templates.values(), *(e.shown for e in here.experiments.values())):
                yield (
                    each["arn"],
                    [{"Key": key, "Value": value} for key, value in each["tags"].items()],
                )

    def _regional(self, account: str, region: str) -> RegionalExperiments:
        return self._regions.setdefault(
            (account, region), RegionalExperiments(region, account, self._clock)
        )

    def _respond(self, call: Call, account: str, region: str) -> dict[str, Any]:
        given, here = call.parameters, self._regional(account, region)
        match call.operation.name:
            case "CreateExperimentTemplate":
                self._check(given, account, region)
                return {"experimentTemplate": here.create_template(given)}
            case "UpdateExperimentTemplate":
                changed = here.changed(given)
                self._check(changed, account, region)
                return {"experimentTemplate": here.update_template(changed)}
            case "GetExperimentTemplate":
                return {"experimentTemplate": here.template(given["id"])}
            case "DeleteExperimentTemplate":
                return {"experimentTemplate": here.delete_template(given["id"])}
            case "ListExperimentTemplates":
                members = ("id", "arn", "description", "creationTime", "lastUpdateTime", "tags")
                return {"experimentTemplates": _summaries(here.templates.values(), members)}
            case "StartExperiment":
                experiment, is_new = here.start(given)
                if is_new:
                    task = asyncio.get_running_loop().create_task(
                        self._run(experiment, account, region)
                    )
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                return {"experiment": experiment.shown}
            case "StopExperiment":
                return {"experiment": here.stop(given["id"]).shown}
            case "GetExperiment":
                return {"experiment": here.experiment(given["id"]).shown}
            case "ListExperiments":
                template = given.get("experimentTemplateId")
                shown = [each.shown for each in here.experiments.values()]
                if template:
                    shown = [each for each in shown if each["experimentTemplateId"] == template]
                members = ("id", "arn", "experimentTemplateId", "state", "creationTime", "tags")
                return {"experiments": _summaries(shown, members)}
            case "ListTagsForResource":
                return {"tags": here.tags(given["resourceArn"])}
            case "TagResource":
                here.tags(given["resourceArn"]).update(given["tags"])
                return {}
            case "UntagResource":
                tags = here.tags(given["resourceArn"])
                for key in given.get("tagKeys") or list(tags):
                    tags.pop(key, None)
                return {}
            case operation:
                raise RefusedError(f"the local AWS has no {operation}")

    def _check(self, template: Mapping[str, Any], account: str, region: str) -> None:
        alarms = module("services.cloudwatch")._alarms

        def has_alarm(arn: str) -> bool:
            start = f"arn:aws:cloudwatch:{region}:{account}:alarm:"
            return arn.startswith(start) and arn.removeprefix(start) in alarms

        check(template, region=region, account=account, has_alarm=has_alarm)

    async def _run(self, experiment: Experiment, account: str, region: str) -> None:
        """What becomes of an experiment, from its start to its end."""
        end, reason = "failed", ""
        try:
            reason = self._why_not(experiment, account, region)
            if reason:
                return
            end, reason = await self._until_its_end(experiment, account, region)
        finally:
            self._tables.resume(experiment.id)
            experiment.become(end, reason, self._clock())

    async def _until_its_end(
        self, experiment: Experiment, account: str, region: str
    ) -> tuple[str, str]:
        alarms = module("services.cloudwatch")._alarms
        deadline = self._tables.now() + experiment.seconds
        while True:
            with self._responses.request_scope(account, region):
                fired = [
                    arn
                    for arn in experiment.alarms
                    if alarms.get(arn.rpartition(":alarm:")[2], {}).get("StateValue") == "ALARM"
                ]
            if experiment.is_stopping:
                return "stopped", "Experiment stopped"
            if fired:
                return "stopped", f"Experiment halted by stop condition: {fired[0]}"
            if self._tables.now() >= deadline:
                return "completed", "Experiment completed"
            if experiment.status != "running":
                self._tables.pause(experiment.id, ((region, None), (None, region)))
                experiment.become("running", "Experiment is running", self._clock())
            await asyncio.sleep(POLL_SECONDS)

    def _why_not(self, experiment: Experiment, account: str, region: str) -> str:
        """Why it cannot run; empty if it can."""
        iam, evaluator = module("services.iam"), module("core.iam_evaluator")
        arn, name = experiment.shown["roleArn"], experiment.shown["roleArn"].rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)
        context = {
            "aws:sourceaccount": account,
            "aws:sourcearn": experiment.shown["arn"],
        }
        if role is None or not _trusts(evaluator, role["AssumeRolePolicyDocument"], context):
            return f"Unable to assume role: {arn} does not exist, or does not trust {PRINCIPAL}"
        tables = module("services.dynamodb")._tables
        action = ACTIONS[PAUSE_REPLICATION]
        policies = evaluator._gather_role_policies(name, account)
        for target in experiment.shown["targets"].values():
            for resource in target["resourceArns"]:
                with self._responses.request_scope(account, region):
                    if resource.rpartition("/")[2] not in tables:
                        return f"Target resolution returned empty set: {resource} does not exist"
                for permission in action.permissions if self._iam_enforced else ():
                    asked = evaluator.EvalContext(
                        principal_arn=arn, principal_type="AssumedRole", principal_account=account,
                        action=permission, resource_arn=resource, region=region,
                    )  # fmt: skip
                    if evaluator.evaluate(asked, policies).decision != "Allow":
                        return f"Access denied: {arn} may not call {permission} on {resource}"
        return ""


def install(tables: ReplicatedTables, *, iam_enforced: bool) -> FaultInjectionService:
    """Add the service to MiniStack.

    Args:
        tables: The global tables.
        iam_enforced: Whether policies are evaluated.
    """
    service = FaultInjectionService(tables, iam_enforced=iam_enforced)
    service.install()
    return service


def _trusts(evaluator: Any, document: Any, context: Mapping[str, str]) -> bool:
    """Whether a trust policy lets FIS assume the role for an experiment."""
    trust = json.loads(document) if isinstance(document, str) else document
    asked = evaluator.EvalContext(
        principal_arn=PRINCIPAL, principal_type="Service", principal_account="",
        action="sts:AssumeRole", resource_arn="*", region="", service_context=dict(context),
    )  # fmt: skip
    statements = trust["Statement"]
    effects = {
        each["Effect"]
        for each in ([statements] if isinstance(statements, dict) else statements)
        if evaluator._service_principal_matches(each.get("Principal"), PRINCIPAL)
        and "sts:AssumeRole" in each["Action"]
        and evaluator._conditions_met(each.get("Condition", {}), asked)
    }
    return effects == {"Allow"}


def _summaries(shown: Any, members: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in members if name in each} for each in shown]


def _response(status: int, body: Mapping[str, Any], error: str = "") -> Response:
    headers = {"Content-Type": "application/json"}
    if error:
        headers["x-amzn-ErrorType"] = error
    return status, headers, json.dumps(body).encode()
