"""What a plan would change, by Region, and whether it would destroy data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

GLOBAL = "global"
"""Where resources are that no Region has, such as records."""

DATA_TYPES = frozenset(
    {
        "aws_dynamodb_table",
        "aws_dynamodb_table_replica",
        "aws_kms_key",
        "aws_kms_replica_key",
        "aws_route53_zone",
    }
)
"""Types of resources that hold data, or without which data cannot be read or found."""

_IN_SNAPSHOTS = frozenset({"aws_api_gateway_gateway_response", "aws_api_gateway_method"})
"""Types of resources that a deployment of an API takes a snapshot of.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html
"""


class Action(StrEnum):
    """What happens to a resource."""

    ADD = "add"
    CHANGE = "change"
    REPLACE = "replace"
    DESTROY = "destroy"


_ACTIONS: Mapping[tuple[str, ...], Action] = {
    ("create",): Action.ADD,
    ("update",): Action.CHANGE,
    ("delete", "create"): Action.REPLACE,
    ("create", "delete"): Action.REPLACE,
    ("delete",): Action.DESTROY,
}
"""Source: https://developer.hashicorp.com/terraform/internals/json-format#change-representation"""


@dataclass(frozen=True)
class Change:
    """One resource that a plan would change.

    Attributes:
        address: Its address.
        action: What happens to it.
        where: Its Region, or `global`.
    """

    address: str
    action: Action
    where: str

    @property
    def type(self) -> str:
        """Type of the resource."""
        return self.address.partition(".")[0]

    @property
    def destroys_data(self) -> bool:
        """Whether data would be lost, or could not be read or found any more."""
        return self.action in (Action.REPLACE, Action.DESTROY) and self.type in DATA_TYPES


@dataclass(frozen=True)
class StackPlan:
    """The plan of one stack.

    Attributes:
        stack: Name of the stack.
        changes: What it would change.
        waits_for: Stacks that must be applied before this one can be planned; empty if it is.
        changes_outputs: Whether it would change outputs, which other stacks may read.
        has_unserved: Whether there are versions of functions that have no requests yet, as a
            deployment before has published them and failed.
    """

    stack: str
    changes: tuple[Change, ...] = ()
    waits_for: tuple[str, ...] = ()
    changes_outputs: bool = False
    has_unserved: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it is planned, and changes nothing."""
        return not (self.changes or self.waits_for or self.changes_outputs or self.has_unserved)

    @property
    def destroyed_data(self) -> tuple[Change, ...]:
        """The changes that would destroy data."""
        return tuple(change for change in self.changes if change.destroys_data)

    @property
    def outdated_deployments(self) -> tuple[str, ...]:
        """Addresses of deployments of an API that must be replaced once more afterwards.

        They are created before what the plan destroys is gone, and still have it.
        """
        if not any(c.action is Action.DESTROY and c.type in _IN_SNAPSHOTS for c in self.changes):
            return ()
        return tuple(c.address for c in self.changes if c.type == "aws_api_gateway_deployment")

    def counts(self) -> dict[str, dict[str, int]]:
        """How many resources change: `{Region: {action: number}}`, without Regions with none."""
        places = sorted({change.where for change in self.changes})
        return {place: count(c for c in self.changes if c.where == place) for place in places}

    def to_json(self) -> dict[str, Any]:
        """As JSON values: `{stack, waits_for, counts, changes}`."""
        return {
            "stack": self.stack,
            "waits_for": list(self.waits_for),
            "counts": self.counts(),
            "changes": [asdict(change) for change in self.changes],
        }


def count(changes: Iterable[Change]) -> dict[str, int]:
    """Count changes: `{action: number}`, with zeros.

    Args:
        changes: The changes.
    """
    found = [change.action for change in changes]
    return {action.value: found.count(action) for action in Action}


def changes_in(document: Mapping[str, Any]) -> tuple[Change, ...]:
    """Read the changes of a plan.

    Args:
        document: What `terraform show -json` prints of it.

    Raises:
        ValueError: A resource has an action that this version does not know.
    """
    configuration = document.get("configuration", {})
    regions = _provider_regions(configuration)
    providers = {
        each["address"]: each.get("provider_config_key", "")
        for each in configuration.get("root_module", {}).get("resources", ())
    }
    found = []
    for resource in document.get("resource_changes", ()):
        actions = tuple(resource["change"]["actions"])
        if resource["mode"] != "managed" or actions in (("no-op",), ("forget",), ("read",)):
            continue
        if actions not in _ACTIONS:
            raise ValueError(f"{resource['address']}: unknown actions {actions}")
        found.append(
            Change(
                resource["address"],
                _ACTIONS[actions],
                _where(resource, regions, providers),
            )
        )
    return tuple(found)


def changes_outputs(document: Mapping[str, Any]) -> bool:
    """Whether a plan changes outputs of the stack.

    Args:
        document: What `terraform show -json` prints of it.
    """
    outputs = document.get("output_changes", {}).values()
    return any(output["actions"] != ["no-op"] for output in outputs)


def _provider_regions(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The Region of each provider: `{key of the provider: Region}`."""
    return {
        key: region
        for key, provider in configuration.get("provider_config", {}).items()
        if (region := provider.get("expressions", {}).get("region", {}).get("constant_value"))
    }


def _where(
    resource: Mapping[str, Any], regions: Mapping[str, str], providers: Mapping[str, str]
) -> str:
    if resource["type"].startswith("aws_route53_"):
        return GLOBAL
    if region := regions.get(providers.get(_without_index(resource["address"]), "")):
        return region
    # What is destroyed is not in the configuration any more; its ARN names the Region.
    arn = str((resource["change"].get("before") or {}).get("arn", "")).split(":")
    if len(arn) > 3 and arn[3]:
        return arn[3]
    return next(iter(regions.values())) if len(set(regions.values())) == 1 else GLOBAL


def _without_index(address: str) -> str:
    return address.partition("[")[0]
