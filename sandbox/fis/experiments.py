"""The templates and experiments of one account and Region, and what becomes of them.

Source: https://docs.aws.amazon.com/fis/latest/userguide/experiments.html
"""

from __future__ import annotations

import copy
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.fis.templates import RefusedError, alarms_of, duration_seconds

ACTIVE = ("pending", "initiating", "running", "stopping")
MOST_ACTIVE = 5
"""Experiments at the same time.

Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html
"""
_DESCRIBED = ("roleArn", "targets", "actions", "stopConditions", "logConfiguration")


@dataclass
class Experiment:
    """One experiment.

    Attributes:
        shown: As AWS describes it.
        seconds: How long it lasts, on AWS.
        is_stopping: Whether somebody has asked to stop it.
    """

    shown: dict[str, Any]
    seconds: float
    is_stopping: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.shown["id"])

    @property
    def status(self) -> str:
        """Its status."""
        return str(self.shown["state"]["status"])

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in ACTIVE

    @property
    def alarms(self) -> tuple[str, ...]:
        """ARNs of the alarms that stop it."""
        return alarms_of(self.shown)

    def become(self, status: str, reason: str, now: float) -> None:
        """Change its status.

        Args:
            status: The status.
            reason: Why, in words.
            now: The time, in seconds since 1970.
        """
        self.shown["state"] = {"status": status, "reason": reason}
        if status == "running":
            self.shown["startTime"] = now
        if not self.is_active:
            self.shown["endTime"] = now
        for action in self.shown["actions"].values():
            action["state"] = {"status": status, "reason": reason}


@dataclass
class RegionalExperiments:
    """Templates and experiments of one account and Region.

    Attributes:
        region: The Region.
        account: The account.
        clock: Seconds since 1970.
    """

    region: str
    account: str
    clock: Callable[[], float]
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = field(default_factory=dict)

    def create_template(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Create a template, once for each client token.

        Args:
            given: The parameters, checked.

        Raises:
            RefusedError: The token was given for another template.
        """
        if id := self._created("template", given):
            return self.templates[id]
        id, now = _id("EXT"), self.clock()
        template = {
            **_copied(given),
            "id": id,
            "arn": self._arn("experiment-template", id),
            "creationTime": now,
            "lastUpdateTime": now,
            "targetAccountConfigurationsCount": 0,
        }
        template.setdefault("targets", {})
        template.setdefault("tags", {})
        template["experimentOptions"] = {
            "accountTargeting": "single-account",
            "emptyTargetResolutionMode": "fail",
        } | template.get("experimentOptions", {})
        self.templates[id] = template
        self._remember("template", given, id)
        return template

    def template(self, id: str) -> dict[str, Any]:
        """Find a template.

        Args:
            id: Its id.

        Raises:
            RefusedError: There is none.
        """
        if id not in self.templates:
            raise RefusedError(f"Experiment template {id} not found.", "ResourceNotFoundException")
        return self.templates[id]

    def changed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a template would be after an update; nothing is changed.

        Args:
            given: The parameters: what is not among them stays.

        Raises:
            RefusedError: There is no such template.
        """
        template = self.template(given["id"])
        options = template["experimentOptions"] | (given.get("experimentOptions") or {})
        return {**template, **_copied(given), "experimentOptions": options}

    def update_template(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a template.

        Args:
            changed: What `changed` gave, checked.
        """
        self.templates[changed["id"]] = {**changed, "lastUpdateTime": self.clock()}
        return self.templates[changed["id"]]

    def delete_template(self, id: str) -> dict[str, Any]:
        """Delete a template; its experiments stay.

        Args:
            id: Its id.

        Raises:
            RefusedError: There is none.
        """
        template = self.template(id)
        del self.templates[id]
        return template

    def start(self, given: Mapping[str, Any]) -> tuple[Experiment, bool]:
        """Start an experiment, once for each client token.

        Args:
            given: The parameters.

        Returns:
            The experiment, pending, and whether it is a new one.

        Raises:
            RefusedError: There is no such template, the token was given for another experiment, or
                too many run.
        """
        if id := self._created("experiment", given):
            return self.experiments[id], False
        template = self.template(given["experimentTemplateId"])
        if sum(each.is_active for each in self.experiments.values()) >= MOST_ACTIVE:
            raise RefusedError(
                f"{MOST_ACTIVE} experiments are active already", "ServiceQuotaExceededException"
            )
        id = _id("EXP")
        durations = [each["parameters"]["duration"] for each in template["actions"].values()]
        experiment = Experiment(
            {
                "id": id,
                "arn": self._arn("experiment", id),
                "experimentTemplateId": template["id"],
                "creationTime": self.clock(),
                "tags": dict(given.get("tags") or {}),
                "experimentOptions": template["experimentOptions"] | {"actionsMode": "run-all"},
                "targetAccountConfigurationsCount": 0,
                **copy.deepcopy({name: template[name] for name in _DESCRIBED if name in template}),
            },
            seconds=max(map(duration_seconds, durations)),
        )
        experiment.become("pending", "Experiment is pending", self.clock())
        self.experiments[id] = experiment
        self._remember("experiment", given, id)
        return experiment, True

    def experiment(self, id: str) -> Experiment:
        """Find an experiment.

        Args:
            id: Its id.

        Raises:
            RefusedError: There is none.
        """
        if id not in self.experiments:
            raise RefusedError(f"Experiment {id} not found.", "ResourceNotFoundException")
        return self.experiments[id]

    def stop(self, id: str) -> Experiment:
        """Ask to stop an experiment.

        Args:
            id: Its id.

        Raises:
            RefusedError: There is none, or it has ended.
        """
        experiment = self.experiment(id)
        if not experiment.is_active:
            raise RefusedError(f"Experiment {id} is {experiment.status}: it cannot be stopped.")
        experiment.is_stopping = True
        experiment.become("stopping", "Experiment is stopping", self.clock())
        return experiment

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a template or an experiment, to read and to change.

        Args:
            arn: Its ARN.

        Raises:
            RefusedError: There is no such thing here.
        """
        id = arn.rpartition("/")[2]
        if arn == self._arn("experiment", id):
            tags: dict[str, str] = self.experiment(id).shown["tags"]
        elif arn == self._arn("experiment-template", id):
            tags = self.template(id)["tags"]
        else:
            raise RefusedError(f"{arn} not found.", "ResourceNotFoundException")
        return tags

    def _arn(self, kind: str, id: str) -> str:
        return f"arn:aws:fis:{self.region}:{self.account}:{kind}/{id}"

    def _created(self, kind: str, given: Mapping[str, Any]) -> str:
        before, id = self._tokens.get((kind, given["clientToken"]), (given, ""))
        if before != given:
            raise RefusedError(
                f"The client token {given['clientToken']} was used with other parameters.",
                "ConflictException",
            )
        return id

    def _remember(self, kind: str, given: Mapping[str, Any], id: str) -> None:
        self._tokens[kind, given["clientToken"]] = (copy.deepcopy(dict(given)), id)


def _copied(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: copy.deepcopy(value)
        for name, value in given.items()
        if name != "clientToken" and value is not None
    }


def _id(prefix: str) -> str:
    letters = string.ascii_letters + string.digits
    return prefix + "".join(secrets.choice(letters) for _ in range(15))
