"""An environment's synthesized stacks: one, or with the layout `regional` several."""

import json
import re
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

STACK_FILE = "cdk.tf.json"
ROUTING_SUFFIX = "-routing"
"""End of the name of the stack that is deployed last, with the layout `regional`."""
_OTHER_STATE = re.compile(
    r"data\.terraform_remote_state\.cross-stack-reference-input-([\w-]+)\.outputs\.([\w-]+)"
)


def stacks_of(environment: str, output: Path) -> tuple[Path, ...]:
    """List the folders of an environment's stacks in the order in which they are deployed.

    The last one has the outputs of the whole environment.

    Args:
        environment: Name of the environment.
        output: Folder that was synthesized to, such as `cdktf.out`.

    Returns:
        At least one; where nothing is synthesized, the folder that the layout `single` would have.
    """
    try:
        stacks: dict[str, Any] = json.loads((output / "manifest.json").read_text())["stacks"]
        dependencies = {name: stack["dependencies"] for name, stack in stacks.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        dependencies = {}
    last = f"{environment}{ROUTING_SUFFIX}"
    if environment in dependencies or last not in dependencies:
        return (output / "stacks" / environment,)
    own = {last, *dependencies[last]}
    order = TopologicalSorter({name: dependencies[name] for name in sorted(own)}).static_order()
    return tuple(output / "stacks" / name for name in order)


def state_key(key: str, part: str) -> str:
    """Key of the state of one stack of several, as synthesis names it.

    Args:
        key: The key in the environment file, such as `api/trial.tfstate`.
        part: What the stack is of the environment, such as a Region.

    Returns:
        For example `api/trial-us-west-2.tfstate`.
    """
    folder, slash, file = key.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    return f"{folder}{slash}" + (f"{stem}-{part}.{suffix}" if stem else f"{file}-{part}")


def releases_prefix(key: str) -> str:
    """Where an environment's releases are in the bucket of its state.

    Args:
        key: The key in the environment file, such as `api/trial.tfstate`.

    Returns:
        For example `api/trial-releases/`.
    """
    folder, slash, file = key.rpartition("/")
    stem = file.rpartition(".")[0] or file
    return f"{folder}{slash}{stem}-releases/"


def read_stacks(folders: Sequence[Path]) -> dict[str, Any]:
    """Read what is synthesized as if it were one stack.

    References to the outputs of another stack become references to the resource there.

    Args:
        folders: Folders of the stacks.

    Returns:
        Parsed JSON with `resource`, `data`, `provider` and `terraform`; with several states in S3,
        their `key` is a list.

    Raises:
        FileNotFoundError: A stack is not synthesized.
    """
    texts = {folder.name: (folder / STACK_FILE).read_text(encoding="utf-8") for folder in folders}
    stacks: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in texts.items()}
    if len(stacks) == 1:
        return next(iter(stacks.values()))
    outputs = {name: stack.get("output", {}) for name, stack in stacks.items()}

    def resource(reference: re.Match[str]) -> str:
        value: str = outputs[reference[1]][reference[2]]["value"]
        return value.removeprefix("${").removesuffix("}")

    stacks = {name: json.loads(_OTHER_STATE.sub(resource, text)) for name, text in texts.items()}
    providers = {
        provider["alias"]: provider
        for stack in stacks.values()
        for provider in stack["provider"]["aws"]
    }
    whole: dict[str, Any] = {
        "provider": {"aws": list(providers.values())},
        "terraform": _terraform([stack["terraform"] for stack in stacks.values()]),
    }
    for kind in ("resource", "data"):
        merged: dict[str, dict[str, Any]] = {}
        for stack in stacks.values():
            for type, resources in stack.get(kind, {}).items():
                merged.setdefault(type, {}).update(resources)
        merged.pop("terraform_remote_state", None)
        whole[kind] = merged
    return whole


def _terraform(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    block = dict(blocks[-1])
    if backend := block["backend"].get("s3"):
        keys = [each["backend"]["s3"]["key"] for each in blocks]
        block["backend"] = {"s3": backend | {"key": keys}}
    return block
