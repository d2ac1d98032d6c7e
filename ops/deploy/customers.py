"""Lets the secondary Region serve all customers for a while, by evacuating the primary."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ops import switch
from ops.deploy.serving import regions_of, serving
from ops.environment import Environment
from ops.errors import OpsError

MOVING_SECONDS = 300.0
"""What health checks, DNS and its caches may take until the other Region serves."""
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class SwitchedCustomers:
    """Customers of an environment with a failover switch.

    Attributes:
        environment: The environment.
        clock: Gives seconds that no change of the time of day affects.
        sleep: Waits for so many seconds.
    """

    environment: Environment
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def may_move_to(self, stack: str) -> bool:
        """Whether a stack has the secondary Region alone.

        Args:
            stack: Name of the stack.
        """
        switch.require_primary(self.environment)
        return regions_of(self.environment, stack) == (self.environment.secondary,)

    def move(self, run: str) -> None:
        """Evacuate the primary Region, and wait until the secondary Region serves.

        Args:
            run: Id of the deployment.

        Raises:
            OpsError: Somebody else has evacuated it, or the other Region still serves.
        """
        primary = switch.require_primary(self.environment)
        state = switch.evacuate(
            self.environment,
            primary,
            reason="a release bakes with customers",
            writer=run,
            kind="deploy",
        ).after
        if state.writer != run:
            raise OpsError(
                f"{primary} is {state}",
                next_step="ask whoever evacuated it, and deploy when it is restored",
            )
        if found := self._awaited(self.environment.secondary):
            raise OpsError(
                f"{primary} is evacuated, and {found}",
                next_step="see what the health checks report: python -m ops verify "
                f"{self.environment.selector}",
            )

    def back(self, run: str) -> None:
        """Restore the primary if this deployment evacuated it, and wait until the primary serves.

        Args:
            run: Id of the deployment.

        Raises:
            OpsError: It cannot be restored.
        """
        primary = self.environment.primary
        if self.environment.outputs.evacuation is None:
            return
        if switch.restore(self.environment, primary, writer=run).changed:
            # A primary that does not serve is nothing that a release could wait for.
            self._awaited(primary)

    def _awaited(self, region: str) -> str:
        """Wait until a Region serves; what is found if it does not."""
        deadline = self.clock() + MOVING_SECONDS * self.environment.patience
        while True:
            found = serving(self.environment)
            if found.region == region:
                return ""
            if self.clock() >= deadline:
                return found.found
            self.sleep(_POLL_SECONDS)
