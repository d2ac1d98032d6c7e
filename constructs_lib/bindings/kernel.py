"""The jsii kernel that loads on demand: what Python asks, and when it waits for an answer."""

import atexit
import contextlib
import importlib.util
import json
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attr
from jsii._kernel.providers.process import (
    ProcessProvider,
    _NodeProcess,
    _unstructure_ref,
    stderr_sink,
)
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

from constructs_lib.bindings.errors import NodeError
from constructs_lib.bindings.node import INSTALL_NODE, Node

_LIBRARIES = ("constructs", "cdktf")
_MOST_UNREAD = 64
_CACHE_FAULT = "Cannot use the jsii package cache"


class OnDemandProvider(ProcessProvider):
    """What `jsii.kernel.provider` is set to."""

    def __init__(self, node: Node) -> None:
        """Takes over the process.

        Args:
            node: Started, and not asked for anything yet.
        """
        self._kernel_process = _KernelProcess(node)

    @property
    def _process(self) -> "_KernelProcess":
        return self._kernel_process

    def load_ahead(self, name: str, version: str, tarball: Path, submodules: Sequence[str]) -> None:
        """Tells the kernel which submodules of a loaded assembly will be needed, and where to look.

        Args:
            name: Name of the assembly.
            version: Its version.
            tarball: The one it was loaded from, or one of the same content.
            submodules: Names in jsii, such as `route53Record`.
        """
        request = LoadRequest(name=name, version=version, tarball=str(tarball))
        self._kernel_process.ask_for(request, submodules=submodules)


class _KernelProcess(_NodeProcess):
    """One Node process that is not waited for until it is asked for something other than a load."""

    def __init__(self, node: Node) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for kind, api in _APIS.items():
            self._serializer.register_unstructure_hook(kind, partial(_message, api))
        self._node = node
        self._loads: list[LoadRequest] = []
        self._unread = 0
        self._greeted = False
        self._without_package_cache = False
        self._failure: NodeError | None = None
        self._take_over()
        for request in _load_requests():
            self.ask_for(request)

    def _take_over(self) -> None:
        if self._node.failure:
            # Told when the kernel is needed: a mistake in the user's own files comes first.
            self._failure = NodeError(self._node.failure)
            return
        self._process = self._node.process
        self.sink_thread = threading.Thread(
            target=stderr_sink, args=(self._process.stderr,), daemon=True
        )
        self.sink_thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Ends Node, if it runs."""
        if self._failure is None:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                super().stop()

    def send(self, request: KernelRequest, response_type: type[Any]) -> Any:
        """Asks the kernel, as the stock process does; a load is not waited for.

        Raises:
            NodeError: Node cannot run.
            JSIIError, RuntimeError: The kernel refuses this, or an earlier load.
        """
        if self._failure:
            raise self._failure
        if isinstance(request, LoadRequest):
            self.ask_for(request)
            return LoadResponse(assembly=request.name, types=0)
        if self._unread:
            self._read_answers()
        return super().send(request, response_type)

    def ask_for(self, request: LoadRequest, *, submodules: Sequence[str] = ()) -> None:
        """Sends a load without waiting for its answer."""
        if self._failure:
            return
        if self._unread == _MOST_UNREAD:
            self._read_answers()
        assert self._process.stdin is not None
        self._loads.append(request)
        self._unread += 1
        with contextlib.suppress(BrokenPipeError):  # the missing answer will tell
            line = json.dumps(self._serializer.unstructure(request) | {"submodules": submodules})
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def _read_answers(self) -> None:
        if not self._greeted:
            self._read_greeting()
        answers = [self._next_message() for _ in range(self._unread)]
        self._unread = 0
        errors = [answer["error"] for answer in answers if "error" in answer]
        if any(_CACHE_FAULT in error for error in errors) and not self._without_package_cache:
            self._start_without_package_cache()
        elif errors:
            raise JSIIError(errors[0])

    def _start_without_package_cache(self) -> None:
        """Starts again: jsii gives up where it cannot write its own cache, but can do without."""
        self._without_package_cache = True
        self.stop()
        self._greeted = False
        loads, self._loads = self._loads, []
        self._node = Node(JSII_RUNTIME_PACKAGE_CACHE="disabled")
        self._take_over()
        for request in loads:
            self.ask_for(request)
        self._read_answers()

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


def _load_requests() -> Iterator[LoadRequest]:
    for library in _LIBRARIES:
        spec = importlib.util.find_spec(library)
        for folder in (spec and spec.submodule_search_locations) or ():
            for tarball in Path(folder, "_jsii").glob("*.jsii.tgz"):
                name, _, version = tarball.name.removesuffix(".jsii.tgz").rpartition("@")
                yield LoadRequest(name=name, version=version, tarball=str(tarball))
