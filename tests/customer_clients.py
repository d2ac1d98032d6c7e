"""The clients of examples/clients, as programs of customers: neither knows that it is tested.

Their names resolve as a test says, their connections trust the certificates that it names.
"""

import importlib.util
import json
import os
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import urllib3
from repository_files import REPOSITORY

NODE = REPOSITORY / "tests" / "node"


@dataclass(frozen=True)
class Outcome:
    """What a request came to: a response's status and Region, or an error without one."""

    status: int | None = None
    region: str | None = None
    error: str = ""


def example():
    """The module of the Python client, which is in no package."""
    path = REPOSITORY / "examples" / "clients" / "python" / "regional_client.py"
    spec = importlib.util.spec_from_file_location("regional_client", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PythonClient:
    """The Python client, in this process.

    Args:
        locate: Gives the address and port of a name.
        ca_file: What its connections trust.
    """

    def __init__(self, locate, ca_file):
        self._module = example()
        self._http = urllib3.PoolManager(ca_certs=str(ca_file))
        self.constants = vars(self._module)
        self._locate = locate

    def create(self, common, regions, *, attempt_seconds, recovery_seconds, headers=None):
        self._client = self._module.RegionalClient(
            common, regions, headers=headers, http=self._http, attempt_seconds=attempt_seconds,
            recovery_seconds=recovery_seconds,
        )  # fmt: skip

    def discover(self, common, headers=None):
        self._client = self._module.RegionalClient.discover(
            common, headers=headers, http=self._http
        )

    def call(self, method, path, body=None):
        try:
            response = self._client.request(method, path, body and body.encode())
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            return Outcome(error=repr(error))
        return Outcome(response.status, response.headers.get("X-Served-By-Region"))

    @contextmanager
    def running(self):
        """Let names resolve as given while the block runs."""
        resolve = socket.getaddrinfo

        def getaddrinfo(host, port, *arguments, **options):
            if found := self._locate(host):
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", found)]
            return resolve(host, port, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", getaddrinfo)
            yield self


class TypeScriptClient:
    """The TypeScript client, in a process of Node.

    Args:
        names: `{name: {address, port}}`, or `{dns, port}` to ask a name server each time.
        ca_file: What its connections trust.
    """

    def __init__(self, names, ca_file):
        self._variables = {"NAMES": json.dumps(names), "NODE_EXTRA_CA_CERTS": str(ca_file)}

    def create(self, common, regions, *, attempt_seconds, recovery_seconds, headers=None):
        options = {"attemptSeconds": attempt_seconds, "recoverySeconds": recovery_seconds}
        self._ask(
            create={"common": common, "regions": regions, "headers": headers or {}, **options}
        )

    def discover(self, common, headers=None):
        self._ask(discover=common, headers=headers or {})

    def call(self, method, path, body=None):
        return Outcome(**self._ask(method=method, path=path, body=body))

    @contextmanager
    def running(self):
        """Start Node, and end it with the block."""
        with subprocess.Popen(
            ["node", "--disable-warning=ExperimentalWarning", "--import", NODE / "names.mjs",
             NODE / "driver.mts"],
            env=os.environ | self._variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        ) as self._process:  # fmt: skip
            self.constants = self._ask(constants=True)
            yield self
            self._process.stdin.close()

    def _ask(self, **what):
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())
