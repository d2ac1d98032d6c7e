"""The resources of one synthesized stack, and how they refer to each other."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_EXPRESSION = re.compile(r"\$\{(.+?)\}")
_ADDRESS = re.compile(r"\b(?:data\.)?aws_[a-z0-9_]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Resource:
    """A resource or a data source.

    Attributes:
        address: Its address, such as `aws_dynamodb_table.table`.
        type: Its type; a data source's begins with `data.`.
        region: Region of its provider.
        arguments: Its arguments, as Terraform gets them.
    """

    address: str
    type: str
    region: str
    arguments: Mapping[str, Any] = field(compare=False)


class Resources:
    """Everything that one stack declares.

    Args:
        stack: The parsed JSON of the stack.
    """

    def __init__(self, stack: Mapping[str, Any]) -> None:
        providers = {f"aws.{p['alias']}": p["region"] for p in stack["provider"]["aws"]}
        self.regions = tuple(dict.fromkeys(providers.values()))
        """Regions of the providers, in order."""
        self._by_address = {
            (address := f"{prefix}{type}.{logical_id}"): Resource(
                address, f"{prefix}{type}", providers[arguments["provider"]], arguments
            )
            for prefix, kind in (("", "resource"), ("data.", "data"))
            for type, declared in stack.get(kind, {}).items()
            # Terraform's own are in no Region.
            if type.startswith("aws_")
            for logical_id, arguments in declared.items()
        }
        for table in self.of("aws_dynamodb_table"):
            for replica in _replicas_in(table):
                self._by_address[replica.address] = replica

    def of(self, *types: str) -> list[Resource]:
        """List the resources of some types: Region by Region, then type by type.

        Args:
            types: The types.
        """
        found = [r for type in types for r in self._by_address.values() if r.type == type]
        return sorted(found, key=lambda r: self.regions.index(r.region))

    def in_region(self, table: Resource, region: str) -> Resource:
        """Find the replica of a table in a Region, if the table has it as a block.

        Args:
            table: A table or a replica.
            region: The Region.

        Returns:
            The replica; what was given if there is none.
        """
        return self._by_address.get(_address_of_replica(table, region), table)

    def behind(self, value: Any, types: Collection[str]) -> list[Resource]:
        """List the resources of some types that a value refers to.

        References of resources of other types are followed.

        Args:
            value: An argument: text, a list or a block.
            types: The types.
        """
        found: dict[Resource, None] = {}
        seen: set[str] = set()
        waiting = [*_references(value)]
        while waiting:
            address = waiting.pop()
            if address in seen or address not in self._by_address:
                continue
            seen.add(address)
            resource = self._by_address[address]
            if resource.type in types:
                found[resource] = None
            else:
                waiting += _references(resource.arguments)
        return list(found)


def _replicas_in(table: Resource) -> Iterator[Resource]:
    """The replicas that a table has as blocks, as if they were resources of their own."""
    for replica in table.arguments.get("replica", ()):
        region = replica["region_name"]
        yield Resource(
            _address_of_replica(table, region),
            f"{table.type}_replica",
            region,
            {**replica, "global_table_arn": f"${{{table.address}.arn}}"},
        )


def _address_of_replica(table: Resource, region: str) -> str:
    return f"{table.address} replica {region}"


def _references(value: Any) -> Iterator[str]:
    """Addresses in the expressions of a value; `depends_on`, which only orders work, has none."""
    if isinstance(value, str):
        for expression in _EXPRESSION.findall(value):
            yield from _ADDRESS.findall(expression)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
