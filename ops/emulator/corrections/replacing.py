"""How a correction gets hold of a MiniStack function."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any


def module(name: str) -> ModuleType:
    """A module of MiniStack, such as ``services.kms``."""
    return importlib.import_module(f"ministack.{name}")


def replace(
    owner: Any, name: str, corrected: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Put a corrected function in the place of ``owner.name``.

    Args:
        owner: Module or class that holds the function.
        name: Name of the function; it must exist.
        corrected: Gets the original function, returns the one to use.
    """
    setattr(owner, name, corrected(getattr(owner, name)))
