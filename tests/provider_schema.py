"""The arguments that the AWS provider takes, in the version that the bindings describe.

The bindings are generated from the provider's schema: arguments, which of them are required, and
blocks. They do not say which are deprecated. Blocks that contain themselves have no members there:
AWS's service model has them, under the names that the provider gives them in snake case.
"""

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, Shape, StructureShape
from cdktf import TerraformElement, TerraformMetaArguments
from service_models import model_of

META_ARGUMENTS = {
    *("//", "connection", "count", "depends_on", "for_each", "lifecycle", "provider"),
    "provisioner",
}
"""What Terraform itself takes in every resource."""
OPEN = {("Wafv2WebAclRule", "statement"): ("wafv2", "Statement")}
"""Blocks whose members the bindings leave open: service and structure of AWS."""
BINDINGS = "cdktf_cdktf_provider_aws"
_REFERENCE = re.compile(r"\b(data\.)?(aws_\w+)\.[\w-]+(?:\[[^]]*\])?\.(\w+)")
_NAME = re.compile(r"^ *:param (\w+): .*?#(\w+) \w+#\w+\}", re.MULTILINE)
_STRUCT = re.compile(rf"(?:ForwardRef\('|{BINDINGS}\.\w+\.)(\w+)")


@dataclass(frozen=True)
class Argument:
    """An argument or a block.

    Attributes:
        required: Whether it must be given.
        block: Of its members, the bindings' class or AWS's structure; None if it has none.
    """

    required: bool
    block: type | Shape | None


def version() -> str:
    """The provider's version that the bindings describe."""
    doc = importlib.import_module(f"{BINDINGS}.provider").__doc__ or ""
    return re.search(r"/aws/([\d.]+)/docs", doc)[1]


def configuration(type: str, *, data: bool = False) -> type:
    """The class of the arguments of a resource, of a data source, or of the provider (`aws`)."""
    if type == "aws":
        return importlib.import_module(f"{BINDINGS}.provider").AwsProviderConfig
    return _class_in(type, data, TerraformMetaArguments)


@cache
def attributes(type: str, *, data: bool = False) -> set[str]:
    """What can be referred to of a resource or a data source, without underscores."""
    return {name.replace("_", "") for name in dir(_class_in(type, data, TerraformElement))}


def _class_in(type: str, data: bool, base: type) -> type:
    name = f"data_{type}" if data else type.removeprefix("aws_")
    module = importlib.import_module(f"{BINDINGS}.{name}")
    (found,) = (c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, base))
    return found


@cache
def arguments(struct: type | Shape) -> dict[str, Argument]:
    """`{name in Terraform: argument}` of a class of the bindings or a structure of AWS."""
    if isinstance(struct, Shape):
        return {
            xform_name(name): Argument(
                required=name in struct.required_members, block=_structure_of(member)
            )
            for name, member in struct.members.items()
        }
    names = dict(_NAME.findall(struct.__init__.__doc__ or ""))
    module = importlib.import_module(struct.__module__)
    found = {}
    for name, parameter in inspect.signature(struct.__init__).parameters.items():
        if name != "self" and names.get(name, name) not in META_ARGUMENTS:
            found[names.get(name, name)] = Argument(
                required=parameter.default is parameter.empty,
                block=_block_of(module, struct, name, parameter.annotation),
            )
    return found


def _block_of(module: Any, struct: type, name: str, annotation: Any) -> type | Shape | None:
    if annotation is Any:
        service, structure = OPEN[struct.__name__, name]
        return model_of(service).shape_for(structure)
    block = _STRUCT.search(str(annotation))
    return getattr(module, block[1]) if block else None


def _structure_of(member: Shape) -> Shape | None:
    inner = member.member if isinstance(member, ListShape) else member
    return inner if isinstance(inner, StructureShape) else None


def violations(document: dict[str, Any]) -> Iterator[str]:
    """What the provider would not take in a synthesized document, with its address."""
    for address, struct, given in _configured(document):
        yield from (f"{address}: {text}" for text in _violations(struct, given, ""))
    for data, type, attribute in references(document):
        if attribute.replace("_", "") not in attributes(type, data=bool(data)):
            yield f"unknown attribute {data}{type}.{attribute}"


def references(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Attributes that expressions refer to: `data.` or nothing, type, attribute."""
    expressions = re.findall(r"\$\{[^}]*", json.dumps(document))
    return {found for each in expressions for found in _REFERENCE.findall(each)}


def paths(document: dict[str, Any]) -> set[str]:
    """Every argument in use, such as `aws_dynamodb_table.ttl.enabled`."""
    return {
        f"{address.rpartition('.')[0]}.{path}"
        for address, _, given in _configured(document)
        for path in _paths(given, "")
    }


def _configured(document: dict[str, Any]) -> Iterator[tuple[str, type, dict[str, Any]]]:
    for given in document["provider"]["aws"]:
        yield "provider.aws", configuration("aws"), given
    for kind in ("resource", "data"):
        for type, found in document.get(kind, {}).items():
            if type.startswith("aws_"):
                struct = configuration(type, data=kind == "data")
                prefix = "data." if kind == "data" else ""
                for name, given in found.items():
                    yield f"{prefix}{type}.{name}", struct, given


def _violations(struct: type | Shape, given: dict[str, Any], path: str) -> Iterator[str]:
    known = arguments(struct)
    for name, value in given.items():
        if name in META_ARGUMENTS:
            continue
        if name not in known:
            yield f"unknown {path}{name}"
        elif block := known[name].block:
            for each in _blocks(value):
                yield from _violations(block, each, f"{path}{name}.")
    yield from (
        f"missing {path}{name}"
        for name, argument in known.items()
        if argument.required and name not in given
    )


def _paths(given: dict[str, Any], path: str) -> Iterator[str]:
    for name, value in given.items():
        yield f"{path}{name}"
        for each in _blocks(value):
            yield from _paths(each, f"{path}{name}.")


def _blocks(value: object) -> list[dict[str, Any]]:
    return [each for each in (value if isinstance(value, list) else [value]) if type(each) is dict]
