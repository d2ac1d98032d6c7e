"""The faults that a drill can inject: one class each.

A fault knows how it is injected, cleared and described. Its id is that of the run, chosen before it
is injected, so that the journal holds all it takes to clear it, and nothing of anybody else is
cleared with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ops.drill.aws_faults import HealthConcurrencyFault, SwitchFault
from ops.drill.fault import DrillFault
from ops.drill.fis_faults import FisReplicationPausedFault
from ops.drill.sandbox_faults import (
    BlackHoleFault,
    ControlPlaneFault,
    DynamoDbDnsFault,
    ErrorFault,
    GrayFault,
    PartitionFault,
    RefuseFault,
    RegionLossFault,
    ReplicationPausedFault,
    SlowFault,
    StsFault,
    TableFault,
)
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.fence import no_fence

FAULTS: Mapping[str, type[DrillFault]] = {
    each.name: each
    for each in (
        SwitchFault, HealthConcurrencyFault, FisReplicationPausedFault, RefuseFault, BlackHoleFault,
        ErrorFault, SlowFault, GrayFault, TableFault, RegionLossFault, PartitionFault,
        ReplicationPausedFault, DynamoDbDnsFault, StsFault, ControlPlaneFault,
    )
}  # fmt: skip
"""Values of `--fault`."""


def choose(
    environment: Environment,
    name: str,
    id: str,
    options: Mapping[str, Any],
    *,
    region: str | None = None,
    fence: bool = False,
) -> DrillFault:
    """Choose a fault; nothing is injected.

    Args:
        environment: The environment.
        name: One of `FAULTS`.
        id: Id of the fault.
        options: `{name: value}` of the options of the command line; None for those not given.
        region: The Region that fails; the primary by default.
        fence: Whether the Region is to refuse writes once another one serves.

    Raises:
        OpsError: The environment does not support it, or an option does not belong to it.
    """
    fault = FAULTS[name]
    if not fault.works_on_aws and environment.fault_injection is None:
        raise _sandbox_only(name)
    given = {key: value for key, value in options.items() if value is not None}
    if foreign := given.keys() - set(fault.options):
        words = ", ".join(f"--{option.replace('_', '-')}" for option in sorted(foreign))
        raise OpsError(
            f"--fault {name} has no {words}",
            next_step="leave it out, or choose another fault",
            exit_code=ExitCode.USAGE,
        )
    chosen = fault.choose(environment, id, region or environment.primary, given)
    if not fence:
        return chosen
    if not fault.takes_fence:
        able = ", ".join(each.name for each in FAULTS.values() if each.takes_fence)
        raise OpsError(
            f"--fault {name} has no --fence: nobody evacuates the Region while it takes writes",
            next_step=f"leave it out, or choose one of: {able}",
            exit_code=ExitCode.USAGE,
        )
    if environment.outputs.fencing is None:
        raise no_fence(environment)
    return replace(chosen, fence=True)


def from_json(document: Mapping[str, Any]) -> DrillFault:
    """Read what `to_json` gave.

    Args:
        document: JSON values.

    Raises:
        KeyError: There is no such fault.
        TypeError: A member is missing or unknown.
    """
    members = {name: value for name, value in document.items() if name != "name"}
    return FAULTS[document["name"]](**members)


def _sandbox_only(name: str) -> OpsError:
    usable = ", ".join(fault.name for fault in FAULTS.values() if fault.works_on_aws)
    return OpsError(
        f"--fault {name} can be injected into a sandbox only",
        next_step=f"on AWS choose one of: {usable}",
        exit_code=ExitCode.USAGE,
    )
