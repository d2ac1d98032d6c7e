"""A drill of an environment whose AWS fails: its customers' requests and DNS follow the model."""

import json
import re
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from fake_environment import EAST, OUTPUTS, WEST
from faulty_aws import KEY, HealthyNetwork
from faulty_operator import SWITCH, operator

from ops.cli import drill as drill_cli
from ops.cli import restore as restore_cli
from ops.drill import journal, probe_location, report, run
from ops.drill.expectation import Pace
from ops.http_client import DnsAnswer, Response
from ops.lock import Lease, hold
from ops.processes import Program
from ops.verify import leftovers, verify

ADDRESSES = {EAST: "192.0.2.1", WEST: "192.0.2.2"}
DEFECTS = ("stays", "loses", "changes", "never returns")
"""DNS does not follow; writes are not replicated, or with another value; DNS does not come back."""


class ServedNetwork(HealthyNetwork):
    """The API of both Regions, and DNS, which follows the switch and the health function.

    Attributes:
        aws: The environment.
        defect: One of `DEFECTS`; empty if everything works.
        source: Who answers in the place of the zone's name servers; empty if they do.
        stored: `{region: {location: {key: value}}}`.
        positions: `{region: {location: latitude}}`.
    """

    def __init__(self, aws: Any, defect: str = "", source: str = "") -> None:
        super().__init__()
        targets = OUTPUTS["domain_targets"]
        hosts = {targets[region]: (address, 443) for region, address in ADDRESSES.items()}
        stored = {region: defaultdict(dict) for region in ADDRESSES}
        for name, value in (
            *(("aws", aws), ("defect", defect), ("stored", stored), ("hosts", hosts)),
            ("positions", {region: {} for region in ADDRESSES}),
            ("_seen", (-1, False)),
            ("source", source),
        ):
            object.__setattr__(self, name, value)

    def resolve(self, name: str, kind: str = "A") -> DnsAnswer:
        return DnsAnswer((ADDRESSES[self._serving()],), 0, source=self.source)

    def _serving(self) -> str:
        writes = self.aws.table.writes
        if self._seen[0] != writes:
            is_engaged = SWITCH in self.aws.table.items
            object.__setattr__(self, "_seen", (writes, is_engaged))
        is_out = self._seen[1] or self.aws.reserved.get(EAST) == 0
        if is_out and self.defect == "never returns":
            object.__setattr__(self, "defect", "has left")
        if self.defect == "has left":
            return WEST
        return WEST if is_out and self.defect != "stays" else EAST

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Any = None,
        body: bytes | None = None,
        address: str | None = None,
        **_: Any,
    ) -> Response:
        region = WEST if address == ADDRESSES[WEST] or WEST in url else EAST
        path, held = urlsplit(url).path, self.stored[region]
        if method == "GET" and (headers or {}).get("x-api-key") != KEY:
            return Response(403, region)
        if found := re.fullmatch(r".*/locations/(.+)", path):
            value = json.loads(body or b"")["latitude_degrees"]
            for other, place in self._replicated(region, value):
                self.stored[other][found[1]] = self.stored[other][found[1]]
                self.positions[other][found[1]] = place
            return Response(201, region, body="{}")
        if path.endswith("/locations"):
            listed = [
                {
                    "location": each,
                    "name": "Failover drill",
                    "latitude_degrees": self.positions[region].get(each, 0),
                }
                for each in held
            ]
            return _page(region, locations=listed)
        if not (found := re.fullmatch(r".*/weather/([^/]+)/observations(?:/(.+))?", path)):
            return Response(200, region)
        location, key = found[1], found[2]
        if method == "GET":
            listed = [
                {"observed_at": key, "temperature_celsius": value}
                for key, value in [*held[location].items()]
            ]
            return _page(region, observations=listed)
        if method == "DELETE":
            for each in self.stored.values():
                each[location].pop(key, None)
            return Response(204, region)
        value = json.loads(body or b"")["temperature_celsius"]
        for other, stored in self._replicated(region, value):
            self.stored[other][location][key] = stored
        return Response(
            201, region, body=json.dumps({"observed_at": key, **json.loads(body or b"")})
        )

    def _replicated(self, region: str, value: float) -> list[tuple[str, float]]:
        """What a write of a Region is in which Region."""
        changed = value + 0.5 if self.defect == "changes" else value
        others = [] if self.defect == "loses" else [r for r in self.stored if r != region]
        return [(region, value), *((other, changed) for other in others)]


def _page(region: str, **items: Any) -> Response:
    return Response(200, region, body=json.dumps({**items, "next_cursor": None}))


@contextmanager
def driller(schedule, *items, defect="", source="", patience_seconds=0.4):
    """An operator whose drills wait for nothing, and last as long as a few requests."""
    held = partial(hold, lease=Lease(20.0, 10.0, 0.005))
    checks, late_seconds = [leftovers.evacuation, leftovers.health_function], patience_seconds / 8
    with operator(schedule, *items) as made, ExitStack() as stack:
        aws = made.aws
        aws.network = ServedNetwork(aws, defect, source)
        made.environment = aws.environment(folder=made.folder)
        for module, name, value in (
            *((cli, "hold", held) for cli in (drill_cli, restore_cli)),
            (drill_cli, "verify", partial(verify, checks=checks)),
            (drill_cli, "REPORT_BYTES", 4096),
            (report, "write", lambda folder, outcome: folder),
            # The process of the drill lives on, as the test's.
            (journal, "this_program", lambda: Program(2**22 - 3, 1.0)),
            (Pace, "at_speed", lambda *_: Pace(0.004, 1.0)),
            *((run, f"{name}_SECONDS", 0.0) for name in ("STEADY", "HOLD", "SETTLE")),
            *((run, f"{name}_SECONDS", late_seconds) for name in ("CUT_OVER", "LOST_AFTER")),
            *((run, "POLL_SECONDS", 0.004), (run, "BASELINE_SECONDS", patience_seconds)),
            (run, "patience_seconds", lambda *_: patience_seconds),
            (probe_location, "READING_SECONDS", 0.01),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield made
