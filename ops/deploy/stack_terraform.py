"""Plans one stack with Terraform into a file, and applies exactly that file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ops.errors import OpsError
from ops.terraform import Progress, Terraform

_LOCK_TIMEOUT = "-lock-timeout=60s"
"""A plan may still hold the state's lock, if the command that began it was killed."""
_UNWRITTEN_STATE = "errored.tfstate"
"""Where Terraform leaves the state after an apply that could not write it to the backend.

Source: https://developer.hashicorp.com/terraform/language/backend
"""
_NO_CHANGES, _CHANGES = 0, 2
"""Exit codes of `terraform plan -detailed-exitcode` that are no error.

Source: https://developer.hashicorp.com/terraform/cli/commands/plan
"""


def _ignore(_: Any) -> None:
    pass


class StackTerraform(Terraform):
    """Terraform in the folder of one stack, in two steps: a plan, and its application."""

    @property
    def name(self) -> str:
        """Name of the stack."""
        return self.folder.name

    def plan(self, file: Path, replace: Sequence[str] = ()) -> dict[str, Any]:
        """Plan the stack, after the state that its last apply could not write is written.

        If interrupted, it waits until Terraform has released the lock of the state. If this program
        is killed, Terraform finishes, and releases it.

        Args:
            file: Where to write the plan; it holds secrets, as the state does.
            replace: Addresses of resources to replace in any case.

        Returns:
            The plan, as `terraform show -json` prints it; an empty document if it changes nothing.

        Raises:
            OpsError: Terraform reports an error, or the state still cannot be written.
        """
        self._push_unwritten_state()
        arguments = ["plan", "-input=false", "-json", "-detailed-exitcode", f"-out={file}"]
        arguments += [_LOCK_TIMEOUT, *(f"-replace={address}" for address in replace)]
        log_file = file.with_suffix(".log")
        found = self._stream(
            arguments, _ignore, _ignore, log_file, succeeds=(_NO_CHANGES, _CHANGES)
        )
        file.chmod(0o600)
        if found == _NO_CHANGES:
            # `show` would read the provider's schemas once more, which takes seconds.
            return {}
        printed = self._run(["show", "-json", "-no-color", str(file)])
        try:
            document: dict[str, Any] = json.loads(printed)
            document.get("resource_changes")
        except (ValueError, AttributeError) as error:
            raise OpsError(
                f"terraform show printed something else than a plan: {printed.strip()[:200]!r}",
                next_step="see what `terraform show -json` prints there; a wrapper of terraform, "
                "or TF_LOG, may add to it",
            ) from error
        return document

    def apply_plan(
        self, file: Path, on_progress: Callable[[Progress], None], on_start: Callable[[int], None]
    ) -> None:
        """Apply a plan; Terraform refuses it if the state has changed since.

        If this program is killed, Terraform finishes what it began and writes the state.

        Args:
            file: The plan.
            on_progress: Called whenever a resource starts or ends.
            on_start: Called with Terraform's process id.

        Raises:
            OpsError: Terraform reports an error.
        """
        arguments = ["apply", "-input=false", "-json", _LOCK_TIMEOUT, str(file)]
        self._stream(arguments, on_progress, on_start, file.with_suffix(".log"))

    def _push_unwritten_state(self) -> None:
        """Write what an apply has left: a plan without it would create again what exists."""
        file = self.folder / _UNWRITTEN_STATE
        if not file.exists():
            return
        try:
            self._run(["state", "push", _LOCK_TIMEOUT, _UNWRITTEN_STATE])
        except OpsError as error:
            raise OpsError(
                f"the last apply of {self.name} could not write its state, which is in {file} "
                f"and still cannot be written: {error.args[0]}",
                next_step="sign in again, or see that the state bucket can be reached, and run the "
                "command again, which writes it; without this file, what was created is unknown",
            ) from error
        file.unlink()
