"""What became of the writes: pure, by what their senders were told and what the Regions hold.

A customer may rely on an acknowledged write alone. One without a response, or with a 5xx, is
unknown: it may be stored or not. Each acknowledged write is judged in every Region separately:

| state | the Region |
|---|---|
| late | lacked it in a reading, and held it in a later one |
| lost | lacks it, `LOST_AFTER_SECONDS` or more after it was acknowledged |
| wrong value | holds something else for its key |
| duplicated | holds it, and something more for its key |
| uncounted | could not be read, or not for so long that "late" can be excluded |
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from ops.drill.events import Request
from ops.drill.history import Operation, Seen

LOST_AFTER_SECONDS = 30.0
"""A replica that lags longer has lost a write for all that a drill can know: typically it lags by
one second or less.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
LONGEST_REQUEST_SECONDS = 29.0
"""So long a function of the API may work on a write after its sender has given up.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""
State = Literal["lost", "late", "wrong value", "duplicated", "uncounted"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Finding:
    """A write that is not simply present in a Region.

    Attributes:
        key: Its key.
        region: The Region.
        state: What became of it there.
        seconds: For `late`: from the acknowledgement to the reading that had it.
    """

    key: str
    region: str
    state: State
    seconds: float = 0.0


@dataclass(frozen=True)
class Durability:
    """What became of the writes.

    Attributes:
        acknowledged: How many a customer may rely on.
        unknown: How many have no response, a 5xx or a wrong response.
        rejected: How many were refused with a 4xx, and are not stored.
        unknown_stored: How many of the unknown ones a Region holds.
        found: Every write that is not simply present, in every Region.
        unread: `{Region: why}` of those that could not be read the last time.
    """

    acknowledged: int = 0
    unknown: int = 0
    rejected: int = 0
    unknown_stored: int = 0
    found: tuple[Finding, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    def keys(self, state: State) -> dict[str, tuple[str, ...]]:
        """The writes in a state, with the Regions in which they are: `{key: Regions}`."""
        regions: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for each in self.found:
            if each.state == state:
                regions[each.key] += (each.region,)
        return dict(sorted(regions.items()))

    @property
    def late_seconds(self) -> float:
        """How late the latest write was, at most."""
        return max((each.seconds for each in self.found), default=0.0)

    @property
    def counted(self) -> int:
        """How many acknowledged writes could be judged in every Region."""
        return self.acknowledged - len(self.keys("uncounted"))


def settled_at(operations: Iterable[Operation], speed: float) -> float:
    """When no write without a response can be stored any more.

    Args:
        operations: What customers and publishers wrote.
        speed: The speed of the environment: 1 on AWS.

    Returns:
        The time, by the clock of the requests; 0 if there is no such write.
    """
    unanswered = (o.ended_at for o in operations if o.result == "unknown" and o.status is None)
    return max((at + LONGEST_REQUEST_SECONDS / speed for at in unanswered), default=0.0)


def acknowledged(requests: Iterable[Request]) -> dict[str, float | None]:
    """The writes that a customer may rely on: `{key: value}`.

    Args:
        requests: All requests.
    """
    return {r.key: r.value for r in requests if r.kind == "write" and r.ok}


def assess(
    requests: Iterable[Request],
    readings: Iterable[Seen],
    regions: Sequence[str],
    *,
    lost_after_seconds: float = LOST_AFTER_SECONDS,
) -> Durability:
    """Judge every write in every Region.

    Args:
        requests: All requests; each write has a key of its own.
        readings: What the Regions held, in order of time.
        regions: The Regions.
        lost_after_seconds: After this time a write that is not there is lost, no longer late.
    """
    writes = [r for r in requests if r.kind == "write"]
    unknown = [r for r in writes if r.is_unknown]
    seen = list(readings)
    whole = {region: [r for r in seen if r.region == region and not r.error] for region in regions}
    last = {reading.region: reading for reading in seen}
    return Durability(
        acknowledged=sum(r.ok for r in writes),
        unknown=len(unknown),
        rejected=sum(not r.ok and not r.is_unknown for r in writes),
        unknown_stored=sum(
            any(write.key in r.values for each in whole.values() for r in each[-1:])
            for write in unknown
        ),
        found=tuple(
            finding
            for write in writes
            for region in regions
            for finding in _findings(write, region, whole[region], lost_after_seconds)
        ),
        unread={
            region: last[region].error if region in last else "it was not read"
            for region in regions
            if region not in last or last[region].error
        },
    )


def _findings(
    write: Request, region: str, whole: Sequence[Seen], lost_after_seconds: float
) -> Iterator[Finding]:
    # A reading that began before the acknowledgement may lack the write rightly.
    later = [reading for reading in whole if reading.at >= write.answered_at]
    if not later:
        if write.ok:
            yield Finding(write.key, region, "uncounted")
        return
    values = later[-1].values.get(write.key, ())
    if not values:
        if write.ok:
            age = later[-1].at - write.answered_at
            yield Finding(write.key, region, "lost" if age >= lost_after_seconds else "uncounted")
    elif write.value not in values:
        yield Finding(write.key, region, "wrong value")
    elif len(values) > 1:
        yield Finding(write.key, region, "duplicated")
    elif write.ok and write.key not in later[0].values:
        arrived = next(reading.at for reading in later if write.key in reading.values)
        yield Finding(write.key, region, "late", arrived - write.answered_at)
