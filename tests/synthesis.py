"""How tests synthesize: a construct or a stack in, the parsed Terraform JSON out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cdktf import App, TerraformStack, Testing
from cdktf_cdktf_provider_aws.provider import AwsProvider

from constructs_lib.settings import Settings, load


class Synthesized:
    """The parsed JSON of one stack, or of its text, with the questions that tests ask of it."""

    def __init__(self, stack: TerraformStack | str):
        self.text = stack if isinstance(stack, str) else Testing.synth(stack, True)
        self.json = json.loads(self.text)

    def resources(self, type: str) -> dict[str, dict]:
        """`{logical id: arguments}` of one type of resource."""
        return self.json.get("resource", {}).get(type, {})

    def data(self, type: str) -> dict[str, dict]:
        """`{logical id: arguments}` of one type of data source."""
        return self.json.get("data", {}).get(type, {})

    def only(self, type: str) -> dict:
        """The one resource of a type."""
        (resource,) = self.resources(type).values()
        return resource

    def everything(self) -> Iterator[tuple[str, dict]]:
        """Address and arguments of every resource and data source."""
        for prefix, kind in (("", "resource"), ("data.", "data")):
            for type, found in self.json.get(kind, {}).items():
                for logical_id, arguments in found.items():
                    yield f"{prefix}{type}.{logical_id}", arguments

    def addresses(self) -> list[str]:
        return sorted(address for address, _ in self.everything())

    def references(self) -> set[str]:
        """Every address that an expression or a depends_on names."""
        pattern = r"(?:data\.)?aws_[a-z0-9_]+\.[A-Za-z0-9_-]+"
        text = json.dumps({k: v for k, v in self.json.items() if k != "//"})
        expressions = re.findall(r"\$\{(.*?)\}(?=[^}]|$)", text)
        depends_on = [
            d for _, arguments in self.everything() for d in arguments.get("depends_on", [])
        ]
        return {
            reference
            for part in (*expressions, *depends_on)
            for reference in re.findall(pattern, part)
        }


def in_one_stack(path: Path) -> Settings:
    """An environment file as one stack, whatever its layout: every resource has the same address.

    `tests/constructs_lib/test_layout.py` compares the layouts.
    """
    return load(path).model_copy(update={"layout": "single"})


def new_stack(name: str = "test") -> TerraformStack:
    """An empty stack in an app of its own."""
    return TerraformStack(App(), name)


def providers(stack: TerraformStack, *regions: str) -> dict[str, AwsProvider]:
    """`{region: provider}`, each with the Region as alias."""
    return {
        region: AwsProvider(stack, f"aws_{region}", alias=region, region=region)
        for region in regions
    }
