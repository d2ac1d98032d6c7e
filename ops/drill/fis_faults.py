"""The faults that AWS Fault Injection Service (FIS) injects, by experiment templates of the stack.

An experiment belongs to the run whose id is in its tags: so it is found and stopped, by this run or
by `--restore`, even if the program was killed before it knew the experiment's id.

Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ops.drill.aws_faults import SwitchFault
from ops.environment import Environment
from ops.errors import OpsError, UsageError, explain

ACTIVE = ("pending", "initiating", "running", "stopping")
"""States of an experiment that has not ended."""
RUN_TAG, ENVIRONMENT_TAG = "drill", "environment"
ACTION_MINUTE_DOLLARS = 0.10
"""Source: https://aws.amazon.com/fis/pricing/"""
EFFECT_SECONDS = 300.0
"""So long replication may continue on AWS; the sandbox pauses it at once."""
PATIENCE_SECONDS = 120.0
"""How long an experiment may take to run, or to stop."""
POLL_SECONDS, AWS_POLL_SECONDS = 0.1, 2.0


@dataclass(frozen=True, kw_only=True)
class FisReplicationPausedFault(SwitchFault):
    """The Region's replica neither sends nor gets writes, and then the Region is evacuated.

    So a drill shows what a failover finds that nobody could prepare for: writes that have not
    arrived. They arrive when it is cleared, as the Region is not lost.

    Attributes:
        template_id: The experiment template of the Region.
    """

    name = "fis-replication-paused"
    template: ClassVar[str] = "replication-paused"
    """The kind of its experiment templates, as the stack's outputs name it."""
    help = (
        "pause replication from and to the Region by AWS Fault Injection Service, and evacuate it"
    )
    isolates: ClassVar[bool] = True

    template_id: str = ""

    @classmethod
    def is_possible(cls, environment: Environment) -> bool:
        """Whether the environment has experiment templates."""
        return cls.template in (environment.outputs.experiment_template_ids or {})

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose it for a Region."""
        return super().choose(
            environment,
            id,
            region,
            {**options, "template_id": template_id(environment, cls.template, region)},
        )

    def details(self, environment: Environment) -> tuple[str, ...]:
        """Describe the experiment, for a dry run: what AWS has, not what the stack should have."""
        template = _template(environment, self.region, self.template_id)
        actions = template["actions"].values()
        durations = ", ".join(each["parameters"]["duration"] for each in actions)
        targets = [arn for each in template["targets"].values() for arn in each["resourceArns"]]
        alarms = [each.get("value", each["source"]) for each in template["stopConditions"]]
        return (
            f"Experiment template {self.template_id} in {self.region}: "
            f"{', '.join(each['actionId'] for each in actions)} on {', '.join(targets)}.",
            f"It lasts until the drill stops it, {durations} at most, and is stopped by "
            f"{' or '.join(alarm.rpartition(':alarm:')[2] for alarm in alarms)}.",
            f"Price: {ACTION_MINUTE_DOLLARS:.2f} dollars for each of its {len(actions)} actions "
            "and minute; on AWS the drill waits "
            f"{EFFECT_SECONDS / 60:.0f} minutes until replication has stopped.",
        )

    def prepared(self, environment: Environment) -> Self:
        """See that no experiment of the template runs."""
        running = [e["id"] for e in active_experiments(environment, self.region, self.template_id)]
        if running:
            raise OpsError(
                f"the experiment {', '.join(running)} of {self.template_id} runs in {self.region} "
                "already: nothing was injected",
                next_step="ask who has started it; if nobody needs it: "
                + _stop_by_hand(self.region, running[0]),
            )
        return super().prepared(environment)

    def preceding_seconds(self, environment: Environment) -> float:
        """How long it takes until replication has stopped, and in the end the experiment."""
        return 0.0 if environment.descriptor.sandbox else EFFECT_SECONDS + 2 * PATIENCE_SECONDS

    def precede(self, environment: Environment, require: Callable[[], None]) -> None:
        """Start the experiment, and wait until it has its effect; then the Region is evacuated."""
        client = environment.client("fis", self.region)
        started = _call(
            client.start_experiment,
            clientToken=self.id,
            experimentTemplateId=self.template_id,
            tags={RUN_TAG: self.id, ENVIRONMENT_TAG: environment.outputs.environment},
        )["experiment"]
        id = started["id"]
        state = _awaited(environment, self.region, id, ("pending", "initiating"), require=require)
        if not environment.descriptor.sandbox:
            state = _awaited(
                environment, self.region, id, ("running",), EFFECT_SECONDS, require=require
            )
        if state["status"] != "running":
            raise OpsError(
                f"the experiment {id} in {self.region} did not run: {_ended(state)}",
                next_step="fix what it names, and run the drill again",
            )

    def is_injected(self, environment: Environment) -> bool:
        """Whether the experiment of this run has not ended, or the Region is evacuated by it."""
        return any(self._experiments(environment)) or super().is_injected(environment)

    def ended(self, environment: Environment) -> str:
        """Why the experiment of this run has ended, though the run has not stopped it."""
        mine = list(self._experiments(environment, active=False))
        if not mine or any(each["state"]["status"] in ACTIVE for each in mine):
            return ""
        # A summary of the list may lack the reason.
        state = _state(environment, self.region, mine[-1]["id"])
        return f"the experiment {mine[-1]['id']} in {self.region} has ended: {_ended(state)}"

    def clear(self, environment: Environment) -> bool:
        """Stop the experiment, and restore the Region.

        First the one, then the other: until it has stopped, the other Regions have every write.
        """
        stopped = False
        for experiment in self._experiments(environment):
            stopped |= stop(environment, self.region, experiment["id"])
        return super().clear(environment) or stopped

    def by_hand(self, environment: Environment) -> str:
        """The command lines that clear it."""
        listing = [
            *("aws", "fis", "list-experiments", "--region", self.region),
            *("--experiment-template-id", self.template_id, "--output", "text"),
            *("--query", f"experiments[?tags.{RUN_TAG}=='{self.id}'].[id]"),
        ]
        stopping = f"xargs -n 1 aws fis stop-experiment --region {self.region} --id"
        return f"{shlex.join(listing)} | {stopping}; {super().by_hand(environment)}"

    def describe(self) -> str:
        """Describe what injecting it does."""
        return (
            f"pause replication from and to {self.region} by the experiment template "
            f"{self.template_id}, and {super().describe()}"
        )

    def _experiments(
        self, environment: Environment, *, active: bool = True
    ) -> Iterator[Mapping[str, Any]]:
        """The experiments of this run, those that have not ended or all."""
        found = experiments(environment, self.region, self.template_id)
        for each in found:
            if each.get("tags", {}).get(RUN_TAG) == self.id and (
                not active or each["state"]["status"] in ACTIVE
            ):
                yield each


def template_id(environment: Environment, fault: str, region: str) -> str:
    """Find the experiment template of a fault in a Region.

    Args:
        environment: The environment.
        fault: What the templates do, as the stack's outputs name it.
        region: The Region.

    Raises:
        UsageError: The environment has none.
    """
    ids = (environment.outputs.experiment_template_ids or {}).get(fault, {})
    if region not in ids:
        raise UsageError(
            f"{environment.name} has no experiment template {fault} in {region}",
            next_step="set fault_injection_service = true in [drills] of its file and deploy, or "
            "choose another fault",
        )
    return ids[region]


def experiments(environment: Environment, region: str, template_id: str) -> list[Mapping[str, Any]]:
    """List the experiments of a template, the earliest first.

    Args:
        environment: The environment.
        region: Its Region.
        template_id: The template.

    Raises:
        OpsError: FIS does not respond.
    """
    pages = environment.client("fis", region).get_paginator("list_experiments")
    listed = _call(lambda: list(pages.paginate(experimentTemplateId=template_id)))
    found = [each for page in listed for each in page["experiments"]]
    return sorted(found, key=lambda each: str(each["creationTime"]))


def active_experiments(
    environment: Environment, region: str, template_id: str
) -> list[Mapping[str, Any]]:
    """List the experiments of a template that have not ended.

    Args:
        environment: The environment.
        region: Its Region.
        template_id: The template.

    Raises:
        OpsError: FIS does not respond.
    """
    found = experiments(environment, region, template_id)
    return [each for each in found if each["state"]["status"] in ACTIVE]


def stop(environment: Environment, region: str, id: str) -> bool:
    """Stop an experiment, and wait until it has ended.

    Args:
        environment: The environment.
        region: Its Region.
        id: The experiment.

    Returns:
        Whether this stopped it.

    Raises:
        OpsError: It does not end.
    """
    try:
        _call(environment.client("fis", region).stop_experiment, id=id)
    except OpsError:
        # Only what runs can be stopped: perhaps it is ending, or has just ended.
        status = _state(environment, region, id)["status"]
        if status not in ACTIVE:
            return False
        if status != "stopping":
            raise
    state = _awaited(environment, region, id, ACTIVE)
    if state["status"] in ACTIVE:
        raise OpsError(
            f"the experiment {id} in {region} is still {state['status']}",
            next_step=_stop_by_hand(region, id),
        )
    return True


def _stop_by_hand(region: str, id: str) -> str:
    return f"aws fis stop-experiment --region {region} --id {id}"


def _template(environment: Environment, region: str, id: str) -> Mapping[str, Any]:
    found = _call(environment.client("fis", region).get_experiment_template, id=id)
    template: Mapping[str, Any] = found["experimentTemplate"]
    return template


def _state(environment: Environment, region: str, id: str) -> Mapping[str, str]:
    found = _call(environment.client("fis", region).get_experiment, id=id)
    state: Mapping[str, str] = found["experiment"]["state"]
    return state


def _awaited(
    environment: Environment,
    region: str,
    id: str,
    states: tuple[str, ...],
    seconds: float | None = None,
    require: Callable[[], None] = lambda: None,
) -> Mapping[str, str]:
    """The state of an experiment, once it is none of these, or time is up."""
    deadline = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
    while True:
        require()
        state = _state(environment, region, id)
        if state["status"] not in states or time.monotonic() > deadline:
            return state
        time.sleep(POLL_SECONDS if environment.descriptor.sandbox else AWS_POLL_SECONDS)


def _ended(state: Mapping[str, str]) -> str:
    reason = state.get("reason", "")
    return f"{state['status']}{f' ({reason})' if reason else ''}"


def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return function(**arguments)
    except Exception as error:  # a malformed response, too
        raise OpsError(
            f"AWS Fault Injection Service has not done what it was asked: {explain(error)}",
            next_step="check the credentials and their permissions: python -m ops iam-policy --for "
            "drill",
        ) from error
