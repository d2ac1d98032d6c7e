"""The local AWS: MiniStack in one process, with a small, named set of patches.

Start it with ``python -m sandbox.emulator --port 4566``; everything it made is gone when it ends.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

FAULTS_PATH = "/_local/faults"
"""Where it takes faults of tables, for the Region endpoints' fault-injection API."""
CAPACITY_PATH = "/_local/capacity"
"""Where it shows how much of each Region's capacity is in use, and takes quotas."""
REPLICATION_PATH = "/_local/replication"
"""Where it lists the writes that have not arrived in other Regions yet."""


def module(name: str) -> ModuleType:
    """Import a module of MiniStack, such as ``services.kms``."""
    return importlib.import_module(f"ministack.{name}")


def replace(
    owner: Any, name: str, patched: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace the function ``owner.name``.

    Args:
        owner: Module or class that holds the function.
        name: Name of the function; it must exist.
        patched: Gets the original function, returns the one to use.
    """
    setattr(owner, name, patched(getattr(owner, name)))


async def read_body(receive: Callable[[], Any]) -> bytes:
    """Read the whole body of a request.

    Args:
        receive: ASGI's function that gives the next part.
    """
    body = b""
    while True:
        message: dict[str, Any] = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
