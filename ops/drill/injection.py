"""What a drill breaks and how it is put right: the same way at its end and long after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops import switch
from ops.edge.control import EdgeControl
from ops.edge.faults import Fault as EdgeFault
from ops.emulator.control import ServiceFaults
from ops.environment import Environment
from ops.errors import ExitCode, OpsError

REASON = "drill"
"""What the switch's reason begins with when a drill has engaged it."""


@dataclass(frozen=True)
class Injection:
    """One thing that is broken, with all it takes to put it right.

    Attributes:
        kind: `switch`, `concurrency`, `edge` or `service`.
        region: The Region that loses.
        detail: What else there is to know, as JSON values.
    """

    kind: str
    region: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def inject(environment: Environment, injection: Injection) -> None:
    """Breaks it.

    Args:
        environment: Where.
        injection: What.

    Raises:
        OpsError: It cannot be broken.
    """
    detail = injection.detail
    match injection.kind:
        case "switch":
            switch.engage(environment, reason=detail["reason"])
        case "concurrency":
            _call(
                environment.client("lambda", injection.region).put_function_concurrency,
                FunctionName=detail["function"],
                ReservedConcurrentExecutions=0,
            )
        case "edge":
            _edge(environment).inject(EdgeFault(injection.region, **detail))
        case "service":
            _services(environment).inject(detail["service"], injection.region, detail["error"])


def undo(environment: Environment, injection: Injection) -> str:
    """Puts it right; once more does no harm.

    Args:
        environment: Where.
        injection: What was broken, or was about to be.

    Returns:
        What was done, in words.

    Raises:
        OpsError: It cannot be put right now.
    """
    detail, region = injection.detail, injection.region
    match injection.kind:
        case "switch":
            switch.release(environment)
            return "released the switch"
        case "concurrency":
            client = environment.client("lambda", region)
            previous = detail["previous"]
            if previous is None:
                _call(client.delete_function_concurrency, FunctionName=detail["function"])
                return f"removed the reserved concurrency of {detail['function']}"
            _call(
                client.put_function_concurrency,
                FunctionName=detail["function"],
                ReservedConcurrentExecutions=previous,
            )
            return f"set the reserved concurrency of {detail['function']} to {previous} again"
        case "edge":
            edge = _edge(environment)
            for injected in edge.faults():
                if injected.fault == EdgeFault(region, **detail):
                    edge.mend(injected.id)
            return f"mended the fault {detail['kind']} of the edge of {region}"
        case _:
            services = _services(environment)
            for fault in services.faults():
                if (fault.service, fault.region) == (detail["service"], region):
                    services.mend(fault.id)
            return f"mended {detail['service']} in {region}"


def describe(injection: Injection) -> str:
    """What it breaks, in words.

    Args:
        injection: What is about to be broken.
    """
    detail, region = injection.detail, injection.region
    match injection.kind:
        case "switch":
            return f"engage the failover switch, which takes {region} out of service"
        case "concurrency":
            return (
                f"set the reserved concurrency of the function {detail['function']} in {region} "
                "to 0: health checks fail, customers' requests do not"
            )
        case "edge":
            rest = ", ".join(
                f"{name.replace('_', ' ')} {value:g}"
                for name, value in detail.items()
                if name in ("share", "status", "delay_seconds") and value is not None
            )
            return f"break the edge of {region}: {detail['kind']}" + (f" ({rest})" if rest else "")
        case _:
            return f"let {detail['service']} in {region} fail for the functions: {detail['error']}"


def reserved_concurrency(environment: Environment, region: str) -> int | None:
    """Reserved concurrency of a Region's health function, None without one.

    Args:
        environment: The environment.
        region: The Region.

    Raises:
        OpsError: AWS does not tell.
    """
    answer = _call(
        environment.client("lambda", region).get_function_concurrency,
        FunctionName=environment.outputs["health_functions"][region],
    )
    value = answer.get("ReservedConcurrentExecutions")
    return None if value is None else int(value)


def _edge(environment: Environment) -> EdgeControl:
    if environment.edge is None:
        raise _not_local("edges")
    return environment.edge


def _services(environment: Environment) -> ServiceFaults:
    if environment.endpoint_url is None:
        raise _not_local("services")
    return ServiceFaults(environment.endpoint_url)


def _not_local(what: str) -> OpsError:
    return OpsError(
        f"{what} of AWS itself cannot be broken",
        next_step="choose a fault that works on AWS",
        exit_code=ExitCode.USAGE,
    )


def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return function(**arguments)
    except (BotoCoreError, ClientError) as error:
        raise OpsError(
            f"AWS refuses to change the health function: {error}",
            next_step="check the credentials and their permissions on Lambda",
        ) from error
