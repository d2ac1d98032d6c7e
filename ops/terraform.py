"""Terraform, run as a program in the folder of one synthesized stack."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import ExitCode, OpsError

MINIMUM_VERSION = (1, 11)

PROVIDER_MIRROR_HINT = (
    "let this machine reach the Terraform registry, or point to a filesystem mirror of providers: "
    "export TF_CLI_ARGS_init=-plugin-dir=<folder that holds registry.terraform.io>"
)


@dataclass(frozen=True)
class Progress:
    """How far an apply or a destroy is.

    Attributes:
        done: Resources that are finished.
        total: Resources that will change; 0 until the plan is made.
        running: Addresses being worked on, the longest running first.
    """

    done: int
    total: int
    running: tuple[str, ...]


@dataclass(frozen=True)
class Terraform:
    """Runs Terraform on one stack.

    Attributes:
        folder: The stack's folder, such as `cdktf.out/stacks/local`.
        environment: The environment of the program, whole.
    """

    folder: Path
    environment: Mapping[str, str]

    def check_version(self) -> None:
        """Makes sure that a Terraform that will do is installed.

        Raises:
            OpsError: Terraform is missing or too old.
        """
        if shutil.which("terraform", path=self.environment.get("PATH")) is None:
            raise OpsError(
                "terraform is not on the PATH",
                next_step="install Terraform 1.11 or newer: "
                "https://developer.hashicorp.com/terraform/install",
            )
        version = json.loads(self._run(["version", "-json"], folder=Path.cwd()))[
            "terraform_version"
        ]
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < MINIMUM_VERSION:
            raise OpsError(
                f"terraform {version} is too old",
                next_step="install Terraform 1.11 or newer: "
                "https://developer.hashicorp.com/terraform/install",
            )

    def init(self) -> None:
        """Installs the provider and opens the backend.

        Raises:
            OpsError: The provider cannot be installed, or the backend cannot be opened.
        """
        self._run(["init", "-input=false", "-no-color"], next_step=PROVIDER_MIRROR_HINT)

    def apply(
        self, on_progress: Callable[[Progress], None], on_start: Callable[[int], None]
    ) -> None:
        """Makes what is planned, without asking.

        Interrupted, it lets Terraform finish what it has begun and write the state.

        Args:
            on_progress: Called whenever a resource starts or ends.
            on_start: Called with Terraform's process id.

        Raises:
            OpsError: Terraform reports an error.
        """
        self._stream(["apply", "-auto-approve", "-input=false", "-json"], on_progress, on_start)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs.

        Returns:
            `{output name: value}`.

        Raises:
            OpsError: Terraform cannot read the state.
        """
        outputs = json.loads(self._run(["output", "-json", "-no-color"]))
        return {name: output["value"] for name, output in outputs.items()}

    def _run(
        self, arguments: Sequence[str], *, folder: Path | None = None, next_step: str = ""
    ) -> str:
        try:
            done = subprocess.run(
                ["terraform", *arguments],
                cwd=folder or self.folder,
                env=dict(self.environment),
                capture_output=True,
                text=True,
            )
        except FileNotFoundError as error:
            raise _failure(
                arguments, str(error), "install Terraform 1.11 or newer, and put it on the PATH"
            ) from error
        if done.returncode:
            raise _failure(arguments, done.stderr or done.stdout, next_step)
        return done.stdout

    def _stream(
        self,
        arguments: Sequence[str],
        on_progress: Callable[[Progress], None],
        on_start: Callable[[int], None],
    ) -> None:
        errors: list[str] = []
        with subprocess.Popen(
            ["terraform", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C in this terminal is for this command, which tells Terraform in its own time.
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            on_start(process.pid)
            try:
                for progress in _progress_of(_messages(process.stdout, errors)):
                    on_progress(progress)
            except KeyboardInterrupt:
                # Once, and listened to until the end: Terraform finishes what it has begun and
                # writes the state.
                process.send_signal(signal.SIGINT)
                process.stdout.read()
                process.wait()
                raise
        if process.returncode:
            raise _failure(arguments, "\n".join(errors), "")


def _messages(lines: Iterator[str], errors: list[str]) -> Iterator[dict[str, Any]]:
    """Terraform's machine-readable messages; diagnostics and plain lines end up in `errors`.

    Source: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
    """
    for line in lines:
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            errors.append(line.rstrip())
            continue
        if message.get("@level") == "error":
            diagnostic = message.get("diagnostic", {})
            where = f" ({diagnostic['address']})" if "address" in diagnostic else ""
            errors.append(
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
    end = "\n".join(output.strip().splitlines()[-25:])
    return OpsError(
        f"terraform {arguments[0]} failed:\n{end}",
        next_step=next_step or "mend what Terraform names above and run the command again",
        exit_code=ExitCode.SURROUNDINGS,
    )
