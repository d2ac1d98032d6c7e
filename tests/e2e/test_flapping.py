"""A primary that is lost and comes back, again and again, with automatic and with manual failback.

With `FAILOVER_WRITE_DOCS=1`, docs/reference/flapping.json and its page are written. All of it takes
a quarter of an hour.
"""

import os
import time
from itertools import pairwise

import pytest
from failback_sandbox import (
    AUTOMATIC,
    FIRST,
    MANUAL,
    SECOND,
    await_mark,
    await_region,
    awaited,
    local_toml,
)
from local_api import Api

from ops import switch
from ops.drill.durability import LOST_AFTER_SECONDS, acknowledged, assess
from ops.drill.events import Log
from ops.drill.expectation import Pace
from ops.drill.probe import Customer, Probe
from ops.drill.probe_location import ProbeLocation
from ops.drill.resolver import CachingResolver, RegionMap, target_addresses
from ops.drill.watch import Watch
from ops.fault_injection import Fault
from sandbox.workspace import Workspace
from scripts import flapping as table
from scripts.flapping import MODES, Result

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"
SPEED = 4
"""So slow that a busy machine changes little."""
DETECTION_SECONDS = 30
DOWN_SECONDS = (15, 30, 60, 120)
"""Below, at and above what health checks take."""
CYCLES = 3
REST_SECONDS = 100
"""After the last time, so that DNS and resolvers have followed."""


@pytest.fixture(scope="module")
def measured():
    """What was measured, `{(failback, down): result}`."""
    found = {}
    yield found
    if WRITES_DOCS:
        table.write(found.values())


@pytest.fixture(scope="module", params=MODES)
def environment(request, tmp_path_factory):
    """A sandbox with the setting."""
    folder = tmp_path_factory.mktemp("environments")
    (folder / "local.toml").write_text(local_toml({"manual": MANUAL}.get(request.param, AUTOMATIC)))
    sandbox = Api(
        Workspace(tmp_path_factory.mktemp("sandbox")),
        variables={"FAILOVER_ENVIRONMENTS": str(folder)},
    )
    try:
        sandbox.up()
        sandbox.set_speed(SPEED)
        yield sandbox.local.environment
    finally:
        sandbox.down()


def flap(environment, location, down_seconds):
    """Lose the primary again and again: all that customers and the watch have seen."""
    pace = Pace.at_speed(SPEED)
    log = Log()
    regions = RegionMap(lambda: target_addresses(environment))
    resolver = CachingResolver(environment.network.resolve)
    customer = Customer(location, resolver, regions, pace.timeout_seconds)
    both = [
        Probe([customer], log, pace.interval_seconds),
        Watch(environment, regions, log, pace.interval_seconds),
    ]
    for each in both:
        each.start()
    try:
        time.sleep(20 / SPEED)
        for _ in range(CYCLES):
            with environment.fault_injection.injected(Fault(FIRST, "refuse")):
                time.sleep(down_seconds / SPEED)
            time.sleep(down_seconds / SPEED)
        time.sleep(REST_SECONDS / SPEED)
    finally:
        for each in both:
            each.stop()
    return log


@pytest.mark.parametrize("down_seconds", DOWN_SECONDS)
def test_a_flapping_primary_moves_customers_as_the_page_says(measured, environment, down_seconds):
    manual = environment.outputs.failback is not None
    await_region(environment, FIRST)
    if manual:
        await_mark(environment)
    location = ProbeLocation(environment, f"drill-{down_seconds:08}")
    location.register()

    log = flap(environment, location, down_seconds)

    events = log.events()
    seen = [each.region for each in events.dns if each.region]
    moves = sum(before != after for before, after in pairwise(seen))
    written = acknowledged(events.requests)
    readings = [
        reading
        for region in environment.regions
        for reading in location.readings(region, written, LOST_AFTER_SECONDS, log.clock)
    ]
    durability = assess(events.requests, readings, environment.regions)
    result = measured[manual, down_seconds] = Result(
        failback="manual" if manual else "automatic",
        down_seconds=down_seconds,
        cycles=CYCLES,
        detection_seconds=DETECTION_SECONDS,
        moves=moves,
        requests=len(events.requests),
        failed=sum(not request.ok for request in events.requests),
        lost=len(durability.keys("lost")),
        speed=SPEED,
    )
    print(result)
    assert result.lost == 0
    if down_seconds < DETECTION_SECONDS:
        assert moves == 0
    elif down_seconds > DETECTION_SECONDS:
        # Once, or there and back once more before the evacuation is seen.
        assert moves in (1, 3) if manual else moves >= 1
        assert seen[-1] == (SECOND if manual else FIRST)
    if manual and switch.status(environment, FIRST).evacuated:
        assert switch.restore(environment, FIRST).changed
        awaited(lambda: not switch.status(environment, FIRST).evacuated, "it is not restored")
