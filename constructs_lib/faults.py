"""What is wrong with an environment file, in words that lead to the fix."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True)
class Fault:
    """One thing wrong in an environment file.

    Attributes:
        key: Dotted key, such as `health_check.interval_seconds`; empty for the whole file.
        problem: What is wrong, with the value got.
        allowed: What is allowed; empty where the problem says it.
        fix: What to write instead.
    """

    key: str
    problem: str
    allowed: str
    fix: str

    def __str__(self) -> str:
        lines = [f"{self.key}: {self.problem}" if self.key else self.problem]
        if self.allowed:
            lines.append(f"  Allowed: {self.allowed}.")
        lines.append(f"  Fix: {self.fix}.")
        return "\n".join(lines)


class SettingsError(Exception):
    """An environment file that cannot be used; its text lists every fault."""

    def __init__(self, path: Path, faults: Sequence[Fault]) -> None:
        self.path = path
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([f"{path}: {count}", *map(str, self.faults)]))


def name_faults(name: str) -> Iterator[Fault]:
    """A file name that cannot name a stack."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", name):
        yield Fault(
            "", f"the file's name {name!r} cannot name a stack",
            "1 to 16 lowercase letters, digits and hyphens, starting with a letter",
            "rename the file, for example to production.toml",
        )  # fmt: skip


def field_faults(error: ValidationError, root: type[BaseModel]) -> Iterator[Fault]:
    """Each fault that the model found, in this project's words.

    Args:
        error: What pydantic found.
        root: The model of the whole file; its fields say what is allowed and how a fault is mended.
    """
    for detail in error.errors(include_url=False):
        # Which of the two backends was tried is no part of the key.
        location = tuple(
            part
            for place, part in enumerate(detail["loc"])
            if part != "[key]" and not (place == 1 and detail["loc"][0] == "backend")
        )
        kind = detail["type"]
        if kind == "extra_forbidden":
            yield unknown_key_fault(location, root)
            continue
        extra = _setting_of(location, root)
        allowed, fix = extra.get("allowed", ""), extra.get("fix", detail["msg"])
        if kind == "missing" or kind == "union_tag_not_found":
            yield Fault(_dotted(location), "is missing", allowed, fix)
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            yield Fault(_dotted(location), f"{detail['input']!r} is not a table", "a table", fix)
        else:
            yield Fault(_dotted(location), f"got {_shown(detail['input'])}", allowed, fix)


def unknown_key_fault(location: tuple[int | str, ...], root: type[BaseModel]) -> Fault:
    """A key that the file must not have, with the nearest that it may."""
    known = sorted(_keys_at(location[:-1], root))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    fix = f"write {close[0]} instead" if close else "remove it"
    return Fault(_dotted(location), "is not a setting", f"one of {', '.join(known)}", fix)


def _setting_of(location: tuple[int | str, ...], root: type[BaseModel]) -> dict[str, Any]:
    """`allowed` and `fix` of the deepest key on the way to a fault."""
    found: dict[str, Any] = {}
    models = [root]
    for part in location:
        for model in models:
            if isinstance(part, str) and part in model.model_fields:
                field = model.model_fields[part]
                found = dict(field.json_schema_extra or {})  # type: ignore[arg-type]
                models = _models_in(field.annotation)
                break
    return found


def _keys_at(location: tuple[int | str, ...], root: type[BaseModel]) -> set[str]:
    models = [root]
    for part in location:
        # The place in an array and the name of a table of tables lead nowhere by themselves.
        models = [
            inner
            for model in models
            if part in model.model_fields
            for inner in _models_in(model.model_fields[str(part)].annotation)
        ] or models
    return {key for model in models for key in model.model_fields} - (
        {"name"} if not location else set()
    )


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
