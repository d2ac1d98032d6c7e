"""Runs Terraform in the folder of one synthesized stack."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.errors import OpsError, program_failure
from ops.processes import followed

MINIMUM_VERSION = (1, 11)
OUTPUTS_TIMEOUT_SECONDS = 15.0
VERSION_TIMEOUT_SECONDS = 30.0
_ADDRESSES_SHOWN = 3

PROVIDER_MIRROR_HINT = (
    "let this machine reach the Terraform registry, or point to a filesystem mirror of providers: "
    "export TF_CLI_ARGS_init=-plugin-dir=<folder that holds registry.terraform.io>"
)


@dataclass(frozen=True)
class Progress:
    """Progress of an apply or a destroy.

    Attributes:
        done: Resources that are finished.
        total: Resources that will change; 0 until they are planned.
        running: Addresses being worked on, the longest running first.
    """

    done: int
    total: int
    running: tuple[str, ...]


@dataclass(frozen=True)
class Terraform:
    """Terraform in the folder of one stack.

    Attributes:
        folder: The stack's folder, such as `cdktf.out/stacks/local`.
        environment: All environment variables of the program.
    """

    folder: Path
    environment: Mapping[str, str]

    def check_version(self) -> None:
        """Check that a supported version of Terraform is installed.

        Raises:
            OpsError: Terraform is missing or too old.
        """
        problem = "terraform is not on the PATH"
        if shutil.which("terraform", path=self.environment.get("PATH")):
            printed = self._run(
                ["version", "-json"], folder=Path.cwd(), timeout_seconds=VERSION_TIMEOUT_SECONDS
            )
            try:
                version = str(json.loads(printed)["terraform_version"])
            except (ValueError, TypeError, KeyError):
                version = repr(printed.strip()[:100])
            if tuple(map(int, re.findall(r"\d+", version)[:2])) >= MINIMUM_VERSION:
                return
            problem = f"terraform {version} is too old"
        raise OpsError(
            problem,
            next_step="install Terraform 1.11 or newer: "
            "https://developer.hashicorp.com/terraform/install",
        )

    def init(self) -> None:
        """Install the provider and open the backend.

        Raises:
            OpsError: The provider cannot be installed, or the backend cannot be opened.
        """
        self._run(["init", "-input=false", "-no-color"], next_step=PROVIDER_MIRROR_HINT)

    def apply(
        self, on_progress: Callable[[Progress], None], on_start: Callable[[int], None]
    ) -> None:
        """Apply the stack without confirmation.

        If interrupted, it waits until Terraform has finished what it began and written the state.

        Args:
            on_progress: Called whenever a resource starts or ends.
            on_start: Called with Terraform's process id.

        Raises:
            OpsError: Terraform reports an error.
        """
        self._stream(["apply", "-auto-approve", "-input=false", "-json"], on_progress, on_start)

    def outputs(self) -> dict[str, Any]:
        """Read the stack's outputs.

        Returns:
            `{output name: value}`.

        Raises:
            OpsError: Terraform cannot read the state.
        """
        printed = self._run(
            ["output", "-json", "-no-color"],
            timeout_seconds=OUTPUTS_TIMEOUT_SECONDS,
            next_step="check that the state bucket is reachable and that terraform init has run in "
            f"{self.folder}; with a descriptor, no command needs it: --descriptor FILE",
        )
        try:
            return {name: output["value"] for name, output in json.loads(printed).items()}
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise OpsError(
                f"terraform output printed something else than outputs: {printed.strip()[:200]!r}",
                next_step="see what `terraform output -json` prints there; a wrapper of terraform, "
                "or TF_LOG, may add to it",
            ) from error

    def _run(
        self,
        arguments: Sequence[str],
        *,
        folder: Path | None = None,
        next_step: str = "",
        timeout_seconds: float | None = None,
    ) -> str:
        try:
            process = subprocess.Popen(
                ["terraform", *arguments],
                cwd=folder or self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # With all that it has started, it can be ended as one.
                start_new_session=True,
            )
        except OSError as error:
            raise _failure(
                arguments, str(error), "install Terraform 1.11 or newer, and put it on the PATH"
            ) from error
        try:
            output, errors = process.communicate(timeout=timeout_seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                text = f"it did not end within {timeout_seconds:g} s"
                raise _failure(arguments, text, next_step) from error
            raise
        if process.returncode:
            raise _failure(arguments, errors or output, next_step)
        return output

    def _stream(
        self,
        arguments: Sequence[str],
        on_progress: Callable[[Progress], None],
        on_start: Callable[[int], None],
        log_file: Path | None = None,
        *,
        succeeds: Container[int] = (0,),
    ) -> int:
        output, last = _Output(), Progress(0, 0, ())
        with (
            # Into a file, so that Terraform finishes and writes the state even if this is killed.
            log_file.open("w") if log_file else nullcontext(subprocess.PIPE) as sink,
            subprocess.Popen(
                ["terraform", *arguments],
                cwd=self.folder,
                env=dict(self.environment),
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                # Ctrl-C in this terminal interrupts this command, which then interrupts Terraform.
                start_new_session=True,
            ) as process,
        ):
            on_start(process.pid)
            lines = followed(log_file, process) if log_file else iter(process.stdout or ())
            try:
                for last in _progress_of(_messages(lines, output)):
                    on_progress(last)
            except KeyboardInterrupt:
                # Once only, and wait: Terraform finishes what it began and writes the state.
                process.send_signal(signal.SIGINT)
                if process.stdout:
                    process.stdout.read()
                process.wait()
                raise
        if process.returncode not in succeeds:
            raise _ended(arguments, process.returncode, last, output)
        return process.returncode


@dataclass
class _Output:
    """What Terraform prints beside its progress.

    Attributes:
        errors: Diagnostics and plain lines.
        interrupted: Whether it was interrupted: its errors do not say so.
    """

    errors: list[str] = field(default_factory=list)
    interrupted: bool = False


def _ended(arguments: Sequence[str], exit_code: int, last: Progress, output: _Output) -> OpsError:
    """Say why Terraform did not do all that it was to do, and what it leaves."""
    errors = "\n".join(output.errors)
    if exit_code > 0 and not output.interrupted:
        return _failure(arguments, errors, "")
    what = f"terraform {arguments[0]} was interrupted by another program or person"
    if exit_code < 0:
        what = f"terraform {arguments[0]} was killed ({signal.Signals(-exit_code).name})"
    what += f" after {last.done} of {last.total} resources"
    if exit_code > 0:
        return OpsError(
            f"{what}; it has finished what it began, and written the state",
            next_step="run the command again",
        )
    if last.running:
        more = len(last.running) - _ADDRESSES_SHOWN
        what += f", at work on {', '.join(last.running[:_ADDRESSES_SHOWN])}"
        what += f" and {more} more" if more > 0 else ""
    return OpsError(
        f"{what}: what it created last may exist and be missing from the state",
        next_step="run the command again; if nobody killed it, this machine had too little memory",
    )


def _messages(lines: Iterator[str], output: _Output) -> Iterator[dict[str, Any]]:
    """Terraform's machine-readable messages; what is not about progress ends up in `output`.

    Source: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
    """
    for line in lines:
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            output.errors.append(line.rstrip())
            continue
        if message.get("type") == "log" and "Interrupt received" in message["@message"]:
            output.interrupted = True
        if message.get("@level") == "error":
            diagnostic = message.get("diagnostic", {})
            where = f" ({diagnostic['address']})" if "address" in diagnostic else ""
            output.errors.append(
                f"{diagnostic.get('summary', message['@message'])}{where}\n"
                f"{diagnostic.get('detail', '')}".rstrip()
            )
        yield message


def _progress_of(messages: Iterator[dict[str, Any]]) -> Iterator[Progress]:
    done, total, running = 0, 0, dict[str, None]()
    for message in messages:
        kind = message.get("type")
        if message.get("hook", {}).get("action") == "read":
            continue
        if kind == "change_summary" and message["changes"]["operation"] == "plan":
            total = sum(message["changes"][action] for action in ("add", "change", "remove"))
        elif kind == "apply_start":
            running[message["hook"]["resource"]["addr"]] = None
        elif kind in ("apply_complete", "apply_errored"):
            running.pop(message["hook"]["resource"]["addr"], None)
            done += kind == "apply_complete"
        else:
            continue
        yield Progress(done, total, tuple(running))


def _failure(arguments: Sequence[str], output: str, next_step: str) -> OpsError:
    return program_failure(
        f"terraform {arguments[0]} failed",
        output,
        next_step=next_step or "fix the errors above and run the command again",
    )
