"""Errors of an environment file: what is wrong, what is allowed, and the fix."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True)
class Violation:
    """One error of an environment file.

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
    """An environment file that cannot be used; its text lists every error."""

    def __init__(self, path: Path, violations: Sequence[Violation]) -> None:
        self.path = path
        self.violations = tuple(violations)
        count = "1 error" if len(self.violations) == 1 else f"{len(self.violations)} errors"
        super().__init__("\n".join([f"{path}: {count}", *map(str, self.violations)]))


def name_violations(name: str) -> Iterator[Violation]:
    """A file name that cannot name a stack."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", name):
        yield Violation(
            "", f"the file's name {name!r} cannot name a stack",
            "1 to 16 lowercase letters, digits and hyphens, starting with a letter",
            "rename the file, for example to production.toml",
        )  # fmt: skip


def field_violations(error: ValidationError, root: type[BaseModel]) -> Iterator[Violation]:
    """Each error that the model found, with what is allowed and the fix.

    Args:
        error: What pydantic found.
        root: The model of the whole file; its fields say what is allowed, and how to fix an error.
    """
    for detail in error.errors(include_url=False):
        # Which of the two backends was tried is not part of the key.
        location = tuple(
            part
            for place, part in enumerate(detail["loc"])
            if part != "[key]" and not (place == 1 and detail["loc"][0] == "backend")
        )
        kind = detail["type"]
        if kind == "extra_forbidden":
            yield unknown_key_violation(location, root)
            continue
        extra = _setting_of(location, root)
        allowed, fix = extra.get("allowed", ""), extra.get("fix", detail["msg"])
        if kind == "missing" or kind == "union_tag_not_found":
            yield Violation(_dotted(location), "is missing", allowed, fix)
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            yield Violation(
                _dotted(location), f"{detail['input']!r} is not a table", "a table", fix
            )
        else:
            yield Violation(_dotted(location), f"got {_shown(detail['input'])}", allowed, fix)


def unknown_key_violation(location: tuple[int | str, ...], root: type[BaseModel]) -> Violation:
    """A key that the file must not have, with the nearest that it may."""
    known = sorted(_keys_at(location[:-1], root))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    fix = f"write {close[0]} instead" if close else "remove it"
    return Violation(_dotted(location), "is not a setting", f"one of {', '.join(known)}", fix)


def _setting_of(location: tuple[int | str, ...], root: type[BaseModel]) -> dict[str, Any]:
    """`allowed` and `fix` of the deepest key on the way to a value."""
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
        # The place in an array and the name of a table of tables are no fields of a model.
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
