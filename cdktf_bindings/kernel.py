"""The jsii kernel that loads on demand: what Python asks, and when it waits for a response."""

import atexit
import contextlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import attr
from jsii._kernel.providers.process import ProcessProvider, _NodeProcess, _unstructure_ref
from jsii._kernel.types import (
    CreateRequest,
    GetRequest,
    InvokeRequest,
    KernelRequest,
    LoadRequest,
    LoadResponse,
    SetRequest,
    StaticInvokeRequest,
)
from jsii.errors import JSIIError

from cdktf_bindings.errors import NodeError
from cdktf_bindings.node import INSTALL_NODE, Node, process_environment

_LIBRARIES = ("constructs", "cdktf")
_MOST_UNREAD = 64
_CACHE_FAULT = "Cannot use the jsii package cache"


class OnDemandProvider(ProcessProvider):
    """What `jsii.kernel.provider` is set to."""

    def __init__(self, node: Node) -> None:
        """Take over the process.

        Args:
            node: Started, and not asked for anything yet.
        """
        self._kernel_process = _KernelProcess(node)

    @property
    def _process(self) -> "_KernelProcess":
        return self._kernel_process

    def load_ahead(
        self,
        assembly: tuple[str, str],
        tarball: Path,
        submodules: Sequence[str],
        *,
        remade: bool,
    ) -> None:
        """Tell the kernel which submodules of a loaded assembly will be needed, and where to look.

        Args:
            assembly: Its name and version.
            tarball: The one it was loaded from, or one of the same content.
            submodules: Names in jsii, such as `route53Record`.
            remade: The index beside the tarball is another one than before.
        """
        name, version = assembly
        self._kernel_process.ask_for(
            LoadRequest(name=name, version=version, tarball=str(tarball)),
            {"submodules": submodules, "remade": remade},
        )


class _KernelProcess(_NodeProcess):
    """One Node process that is not waited for until it is asked for something other than a load."""

    def __init__(self, node: Node) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for kind, api in _APIS.items():
            self._serializer.register_unstructure_hook(kind, partial(_message, api))
        self._lock = threading.RLock()  # Imports ask, and imports may run in any thread.
        self._environment: dict[str, str] = {}
        self._loads: list[bytes] = []
        self._has_objects = False
        self._take_over(node)
        for request in _load_requests():
            self.ask_for(request)

    def _take_over(self, node: Node) -> None:
        self._node = node
        self._pid = os.getpid()
        self._unread = 0
        self._greeted = False
        # Told when the kernel is needed: a mistake in the user's own files comes first.
        self._failure = NodeError(node.failure) if node.failure else None
        if not node.failure:
            self._process = node.process
            self._sinks = [
                threading.Thread(target=_copy, args=(stream, name), daemon=True)
                for stream, name in ((node.process.stderr, "stderr"), (node.console, "stdout"))
            ]
            for sink in self._sinks:
                sink.start()
            self.sink_thread = self._sinks[0]
            atexit.register(self.stop)

    def stop(self) -> None:
        """End Node, if it runs and is ours."""
        if self._failure is None and self._pid == os.getpid():
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                super().stop()
            for sink in self._sinks:
                sink.join(timeout=5)
            if self._node.console and not self._sinks[1].is_alive():
                self._node.console.close()

    def send(self, request: KernelRequest, response_type: type[Any]) -> Any:
        """Asks the kernel, as the stock process does; a load is not waited for.

        Raises:
            NodeError: Node cannot run.
            JSIIError, RuntimeError: The kernel rejects this, or an earlier load.
        """
        with self._lock:
            if self._failure:
                raise self._failure
            if isinstance(request, LoadRequest):
                if self._node.process_environment != process_environment():
                    self._start_again()  # Stock, Node would start only now.
                self.ask_for(request)
                return LoadResponse(assembly=request.name, types=0)
            if self._pid != os.getpid():
                self._start_again()
            if self._unread:
                self._read_responses()
            self._has_objects = True
            return super().send(request, response_type)

    def ask_for(self, request: LoadRequest, hints: dict[str, Any] | None = None) -> None:
        """Send a load without waiting for its response."""
        message = self._serializer.unstructure(request) | (hints or {})
        with self._lock:
            if self._pid != os.getpid():
                self._start_again()
            self._write(f"{json.dumps(message)}\n".encode())

    def _write(self, load: bytes) -> None:
        if self._failure:
            return
        if self._unread == _MOST_UNREAD:
            self._read_responses()
        assert self._process.stdin is not None
        self._loads.append(load)
        self._unread += 1
        with contextlib.suppress(BrokenPipeError):  # the missing response shows it
            self._process.stdin.write(load)
            self._process.stdin.flush()

    def _read_responses(self) -> None:
        if not self._greeted:
            self._read_greeting()
        responses = [self._next_message() for _ in range(self._unread)]
        self._unread = 0
        errors = [response["error"] for response in responses if "error" in response]
        if any(_CACHE_FAULT in error for error in errors) and not self._environment:
            # jsii gives up where it cannot write its own cache, but can do without.
            self._environment = {"JSII_RUNTIME_PACKAGE_CACHE": "disabled"}
            if self._start_again():
                self._read_responses()
                return
        if errors:
            raise JSIIError(errors[0])

    def _start_again(self) -> bool:
        """Start another Node with the same loads: in a forked child, or with another environment.

        Returns:
            Whether it did: objects live in one Node, so once there are any there is no other.
        """
        if self._has_objects:
            return False
        self.stop()
        loads, self._loads = self._loads, []
        self._take_over(Node(**self._environment))
        for load in loads:
            self._write(load)
        return True

    def _read_greeting(self) -> None:
        try:
            hello = self._next_message().get("hello", "")
        except json.JSONDecodeError:
            hello = f"{self._node.command}, which ended at once,"
        if hello != f"@jsii/runtime@{self._node.jsii_runtime}":
            self.stop()
            self._failure = NodeError(f"{hello} cannot run cdktf: {INSTALL_NODE}")
            raise self._failure
        self._greeted = True


_APIS = {
    CreateRequest: "create",
    GetRequest: "get",
    InvokeRequest: "invoke",
    SetRequest: "set",
    StaticInvokeRequest: "sinvoke",
}


def _message(api: str, request: KernelRequest) -> dict[str, Any]:
    """A request as the kernel reads it.

    Stock, every value within is looked at once more; but arguments are JSON already, except for
    references, which the encoder knows.
    """
    message = {field.name: getattr(request, field.name) for field in attr.fields(type(request))}
    if "objref" in message:
        message["objref"] = _unstructure_ref(message["objref"])  # type: ignore[no-untyped-call]
    if "overrides" in message:
        message["overrides"] = [attr.asdict(override) for override in message["overrides"] or ()]
    return message | {"api": api}


def _copy(stream: IO[bytes], name: str) -> None:
    """Pass on what JavaScript prints, to where Python prints at that time."""
    for line in stream:
        target = getattr(sys, name)
        with contextlib.suppress(AttributeError, ValueError, OSError):
            target.buffer.write(line)
            target.buffer.flush()


def _load_requests() -> Iterator[LoadRequest]:
    for library in _LIBRARIES:
        spec = importlib.util.find_spec(library)
        for folder in (spec and spec.submodule_search_locations) or ():
            for tarball in Path(folder, "_jsii").glob("*.jsii.tgz"):
                name, _, version = tarball.name.removesuffix(".jsii.tgz").rpartition("@")
                yield LoadRequest(name=name, version=version, tarball=str(tarball))
