"""What stops a verb, as the operator reads it: what failed, and the next step."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every verb."""

    PASSED = 0
    """It did what was asked; every check passed."""
    CHECK_FAILED = 1
    """It ran, and something it checked is not as it should be."""
    USAGE = 2
    """Wrong arguments, or a fault in an environment file."""
    SURROUNDINGS = 3
    """Something it needs is broken or missing: Terraform, the provider, a port, the network."""


class OpsError(Exception):
    """A verb that cannot go on.

    Attributes:
        next_step: What the operator can do about it.
        exit_code: The exit code of the program.
    """

    def __init__(
        self, message: str, *, next_step: str, exit_code: ExitCode = ExitCode.SURROUNDINGS
    ) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{super().__str__()}\n  Next: {self.next_step}"
