"""Drills as tests run them: at a speed that this machine can follow, and again if it could not."""

from ops.drill.expectation import expectation_of
from ops.drill.faults import FAULTS, choose
from ops.drill.fis_faults import FisReplicationPausedFault
from ops.drill.interrupts import Interrupts
from ops.drill.outcome import Limits, deciding_time
from ops.drill.run import Drill
from ops.drill.speed import at_followed_speed
from ops.lock import hold, new_run

EVERYWHERE = [name for name, f in FAULTS.items() if f is not FisReplicationPausedFault]
"""The faults that need no experiment templates: tests/e2e/test_drill_fis.py has the others."""
LOSSES = {
    2: [("refuse", (1,)), ("refuse", (2,)), ("refuse", (1, 2)), ("switch", (1,)), ("switch", (2,))],
    3: [
        *(("refuse", lost) for lost in ((1,), (2,), (1, 2), (1, 2, 3))),
        *(("switch", (place,)) for place in (1, 2, 3)),
    ],
    4: [*(("refuse", lost) for lost in ((1,), (1, 2, 3), (1, 2, 3, 4))), ("switch", (4,))],
}
"""`{number of Regions: (fault, places of the Regions that are lost)}`."""
DRILLS = [
    (policy, count, fault, lost)
    for count in LOSSES
    for policy in ("failover", "latency", "weighted")
    for fault, lost in LOSSES[count]
]
"""`(routing policy, number of Regions, fault, places of the lost ones)` of the table of drills."""
FEW = 0.1
"""A busy machine lets the odd request time out."""


def drill(
    environment, name, notify=print, max_rto_seconds=None, regions=(), load=None,
    reconciles=False, **options,
):  # fmt: skip
    """A drill at a speed that this machine can follow."""
    with at_followed_speed(environment, print) as followed:
        run = new_run("drill")
        fault, *further = [
            choose(followed, name, f"{run}-{region}" if place else run, options, region=region)
            for place, region in enumerate(regions or environment.regions[:1])
        ]
        expectation = expectation_of(followed, fault)
        limits = Limits(max_rto_seconds or expectation.seconds)
        with Interrupts() as interrupts, hold(followed, kind="drill", run=run) as lock:
            return Drill(
                followed, fault, expectation, limits, lock, interrupts, notify=notify,
                further=tuple(further), load=load, reconciles=reconciles,
            ).run()  # fmt: skip


def over_time(outcome):
    _, time = deciding_time(outcome)
    return time is not None and time.at_speed(outcome.speed) > outcome.limits.max_rto_seconds


def failed_without_reason(outcome):
    """Share of the requests that failed while nothing was to fail them."""
    measured = outcome.measurements
    failed = measured.failed_before + measured.failed_after
    if outcome.fails_requests:
        return failed / len(outcome.events.requests)
    return (failed + measured.failed_during) / len(outcome.events.requests)
