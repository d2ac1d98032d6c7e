"""The endpoints map: which loopback address stands for which host name.

The local Route 53 data plane reads it. Custom domain names are not in it: their answer is what the
data plane is there to decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ops.edge.config import Region
from ops.edge.files import write_atomically


def endpoints(
    regions: Iterable[Region], *, port: int, ipv4_mapped: bool = False
) -> dict[str, dict[str, Any]]:
    """The map.

    Args:
        regions: Where each Region stands, and its hosts. The pattern of its `execute-api` names
            leads there too, so an unknown API resolves and gets 403, as on AWS.
        port: Port of every Region.
        ipv4_mapped: Give AAAA answers too, as IPv4-mapped addresses (`::ffff:127.0.1.1`). Python
            before 3.13 does not count those as loopback, so a reader may refuse the whole map.

    Returns:
        `{host name or pattern: {"addresses": [IPv4], "port": port}}`.
    """
    found: dict[str, dict[str, Any]] = {}
    for region in regions:
        entry: dict[str, Any] = {"addresses": [region.address], "port": port}
        if ipv4_mapped:
            entry["aaaa"] = [f"::ffff:{region.address}"]
        found |= dict.fromkeys((region.wildcard, *region.hosts), entry)
    return found


def write_endpoints(
    path: Path, regions: Iterable[Region], *, port: int, ipv4_mapped: bool = False
) -> None:
    """Writes the map in one step: a reader sees the old one or the new one.

    Args:
        path: The file.
        regions: As for `endpoints`.
        port: As for `endpoints`.
        ipv4_mapped: As for `endpoints`.
    """
    text = json.dumps(endpoints(regions, port=port, ipv4_mapped=ipv4_mapped), indent=2)
    write_atomically(path, text.encode() + b"\n")
