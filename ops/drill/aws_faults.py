"""The faults that work on AWS, too: they make health checks fail, and no request of a customer."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from ops import fence, switch
from ops.drill.fault import DrillFault
from ops.environment import Environment
from ops.errors import OpsError, explain
from ops.fence import When


@dataclass(frozen=True, kw_only=True)
class SwitchFault(DrillFault):
    """The Region is evacuated."""

    name = "switch"
    help = "evacuate the Region"
    works_on_aws = True
    fails_requests = False
    takes_fence = True

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose it for a Region."""
        switch.require(environment, region)
        return super().choose(environment, id, region, options)

    def health_check_id(self, environment: Environment) -> str:
        """Return a health check that asks whether the Region is evacuated."""
        ids = switch.require(environment, self.region).health_check_ids[self.region]
        return next(iter(ids.values()))

    def inject(self, environment: Environment) -> None:
        """Inject it."""
        change = switch.evacuate(
            environment,
            self.region,
            reason="failover drill",
            writer=self.id,
            kind="drill",
            fence_from=When.AFTER_DNS,
        )
        if not change.changed:
            raise OpsError(
                f"{self.region} was {change.before} already: nothing was injected",
                next_step="ask whoever evacuated it; then restore it: python -m ops switch restore "
                f"{self.region} {environment.selector}",
            )

    def put_up_fence(self, environment: Environment) -> str:
        """Let the evacuated Region refuse writes at once."""
        return str(fence.change(environment, self.region, When.NOW))

    def is_injected(self, environment: Environment) -> bool:
        """Whether this run has evacuated the Region."""
        state = switch.status(environment, self.region)
        return state.evacuated and state.writer == self.id

    def clear(self, environment: Environment) -> bool:
        """Clear it."""
        # Asked first: whoever may not restore it has not evacuated it either.
        return (
            self.is_injected(environment)
            and switch.restore(environment, self.region, writer=self.id).changed
        )

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        return switch.restore_by_hand(environment, self.region, self.id)

    def describe(self) -> str:
        """Describe what injecting it does."""
        return f"evacuate {self.region}, which takes it out of service"


@dataclass(frozen=True, kw_only=True)
class HealthConcurrencyFault(DrillFault):
    """The function that health checks call may not run.

    Attributes:
        function: Name of the function.
        previous: Its reserved concurrency before; None without a reservation.
        is_prepared: Whether `previous` was read; until then nothing is injected.
    """

    name = "health-concurrency"
    help = "set the concurrency of the Region's health function to 0"
    works_on_aws = True
    fails_requests = False

    function: str
    previous: int | None = None
    is_prepared: bool = False

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose it for a Region."""
        assert not options
        function = environment.outputs.health_functions[region]
        return super().choose(environment, id, region, {"function": function})

    def prepared(self, environment: Environment) -> Self:
        """Read the concurrency to restore."""
        previous = reserved_concurrency(environment, self.region)
        if previous == 0:
            raise OpsError(
                f"the health function in {self.region} may not run already: its concurrency is 0",
                next_step="ask whoever has set it; if nobody needs it: "
                f"{replace(self, previous=None).by_hand(environment)}",
            )
        return replace(self, previous=previous, is_prepared=True)

    def inject(self, environment: Environment) -> None:
        """Inject it."""
        assert self.is_prepared
        # Lambda has no conditional request: this keeps the time between both as short as possible.
        if reserved_concurrency(environment, self.region) != self.previous:
            raise OpsError(
                f"somebody else has changed the concurrency of {self.function} in {self.region} "
                "just now: nothing was injected",
                next_step="ask who works on this environment, and run the drill again",
            )
        _call(
            environment.client("lambda", self.region).put_function_concurrency,
            FunctionName=self.function,
            ReservedConcurrentExecutions=0,
        )

    def is_injected(self, environment: Environment) -> bool:
        """Whether the concurrency is what this run has set."""
        return self.is_prepared and reserved_concurrency(environment, self.region) == 0

    def clear(self, environment: Environment) -> bool:
        """Clear it."""
        if not self.is_injected(environment):
            return False
        client = environment.client("lambda", self.region)
        if self.previous is None:
            _call(client.delete_function_concurrency, FunctionName=self.function)
        else:
            _call(
                client.put_function_concurrency,
                FunctionName=self.function,
                ReservedConcurrentExecutions=self.previous,
            )
        return True

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it."""
        del environment
        command = "delete" if self.previous is None else "put"
        words = ["aws", "lambda", f"{command}-function-concurrency", "--region", self.region]
        words += ["--function-name", self.function]
        if self.previous is not None:
            words += ["--reserved-concurrent-executions", str(self.previous)]
        return shlex.join(words)

    def describe(self) -> str:
        """Describe what injecting it does."""
        return (
            f"set the reserved concurrency of the function {self.function} in {self.region} to 0: "
            "health checks fail, customers' requests do not"
        )


def reserved_concurrency(environment: Environment, region: str) -> int | None:
    """Read the reserved concurrency of a Region's health function; None without one.

    Args:
        environment: The environment.
        region: The Region.

    Raises:
        OpsError: Lambda does not respond.
    """
    response = _call(
        environment.client("lambda", region).get_function_concurrency,
        FunctionName=environment.outputs.health_functions[region],
    )
    value = response.get("ReservedConcurrentExecutions")
    return None if value is None else int(value)


def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return function(**arguments)
    except Exception as error:  # a malformed response, too
        raise OpsError(
            f"the concurrency of the health function cannot be read or changed: {explain(error)}",
            next_step="check the credentials and their permissions on Lambda",
        ) from error
