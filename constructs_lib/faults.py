"""What is wrong with an environment file, in words that lead to the fix."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
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
        location = tuple(part for part in detail["loc"] if part not in ("[key]", "local", "s3"))
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
        else:
            break
    return found


def _keys_at(location: tuple[int | str, ...], root: type[BaseModel]) -> set[str]:
    models = [root]
    for part in location:
        models = [
            inner
            for model in models
            if part in model.model_fields
            for inner in _models_in(model.model_fields[str(part)].annotation)
        ]
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


def cross_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Rules between keys; tolerant of values that are wrong by themselves."""
    regions = values.get("regions")
    regions = [r for r in regions if isinstance(r, str)] if isinstance(regions, list) else []
    domain, backend = (
        section if isinstance(section, dict) else {}
        for section in (values.get("domain"), values.get("backend"))
    )

    for index, region in enumerate(regions):
        yield from _region_faults(f"regions[{index}]", region)
        if region in regions[:index]:
            yield Fault(
                f"regions[{index}]", f'"{region}" stands twice', "different Regions",
                "name another Region: losing one must leave the other",
            )  # fmt: skip
    if values.get("routing_policy", "failover") == "failover" and len(regions) > 2:
        yield Fault(
            "regions", f"got {len(regions)} Regions with failover routing",
            "exactly two: Route 53 knows one primary and one secondary record",
            'keep two Regions, or set routing_policy = "latency"',
        )  # fmt: skip

    zone, record = domain.get("zone_name"), domain.get("record_name")
    within = isinstance(zone, str) and f".{record}".endswith(f".{zone.rstrip('.')}")
    if isinstance(zone, str) and isinstance(record, str) and not within:
        yield Fault(
            "domain.record_name", f'"{record}" is not within the zone "{zone}"',
            "the zone's name or a name that ends in it",
            f'for example record_name = "api.{zone}"',
        )  # fmt: skip

    bucket_region = backend.get("region")
    if isinstance(bucket_region, str) and backend.get("type") == "s3":
        yield from _region_faults("backend.region", bucket_region)
        if regions and bucket_region == regions[0]:
            yield Fault(
                "backend.region", f'"{bucket_region}" is the primary Region',
                "any other Region: the state must outlive the Region whose loss it repairs",
                "move the bucket, for example to "
                + next((r for r in regions if r != bucket_region), "another Region"),
            )  # fmt: skip


def _region_faults(key: str, region: str) -> Iterator[Fault]:
    if region in _regions_of_aws():
        return
    close = difflib.get_close_matches(region, _regions_of_aws(), n=1)
    yield Fault(
        key,
        f'got "{region}", which is not a Region of the partition aws',
        "a Region such as us-east-1 or eu-central-1",
        f"write {close[0]}" if close else "write the Region's code, not its name",
    )


def shared_faults(environments: Sequence[Any]) -> Iterator[tuple[str, Fault]]:
    """What two environments may not share.

    Args:
        environments: Settings of every environment.

    Yields:
        `(environment, fault)` for the later one of each pair that shares something.
    """
    for index, later in enumerate(environments):
        for earlier in environments[:index]:
            for key, value in _shared(earlier, later):
                yield later.name, Fault(
                    key, f'"{value}" is also what the environment {earlier.name} uses',
                    "what no other environment of the same account uses",
                    "choose another, or set allowed_account_ids if the accounts differ",
                )  # fmt: skip


def _shared(earlier: Any, later: Any) -> Iterator[tuple[str, str]]:
    def state(settings: Any) -> tuple[str, str] | None:
        backend = settings.backend
        return (backend.bucket, backend.key) if backend.type == "s3" else None

    if state(earlier) and state(earlier) == state(later):
        yield "backend.key", later.backend.key
    accounts = [set(settings.allowed_account_ids) for settings in (earlier, later)]
    if all(accounts) and not accounts[0] & accounts[1]:
        return
    if earlier.domain.record_name == later.domain.record_name:
        yield "domain.record_name", later.domain.record_name
    if earlier.table.name == later.table.name and set(earlier.regions) & set(later.regions):
        yield "table.name", later.table.name


@cache
def _regions_of_aws() -> tuple[str, ...]:
    """Every Region of the commercial partition, from botocore's own data file."""
    partitions = json.loads(files("botocore").joinpath("data/partitions.json").read_text())
    return tuple(
        region
        for partition in partitions["partitions"]
        if partition["id"] == "aws"
        for region in partition["regions"]
        if region != "aws-global"
    )
