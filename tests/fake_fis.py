"""AWS Fault Injection Service without a server: the sandbox's own rules; no time passes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from fake_environment import EAST, WEST

from sandbox.fis.experiments import RegionalExperiments
from sandbox.fis.templates import PAUSE_REPLICATION, RefusedError

ACCOUNT = "123456789012"
TEMPLATE_IDS = {"replication-paused": {EAST: "EXTeast", WEST: "EXTwest"}}
"""The output of an environment with experiment templates."""


def template(region: str) -> dict[str, Any]:
    """The experiment template of a Region, as the stack creates it."""
    return {
        "clientToken": region,
        "description": f"Pause the replication of weather from and to {region}",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/weather-production-drills-{region}",
        "stopConditions": [
            {
                "source": "aws:cloudwatch:alarm",
                "value": f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:weather-server-errors",
            }
        ],
        "targets": {
            "replica": {
                "resourceType": "aws:dynamodb:global-table",
                "resourceArns": [f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/weather"],
                "selectionMode": "ALL",
            }
        },
        "actions": {
            "pause-replication": {
                "actionId": PAUSE_REPLICATION,
                "parameters": {"duration": "PT30M"},
                "targets": {"Tables": "replica"},
            }
        },
    }


@dataclass
class FakeFis:
    """The service in every Region.

    Attributes:
        starts: Status that a started experiment has when it is next looked at.
        reason: Its reason.
        stops: Whether an experiment that is stopped ends.
        calls: Operations that were called.
    """

    starts: str = "running"
    reason: str = "Experiment is running"
    stops: bool = True
    calls: list[str] = field(default_factory=list)
    regions: dict[str, RegionalExperiments] = field(default_factory=dict)

    def client(self, region: str) -> "FakeFisClient":
        """A client in a Region."""
        if region not in self.regions:
            here = self.regions[region] = RegionalExperiments(region, ACCOUNT, clock=lambda: 1.0)
            made = here.create_template(template(region))
            id = TEMPLATE_IDS["replication-paused"][region]
            here.templates = {id: {**made, "id": id}}
        return FakeFisClient(self, self.regions[region])

    def end(self, region: str, status: str, reason: str) -> None:
        """Let every experiment of a Region that has not ended end."""
        for each in self.regions[region].experiments.values():
            if each.is_active:
                each.become(status, reason, 2.0)


@dataclass
class FakeFisClient:
    """A client in one Region."""

    service: FakeFis
    here: RegionalExperiments

    def start_experiment(self, **given: Any) -> Mapping[str, Any]:
        experiment, is_new = self._call("StartExperiment", self.here.start, given)
        if is_new:
            experiment.become(self.service.starts, self.service.reason, 1.0)
        return {"experiment": experiment.shown}

    def stop_experiment(self, *, id: str) -> Mapping[str, Any]:
        experiment = self._call("StopExperiment", self.here.stop, id)
        if self.service.stops:
            experiment.become("stopped", "Experiment stopped", 2.0)
        return {"experiment": experiment.shown}

    def get_experiment(self, *, id: str) -> Mapping[str, Any]:
        return {"experiment": self._call("GetExperiment", self.here.experiment, id).shown}

    def get_experiment_template(self, *, id: str) -> Mapping[str, Any]:
        found = self._call("GetExperimentTemplate", self.here.template, id)
        return {"experimentTemplate": found}

    def get_paginator(self, operation: str) -> "FakeFisClient":
        assert operation == "list_experiments"
        return self

    def paginate(self, *, experimentTemplateId: str) -> list[Mapping[str, Any]]:  # noqa: N803
        shown = [each.shown for each in self.here.experiments.values()]
        return [
            {"experiments": [each]}
            for each in shown
            if each["experimentTemplateId"] == experimentTemplateId
        ]

    def _call(self, operation: str, function: Any, argument: Any) -> Any:
        self.service.calls.append(operation)
        try:
            return function(argument)
        except RefusedError as error:
            raise ClientError(
                {"Error": {"Code": error.code, "Message": str(error)}}, operation
            ) from error
