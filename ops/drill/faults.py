"""The faults that a drill can be asked for, as command line and injection know them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ops import switch
from ops.drill.injection import REASON, Injection, reserved_concurrency
from ops.environment import Environment
from ops.errors import ExitCode, OpsError


@dataclass(frozen=True)
class Choice:
    """Values of the options that shape a fault; None takes the fault's own.

    Attributes:
        share: Share of the requests that fail.
        status: HTTP status of the failures.
        delay_seconds: How long a slow answer waits, at AWS's pace.
        error: How the table fails.
    """

    share: float | None = None
    status: int | None = None
    delay_seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class FaultKind:
    """A fault that can be chosen.

    Attributes:
        help: What it does, for the command line.
        plan: Makes the injection for an environment.
        options: Names of the members of `Choice` that shape it.
        local_only: Whether it needs the local AWS.
        breaks_requests: Whether customers' requests fail; otherwise health checks alone do.
    """

    help: str
    plan: Callable[[Environment, Choice], Injection]
    options: tuple[str, ...] = ()
    local_only: bool = True
    breaks_requests: bool = True


GREY_SHARE = 0.9
SLOW_SECONDS = 12.0
SLOW_FLOOR_SECONDS = 2.0


def plan(environment: Environment, name: str, choice: Choice) -> Injection:
    """Works out what to break; breaks nothing.

    Args:
        environment: The environment.
        name: One of `FAULTS`.
        choice: Options.

    Raises:
        OpsError: The fault cannot be had there, or an option does not belong to it.
    """
    kind = FAULTS[name]
    if kind.local_only and not environment.is_local:
        usable = ", ".join(name for name, kind in FAULTS.items() if not kind.local_only)
        raise OpsError(
            f"--fault {name} breaks what only the local AWS lets break",
            next_step=f"on AWS choose one of: {usable}",
            exit_code=ExitCode.USAGE,
        )
    foreign = [k for k, v in asdict(choice).items() if v is not None and k not in kind.options]
    if foreign:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise OpsError(
            f"--fault {name} has no {options}",
            next_step="leave it out, or choose another fault",
            exit_code=ExitCode.USAGE,
        )
    return kind.plan(environment, choice)


def _switch(environment: Environment, _choice: Choice) -> Injection:
    switch.require(environment)
    return Injection("switch", environment.primary, {"reason": f"{REASON}: it will end by itself"})


def _concurrency(environment: Environment, _choice: Choice) -> Injection:
    region = environment.primary
    return Injection(
        "concurrency",
        region,
        {
            "function": environment.outputs["health_functions"][region],
            "previous": reserved_concurrency(environment, region),
        },
    )


def _edge_fault(kind: str) -> Callable[[Environment, Choice], Injection]:
    def planned(environment: Environment, choice: Choice) -> Injection:
        detail: dict[str, Any] = {"kind": kind}
        if choice.share is not None:
            detail["share"] = choice.share
        if kind == "error":
            detail["status"] = choice.status or 503
        if kind == "slow":
            seconds = choice.delay_seconds or SLOW_SECONDS
            # As the limits of health checkers, a customer's patience has a floor here.
            detail["delay_seconds"] = max(SLOW_FLOOR_SECONDS, seconds / environment.speed)
        return Injection("edge", environment.primary, detail)

    return planned


def _grey(environment: Environment, choice: Choice) -> Injection:
    detail = {"share": GREY_SHARE if choice.share is None else choice.share}
    return Injection(
        "edge", environment.primary, {"kind": "error", "status": choice.status or 503, **detail}
    )


def _table(environment: Environment, choice: Choice) -> Injection:
    error = choice.error or "InternalServerError"
    return Injection("service", environment.primary, {"service": "dynamodb", "error": error})


FAULTS: Mapping[str, FaultKind] = {
    "switch": FaultKind(
        "engage the failover switch", _switch, local_only=False, breaks_requests=False
    ),
    "health-concurrency": FaultKind(
        "no concurrency for the primary's health function",
        _concurrency,
        local_only=False,
        breaks_requests=False,
    ),
    "refuse": FaultKind("the primary Region refuses connections", _edge_fault("refuse")),
    "black-hole": FaultKind("the primary Region swallows packets", _edge_fault("black_hole")),
    "error": FaultKind("it answers every request with an error", _edge_fault("error"), ("status",)),
    "slow": FaultKind("it answers too late", _edge_fault("slow"), ("delay_seconds",)),
    "grey": FaultKind("it fails for a share of the requests", _grey, ("share", "status")),
    "table": FaultKind("its table fails for the functions", _table, ("error",)),
}
"""What `--fault` takes."""
